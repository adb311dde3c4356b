"""Deep and large networks: traversal of the graph, memory, and the number of images computed together."""

import sys
import time

import numpy as np
import pytest
from models import branched, make, small_cnn

import nengo_snnconv as snc
from nengo_snnconv.analysis.ann_operations import analog_layers, source_shares
from nengo_snnconv.conversion import calibration
from nengo_snnconv.conversion.histograms import EDGES, Histogram
from nengo_snnconv.errors import SettingsError
from nengo_snnconv.evaluation.run_options import RunOptions
from nengo_snnconv.evaluation.runner import Runner
from nengo_snnconv.model import connectivity
from nengo_snnconv.model import layers as specs
from nengo_snnconv.model.memory import MOST_TOGETHER, bytes_of_all, bytes_of_pass, bytes_of_step, images_together
from nengo_snnconv.networks.loihi import linear_maps
from nengo_snnconv.networks.loihi.plan import layers_reached
from nengo_snnconv.networks.rate_model import prediction_batch
from nengo_snnconv.networks.ttfs import spike_sources
from nengo_snnconv.passes import find_units

PRESETS = {
    "lif-mnist": (28, 28, 1),
    "diehl-mnist": (28, 28, 1),
    "ttfs-mnist": (28, 28, 1),
    "surrogate-nmnist": (34, 34, 2),
    "surrogate-nmnist-cnn": (34, 34, 1),
    "vgg-cifar10": (32, 32, 3),
    "resnet-cifar10": (32, 32, 3),
}


def linear_row(n, *, branches=False, shape=(5, 5, 2)):
    """Return a model of ``n`` linear layers, or blocks x + pool(x), before a single layer of neurons."""
    layers = [specs.Input("image", shape=shape)]
    for i in range(n):
        last = layers[-1].name
        layers.append(specs.AveragePool(f"pool{i}", last, pool_size=(2, 2), strides=1, padding="same"))
        if branches:
            layers.append(specs.Add(f"sum{i}", (last, f"pool{i}")))
    layers += [
        specs.Conv("conv", layers[-1].name, filters=3, kernel_size=(3, 3)),
        specs.Rectifier("neurons", "conv"),
        specs.Flatten("flat", "neurons"),
        specs.Dense("scores", "flat", units=4),
    ]
    return make(*layers)


def scaled_cnn():
    return snc.normalize(snc.convert(small_cnn()), method="model")


def ways_by_recursion(model, name):
    """Return the fan-out by definition, path by path."""
    total = np.zeros(model.shapes[name])
    for layer in model.consumers(name):
        if isinstance(layer, specs.Conv):
            rows, columns = (connectivity.cover(n, 3, 1, "valid").sum(axis=0) for n in total.shape[:2])
            total += layer.filters * np.multiply.outer(rows, columns)[..., None]
        elif isinstance(layer, specs.Add):
            total += ways_by_recursion(model, layer.name)
        elif isinstance(layer, specs.AveragePool):
            behind = ways_by_recursion(model, layer.name)
            rows, columns = (connectivity.cover(n, 2, 1, "same") for n in total.shape[:2])
            total += np.einsum("ijc,ih,jw->hwc", behind, rows, columns)
    return total


