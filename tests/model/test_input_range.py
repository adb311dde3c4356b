"""The range of pixels that a model was trained on, inferred from its first layers, and its use."""

import json
import warnings

import nengo
import numpy as np
import pytest

import nengo_snnconv as snc
from nengo_snnconv.cli import main, pixel_range
from nengo_snnconv.compat import tf
from nengo_snnconv.model.input_range import BYTES, UNIT, in_range, input_range, needed_range

layers = tf.keras.layers
MNIST_MEAN, MNIST_DEVIATION = 33.3, 78.6


def network_behind(*first, shape=(6, 6, 1)):
    """Return a converted network whose model begins with these layers."""
    keras = tf.keras.Sequential([tf.keras.Input(shape), *first, layers.Flatten(), layers.Dense(3, activation="relu")])
    return snc.convert(keras)


def normalization(mean, deviation):
    return layers.Normalization(axis=-1, mean=mean, variance=np.square(deviation))


@pytest.mark.parametrize(
    "first, shape, expected",
    [
        ([layers.Rescaling(1 / 255)], (6, 6, 1), BYTES),
        ([layers.Rescaling(1 / 256)], (6, 6, 1), BYTES),
        ([layers.Rescaling(1 / 127.5, offset=-1)], (6, 6, 3), BYTES),
        ([layers.Rescaling(1 / 255, offset=-0.5)], (6, 6, 1), BYTES),
        ([layers.Rescaling(1 / 255), normalization(0.13, 0.31)], (6, 6, 1), BYTES),
        ([layers.ZeroPadding2D(1), layers.Rescaling(1 / 255)], (6, 6, 1), BYTES),
        ([layers.Dropout(0.1), layers.Rescaling(1 / 255)], (6, 6, 1), BYTES),
        ([normalization(MNIST_MEAN, MNIST_DEVIATION)], (6, 6, 1), BYTES),
        ([normalization([123.7, 116.3, 103.5], [58.4, 57.1, 57.4])], (6, 6, 3), BYTES),
        ([layers.Rescaling(1 / 16)], (8, 8, 1), (0, 16)),
        ([layers.Rescaling(1 / 100)], (10,), (0, 100)),
        ([layers.Rescaling(2, offset=-1)], (6, 6, 1), UNIT),
        ([layers.Rescaling(255)], (6, 6, 1), UNIT),
        ([layers.Rescaling(-1, offset=1)], (6, 6, 1), UNIT),
        ([normalization(0.13, 0.31)], (6, 6, 1), UNIT),
        ([normalization([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])], (6, 6, 3), UNIT),
        ([normalization(5.0, 6.0)], (8, 8, 1), None),
        ([normalization(-3.0, 1.0)], (6, 6, 1), None),
        ([normalization(40.0, 20.0)], (10,), None),
        ([layers.BatchNormalization()], (6, 6, 1), UNIT),
        ([layers.Conv2D(2, 3), layers.Rescaling(1 / 255)], (6, 6, 1), UNIT),
        ([], (6, 6, 1), UNIT),
    ],
)
def test_what_the_first_layers_tell(first, shape, expected, tmp_path):
    network = network_behind(*first, shape=shape)
    found = input_range(network.model)
    assert found == (expected if expected is None else pytest.approx(expected))
    snc.save(network, tmp_path / "network.npz")
    assert input_range(snc.load(tmp_path / "network.npz").model) == found
    if expected is None:
        with pytest.raises(snc.SettingsError, match="give input_range") as caught:
            snc.normalize(network, method="model")
        assert caught.value.argument == "input_range"
        snc.normalize(network, method="model", input_range=(0, 16))


def test_operations_tell_too():
    image = tf.keras.Input((6, 6, 1))
    keras = tf.keras.Model(image, layers.Dense(3)(layers.Flatten()(image / 127.5 - 1)))
    assert input_range(snc.convert(keras).model) == BYTES


def test_it_is_that_of_the_keras_model_in_every_network(digits):
    network = network_behind(layers.Rescaling(1 / 255), shape=(28, 28, 1))
    x = in_range(digits.x_train[:20], BYTES)
    for each in (
        snc.normalize(network, x),
        snc.to_spiking(snc.normalize(network, x)),
        snc.to_ttfs(network, x),
        snc.convert(snc.normalize(network, x)),
    ):
        assert input_range(each.model) == BYTES


