"""Whole Keras models: chains, graphs, nested and shared layers, what is said of them, and what is refused."""

import inspect
import json

import numpy as np
import pytest
from reading import LIBRARIES, check_equal, randomise

import nengo_snnconv as snc
from nengo_snnconv.compat import keras3, tf
from nengo_snnconv.formats.keras import as_model, inspect_keras
from nengo_snnconv.model import layers as specs


@pytest.fixture(params=LIBRARIES)
def keras(request):
    """The same models are read whichever library made them."""
    return LIBRARIES[request.param]


def chain_2d(k):
    layers = k.layers
    return k.Sequential(
        [
            k.Input((12, 12, 2)),
            layers.Conv2D(4, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(6, (3, 2), dilation_rate=2, use_bias=False),
            layers.ReLU(),
            layers.Dropout(0.5),
            layers.AveragePooling2D(2, padding="same"),
            layers.Flatten(),
            layers.Dense(8),
            layers.Activation("relu"),
            layers.Reshape((2, -1)),
            layers.Dense(3),
            layers.Flatten(),
        ]
    )


def chain_3d(k):
    layers = k.layers
    return k.Sequential(
        [
            k.Input((6, 6, 6, 2)),
            layers.Conv3D(4, 3, groups=2, activation="relu"),
            layers.AveragePooling3D(2),
            layers.GlobalAveragePooling3D(),
            layers.Dense(2),
        ]
    )


def graph(k):
    layers = k.layers
    image = k.Input((8, 8, 2), name="image")
    a = layers.Conv2D(4, 3, padding="same", activation="relu", name="a")(image)
    b = layers.Conv2D(4, 1, activation="relu", name="b")(image)
    total = layers.Add(name="total")([a, b])
    both = layers.Concatenate(axis=-1, name="both")([total, b])
    tall = layers.Concatenate(axis=1, name="tall")([both, both])
    mean = layers.GlobalAveragePooling2D(name="mean")(tall)
    return k.Model(image, layers.Dense(3, name="scores")(mean))


def residual(k):
    layers = k.layers
    image = k.Input((8, 8, 3))
    x = layers.Rescaling(1 / 255)(image)
    x = layers.Conv2D(4, 3, padding="same", use_bias=False)(x)
    for filters, strides in ((4, 1), (6, 2)):
        start = layers.ReLU()(layers.BatchNormalization()(x))
        y = layers.Conv2D(filters, 3, strides, padding="same", use_bias=False)(start)
        y = layers.ReLU(max_value=6)(layers.BatchNormalization()(y))
        y = layers.Conv2D(filters, 3, padding="same")(y)
        if strides > 1:
            x = layers.Conv2D(filters, 1, strides)(start)
        x = layers.Add()([x, y])
    return k.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))


def block(k, name, inner=None):
    """A small model to nest, which may hold another one."""
    layers = k.layers
    image = k.Input((6, 6, 2))
    x = layers.Conv2D(2, 3, padding="same", activation="relu", name="conv")(image)
    return k.Model(image, layers.Add(name="add")([image, x if inner is None else inner(x)]), name=name)


def nested_twice(k):
    """Two levels deep, and used twice."""
    inner = k.Sequential([k.Input((6, 6, 2)), k.layers.Conv2D(2, 1, name="point"), k.layers.ReLU()], name="inner")
    outer = block(k, "outer", inner)
    image = k.Input((6, 6, 2))
    return k.Model(image, k.layers.Flatten()(outer(k.layers.ReLU()(outer(image)))))


def nested_with_two_ends(k):
    layers = k.layers
    one, other = k.Input((4,)), k.Input((4,))
    fork = k.Model([one, other], [layers.Subtract()([one, other]), layers.Dense(4)(other)], name="fork")
    image = k.Input((4,))
    a, b = fork([image, layers.Dense(4)(image)])
    return k.Model(image, layers.Concatenate()([b, a]))


def shared(k):
    dense, relu = k.layers.Dense(4, name="shared"), k.layers.ReLU(name="relu")
    image = k.Input((4,))
    return k.Model(image, dense(relu(dense(relu(dense(image))))))


