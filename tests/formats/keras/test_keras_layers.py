"""Each Keras layer, with the options that affect its output, compared with Keras."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies
from keras_comparison import LIBRARIES, check_close, check_equal, forward, randomise

import nengo_snnconv as snc
from nengo_snnconv.compat import keras3, tf
from nengo_snnconv.formats.keras import as_model
from nengo_snnconv.model import layers as specs


@pytest.fixture(params=LIBRARIES)
def keras(request):
    """Library that creates the models."""
    return LIBRARIES[request.param]


SHAPES = {0: (5,), 1: (9, 4), 2: (7, 8, 4), 3: (5, 6, 4, 4)}

# number of spatial axes, class, arguments
CASES = [
    (1, "Conv1D", {"filters": 3, "kernel_size": 3, "strides": 2, "padding": "same"}),
    (1, "Conv1D", {"filters": 3, "kernel_size": 3, "padding": "causal"}),
    (1, "Conv1D", {"filters": 3, "kernel_size": 2, "padding": "causal", "dilation_rate": 3, "activation": "relu"}),
    (1, "Conv1D", {"filters": 3, "kernel_size": 3, "padding": "causal", "strides": 2, "use_bias": False}),
    (2, "Conv2D", {"filters": 6, "kernel_size": (3, 2), "groups": 2, "dilation_rate": 2}),
    (2, "Conv2D", {"filters": 6, "kernel_size": 3, "strides": 2, "use_bias": False, "activation": "relu6"}),
    (3, "Conv3D", {"filters": 3, "kernel_size": 2, "padding": "same", "activation": "leaky_relu"}),
    (1, "DepthwiseConv1D", {"kernel_size": 3, "depth_multiplier": 2, "strides": 2, "padding": "same"}),
    (2, "DepthwiseConv2D", {"kernel_size": 3, "depth_multiplier": 3, "activation": "relu"}),
    (2, "DepthwiseConv2D", {"kernel_size": (2, 3), "dilation_rate": 2, "padding": "same", "use_bias": False}),
    (1, "SeparableConv1D", {"filters": 3, "kernel_size": 3, "strides": 2, "padding": "same"}),
    (2, "SeparableConv2D", {"filters": 3, "kernel_size": 3, "depth_multiplier": 2, "activation": "relu"}),
    (2, "SeparableConv2D", {"filters": 3, "kernel_size": 3, "dilation_rate": 2, "use_bias": False}),
    (1, "Conv1DTranspose", {"filters": 3, "kernel_size": 4, "strides": 3, "padding": "same"}),
    (1, "Conv1DTranspose", {"filters": 3, "kernel_size": 3, "strides": 2, "output_padding": 1}),
    (1, "Conv1DTranspose", {"filters": 3, "kernel_size": 3, "dilation_rate": 2}),
    (2, "Conv2DTranspose", {"filters": 3, "kernel_size": 3, "strides": 2, "padding": "same", "activation": "relu"}),
    (2, "Conv2DTranspose", {"filters": 3, "kernel_size": (2, 4), "strides": (3, 2), "use_bias": False}),
    (2, "Conv2DTranspose", {"filters": 3, "kernel_size": 5, "strides": 2, "padding": "same", "output_padding": 1}),
    (2, "Conv2DTranspose", {"filters": 3, "kernel_size": 3, "dilation_rate": 2, "padding": "same"}),
    (3, "Conv3DTranspose", {"filters": 2, "kernel_size": 3, "strides": 2, "padding": "same"}),
    (3, "Conv3DTranspose", {"filters": 2, "kernel_size": 2, "strides": (1, 2, 3)}),
    (0, "Dense", {"units": 3, "use_bias": False}),
    (2, "Dense", {"units": 3, "activation": "relu"}),
    (0, "BatchNormalization", {}),
    (2, "BatchNormalization", {"scale": False, "epsilon": 0.1}),
    (2, "BatchNormalization", {"center": False, "synchronized": True}),
    (2, "BatchNormalization", {"axis": 1}),
    (2, "BatchNormalization", {"axis": 2}),
    (2, "Rescaling", {"scale": 1 / 127.5, "offset": -1}),
    (2, "Rescaling", {"scale": [1.0, 2.0, -3.0, 4.0], "offset": np.arange(4.0)}),
    (2, "Normalization", {}),
    (2, "Normalization", {"axis": None}),
    (2, "Normalization", {"axis": 1}),
    (2, "Normalization", {"mean": [1.0, 2.0, 3.0, 4.0], "variance": [0.0, 1.0, 2.0, 3.0]}),
    (2, "Normalization", {"mean": 2.0, "variance": 3.0, "axis": None, "invert": True}),
    (2, "ReLU", {}),
    (2, "ReLU", {"max_value": 1}),
    (2, "ReLU", {"max_value": 0}),
    (2, "ReLU", {"negative_slope": 0.3}),
    (2, "ReLU", {"negative_slope": 0.3, "max_value": 0.5}),
    (2, "LeakyReLU", {}),
    (2, "PReLU", {"shared_axes": [1, 2]}),
    (2, "PReLU", {"shared_axes": [2, 3]}),
    (2, "PReLU", {"shared_axes": [1, 2, 3]}),
    (0, "PReLU", {}),
    (1, "AveragePooling1D", {"pool_size": 3, "strides": 2, "padding": "same"}),
    (2, "AveragePooling2D", {"pool_size": (2, 3)}),
    (3, "AveragePooling3D", {"pool_size": 2, "padding": "same"}),
    (1, "MaxPooling1D", {"pool_size": 3, "strides": 1}),
    (2, "MaxPooling2D", {"pool_size": 3, "strides": 2, "padding": "same"}),
    (3, "MaxPooling3D", {"pool_size": (2, 2, 1)}),
    *((rank, f"Global{kind}Pooling{rank}D", {}) for rank in (1, 2, 3) for kind in ("Average", "Max")),
    (2, "GlobalAveragePooling2D", {"keepdims": True}),
    (1, "GlobalMaxPooling1D", {"keepdims": True}),
    (2, "Flatten", {}),
    (2, "Flatten", {"data_format": "channels_first"}),
    (2, "Reshape", {"target_shape": (4, -1, 2)}),
    (2, "Reshape", {"target_shape": (-1,)}),
    (2, "Permute", {"dims": (3, 1, 2)}),
    (2, "Permute", {"dims": (1, 2, 3)}),
    (0, "RepeatVector", {"n": 3}),
    (1, "ZeroPadding1D", {"padding": (1, 2)}),
    (2, "ZeroPadding2D", {"padding": ((1, 2), (0, 3))}),
    (2, "ZeroPadding2D", {"padding": 1, "data_format": "channels_first"}),
    (3, "ZeroPadding3D", {"padding": (1, 2, 3)}),
    (1, "Cropping1D", {"cropping": (1, 2)}),
    (2, "Cropping2D", {"cropping": ((1, 2), (0, 3))}),
    (3, "Cropping3D", {"cropping": ((1, 1), (0, 2), (1, 0))}),
    (1, "UpSampling1D", {"size": 3}),
    (2, "UpSampling2D", {"size": (2, 3)}),
    (2, "UpSampling2D", {"size": 2, "data_format": "channels_first"}),
    (3, "UpSampling3D", {"size": (1, 2, 3)}),
    (2, "Activation", {"activation": "relu"}),
    (2, "Activation", {"activation": "relu6"}),
    (2, "Activation", {"activation": "leaky_relu"}),
    (2, "Activation", {"activation": "linear"}),
]


def described(case):
    _, kind, options = case
    return f"{kind}({', '.join(f'{key}={value}' for key, value in options.items())})".replace(" ", "")


@pytest.mark.parametrize("case", CASES, ids=described)
def test_layer_is_read_exactly(keras, case, rng):
    rank, kind, options = case
    layer = getattr(keras.layers, kind)(name="layer", **options)
    model = check_equal(keras.Sequential([keras.Input(SHAPES[rank]), layer]), rng)
    (row,) = model.metadata["reading"][1:]
    assert (row["layer"], row["class"], row["status"]) == ("layer", kind, "exact")
    # the model ends with a Permute spec if the axes are not in Keras' order
    assert set(row["became"]) == model.layers.keys() - {model.input, "layer_permuted"}
    # a layer's name becomes that of its last spec, or of the spec before its activation
    unchanged = options in ({"activation": "linear"}, {"dims": (1, 2, 3)})
    assert unchanged or "layer" in model.layers


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("GaussianNoise", {"stddev": 0.5}),
        ("GaussianDropout", {"rate": 0.5}),
        ("AlphaDropout", {"rate": 0.5}),
        ("SpatialDropout2D", {"rate": 0.5}),
        ("ActivityRegularization", {"l1": 0.1}),
        ("RandomFlip", {}),
        ("RandomRotation", {"factor": 0.1}),
        ("RandomTranslation", {"height_factor": 0.1, "width_factor": 0.1}),
        ("RandomZoom", {"height_factor": 0.1}),
        ("RandomContrast", {"factor": 0.1}),
        ("RandomBrightness", {"factor": 0.1}),
        ("Identity", {}),
    ],
)
def test_layers_for_training_only_are_left_out(keras, kind, options, rng):
    layer = getattr(keras.layers, kind)(**options)
    model = check_equal(keras.Sequential([keras.Input(SHAPES[2]), layer, keras.layers.Conv2D(2, 3)]), rng)
    assert [type(layer) for layer in model.layers.values()] == [specs.Input, specs.Conv]
    assert model.metadata["reading"][1]["became"] == []


def test_dropout_keeps_its_rate(keras, rng):
    model = check_equal(keras.Sequential([keras.Input((5,)), keras.layers.Dropout(0.3, name="drop")]), rng)
    assert model.layers["drop"].rate == 0.3


@pytest.mark.parametrize("kind", ["Add", "Subtract", "Average", "Concatenate"])
@pytest.mark.parametrize("n", [2, 3])
def test_layers_with_several_inputs(keras, kind, n, rng):
    if kind == "Subtract" and n > 2:
        pytest.skip("Subtract takes two inputs")
    image = keras.Input((6, 5, 3))
    branches = [keras.layers.Conv2D(2, 3)(image) for _ in range(n)]
    joined = getattr(keras.layers, kind)(name="joined")(branches)
    assert check_equal(keras.Model(image, joined), rng).output == "joined"


@pytest.mark.parametrize("axis", [1, 2, -1])
def test_concatenation_along_each_axis(keras, axis, rng):
    image = keras.Input((5, 5, 5))
    check_equal(keras.Model(image, keras.layers.Concatenate(axis=axis)([image, keras.layers.ReLU()(image)])), rng)


OPERATORS = {
    "x + y": lambda k, x, y: x + y,
    "x - y": lambda k, x, y: x - y,
    "x + x": lambda k, x, y: x + x,
    "-x": lambda k, x, y: -x,
    "x + 2": lambda k, x, y: x + 2,
    "2 - x": lambda k, x, y: 2 - x,
    "x * 3": lambda k, x, y: x * 3,
    "0.5 * x": lambda k, x, y: 0.5 * x,
    "x / 127.5 - 1": lambda k, x, y: x / 127.5 - 1,
    "x + vector": lambda k, x, y: x + np.arange(4, dtype=np.float32),
    "relu": lambda k, x, y: k.activations.relu(x),
    "relu(max)": lambda k, x, y: k.activations.relu(x, max_value=6.0),
    "functions": lambda k, x, y: (
        tf.nn.leaky_relu(tf.nn.relu6(tf.nn.relu(x)) - y, alpha=0.3)
        if k is tf.keras
        else k.ops.leaky_relu(k.ops.relu6(k.ops.relu(x)) - y, 0.3)
    ),
    "leaky_relu": lambda k, x, y: tf.nn.leaky_relu(x) if k is tf.keras else k.ops.leaky_relu(x),
    "concat": lambda k, x, y: tf.concat([x, y], -1) if k is tf.keras else k.ops.concatenate([x, y], 2),
}


@pytest.mark.parametrize("operator", OPERATORS)
def test_operators_and_functions(keras, operator, rng):
    image = keras.Input((5, 4))
    other = keras.layers.Dense(4)(image)
    outcome = OPERATORS[operator](keras, image, other)
    check_equal(keras.Model(image, keras.layers.Dense(3)(outcome)), rng)


def test_layers_as_activations(keras, rng):
    make = keras.layers
    dense = [make.Dense(4, activation=make.LeakyReLU(0.3)), make.Dense(4, activation=make.ReLU(max_value=0.5))]
    check_equal(keras.Sequential([keras.Input((5,)), *dense]), rng)


class TestSoftmax:
    ENDS = {
        "argument": lambda k: [k.layers.Dense(4, activation="softmax")],
        "layer": lambda k: [k.layers.Dense(4), k.layers.Softmax()],
        "activation": lambda k: [k.layers.Dense(4), k.layers.Activation("softmax")],
        "before a linear activation": lambda k: [
            k.layers.Dense(4, activation="softmax"),
            k.layers.Activation("linear"),
        ],
    }

    @pytest.mark.parametrize("end", ENDS)
    def test_softmax_at_the_end_is_read_out_as_logits(self, keras, end, rng):
        original = keras.Sequential([keras.Input((5,)), *self.ENDS[end](keras)])
        twin = keras.Sequential([keras.Input((5,)), keras.layers.Dense(4)])
        model = check_equal(original, rng, scores=twin)
        (row,) = (row for row in model.metadata["reading"] if row["status"] != "exact")
        assert (row["status"], row["remark"]) == (
            "approximated",
            "read out as logits: the class with the largest score stays the same",
        )

    def test_softmax_function(self, keras, rng):
        image = keras.Input((5,))
        logits = keras.layers.Dense(4)(image)
        softmax = tf.nn.softmax if keras is tf.keras else keras.ops.softmax
        check_equal(keras.Model(image, softmax(logits)), rng, scores=keras.Model(image, logits))

    @pytest.mark.parametrize("following", ["Flatten", "ReLU", "Dropout"])
    def test_softmax_in_the_middle_is_refused(self, keras, following):
        options = {"rate": 0.5} if following == "Dropout" else {}
        layers = [keras.layers.Softmax(name="s"), getattr(keras.layers, following)(name="following", **options)]
        model = keras.Sequential([keras.Input((5,)), *layers])
        with pytest.raises(snc.ConversionError, match="softmax in the middle") as caught:
            snc.as_model(model)
        assert caught.value.layer == "s"


class TestSigmoid:
    """A sigmoid at the end is left out, so that the scores are logits, and the model remembers it."""

    ENDS = {
        "argument": lambda k: [k.layers.Dense(4, activation="sigmoid", name="l")],
        "activation": lambda k: [k.layers.Dense(4), k.layers.Activation("sigmoid", name="l")],
        "rearranged": lambda k: [
            k.layers.Dense(4, activation="sigmoid", name="l"),
            k.layers.Reshape((2, 2)),
            k.layers.Permute((2, 1)),
            k.layers.Flatten(),
        ],
    }

    @pytest.mark.parametrize("end", ENDS)
    def test_at_the_end(self, keras, end, rng):
        original = randomise(keras.Sequential([keras.Input((5,)), *self.ENDS[end](keras)]), rng)
        model = as_model(original)
        assert model.metadata["head"] == "sigmoid"
        x = rng.normal(size=(20, 5)).astype(np.float32)
        check_close(1 / (1 + np.exp(-forward(model, x))), original(x))
        (row,) = (row for row in model.metadata["reading"] if row["status"] != "exact")
        assert (row["layer"], row["status"]) == ("l", "approximated")
        assert "a score above 0 is a probability above 0.5" in row["remark"]

    def test_function(self, keras, rng):
        image = keras.Input((5,))
        logits = keras.layers.Dense(4)(image)
        sigmoid = tf.sigmoid if keras is tf.keras else keras.ops.sigmoid
        model = check_equal(keras.Model(image, sigmoid(logits)), rng, scores=keras.Model(image, logits))
        assert model.metadata["head"] == "sigmoid"

    def test_in_a_nested_model(self, keras):
        inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, activation="sigmoid", name="l")])
        assert as_model(keras.Sequential([keras.Input((4,)), inner])).metadata["head"] == "sigmoid"

    @pytest.mark.parametrize("following", ["Softmax", "UpSampling1D", "sigmoid"])
    def test_elsewhere(self, keras, following):
        """It is refused before other layers; under a softmax too, since the network could not compute it."""
        make = keras.layers
        last = make.Activation("sigmoid") if following == "sigmoid" else getattr(make, following)(name="following")
        model = keras.Sequential([keras.Input((5, 2)), make.Dense(2, activation="sigmoid", name="s"), last])
        with pytest.raises(snc.ConversionError, match="sigmoid") as caught:
            snc.as_model(model)
        assert caught.value.layer == "s"


# layers that can follow each other in any order without an empty output
PARTS = [
    ("Conv2D", {"filters": 4, "kernel_size": 3, "padding": "same", "activation": "relu"}),
    ("Conv2D", {"filters": 2, "kernel_size": 2, "strides": 2, "padding": "same"}),
    ("DepthwiseConv2D", {"kernel_size": 2, "depth_multiplier": 2, "padding": "same"}),
    ("SeparableConv2D", {"filters": 3, "kernel_size": 3, "padding": "same", "activation": "relu6"}),
    ("Conv2DTranspose", {"filters": 2, "kernel_size": 3, "strides": 2}),
    ("BatchNormalization", {}),
    ("BatchNormalization", {"axis": 1}),
    ("ReLU", {"max_value": 0.5}),
    ("LeakyReLU", {}),
    ("PReLU", {"shared_axes": [1, 2]}),
    ("ZeroPadding2D", {"padding": 1}),
    ("UpSampling2D", {"size": (1, 2)}),
    ("AveragePooling2D", {"pool_size": 2, "padding": "same"}),
    ("MaxPooling2D", {"pool_size": 2, "padding": "same"}),
    ("Permute", {"dims": (2, 3, 1)}),
    ("Permute", {"dims": (2, 1, 3)}),
    ("Dense", {"units": 3}),
]


@hypothesis.settings(max_examples=12, deadline=None, derandomize=True)
@hypothesis.given(
    library=strategies.sampled_from([tf.keras, keras3]),
    parts=strategies.lists(strategies.sampled_from(PARTS), min_size=2, max_size=5),
    seed=strategies.integers(0, 1000),
)
def test_random_chains(library, parts, seed):
    layers = [getattr(library.layers, kind)(**options) for kind, options in parts]
    check_equal(library.Sequential([library.Input((4, 5, 2)), *layers]), np.random.default_rng(seed))


@hypothesis.settings(max_examples=15, deadline=None, derandomize=True)
@hypothesis.given(
    library=strategies.sampled_from([tf.keras, keras3]),
    n=strategies.integers(1, 5),
    kernel=strategies.integers(1, 5),
    stride=strategies.integers(1, 4),
    padding=strategies.sampled_from(["valid", "same"]),
    extra=strategies.none() | strategies.integers(0, 3),
)
def test_transposed_convolutions(library, n, kernel, stride, padding, extra):
    hypothesis.assume(extra is None or extra < stride)
    # Keras computes this output length, which TensorFlow may refuse
    length = (n - 1) * stride + (extra or 0) + kernel % 2
    hypothesis.assume(extra is None or padding == "valid" or -(-length // stride) == n)
    options = {"strides": stride, "padding": padding, "output_padding": extra}
    layer = library.layers.Conv1DTranspose(2, kernel, **options)
    check_equal(library.Sequential([library.Input((n, 3)), layer]), np.random.default_rng(n))
