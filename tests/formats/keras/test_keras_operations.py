"""Operations in functional models (slices, clipping, maxima, preprocessing), compared with Keras."""

import functools
import importlib
import warnings

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies
from keras_comparison import LIBRARIES, check_close, check_equal, forward, randomise

import nengo_snnconv as snc
from nengo_snnconv.compat import keras3, tf, version_of
from nengo_snnconv.formats.keras import inspect_keras
from nengo_snnconv.model import layers as specs


@pytest.fixture(params=LIBRARIES)
def keras(request):
    """Library that creates the models."""
    return LIBRARIES[request.param]


def functions(k):
    """Return the functions (clip, maximum, minimum, absolute, stack, reverse, cast) of a library."""
    if k is tf.keras:
        return tf.clip_by_value, tf.maximum, tf.minimum, tf.abs, tf.stack, tf.reverse, tf.cast
    ops = k.ops

    def flip(x, axes):
        """Flip all axes in one call; before version 3.13, Keras flips one axis at a time."""
        axes = axes if version_of("keras") < (3, 13) else [axes]
        return functools.reduce(ops.flip, axes, x)

    return ops.clip, ops.maximum, ops.minimum, ops.absolute, ops.stack, flip, ops.cast


CHANNELS = np.array([0.5, -1.0, 0.0, 2.0], np.float32)
OPERATIONS = {
    "clip from 0": lambda f, x, y: f[0](x, 0, 1),
    "clip": lambda f, x, y: f[0](x, -0.5, 1.5),
    "clip below 0": lambda f, x, y: f[0](x, -2.0, -0.25),
    "maximum": lambda f, x, y: f[1](x, y),
    "minimum": lambda f, x, y: f[2](x, y),
    "maximum of a number": lambda f, x, y: f[1](x, 0.5),
    "maximum of 0": lambda f, x, y: f[1](0.0, x),
    "minimum of a number": lambda f, x, y: f[2](-0.25, x),
    "maximum of channels": lambda f, x, y: f[1](x, CHANNELS),
    "minimum of channels": lambda f, x, y: f[2](x, CHANNELS),
    "absolute": lambda f, x, y: f[3](x),
    "stack": lambda f, x, y: f[4]([x, y, x], 1),
    "stack at the end": lambda f, x, y: f[4]([x, y], -1),
    "reverse": lambda f, x, y: f[5](x, [2]),
    "reverse both": lambda f, x, y: f[5](x, [1, -1]),
    "cast": lambda f, x, y: f[6](x, "float32") + y,
    "vector of the first axis": lambda f, x, y: x * np.arange(5, dtype=np.float32)[:, None] + y,
    "batch of one": lambda f, x, y: x + np.arange(4, dtype=np.float32)[None, None],
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_operations(keras, operation, rng):
    image = keras.Input((5, 4))
    outcome = OPERATIONS[operation](functions(keras), image, keras.layers.Dense(4)(image))
    check_equal(keras.Model(image, keras.layers.Dense(3)(outcome)), rng)


@pytest.mark.parametrize("kind", ["Maximum", "Minimum"])
@pytest.mark.parametrize("n", [2, 3])
def test_maximum_and_minimum_layers(keras, kind, n, rng):
    image = keras.Input((6, 5, 3))
    branches = [keras.layers.Conv2D(2, 3)(image) for _ in range(n)]
    assert check_equal(keras.Model(image, getattr(keras.layers, kind)(name="l")(branches)), rng).output == "l"


def test_exchanged_bounds_are_refused(keras):
    image = keras.Input((4,))
    model = keras.Model(image, functions(keras)[0](image, 1, 0))
    with pytest.raises(snc.ConversionError, match=r"bounds 1\.0 and 0\.0") as caught:
        snc.as_model(model)
    assert caught.value.layer == inspect_keras(model)[1]["layer"]


SLICES = {
    "reversed": np.s_[..., ::-1],
    "channels": np.s_[..., 1:3],
    "one channel": np.s_[..., 2],
    "last channel": np.s_[..., -1],
    "two indices": np.s_[..., 0, 1],
    "crop": np.s_[:, 1:-1, :4],
    "every second": np.s_[:, ::2, 1::2],
    "every second channel": np.s_[:, :, :, ::2],
    "backwards": np.s_[:, ::-2, 4:1:-1],
    "new axis": np.s_[:, :, None, 1],
    "all": np.s_[..., :],
}


@pytest.mark.parametrize("key", SLICES)
def test_slices(keras, key, rng):
    image = keras.Input((6, 5, 4))
    x = keras.layers.Conv2D(4, 1)(image)[SLICES[key]]
    check_equal(keras.Model(image, keras.layers.Dense(3)(x)), rng)


@hypothesis.settings(max_examples=20, deadline=None, derandomize=True)
@hypothesis.given(
    library=strategies.sampled_from([tf.keras, keras3]),
    shape=strategies.lists(strategies.integers(1, 5), min_size=1, max_size=4),
    data=strategies.data(),
)
def test_random_slices(library, shape, data):
    bounds = strategies.none() | strategies.integers(-4, 4)
    steps = strategies.none() | strategies.sampled_from([-2, -1, 1, 2])
    key = [slice(None)]
    for n in shape:
        index = strategies.integers(-n, n - 1)
        key.append(data.draw(index | strategies.builds(slice, bounds, bounds, steps)))
    expected = np.zeros((1, *shape))[tuple(key)]
    hypothesis.assume(expected.size > 0 and expected.ndim > 1)
    image = library.Input(tuple(shape))
    check_equal(library.Model(image, library.layers.Activation("linear")(image[tuple(key)])), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (np.s_[:, 1], "keep its axis"),
        (np.s_[1:, :], "takes items out of the batch"),
        (np.s_[0], "takes items out of the batch"),
    ],
)
def test_unsupported_slices(keras, key, message):
    image = keras.Input((4,))
    x = image[key]
    with pytest.raises(snc.ConversionError, match=message):
        snc.as_model(keras.Model(image, x))