class TestFanOut:
    @pytest.mark.parametrize("n", [1, 2, 5])
    def test_of_branches_in_a_row(self, n):
        model = linear_row(n, branches=True)
        assert np.array_equal(connectivity.fan_out(model, "image"), ways_by_recursion(model, "image"))

    def test_takes_a_pass_however_many_ways_there_are(self):
        model, started = linear_row(64, branches=True), time.process_time()
        found = connectivity.fan_out(model, "image")
        assert time.process_time() - started < 5  # enumerating 2^64 paths would never end
        # the same recursion in floating point
        expected = connectivity._fan_out_through(model.layers["conv"], model, 0, None).astype(float)
        for i in reversed(range(64)):
            rows = connectivity.cover(5, 2, 1, "same")
            expected = expected + np.einsum("ijc,ih,jw->hwc", expected, rows, rows)
            assert f"sum{i}" in model.layers
        assert found.dtype == np.float64  # int64 would have overflowed
        np.testing.assert_allclose(found, expected, rtol=1e-12)

    def test_never_becomes_infinite(self):
        model = linear_row(1100, branches=True)
        found = connectivity.fan_out(model, "image")
        assert np.isfinite(found).all()
        assert connectivity.total(found) == int(connectivity.LARGEST)

    def test_total_of_more_than_an_integer_holds(self):
        assert connectivity.total(np.array([2**62, 2**62, 2**62])) == 3 * 2**62
        assert connectivity.total(np.array([3, 4])) == 7
        assert connectivity.total(np.zeros(0, np.int64)) == 0

    def test_of_several_layers_at_once(self):
        for model in (branched(), small_cnn()):
            found = connectivity.fan_outs(model, model.layers)
            assert list(found) == list(model.layers)
            for name, each in found.items():
                assert np.array_equal(each, connectivity.fan_out(model, name))


class TestWalks:
    """Networks deeper than Python's recursion limit, with too many paths to enumerate."""

    DEPTH = sys.getrecursionlimit() + 200

    def test_of_layers_in_a_row(self):
        model = linear_row(self.DEPTH)
        assert connectivity.fan_out(model, "image").shape == (5, 5, 2)
        assert spike_sources(model)["neurons"] is specs.Rectifier
        assert spike_sources(model)["pool3"] is None
        assert layers_reached(model, "pool0") == ["neurons"]
        assert source_shares(model)["conv"] == {"image": 1.0}
        assert analog_layers(model) == ()
        assert find_units(model, "channel").n_units == 1 + 3 + 1  # the image, channels of neurons, scores

    def test_of_branches(self):
        model = linear_row(40, branches=True)
        (reached,), constant = linear_maps.linear_maps(model, "conv")
        assert reached.source == "image" and reached.convolution is None
        # the sum of all ways is what Keras computes
        x = np.random.default_rng(0).random((3, 5, 5, 2)).astype(np.float32)
        expected = snc.rate_model(snc.convert(model), ["conv"])(x).numpy().reshape(3, -1)
        np.testing.assert_allclose(x.reshape(3, -1) @ reached.matrix.T + constant, expected, rtol=1e-4)
        assert layers_reached(model, "image") == ["neurons"]
        assert source_shares(model)["conv"] == pytest.approx({"image": 1.0})

    def test_a_deep_network_from_end_to_end(self, tmp_path, rng):
        model, limit = linear_row(350, shape=(4, 4, 1)), sys.getrecursionlimit()
        x, y = rng.random((6, 4, 4, 1)).astype(np.float32), np.array([0, 1, 2, 3, 0, 1])
        network = snc.convert(model)
        spiking = snc.to_spiking(snc.normalize(network, x, percentile=100))
        evaluation = snc.evaluate(spiking, x, y, n_steps=4, progress=False)
        first = snc.to_ttfs(network, x, n_steps=4)
        assert snc.evaluate(first, x, y, progress=False).ann_accuracy == evaluation.ann_accuracy
        assert snc.evaluate(first, x, y, synapse=0.002, progress=False).n_steps == 8
        snc.save(spiking, tmp_path / "deep.snn.npz")
        again = snc.evaluate(snc.load(tmp_path / "deep.snn.npz"), x, y, n_steps=4, progress=False)
        assert np.array_equal(again.step_predictions, evaluation.step_predictions)
        assert spiking.report().count("AveragePool") == 350
        recording = snc.record(spiking, x[:1], n_steps=4)
        snc.write_report(tmp_path / "deep.html", spiking, evaluation, recording=recording)
        assert sys.getrecursionlimit() == limit


