"""Evaluations: the scores of NengoDL, streamed in chunks, and counts of spikes and operations."""

import json

import nengo
import numpy as np
import pytest
from models import branched, make, small_cnn

import nengo_snnconv as snc
from nengo_snnconv.compat import nengo_dl
from nengo_snnconv.evaluation.hints import hints_of
from nengo_snnconv.model import connectivity
from nengo_snnconv.model import layers as specs

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
        # sums of multiples of 1/64 are exact in any order, so no spike depends on rounding
        x, y = np.round(64 * images[0]) / 64, images[1]
        model = small_cnn()
        model = model.replace(arrays={name: np.round(64 * array) / 64 for name, array in model.arrays.items()})
        network = snc.build_trainable(model, neuron_type, synapse=synapse, output_synapse=output_synapse)
        with nengo_dl.Simulator(network, minibatch_size=len(x), progress_bar=False) as simulator:
            simulator.run_steps(12, data={network.input: np.repeat(x.reshape(7, 1, -1), 12, axis=1)})
            expected = simulator.data[network.probes["output_filtered"]]
        recording = snc.record(network, x, n_steps=12)
        if output_synapse is not None:  # Nengo's probes show the filtered value one step later
            expected, recorded = expected[:, 1:], recording.filtered[:, :-1]
        else:
            recorded = recording.filtered
        assert np.allclose(recorded, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())
        evaluation = snc.evaluate(network, x, y, n_steps=12)
        assert np.array_equal(evaluation.step_predictions.T, recording.filtered.argmax(axis=-1))
        assert np.allclose(evaluation.scores, recording.filtered[:, -1])

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


def branched_for(x):
    """Return the branched model for the size of images ``x``."""
    model = branched()
    layers = [specs.Input("image", shape=x.shape[1:]), *list(model.layers.values())[1:]]
    return model.replace(layers=layers, arrays=dict(model.arrays))


class TestCounts:
    def test_spikes_follow_the_analytic_rate(self):
        """An integrating neuron with input J spikes J times per second, to within one spike."""
        drive = np.linspace(-1, 2, 31, dtype=np.float32)
        model = make(
            specs.Input("image", shape=(31,)), specs.Rectifier("neurons", "image"), specs.Flatten("out", "neurons")
        )
        network = snc.build_trainable(model, nengo.SpikingRectifiedLinear(amplitude=0.01))
        recording = snc.record(network, drive[None], n_steps=100)
        counts = recording.spikes["neurons"][0].sum(axis=0)
        assert np.abs(counts - 100 * np.maximum(drive, 0) * 0.1).max() <= 1

    def test_results_by_layer_are_those_of_recorded_spikes(self, images):
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
        # each neuron is in one pooling window, which feeds four dense units
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

    @pytest.mark.parametrize("backend", ["fast", "nengo", "nengo_dl", "tensorflow"])
    @pytest.mark.parametrize("cls", [snc.IntegrateAndFire, snc.SignedIntegrateAndFire])
    def test_several_spikes_pass_a_maximum_in_one_step(self, cls, backend, rng):
        model = make(
            specs.Input("image", shape=(6, 6, 2)),
            specs.Conv("conv", "image", filters=4, kernel_size=(3, 3), padding="same"),
            specs.Rectifier("first", "conv"),
            specs.Conv("deep", "first", filters=4, kernel_size=(1, 1)),
            specs.Rectifier("neurons", "deep"),
            specs.MaxPool("max", "neurons", pool_size=(2, 2)),
            specs.Flatten("flat", "max"),
            specs.Dense("scores", "flat", units=5),
        )
        model = model.replace(arrays={name: np.round(3 * 2**8 * array) / 2**8 for name, array in model.arrays.items()})
        snn = snc.to_spiking(snc.convert(model), cls(max_spikes=4))
        x = np.round(2**8 * rng.random((3, 6, 6, 2))) / 2**8
        spikes = snc.record(snn, x, n_steps=4).spikes["neurons"]
        windows = spikes.cumsum(axis=1).reshape(3, 4, 3, 2, 3, 2, 4)
        passed = np.diff(windows.max(axis=(3, 5)), axis=1, prepend=0)
        assert np.abs(passed).max() > 1
        evaluation = snc.evaluate(snn, x, np.zeros(3, int), n_steps=4, backend=backend)
        first = np.abs(snc.record(snn, x, n_steps=4).spikes["first"]).sum()
        assert evaluation.synaptic_operations == pytest.approx((4 * first + 5 * np.abs(passed).sum()) / 3)

    def test_maxima_pass_events_on(self, images):
        x, y = images
        network = snc.build_trainable(branched_for(x), LIF)
        evaluation = snc.evaluate(network, x, y % 3, n_steps=15)
        assert set(evaluation.layers) == {"a_neurons", "b_neurons", "c_neurons"}
        assert evaluation.layers["a_neurons"].synaptic_operations == 0
        assert evaluation.other_operations > 0
        parts = sum(layer.synaptic_operations for layer in evaluation.layers.values())
        assert evaluation.synaptic_operations == pytest.approx(parts + evaluation.other_operations)


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
        # potentials close to the threshold depend on rounding
        assert (first != again).mean() < 1e-4 < 1e-3 < (first != other).mean()

    def test_to_dict_is_json(self, evaluation):
        result = json.loads(json.dumps(evaluation.to_dict()))
        assert result["n_steps"] == 20
        assert result["accuracy"][-1] == evaluation.accuracy[-1]
        assert result["layers"]["conv1_relu"]["neurons"] == 26 * 26 * 32

    def test_summary_has_a_line_per_result(self, evaluation):
        summary = evaluation.summary()
        assert f"accuracy after 20 steps    {100 * evaluation.accuracy[-1]:.2f} %" in summary
        assert f"accuracy with rates (ANN)  {100 * evaluation.ann_accuracy:.2f} %" in summary
        agreement = (evaluation.predictions == evaluation.ann_predictions).mean()
        assert f"agreement with the ANN     {100 * agreement:.2f} %" in summary
        assert f"operations, ANN / spikes   {evaluation.operations_ratio:.2f}" in summary
        assert len(summary.splitlines()) == 10 + ("balanced accuracy" in summary)

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
            ({"dt": 0}, "dt must be from 1e-09 to 1000 seconds"),
            ({"dt": 1e-300}, "dt must be"),
            ({"dt": 10**400}, "dt must be"),
        ],
    )
    def test_settings(self, images, options, message):
        with pytest.raises(snc.SettingsError, match=message):
            snc.evaluate(snc.build_trainable(small_cnn(), LIF), *images, **options)

    def test_a_model_is_no_network(self, images):
        with pytest.raises(snc.SettingsError, match="expected a network, got Model: build one first") as caught:
            snc.evaluate(small_cnn(), *images)
        assert caught.value.argument == "network"

    def test_data(self, images):
        x, y = images
        network = snc.build_trainable(small_cnn(), LIF)
        with pytest.raises(snc.SettingsError, match="x must have shape"):
            snc.evaluate(network, x[:, :5], y)
        with pytest.raises(snc.SettingsError, match="class numbers"):
            snc.evaluate(network, x, y / 2)


