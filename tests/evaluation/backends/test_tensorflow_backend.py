"""The back end "tensorflow" of evaluate and record: the results of the others, and what it refuses."""

import nengo
import numpy as np
import pytest
from models import branched, small_cnn
from simulators import random_images, rounded, spiking_network

import nengo_snnconv as snc
from nengo_snnconv.compat import nengo_dl, tf
from nengo_snnconv.neurons.tensorflow_builder import NeuronBuilder
from nengo_snnconv.simulator.tensors.tensor_runner import TensorRunner


@pytest.mark.parametrize("model", [small_cnn(), branched()], ids=["plain", "maxima"])
@pytest.mark.parametrize(
    "options",
    [{}, {"input_coding": "poisson", "readout": "spikes"}, {"neuron_type": snc.SignedIntegrateAndFire(max_spikes=3)}],
    ids=["constant", "poisson", "signed"],
)
def test_evaluations_are_the_same(model, options, rng):
    """Minibatches that are not full, chunks that do not divide the steps, and scores from a later step on."""
    model = rounded(model)
    network, x = spiking_network(model, **options), random_images(model, rng, 7)
    y = np.arange(7) % model.size(model.output)
    run = {"n_steps": 19, "minibatch_size": 4, "skip_steps": 2, "memory_mb": 0.3}
    seen, expected = (snc.evaluate(network, x, y, backend=backend, **run) for backend in ("tensorflow", "fast"))
    assert seen.backend == "tensorflow"
    assert np.array_equal(seen.scores, expected.scores)
    assert np.array_equal(seen.step_predictions, expected.step_predictions)
    assert seen.layers.keys() == expected.layers.keys()
    for name, layer in expected.layers.items():
        assert layer.spikes_per_neuron > 0
        assert np.array_equal(seen.layers[name].spikes_per_step, layer.spikes_per_step)
        assert np.array_equal(seen.layers[name].rates_hz, layer.rates_hz)
    if expected.input_layer:
        assert np.array_equal(seen.input_layer.rates_hz, expected.input_layer.rates_hz)
    assert seen.relay_operations == expected.relay_operations
    assert seen.synaptic_operations == expected.synaptic_operations > 0


def test_chunks_of_different_lengths_change_nothing(rng, monkeypatch):
    model = rounded(branched())
    network, x = spiking_network(model), random_images(model, rng, 5)
    lengths = []
    for memory_mb in (0.1, 0.4, 500):
        init = TensorRunner.__init__
        monkeypatch.setattr(
            TensorRunner, "__init__", lambda self, *a, init=init, **k: init(self, *a, **k) or lengths.append(self.chunk)
        )
        run = {"n_steps": 19, "minibatch_size": 5, "memory_mb": memory_mb}
        found = snc.evaluate(network, x, [0] * 5, backend="tensorflow", **run)
        monkeypatch.undo()
        expected = snc.evaluate(network, x, [0] * 5, n_steps=19)
        assert np.array_equal(found.scores, expected.scores)
        assert found.synaptic_operations == expected.synaptic_operations
    assert lengths[0] < lengths[1] < lengths[2]


def test_frames_are_counted(rng):
    network = snc.convert(snc.build_trainable(rounded(small_cnn()), snc.SurrogateLIF(threshold=0.3)))
    frames = rng.poisson(0.7, (5, 6, 6, 6, 2)).astype(np.float32)
    seen, expected = (snc.evaluate(network, frames, [0] * 5, backend=backend) for backend in ("tensorflow", "fast"))
    assert np.array_equal(seen.step_predictions, expected.step_predictions)
    assert seen.synaptic_operations == expected.synaptic_operations
    assert seen.input_layer.spikes_per_neuron == expected.input_layer.spikes_per_neuron > 0


def test_diagnoses_are_the_same(rng):
    model = rounded(branched())
    network, x = spiking_network(model), random_images(model, rng, 7)
    one, other = (snc.diagnose(network, x, [0] * 7, n_steps=9, backend=backend) for backend in ("tensorflow", "fast"))
    assert one.summary().split("simulat")[0] == other.summary().split("simulat")[0]


class Halving(nengo.neurons.NeuronType):
    """Neuron that passes on half of its input."""

    negative, spiking = True, False

    def gain_bias(self, max_rates, intercepts):
        return np.ones(len(max_rates)), np.zeros(len(max_rates))

    def step(self, dt, J, output):
        output[...] = J / 2


class HalvingBuilder(NeuronBuilder):
    def step(self, J, dt):
        return J / 2


class TestNeuronTypes:
    def test_a_type_of_the_user_with_a_builder_in_nengo_dl(self, monkeypatch):
        with nengo.Network() as network:
            network.input = nengo.Node([0.0, 0.0])
            neurons = nengo.Ensemble(2, 1, neuron_type=Halving(), gain=[1, 2], bias=[0, 1]).neurons
            nengo.Connection(network.input, neurons, synapse=None)
            probe = nengo.Probe(neurons)
        with pytest.raises(snc.ConversionError, match="does not support Halving.*use backend='nengo_dl'"):
            TensorRunner(network, 0.001, 1, [probe])
        builders = nengo_dl.neuron_builders.SimNeuronsBuilder.TF_NEURON_IMPL
        monkeypatch.setitem(builders, Halving, HalvingBuilder)
        (values,) = TensorRunner(network, 0.001, 1, [probe]).run(2, np.array([[[3, 5]]], np.float32))
        assert values.tolist() == [[[1.5, 5.5]] * 2]

    def test_types_that_draw_random_numbers_or_have_no_builder_are_refused(self, rng):
        model = rounded(small_cnn())
        network = spiking_network(model, nengo.RegularSpiking(nengo.RectifiedLinear()), max_rate=100)
        x = random_images(model, rng, 3)
        with pytest.raises(snc.ConversionError, match="'tensorflow' does not support RegularSpiking.*'nengo_dl'"):
            snc.evaluate(network, x, [0] * 3, n_steps=3, backend="tensorflow")


def test_synapses_that_are_no_filters_are_refused(rng):
    model = rounded(small_cnn())
    network, x = spiking_network(model, synapse=nengo.synapses.Triangle(0.003)), random_images(model, rng, 3)
    with pytest.raises(snc.ConversionError, match="'tensorflow' does not support Triangle.*backend='nengo_dl'"):
        snc.evaluate(network, x, [0] * 3, n_steps=3, backend="tensorflow")
    assert snc.evaluate(network, x, [0] * 3, n_steps=3, backend="nengo_dl").scores.shape == (3, 4)


def test_the_precision_of_other_programs_is_restored(rng):
    model = rounded(small_cnn())
    seen = []
    for enabled in (True, False):
        tf.config.experimental.enable_tensor_float_32_execution(enabled)
        snc.record(spiking_network(model), random_images(model, rng, 2), n_steps=2, backend="tensorflow")
        seen.append(tf.config.experimental.tensor_float_32_execution_enabled())
    tf.config.experimental.enable_tensor_float_32_execution(True)
    assert seen == [True, False]
