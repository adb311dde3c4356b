import json

import nengo
import numpy as np
import pytest
from models import branched, make, small_cnn

import nengo_snnconv as snc
from nengo_snnconv.compat import nengo_dl
from nengo_snnconv.model import connectivity
from nengo_snnconv.model import layers as specs
from nengo_snnconv.neurons.arguments import replaced

LIF = nengo.LIF(amplitude=0.01)


@pytest.fixture
def images(rng):
    return rng.random((7, 6, 6, 2), dtype=np.float32), rng.integers(0, 4, 7)


class TestAgainstNengoDL:
    @pytest.mark.parametrize(
        ("neuron_type", "synapse"),
        [(nengo.LIF(amplitude=0.008), None), (nengo.LIFRate(amplitude=0.01), 0.003)],
        ids=str,
    )
    @pytest.mark.parametrize("output_synapse", [None, 0.1, nengo.Alpha(0.01)])
    def test_scores_are_those_of_the_filtered_probe(self, images, neuron_type, synapse, output_synapse):
        # multiples of 1/64, whose sums are exact in any order, so that no spike depends on rounding
        x, y = np.round(64 * images[0]) / 64, images[1]
        model = small_cnn()
        model = model.replace(arrays={name: np.round(64 * array) / 64 for name, array in model.arrays.items()})
        network = snc.build_trainable(model, neuron_type, synapse=synapse, output_synapse=output_synapse)
        with nengo_dl.Simulator(network, minibatch_size=len(x), progress_bar=False) as simulator:
            simulator.run_steps(12, data={network.input: np.repeat(x.reshape(7, 1, -1), 12, axis=1)})
            expected = simulator.data[network.probes["output_filtered"]]
        recording = snc.record(network, x, n_steps=12)
        if output_synapse is not None:  # Nengo's probes show it one step later
            expected, recorded = expected[:, 1:], recording.filtered[:, :-1]
        else:
            recorded = recording.filtered
        assert np.allclose(recorded, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())
        evaluation = snc.evaluate(network, x, y, n_steps=12)
        assert np.array_equal(evaluation.step_predictions.T, recording.filtered.argmax(axis=-1))
        assert np.allclose(evaluation.scores, recording.filtered[:, -1])

    @pytest.mark.parametrize("synapse", [nengo.Lowpass(0.1), nengo.Alpha(0.01), nengo.Lowpass(0)], ids=str)
    def test_filter_is_that_of_a_probe_in_nengo_one_step_later(self, synapse, rng):
        from nengo_snnconv.evaluation.readout import filtering_readout

        values = rng.normal(size=(2, 20, 3))
        with nengo.Network() as network:
            source = nengo.Node(nengo.processes.PresentInput(values[0], 0.001))
            probe = nengo.Probe(source, synapse=synapse)
        with nengo.Simulator(network, progress_bar=False) as simulator:
            simulator.run_steps(20)
        readout = filtering_readout(synapse, (2, 3), 0.001)
        parts = [readout(values[:, :7]), readout(values[:, 7:8]), readout(values[:, 8:])]
        assert np.allclose(np.concatenate(parts, axis=1)[0, :-1], simulator.data[probe][1:])

    def test_a_given_synapse_replaces_the_networks(self, images):
        x, y = images
        network = snc.build_trainable(small_cnn(), LIF)
        raw = snc.record(network, x, n_steps=12)
        evaluation = snc.evaluate(network, x, y, n_steps=12, synapse=None)
        assert np.array_equal(evaluation.step_predictions.T, raw.output.argmax(axis=-1))