class TestHistogram:
    @staticmethod
    def best_one_by_one(values, n_steps):
        """Return the best threshold of a unit by comparing all bins with all candidates."""
        bins = np.clip(np.floor((np.log2(values) + 24) * 64), 0, 3071).astype(int)
        centers = np.sqrt(EDGES[bins] * EDGES[bins + 1])
        thresholds = np.geomspace(0.05, 1.2, 128)[:, None] * values.max()
        spikes = np.minimum(np.floor(centers * n_steps / thresholds + 0.5), n_steps)
        errors = ((spikes * thresholds / n_steps - centers) ** 2).sum(axis=1)
        return thresholds[errors.argmin(), 0]

    @pytest.mark.parametrize("n_steps", [1, 3, 16, 100])
    def test_the_best_threshold_of_many_units_at_once(self, n_steps, rng):
        values = rng.exponential(10.0 ** rng.uniform(-4, 4, 1100), (40, 1100))
        values[:, 7] = 0
        histogram = Histogram(1100)
        histogram.add(values, np.arange(1100))
        found = histogram.best_threshold(n_steps)
        assert found[7] == 0
        for unit in (0, 1, 511, 512, 1099):
            assert found[unit] == self.best_one_by_one(values[:, unit], n_steps)

    def test_counts_do_not_overflow(self):
        histogram = Histogram(2)
        for _ in range(3):
            histogram.add(np.ones((30_000, 2)), np.array([0, 1]))
        assert histogram.counts().sum(axis=1).tolist() == [90_000, 90_000]
        histogram.add(np.ones((30_000, 2)), np.array([1, 1]))
        assert histogram.counts().max(axis=1).tolist() == [90_000, 150_000]
        histogram._widen_counts(2**40)
        assert histogram.counts().max(axis=1).tolist() == [90_000, 150_000]

    def test_slices_of_large_layers_are_counted_once(self, monkeypatch, rng):
        values, labels = rng.random((7, 50)), rng.integers(-1, 5, 50)
        whole, parts = Histogram(5), Histogram(5)
        whole.add(values, labels)
        for most in (1, 13, 50, 120):
            monkeypatch.setattr("nengo_snnconv.conversion.histograms.VALUES", most)
            parts = Histogram(5)
            parts.add(values, labels)
            assert np.array_equal(parts.counts(), whole.counts())
            assert np.array_equal(parts.largest, whole.largest)

    def test_memory_of_many_units(self, rng):
        histogram = Histogram(20_000)
        for _ in range(5):
            histogram.add(rng.exponential(1, (20, 20_000)), np.arange(20_000))
        # 3,072 bins of 8 bytes for each would take 490 MB
        assert histogram.nbytes < 20_000 * 2500
        assert histogram.counts(slice(100, 200)).sum() == 100 * 100

    def test_activity_that_is_no_number(self):
        for bad in (np.inf, np.nan):
            with pytest.raises(SettingsError, match="NaN or infinite"):
                Histogram(1).add(np.array([[1.0, bad]]), np.array([0, 0]))


