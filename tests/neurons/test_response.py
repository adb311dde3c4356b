"""match_rectifier: the fit of response curves to the rectifier."""

import nengo
import numpy as np
import pytest
from neuron_runs import DT

import nengo_snnconv as snc
from nengo_snnconv.compat import nengo_dl
from nengo_snnconv.neurons.response import match_rectifier


def test_integrate_and_fire_types_fit_exactly():
    for neuron_type in (
        snc.IntegrateAndFire(),
        nengo.SpikingRectifiedLinear(),
        snc.IntegrateAndFire(threshold=3.0),
    ):
        match = match_rectifier(neuron_type)
        assert match.deviation < 1e-9
        assert match.bias == 0
        assert match.neuron_type.amplitude == pytest.approx(0.001 * getattr(neuron_type, "threshold", 1) ** 0)


@pytest.mark.parametrize("threshold", [1.0, 1.25, 0.75, 3.0, 0.3, 1.1])
@pytest.mark.parametrize("max_rate", [None, 125.0, 400.0, 1000.0])
def test_amplitude_of_exact_types_is_not_rounded(threshold, max_rate):
    height = 1000 / (max_rate or 1000)
    match = match_rectifier(snc.IntegrateAndFire(threshold=threshold), max_rate)
    assert match.neuron_type.amplitude / DT == height
    assert match.gain == threshold / height or (max_rate == 400 and match.gain == pytest.approx(threshold / height))
    kinds = nengo.SpikingRectifiedLinear(), nengo.RegularSpiking(nengo.RectifiedLinear())
    for neuron_type in kinds:
        assert match_rectifier(neuron_type, max_rate).neuron_type.amplitude / DT == height
    assert match_rectifier(nengo.RegularSpiking(nengo.RectifiedLinear(2)), 500).neuron_type.amplitude / DT == 1


def test_rectified_linear_rates_need_no_scaling():
    match = match_rectifier(nengo.RectifiedLinear())
    assert (match.gain, match.bias, match.neuron_type.amplitude) == (1, 0, 1)


@pytest.mark.parametrize("max_rate", [50, 100, 200])
def test_fit_of_lif_is_closer_than_its_own_gain(max_rate):
    inputs = np.linspace(-0.5, 1, 301)
    match = match_rectifier(nengo.LIF(), max_rate)
    gain, bias = nengo.LIF().gain_bias([max_rate], [0])
    naive = np.squeeze(nengo.LIF().rates(inputs, gain, bias)) / max_rate
    fitted = np.squeeze(match.neuron_type.rates(inputs, [match.gain], [match.bias]))
    target = np.maximum(inputs, 0)
    assert np.sum((fitted - target) ** 2) < np.sum((naive - target) ** 2)
    assert match.deviation == pytest.approx(np.abs(fitted - target).max())


@pytest.mark.parametrize("amplitude", [1.0, 0.01])
@pytest.mark.parametrize("kind", [nengo.RegularSpiking, nengo.PoissonSpiking, nengo.StochasticSpiking])
@pytest.mark.parametrize("base_type", [nengo.RectifiedLinear(), nengo.LIFRate()], ids=str)
def test_simulated_output_is_that_of_the_rectifier(kind, base_type, amplitude):
    match = match_rectifier(kind(base_type, amplitude=amplitude), max_rate=100)
    neuron_type, state = match.neuron_type, match.neuron_type.make_state(2000, np.random.RandomState(0))
    rates, output, total = np.zeros(2000), np.zeros(2000), 0
    base_type.step(DT, np.full(2000, 0.5 * match.gain + match.bias), rates)
    for _ in range(200):
        neuron_type.step(DT, rates, output, **state)
        total += output.mean() / 200
    assert abs(total - 0.5) < match.deviation + 0.02


def test_errors():
    with pytest.raises(snc.ConversionError, match="emits negative spikes"):
        match_rectifier(nengo_dl.SpikingLeakyReLU())
    with pytest.raises(snc.SettingsError, match="below 500 Hz") as caught:
        match_rectifier(nengo.LIF(), 600)
    assert caught.value.argument == "max_rate"
    with pytest.raises(snc.ConversionError, match="Izhikevich has no amplitude"):
        match_rectifier(nengo.Izhikevich())
    with pytest.raises(snc.ConversionError, match="AdaptiveLIF adapts"):
        match_rectifier(nengo.AdaptiveLIF())
    with pytest.raises(snc.ConversionError, match="at 1 Hz instead"):
        match_rectifier(nengo.PoissonSpiking(nengo.RectifiedLinear(amplitude=0.001)))
