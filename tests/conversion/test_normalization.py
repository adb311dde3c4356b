"""Scales of activations from weights and from data."""

import nengo
import numpy as np
import pytest
from models import branched, make, small_cnn

import nengo_snnconv as snc
from nengo_snnconv.compat import tf
from nengo_snnconv.conversion.calibration import upper_bounds
from nengo_snnconv.conversion.histograms import Histogram
from nengo_snnconv.model import layers as specs


@pytest.fixture
def x(rng):
    return rng.random((50, 6, 6, 2), dtype=np.float32)


def largest(network, x, name):
    return np.asarray(snc.rate_model(network, [name, network.model.output])(x)[0])


class TestData:
    @pytest.mark.parametrize("per", ["layer", "channel"])
    def test_the_largest_activation_becomes_one(self, x, per):
        network = snc.normalize(snc.convert(small_cnn()), x, percentile=100, per=per)
        activity = largest(network, x, "neurons").max(axis=(0, 1, 2))
        assert activity.max() == pytest.approx(1, rel=1e-6)
        if per == "channel":
            assert np.allclose(activity[activity > 0], 1, rtol=1e-6)
            assert (activity > 0).sum() == 2  # one channel is dead

    @pytest.mark.parametrize("percentile", [50, 90, 99, 99.9])
    def test_percentile_is_that_of_numpy(self, x, percentile):
        before = largest(snc.convert(small_cnn()), x, "neurons")
        network = snc.normalize(snc.convert(small_cnn()), x, percentile=percentile)
        (scale,) = set(network.model.metadata["scales"]["neurons"])
        assert scale == pytest.approx(np.percentile(before[before > 0], percentile), rel=0.01)

    def test_batches_in_any_number_give_the_same(self, x):
        whole = snc.normalize(snc.convert(small_cnn()), x)
        batches = snc.normalize(snc.convert(small_cnn()), (x[i : i + 7] for i in range(0, 50, 7)))
        labelled = snc.normalize(snc.convert(small_cnn()), ((x[i : i + 25], [0] * 25) for i in (0, 25)))
        small = snc.normalize(snc.convert(small_cnn()), x, batch_size=3)
        for other in (batches, labelled, small):
            for name, scale in whole.model.metadata["scales"].items():
                assert np.allclose(other.model.metadata["scales"][name], scale, rtol=1e-5)

    def test_memory_is_independent_of_the_amount_of_data(self):
        histogram = Histogram(3)
        for i in range(20):
            histogram.add(np.random.default_rng(i).random((10, 6)), np.array([0, 0, 1, 1, 2, -1]))
        assert histogram.counts().sum() == 20 * 10 * 5
        assert histogram.nbytes < 3 * 6144 + 2**14

    def test_values_of_any_size(self):
        values = 10.0 ** np.arange(-6, 7)
        histogram = Histogram(len(values))
        histogram.add(np.tile(values, (3, 1)), np.arange(len(values)))
        assert np.allclose(histogram.percentile(50), values, rtol=0.012)
        assert np.array_equal(histogram.percentile(100), values)

    def test_largest_weight(self, x):
        network = snc.normalize(snc.convert(small_cnn()), 1e-3 * x, percentile=100, bound_weights=True)
        (scale,) = set(network.model.metadata["scales"]["neurons"])
        assert scale == pytest.approx(small_cnn().arrays["conv/kernel"].max())


class TestModelBased:
    def test_nothing_can_exceed_one(self, rng):
        network = snc.normalize(snc.convert(branched()), method="model")
        x = rng.integers(0, 2, (200, 8, 8, 2)).astype(np.float32)
        for name in ("a_neurons", "b_neurons", "c_neurons"):
            assert largest(network, x, name).max() <= 1 + 1e-6

    def test_the_bound_is_reached_by_one_layer(self):
        """Diehl et al. 2015, algorithm 1: the sum of a neuron's positive weights."""
        model = small_cnn()
        bound = upper_bounds(model, 0, 1)["neurons"]
        kernel, bias = model.arrays["conv/kernel"], model.arrays["conv/bias"]
        expected = np.maximum(np.maximum(kernel, 0).sum(axis=(0, 1, 2)) + bias, 0)
        assert np.allclose(bound, expected, rtol=1e-6)

    def test_input_range(self, rng):
        network = snc.normalize(snc.convert(small_cnn()), method="model", input_range=(-1, 1))
        x = rng.choice([-1.0, 1.0], (200, 6, 6, 2)).astype(np.float32)
        assert 0 < largest(network, x, "neurons").max() <= 1 + 1e-6


