"""Whole Keras models: chains, graphs, nested and shared layers, and the report on them."""

import json

import numpy as np
import pytest
from keras_comparison import LIBRARIES, check_equal, randomise

import nengo_snnconv as snc
from nengo_snnconv.compat import tf
from nengo_snnconv.formats.keras import as_model, inspect_keras
from nengo_snnconv.model import layers as specs


@pytest.fixture(params=LIBRARIES)
def keras(request):
    """Library that creates the models."""
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
    """Return a small model that may contain another one."""
    layers = k.layers
    image = k.Input((6, 6, 2))
    x = layers.Conv2D(2, 3, padding="same", activation="relu", name="conv")(image)
    return k.Model(image, layers.Add(name="add")([image, x if inner is None else inner(x)]), name=name)


def nested_twice(k):
    """Return a model with a nested model of two levels that is called twice."""
    inner = k.Sequential([k.Input((6, 6, 2)), k.layers.Conv2D(2, 1, name="point"), k.layers.ReLU()], name="inner")
    outer = block(k, "outer", inner)
    image = k.Input((6, 6, 2))
    return k.Model(image, k.layers.Flatten()(outer(k.layers.ReLU()(outer(image)))))


def nested_with_two_outputs(k):
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

GRAPHS = [graph, residual, nested_twice, nested_with_two_outputs, shared, nested_built_late]


@pytest.mark.parametrize("make", CHAINS + GRAPHS)
def test_reading_is_exact(keras, make, rng):
    check_equal(make(keras), rng)


def test_part_of_a_model(keras, rng):
    whole = nested_twice(keras)
    check_equal(keras.Model(whole.input, whole.layers[-2].output), rng)


@pytest.mark.parametrize("name", ["lif-mnist", "diehl-mnist"])
def test_presets(name, rng):
    check_equal(snc.preset(name), rng, n=1)


class TestNames:
    def test_names_are_kept(self, keras):
        model = as_model(graph(keras))
        assert list(model.layers)[:3] == ["image", "a", "a_relu"]
        assert model.output == "scores"

    def test_names_of_nested_layers(self, keras):
        names = set(as_model(nested_twice(keras)).layers)
        assert {"outer.conv", "outer.conv_relu", "outer.inner.point", "outer.add"} < names
        assert {"outer.conv_2", "outer.conv_relu_2", "outer.inner.point_2", "outer.add_2"} < names

    def test_names_of_shared_layers(self, keras, rng):
        model = as_model(randomise(shared(keras), rng))
        assert {"shared", "shared_2", "shared_3"} < set(model.layers)
        assert np.array_equal(model.arrays["shared/kernel"], model.arrays["shared_3/kernel"])

    def test_slashes_become_dots(self):
        model = tf.keras.Sequential([tf.keras.Input((4,)), tf.keras.layers.Dense(3, name="block/dense")])
        assert as_model(model).output == "block.dense"

    def test_added_names_are_unique(self, keras, rng):
        layers = [keras.layers.Dense(4, activation="relu", name="a"), keras.layers.Dense(4, name="a_relu")]
        model = check_equal(keras.Sequential([keras.Input((4,)), *layers]), rng)
        assert list(model.layers)[1:] == ["a", "a_relu", "a_relu_2"]

    def test_names_of_a_bounded_rectifier(self, keras):
        model = as_model(keras.Sequential([keras.Input((4,)), keras.layers.Dense(4, activation="relu6", name="d")]))
        assert {"d", "d_relu6_whole", "d_relu6_above"} < set(model.layers)
        assert model.output == "d_relu6"


def test_model_is_returned_unchanged():
    model = as_model(snc.preset("lif-mnist"))
    assert as_model(model) is model
    assert inspect_keras(model) == model.metadata["reading"]