def test_a_model_that_was_trained_by_us_is_for_what_it_was_trained_on(rng):
    """A first layer that scales does not indicate a range."""
    first = [tf.keras.Input((6, 6, 1)), layers.Rescaling(1 / 255)]
    keras = tf.keras.Sequential([*first, layers.Flatten(), layers.Dense(3)])
    network = snc.build_trainable(keras, nengo.RectifiedLinear())
    trained = snc.train(network, rng.random((20, 6, 6, 1)), np.zeros(20, int), epochs=1, progress=False)
    assert input_range(snc.convert(trained).model) == UNIT
    assert input_range(snc.convert(network).model) == BYTES


def test_bytes_are_whole_again():
    values = np.arange(256, dtype=np.uint8)
    assert np.array_equal(in_range(values.astype(np.float32) / np.float32(255), BYTES), values)
    assert np.allclose(in_range(np.array([0, 1], np.float32), (-1, 1)), [-1, 1])
    assert needed_range(network_behind().model, (2, 3)) == (2, 3)


def test_poisson_input_spikes_in_every_step_for_the_largest_pixel():
    for first, expected in (([layers.Rescaling(1 / 255)], 255), ([], 1), ([normalization(5.0, 6.0)], 1)):
        network = snc.normalize(network_behind(*first), np.ones((2, 6, 6, 1)))
        assert snc.to_spiking(network, input_coding="poisson").settings.input_threshold == expected
        assert snc.to_spiking(network).settings.input_threshold == 1
    poisson = snc.to_spiking(snc.normalize(network_behind(), np.ones((2, 6, 6, 1))), input_coding="poisson")
    with pytest.warns(snc.SnnConvWarning, match="^100 % of the input is outside the range from -1 to 1"):
        snc.evaluate(poisson, np.full((1, 6, 6, 1), 1.5), n_steps=1)