def built_late(k):
    model = k.Sequential([k.layers.Conv1D(3, 2, name="first"), k.layers.Flatten(), k.layers.Dense(2)])
    model.build((None, 5, 3))
    return model


def nested_built_late(k):
    image = k.Input((4,))
    inner = k.Sequential([k.layers.Dense(4, activation="relu")], name="inner")
    return k.Model(image, inner(inner(image)))


CHAINS = [chain_2d, chain_3d, built_late]
GRAPHS = [graph, residual, nested_twice, nested_with_two_ends, shared, nested_built_late]


@pytest.mark.parametrize("make", CHAINS + GRAPHS)
def test_reading_is_exact(keras, make, rng):
    check_equal(make(keras), rng)


def test_a_part_of_a_model_is_read_exactly(keras, rng):
    whole = nested_twice(keras)
    check_equal(keras.Model(whole.input, whole.layers[-2].output), rng)


@pytest.mark.parametrize("name", ["lif-mnist", "diehl-mnist"])
def test_presets(name, rng):
    check_equal(snc.preset(name), rng, n=1)


class TestNames:
    def test_stay(self, keras):
        model = as_model(graph(keras))
        assert list(model.layers)[:3] == ["image", "a", "a_relu"]
        assert model.output == "scores"

    def test_of_nested_layers(self, keras):
        names = set(as_model(nested_twice(keras)).layers)
        assert {"outer.conv", "outer.conv_relu", "outer.inner.point", "outer.add"} < names
        assert {"outer.conv_2", "outer.conv_relu_2", "outer.inner.point_2", "outer.add_2"} < names

    def test_of_shared_layers(self, keras, rng):
        model = as_model(randomise(shared(keras), rng))
        assert {"shared", "shared_2", "shared_3"} < set(model.layers)
        assert np.array_equal(model.arrays["shared/kernel"], model.arrays["shared_3/kernel"])

    def test_slashes_become_dots(self):
        model = tf.keras.Sequential([tf.keras.Input((4,)), tf.keras.layers.Dense(3, name="block/dense")])
        assert as_model(model).output == "block.dense"

    def test_of_helpers_do_not_clash(self, keras, rng):
        layers = [keras.layers.Dense(4, activation="relu", name="a"), keras.layers.Dense(4, name="a_relu")]
        model = check_equal(keras.Sequential([keras.Input((4,)), *layers]), rng)
        assert list(model.layers)[1:] == ["a", "a_relu", "a_relu_2"]

    def test_of_a_bounded_rectifier(self, keras):
        model = as_model(keras.Sequential([keras.Input((4,)), keras.layers.Dense(4, activation="relu6", name="d")]))
        assert {"d", "d_relu6_whole", "d_relu6_above"} < set(model.layers)
        assert model.output == "d_relu6"


def test_a_model_is_returned_as_it_is():
    model = as_model(snc.preset("lif-mnist"))
    assert as_model(model) is model
    assert inspect_keras(model) == model.metadata["reading"]