class TestBatches:
    def test_as_many_as_fit(self):
        assert images_together(1e6, 50) == 50
        assert images_together(1e6, 500) == 200 == images_together(1, 500) == MOST_TOGETHER
        assert images_together(1e12, 500) == 1
        assert images_together(1e6, 500, most=7) == 7
        assert images_together(1e12, None) == 200

    @pytest.mark.parametrize("memory_mb", [0, -1, float("nan"), "500", True])
    def test_what_is_no_memory(self, memory_mb):
        with pytest.raises(SettingsError) as caught:
            snc.normalize(snc.convert(small_cnn()), np.ones((2, 6, 6, 2)), memory_mb=memory_mb)
        assert caught.value.argument == "memory_mb"

    @pytest.mark.parametrize(("name", "shape"), PRESETS.items())
    def test_presets_keep_theirs(self, name, shape):
        model = snc.as_model(snc.preset(name, shape))
        assert images_together(bytes_of_step(model)) == 200
        assert images_together(bytes_of_pass(model, calibration.signaling_layers(model))) == 200
        assert prediction_batch(model) == 500
        assert images_together(3 * bytes_of_all(model), most=100) == 100

    def test_bytes_of_a_pass(self):
        model = make(
            specs.Input("image", shape=(100,)),
            specs.Dense("a", "image", units=50),
            specs.Rectifier("b", "a"),
            specs.Reshape("c", "b", shape=(5, 10)),
            specs.Flatten("d", "c"),
            specs.Dense("e", "d", units=10),
        )
        # the image, a, and the workspace of a
        assert bytes_of_pass(model) == 4 * (100 + 50 + 50)
        # the image is kept while b is computed from a
        assert bytes_of_pass(model, kept=("image", "a")) == 4 * (100 + 50 + 50 + 50)
        # the first of two consumers does not free it
        model = make(specs.Input("x", shape=(8,)), specs.Rectifier("r", "x"), specs.Add("s", ("x", "r")))
        assert bytes_of_pass(model) == 4 * 8 * 4

    @pytest.mark.parametrize("backend", ["fast", "nengo_dl", "nengo"])
    def test_poisson_spikes_do_not_depend_on_how_many_fit(self, backend, rng):
        network = snc.to_spiking(scaled_cnn(), input_coding="poisson")
        x, y = rng.random((9, 6, 6, 2)).astype(np.float32), np.zeros(9, int)
        run = {"n_steps": 5, "backend": backend, "progress": False}
        whole = snc.evaluate(network, x, y, **run)
        memory_mb = 4.5 * bytes_of_step(network.model) / 1e6
        with Runner(network, 5, 9, RunOptions(backend=backend, synapse=None, memory_mb=memory_mb)) as runner:
            assert runner.simulator.minibatch_size == (1 if backend == "nengo" else 4)
        parts = snc.evaluate(network, x, y, memory_mb=memory_mb, **run)
        assert np.array_equal(parts.scores, whole.scores)
        assert parts.input_layer.spikes_per_neuron == whole.input_layer.spikes_per_neuron
        recorded = snc.record(network, x, n_steps=5, backend=backend, memory_mb=memory_mb)
        assert np.array_equal(recorded.input, snc.record(network, x, n_steps=5, backend=backend).input)

    def test_places_begin_anew_with_each_minibatch(self, rng):
        network = snc.to_spiking(scaled_cnn(), input_coding="poisson")
        x, y = np.repeat(rng.random((1, 6, 6, 2)), 6, axis=0).astype(np.float32), np.zeros(6, int)
        scores = snc.evaluate(network, x, y, n_steps=5, minibatch_size=3, progress=False).scores
        assert np.array_equal(scores[:3], scores[3:])
        assert not np.array_equal(scores[0], scores[1])

    def test_sizes_that_are_asked_for_are_kept(self):
        network = snc.to_spiking(scaled_cnn())
        with Runner(
            network, 5, 400, RunOptions(backend="fast", synapse=None, minibatch_size=150, memory_mb=1e-6)
        ) as runner:
            assert runner.simulator.minibatch_size == 150

    def test_parts_of_batches_give_the_same_scales(self, rng):
        network, x = snc.convert(branched()), rng.random((12, 8, 8, 2)).astype(np.float32)
        whole = snc.normalize(network, x).model.metadata["scales"]
        little = {"memory_mb": 3.5 * bytes_of_pass(network.model, calibration.signaling_layers(network.model)) / 1e6}
        for other in (snc.normalize(network, x, **little), snc.normalize(network, iter([x[:7], x[7:]]), **little)):
            for name, scales in other.model.metadata["scales"].items():
                assert np.allclose(scales, whole[name], rtol=1e-5)
        first = snc.to_ttfs(network, x, n_steps=4).model.metadata["scales"]
        assert snc.to_ttfs(network, x, n_steps=4, **little).model.metadata["scales"] == pytest.approx(first, rel=1e-5)