def test_summary_says_that_fixed_rates_are_too_low_and_higher_rates_help(rng):
    """The labels are those of the ANN, and a network without spikes predicts one class for all images."""
    with pytest.warns(snc.SnnConvWarning, match="neurons fire at 2 Hz"):
        slow = snc.build_trainable(small_cnn(), nengo.SpikingRectifiedLinear(amplitude=0.5))
    fast = slow.rebuild(neuron_type=nengo.SpikingRectifiedLinear(amplitude=0.002))
    x = rng.normal(0, 1, (40, 6, 6, 2))
    low, high = (snc.evaluate(network, x, n_steps=20, progress=False) for network in (slow, fast))
    assert low.loss_points > high.loss_points + 5
    assert "firing rates are too low for 20 steps: raise them" in low.summary()
    assert "firing rates" not in high.summary()


def test_summary_names_the_range_of_images_if_firing_rates_are_low_and_it_is_unknown(rng):
    """Images from 0 to 255 make the neurons fire, as in training."""
    model = small_cnn(2)
    with pytest.warns(snc.SnnConvWarning, match="neurons fire at 5 Hz"):
        network = snc.build_trainable(model, nengo.SpikingRectifiedLinear(amplitude=0.2))
        of_unit = network.rebuild(model.replace(metadata={**model.metadata, "input_range": [0, 1]}))
    x = (rng.random((40, 6, 6, 2)) < 0.3).astype(float)
    dark, bright, known = (
        snc.evaluate(net, images, n_steps=20, progress=False)
        for net, images in ((network, x), (network, 255 * x), (of_unit, x))
    )
    assert dark.loss_points > 5 > bright.loss_points
    assert "if it was trained on pixels from 0 to 255, give such images, 255 * x" in dark.summary()
    assert "firing rates" not in bright.summary()
    assert "for 20 steps: raise them" in known.summary()


def test_summary_says_that_scores_of_a_single_step_are_unfiltered_and_a_filter_helps(rng):
    network = snc.build_trainable(small_cnn(), nengo.SpikingRectifiedLinear(amplitude=0.01), output_synapse=None)
    x = rng.normal(0, 1, (40, 6, 6, 2))
    hint = "scores are the output of the last step alone: filter them"
    last = snc.evaluate(network, x, n_steps=20, progress=False)
    assert last.loss_points > 5
    assert hint in last.summary()
    filtered = snc.evaluate(network, x, n_steps=20, synapse=0.1, progress=False)
    kept = snc.evaluate(network.rebuild(output_synapse=0.1), x, n_steps=20, progress=False)
    for evaluation in (filtered, kept):
        assert evaluation.loss_points < last.loss_points - 5
        assert hint not in evaluation.summary()


