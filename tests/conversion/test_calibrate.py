import nengo
import numpy as np
import pytest
import scipy.optimize

import nengo_snnconv as snc
from nengo_snnconv.conversion.calibrate import with_biases
from nengo_snnconv.conversion.layerwise import LayerwiseCalibration, order_of_corrections
from nengo_snnconv.conversion.one_sided_fit import one_sided_fit
from nengo_snnconv.conversion.spike_trains import SpikeTrains
from nengo_snnconv.conversion.threshold_search import ThresholdSearch
from nengo_snnconv.conversion.weight_fit import WeightFit
from nengo_snnconv.model import layers as specs
from nengo_snnconv.networks.keras_layers import keras_layer
from nengo_snnconv.passes import find_units, rescale

LAYERS = [
    (specs.Conv("c", "x", filters=4, kernel_size=(3, 2), padding="same"), (7, 6, 2)),
    (specs.Conv("c", "x", filters=4, kernel_size=(3, 3), strides=(2, 1), groups=2), (9, 8, 4)),
    (specs.Conv("c", "x", filters=6, kernel_size=(3, 3), padding="same", groups=3), (5, 5, 3)),
    (specs.Conv("c", "x", filters=3, kernel_size=(2, 2), dilation=(2, 3), padding="same"), (9, 9, 2)),
    (specs.Conv("c", "x", filters=3, kernel_size=(4,), strides=(3,), padding="same"), (20, 2)),
    (specs.Conv("c", "x", filters=2, kernel_size=(2, 2, 2)), (4, 4, 4, 2)),
    (specs.Dense("c", "x", units=5), (7,)),
    (specs.Dense("c", "x", units=5), (4, 7)),
    (specs.Affine("c", "x"), (4, 4, 3)),
]


def random_layer_arrays(layer, shape, rng):
    return {name: rng.normal(size=size).astype(np.float32) for name, size in layer.array_shapes(shape).items()}


