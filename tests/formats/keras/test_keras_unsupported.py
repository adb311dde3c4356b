"""Advice for unsupported layers: what it says to use instead computes the same."""

import numpy as np
import pytest
from keras_comparison import LIBRARIES, check_close, check_equal, forward, randomise, refused
from keras_graphs import gated

import nengo_snnconv as snc
from nengo_snnconv.compat import keras3, tf
from nengo_snnconv.formats.keras import as_model, inspect_keras


@pytest.fixture(params=LIBRARIES)
def keras(request):
    return LIBRARIES[request.param]


FUNCTIONS = {"tanh": np.tanh, "softplus": lambda x: np.log1p(np.exp(x)), "exponential": np.exp}


class TestFunctionsAtTheEnd:
    """The advice is to leave them out; applied to the scores, they give the original output."""

    @pytest.mark.parametrize("name", FUNCTIONS)
    @pytest.mark.parametrize("form", ["argument", "layer", "before others"])
    def test_activation(self, keras, name, form, rng):
        make = keras.layers
        ends = {
            "argument": [make.Dense(2, activation=name, name="l")],
            "layer": [make.Dense(2), make.Activation(name, name="l")],
            "before others": [make.Dense(2, activation=name, name="l"), make.Activation("linear"), make.Flatten()],
        }
        model = randomise(keras.Sequential([keras.Input((4,)), make.Dense(8, activation="relu"), *ends[form]]), rng)
        x = rng.normal(size=(20, 4)).astype(np.float32)
        expected = np.asarray(model(x))
        (remark,) = refused(model).values()
        assert f"ends the model with activation {name!r}: leave it out" in remark
        assert "set its activation to keras.activations.linear" in remark
        model.get_layer("l").activation = keras.activations.linear
        scores = forward(as_model(model), x)
        check_close(FUNCTIONS[name](scores), expected)
        assert f"apply {name} to the scores yourself" in remark

    def test_operation(self, keras, rng):
        function = tf.tanh if keras is tf.keras else keras.ops.tanh
        image = keras.Input((4,))
        model = randomise(keras.Model(image, function(keras.layers.Dense(3)(image))), rng)
        x = rng.normal(size=(20, 4)).astype(np.float32)
        (remark,) = refused(model).values()
        assert "ends the model with 'tanh'" in remark
        parts = "layers" if keras is tf.keras else "operations"
        assert f"keras.Model(model.input, model.{parts}[-1].input)" in remark
        without = keras.Model(model.input, getattr(model, parts)[-1].input)
        check_close(np.tanh(forward(as_model(without), x)), model(x))

    @pytest.mark.parametrize("name", ["tanh", "sigmoid"])
    @pytest.mark.parametrize("form", ["argument", "layer", "nested"])
    def test_before_layers_that_scale_the_output(self, keras, rng, name, form):
        make, function = keras.layers, {**FUNCTIONS, "sigmoid": lambda x: 1 / (1 + np.exp(-x))}[name]
        last = [make.Dense(1), make.Activation(name, name="l")]
        last = last if form == "layer" else [make.Dense(1, activation=name, name="l")]

        def ending(*end):
            layers = [make.Dense(8, activation="relu"), *end, make.Dropout(0.1), make.Rescaling(3.0, offset=1.0)]
            return randomise(keras.Sequential([keras.Input((4,)), *layers]), rng)

        model = ending(*last)
        if form == "nested":
            inner = keras.Sequential([keras.Input((8,)), *last], name="inner")
            (remark,) = refused(ending(inner)).values()
        else:
            (remark,) = refused(model).values()
        assert f"has activation {name!r} before layers that only scale the output" in remark
        assert "train the model without it" in remark and "relu" not in remark
        check_equal(ending(make.Dense(1)), rng)
        x = rng.normal(size=(20, 4)).astype(np.float32)
        expected = np.asarray(model(x))
        assert "end the model with this layer, set its activation to keras.activations.linear" in remark
        model.get_layer("l").activation = keras.activations.linear
        scores = forward(as_model(keras.Model(model.inputs, model.get_layer("l").output)), x)
        check_close(3 * function(scores) + 1, expected)

    def test_operation_before_layers_that_scale_the_output(self, keras, rng):
        function = tf.tanh if keras is tf.keras else keras.ops.tanh
        image, dense = keras.Input((4,)), keras.layers.Dense(3)
        model = randomise(keras.Model(image, keras.layers.Rescaling(2.0)(function(dense(image)))), rng)
        (remark,) = refused(model).values()
        assert "computes 'tanh' before layers that only scale the output" in remark
        assert "end the model with the layer before it" in remark
        x = rng.normal(size=(20, 4)).astype(np.float32)
        check_close(2 * np.tanh(forward(as_model(keras.Model(image, dense.output)), x)), model(x))

    def test_nested_model(self, keras):
        dense = keras.layers.Dense(1, activation="tanh", name="l")
        inner = keras.Sequential([keras.Input((4,)), dense], name="inner")
        model = keras.Sequential([keras.Input((4,)), inner])
        assert "ends the model with activation 'tanh'" in refused(model)["inner.l"]
        model = keras.Sequential([keras.Input((4,)), inner, keras.layers.Dense(1)])
        assert "train the model with 'relu' instead" in refused(model)["inner.l"]


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "elu", "silu", "gelu", "softplus"])
def test_functions_in_hidden_layers(keras, name, rng):
    def make(activation):
        image = keras.Input((6, 6, 2))
        x = keras.layers.Conv2D(3, 3, activation=activation, name="l")(image)
        x = keras.layers.Activation(activation, name="m")(x)
        return keras.Model(image, keras.layers.Dense(3, name="scores")(keras.layers.Flatten()(x)))

    remarks = refused(make(name))
    assert list(remarks) == ["l", "m"]
    assert all("train the model with 'relu' instead" in remark for remark in remarks.values())
    check_equal(make("relu"), rng)


