import numpy as np
import pytest

import nengo_snnconv as snc
from nengo_snnconv.compat import tf
from nengo_snnconv.model.archive import read_arrays, write_arrays
from nengo_snnconv.training.cnn.augmentation import alternating_flips, flip_and_shift
from nengo_snnconv.training.cnn.options import CNNOptions
from nengo_snnconv.training.cnn.quantization import with_levels
from nengo_snnconv.training.cnn.trainer import CNNTrainer, lookahead_decay, relative_rate
from nengo_snnconv.training.cnn.whitening import REGULARIZATION, whitening_filters
from nengo_snnconv.training.precision import products_in


@pytest.fixture(scope="module")
def stripes():
    """Images of three classes: stripes along x, along y, and along the diagonal, in noise and at random phases."""
    rng = np.random.default_rng(0)
    y = np.arange(600) % 3
    grid = np.stack(np.meshgrid(np.arange(12), np.arange(12), indexing="ij"))
    direction = np.array([[0, 1], [1, 0], [0.7, 0.7]])[y]
    phase = rng.uniform(0, 2 * np.pi, (600, 1, 1))
    wave = np.sin(1.3 * np.einsum("nd,dhw->nhw", direction, grid) + phase)
    x = 0.5 + 0.2 * wave[..., None] * [1.0, 0.5, 0.2] + rng.normal(0, 0.1, (600, 12, 12, 3))
    return np.clip(x, 0, 1).astype(np.float32), y


def small_model(seed=0):
    tf.keras.utils.set_random_seed(seed)
    layers = tf.keras.layers
    return tf.keras.Sequential(
        [
            layers.Conv2D(24, 2, activation="relu", name="whitening", input_shape=(12, 12, 3)),
            layers.Conv2D(16, 3, use_bias=False, name="conv"),
            layers.MaxPooling2D(2),
            layers.BatchNormalization(momentum=0.6, name="norm"),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(3, name="dense"),
        ]
    )


def trained(stripes, model=None, **options):
    x, y = stripes
    settings = {"epochs": 3, "batch_size": 50, "flip": False, "shift": 1, "precision": "float32", **options}
    return snc.train_cnn(small_model() if model is None else model, x[:500], y[:500], **settings)


