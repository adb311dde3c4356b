"""Rate forms of neuron types: equal to Nengo and NengoDL, with finite gradients."""

import nengo
import numpy as np
import pytest

from nengo_snnconv import ConversionError
from nengo_snnconv.compat import nengo_dl, tf
from nengo_snnconv.neurons.firing_rates import rate_function

TYPES = [
    nengo.RectifiedLinear(amplitude=0.5),
    nengo.SpikingRectifiedLinear(amplitude=0.01),
    nengo.LIFRate(tau_rc=0.05, amplitude=0.3),
    nengo.LIF(tau_ref=0.001, amplitude=0.01),
    nengo.Sigmoid(tau_ref=0.005),
    nengo.Tanh(),
    nengo.RegularSpiking(nengo.LIFRate(amplitude=0.5), amplitude=0.1),
    nengo.StochasticSpiking(nengo.Sigmoid()),
    nengo.PoissonSpiking(nengo.RectifiedLinear()),
    nengo_dl.LeakyReLU(negative_slope=0.2, amplitude=0.5),
    nengo_dl.SpikingLeakyReLU(negative_slope=0.2),
    nengo_dl.SoftLIFRate(sigma=0.1, amplitude=0.5),
]


@pytest.mark.parametrize("neuron_type", TYPES, ids=repr)
def test_equal_to_nengo_dl_in_training(neuron_type):
    current = np.linspace(-3, 10, 200, dtype=np.float32)
    with nengo.Network(seed=0) as network:
        nengo_dl.configure_settings(learning_phase=True, stateful=False)
        source = nengo.Node(np.zeros(200))
        neurons = nengo_dl.Layer(neuron_type)(source, gain=np.full(200, 2.0), bias=np.zeros(200))
        probe = nengo.Probe(neurons)
    with nengo_dl.Simulator(network, progress_bar=False) as simulator:
        simulator.run_steps(1, data={source: current[None, None] / 2})
        expected = simulator.data[probe][0] if simulator.data[probe].ndim == 2 else simulator.data[probe][0, 0]
    ours = rate_function(neuron_type)(tf.constant(current)).numpy()
    assert np.allclose(ours, expected, rtol=1e-6, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("neuron_type", TYPES[:6], ids=repr)
def test_equal_to_rates_of_nengo(neuron_type):
    current = np.linspace(-3, 10, 50)
    expected = neuron_type.rates(current, gain=np.ones(1), bias=np.zeros(1))
    ours = rate_function(neuron_type)(tf.constant(current, tf.float32)).numpy()
    assert np.allclose(ours, expected.ravel(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("neuron_type", TYPES, ids=repr)
def test_gradient_is_finite_everywhere(neuron_type):
    current = tf.Variable(np.array([-1e6, -1, 0, 1, np.nextafter(np.float32(1), np.float32(2)), 1e6], np.float32))
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(rate_function(neuron_type)(current))
    assert np.isfinite(tape.gradient(total, current).numpy()).all()


def test_smoothed_lif_is_soft_lif():
    current = tf.linspace(-1.0, 3.0, 50)
    soft = rate_function(nengo_dl.SoftLIFRate(sigma=0.05, amplitude=0.01))(current)
    assert np.allclose(rate_function(nengo.LIF(amplitude=0.01), lif_smoothing=0.05)(current), soft)


@pytest.mark.parametrize("neuron_type", [nengo.AdaptiveLIF(), nengo.AdaptiveLIFRate(), nengo.Izhikevich()], ids=repr)
def test_no_rate_form(neuron_type):
    with pytest.raises(ConversionError, match=f"{type(neuron_type).__name__} has no rate"):
        rate_function(neuron_type)(tf.zeros(1))