class TestWeightFit:
    @pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=str)
    def test_finds_the_weights_that_made_the_targets(self, layer, shape, rng):
        old, true = random_layer_arrays(layer, shape, rng), random_layer_arrays(layer, shape, rng)
        fit = WeightFit(layer, old)
        for _ in range(3):
            x = rng.normal(size=(40, *shape)).astype(np.float32)
            fit.add(x, keras_layer(layer, true)(x).numpy(), 500, rng)
        for name, array in fit.solve(regularization=1e-9).items():
            assert np.allclose(array, true[name], atol=2e-3), name

    @pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=str)
    def test_strong_regularization_keeps_the_weights(self, layer, shape, rng):
        old = random_layer_arrays(layer, shape, rng)
        fit = WeightFit(layer, old)
        x = rng.normal(size=(40, *shape)).astype(np.float32)
        target = rng.normal(size=keras_layer(layer, old)(x).shape)
        fit.add(x, target, 10**6, rng)
        fitted = fit.solve(regularization=1e9)
        weights = next(name for name in fitted if name != "bias")
        assert np.allclose(fitted[weights], old[weights], atol=1e-5)
        # the bias still removes the mean error
        output = keras_layer(layer, fitted)(x).numpy()
        mean_error = (output - target).reshape(-1, target.shape[-1]).mean(axis=0)
        assert np.abs(mean_error).max() < 1e-4

    def test_ridge_regression(self, rng):
        """Against the closed form with all rows at once."""
        layer, (x, target) = specs.Dense("c", "x", units=2), (rng.normal(size=(50, 3)), rng.normal(size=(50, 2)))
        old = random_layer_arrays(layer, (3,), rng)
        fit = WeightFit(layer, old)
        fit.add(x[:20], target[:20], 100, rng)
        fit.add(x[20:], target[20:], 100, rng)
        centered, wanted = x - x.mean(0), target - target.mean(0)
        strength = 0.1 * np.trace(centered.T @ centered / 50) / 3
        system = centered.T @ centered / 50 + strength * np.eye(3)
        expected = np.linalg.solve(system, centered.T @ wanted / 50 + strength * old["kernel"])
        assert np.allclose(fit.solve(0.1)["kernel"], expected, atol=1e-5)

    def test_inputs_that_do_not_vary(self, rng):
        """Rounding errors of their variance, which is 0, made the matrix singular."""
        layer = specs.Dense("c", "x", units=2)
        old, x = random_layer_arrays(layer, (3,), rng), np.full((40, 3), [0, 0.3, 0.84448385], np.float32)
        fit = WeightFit(layer, old)
        for part in np.split(x, 4):
            fit.add(part, np.tile([0.1, 0.2], (10, 1)), 100, rng)
        for regularization in (None, 0):
            found = fit.solve(regularization)
            assert np.allclose(found["kernel"], old["kernel"], rtol=1e-6)
            assert np.allclose(x[0] @ found["kernel"] + found["bias"], [0.1, 0.2], atol=1e-6)

    @pytest.mark.parametrize("offset", [0, 1, 1000])
    def test_inputs_that_depend_on_each_other(self, offset, rng):
        layer = specs.Dense("c", "x", units=2)
        old, true = (random_layer_arrays(layer, (6,), rng) for _ in range(2))
        x = np.repeat(rng.normal(size=(400, 3)), 2, axis=1).astype(np.float32) + np.float32(offset)
        fit = WeightFit(layer, old)
        fit.add(x[:150], x[:150] @ true["kernel"], 400, rng)
        fit.add(x[150:], x[150:] @ true["kernel"], 400, rng)
        found = fit.solve(0)
        error = x @ found["kernel"] + found["bias"] - x @ true["kernel"]
        assert np.abs(error).max() < 1e-3 * max(1, offset / 100)

    def test_cross_validation(self, rng):
        """Strong regularization for noise, weak regularization for targets that other weights explain."""
        layer = specs.Dense("c", "x", units=4)
        old, true = (random_layer_arrays(layer, (30,), rng) for _ in range(2))
        x = rng.normal(size=(60, 30)).astype(np.float32)
        output = x @ old["kernel"] + old["bias"]
        noisy, clean = WeightFit(layer, old), WeightFit(layer, old)
        noisy.add(x, output + rng.normal(size=output.shape), 60, rng)
        clean.add(x, x @ true["kernel"], 60, rng)
        assert np.array_equal(noisy.solve()["kernel"], old["kernel"].astype(np.float64))
        fitted, half_way = clean.solve()["kernel"], (old["kernel"] + true["kernel"]) / 2
        assert np.abs(fitted - true["kernel"]).max() < 0.2 * np.abs(half_way - true["kernel"]).max()

    @pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=str)
    def test_outputs_that_are_low_enough_cost_nothing(self, layer, shape, rng):
        """Targets of a rectified layer are known only where it is active."""
        old, true = random_layer_arrays(layer, shape, rng), random_layer_arrays(layer, shape, rng)
        fit = WeightFit(layer, old)
        for _ in range(3):
            x = rng.normal(size=(60, *shape)).astype(np.float32)
            output = keras_layer(layer, true)(x).numpy()
            fit.add(x, np.maximum(output, 0), 500, rng, np.where(output > 0, np.nan, 0))
        x = rng.normal(size=(60, *shape)).astype(np.float32)
        expected = np.maximum(keras_layer(layer, true)(x).numpy(), 0)
        fitted = np.maximum(keras_layer(layer, fit.solve(regularization=1e-6))(x).numpy(), 0)
        assert np.mean((fitted - expected) ** 2) < 0.02 * np.mean(expected**2)


def one_sided_objective(parameters, x, target, free_below, old, pull):
    weights, bias = parameters[:-1].reshape(old.shape), parameters[-1:]
    output = x @ weights + bias
    errors = np.where(np.isnan(free_below), output - target, np.maximum(output - free_below, 0))
    return np.mean(errors**2) + pull * np.sum((weights - old) ** 2)


