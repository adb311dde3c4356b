"""error_bounds hold for every neuron after every step, are tight, and are refused if the theory does not hold."""

import nengo
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from keras_graphs import random_model
from models import branched, small_cnn

import nengo_snnconv as snc
from nengo_snnconv.analysis.error_bounds import quantization_bound, why_unbounded
from nengo_snnconv.model import layers as specs
from nengo_snnconv.passes import simplify

N_STEPS = 12


def spiking(model, **options):
    """Return the spiking network of a model, normalized so that some activations are clipped."""
    network = snc.convert(model)
    x = np.random.default_rng(0).uniform(0, 1, (20, *model.shapes[model.input]))
    return snc.to_spiking(snc.normalize(network, x, percentile=95), **options)


def clipped_activations(network, x, largest):
    """Return the activations of every layer of the ANN with clipped rectifiers."""
    rates = snc.rate_model(network)
    values = {}
    for name, layer in network.model.layers.items():
        inputs = [values[i] for i in layer.inputs]
        if isinstance(layer, specs.Input):
            values[name] = x
        elif isinstance(layer, specs.Rectifier):
            values[name] = np.clip(inputs[0], 0, largest)
        else:
            keras = rates.get_layer(name)
            values[name] = np.asarray(keras(inputs if len(inputs) > 1 else inputs[0]))
    return values


def assert_bounded(network, x, largest=1.0, skip_steps=0):
    """Assert that errors of firing rates are within the bounds for every neuron and number of steps."""
    recording = snc.record(network, x, n_steps=N_STEPS)
    activations = clipped_activations(network, np.asarray(x, np.float32), largest)
    counts = {name: np.cumsum(spikes, axis=1) for name, spikes in recording.spikes.items()}
    sums = {name: count.astype(float) for name, count in counts.items()}
    output = network.model.output
    sums[output] = np.cumsum(recording.output, axis=1)
    activations[output] = activations[output] * network.model.output_scale  # in the units of the scores
    for n_steps in range(skip_steps + 1, N_STEPS + 1):
        bounds = snc.error_bounds(network, n_steps, skip_steps=skip_steps)
        for name, bound in bounds.items():
            total = sums[name][:, n_steps - 1] - (sums[name][:, skip_steps - 1] if skip_steps else 0)
            mean = total.reshape(len(x), *bound.shape) / (n_steps - skip_steps)
            assert (np.abs(mean - activations[name]) <= bound + 1e-4).all(), (name, n_steps)


@given(st.integers(0, 2**32 - 1), st.integers(2, 7), st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.sampled_from([1, 2]))
@settings(max_examples=12, deadline=None, derandomize=True, phases=[Phase.generate])
def test_no_neuron_exceeds_its_bound_on_random_graphs(seed, n_layers, start, max_spikes):
    model = simplify(snc.as_model(random_model(seed, n_layers)))
    network = spiking(model, neuron_type=snc.IntegrateAndFire(initial_potential=start, max_spikes=max_spikes))
    x = np.random.default_rng(seed).uniform(0, 1.2, (3, *model.shapes[model.input]))
    assert_bounded(network, x, largest=max_spikes)


@given(st.integers(0, 2**32 - 1), st.integers(2, 7), st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([1, 2]))
@settings(max_examples=12, deadline=None, derandomize=True, phases=[Phase.generate])
def test_no_neuron_with_negative_spikes_exceeds_its_bound(seed, n_layers, start, max_spikes):
    model = simplify(snc.as_model(random_model(seed, n_layers)))
    network = spiking(model, neuron_type=snc.SignedIntegrateAndFire(initial_potential=start, max_spikes=max_spikes))
    x = np.random.default_rng(seed).uniform(0, 1.2, (3, *model.shapes[model.input]))
    assert_bounded(network, x, largest=max_spikes)


def test_means_after_skipped_steps_may_be_negative_if_spikes_are():
    """The bound of neurons that take back spikes of skipped steps is up to twice their largest rate."""
    plain = spiking(branched())
    signed = plain.rebuild(neuron_type=snc.SignedIntegrateAndFire())
    assert snc.error_bounds(signed, 2)["c_neurons"].max() == snc.error_bounds(plain, 2)["c_neurons"].max() == 1
    assert snc.error_bounds(plain, 8, skip_steps=6)["c_neurons"].max() == 1
    assert snc.error_bounds(signed, 8, skip_steps=6)["c_neurons"].max() == 2


@pytest.mark.parametrize("kind", [snc.IntegrateAndFire, snc.SignedIntegrateAndFire])
def test_no_neuron_exceeds_its_bound_with_random_starts_and_skipped_steps(kind):
    neuron_type = kind(initial_state={"voltage": nengo.dists.Uniform(0, 1)})
    for model in (small_cnn(), branched()):
        network = spiking(model, neuron_type=neuron_type)
        x = np.random.default_rng(1).uniform(0, 1, (4, *model.shapes[model.input]))
        assert_bounded(network, x)
        assert_bounded(network, x, skip_steps=3)


