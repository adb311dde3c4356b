"""Error messages for unsupported layers: they name all layers, are short, and their advice works."""

import numpy as np
import pytest
from keras_comparison import LIBRARIES, check_close, check_equal, forward, randomise

import nengo_snnconv as snc
from nengo_snnconv.compat import keras3, tf
from nengo_snnconv.errors import listed
from nengo_snnconv.formats.keras import as_model, inspect_keras
from nengo_snnconv.formats.keras.files.stored_layers import StoredLayer
from nengo_snnconv.formats.keras.model_reader import ModelReader


@pytest.fixture(params=LIBRARIES)
def keras(request):
    return LIBRARIES[request.param]


def refused(model):
    """Return {layer: remark} for the refused layers of a model."""
    return {row["layer"]: row["remark"] for row in inspect_keras(model) if row["status"] == "refused"}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


FUNCTIONS = {"sigmoid": sigmoid, "tanh": np.tanh, "softplus": lambda x: np.log1p(np.exp(x)), "exponential": np.exp}


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
        if name == "sigmoid":
            assert "use scores above 0 where it was above 0.5" in remark
            assert np.array_equal(scores > 0, expected > 0.5)
        else:
            assert f"apply {name} to the scores yourself" in remark

    def test_operation(self, keras, rng):
        function = tf.sigmoid if keras is tf.keras else keras.ops.sigmoid
        image = keras.Input((4,))
        model = randomise(keras.Model(image, function(keras.layers.Dense(3)(image))), rng)
        x = rng.normal(size=(20, 4)).astype(np.float32)
        (remark,) = refused(model).values()
        assert "ends the model with 'sigmoid'" in remark
        parts = "layers" if keras is tf.keras else "operations"
        assert f"keras.Model(model.input, model.{parts}[-1].input)" in remark
        without = keras.Model(model.input, getattr(model, parts)[-1].input)
        check_close(sigmoid(forward(as_model(without), x)), model(x))

    def test_nested_model(self, keras):
        dense = keras.layers.Dense(1, activation="sigmoid", name="l")
        inner = keras.Sequential([keras.Input((4,)), dense], name="inner")
        model = keras.Sequential([keras.Input((4,)), inner])
        assert "ends the model with activation 'sigmoid'" in refused(model)["inner.l"]
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


def gated(k, gate=True):
    """Return a model with a squeeze-and-excite block, or without it."""
    make = k.layers
    image = k.Input((6, 6, 2))
    x = make.Conv2D(4, 3, activation="relu", name="conv")(image)
    if gate:
        y = make.GlobalAveragePooling2D(keepdims=True, name="squeeze")(x)
        y = make.Conv2D(2, 1, activation="relu", name="reduce")(y)
        y = make.Conv2D(4, 1, activation="sigmoid", name="expand")(y)
        x = make.Multiply(name="excite")([x, y])
    x = make.Conv2D(4, 3, activation="relu", name="next")(x)
    return k.Model(image, make.Dense(3, name="scores")(make.Flatten(name="flat")(x)))


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


class TestEveryLayerIsChecked:
    @pytest.mark.parametrize("name", ["EfficientNetB0", "MobileNetV3Small", "ConvNeXtTiny"])
    def test_large_models(self, keras, name):
        model = getattr(keras.applications, name)(weights=None, input_shape=(64, 64, 3))
        rows = inspect_keras(model)
        assert "not checked" not in {row["status"] for row in rows}
        assert len(refused(model)) > 10
        with pytest.raises(snc.ConversionError) as error:
            as_model(model)
        assert error.value.layer == next(iter(refused(model)))
        check_short(str(error.value))

    def test_layer_with_several_outputs(self, keras):
        image = keras.Input((8, 4))
        outcome, state, _ = keras.layers.LSTM(3, return_state=True, name="lstm")(image)
        joined = keras.layers.Concatenate(name="joined")([outcome, keras.layers.Dense(3, name="d")(state)])
        found = {row["layer"]: row["status"] for row in inspect_keras(keras.Model(image, joined))}
        assert found["lstm"] == "refused"
        assert found["joined"] in ("exact", "not checked")

    @pytest.mark.parametrize("make", [gated, lambda k: chain(k), lambda k: operations(k)])
    def test_report_without_live_layers(self, keras, make):
        """The report is the same for layers of a file, which are not Keras objects."""
        model = make(keras)
        layers = [StoredLayer(layer.name, weights=layer.get_weights()) for layer in model.layers]
        report = ModelReader(model.get_config(), StoredLayer("model", layers)).report
        assert list(report.rows.values()) == inspect_keras(model)

    def test_unknown_shape(self):
        class Custom(tf.keras.layers.Layer):
            def call(self, inputs):
                return inputs

        layers = [tf.keras.layers.Dense(3, name="a"), Custom(name="custom"), tf.keras.layers.Dense(3, name="b")]
        end = tf.keras.layers.Dense(3, activation="tanh", name="c")
        model = tf.keras.Sequential([tf.keras.Input((4,)), *layers, end])
        config = model.get_config()
        for entry in config["layers"]:  # as in an HDF5 file
            entry.pop("build_config", None)
        layers = [StoredLayer(layer.name, weights=layer.get_weights()) for layer in model.layers]
        rows = ModelReader(config, StoredLayer("model", layers)).report.rows
        statuses = ["exact", "refused", "not checked", "refused"]
        assert [rows[name]["status"] for name in ("a", "custom", "b", "c")] == statuses
        assert rows["b"]["remark"] == "the output shape of 'custom' is unknown"
        assert "ends the model with activation 'tanh'" in rows["c"]["remark"]