class TestBalance:
    @pytest.mark.parametrize("n_steps", [1, 2, 4])
    def test_threshold_has_the_least_error(self, n_steps, rng):
        values = rng.gamma(1, 1, (4000, 1))
        histogram = Histogram(1)
        histogram.add(values, np.array([0]))
        threshold = histogram.best_threshold(n_steps)[0]

        def error(t):
            return ((np.minimum(np.floor(values * n_steps / t + 0.5), n_steps) * t / n_steps - values) ** 2).mean()

        best = min(error(t) for t in np.linspace(0.1, values.max(), 500))
        assert error(threshold) <= 1.02 * best

    def test_fewer_steps_lower_thresholds(self, x):
        scales = [
            snc.normalize(snc.convert(small_cnn()), x, method="balance", n_steps=n).model.metadata["scales"]["neurons"]
            for n in (1, 4, 32)
        ]
        assert (np.diff(np.array(scales), axis=0) >= 0).all()

    def test_the_network_runs_for_this_number_of_steps(self, x):
        network = snc.normalize(snc.convert(small_cnn()), x, method="balance", n_steps=7)
        assert snc.evaluate(snc.to_spiking(network), x).n_steps == 7
        network = snc.normalize(snc.convert(small_cnn()), x, method="data")
        assert snc.evaluate(snc.to_spiking(network), x).n_steps == 30