class TestOneSidedFit:
    @pytest.mark.parametrize("strength", [0.001, 0.1, 10])
    def test_smallest_error(self, rng, strength):
        """Against a general optimizer, for one output."""
        x = rng.normal(size=(80, 4)).astype(np.float32)
        old = rng.normal(size=(4, 1))
        target = (x @ old + rng.normal(size=(80, 1))).astype(np.float32)
        free_below = np.where(target > 0.3, np.nan, rng.normal(0.2, 0.5, size=target.shape)).astype(np.float32)
        pull = strength * np.trace(np.cov(x.T, bias=True)) / 4
        weights, bias = one_sided_fit(x, target, free_below, old, strength)
        arguments = x.astype(float), target.astype(float), free_below.astype(float), old, pull
        best = scipy.optimize.minimize(one_sided_objective, np.zeros(5), arguments, method="BFGS")
        plain = np.linalg.lstsq(np.c_[x, np.ones(80)], target, rcond=None)[0].ravel()
        found = one_sided_objective(np.append(weights, bias), *arguments)
        assert found <= best.fun * 1.01
        assert strength > 1 or found < 0.9 * one_sided_objective(plain, *arguments)

    def test_without_free_outputs_it_is_ridge_regression(self, rng):
        layer = specs.Dense("c", "x", units=2)
        x, target = rng.normal(size=(50, 3)).astype(np.float32), rng.normal(size=(50, 2)).astype(np.float32)
        old = random_layer_arrays(layer, (3,), rng)
        fit = WeightFit(layer, old)
        fit.add(x, target, 100, rng)
        expected = fit.solve(0.1)
        weights, bias = one_sided_fit(x, target, np.full_like(target, np.nan), old["kernel"], 0.1)
        assert np.allclose(weights, expected["kernel"], atol=1e-5)
        assert np.allclose(bias, expected["bias"], atol=1e-5)

    @pytest.mark.parametrize("inputs", ["equal in pairs", "constant", "more than rows"])
    def test_inputs_that_depend_on_each_other(self, rng, inputs):
        """The regression has many solutions then, and the smallest strength hardly chooses among them."""
        x = rng.random((50 if inputs == "more than rows" else 5000, 144)).astype(np.float32)
        if inputs == "equal in pairs":
            x[:, 72:] = x[:, :72]
        elif inputs == "constant":
            x[:] = 0.3
        target = (x @ rng.normal(size=(144, 2))).astype(np.float32)
        old, free_below = rng.normal(size=(144, 2)), np.full_like(target, np.nan)
        weights, bias = one_sided_fit(x, target, free_below, old, strength=1e-9)
        assert np.abs(x @ weights + bias - target).max() < 0.01
        assert np.isfinite(weights).all()

    def test_inputs_that_never_vary_keep_their_weights(self, rng):
        x = rng.random((5000, 20)).astype(np.float32)
        x[:, :10] = rng.uniform(10, 1000, size=10)
        true, old = rng.normal(size=(20, 2)), rng.normal(size=(20, 2))
        target = (x @ true).astype(np.float32)
        weights, _ = one_sided_fit(x, target, np.full_like(target, np.nan), old, strength=1e-3)
        assert np.allclose(weights[:10], old[:10], atol=1e-3)
        assert np.allclose(weights[10:], true[10:], atol=0.02)


def calibration_of(keras_model, x, n_steps=4):
    """Return the calibration of a network's layers, before the first."""
    network = snc.to_spiking(snc.normalize(snc.convert(keras_model), x), snc.SignedIntegrateAndFire())
    trains = SpikeTrains(with_biases(network.model), network.settings, x, n_steps)
    return LayerwiseCalibration(trains, 10, np.random.default_rng(0))