def test_no_neuron_exceeds_its_bound_if_layers_have_different_neurons():
    quick = snc.IntegrateAndFire(threshold=0.5, initial_potential=0.25)
    network = spiking(branched(), neuron_type={"a": quick, "b": snc.SignedIntegrateAndFire(), "*": quick})
    x = np.random.default_rng(0).uniform(0, 1.2, (4, *network.model.shapes["image"]))
    assert_bounded(network, x)
    own = [quantization_bound(network, name, 1) for name in ("a_neurons", "b_neurons")]
    assert own == [0.75, 0.5]


def test_the_bound_of_the_first_layer_is_the_quantization_error_and_is_reached():
    network = spiking(small_cnn())
    (bound,) = np.unique(snc.error_bounds(network, 8)["neurons"])
    assert bound == quantization_bound(network, "neurons", 8) == 0.5 / 8
    x = np.random.default_rng(0).uniform(0, 1, (50, 6, 6, 2)).astype(np.float32)
    rates = snc.record(network, x, n_steps=8).spikes["neurons"].mean(axis=1)
    activations = clipped_activations(network, x, 1.0)["neurons"].reshape(rates.shape)
    assert np.abs(rates - activations).max() > 0.98 * bound


@pytest.mark.parametrize("start, worst", [(0.0, 1.0), (0.25, 0.75), (0.5, 0.5), (1.0, 1.0)])
def test_the_initial_potential_determines_the_quantization_error(start, worst):
    network = spiking(small_cnn(), neuron_type=snc.IntegrateAndFire(initial_potential=start))
    assert quantization_bound(network, "neurons", 1) == worst


def test_bounds_fall_with_the_steps_and_grow_with_depth():
    network = spiking(branched())
    few, many = (snc.error_bounds(network, n) for n in (1000, 4000))
    for name in few:
        assert np.allclose(few[name], 4 * many[name], rtol=1e-5)
    assert many["a_neurons"].max() < many["c_neurons"].min()
    assert list(few) == ["a_neurons", "b_neurons", "c_neurons", "scores"]


def test_a_bound_is_never_more_than_neurons_can_emit():
    bounds = snc.error_bounds(spiking(branched()), 1)
    assert bounds["c_neurons"].max() == 1
    assert bounds["scores"].max() > 1


@pytest.mark.parametrize(
    "options, word",
    [
        ({"neuron_type": nengo.LIF(min_voltage=-5)}, "LIF"),
        ({"neuron_type": snc.IntegrateAndFire(reset="zero")}, "reset"),
        ({"neuron_type": snc.IntegrateAndFire(min_potential=-1)}, "floor"),
        ({"input_coding": "poisson"}, "Poisson"),
        ({"synapse": 0.005}, "synapse"),
        ({"readout": "spikes"}, "output spikes"),
        ({"neuron_type": snc.IntegrateAndFire(initial_state={"voltage": nengo.dists.Gaussian(0, 1)})}, "Uniform"),
    ],
)
def test_networks_without_bounds_are_refused(options, word):
    network = spiking(small_cnn(), **options)
    assert word in why_unbounded(network)
    with pytest.raises(snc.ConversionError, match=word):
        snc.error_bounds(network, 8)


def test_reset_to_zero_exceeds_the_bound():
    """Therefore error_bounds refuses it."""
    network = spiking(small_cnn(), neuron_type=snc.IntegrateAndFire(reset="zero"))
    kept = network.rebuild(neuron_type=snc.IntegrateAndFire())
    with pytest.raises(AssertionError):
        assert_bounded_as(network, kept)


def assert_bounded_as(network, other):
    x = np.random.default_rng(0).uniform(0, 1, (20, 6, 6, 2)).astype(np.float32)
    rates = snc.record(network, x, n_steps=30).spikes["neurons"].mean(axis=1)
    activations = clipped_activations(network, x, 1.0)["neurons"].reshape(rates.shape)
    assert (np.abs(rates - activations) <= snc.error_bounds(other, 30)["neurons"].ravel() + 1e-4).all()


def test_other_networks_and_steps_are_refused():
    with pytest.raises(snc.ConversionError, match="to_spiking"):
        snc.error_bounds(snc.build_trainable(snc.preset("diehl-mnist")), 8)
    with pytest.raises(snc.SettingsError, match="n_steps"):
        snc.error_bounds(spiking(small_cnn()), 0)
    for skip_steps in (4, 1.5):
        with pytest.raises(snc.SettingsError, match="skip_steps"):
            snc.error_bounds(spiking(small_cnn()), 4, skip_steps=skip_steps)
    for dt in (0, -1):
        with pytest.raises(snc.SettingsError, match="dt must be from"):
            snc.error_bounds(spiking(small_cnn()), 4, dt=dt)