class TestReading:
    def test_what_became_of_each_layer(self, keras):
        rows = as_model(graph(keras)).metadata["reading"]
        assert json.loads(json.dumps(rows)) == rows == inspect_keras(graph(keras))
        assert [row["layer"] for row in rows] == ["image", "a", "b", "total", "both", "tall", "mean", "scores"]
        assert rows[1] == {"layer": "a", "class": "Conv2D", "status": "exact", "remark": "", "became": ["a", "a_relu"]}

    def test_of_shared_and_nested_layers(self, keras):
        rows = {row["layer"]: row for row in inspect_keras(nested_twice(keras))}
        assert rows["outer.inner.point"]["became"] == ["outer.inner.point", "outer.inner.point_2"]

    @pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64"])
    def test_of_other_precisions(self, keras, policy, rng):
        dense = keras.layers.Dense(3, name="d", dtype=policy)
        model = as_model(randomise(keras.Sequential([keras.Input((4,)), dense]), rng))
        assert np.array_equal(model.arrays["d/kernel"], np.asarray(dense.get_weights()[0], np.float32))
        row = model.metadata["reading"][1]
        assert (row["status"], row["remark"]) == ("approximated", f"computed in float32, not in {policy}")

    def test_goes_on_after_a_refused_layer(self, keras):
        layers = keras.layers
        image = keras.Input((8, 4), name="image")
        a = layers.Conv1D(4, 3, padding="same", name="a")(image)
        b = layers.LSTM(4, return_sequences=True, name="b")(image)
        c = layers.Conv1D(4, 3, padding="same", name="c")(b)
        d = layers.LSTM(4, name="d")(layers.Add(name="sum")([a, c]))
        model = keras.Model(image, layers.Dense(4, activation="tanh", name="e")(d))
        found = {row["layer"]: row["status"] for row in inspect_keras(model)}
        status = {"a": "exact", "b": "refused", "c": "exact", "sum": "exact", "d": "refused"}
        assert found == {"image": "exact", **status, "e": "refused"}
        with pytest.raises(snc.ConversionError, match=r"^layer 'b' .LSTM. is recurrent.* .so with 'd'."):
            as_model(model)

    def test_names_every_refused_layer_with_its_reason(self, keras):
        image = keras.Input((4,))
        one, other = (keras.layers.Dense(4, activation=name, name=name)(image) for name in ("tanh", "sigmoid"))
        model = keras.Model(image, keras.layers.Add()([one, other]))
        with pytest.raises(snc.ConversionError) as error:
            as_model(model)
        assert str(error.value).splitlines() == [
            f"layer '{name}' (Dense) has activation '{name}', which spiking neurons cannot compute: "
            "train the model with 'relu' instead"
            for name in ("tanh", "sigmoid")
        ]


class TestTraining:
    @pytest.mark.parametrize(
        ("layer", "message"),
        [
            (lambda k: k.layers.Dense(3, name="l", trainable=False), "has trainable=False, which .* does not heed"),
            (lambda k: k.layers.Dense(3, name="l", kernel_regularizer="l2"), "has kernel_regularizer, which"),
            (lambda k: k.layers.Dense(3, name="l", bias_constraint="non_neg"), "has bias_constraint, which"),
            (lambda k: k.layers.BatchNormalization(name="l"), "trained as a plain scale and shift, without normal"),
            (lambda k: k.layers.GaussianNoise(0.1, name="l"), "does nothing while nengo_snnconv trains"),
        ],
    )
    def test_what_it_will_not_heed_is_said(self, keras, layer, message):
        model = keras.Sequential([keras.Input((4,)), layer(keras)])
        as_model(model)  # without a warning
        with pytest.warns(UserWarning, match=f"^layer 'l' .*{message}"):
            as_model(model, training=True)

    def test_shared_layers(self, keras):
        with pytest.warns(UserWarning, match="'shared' .Dense. is used 3 times, which training does not keep equal"):
            as_model(shared(keras), training=True)

    def test_build_trainable_says_it(self, keras):
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, trainable=False, name="l")])
        with pytest.warns(UserWarning, match="'l' .Dense. has trainable=False"):
            snc.build_trainable(model)