class TestOutputsThatAreLowEnough:
    @pytest.mark.parametrize(("pool_size", "strides"), [(2, 2), (3, 2), (2, 1)])
    @pytest.mark.parametrize("padding", ["valid", "same"])
    def test_they_do_not_change_the_maxima(self, rng, pool_size, strides, padding):
        """Every layer between the network's output and the values, with values drawn below the bounds."""
        from nengo_snnconv.compat import tf

        pooling = tf.keras.layers.MaxPooling2D(pool_size, strides, padding)
        conv = tf.keras.layers.Conv2D(4, 3, activation="relu")
        keras_model = tf.keras.Sequential([tf.keras.Input((9, 10, 2)), conv, pooling, tf.keras.layers.Flatten()])
        x = rng.normal(size=(10, 9, 10, 2)).astype(np.float32)
        calibration = calibration_of(keras_model, x)
        name = next(iter(calibration.model.layers.values())).name
        name = calibration.model.consumers(name)[0].name
        target = calibration.trains.activations(name, slice(0, 10))
        free_below = calibration._free_below(name, target, slice(0, 10))
        free = ~np.isnan(free_below)
        assert 0.5 < free.mean() < 1
        assert (target[free] <= free_below[free] + 1e-6).all()
        changed = np.where(free, free_below - rng.exponential(size=target.shape), target)
        expected = pooling(np.maximum(target, 0)).numpy()
        assert np.array_equal(pooling(np.maximum(changed, 0).astype(np.float32)).numpy(), expected)
        # and no other value is free: each of them alone changes a maximum
        for position in rng.permutation(np.argwhere(~free))[:20]:
            lower = target.copy()
            lower[tuple(position)] -= 1e-3
            assert not np.array_equal(pooling(np.maximum(lower, 0)).numpy(), expected)

    def test_a_sum_counts_as_a_whole(self, rng):
        """The last layer of a residual block may be so low that the sum is negative."""
        calibration = calibration_of(residual(), x := rng.uniform(size=(10, 8, 8, 3)).astype(np.float32))
        model, images = calibration.model, slice(0, len(x))
        (total,) = (name for name, layer in model.layers.items() if isinstance(layer, specs.Add))
        for name in calibration.order[: calibration.order.index(total)]:
            if isinstance(model.layers[name], specs.Rectifier):
                calibration.choose_thresholds(name)
        last = calibration.order[calibration.order.index(total) - 1]
        sums = calibration.trains.activations(total, images)
        target = calibration.trains.activations(last, images) + calibration._missing_in_sum(last, images)
        free_below = calibration._free_below(last, target, images)
        others = sums - target  # what the network receives from the shortcut
        inactive = sums <= 0
        assert np.allclose((free_below + others)[inactive], 0, atol=1e-5)
        assert inactive.mean() > 0.1

    def test_the_output_of_the_network_is_not_free(self, rng):
        calibration = calibration_of(residual(), rng.uniform(size=(10, 8, 8, 3)).astype(np.float32))
        name = calibration.model.output
        target = calibration.trains.activations(calibration.model.layers[name].inputs[0], slice(0, 10))
        assert calibration._free_below(name, target, slice(0, 10)) is None


def residual(seed=0, strides=(1, 1)):
    """Return a Keras model with a residual block, maxima and means."""
    from nengo_snnconv.compat import tf

    tf.keras.utils.set_random_seed(seed)
    layers = tf.keras.layers
    image = tf.keras.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(image)
    y = layers.Conv2D(8, 3, padding="same", activation="relu", strides=strides)(x)
    y = layers.Conv2D(8, 3, padding="same", use_bias=False)(y)
    x = layers.ReLU()(layers.Add()([y, x]))
    x = layers.MaxPooling2D(2)(x)
    x = layers.DepthwiseConv2D(3, padding="same", activation="relu")(x)
    x = layers.AveragePooling2D(2)(x)
    x = layers.Dense(10)(layers.Flatten()(x))
    return tf.keras.Model(image, x)


def maxima_of_sums(shortcut):
    """Return a Keras model with maxima over sums, and a shortcut with weights that comes before the main path."""
    from nengo_snnconv.compat import tf

    tf.keras.utils.set_random_seed(0)
    layers = tf.keras.layers
    image = tf.keras.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(image)
    y = layers.MaxPooling2D(2)(layers.Conv2D(8, 3, padding="same")(x))
    if shortcut:
        y = layers.Add()([layers.Conv2D(8, 1, strides=2)(x), y])
    y = layers.Conv2D(8, 3, padding="same", activation="relu")(y)
    return tf.keras.Model(image, layers.Dense(10)(layers.Flatten()(y)))