class TestTraining:
    def test_learns_and_converts(self, stripes):
        x, y = stripes
        model = trained(stripes, epochs=4, validation_data=(x[500:], y[500:]))
        history = model.history.history
        assert history["val_accuracy"][-1] > 0.9  # chance is 0.33
        assert history["loss"][-1] < history["loss"][0]
        assert {len(values) for values in history.values()} == {4}
        scores = model.predict(x[500:], verbose=0)
        assert (scores.argmax(axis=1) == y[500:]).mean() == pytest.approx(history["val_accuracy"][-1])
        network = snc.convert(model)
        assert np.allclose(snc.rate_model(network)(x[500:]), scores, rtol=1e-4, atol=1e-4)

    def test_the_given_model_keeps_its_weights(self, stripes):
        model = small_model()
        before = model.get_weights()
        trained(stripes, model, epochs=1)
        assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))

    def test_same_seed_same_weights(self, stripes):
        first, again, other = (trained(stripes, epochs=1, seed=seed).get_weights() for seed in (1, 1, 2))
        assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
        assert not np.array_equal(first[2], other[2])

    def test_whitening_layer(self, stripes):
        """Its kernel stays; its biases are trained in the first three epochs only."""
        kernel, bias = whitening_filters(stripes[0][:500], (2, 2))
        weights = trained(stripes, epochs=1).get_layer("whitening").get_weights()
        assert np.allclose(weights[0], kernel, atol=1e-5)
        assert not np.allclose(weights[1], bias, atol=1e-5)
        x, y = stripes
        model = small_model()
        options = CNNOptions(
            **dict.fromkeys(("learning_rate", "levels", "validation_data", "checkpoint", "progress", "on_epoch")),
            epochs=5,
            batch_size=50,
            weight_decay=0.0,
            label_smoothing=0.0,
            flip=False,
            shift=0,
            precision="float32",
            seed=0,
        )
        trainer = CNNTrainer(model, options, batches=1, peak_rate=0.05)
        before = model.get_layer("whitening").get_weights()
        changes = []
        for _ in range(4):  # epochs of one batch; Lookahead comes after the fifth
            trainer.step(x[:50], y[:50].astype(np.int32))
            after = model.get_layer("whitening").get_weights()
            assert np.array_equal(after[0], before[0])
            changes.append(np.abs(after[1] - before[1]).max())
            before = after
        assert min(changes[:3]) > 0
        # without gradients, only the momentum of the third epoch is left
        velocity = trainer.velocities[0].numpy()
        trainer.step(x[:50], y[:50].astype(np.int32))
        assert np.allclose(trainer.velocities[0].numpy(), 0.85 * velocity, rtol=1e-5)

    def test_first_step(self, stripes):
        """The first step of plain layers follows the equations of Nesterov momentum and weight decay."""
        x, y = (array[:50] for array in stripes)
        tf.keras.utils.set_random_seed(0)
        model = tf.keras.Sequential(
            [tf.keras.layers.Flatten(input_shape=(12, 12, 3)), tf.keras.layers.Dense(3, name="dense")]
        )
        kernel, bias = (array.astype(np.float64) for array in model.get_weights())
        result = snc.train_cnn(
            model, x, y, epochs=1, batch_size=50, flip=False, shift=0, learning_rate=0.1, precision="float32"
        )
        flat = x.reshape(50, -1).astype(np.float64)
        exponents = np.exp(flat @ kernel + bias)
        targets = 0.8 * np.eye(3)[y] + 0.2 / 3
        error = (exponents / exponents.sum(1, keepdims=True) - targets) / 50
        rate = 0.1 * 0.2  # the learning rate begins at a fifth of the largest
        # with velocity v = -rate * g, the weights move by 0.85 v - rate * g, and the result by a part of that
        rate *= 1.85 * (1 - lookahead_decay(1))
        expected = kernel - rate * (flat.T @ error + 0.00133 * kernel)
        assert np.allclose(result.get_weights()[0], expected, atol=1e-6)
        assert np.allclose(result.get_weights()[1], bias - rate * (error.sum(0) + 0.00133 * bias), atol=1e-6)

    def test_bfloat16(self, stripes):
        x, y = stripes
        before = tf.config.optimizer.get_experimental_options()
        model = trained(stripes, epochs=4, precision="bfloat16", validation_data=(x[500:], y[500:]))
        assert model.history.history["val_accuracy"][-1] > 0.9
        with products_in("bfloat16"):
            pass
        name = "auto_mixed_precision_onednn_bfloat16"
        assert tf.config.optimizer.get_experimental_options().get(name, False) == before.get(name, False)

    @pytest.mark.parametrize(("precision", "rounds"), [("float32", False), ("auto", True), ("bfloat16", True)])
    def test_only_float32_forbids_gpus_to_round(self, precision, rounds):
        rounds_now = tf.config.experimental.tensor_float_32_execution_enabled
        assert rounds_now()
        with products_in(precision):
            assert rounds_now() == rounds
        assert rounds_now()


class TestCheckpoints:
    def test_continues_exactly(self, stripes, tmp_path):
        path = tmp_path / "cnn.npz"

        def interrupt(epoch, values):
            if epoch == 2:
                raise KeyboardInterrupt

        with pytest.raises(snc.TrainingInterrupted, match="after 2 of 3 epochs; run it again") as caught:
            trained(stripes, checkpoint=path, on_epoch=interrupt)
        assert len(caught.value.network.history.history["loss"]) == 2
        epochs = []
        model = trained(stripes, checkpoint=path, on_epoch=lambda epoch, values: epochs.append(epoch))
        assert epochs == [3]
        whole = trained(stripes)
        assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), whole.get_weights(), strict=True))
        assert model.history.history["loss"] == whole.history.history["loss"]

    def test_of_another_training(self, stripes, tmp_path):
        trained(stripes, epochs=1, checkpoint=tmp_path / "cnn.npz")
        with pytest.raises(snc.SettingsError, match="different training: shift") as caught:
            trained(stripes, epochs=1, shift=0, checkpoint=tmp_path / "cnn.npz")
        assert caught.value.argument == "checkpoint"

    def test_damaged(self, stripes, tmp_path):
        path = tmp_path / "cnn.npz"
        trained(stripes, epochs=1, checkpoint=path)
        sections, arrays = read_arrays(path)
        del arrays["velocity/0"]
        write_arrays(path, {"cnn_training": sections["cnn_training"]}, arrays)
        with pytest.raises(snc.FileFormatError, match="is damaged"):
            trained(stripes, epochs=1, checkpoint=path)

    def test_other_files(self, stripes, tmp_path):
        path = tmp_path / "network.snn.npz"
        snc.save(snc.convert(small_model()), path)
        with pytest.raises(snc.SettingsError, match="not a checkpoint of train_cnn"):
            trained(stripes, checkpoint=path)


