import numpy as np
import pytest

import nengo_snnconv as snc
from nengo_snnconv.compat import tf
from nengo_snnconv.neurons.qcfs import SMALLEST_THRESHOLD, quantized

layers = tf.keras.layers


def qcfs_cnn(levels=4):
    """Return a small CNN with a residual block, maxima and batch normalization, whose activations are QCFS."""
    tf.keras.utils.set_random_seed(0)
    image = tf.keras.Input((8, 8, 2))
    start = snc.QCFS(levels, 1.3, name="first")(layers.Conv2D(6, 3, padding="same", name="conv1")(image))
    x = snc.QCFS(levels, 0.7, name="inside")(layers.Conv2D(6, 3, padding="same", name="conv2")(start))
    x = layers.Conv2D(6, 3, padding="same", name="conv3")(x)
    x = snc.QCFS(levels, 1.1, name="sum")(layers.Add()([x, start]))
    x = layers.MaxPooling2D(2)(layers.Conv2D(5, 3, padding="same", name="conv4")(x))
    x = snc.QCFS(levels, 0.9, name="last")(layers.BatchNormalization()(x))
    x = layers.Dense(3, name="dense")(layers.Flatten()(layers.AveragePooling2D(2)(x)))
    return tf.keras.Model(image, x)


@pytest.fixture
def x():
    return np.random.default_rng(0).random((20, 8, 8, 2)).astype(np.float32)


class TestLayer:
    def test_values(self):
        inputs = np.array([[-1, 0.24, 0.26, 0.74, 0.76, 1.9, 2.1, 5]], np.float32)
        # steps of 0.5 up to 2, rounded to the nearest
        assert np.array_equal(snc.QCFS(4, 2.0)(inputs), [[0, 0, 0.5, 0.5, 1, 2, 2, 2]])
        assert np.array_equal(quantized(inputs / 2, 4) * 2, [[0, 0, 0.5, 0.5, 1, 2, 2, 2]])
        assert np.array_equal(quantized(inputs, None), np.maximum(inputs, 0))

    def test_is_the_mean_of_integrate_and_fire_neurons(self):
        current = np.linspace(-0.51, 1.5, 100).astype(np.float32)  # none on the border of two levels
        neurons, total = snc.IntegrateAndFire(), np.zeros(100, np.float32)
        voltage, output = np.full(100, 0.5, np.float32), np.zeros(100, np.float32)
        for _ in range(5):
            neurons.step(0.001, current, output, voltage)
            total += output
        assert np.allclose(total / 5, quantized(current, 5), atol=1e-6)

    def test_gradients_pass_rounding_and_train_the_threshold(self):
        layer, inputs = snc.QCFS(4, 2.0), tf.constant([[-1.0, 0.3, 1.9, 5.0]])
        layer(inputs)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            output = layer(inputs)
        to_input, to_threshold = tape.gradient(output, [inputs, layer.threshold])
        assert np.array_equal(to_input, [[0, 1, 1, 0]])
        # rounding error / threshold of the two in between, 1 of the one that is clipped
        expected = (0.5 - 0.3) / 2 + (2 - 1.9) / 2 + 1
        assert float(to_threshold) == pytest.approx(expected / np.sqrt(4 * 4), rel=1e-5)

    def test_threshold_stays_positive(self):
        layer = snc.QCFS(4)
        layer.build((None, 3))
        layer.threshold.assign(-1.0)
        assert np.allclose(layer(np.ones((1, 3), np.float32)), SMALLEST_THRESHOLD)


class TestConversion:
    def test_network_computes_the_model(self, x):
        model = qcfs_cnn()
        network = snc.convert(model)
        scores = model.predict(x, verbose=0)
        difference = np.abs(snc.rate_model(network).predict(x, verbose=0) - scores)
        assert np.quantile(difference, 0.9) < 1e-5 * np.abs(scores).max()  # rounding can move a value to the next level
        assert {layer.levels for layer in network.model.layers.values() if hasattr(layer, "levels")} == {4}

    def test_thresholds_are_folded_into_weights(self):
        layers_left = [type(layer).__name__ for layer in snc.convert(qcfs_cnn()).model.layers.values()]
        assert layers_left.count("Affine") == 1  # the identity shortcut

    @pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
    @pytest.mark.parametrize("ending", ["keras", "h5"])
    def test_files(self, x, tmp_path, ending):
        model = qcfs_cnn()
        model.save(tmp_path / f"model.{ending}")
        one, other = snc.convert(model).model, snc.convert(tmp_path / f"model.{ending}").model
        assert list(one.layers.values()) == list(other.layers.values())
        assert all(np.array_equal(one.arrays[name], other.arrays[name]) for name in one.arrays)
        snc.save(snc.convert(model), tmp_path / "network.snn.npz")
        assert snc.load(tmp_path / "network.snn.npz").model.layers == one.layers

    def test_normalize_keeps_trained_thresholds(self, x):
        network = snc.convert(qcfs_cnn())
        normalized = snc.normalize(network, x, method="balance", n_steps=4)
        scores = snc.rate_model(network).predict(x, verbose=0)
        assert np.allclose(snc.rate_model(normalized).predict(x, verbose=0), scores, rtol=1e-4, atol=1e-5)

    def test_first_layer_is_exact_with_as_many_steps_as_levels(self, x):
        network = snc.convert(qcfs_cnn())
        recording = snc.record(snc.to_spiking(network), x, n_steps=4)
        means = recording.spikes["first"].reshape(len(x), 4, -1).mean(axis=1)
        expected = snc.rate_model(network, ["first"]).predict(x, verbose=0)
        assert np.mean(means != expected.reshape(len(x), -1)) < 1e-3

    def test_refuses_a_negative_threshold(self):
        model = qcfs_cnn()
        model.get_layer("inside").threshold.assign(-1.0)
        with pytest.raises(snc.ConversionError, match="above 0"):
            snc.convert(model)

    def test_calibrate_corrects_the_network_towards_the_trained_one(self, x):
        snn = snc.to_spiking(snc.convert(qcfs_cnn()), snc.SignedIntegrateAndFire())
        calibrated = snc.calibrate(snn, x, n_steps=2)
        target = snc.rate_model(snn).predict(x, verbose=0)

        def error(network):
            return np.mean((snc.evaluate(network, x, np.zeros(len(x), int), n_steps=2).scores - target) ** 2)

        assert error(calibrated) < error(snn)