def test_summary_says_that_maxima_of_spikes_are_too_large_and_a_filter_helps(rng):
    model = make(
        specs.Input("image", shape=(8, 8, 2)),
        specs.Conv("conv", "image", filters=4, kernel_size=(3, 3)),
        specs.Rectifier("neurons", "conv"),
        specs.MaxPool("maxima", "neurons", pool_size=(3, 3)),
        specs.Flatten("flat", "maxima"),
        specs.Dense("scores", "flat", units=8),
    )
    network = snc.build_trainable(model, nengo.SpikingRectifiedLinear(amplitude=0.01))
    x = rng.normal(0, 0.3, (60, 8, 8, 2))
    spiking = snc.evaluate(network, x, n_steps=60, progress=False)
    assert spiking.loss_points > 5
    assert "max pooling passes a spike of any neuron" in spiking.summary()
    assert "snc.diagnose(network, x, y, n_steps=60)" in spiking.summary()
    filtered = snc.evaluate(network.rebuild(synapse=0.02), x, n_steps=60, progress=False)
    assert filtered.loss_points < spiking.loss_points - 5
    assert "max pooling" not in filtered.summary()


def test_the_comparison_with_the_ann_can_be_left_out(rng, tmp_path):
    x, y = rng.random((30, 6, 6, 2)), np.arange(30) % 4
    network = snc.to_spiking(snc.normalize(snc.convert(small_cnn()), x))
    compared, alone = (snc.evaluate(network, x, y, n_steps=5, ann=ann) for ann in (True, False))
    assert np.array_equal(alone.accuracy, compared.accuracy)
    assert alone.synaptic_operations == compared.synaptic_operations
    assert compared.ann_accuracy is not None and compared.loss_points is not None
    assert alone.ann_accuracy is None and alone.ann_predictions is None and alone.loss_points is None
    assert "(ANN)" not in alone.summary() and "loss from spiking" not in alone.summary()
    assert np.array_equal(snc.evaluate(network, x, y, n_steps=5, ann=False, n_jobs=2).accuracy, alone.accuracy)
    values = snc.evaluate(network, x, rng.random((30, 4)), n_steps=5, ann=False)
    assert values.head == "values" and values.ann_score is None
    snc.write_report(tmp_path / "report.html", network, alone)
    assert "backend='fast', ann=False)" in (tmp_path / "report.html").read_text()
    with pytest.raises(snc.SettingsError, match="y is needed with ann=False"):
        snc.evaluate(network, x, n_steps=5, ann=False)


def test_summary_of_a_converted_network_names_neurons_that_fire_too_often_and_diagnose(rng):
    layers, last = [specs.Input("image", shape=(6, 6, 2))], "image"
    for n in range(4):
        convolution = specs.Conv(f"conv{n}", last, filters=6, kernel_size=(3, 3), padding="same")
        layers += [convolution, specs.Rectifier(last := f"neurons{n}", f"conv{n}")]
    network = snc.convert(make(*layers, specs.Flatten("flat", last), specs.Dense("scores", "flat", units=8)))
    x = rng.normal(0, 1, (60, 6, 6, 2))
    network = snc.normalize(network, x)
    dropping, keeping = (
        snc.evaluate(snc.to_spiking(network, neuron_type, max_rate=100), x, n_steps=60, progress=False)
        for neuron_type in (nengo.SpikingRectifiedLinear(), snc.IntegrateAndFire())
    )
    assert dropping.loss_points > 5
    assert "SpikingRectifiedLinear drops negative current" in dropping.summary()
    assert "snc.diagnose(network, x, y, n_steps=60)" in dropping.summary()
    assert keeping.loss_points < dropping.loss_points
    assert "drops" not in keeping.summary()
    calibrated = snc.calibrate(snc.to_spiking(network, snc.SignedIntegrateAndFire()), x, n_steps=1)
    assert not hints_of(calibrated, dropping, None, False)  # diagnose refuses calibrated networks


def test_summary_says_that_the_ann_only_guesses(rng):
    network, x = snc.convert(small_cnn()), rng.random((60, 6, 6, 2))
    y = snc.rate_model(network).predict(x, verbose=0).argmax(axis=1)
    hint = "the ANN itself is hardly better than chance: check that images are scaled"
    assert hint not in snc.evaluate(network, x, y, n_steps=1).summary()
    assert hint in snc.evaluate(network, x, (y + 1) % 4, n_steps=1).summary()
    assert hint in snc.evaluate(snc.to_spiking(snc.normalize(network, x)), x, (y + 1) % 4, n_steps=1).summary()
    assert hint not in snc.evaluate(network, x[:20], (y[:20] + 1) % 4, n_steps=1).summary()  # too few to tell
