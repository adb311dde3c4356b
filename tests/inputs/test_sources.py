"""Data of any form give the same result as the arrays that they hold."""

import dataclasses

import keras
import nengo
import numpy as np
import PIL.Image
import pytest
from models import small_cnn

import nengo_snnconv as snc
from nengo_snnconv.compat import tf
from nengo_snnconv.inputs import as_data, as_images, image_batches
from nengo_snnconv.model import Model

x = np.random.default_rng(0).random((30, 6, 6, 2)).astype(np.float32)
y = np.random.default_rng(1).integers(0, 4, 30)
MODEL = small_cnn()


class KerasSequence(keras.utils.PyDataset):
    def __len__(self):
        return 4

    def __getitem__(self, number):
        part = slice(8 * number, 8 * number + 8)
        return x[part], y[part]


class Endless:
    """Sequence whose iteration never ends, as of Keras' image iterators."""

    def __len__(self):
        return 3

    def __getitem__(self, number):
        return x[10 * number : 10 * number + 10], y[10 * number : 10 * number + 10]

    def __iter__(self):
        while True:
            yield from (self[number] for number in range(3))


class Tensor:
    """Tensor that must be detached and moved to the CPU first, as PyTorch's."""

    def __init__(self, values, ready=False):
        self.values, self.ready = values, ready

    def detach(self):
        return self

    def cpu(self):
        return Tensor(self.values, ready=True)

    def __array__(self, dtype=None, copy=None):
        if not self.ready:
            raise TypeError("can't convert a tensor that requires grad to NumPy")
        return self.values


class Loader:
    """Batches of lists of tensors, as of torch's DataLoader."""

    def __len__(self):
        return 3

    def __iter__(self):
        for first in range(0, 30, 10):
            yield [Tensor(x[first : first + 10]), Tensor(y[first : first + 10])]


class Rows:
    """Dicts of single pictures, as of Hugging Face's data sets."""

    def __len__(self):
        return 30

    def __getitem__(self, number):
        return {"image": x[number], "label": int(y[number])}


def of(*tensors):
    return tf.data.Dataset.from_tensor_slices(*tensors)


LABELED = {
    "tf.data of pairs": lambda: of((x, y)).batch(7),
    "tf.data of dicts": lambda: of({"image": x, "label": y}).batch(7),
    "tf.data of single pairs": lambda: of((x, y)),
    "tf.data in float64": lambda: of((x.astype(float), y)).batch(30),
    "Keras sequence": KerasSequence,
    "endless sequence": Endless,
    "torch loader": Loader,
    "rows": Rows,
    "generator": lambda: ((x[i : i + 4], y[i : i + 4]) for i in range(0, 30, 4)),
    "generator of single items": lambda: zip(x, y, strict=True),
    "without weights": lambda: [(x, y, None)],
    "list of pairs": lambda: [(x[:20], y[:20]), (x[20:], y[20:])],
    "pair": lambda: (x, y),
    "dict": lambda: {"images": x, "labels": y},
}
UNLABELED = {
    "tf.data": lambda: of(x).batch(7),
    "tf.data of single images": lambda: of(x),
    "tf.data of dicts": lambda: of({"pixel_values": x}).batch(7),
    "generator": lambda: (x[i : i + 4] for i in range(0, 30, 4)),
    "tensor": lambda: tf.constant(x),
}


@pytest.mark.parametrize("name", LABELED)
def test_sources_with_labels(name):
    inputs, labels = as_data(MODEL, LABELED[name]())
    np.testing.assert_array_equal(inputs.batch(slice(None)), x)
    np.testing.assert_array_equal(labels, y)
    batches = list(image_batches(MODEL, LABELED[name](), 9)[1])
    np.testing.assert_array_equal(np.concatenate(batches), x)
    assert max(map(len, batches)) <= 9