class TestHardCases:
    def test_dead_and_constant_channels_survive(self, x):
        model = small_cnn()
        kernel, bias = model.arrays["conv/kernel"].copy(), np.array([-100.0, 5.0, 0.1])
        kernel[..., 1] = 0  # constant
        network = snc.convert(model.replace(arrays={"conv/kernel": kernel, "conv/bias": bias}))
        for options in ({}, {"per": "channel"}, {"method": "balance", "n_steps": 4}, {"method": "model"}):
            normalized = snc.normalize(network, x, **options)
            assert all(np.isfinite(array).all() for array in normalized.model.arrays.values())
            activity = largest(normalized, x, "neurons")
            assert (activity[..., 0] == 0).all()
            assert (activity[..., 1] > 0).all()
            before, after = (snc.rate_model(n).predict(x, verbose=0) for n in (network, normalized))
            assert np.array_equal(before.argmax(axis=1), after.argmax(axis=1))

    @pytest.mark.parametrize("method", ["data", "balance", "model"])
    def test_a_model_without_hidden_neurons(self, method, rng):
        model = make(specs.Input("image", shape=(5,)), specs.Dense("scores", "image", units=3))
        x = rng.random((20, 5), dtype=np.float32)
        network = snc.normalize(snc.convert(model), x, method=method, n_steps=4)
        before = snc.rate_model(snc.convert(model)).predict(x, verbose=0)
        after = snc.rate_model(network).predict(x, verbose=0)
        assert np.allclose(before, after, rtol=1e-5, atol=1e-6)

    def test_empty_batches_are_ignored(self, x):
        whole, parts = (snc.normalize(snc.convert(small_cnn()), data) for data in (x, [x[:0], x]))
        assert parts.model.metadata["scales"] == whole.model.metadata["scales"]

    def test_scales_are_removed_when_a_network_is_trained_again(self, x):
        model = snc.normalize(snc.convert(small_cnn()), x).model
        assert "scales" not in snc.build_trainable(model, nengo.RectifiedLinear()).model.metadata

    def test_whole_numbers_for_a_model_that_scales_them(self, rng):
        layers = tf.keras.layers
        keras = tf.keras.Sequential(
            [tf.keras.Input((6, 6, 1)), layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(3, activation="relu")]
        )
        x = rng.integers(0, 256, (20, 6, 6, 1), dtype=np.uint8)
        network = snc.normalize(snc.convert(keras), x)
        evaluation = snc.evaluate(network, x, np.zeros(20, int), n_steps=1)
        assert np.array_equal(evaluation.predictions, keras.predict(x, verbose=0).argmax(axis=1))
        with pytest.raises(snc.SettingsError, match="divide images by 255"):
            snc.normalize(snc.convert(small_cnn()), np.full((2, 6, 6, 2), 255))

    def test_all_dead(self, x):
        model = small_cnn()
        network = snc.convert(model.replace(arrays={"conv/bias": np.full(3, -100.0)}))
        assert np.isfinite(snc.normalize(network, x).model.arrays["scores/kernel"]).all()

    def test_an_image_that_is_added_to_activations_gets_a_scale(self, rng):
        model = make(
            specs.Input("image", shape=(6, 6, 2)),
            specs.Conv("conv", "image", filters=2, kernel_size=(3, 3), padding="same"),
            specs.Add("sum", ("conv", "image")),
            specs.Rectifier("neurons", "sum"),
            specs.Flatten("flat", "neurons"),
            specs.Dense("scores", "flat", units=3),
        )
        x = 10 * rng.random((30, 6, 6, 2), dtype=np.float32)
        network = snc.normalize(snc.convert(model), x, percentile=100)
        assert largest(network, x, "neurons").max() == pytest.approx(1, rel=1e-5)
        before = snc.rate_model(snc.convert(model)).predict(x, verbose=0)
        after = snc.rate_model(network).predict(x, verbose=0)
        assert np.allclose(before, after, rtol=1e-4, atol=1e-4)

    def test_spiking_networks_stay_spiking(self, x):
        network = snc.to_spiking(snc.normalize(snc.convert(small_cnn()), x), readout="spikes", seed=4)
        again = snc.normalize(network, x, percentile=90)
        assert again.settings == network.settings

    def test_the_network_is_not_changed(self, x):
        network = snc.convert(small_cnn())
        snc.normalize(network, x)
        assert "scales" not in network.model.metadata
        assert np.array_equal(network.model.arrays["conv/kernel"], small_cnn().arrays["conv/kernel"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "best"}, "method must be one of"),
        ({"x": None}, "method='data' needs calibration data"),
        ({"percentile": 0}, "percentile must be"),
        ({"percentile": 101}, "percentile must be"),
        ({"per": "neuron"}, "per must be one of"),
        ({"method": "balance", "n_steps": 0}, "n_steps must be a positive integer"),
        ({"method": "balance"}, "needs n_steps"),
        ({"batch_size": 0}, "batch_size must be a positive integer"),
        ({"method": "model", "input_range": (0, np.inf)}, "input_range must be"),
        ({"method": "model", "input_range": (1, 0)}, "input_range must be"),
        ({"x": np.zeros((2, 5, 5, 2))}, "x must have shape"),
        ({"x": iter(())}, "hold images, got none"),
        ({"x": np.full((2, 6, 6, 2), np.nan)}, "NaN"),
    ],
    ids=lambda value: value if isinstance(value, str) else ", ".join(value),
)
def test_bad_arguments(x, options, message):
    arguments = {"x": x, **options}
    with pytest.raises(snc.SettingsError, match=message):
        snc.normalize(snc.convert(small_cnn()), **arguments)


@pytest.mark.parametrize(
    ("options", "argument"), [({"x": None}, "x"), ({"x": 5}, "x"), ({"x": []}, "x"), ({"method": "balance"}, "n_steps")]
)
def test_errors_name_the_argument(x, options, argument):
    with pytest.raises(snc.SettingsError) as caught:
        snc.normalize(snc.convert(small_cnn()), **{"x": x, **options})
    assert caught.value.argument == argument


def test_other_networks_are_refused(x):
    for network in (small_cnn(), snc.build_trainable(small_cnn(), nengo.LIF(amplitude=0.01))):
        with pytest.raises(snc.SettingsError, match="network that convert made"):
            snc.normalize(network, x)