def chain(k):
    make = k.layers
    layers = [make.Conv1D(3, 3, activation="silu"), make.LSTM(5, return_sequences=True), make.LayerNormalization()]
    layers += [make.Dense(4, activation="tanh"), make.GRU(3), make.Dense(4), make.ELU()]
    layers.append(make.Dense(2, activation="tanh"))
    return k.Sequential([k.Input((8, 4)), *layers])


def operations(k):
    image = k.Input((6, 4))
    exponential = tf.exp if k is tf.keras else k.ops.exp
    x = k.layers.Dense(4, name="d")(exponential(image))
    return k.Model(image, k.layers.Conv1D(2, 3, name="conv")(x * image))


def check_short(message):
    assert 1 <= message.count("\n") + 1 <= 3
    assert all(len(line) < 320 for line in message.splitlines()), message


class TestShortMessages:
    def test_many_reasons(self, keras):
        names = ["tanh", "sigmoid", "elu", "selu", "gelu", "softplus"]
        layers = [keras.layers.Dense(4, activation=name, name=name) for name in names]
        model = keras.Sequential([keras.Input((4,)), *layers, keras.layers.Dense(2)])
        with pytest.raises(snc.ConversionError) as error:
            as_model(model)
        assert error.value.layer == "tanh"
        lines = str(error.value).splitlines()
        assert [line.partition(" has")[0] for line in lines[:2]] == ["layer 'tanh' (Dense)", "layer 'sigmoid' (Dense)"]
        assert lines[2] == "and 4 more layers, for other reasons: inspect_keras lists all"
        assert list(refused(model)) == names

    def test_one_reason(self, keras):
        layers = [keras.layers.LayerNormalization(name=f"norm{i}") for i in range(12)]
        with pytest.raises(snc.ConversionError) as error:
            as_model(keras.Sequential([keras.Input((4,)), *layers, keras.layers.Dense(2)]))
        assert error.value.layer == "norm0"
        check_short(str(error.value))
        assert str(error.value).endswith("(also 'norm1', 'norm2' and 9 more)")

    def test_unknown_layer(self, keras):
        model = keras.Sequential([keras.Input((4,)), keras.layers.CategoryEncoding(3, name="l")])
        with pytest.raises(snc.ConversionError, match="'What is read'") as error:
            as_model(model)
        assert error.value.layer == "l"
        check_short(str(error.value))

    def test_many_outputs(self, keras):
        image = keras.Input((4,))
        model = keras.Model(image, [keras.layers.Dense(3, name=f"out{i}")(image) for i in range(40)])
        with pytest.raises(snc.ConversionError, match="and 38 more") as error:
            as_model(model)
        assert error.value.layer == "out0"
        check_short(str(error.value))

    def test_listed(self):
        assert listed("ab") == "'a', 'b'"
        assert listed("abcde") == "'a', 'b' and 3 more"
        assert listed(iter("ab"), shown=1) == "'a' and 1 more"


def as_sequence(library, layer):
    return library.Sequential([library.Input((12, 12, 3)), layer, library.layers.Conv2D(2, 3)])


def as_graph(library, layer):
    """Call the layer without ``training``: Keras 3 then writes its default, which is True, into the configuration."""
    image = library.Input((12, 12, 3))
    return library.Model(image, library.layers.Conv2D(2, 3)(layer(image)))


@pytest.mark.parametrize("build", [as_sequence, as_graph])
def test_augmentation_layers_are_exact_or_refused(build, rng):
    """Every layer for random augmentation either returns its input at inference or is refused."""
    options = {
        "RandomBrightness": (0.2,),
        "RandomColorDegeneration": (0.3,),
        "RandomContrast": (0.2,),
        "RandomCrop": (12, 12),
        "RandomElasticTransform": (0.5,),
        "RandomErasing": (0.5,),
        "RandomFlip": (),
        "RandomGaussianBlur": (0.5,),
        "RandomGrayscale": (0.5,),
        "RandomHeight": (0.2,),
        "RandomHue": (0.2,),
        "RandomInvert": (0.5,),
        "RandomPerspective": (0.5,),
        "RandomPosterization": (3,),
        "RandomRotation": (0.1,),
        "RandomSaturation": (0.2,),
        "RandomSharpness": (0.5,),
        "RandomShear": (0.2, 0.2),
        "RandomTranslation": (0.1, 0.1),
        "RandomWidth": (0.2,),
        "RandomZoom": (0.1, 0.1),
        "MaxNumBoundingBoxes": (3,),
        **dict.fromkeys(["AugMix", "AutoContrast", "CutMix", "MixUp", "RandAugment", "RandomColorJitter"], ()),
        "Solarization": (),
    }
    read = []
    for library in (tf.keras, keras3):
        for name, arguments in options.items():
            if not hasattr(library.layers, name):
                continue
            layer = getattr(library.layers, name)(*arguments)
            model = build(library, layer)
            if refused(model):
                continue
            read.append(name)
            for scale in (1, 255):
                x = rng.uniform(-0.5, 1, (3, 12, 12, 3)).astype(np.float32) * scale
                check_close(forward(as_model(randomise(model, rng)), x), model.predict(x, verbose=0))
                assert np.array_equal(layer(x, training=False), x)
    assert len(read) >= 25 and "AutoContrast" not in read