def test_squeeze_and_excite(keras, rng):
    remarks = refused(gated(keras))
    assert list(remarks) == ["expand", "excite"]
    assert all("train a model without gates and squeeze-and-excite blocks" in remark for remark in remarks.values())
    check_equal(gated(keras, gate=False), rng)


def test_application_without_gates(keras, rng):
    make = keras.applications.MobileNetV3Small
    assert any("without gates" in remark for remark in refused(make(weights=None, input_shape=(32, 32, 3))).values())
    check_equal(make(weights=None, input_shape=(32, 32, 3), minimalistic=True, classifier_activation=None), rng, n=1)


# case -> (unsupported layer, words of the advice, advised layers); inputs are series of 8 steps with 4 features
INSTEAD = {
    "LSTM": (lambda k: k.layers.LSTM(3), "causal Conv1D", lambda k: [k.layers.Conv1D(3, 3, padding="causal")]),
    "Bidirectional": (
        lambda k: k.layers.Bidirectional(k.layers.GRU(3)),
        "causal Conv1D",
        lambda k: [k.layers.Conv1D(3, 3, padding="causal")],
    ),
    "LayerNormalization": (
        lambda k: k.layers.LayerNormalization(),
        "with BatchNormalization",
        lambda k: [k.layers.BatchNormalization()],
    ),
    "ELU": (lambda k: k.layers.ELU(), "with ReLU instead", lambda k: [k.layers.ReLU()]),
    "Lambda": (lambda k: k.layers.Lambda(lambda x: x / 2), "example Rescaling", lambda k: [k.layers.Rescaling(0.5)]),
    "threshold": (lambda k: k.layers.ReLU(threshold=1), "with threshold=0", lambda k: [k.layers.ReLU(threshold=0)]),
    "PReLU": (lambda k: k.layers.PReLU(), r"shared_axes=\[1\]", lambda k: [k.layers.PReLU(shared_axes=[1])]),
}


@pytest.mark.parametrize("case", INSTEAD)
def test_advised_layers(keras, case, rng):
    make, message, instead = INSTEAD[case]

    def model(layers):
        return keras.Sequential([keras.Input((8, 4)), *layers, keras.layers.Flatten(), keras.layers.Dense(2)])

    with pytest.raises(snc.ConversionError, match=message):
        as_model(model([make(keras)]))
    assert [row["status"] for row in inspect_keras(model([make(keras)]))[2:]] == ["exact", "exact"]
    check_equal(model(instead(keras)), rng)


def reshape(k):
    return (lambda x: tf.reshape(x, (-1, 32))) if k is tf.keras else (lambda x: k.ops.reshape(x, (-1, 32)))


def transpose(k):
    return (lambda x: tf.transpose(x, (0, 2, 1))) if k is tf.keras else (lambda x: k.ops.transpose(x, (0, 2, 1)))


def pad(k):
    sides = [(0, 0), (1, 2), (0, 0)]
    return (lambda x: tf.pad(x, sides)) if k is tf.keras else (lambda x: k.ops.pad(x, sides))


def mean(k):
    return (lambda x: tf.reduce_mean(x, axis=1)) if k is tf.keras else (lambda x: k.ops.mean(x, axis=1))


def largest(k):
    return (lambda x: tf.reduce_max(x, axis=1)) if k is tf.keras else (lambda x: k.ops.max(x, axis=1))