def test_tensor_in_a_slice_is_refused():
    image, index = tf.keras.Input((4,)), tf.keras.Input((), dtype="int32")
    with pytest.raises(snc.ConversionError, match="is sliced by"):
        snc.as_model(tf.keras.Model([image, index], image[:, : index[0]]))


PREPROCESSING = {
    "caffe": ["vgg16", "vgg19", "resnet50"],
    "tf": ["mobilenet", "mobilenet_v2", "inception_v3", "inception_resnet_v2", "xception", "nasnet", "resnet_v2"],
    "torch": ["densenet"],
    "none": ["efficientnet", "efficientnet_v2", "mobilenet_v3", "convnext"],
}
APPLICATIONS = [name for names in PREPROCESSING.values() for name in names]


@pytest.mark.parametrize("application", APPLICATIONS)
def test_preprocessing_inside_a_model(keras, application, rng):
    image = keras.Input((8, 8, 3), name="image")
    x = getattr(keras.applications, application).preprocess_input(image)
    model = randomise(keras.Model(image, keras.layers.Conv2D(4, 3, activation="relu")(x)), rng)
    x = rng.uniform(0, 255, (3, 8, 8, 3)).astype(np.float32)
    read = snc.as_model(model)
    check_close(forward(read, x), model(x))
    assert {row["status"] for row in read.metadata["reading"]} == {"exact"}


@pytest.mark.parametrize("application", ["vgg16", "mobilenet", "densenet"])
def test_channels_first_preprocessing(keras, application, rng):
    image = keras.Input((3, 8, 8), name="image")
    x = getattr(keras.applications, application).preprocess_input(image, data_format="channels_first")
    model = keras.Model(image, keras.layers.ReLU()(x))
    read = snc.as_model(model)
    x = rng.uniform(0, 255, (3, 3, 8, 8)).astype(np.float32)
    # TensorFlow cannot add to the first channel on a CPU
    last = keras.Input((8, 8, 3))
    twin = keras.Model(last, getattr(keras.applications, application).preprocess_input(last))
    expected = np.moveaxis(np.maximum(twin(np.moveaxis(x, 1, -1)), 0), -1, 1)
    check_close(forward(read, x), expected)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("application", ["vgg16", "mobilenet", "densenet"])
def test_preprocessing_in_a_file(keras, application, suffix, tmp_path, rng):
    image = keras.Input((8, 8, 3), name="image")
    x = getattr(keras.applications, application).preprocess_input(image)
    model = randomise(keras.Model(image, keras.layers.Conv2D(4, 3)(x[:, 1:7])), rng)
    if (keras is keras3 and suffix == ".h5") or (keras is tf.keras and suffix == ".keras" and application == "vgg16"):
        pytest.skip("Keras cannot write or read this model")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # HDF5 is an old format
        model.save(tmp_path / f"model{suffix}")
    x = rng.uniform(0, 255, (3, 8, 8, 3)).astype(np.float32)
    check_close(forward(snc.as_model(tmp_path / f"model{suffix}"), x), model(x))