@pytest.mark.parametrize("name", UNLABELED)
def test_sources_without_labels(name):
    images, labels = as_images(MODEL, UNLABELED[name]())
    np.testing.assert_array_equal(images, x)
    assert labels is None
    np.testing.assert_array_equal(np.concatenate(list(image_batches(MODEL, UNLABELED[name](), 9)[1])), x)
    np.testing.assert_array_equal(as_images(MODEL, UNLABELED[name](), y)[1], y)


def test_a_stream_is_not_read_ahead():
    read = []

    def batches():
        for first in range(0, 30, 10):
            read.append(first)
            yield x[first : first + 10]

    stream = image_batches(MODEL, batches(), 5)[1]
    next(stream)
    assert read == [0]


def test_recordings_bring_their_labels():
    events = np.zeros(9, [("x", "u1"), ("y", "u1"), ("polarity", "?"), ("t", "u4")])
    recordings = snc.Recordings.of([events] * 3, [3, 1, 2], sensor=(6, 6))
    for source in (recordings, snc.EventFrames(recordings, 2)):
        np.testing.assert_array_equal(as_data(MODEL, source, n_steps=2)[1], [3, 1, 2])
        assert as_data(MODEL, source, [0, 0, 0], n_steps=2)[1] == [0, 0, 0]  # other classes may be given


def test_labels_given_twice_must_agree():
    one_hot = np.eye(4)[y]
    for given in (y, list(y), one_hot):
        assert as_data(MODEL, (x, y), given)[1] is given
    with pytest.raises(snc.SettingsError, match="leave y out") as caught:
        as_data(MODEL, of((x, y)).batch(7), y[::-1])
    assert caught.value.argument == "y"


def test_single_images_with_rows_of_labels():
    one_hot = np.eye(4)[y]
    for source in (of((x, one_hot)), list(zip(x, one_hot, strict=True)), of({"image": x, "label": one_hot})):
        images, labels = as_images(MODEL, source)
        np.testing.assert_array_equal(images, x)
        np.testing.assert_array_equal(labels, one_hot)


class TestFrames:
    frames = np.stack([x, x / 2], axis=1)

    def test_the_mean_calibrates(self):
        network = snc.convert(MODEL)
        expected = snc.normalize(network, self.frames.mean(axis=1)).model.metadata["scales"]
        for source in (self.frames, of((self.frames, y)).batch(7)):
            assert snc.normalize(network, source).model.metadata["scales"] == expected
        np.testing.assert_array_equal(as_images(MODEL, of((self.frames, y)), means=True)[0], self.frames.mean(axis=1))

    def test_single_frames_of_a_data_set(self):
        inputs, labels = as_data(MODEL, of((self.frames, y)))
        np.testing.assert_array_equal(inputs.batch(slice(None)), self.frames)
        assert inputs.n_steps == 2
        np.testing.assert_array_equal(labels, y)

    def test_calls_that_show_images_say_what_to_give(self):
        events = np.zeros(9, [("x", "u1"), ("y", "u1"), ("polarity", "?"), ("t", "u4")])
        recordings = snc.Recordings.of([events] * 3, [3, 1, 2], sensor=(6, 6))
        spiking = snc.to_spiking(snc.normalize(snc.convert(MODEL), x))
        for source, way_out in (
            (self.frames, self.frames.mean(axis=1)),
            (snc.EventFrames(recordings, 2), snc.EventFrames(recordings, 2).batch(slice(None)).mean(axis=1)),
            (recordings, recordings.frames(16).mean(axis=1)),
        ):
            with pytest.raises(snc.SettingsError, match=r"mean\(axis=1\)") as caught:
                snc.diagnose(spiking, source, y[: len(source)], n_steps=2)
            assert caught.value.argument == "x"
            way_out = way_out / max(1, way_out.max())  # numbers of events, for a network of images
            snc.diagnose(spiking, way_out, y[: len(source)], n_steps=2, try_remedies=False)