class TestStreaming:
    @pytest.mark.parametrize("memory_mb", [0.01, 0.1, 1000])
    @pytest.mark.parametrize("minibatch_size", [2, 3, 100])
    def test_chunks_and_minibatches_change_nothing(self, images, memory_mb, minibatch_size):
        x, y = images
        network = snc.build_trainable(branched_for(x), LIF)
        whole = snc.evaluate(network, x, y % 3, n_steps=20)
        parts = snc.evaluate(network, x, y % 3, n_steps=20, memory_mb=memory_mb, minibatch_size=minibatch_size)
        assert np.allclose(parts.scores, whole.scores, rtol=1e-4, atol=1e-5)
        assert parts.synaptic_operations == pytest.approx(whole.synaptic_operations, rel=1e-3)
        for name, layer in whole.layers.items():
            assert np.allclose(parts.layers[name].spikes_per_step, layer.spikes_per_step, rtol=1e-3)

    def test_memory_sets_the_chunk(self):
        from nengo_snnconv.evaluation.run_options import RunOptions
        from nengo_snnconv.evaluation.runner import Runner

        network = snc.build_trainable(small_cnn(), LIF)
        chunks = []
        for memory_mb in (0.001, 1, 1e6):
            options = RunOptions(backend="nengo_dl", synapse=None, minibatch_size=10, memory_mb=memory_mb)
            with Runner(network, 1000, 10, options) as runner:
                chunks.append(runner.chunk)
        assert chunks == [1, 1_000_000 // (12 * 10 * (48 + 72)), 1000]


def branched_for(x):
    """The branched model for images of another size."""
    model = branched()
    layers = [specs.Input("image", shape=x.shape[1:]), *list(model.layers.values())[1:]]
    return model.replace(layers=layers, arrays=dict(model.arrays))


class TestCounts:
    def test_spikes_follow_the_analytic_rate(self):
        """An integrating neuron with input J fires J times a second, give or take the one under way."""
        drive = np.linspace(-1, 2, 31, dtype=np.float32)
        model = make(
            specs.Input("image", shape=(31,)), specs.Rectifier("neurons", "image"), specs.Flatten("out", "neurons")
        )
        network = snc.build_trainable(model, nengo.SpikingRectifiedLinear(amplitude=0.01))
        recording = snc.record(network, drive[None], n_steps=100)
        counts = recording.spikes["neurons"][0].sum(axis=0)
        assert np.abs(counts - 100 * np.maximum(drive, 0) * 0.1).max() <= 1

    def test_per_layer_figures_are_those_of_the_recorded_spikes(self, images):
        x, y = images
        network = snc.build_trainable(small_cnn(), LIF)
        recording = snc.record(network, x, n_steps=15)
        evaluation = snc.evaluate(network, x, y, n_steps=15)
        spikes, layer = recording.spikes["neurons"], evaluation.layers["neurons"]
        assert spikes.sum() > 100
        assert layer.spikes_per_neuron == pytest.approx(spikes.sum() / (7 * 48))
        assert evaluation.spikes_per_neuron == layer.spikes_per_neuron
        assert np.allclose(layer.rates_hz, spikes.mean(axis=(0, 1)) / 0.001)
        assert np.allclose(layer.spikes_per_step, spikes.sum(axis=(0, 2)) / 7)
        assert layer.silent == (spikes.sum(axis=(0, 1)) == 0).mean()
        # each neuron lies in one pooling window, which feeds four dense units
        assert layer.synaptic_operations == pytest.approx(4 * spikes.sum() / 7)
        assert evaluation.input_operations == connectivity.multiply_accumulates(network.model)["conv"]
        assert evaluation.ann_operations == sum(connectivity.multiply_accumulates(network.model).values())

    def test_layers_may_have_the_names_of_probes(self, rng):
        model = make(specs.Input("image", shape=(5,)), specs.Rectifier("output", "image"))
        network = snc.build_trainable(model, LIF)
        recording = snc.record(network, rng.random((2, 5)), n_steps=30)
        assert recording.spikes["output"].sum() > 0
        assert np.array_equal(np.rint(recording.output * 0.001 / 0.01), recording.spikes["output"])

    @pytest.mark.parametrize("synapse", [None, 0.002])
    @pytest.mark.parametrize("average_first", [True, False])
    def test_each_output_of_a_maximum_is_an_event(self, images, synapse, average_first):
        x, y = images
        model = make(
            specs.Input("image", shape=(6, 6, 2)),
            specs.Rectifier("neurons", "image"),
            specs.AveragePool("average", "neurons", pool_size=(2, 2), strides=1 if not average_first else 2),
            specs.MaxPool("max", "average", pool_size=(2, 2), strides=1),
            specs.Flatten("flat", "max"),
            specs.Dense("scores", "flat", units=4),
        )
        network = snc.build_trainable(model, LIF, synapse=synapse)
        with network:
            probe = nengo.Probe(network.layers["max"])
        with nengo_dl.Simulator(network, minibatch_size=len(x), progress_bar=False) as simulator:
            simulator.run_steps(15, data={network.input: np.repeat(x.reshape(7, 1, -1), 15, axis=1)})
            events = np.count_nonzero(simulator.data[probe])
        assert events > 0
        operations = snc.evaluate(network, x, y, n_steps=15).synaptic_operations
        assert operations == pytest.approx(4 * events / 7)

    def test_maxima_pass_events_on(self, images):
        x, y = images
        network = snc.build_trainable(branched_for(x), LIF)
        evaluation = snc.evaluate(network, x, y % 3, n_steps=15)
        assert set(evaluation.layers) == {"a_neurons", "b_neurons", "c_neurons"}
        assert evaluation.layers["a_neurons"].synaptic_operations == 0
        assert evaluation.other_operations > 0
        parts = sum(layer.synaptic_operations for layer in evaluation.layers.values())
        assert evaluation.synaptic_operations == pytest.approx(parts + evaluation.other_operations)


class TestRecording:
    @pytest.fixture
    def dense(self):
        """Two dense layers of neurons with small multiples of 1/16 as weights and biases, whose sums are exact."""
        model = make(
            specs.Input("image", shape=(4, 4, 2)),
            specs.Flatten("flat", "image"),
            specs.Dense("dense1", "flat", units=12),
            specs.Rectifier("relu1", "dense1"),
            specs.Dense("dense2", "relu1", units=9),
            specs.Rectifier("relu2", "dense2"),
            specs.Dense("scores", "relu2", units=3),
        )
        return model.replace(arrays={name: np.round(16 * array) / 16 for name, array in model.arrays.items()})

    @pytest.fixture
    def dyadic_images(self, rng):
        return (rng.integers(-8, 17, (3, 4, 4, 2)) / 16).astype(np.float32)

    @pytest.mark.filterwarnings("ignore:the network was not normalized")
    @pytest.mark.parametrize("input_coding", ["constant", "poisson"])
    @pytest.mark.parametrize("threshold", [1.0, 0.5])
    @pytest.mark.parametrize("backend", ["nengo_dl", "nengo"])
    def test_charge_is_conserved(self, dense, dyadic_images, input_coding, threshold, backend):
        """Law 5, in every step: current = spikes + what the potential grew by, in thresholds."""
        network = snc.to_spiking(snc.convert(dense), snc.IntegrateAndFire(threshold), input_coding=input_coding)
        recording = snc.record(network, dyadic_images, n_steps=20, backend=backend, potentials=True)
        sent = recording.input.reshape(3, 20, -1)
        for layer in ("1", "2"):
            kernel, bias = dense.arrays[f"dense{layer}/kernel"], dense.arrays[f"dense{layer}/bias"]
            spikes, potentials = recording.spikes[f"relu{layer}"], recording.potentials[f"relu{layer}"]
            assert potentials.shape == spikes.shape
            grown = np.diff(potentials, axis=1, prepend=0.5)
            assert spikes.any()
            assert np.array_equal(sent @ kernel + bias, spikes + grown)
            sent = spikes

    @pytest.mark.filterwarnings("ignore:the network was not normalized")
    @pytest.mark.parametrize(
        "neuron_type",
        [snc.IntegrateAndFire(), snc.IntegrateAndFire(reset="zero"), nengo.SpikingRectifiedLinear(amplitude=2**-10)],
        ids=str,
    )
    def test_back_ends_agree_on_potentials(self, neuron_type, rng):
        model = branched()
        model = model.replace(arrays={name: np.round(8 * array) / 16 for name, array in model.arrays.items()})
        dt = 2**-10 if isinstance(neuron_type, nengo.SpikingRectifiedLinear) else 0.001
        start = {"voltage": nengo.dists.Choice([0.25])}
        network = snc.to_spiking(snc.convert(model), replaced(neuron_type, initial_state=start))
        x = (rng.integers(0, 17, (2, 8, 8, 2)) / 16).astype(np.float32)
        one, other = (
            snc.record(network, x, n_steps=6, dt=dt, backend=backend, potentials=True)
            for backend in ("nengo_dl", "nengo")
        )
        assert list(one.potentials) == ["a_neurons", "b_neurons", "c_neurons"]
        for name, potentials in one.potentials.items():
            assert potentials.any()
            assert np.array_equal(potentials, other.potentials[name])

    @pytest.mark.parametrize("neuron_type", [LIF, nengo.SpikingRectifiedLinear(amplitude=0.01)], ids=str)
    def test_potentials_change_nothing_else(self, images, neuron_type):
        network = snc.build_trainable(small_cnn(), neuron_type)
        without = snc.record(network, images[0], n_steps=8)
        recording = snc.record(network, images[0], n_steps=8, potentials=True)
        assert without.potentials == {}
        assert np.array_equal(recording.spikes["neurons"], without.spikes["neurons"])
        assert np.array_equal(recording.output, without.output)
        # after a step, a neuron that spiked is reset below the threshold of 1
        assert 0 < recording.potentials["neurons"].max() < 1

    def test_a_leaky_membrane_nears_its_current(self):
        """Without a spike, dv/dt = (J - v) / tau_rc."""
        model = make(specs.Input("image", shape=(1,)), specs.Rectifier("neurons", "image"))
        neuron_type = nengo.LIF(amplitude=0.01, initial_state={"voltage": nengo.dists.Choice([0])})
        network = snc.build_trainable(model, neuron_type)
        gain, bias = network.settings.gain_bias(model, "neurons")
        x = np.array([[0.5 * (1 - bias[0]) / gain[0] - 0.5 * bias[0] / gain[0]]], np.float32)  # a current of 1/2
        potentials = snc.record(network, x, n_steps=40, potentials=True).potentials["neurons"][0, :, 0]
        assert np.allclose(potentials, 0.5 * (1 - np.exp(-np.arange(1, 41) / 20)), atol=1e-5)

    @pytest.mark.filterwarnings("ignore:the network was not normalized")
    def test_input_and_shapes(self, rng):
        model = small_cnn()
        x = rng.uniform(-0.5, 0.5, (3, 6, 6, 2)).astype(np.float32)
        constant = snc.record(snc.to_spiking(snc.convert(model)), x, n_steps=5)
        assert constant.shapes == {"image": (6, 6, 2), "neurons": (4, 4, 3)}
        assert list(constant.shapes) == ["image", "neurons"]
        assert constant.input.shape == (3, 5, 6, 6, 2)
        assert (constant.input == x[:, None]).all()
        network = snc.to_spiking(snc.convert(model), input_coding="poisson", input_threshold=0.5)
        poisson = snc.record(network, x, n_steps=7)
        assert np.array_equal(poisson.input, 0.5 * snc.poisson_spikes(x, 7, 0.5))

    @pytest.mark.parametrize(
        "neuron_type", [nengo.RectifiedLinear(), nengo.PoissonSpiking(nengo.RectifiedLinear(), amplitude=0.01)], ids=str
    )
    def test_neurons_without_a_potential(self, images, neuron_type):
        network = snc.build_trainable(small_cnn(), neuron_type, max_rates=100)
        with pytest.raises(snc.SettingsError, match="needs neurons with a membrane potential, .*Rectified.* has none"):
            snc.record(network, images[0], potentials=True)


class TestEvaluation:
    def test_accuracy_and_confusion_after_every_step(self, evaluation, digits):
        y = digits.y_test[:100]
        assert evaluation.accuracy.shape == (20,)
        for step in (0, 7, -1):
            confusion = evaluation.confusion(step)
            assert confusion.sum(axis=1).tolist() == np.bincount(y, minlength=10).tolist()
            assert np.trace(confusion) == round(100 * evaluation.accuracy[step])
        assert np.array_equal(evaluation.predictions, evaluation.step_predictions[-1])

    def test_the_trained_network_tells_digits_apart(self, evaluation):
        assert evaluation.ann_accuracy > 0.8
        assert evaluation.accuracy[-1] > 0.7
        assert evaluation.accuracy[-1] > evaluation.accuracy[0]

    def test_loss_is_the_gap_to_the_ann(self, evaluation, trained, digits):
        scores = snc.rate_model(trained).predict(digits.x_test[:100], verbose=0)
        ann = (scores.argmax(axis=1) == digits.y_test[:100]).mean()
        assert evaluation.ann_accuracy == ann
        assert evaluation.loss_points == pytest.approx(100 * (ann - evaluation.accuracy[-1]))

    def test_same_seed_same_spikes(self, trained, digits):
        networks = (trained, trained.rebuild(), trained.rebuild(seed=5))
        first, again, other = (snc.record(n, digits.x_test[:3], n_steps=8).spikes["conv1_relu"] for n in networks)
        # on a threshold, rounding may decide
        assert (first != again).mean() < 1e-4 < 1e-3 < (first != other).mean()

    def test_to_dict_is_json(self, evaluation):
        figures = json.loads(json.dumps(evaluation.to_dict()))
        assert figures["n_steps"] == 20
        assert figures["accuracy"][-1] == evaluation.accuracy[-1]
        assert figures["layers"]["conv1_relu"]["neurons"] == 26 * 26 * 32

    def test_summary_has_a_line_per_figure(self, evaluation):
        summary = evaluation.summary()
        assert f"accuracy after 20 steps    {100 * evaluation.accuracy[-1]:.2f} %" in summary
        assert f"accuracy with rates (ANN)  {100 * evaluation.ann_accuracy:.2f} %" in summary
        assert len(summary.splitlines()) == 8

    def test_a_network_of_rates_is_its_own_ann(self, images):
        x, y = images
        network = snc.build_trainable(small_cnn(), nengo.RectifiedLinear())
        evaluation = snc.evaluate(network, x, y, n_steps=3, synapse=None)
        assert (evaluation.accuracy == evaluation.ann_accuracy).all()
        assert evaluation.layers == {}
        assert evaluation.spikes_per_neuron is None
        assert evaluation.synaptic_operations is None
        assert "spikes" not in evaluation.summary().replace("spiking", "")
        assert json.dumps(evaluation.to_dict())

    def test_plot(self, evaluation):
        lines = evaluation.plot().get_lines()
        assert np.allclose(lines[0].get_ydata(), 100 * evaluation.accuracy)


class TestRefused:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"n_steps": 0}, "n_steps must be a positive integer"),
            ({"minibatch_size": -1}, "minibatch_size must be a positive integer"),
            ({"dt": 0}, "dt must be above 0 seconds"),
        ],
    )
    def test_settings(self, images, options, message):
        with pytest.raises(snc.SettingsError, match=message):
            snc.evaluate(snc.build_trainable(small_cnn(), LIF), *images, **options)

    def test_backends_that_cannot_run_it(self, images):
        with pytest.raises(snc.ConversionError, match="the back end 'nengo' cannot run.*use backend='nengo_dl'"):
            snc.evaluate(snc.build_trainable(small_cnn(), LIF), *images, backend="nengo")

    def test_what_is_no_network(self, images):
        with pytest.raises(snc.SettingsError, match="expected a network, got Model: build one first"):
            snc.evaluate(small_cnn(), *images)

    def test_recording(self, images):
        network = snc.build_trainable(small_cnn(), LIF)
        for x in (images[0][0], images[0][:0], images[0][..., :1]):
            with pytest.raises(snc.SettingsError, match="x must have shape"):
                snc.record(network, x)

    def test_data(self, images):
        x, y = images
        network = snc.build_trainable(small_cnn(), LIF)
        with pytest.raises(snc.SettingsError, match="x must have shape"):
            snc.evaluate(network, x[:, :5], y)
        with pytest.raises(snc.SettingsError, match="class numbers"):
            snc.evaluate(network, x, np.eye(4)[y])