class TestReport:
    def test_rows(self, keras):
        rows = as_model(graph(keras)).metadata["reading"]
        assert json.loads(json.dumps(rows)) == rows == inspect_keras(graph(keras))
        assert [row["layer"] for row in rows] == ["image", "a", "b", "total", "both", "tall", "mean", "scores"]
        assert rows[1] == {"layer": "a", "class": "Conv2D", "status": "exact", "remark": "", "became": ["a", "a_relu"]}

    def test_shared_and_nested_layers(self, keras):
        rows = {row["layer"]: row for row in inspect_keras(nested_twice(keras))}
        assert rows["outer.inner.point"]["became"] == ["outer.inner.point", "outer.inner.point_2"]

    @pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64"])
    def test_other_precisions(self, keras, policy, rng):
        dense = keras.layers.Dense(3, name="d", dtype=policy)
        model = as_model(randomise(keras.Sequential([keras.Input((4,)), dense]), rng))
        assert np.array_equal(model.arrays["d/kernel"], np.asarray(dense.get_weights()[0], np.float32))
        row = model.metadata["reading"][1]
        assert (row["status"], row["remark"]) == ("approximated", f"computed in float32, not in {policy}")

    def test_continues_after_a_refused_layer(self, keras):
        layers = keras.layers
        image = keras.Input((8, 4), name="image")
        a = layers.Conv1D(4, 3, padding="same", name="a")(image)
        b = layers.LSTM(4, return_sequences=True, name="b")(image)
        c = layers.Conv1D(4, 3, padding="same", name="c")(b)
        d = layers.LSTM(4, name="d")(layers.Add(name="sum")([a, c]))
        model = keras.Model(image, layers.Dense(4, activation="tanh", name="e")(d))
        found = {row["layer"]: row["status"] for row in inspect_keras(model)}
        expected = {"a": "exact", "b": "refused", "c": "exact", "sum": "exact", "d": "refused"}
        assert found == {"image": "exact", **expected, "e": "refused"}
        with pytest.raises(snc.ConversionError, match=r"is recurrent.*\(also 'd'\)") as caught:
            as_model(model)
        assert caught.value.layer == "b"

    def test_message_names_all_refused_layers(self, keras):
        image = keras.Input((4,))
        one, other = (keras.layers.Dense(4, activation=name, name=name)(image) for name in ("tanh", "sigmoid"))
        model = keras.Model(image, keras.layers.Add()([one, other]))
        with pytest.raises(snc.ConversionError) as caught:
            as_model(model)
        assert str(caught.value).splitlines() == [
            f"layer '{name}' (Dense) has activation '{name}', which spiking neurons cannot compute: "
            "train the model with 'relu' instead"
            for name in ("tanh", "sigmoid")
        ]


class TestTraining:
    @pytest.mark.parametrize(
        ("layer", "message"),
        [
            (lambda k: k.layers.Dense(3, name="l", trainable=False), "has trainable=False, which"),
            (lambda k: k.layers.Dense(3, name="l", kernel_regularizer="l2"), "has kernel_regularizer, which"),
            (lambda k: k.layers.Dense(3, name="l", bias_constraint="non_neg"), "has bias_constraint, which"),
            (lambda k: k.layers.GaussianNoise(0.1, name="l"), "has no effect"),
        ],
    )
    def test_ignored_properties_are_warned_about(self, keras, layer, message):
        model = keras.Sequential([keras.Input((4,)), layer(keras)])
        as_model(model)  # without a warning
        with pytest.warns(UserWarning, match=f"^layer 'l' .*{message}"):
            as_model(model, training=True)

    def test_shared_layers(self, keras):
        with pytest.warns(UserWarning, match="is used 3 times"):
            as_model(shared(keras), training=True)

    def test_build_trainable_warns(self, keras):
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, trainable=False, name="l")])
        with pytest.warns(UserWarning, match="has trainable=False"):
            snc.build_trainable(model)


def test_unused_layers_are_left_out(keras, rng):
    layers = keras.layers
    one = keras.Input((4,))
    fork = keras.Model(one, [layers.Dense(4, name="used")(one), layers.Dense(4, name="dead")(one)], name="fork")
    image = keras.Input((4,))
    model = check_equal(keras.Model(image, fork(image)[0]), rng)
    assert [type(layer) for layer in model.layers.values()] == [specs.Input, specs.Dense]