class TestChannelsFirst:
    model = MODEL.replace(metadata={"reading": [{"layer": "x", "class": "Input", "status": "exact", "became": []}]})

    def test_images_for_a_model_of_onnx(self):
        for source in (np.moveaxis(x, -1, 1), Loader(), [(np.moveaxis(x, -1, 1), y)], of(np.moveaxis(x, -1, 1))):
            np.testing.assert_array_equal(as_images(self.model, source)[0], x)

    def test_other_models_refuse_them_with_the_call(self):
        first = np.moveaxis(x, -1, 1)
        with pytest.raises(snc.SettingsError, match=r"x\.transpose\(0, 2, 3, 1\)"):
            as_images(MODEL, first)
        np.testing.assert_array_equal(as_images(MODEL, first.transpose(0, 2, 3, 1))[0], x)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (lambda: of((x, y)).batch(5).repeat(), r"x\.take\(100\)"),
        (lambda: iter(()), "read only once"),
        (lambda: of((x, y, y)).batch(5), "without weights"),
        (lambda: of({"picture": x, "kind": y}).batch(5), "'picture', 'kind'"),
        (lambda: [(x, y), (x, None)], "labels with some"),
        (lambda: [(x, y[:5])], "5 labels"),
        (lambda: iter([x[0], x[0, :5]]), r"\(6, 6, 2\)"),
        (lambda: zip([x[0], x[0, :5]], [0, 1], strict=True), "different shapes"),
        (lambda: of((255 * x).astype(np.uint8)).batch(5), "divide images by 255"),
        (lambda: of(x[..., 0]).batch(5), r"\(5, 6, 6\)"),
        (lambda: iter([np.full((1, 6, 6, 2), np.nan)]), "finite"),
        (lambda: range(5), "shape"),
        (lambda: iter([None]), "array of images"),
        (lambda: "images.npy", r"np\.load\('images.npy'\)"),
        (lambda: snc.load_dataset("digits", train=1, test=1), "x_test and y_test"),
        (lambda: x[0], r"x\[None\]"),
        (lambda: x[..., :1], r"x\.repeat\(2, axis=-1\)"),
        (lambda: x.reshape(30, 72), r"x\.reshape\(-1, 6, 6, 2\)"),
        (lambda: x[:, :5], r"tf\.image\.resize\(x, \(6, 6\)\)"),
    ],
)
def test_what_does_not_fit_is_one_sentence(source, message):
    for read in (as_data, as_images, lambda *given: list(image_batches(*given, 9)[1])):
        with pytest.raises(snc.SettingsError, match=message) as caught:
            read(MODEL, source())
        assert caught.value.argument == "x"
        assert "\n" not in str(caught.value)


def test_too_large_for_the_memory(monkeypatch):
    monkeypatch.setattr("nengo_snnconv._util.validation.values._total_memory", lambda: 5000)
    with pytest.raises(snc.SettingsError, match="mmap_mode"):
        as_data(MODEL, of((x, y)).batch(5).repeat(10**6))
    stream = image_batches(MODEL, of((x, y)).batch(5), 5)[1]
    assert len(list(stream)) == 6


def test_pictures_of_pillow():
    layers = [*MODEL.layers.values()]
    model = Model(
        [dataclasses.replace(layers[0], shape=(6, 6, 1)), *layers[1:]],
        {**MODEL.arrays, "conv/kernel": MODEL.arrays["conv/kernel"][:, :, :1]},
        metadata={"input_range": [0, 255]},
    )
    bytes_ = np.random.default_rng(0).integers(0, 256, (3, 6, 6), np.uint8)
    pictures = [(PIL.Image.fromarray(each), 1) for each in bytes_]
    images, labels = as_images(model, pictures)
    np.testing.assert_array_equal(images, bytes_[..., None])
    np.testing.assert_array_equal(labels, [1, 1, 1])