class TestEquivalentLayers:
    @pytest.mark.parametrize(
        ("function", "layer", "options"),
        [
            (reshape, "Flatten", {}),
            (reshape, "Reshape", {"target_shape": (32,)}),
            (transpose, "Permute", {"dims": (2, 1)}),
            (mean, "GlobalAveragePooling1D", {}),
            (pad, "ZeroPadding1D", {"padding": (1, 2)}),
            (largest, "GlobalMaxPooling1D", {}),
        ],
    )
    def test_layers_for_functions(self, keras, function, layer, options, rng):
        image = keras.Input((8, 4))
        with_function = keras.Model(image, function(keras)(image))
        assert layer.removesuffix("1D") in next(iter(refused(with_function).values()))
        with_layer = keras.Model(image, getattr(keras.layers, layer)(**options)(image))
        x = rng.normal(size=(2, 8, 4)).astype(np.float32)
        check_close(forward(as_model(with_layer), x), with_function(x))

    def test_slices_for_split(self, keras, rng):
        split = (lambda x: tf.split(x, 2, -1)) if keras is tf.keras else (lambda x: keras.ops.split(x, 2, -1))
        image = keras.Input((8, 4))
        one, other = split(image)
        with_split = keras.Model(image, other - one)
        assert "use slices, as in x[..., 0:2]" in next(iter(refused(with_split).values()))
        with_slices = keras.Model(image, image[..., 2:4] - image[..., 0:2])
        x = rng.normal(size=(2, 8, 4)).astype(np.float32)
        check_close(forward(as_model(with_slices), x), with_split(x))

    def test_pipeline(self, rng):
        make = keras3.layers
        parts = [make.RandomFlip(), make.Rescaling(0.5)]
        with pytest.raises(snc.ConversionError, match="holds 'Rescaling', which change"):
            as_model(keras3.Sequential([keras3.Input((6, 6, 2)), make.Pipeline(parts), make.Conv2D(2, 3)]))
        check_equal(keras3.Sequential([keras3.Input((6, 6, 2)), *parts, make.Conv2D(2, 3)]), rng)
        random = make.Pipeline([make.RandomFlip(), make.RandomContrast(0.1)])
        check_equal(keras3.Sequential([keras3.Input((6, 6, 2)), random, make.Conv2D(2, 3)]), rng)

    def test_time_distributed_dense(self, keras, rng):
        wrapped = keras.Sequential([keras.Input((5, 4)), keras.layers.TimeDistributed(keras.layers.Dense(3))])
        assert "use Dense itself for Dense" in next(iter(refused(wrapped).values()))
        itself = keras.Sequential([keras.Input((5, 4)), keras.layers.Dense(3)])
        itself.set_weights(randomise(wrapped, rng).get_weights())
        x = rng.normal(size=(2, 5, 4)).astype(np.float32)
        check_close(forward(as_model(itself), x), wrapped(x))

    def test_time_distributed_convolution(self, keras, rng):
        image = keras.Input((3, 6, 6, 2))
        wrapped = keras.Model(image, keras.layers.TimeDistributed(keras.layers.Conv2D(3, (3, 2)))(image))
        assert "Conv3D with a kernel (1, h, w) for Conv2D" in next(iter(refused(wrapped).values()))
        other = keras.Model(image, keras.layers.Conv3D(3, (1, 3, 2))(image))
        kernel, bias = randomise(wrapped, rng).get_weights()
        other.set_weights([kernel[None], bias])
        x = rng.normal(size=(2, 3, 6, 6, 2)).astype(np.float32)
        check_close(forward(as_model(other), x), wrapped(x))

    @pytest.mark.parametrize("kind", ["Resizing", "AutoContrast"])
    def test_preprocessing(self, keras, kind, rng):
        if not hasattr(keras.layers, kind):
            pytest.skip(f"this Keras has no {kind}")
        before = keras.layers.Resizing(6, 6) if kind == "Resizing" else keras.layers.AutoContrast()
        layers = [keras.layers.Conv2D(3, 3, activation="relu"), keras.layers.Flatten(), keras.layers.Dense(2)]
        model = randomise(keras.Sequential([keras.Input((6, 6, 2)), before, *layers]), rng)
        (remark,) = refused(model).values()
        assert "before they enter the model" in remark
        without = keras.Sequential([keras.Input((6, 6, 2)), *layers])
        x = rng.uniform(0, 255, (2, 6, 6, 2)).astype(np.float32)
        check_close(forward(as_model(without), np.asarray(before(x))), model(x, training=False))

    def test_embedding(self, keras, rng):
        embedding, layers = keras.layers.Embedding(9, 4), [keras.layers.Conv1D(3, 2), keras.layers.GlobalMaxPooling1D()]
        model = randomise(keras.Sequential([keras.Input((7,)), embedding, *layers]), rng)
        assert "look up the vectors before they enter the model" in refused(model)[embedding.name]
        words = rng.integers(0, 9, (2, 7))
        vectors = embedding.get_weights()[0][words]
        read = as_model(keras.Sequential([keras.Input((7, 4)), *layers]))
        check_close(forward(read, vectors), model(words))

    def test_several_outputs(self, keras, rng):
        image = keras.Input((4,))
        model = keras.Model(image, [keras.layers.Dense(3)(image), keras.layers.Dense(2)(image)])
        assert all("make a model of one of them" in remark for remark in refused(model).values())
        check_equal(keras.Model(model.input, model.outputs[0]), rng)