def mean_errors(network, x, name):
    """Return the mean error of each channel of a layer, relative to the standard deviation of the ANN's activations."""
    trains = SpikeTrains(network.model, network.settings, x, 4)
    for neurons in network.model.neurons:
        trains.simulate(neurons, np.ones(network.model.shapes[neurons][-1]), 100)
    everything, ann = slice(None), SpikeTrains(network.model.ann, network.settings, x, 4)
    found, wanted = trains.mean_activity(name, everything), ann.activations(name, everything)
    axes = tuple(range(wanted.ndim - 1))
    return (found - wanted).mean(axis=axes) / wanted.std(axis=axes)


@pytest.fixture(scope="module")
def images():
    """Images with large patches, so that class scores differ between images."""
    patches = np.random.default_rng(0).random((400, 2, 2, 3))
    return np.kron(patches, np.ones((1, 4, 4, 1))).astype(np.float32)


def spiking(keras, images, n_steps, neuron_type=None):
    network = snc.normalize(snc.convert(keras), images, method="balance", n_steps=n_steps)
    return snc.to_spiking(network, neuron_type or snc.SignedIntegrateAndFire())


def relative_error(network, x, n_steps):
    """Return the root mean square error of the class scores, relative to their standard deviation."""
    scores = snc.record(network, x, n_steps=n_steps).filtered[:, -1]
    ann = snc.rate_model(network).predict(x, verbose=0)
    return np.sqrt(np.mean((scores - ann) ** 2)) / ann.std(axis=0).mean()


NEURON_TYPES = [
    snc.SignedIntegrateAndFire(),
    snc.SignedIntegrateAndFire(max_spikes=4),
    snc.IntegrateAndFire(),
    snc.IntegrateAndFire(reset="zero"),
    nengo.LIF(min_voltage=-5),
]


class TestSpikeTrains:
    @pytest.mark.parametrize("neuron_type", NEURON_TYPES[:4], ids=str)
    def test_equal_to_a_simulation(self, neuron_type, images):
        model = snc.as_model(residual())
        arrays = {name: np.round(array * 64) / 64 for name, array in model.arrays.items()}
        network = snc.to_spiking(snc.normalize(snc.convert(model.replace(arrays=arrays)), images), neuron_type)
        arrays = {name: np.round(array * 256) / 256 for name, array in network.model.arrays.items()}
        network = network.rebuild(network.model.replace(arrays=arrays))
        x = np.round(images[:10] * 16) / 16
        record = snc.record(network, x, n_steps=5, dt=0.001)
        trains = SpikeTrains(network.model, network.settings, x, 5)
        for name in network.model.neurons:
            channels = network.model.shapes[name][-1]
            trains.simulate(name, np.ones(channels), 4)
            spikes = record.spikes[name].reshape(10, 5, *network.model.shapes[name])
            assert spikes.any()
            assert np.array_equal(np.moveaxis(trains._spikes[name], 0, 1), spikes), name
        scores = trains.mean_activity(network.model.output, slice(None)) * network.model.output_scale
        assert np.allclose(scores, record.filtered[:, -1], atol=1e-4)


class TestThresholdSearch:
    """Neurons that run for a step: they spike if the current reaches half of the threshold."""

    @pytest.fixture
    def search(self, images, rng):
        snn = spiking(residual(), images[:20], 1)
        trains = SpikeTrains(snn.model, snn.settings, images[:2], 1)

        def make(currents, activations, refit=True):
            channels = np.arange(activations.shape[-1])
            return ThresholdSearch(trains, snn.model.neurons[0], currents[None], activations, channels, refit)

        return make

    def test_errors_after_a_fit(self, search, rng):
        """Against a straight line through outputs and activations; windows count with their maximum."""
        activations = rng.random((200, 4, 2), np.float32)
        currents = activations + rng.normal(scale=0.2, size=(200, 4, 2)).astype(np.float32)
        errors = search(currents, activations)._errors(np.array([0.8, 1.5]))
        for channel, (scale, error) in enumerate(zip((0.8, 1.5), errors, strict=True)):
            spikes = (currents[..., channel].max(axis=1) >= scale / 2).astype(float)
            target = activations[..., channel].max(axis=1)
            line = np.polynomial.Polynomial.fit(spikes, target, 1)
            assert error == pytest.approx(np.mean((line(spikes) - target) ** 2), rel=1e-4)

    def test_best_threshold(self, search, rng):
        """One spike tells most about activations from 0 to 1 if it means more than a half."""
        activations = rng.random((4000, 1, 1), np.float32)
        (scale,) = search(activations, activations).scales(1)
        assert 0.85 <= scale <= 1.15
        # without a fit, the height of the spike counts, too
        (lower,) = search(activations, activations, refit=False).scales(1)
        assert lower < scale