class TestFunctions:
    """Each public function gives the same result for a data set as for its arrays."""

    rates = snc.convert(MODEL)
    spiking = snc.to_spiking(snc.normalize(rates, x))

    @staticmethod
    def dataset():
        return of((x, y)).batch(7)

    def test_evaluate_sweep_and_record(self):
        expected = snc.evaluate(self.spiking, x, y, n_steps=4)
        for found in (
            snc.evaluate(self.spiking, self.dataset(), n_steps=4),
            snc.evaluate(self.spiking, self.dataset(), y, n_steps=4),
            snc.sweep(self.spiking, self.dataset(), n_steps=4, n_jobs=1).trials[0].evaluation,
        ):
            np.testing.assert_array_equal(found.scores, expected.scores)
            np.testing.assert_array_equal(found.accuracy, expected.accuracy)
        record = snc.record(self.spiking, self.dataset(), n_steps=4)
        np.testing.assert_array_equal(record.output, snc.record(self.spiking, x, n_steps=4).output)
        assert snc.profile(self.spiking, self.dataset(), n_steps=4).n_images == 30
        losses = [snc.nir_losses(self.spiking, each, n_steps=2).losses for each in (x, self.dataset())]
        assert losses[0] == losses[1]

    @pytest.mark.parametrize(
        "convert",
        [
            lambda self, x: snc.normalize(self.rates, x),
            lambda self, x: snc.to_ttfs(self.rates, x, n_steps=4),
            lambda self, x: snc.calibrate(self.spiking, x, n_steps=2),
            lambda self, x: snc.quantize_weights(self.spiking, x),
        ],
        ids=["normalize", "to_ttfs", "calibrate", "quantize_weights"],
    )
    def test_conversion(self, convert):
        expected, found = convert(self, x).model, convert(self, self.dataset()).model
        assert found.metadata == expected.metadata
        for name, array in expected.arrays.items():
            np.testing.assert_array_equal(found.arrays[name], array)

    def test_diagnose_and_threshold_errors(self):
        expected = snc.diagnose(self.spiking, x, y, n_steps=4, try_remedies=False)
        found = snc.diagnose(self.spiking, self.dataset(), n_steps=4, try_remedies=False, x_calibration=self.dataset())
        assert found.layers["neurons"].points == expected.layers["neurons"].points
        errors = [snc.threshold_errors(self.rates, each, n_steps=4).errors for each in (x, self.dataset())]
        np.testing.assert_array_equal(*errors)

    def test_tune(self):
        options = {"max_loss": 100, "max_steps": 4, "n_jobs": 1}
        expected = snc.tune(self.spiking, x, y, report_data=(x, y), **options)
        found = snc.tune(self.spiking, self.dataset(), report_data=self.dataset(), **options)
        assert (found.n_steps, found.loss_points) == (expected.n_steps, expected.loss_points)

    def test_train(self):
        network = snc.build_trainable(small_cnn(), nengo.RectifiedLinear())
        options = {"epochs": 1, "batch_size": 10}
        expected = snc.train(network, x, y, validation_data=(x, y), **options)
        found = snc.train(network, self.dataset(), validation_data=self.dataset(), **options)
        assert found.history["val_loss"] == expected.history["val_loss"]
        with pytest.raises(snc.SettingsError, match="pair") as caught:
            snc.train(network, x, y, validation_data=x, epochs=1)
        assert caught.value.argument == "validation_data"


def test_bytes_for_a_model_that_scales_them():
    keras_model = tf.keras.Sequential(
        [
            tf.keras.Input((6, 6, 2)),
            tf.keras.layers.Rescaling(1 / 255),
            tf.keras.layers.Flatten(),
            tf.keras.layers.Dense(4),
        ]
    )
    network = snc.convert(keras_model)
    pictures = np.rint(255 * x).astype(np.uint8)
    spiking = snc.to_spiking(snc.normalize(network, of(pictures).batch(7)))
    evaluation = snc.evaluate(spiking, of((pictures, y)).batch(7), n_steps=2)
    assert evaluation.ann_accuracy == (keras_model.predict(pictures, verbose=0).argmax(axis=1) == y).mean()
    with pytest.warns(snc.SnnConvWarning, match="255 \\* x"):
        snc.normalize(network, of(x).batch(7))