def test_bad_models(stripes):
    x, y = stripes
    layers = tf.keras.layers
    softmax = tf.keras.Sequential([layers.Flatten(input_shape=(12, 12, 3)), layers.Dense(3, activation="softmax")])
    with pytest.raises(snc.SettingsError, match="needs logits") as caught:
        snc.train_cnn(softmax, x, y)
    assert caught.value.argument == "model"
    with pytest.raises(snc.SettingsError, match="must be a Keras model"):
        snc.train_cnn("model.keras", x, y)
    gelu = tf.keras.Sequential([layers.Conv2D(3, 12, activation="gelu", input_shape=(12, 12, 3)), layers.Flatten()])
    with pytest.raises(snc.ConversionError):  # before the training, not after it
        snc.train_cnn(gelu, x, y)
    few = tf.keras.Sequential(
        [layers.Conv2D(8, 2, name="whitening", input_shape=(12, 12, 3)), layers.Flatten(), layers.Dense(3)]
    )
    with pytest.raises(snc.SettingsError, match="24 filters"):
        snc.train_cnn(few, x, y)


@pytest.mark.parametrize(
    ("name", "value"),
    [("epochs", 0), ("learning_rate", -1), ("label_smoothing", 1), ("shift", 12), ("precision", "half")],
)
def test_bad_arguments(stripes, name, value):
    with pytest.raises(snc.SettingsError) as caught:
        trained(stripes, **{name: value})
    assert caught.value.argument == name


def test_nan(stripes):
    with pytest.raises(snc.SettingsError, match="loss became NaN in epoch 1"):
        trained(stripes, learning_rate=1e30)


def test_whitened_outputs(rng):
    """On the patches from which they are made, outputs are uncorrelated, with variances v / (v + regularization)."""
    images = rng.random((200, 8, 8, 3)).astype(np.float32)
    images[..., 1] = 0.9 * images[..., 0] + 0.1 * images[..., 1]
    kernel, bias = whitening_filters(images, (2, 2))
    outputs = tf.nn.conv2d(images, kernel, 1, "VALID").numpy() + bias
    assert np.allclose(outputs[..., 12:], -outputs[..., :12], atol=1e-4)
    outputs = outputs[..., :12].reshape(-1, 12)
    covariance = outputs.T @ outputs / len(outputs)
    # the covariance v of patches of standardized images is at least 0.006 along each axis
    assert np.allclose(covariance, np.diag(np.diag(covariance)), atol=1e-3)
    assert (np.diag(covariance) > 1 - REGULARIZATION / 0.005).all()
    assert (np.diag(covariance) < 1).all()


def test_flips_alternate():
    even, odd, next_even = (alternating_flips(1000, epoch, seed=3) for epoch in (0, 1, 2))
    assert np.array_equal(even, ~odd)
    assert np.array_equal(even, next_even)
    assert 400 < even.sum() < 600


def test_flip_and_shift(rng):
    images = np.arange(2 * 4 * 5 * 1, dtype=np.float32).reshape(2, 4, 5, 1)
    assert np.array_equal(flip_and_shift(images, np.array([True, False]), 0)[0], images[0, :, ::-1])
    many = np.repeat(images[:1], 200, axis=0)
    shifted = flip_and_shift(many, np.zeros(200, bool), 1, rng)
    padded = np.pad(images[0], [(1, 1), (1, 1), (0, 0)], mode="reflect")
    windows = {padded[dy : dy + 4, dx : dx + 5].tobytes() for dy in range(3) for dx in range(3)}
    assert {image.tobytes() for image in shifted} == windows


def test_schedules():
    assert [relative_rate(progress) for progress in (0, 0.23, 1)] == [0.2, 1, pytest.approx(0.07)]
    assert lookahead_decay(0) == 0
    assert lookahead_decay(1) == pytest.approx(0.95**5)


