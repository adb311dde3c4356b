"""SignedIntegrateAndFire: equations, conservation of charge, and equal spikes on all back ends."""

import nengo
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from neuron_runs import DT, argument_of, dyadic, run_both

import nengo_snnconv as snc

VARIANTS = [
    {},
    {"threshold": 2.0, "initial_potential": 0.0},
    {"threshold": 0.25, "max_spikes": 3},
    {"max_spikes": np.inf, "initial_potential": 0.25},
    {"threshold": 3.0, "max_spikes": 5, "tau": 0.0005, "amplitude": 0.002},
]


def reference(current, threshold=1.0, initial_potential=0.5, max_spikes=1):
    """Simulate the equations of the docstring, neuron by neuron, spike by spike."""
    spikes = np.zeros(current.shape)
    for neuron in range(current.shape[1]):
        v, net = initial_potential * threshold, 0
        for step in range(len(current)):
            v += current[step, neuron]
            n = 0
            while v >= threshold and n < max_spikes:
                v, n = v - threshold, n + 1
            while v < 0 and net + n > 0 and n > -max_spikes:
                v, n = v + threshold, n - 1
            net += n
            spikes[step, neuron] = n
    return spikes


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_spikes_are_equal_on_both_back_ends(options, rng):
    one, other = run_both(snc.SignedIntegrateAndFire(**options), dyadic(rng, 60, 40))
    assert (one[0] > 0).any()
    assert (one[0] < 0).any()
    assert np.array_equal(one[0], other[0])
    assert np.array_equal(one[1], other[1])


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_equations(options, rng):
    current = dyadic(rng, 50, 30)
    (output, _), _ = run_both(snc.SignedIntegrateAndFire(**options), current)
    options = dict(options)
    height, current = options.pop("amplitude", 0.001) / DT, current * DT / options.pop("tau", 0.001)
    assert np.array_equal(output, height * reference(current, **options))


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.25, 0.5, 1.0, 2.0]), st.sampled_from([1, 2, np.inf]))
@settings(max_examples=60, deadline=None)
def test_charge_is_conserved(seed, threshold, max_spikes):
    """Sum of input = threshold * net spikes + change of the potential; the sum of spikes is never negative."""
    neuron_type = snc.SignedIntegrateAndFire(threshold=threshold, max_spikes=max_spikes)
    current = dyadic(np.random.default_rng(seed), 40, 20)
    state = neuron_type.make_state(20)
    voltage, net_spikes, output = state["voltage"], state["net_spikes"], np.zeros(20)
    start, spikes = voltage.copy(), np.zeros(20)
    for step in current:
        neuron_type.step(DT, step, output, voltage, net_spikes)
        spikes += output * DT / neuron_type.amplitude
        assert np.array_equal(spikes, net_spikes)
        assert (spikes >= 0).all()
    assert np.array_equal(current.sum(axis=0), threshold * spikes + voltage - start)


def test_uneven_input_leaves_no_error():
    """The count depends on the sum of the input alone, where IntegrateAndFire spikes for what is taken back later."""
    current = np.zeros((8, 2))
    current[:3, 0], current[3:, 0] = 1.0, -0.375  # in sum 1.125
    current[:, 1] = 1.125 / 8
    (signed, _), _ = run_both(snc.SignedIntegrateAndFire(), current)
    assert signed.sum(axis=0).tolist() == [1, 1]
    (unsigned, _), _ = run_both(snc.IntegrateAndFire(), current)
    assert unsigned.sum(axis=0).tolist() == [3, 1]


def test_all_back_ends_give_the_same_spikes(rng):
    keras = snc.preset("resnet-cifar10", (8, 8, 3), seed=3)
    model = snc.as_model(keras)
    arrays = {name: np.round(array * 64) / 256 for name, array in model.arrays.items()}
    network = snc.to_spiking(snc.convert(model.replace(arrays=arrays)), snc.SignedIntegrateAndFire(max_spikes=2))
    x = rng.integers(0, 5, (3, 8, 8, 3)).astype(np.float32) / 4
    runs = [snc.record(network, x, n_steps=6, backend=backend) for backend in ("fast", "nengo_dl", "nengo")]
    for name, spikes in runs[0].spikes.items():
        assert all(np.array_equal(spikes, other.spikes[name]) for other in runs[1:]), name
    counts = snc.evaluate(network, x, np.arange(3), n_steps=6)
    total = sum(np.abs(spikes).sum() for spikes in runs[0].spikes.values())
    n_neurons = sum(network.model.size(name) for name in network.model.neurons)
    assert counts.spikes_per_neuron * n_neurons * 3 == pytest.approx(total)


def test_saved_and_loaded(tmp_path, rng):
    network = snc.to_spiking(
        snc.convert(snc.preset("diehl-mnist")), snc.SignedIntegrateAndFire(threshold=0.5, max_spikes=4)
    )
    snc.save(network, tmp_path / "network.snn.npz")
    assert snc.load(tmp_path / "network.snn.npz").settings.neuron_type == network.settings.neuron_type


def test_rates_are_those_of_the_rectifier():
    gain, bias = snc.SignedIntegrateAndFire().gain_bias([1000.0], [0.0])
    assert np.array_equal(snc.SignedIntegrateAndFire().rates([-1.0, 0.0, 0.5], gain, bias).ravel(), [0, 0, 0.5])


@pytest.mark.parametrize(("name", "value"), [("max_spikes", 1.5), ("threshold", np.nan), ("tau", np.inf)])
def test_invalid_arguments(name, value):
    with pytest.raises((snc.SettingsError, nengo.exceptions.ValidationError)) as caught:
        snc.SignedIntegrateAndFire(**{name: value})
    assert argument_of(caught.value) == name