REFUSED = {
    "unknown layer": (lambda k: k.layers.Discretization([0.0], name="l"), ".Discretization. is not supported: put"),
    "unknown layer with advice": (lambda k: k.layers.LayerNormalization(name="l"), "with BatchNormalization"),
    "tanh": (lambda k: k.layers.Dense(3, activation="tanh", name="l"), "ends the model with activation 'tanh': leave"),
    "sigmoid": (lambda k: k.layers.Activation("sigmoid", name="l"), "ends the model with activation 'sigmoid'"),
    "layer as activation": (lambda k: k.layers.Dense(3, activation=k.layers.ELU(), name="l"), "with activation 'ELU'"),
    "threshold": (lambda k: k.layers.ReLU(threshold=0.5, name="l"), "has threshold=0.5, where it jumps: train"),
    "slope for each place": (lambda k: k.layers.PReLU(name="l"), r"share them with shared_axes=\[1\]"),
    "two axes": (lambda k: k.layers.Normalization(axis=(1, 2), name="l"), r"along the axes \[1, 2\]: use one"),
    "batch axis": (lambda k: k.layers.Concatenate(axis=0, name="l"), "along axis 0, the batch"),
    "Lambda": (lambda k: k.layers.Lambda(lambda x: x, name="l"), ".Lambda. holds Python code"),
    "wrapper": (lambda k: k.layers.TimeDistributed(k.layers.Dense(3), name="l"), "TimeDistributed. is not supported"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_refused_by_name(keras, case):
    make, message = REFUSED[case]
    image = keras.Input((4, 4))
    layer = make(keras)
    outcome = layer([image, image]) if case == "batch axis" else layer(image)
    model = keras.Model(image, outcome)
    with pytest.raises(snc.ConversionError, match=f"layer 'l'.*{message}"):
        as_model(model)
    (row,) = inspect_keras(model)[1:]
    assert (row["status"], row["became"]) == ("refused", [])


IMAGE_REFUSED = {
    "bilinear": (lambda k: k.layers.UpSampling2D(interpolation="bilinear"), "interpolation='bilinear': use 'nearest'"),
    "slope for each place": (lambda k: k.layers.PReLU(), r"shared_axes=\[1, 2\]"),
    "renormalisation": (lambda k: k.layers.BatchNormalization(renorm=True), "renorm=True"),
    "two axes": (lambda k: k.layers.BatchNormalization(axis=[1, 2]), r"along the axes \[1, 2\]"),
}


@pytest.mark.parametrize("case", IMAGE_REFUSED)
def test_what_cannot_be_read_of_images(keras, case):
    if keras is keras3 and case == "two axes":
        pytest.skip("Keras 3 normalises along one axis")
    if case == "renormalisation" and "renorm" not in inspect.signature(keras.layers.BatchNormalization).parameters:
        pytest.skip("this Keras 3 has no renormalisation")
    make, message = IMAGE_REFUSED[case]
    with pytest.raises(snc.ConversionError, match=message):
        as_model(keras.Sequential([keras.Input((4, 4, 2)), make(keras)]))


class TestRefused:
    def test_no_model(self):
        with pytest.raises(snc.ConversionError, match="expected a Keras model"):
            as_model(3)

    def test_unknown_input_shape(self, keras):
        with pytest.raises(snc.ConversionError, match="input shape is not known"):
            as_model(keras.Sequential([keras.layers.Dense(3)]))

    def test_open_axis(self, keras):
        with pytest.raises(snc.ConversionError, match="open axis"):
            as_model(keras.Sequential([keras.Input((None, 4)), keras.layers.Dense(3)]))

    def test_sparse_input(self, keras):
        with pytest.raises(snc.ConversionError, match="sparse"):
            as_model(keras.Sequential([keras.Input((4,), sparse=True), keras.layers.Dense(3)]))

    def test_subclassed(self, keras):
        class Own(keras.Model):
            pass

        with pytest.raises(snc.ConversionError, match="subclassed"):
            as_model(Own())

    def test_functional_model_with_a_call_of_its_own(self, keras):
        class Own(keras.Model):
            def call(self, inputs, **options):
                return 2 * super().call(inputs, **options)

        image = keras.Input((4,))
        with pytest.raises(snc.ConversionError, match="subclassed"):
            as_model(Own(image, keras.layers.Dense(3)(image)))

    def test_own_training_step_is_none_of_our_business(self, keras, rng):
        class Own(keras.Model):
            def train_step(self, data):
                raise NotImplementedError

        image = keras.Input((4,))
        check_equal(Own(image, keras.layers.Dense(3)(image)), rng)

    def test_two_outputs(self, keras):
        image = keras.Input((4,))
        outputs = [keras.layers.Dense(4, name=name)(image) for name in "ab"]
        with pytest.raises(snc.ConversionError, match=r"'a' .Dense. is one of 2 outputs, 'a', 'b': make a model"):
            as_model(keras.Model(image, outputs))

    def test_two_inputs(self, keras):
        images = [keras.Input((4,), name=name) for name in "ab"]
        model = keras.Model(images, keras.layers.Add(name="sum")(images))
        with pytest.raises(snc.ConversionError, match="'b' .InputLayer. is a further input: make a model of one"):
            as_model(model)
        assert [row["status"] for row in inspect_keras(model)] == ["exact", "refused", "exact"]

    def test_own_class(self, keras):
        class Dense(keras.layers.Dense):
            def call(self, inputs):
                return 2 * super().call(inputs)

        with pytest.raises(snc.ConversionError, match="'l' .Dense. is a class of .*, not one of Keras"):
            as_model(keras.Sequential([keras.Input((4,)), Dense(3, name="l")]))

    def test_own_activation_with_the_name_of_keras_own(self, keras):
        def relu(x):
            return 2 * x

        with pytest.raises(snc.ConversionError, match="has an activation of your own, 'relu' of .*: use 'relu'"):
            as_model(keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation=relu)]))

    @pytest.mark.parametrize("kind", ["Dropout", "BatchNormalization", "GaussianNoise"])
    def test_layer_that_always_trains(self, keras, kind):
        layer = getattr(keras.layers, kind)(*[] if kind == "BatchNormalization" else [0.5], name="l")
        image = keras.Input((4,))
        with pytest.raises(snc.ConversionError, match="'l' .* is called with {'training': True}"):
            as_model(keras.Model(image, layer(image, training=True)))

    def test_not_training_is_said_freely(self, keras, rng):
        image = keras.Input((4,))
        check_equal(keras.Model(image, keras.layers.BatchNormalization()(image, training=False)), rng)

    def test_operators_that_cannot_be_kept(self, keras):
        image = keras.Input((4,))
        exponential = tf.exp if keras is tf.keras else keras.ops.exp
        for outcome, message in [
            (image * image, "multiplies tensors"),
            (1 / image, "divides by a tensor"),
            (exponential(image), "ends the model with 'exp'"),
        ]:
            with pytest.raises(snc.ConversionError, match=message):
                as_model(keras.Model(image, outcome))

    def test_constant_that_is_not_one_of_channels(self, keras):
        image = keras.Input((4, 4))
        for constant in (np.ones((4, 1)), np.ones((4, 4)), np.ones(4)):
            model = keras.Model(image, image + constant.astype(np.float32))
            if constant.size == 4:
                assert inspect_keras(model)[1]["status"] == "exact"
            else:
                with pytest.raises(snc.ConversionError, match=r"has values of shape \(4, .\) for 4 places"):
                    as_model(model)

    def test_operator_that_broadcasts(self, keras):
        image = keras.Input((4, 3))
        mean = keras.layers.GlobalAveragePooling1D(keepdims=True)(image)
        with pytest.raises(snc.ConversionError, match="adds inputs of different shapes"):
            as_model(keras.Model(image, image + mean))

    def test_weights_that_are_no_numbers(self, keras):
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="l")])
        model.set_weights([np.full((4, 3), np.nan), np.zeros(3)])
        with pytest.raises(snc.ConversionError, match="'l' .Dense. holds NaN or infinity"):
            as_model(model)

    @pytest.mark.filterwarnings("ignore:Layer InputLayer does not have", "ignore:__array__ implementation")
    def test_quantised(self):
        model = keras3.Sequential([keras3.Input((4,)), keras3.layers.Dense(3, name="l")])
        model.quantize("int8")
        with pytest.raises(snc.ConversionError, match="'l' .Dense. is quantised"):
            as_model(model)

    def test_lora(self):
        model = keras3.Sequential([keras3.Input((4,)), keras3.layers.Dense(3, name="l")])
        model.layers[0].enable_lora(2)
        with pytest.raises(snc.ConversionError, match="'l' .Dense. has LoRA weights"):
            as_model(model)

    def test_an_option_that_nobody_heeds(self, monkeypatch):
        """What a later Keras may add must not pass in silence."""
        model = keras3.Sequential([keras3.Input((4,)), keras3.layers.Dense(3, name="l")])
        config = model.get_config()
        config["layers"][1]["config"]["tempered"] = 3
        monkeypatch.setattr(type(model), "get_config", lambda self: config)
        with pytest.raises(snc.ConversionError, match="'l' .Dense. has {'tempered': 3}, which cannot be kept"):
            as_model(model)


def test_only_what_leads_to_the_output_is_kept(keras, rng):
    layers = keras.layers
    one = keras.Input((4,))
    fork = keras.Model(one, [layers.Dense(4, name="used")(one), layers.Dense(4, name="dead")(one)], name="fork")
    image = keras.Input((4,))
    model = check_equal(keras.Model(image, fork(image)[0]), rng)
    assert [type(layer) for layer in model.layers.values()] == [specs.Input, specs.Dense]