class TestLevels:
    """Fine-tuning with QCFS layers in place of rectifiers."""

    def test_fine_tunes_a_trained_model(self, stripes):
        x, y = stripes
        relu = trained(stripes, epochs=4)
        model = trained(stripes, relu, epochs=2, levels=1)
        assert [layer.name for layer in model.layers if isinstance(layer, snc.QCFS)] == [
            "whitening_qcfs",
            relu.layers[4].name,
        ]
        kernels = [m.get_layer("whitening").kernel for m in (model, relu)]
        assert np.allclose(*kernels, rtol=1e-5)
        snn = snc.to_spiking(snc.convert(model), snc.SignedIntegrateAndFire())
        evaluation = snc.evaluate(snn, x[500:], y[500:], n_steps=1)
        assert evaluation.ann_accuracy > 0.9
        # one step with one level is exact
        assert np.array_equal(evaluation.predictions, evaluation.ann_predictions)

    def test_further_training_keeps_whitening_filters(self, stripes):
        first = trained(stripes, epochs=1)
        again = trained(tuple(array[:300] for array in stripes), first, epochs=1)
        kernels = [model.get_layer("whitening").get_weights()[0] for model in (first, again)]
        assert np.allclose(*kernels, rtol=1e-5)

    def test_interruption_resumes_to_the_same_weights(self, stripes, tmp_path):
        relu, path = trained(stripes, epochs=1), tmp_path / "checkpoint.npz"
        whole = trained(stripes, relu, epochs=2, levels=2)

        def stop(epoch, values):
            raise KeyboardInterrupt

        with pytest.raises(snc.TrainingInterrupted):
            trained(stripes, relu, epochs=2, levels=2, checkpoint=path, on_epoch=stop)
        resumed = trained(stripes, relu, epochs=2, levels=2, checkpoint=path)
        assert all(map(np.array_equal, whole.get_weights(), resumed.get_weights()))
        with pytest.raises(snc.SettingsError, match="layers"):
            trained(stripes, relu, epochs=2, levels=3, checkpoint=path)

    @pytest.mark.parametrize("n_levels", [1, 4])
    def test_initial_thresholds_have_the_least_error(self, stripes, n_levels):
        x, _ = stripes
        model = small_model()
        before = tf.keras.Model(model.inputs, model.get_layer("whitening").output)(x[:50]).numpy()
        threshold = with_levels(model, n_levels, x).get_layer("whitening_qcfs").threshold

        def error(scale):
            return np.mean((snc.QCFS(n_levels, scale)(before) - before) ** 2)

        best = min(error(scale) for scale in np.linspace(0.02, 1, 50) * before.max())
        assert error(float(threshold)) <= 1.1 * best

    def test_all_forms_of_rectifiers(self):
        layers = tf.keras.layers
        image = tf.keras.Input((6, 6, 2))
        shared = layers.Conv2D(4, 3, padding="same", activation="relu", name="conv")
        x = layers.Conv2D(2, 1, name="first")(image)
        x = shared(layers.ReLU(name="layer")(x)) if x.shape[-1] == 2 else x
        x = layers.Activation("relu", name="activation")(layers.Conv2D(4, 1, name="second")(x))
        x = tf.nn.relu(layers.Conv2D(4, 1, name="third")(x))
        x = layers.Add()([x, layers.ReLU(6.0, name="six")(layers.Conv2D(4, 1, name="fourth")(x))])
        model = tf.keras.Model(image, layers.Dense(3)(layers.Flatten()(x)))
        images = np.random.default_rng(0).random((8, 6, 6, 2)).astype(np.float32)
        fine = with_levels(model, 1000, images)
        assert sum(isinstance(layer, snc.QCFS) for layer in fine.layers) == 5
        # with many levels, only clipping remains
        assert np.allclose(fine(images), model(images), atol=0.05)
        again = with_levels(fine, 3, images)
        kept = [(layer.levels, float(layer.threshold)) for layer in again.layers if isinstance(layer, snc.QCFS)]
        assert kept == [(3, float(layer.threshold)) for layer in fine.layers if isinstance(layer, snc.QCFS)]

    def test_refuses_models_without_rectifiers_and_nested_ones(self, stripes):
        layers = tf.keras.layers
        flat = [layers.Flatten(input_shape=(12, 12, 3)), layers.Dense(3)]
        for model, reason in ((tf.keras.Sequential(flat), "rectifiers"), (nested_model(), "nested")):
            with pytest.raises(snc.SettingsError, match=reason):
                trained(stripes, model, levels=4)


def nested_model():
    inner = tf.keras.Sequential([tf.keras.layers.Conv2D(4, 3, activation="relu", input_shape=(12, 12, 3))])
    return tf.keras.Sequential([inner, tf.keras.layers.Flatten(), tf.keras.layers.Dense(3)])