class TestLayersOfApplications:
    def application(self, keras, module):
        root = "tf_keras" if keras is tf.keras else "keras"
        return importlib.import_module(f"{root}.src.applications.{module}")

    def test_scale_of_inception_resnet_v2(self, keras, rng):
        image = keras.Input((5, 5, 3))
        branch = keras.layers.Conv2D(3, 1)(image)
        layer = self.application(keras, "inception_resnet_v2").CustomScaleLayer(0.17, name="l")
        assert check_equal(keras.Model(image, layer([image, branch])), rng).output == "l"

    def test_scale_of_convnext(self, keras, rng):
        module = self.application(keras, "convnext")
        image = keras.Input((5, 5, 3))
        x = module.StochasticDepth(0.1)(module.LayerScale(1e-6, 3)(image))
        model = check_equal(keras.Model(image, keras.layers.Conv2D(2, 1)(x)), rng)
        assert [type(layer) for layer in model.layers.values()] == [specs.Input, specs.Affine, specs.Conv]

    def test_custom_class_of_the_same_name_is_refused(self, keras):
        class CustomScaleLayer(keras.layers.Layer):
            def __init__(self, scale=1, **options):
                super().__init__(**options)
                self.scale = scale

            def get_config(self):
                return {**super().get_config(), "scale": self.scale}

            def call(self, inputs):
                return inputs[0] - self.scale * inputs[1]

        image = keras.Input((5,))
        with pytest.raises(snc.ConversionError, match=f"class of {__name__}") as caught:
            snc.as_model(keras.Model(image, CustomScaleLayer(0.5, name="l")([image, image])))
        assert caught.value.layer == "l"


class TestCrops:
    @pytest.mark.parametrize("size", [(5, 6), (4, 3), (6, 7)])
    def test_center_crop(self, keras, size, rng):
        layer = keras.layers.CenterCrop(*size, name="l")
        check_equal(keras.Sequential([keras.Input((6, 7, 2)), layer, keras.layers.Conv2D(2, 3)]), rng)

    def test_center_crop_of_small_images_is_refused(self, keras):
        with pytest.raises(snc.ConversionError, match="resizes images") as caught:
            snc.as_model(keras.Sequential([keras.Input((6, 7, 2)), keras.layers.CenterCrop(8, 7, name="l")]))
        assert caught.value.layer == "l"

    def test_random_crop(self, keras, rng):
        crop = keras.layers.RandomCrop
        check_equal(keras.Sequential([keras.Input((6, 7, 2)), crop(6, 7), keras.layers.Conv2D(2, 3)]), rng)
        with pytest.raises(snc.ConversionError, match="does not crop") as caught:
            snc.as_model(keras.Sequential([keras.Input((6, 7, 2)), crop(5, 5, name="l")]))
        assert caught.value.layer == "l"


class TestTensorFlowFunctionsAsActivations:
    @pytest.mark.parametrize("name", ["relu", "relu6", "leaky_relu", "identity"])
    def test_rectifiers(self, keras, name, rng):
        function = tf.identity if name == "identity" else getattr(tf.nn, name)
        layers = [keras.layers.Dense(4, activation=function), keras.layers.Dense(2)]
        check_equal(keras.Sequential([keras.Input((5,)), *layers]), rng)

    @pytest.mark.parametrize("name", ["softmax", "log_softmax"])
    def test_softmax(self, keras, name, rng):
        original = keras.Sequential([keras.Input((5,)), keras.layers.Dense(4, activation=getattr(tf.nn, name))])
        twin = keras.Sequential([keras.Input((5,)), keras.layers.Dense(4)])
        model = check_equal(original, rng, scores=twin)
        assert model.metadata["reading"][-1]["status"] == "approximated"

    def test_custom_function_of_the_same_name_is_refused(self, keras):
        def softmax_v2(x):
            return -x

        with pytest.raises(snc.ConversionError, match="activation of your own") as caught:
            layer = keras.layers.Dense(3, activation=softmax_v2, name="l")
            snc.as_model(keras.Sequential([keras.Input((5,)), layer]))
        assert caught.value.layer == "l"


def test_operations_in_a_spiking_network(rng):
    """Operations are turned into ordinary specs, so all later steps work."""
    make, ops = keras3.layers, keras3.ops
    image = keras3.Input((10, 10, 3))
    x = keras3.applications.vgg16.preprocess_input(image) / 128
    x = ops.clip(make.Conv2D(4, 3, padding="same")(x), -0.5, 1)
    x = ops.maximum(x, make.Conv2D(4, 1)(x))[:, ::2, 1::2]
    x = ops.minimum(ops.stack([ops.absolute(x), x], -1), 0.75)
    model = randomise(keras3.Model(image, make.Dense(3)(make.Flatten()(x))), rng)
    x = rng.uniform(0, 255, (20, 10, 10, 3)).astype(np.float32)
    network = snc.convert(model)
    check_close(np.asarray(snc.rate_model(network)(x)), model(x))
    spiking = snc.to_spiking(snc.normalize(network, x))
    classes = np.argmax(model(x), axis=1)
    evaluations = [snc.evaluate(spiking, x, classes, n_steps=40, backend=name) for name in ("fast", "nengo")]
    assert np.array_equal(evaluations[0].predictions, evaluations[1].predictions)
    assert evaluations[0].ann_accuracy == 1
    assert evaluations[0].accuracy[-1] > 0.8