class TestCalibrate:
    @pytest.mark.parametrize("neuron_type", NEURON_TYPES, ids=str)
    def test_errors_fall(self, neuron_type, images):
        """On images that calibration has not seen."""
        snn = spiking(residual(), images[:300], 4, neuron_type)
        calibrated = snc.calibrate(snn, images[:300], n_steps=4)
        before, after = (relative_error(network, images[300:], 4) for network in (snn, calibrated))
        assert after < 0.9 * before

    def test_the_ann_stays(self, images):
        snn = spiking(residual(), images, 4)
        calibrated = snc.calibrate(snn, images, n_steps=4)
        keras = residual().predict(images, verbose=0)
        assert np.allclose(snc.rate_model(calibrated).predict(images, verbose=0), keras, rtol=1e-4, atol=1e-4)
        y = keras.argmax(axis=1)
        evaluation = snc.evaluate(calibrated, images, y)  # for the steps of the calibration
        assert (evaluation.ann_accuracy, evaluation.n_steps) == (1, 4)
        assert calibrated.model.metadata["calibration"]["n_steps"] == 4

    def test_all_back_ends_run_it(self, images):
        calibrated = snc.calibrate(spiking(residual(), images, 3), images, n_steps=3)
        runs = [snc.record(calibrated, images[:4], n_steps=3, backend=name) for name in ("fast", "nengo_dl", "nengo")]
        totals = [sum(np.abs(spikes).sum() for spikes in run.spikes.values()) for run in runs]
        assert totals == pytest.approx([totals[0]] * 3, rel=0.01)  # rounding may move a spike
        scores = [run.filtered[:, -1] for run in runs]
        assert all(np.allclose(others, scores[0], atol=0.1 * scores[0].std()) for others in scores)

    def test_thresholds_alone(self, images):
        """The first layer, whose input is constant, gets the thresholds with the smallest error; weights only scale."""
        keras = residual()
        snn = spiking(keras, images, 4, snc.IntegrateAndFire())
        calibrated = snc.calibrate(snn, images, n_steps=4, fit_weights=False)
        assert not calibrated.model.ann_arrays
        assert np.allclose(snc.rate_model(calibrated)(images), keras(images), atol=1e-4)
        name, errors = calibrated.model.neurons[0], []
        activations = snc.rate_model(snc.convert(keras), [name])(images).numpy()
        for factor in (0.8, 1, 1.25):
            units = find_units(calibrated.model, "channel")
            scales = np.ones(units.n_units)
            scales[np.unique(units.labels[name])] = factor
            model = rescale(calibrated.model, units, scales)
            rates = snc.record(calibrated.rebuild(model), images, n_steps=4).spikes[name].mean(axis=1)
            output = rates.reshape(activations.shape) * np.asarray(model.metadata["scales"][name])
            errors.append(np.mean((output - activations) ** 2))
        assert errors[1] < min(errors[0], errors[2])

    def test_same_arguments_same_network(self, images):
        snn = spiking(residual(), images, 2)
        one, other = (snc.calibrate(snn, images, n_steps=2, memory_mb=mb).model for mb in (500, 500))
        assert all(np.array_equal(one.arrays[name], other.arrays[name]) for name in one.arrays)

    def test_small_memory(self, images):
        snn = spiking(residual(), images, 2)
        one, other = (snc.calibrate(snn, images, n_steps=2, memory_mb=mb) for mb in (500, 0.5))
        assert relative_error(other, images, 2) == pytest.approx(relative_error(one, images, 2), rel=0.2)

    def test_saved_and_loaded(self, images, tmp_path):
        calibrated = snc.calibrate(spiking(residual(), images, 2), images, n_steps=2)
        snc.save(calibrated, tmp_path / "network.snn.npz")
        loaded = snc.load(tmp_path / "network.snn.npz")
        assert loaded.model.ann_arrays.keys() == calibrated.model.ann_arrays.keys()
        for network in (calibrated, loaded):
            assert relative_error(network, images, 2) == relative_error(calibrated, images, 2)
            assert np.allclose(snc.rate_model(network)(images), residual()(images), atol=1e-4)

    def test_layers_without_biases_get_them(self):
        model = with_biases(snc.as_model(residual()))
        assert all(layer.use_bias for layer in model.layers.values() if isinstance(layer, specs.Conv | specs.Dense))


