"""IntegrateAndFire: equations, conservation of charge, rates, and equal spikes on Nengo and NengoDL."""

import nengo
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from neuron_runs import DT, argument_of, dyadic, run_both

import nengo_snnconv as snc

VARIANTS = [
    {},
    {"reset": "zero"},
    {"threshold": 2.0, "initial_potential": 0.0},
    {"threshold": 0.25, "max_spikes": 3},
    {"max_spikes": np.inf, "initial_potential": 0.25},
    {"min_potential": -0.5},
    {"reset": "zero", "min_potential": 0, "amplitude": 0.002},
    {"threshold": 3.0, "max_spikes": 5, "tau": 0.0005},
    {"initial_state": {"voltage": nengo.dists.Choice([0.75])}},
]


def reference(current, threshold=1.0, reset="subtract", initial_potential=0.5, min_potential=-np.inf, max_spikes=1):
    """Simulate the equations of the docstring, neuron by neuron and step by step."""
    spikes = np.zeros(current.shape)
    for neuron in range(current.shape[1]):
        v = initial_potential * threshold
        for step in range(len(current)):
            v += current[step, neuron]
            n = 0
            while v - n * threshold >= threshold and n < max_spikes:
                n += 1
            spikes[step, neuron] = n
            v = 0.0 if n and reset == "zero" else v - n * threshold
            v = max(v, min_potential)
    return spikes


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_spikes_are_equal_on_both_back_ends(options, rng):
    neuron_type = snc.IntegrateAndFire(**options)
    one, other = run_both(neuron_type, dyadic(rng, 60, 40))
    assert one[0].any()
    assert np.array_equal(one[0], other[0])
    assert np.array_equal(one[1], other[1])


@pytest.mark.parametrize("options", VARIANTS[:-1], ids=str)
def test_equations(options, rng):
    current = dyadic(rng, 50, 30)
    (output, _), _ = run_both(snc.IntegrateAndFire(**options), current)
    options = dict(options)
    height, current = options.pop("amplitude", 0.001) / DT, current * DT / options.pop("tau", 0.001)
    assert np.array_equal(output, height * reference(current, **options))


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.25, 0.5, 1.0, 2.0]), st.sampled_from([1, 2, np.inf]))
@settings(max_examples=60, deadline=None)
def test_charge_is_conserved(seed, threshold, max_spikes):
    """Sum of input = threshold * spikes + potential at the end - potential at the start."""
    neuron_type = snc.IntegrateAndFire(threshold=threshold, max_spikes=max_spikes)
    current = dyadic(np.random.default_rng(seed), 40, 20)
    state = neuron_type.make_state(20)
    voltage, output = state["voltage"], np.zeros(20)
    start, spikes = voltage.copy(), np.zeros(20)
    for step in current:
        neuron_type.step(DT, step, output, voltage)
        spikes += output * DT / neuron_type.amplitude
    assert np.array_equal(current.sum(axis=0), threshold * spikes + voltage - start)


def test_initial_potential_of_one_half_rounds_to_the_nearest_count():
    drive = np.linspace(0, 1, 129)
    (output, _), _ = run_both(snc.IntegrateAndFire(), np.tile(drive, (8, 1)))
    assert np.abs(output.sum(axis=0) / 8 - drive).max() == 0.5 / 8
    (output, _), _ = run_both(snc.IntegrateAndFire(initial_potential=0), np.tile(drive, (8, 1)))
    assert np.abs(output.sum(axis=0) / 8 - drive).max() > 0.9 / 8


def test_negative_current_is_integrated():
    current = np.array([[-1.0], [1.0], [-1.0], [1.0]] * 5)
    (ours, _), _ = run_both(snc.IntegrateAndFire(), current)
    (nengos,), _ = run_both(nengo.SpikingRectifiedLinear(amplitude=0.001), 1000 * current)
    assert ours.sum() == 0
    assert nengos.sum() >= 9


def test_rates_and_gains():
    neuron_type = snc.IntegrateAndFire(threshold=2.0, amplitude=0.5, tau=0.1)
    gain, bias = neuron_type.gain_bias([100, 200], [0, -0.5])
    assert np.allclose(neuron_type.rates(1.0, gain, bias), [[50, 100]])
    assert np.allclose(neuron_type.rates(-0.5, gain, bias), 0)
    assert np.allclose(neuron_type.max_rates_intercepts(gain, bias), [[100, 200], [0, -0.5]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 0}, "threshold"),
        ({"reset": "never"}, "reset"),
        ({"initial_potential": np.inf}, "initial_potential"),
        ({"max_spikes": 1.5}, "max_spikes must be a whole number"),
        ({"max_spikes": 0}, "max_spikes"),
        ({"min_potential": 1}, "min_potential"),
        ({"reset": "zero", "max_spikes": 2}, "max_spikes must be 1, got 2"),
    ],
)
def test_invalid_arguments(options, message):
    with pytest.raises((snc.SettingsError, nengo.exceptions.ValidationError), match=message) as caught:
        snc.IntegrateAndFire(**options)
    assert argument_of(caught.value) in options