def test_images_far_outside_the_range_of_the_calibration(rng):
    x = rng.random((20, 6, 6, 1))
    converted = network_behind()
    network = snc.to_spiking(snc.normalize(converted, x))
    assert "calibration_range" not in converted.model.metadata
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        snc.evaluate(network, 1.9 * x, n_steps=1)
        snc.normalize(snc.normalize(converted, x), 255 * x)
    message = "x holds numbers from .* to 25.*, and the network was calibrated .* from .* to .*: divide"
    calibrated = snc.calibrate(network, x, n_steps=2)
    first_spikes = snc.to_ttfs(converted, 0.5 * x, n_steps=2, input_coding="constant")
    for use in (snc.evaluate, snc.record):
        for each, run in ((network, {"n_steps": 2}), (calibrated, {"n_steps": 2}), (first_spikes, {})):
            with pytest.warns(snc.SnnConvWarning, match=message):
                use(each, 255 * x, **run)
    with pytest.warns(snc.SnnConvWarning, match=message):
        snc.diagnose(network, 255 * x, n_steps=2, try_remedies=False)
    dark = snc.to_spiking(snc.normalize(converted, 255 * x))
    with pytest.warns(snc.SnnConvWarning, match="calibrated with numbers from .* to 25.*: multiply x by 255"):
        snc.evaluate(dark, x, n_steps=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        snc.evaluate(dark, 10 * x, n_steps=1)


@pytest.mark.parametrize("damaged", ["ab", [1], [0, "x"], [0, float("nan")], [1, 0], {}, 3])
def test_ranges_that_cannot_be(damaged):
    model = network_behind().model
    model = model.replace(metadata={**model.metadata, "input_range": damaged})
    with pytest.raises(snc.ModelError, match="input_range must be two"):
        input_range(model)


class TestBounds:
    def test_of_the_weights(self, rng):
        """The bound of ``method="model"`` holds for the pixel range of the model."""
        network = network_behind(layers.Rescaling(1 / 255))
        name = network.model.neurons[0]
        x = rng.integers(0, 256, (50, 6, 6, 1)).astype(np.float32)
        scaled = snc.normalize(network, method="model")
        largest = np.max(snc.rate_model(scaled, [name])(x))
        assert 0.02 < largest <= 1 + 1e-6
        other = snc.normalize(network, method="model", input_range=(0, 255))
        assert scaled.model.metadata["scales"] == other.model.metadata["scales"]

    def test_of_time_to_first_spike(self):
        network = network_behind(layers.Rescaling(1 / 255))
        snn = snc.to_ttfs(network, threshold="max")
        assert snn.settings.x_max == 255
        assert not snn.settings.signed
        with pytest.raises(snc.SettingsError, match="needs calibration data"):
            snc.to_ttfs(network_behind(), threshold="max")


class TestImagesOfAnotherRange:
    def calls(self, network, x):
        y = np.zeros(len(x), int)
        scaled = snc.normalize(network, in_range(x, BYTES) + 1)
        return (
            lambda: snc.normalize(network, x),
            lambda: snc.to_ttfs(network, x),
            lambda: snc.to_ttfs(network, x, threshold=2.0),
            lambda: snc.evaluate(snc.to_spiking(scaled), x, y, n_steps=2),
            lambda: snc.record(snc.to_spiking(scaled), x, n_steps=2),
            lambda: snc.sweep(snc.to_spiking(scaled), x, y, n_steps=2, progress=False),
        )

    def test_are_warned_of(self, rng):
        network, x = network_behind(layers.Rescaling(1 / 255)), rng.random((10, 6, 6, 1), dtype=np.float32)
        for call in self.calls(network, x):
            with pytest.warns(UserWarning, match="x holds numbers from 0 to 1, .* 255 \\* x") as caught:
                call()
            assert len(caught) == 1

    @pytest.mark.parametrize(
        "change",
        [
            lambda x: 255 * x,
            lambda x: np.zeros_like(x),
            lambda x: np.rint(x),  # black and white, as bytes of 0 and 1
            lambda x: -x,
            lambda x: (255 * x).astype(np.uint8),
        ],
    )
    def test_no_false_alarms(self, change, rng):
        network, x = network_behind(layers.Rescaling(1 / 255)), change(rng.random((10, 6, 6, 1), dtype=np.float32))
        for call in self.calls(network, x)[3:]:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                call()

    def test_nor_for_models_without_such_a_layer(self, rng):
        for first in ([], [layers.Rescaling(1 / 16)], [layers.Rescaling(2, offset=-1)]):
            snc.normalize(network_behind(*first), rng.random((10, 6, 6, 1), dtype=np.float32))


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Keras files of CNNs that were trained on bytes, {way of scaling: (path, accuracy)}."""
    data, folder, found = snc.load_dataset("digits", train=3000, test=200), tmp_path_factory.mktemp("models"), {}
    x = {UNIT: data.x_train, BYTES: in_range(data.x_train, BYTES)}
    test = {UNIT: data.x_test, BYTES: in_range(data.x_test, BYTES)}
    kinds = {
        "rescaling": ([layers.Rescaling(1 / 255)], BYTES),
        "normalization": ([normalization(MNIST_MEAN, MNIST_DEVIATION)], BYTES),
        "none": ([layers.BatchNormalization()], BYTES),
        "rescaling twice": ([layers.Rescaling(1 / 255), layers.Rescaling(255)], UNIT),
    }
    for name, (first, wanted) in kinds.items():
        tf.keras.utils.set_random_seed(0)
        keras = tf.keras.Sequential(
            [
                tf.keras.Input((28, 28, 1)),
                *first,
                layers.Conv2D(8, 5, strides=3, activation="relu"),
                layers.Flatten(),
                layers.Dense(10),
            ]
        )
        loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        keras.compile(tf.keras.optimizers.Adam(5e-3), loss, metrics=["accuracy"])
        keras.fit(x[wanted], data.y_train, epochs=4, batch_size=50, verbose=0)
        accuracy = keras.evaluate(test[wanted], data.y_test, verbose=0)[1]
        assert accuracy > 0.8, name
        keras.save(folder / f"{name}.keras")
        found[name] = folder / f"{name}.keras", accuracy
    return found


def run(capsys, *words):
    code = main([*map(str, words)])
    captured = capsys.readouterr()
    return code, captured.out, " ".join(captured.err.split())


class TestCommandLine:
    @pytest.mark.parametrize("kind", ["rescaling", "normalization"])
    def test_data_come_in_the_range_of_the_model(self, models, kind, tmp_path, capsys):
        source, accuracy = models[kind]
        output, figures = tmp_path / "snn.npz", tmp_path / "figures.json"
        size = ["--test-images", 200, "--json", figures]
        commands = [
            ["convert", source, output, "--steps", 40, "--calibration-images", 300, *size],
            ["convert", source, output, "--steps", 100, "--method", "balance", "--input", "poisson", *size],
            ["to-ttfs", source, output, "--calibration-images", 300, *size],
            ["evaluate", output, *size],
        ]
        for command in commands:
            code, out, _ = run(capsys, *command)
            assert code == 0
            assert "pixel range                0 to 255" in out
            found = json.loads(figures.read_text())
            assert found["ann_accuracy"] == pytest.approx(accuracy, abs=0.011)
            assert found["accuracy"][-1] > accuracy - 0.06, command

    def test_by_the_weights(self, models, tmp_path, capsys):
        source, accuracy = models["rescaling"]
        output = tmp_path / "snn.npz"
        assert run(capsys, "convert", source, output, "--method", "model", "--no-evaluate")[0] == 0
        data = snc.load_dataset("digits", train=1, test=200)
        evaluation = snc.evaluate(snc.load(output), in_range(data.x_test, BYTES), data.y_test, n_steps=150)
        assert evaluation.accuracy[-1] > accuracy - 0.06

    def test_tune_and_diagnose(self, models, tmp_path, capsys):
        source, _ = models["rescaling"]
        output = tmp_path / "snn.npz"
        few = ["--calibration-images", 200, "--test-images", 100]
        code, out, _ = run(capsys, "tune", source, output, "--max-loss", 3, "--steps", 24, *few)
        assert code == 0
        assert "0 to 255" in out
        code, out, _ = run(capsys, "diagnose", output, "--steps", 24, "--test-images", 100, "--max-loss", 5)
        assert code == 0
        assert "healthy" in out

    @pytest.mark.parametrize("command", ["convert", "to-ttfs", "tune"])
    def test_a_mismatch_that_only_accuracy_shows_is_an_error(self, models, command, tmp_path, capsys):
        """The model was trained on bytes without a scaling layer."""
        source, accuracy = models["none"]
        output, figures = tmp_path / "snn.npz", tmp_path / "figures.json"
        few = ["--calibration-images", 200, "--test-images", 100, "--json", figures]
        few += ["--max-loss", 20] if command == "tune" else []
        code, _, err = run(capsys, command, source, output, *few)
        assert code == 1
        assert "--input-range 0 255" in err
        assert not output.exists()
        code, out, err = run(capsys, command, source, output, *few, "--input-range", 0, 255)
        assert code == 0, err
        assert input_range(snc.load(output).model) == BYTES
        found = json.loads(figures.read_text())
        assert found.get("evaluation", found)["ann_accuracy"] > accuracy - 0.1

    def test_a_layer_that_says_what_is_not_so(self, models, tmp_path, capsys):
        """The model was trained on [0, 1] despite Rescaling(1 / 255), a common mistake."""
        source, accuracy = models["rescaling twice"]
        output, figures = tmp_path / "snn.npz", tmp_path / "figures.json"
        few = ["--calibration-images", 200, "--test-images", 100, "--json", figures]
        code, _, _ = run(capsys, "convert", source, output, *few)
        assert code == 0
        assert json.loads(figures.read_text())["ann_accuracy"] > accuracy - 0.1

    def test_a_range_that_cannot_be_told_is_asked_for(self, tmp_path, capsys):
        keras = tf.keras.Sequential(
            [tf.keras.Input((28, 28, 1)), normalization(5.0, 6.0), layers.Flatten(), layers.Dense(10)]
        )
        keras.save(tmp_path / "model.keras")
        for method in ("data", "model"):
            words = ["convert", tmp_path / "model.keras", tmp_path / "snn.npz", "--method", method, "--no-evaluate"]
            code, _, err = run(capsys, *words)
            assert code == 1
            assert "--input-range" in err
            assert run(capsys, *words, "--input-range", 0, 16)[0] == 0

    @pytest.mark.parametrize(
        ("accuracies", "refused"),
        [
            ({(0, 1): 0.14, (0, 255): 0.9, (-1, 1): 0.2}, "--input-range 0 255"),
            ({(0, 1): 0.45, (0, 255): 0.1, (-1, 1): 0.88}, "--input-range -1 1"),
            ({(0, 1): 0.45, (0, 255): 0.6, (-1, 1): 0.5}, None),
            ({(0, 1): 0.2, (0, 255): 0.4, (-1, 1): 0.4}, None),
        ],
    )
    def test_a_range_in_which_the_model_is_far_better_is_named(
        self, models, accuracies, refused, tmp_path, capsys, monkeypatch
    ):
        monkeypatch.setattr(pixel_range, "_skill", lambda network, x, y, wanted: accuracies[tuple(wanted)])
        few = ["--calibration-images", 100, "--test-images", 100, "--steps", 2]
        code, _, err = run(capsys, "convert", models["none"][0], tmp_path / "snn.npz", *few)
        assert (code == 1) == (refused is not None)
        assert (refused or "") in err

    def test_where_the_ann_guesses_there_is_a_note(self, tmp_path, capsys):
        tf.keras.utils.set_random_seed(1)
        hidden = layers.Dense(8, activation="relu")
        keras = tf.keras.Sequential([tf.keras.Input((28, 28, 1)), layers.Flatten(), hidden, layers.Dense(10)])
        keras.save(tmp_path / "model.keras")
        few = ["--calibration-images", 100, "--test-images", 100, "--steps", 5]
        code, out, _ = run(capsys, "convert", tmp_path / "model.keras", tmp_path / "snn.npz", *few)
        assert code == 0
        default, guess = "without --data, the data are the digits: name those of the ANN with --data", "than chance"
        assert default in out and "the ANN itself is hardly better than chance" in out
        code, out, _ = run(capsys, "diagnose", tmp_path / "snn.npz", "--test-images", 100, "--no-remedies")
        assert code == 0 and default in out
        digits = snc.load_dataset("digits", train=100, test=100)
        arrays = {
            "x_train": digits.x_train,
            "y_train": digits.y_train,
            "x_test": digits.x_test,
            "y_test": digits.y_test,
        }
        np.savez(tmp_path / "own.npz", **arrays)
        code, out, _ = run(capsys, "evaluate", tmp_path / "snn.npz", "--data", tmp_path / "own.npz", "--steps", 2)
        assert code == 0 and guess in out and "--data" not in out

    @pytest.mark.parametrize("values", [(1, 0), (0, 0), (0, "inf")])
    def test_ranges_that_cannot_be(self, models, values, tmp_path, capsys):
        with pytest.raises(SystemExit):
            main(["convert", str(models["none"][0]), str(tmp_path / "n.npz"), "--input-range", *map(str, values)])
        assert "--input-range" in capsys.readouterr().err

    def test_images_that_do_not_fit_are_said_to_be_so(self, tmp_path, capsys):
        keras = tf.keras.Sequential([tf.keras.Input((9, 9, 1)), layers.Flatten(), layers.Dense(10)])
        keras.save(tmp_path / "model.keras")
        for command in ("convert", "to-ttfs", "tune"):
            code, _, err = run(capsys, command, tmp_path / "model.keras", tmp_path / "snn.npz")
            assert code == 1
            assert "its images have shape (28, 28, 1), and the network takes (9, 9, 1)" in err

    def test_nengo_gui(self, models, tmp_path, capsys):
        source, _ = models["rescaling"]
        run(capsys, "convert", source, tmp_path / "snn.npz", "--no-evaluate")
        assert run(capsys, "gui", tmp_path / "snn.npz", "--write-script", tmp_path / "gui.py", "--examples", 1)[0] == 0
        text = (tmp_path / "gui.py").read_text()
        assert "GuiNetwork(network, 255.0 * data.x_test" in text
        words = ["gui", tmp_path / "snn.npz", "--write-script", tmp_path / "other.py", "--input-range", -1, 1]
        assert run(capsys, *words)[0] == 0
        assert "GuiNetwork(network, 2.0 * data.x_test + -1.0" in (tmp_path / "other.py").read_text()
        space = {}
        exec(text, space)  # noqa: S102 -- as Nengo GUI does
        assert space["model"].first_images.max() == pytest.approx(255)