class TestMaxima:
    """Maxima over sums, as in Xception: of values with errors, they are too large on average."""

    @pytest.mark.parametrize("shortcut", [False, True])
    def test_no_mean_error(self, shortcut, images):
        keras = maxima_of_sums(shortcut)
        snn = spiking(keras, images, 4)
        calibrated = snc.calibrate(snn, images, n_steps=4)
        kind = specs.Add if shortcut else specs.MaxPool
        (name,) = (layer.name for layer in snn.model.layers.values() if isinstance(layer, kind))
        before, after = (mean_errors(network, images, name) for network in (snn, calibrated))
        assert np.abs(after).max() < 0.02 * np.abs(before).max()

    def test_the_shortcut_with_weights_is_last(self):
        model = snc.as_model(maxima_of_sums(shortcut=True))
        order = order_of_corrections(model)
        assert sorted(order) == sorted(model.layers)
        for layer in model.layers.values():
            assert all(order.index(source) < order.index(layer.name) for source in layer.inputs)
        (sum_,) = (layer for layer in model.layers.values() if isinstance(layer, specs.Add))
        last = model.layers[order[order.index(sum_.name) - 1]]
        assert isinstance(last, specs.Conv)
        assert last.kernel_size == (1, 1)


class TestErrors:
    @pytest.mark.parametrize("function", ["normalize", "calibrate", "convert", "diagnose", "error_bounds"])
    def test_of_calibrated_networks(self, function, images):
        calibrated = snc.calibrate(spiking(residual(), images, 2), images, n_steps=2)
        call = {
            "normalize": lambda: snc.normalize(calibrated, images),
            "calibrate": lambda: snc.calibrate(calibrated, images, n_steps=2),
            "convert": lambda: snc.convert(calibrated),
            "diagnose": lambda: snc.diagnose(calibrated, images, np.zeros(400, int)),
            "error_bounds": lambda: snc.error_bounds(calibrated, n_steps=2),
        }[function]
        with pytest.raises(snc.ConversionError, match="calibrate(, quantize_weights)? or train changed"):
            call()

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"input_coding": "poisson"}, "constant input"),
            ({"synapse": 0.005}, "synapse=None"),
            ({"neuron_type": nengo.PoissonSpiking(nengo.RectifiedLinear(), amplitude=0.001)}, "does not support"),
        ],
    )
    def test_of_other_networks(self, options, message, images):
        network = snc.normalize(snc.convert(residual()), images)
        with pytest.raises(snc.ConversionError, match=message):
            snc.calibrate(snc.to_spiking(network, **options), images, n_steps=2)
        with pytest.raises(snc.ConversionError, match="call to_spiking first"):
            snc.calibrate(network, images, n_steps=2)

    @pytest.mark.parametrize(
        ("name", "value"), [("n_steps", 0), ("regularization", -1), ("fit_weights", 2), ("dt", 0), ("x", np.zeros(3))]
    )
    def test_of_arguments(self, name, value, images):
        snn = spiking(residual(), images, 2)
        with pytest.raises(snc.SettingsError) as caught:
            snc.calibrate(**{"network": snn, "x": images, "n_steps": 2, name: value})
        assert caught.value.argument == name
