"""Live Keras models that are not what their configuration says: own classes, and calls as if in training."""

import numpy as np
import pytest
from damaged_keras_files import LIBRARIES, save

import nengo_snnconv as snc
from nengo_snnconv.formats.keras import as_model, inspect_keras


@pytest.fixture(params=LIBRARIES)
def keras(request):
    return LIBRARIES[request.param]


def doubled(base):
    """A class with the name of Keras' own that computes twice as much."""

    def call(self, inputs, *arguments, **options):
        return 2 * base.call(self, inputs)

    return type(base.__name__, (base,), {"call": call, "__module__": "mine"})


def in_a_sequence(k, layer):
    return k.Sequential([k.Input((6, 6, 2)), layer])


def in_a_graph(k, layer):
    image = k.Input((6, 6, 2))
    return k.Model(image, k.layers.Flatten()(layer(image)))


def nested(k, layer):
    return in_a_graph(k, k.Sequential([k.Input((6, 6, 2)), layer], name="inner"))


def nested_twice(k, layer):
    return in_a_sequence(k, nested(k, layer))


PLACES = [in_a_sequence, in_a_graph, nested, nested_twice]
LAYERS = {
    "Conv2D": lambda layers, wrap: wrap(layers.Conv2D)(3, 3, name="own"),
    "ReLU": lambda layers, wrap: wrap(layers.ReLU)(name="own"),
    "Flatten": lambda layers, wrap: wrap(layers.Flatten)(name="own"),
    "BatchNormalization": lambda layers, wrap: wrap(layers.BatchNormalization)(name="own"),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", LAYERS)
def test_own_layers_with_the_name_of_keras(keras, kind, place):
    if kind == "Flatten" and place is not in_a_sequence:
        pytest.skip("another Flatten follows")
    model = place(keras, LAYERS[kind](keras.layers, doubled))
    with pytest.raises(
        snc.ConversionError, match=rf"own' .{kind}. is (of a class of your own, mine\.{kind}|a class of)"
    ):
        as_model(model)
    statuses = {row["layer"].rpartition(".")[2]: row["status"] for row in inspect_keras(model)}
    assert statuses["own"] == "refused"
    assert as_model(place(keras, LAYERS[kind](keras.layers, lambda cls: cls))).layers


def test_own_operation_with_the_name_of_keras():
    keras = LIBRARIES["Keras 3"]

    class Relu(keras.Operation):
        def call(self, x):
            return 2 * x

        def compute_output_spec(self, x):
            return keras.KerasTensor(x.shape, x.dtype)

    with pytest.raises(snc.ConversionError, match="is a class of"):
        as_model(in_a_graph(keras, Relu()))


def test_call_that_was_replaced(keras):
    layer = keras.layers.ReLU(name="own")
    layer.call = lambda x: 2 * x
    with pytest.raises(snc.ConversionError, match=r"'own' .ReLU. is of a class of your own"):
        as_model(in_a_sequence(keras, layer))


@pytest.mark.parametrize("kind", ["Sequential", "Functional"])
def test_own_models_with_the_name_of_keras(keras, kind):
    layers = [keras.Input((6, 6, 2)), keras.layers.ReLU()]
    if kind == "Sequential":
        inner = doubled(keras.Sequential)(layers, name="inner")
    else:
        image = keras.Input((6, 6, 2))
        base = type(keras.Model(image, keras.layers.ReLU()(image)))
        inner = doubled(base)(image, keras.layers.ReLU()(image), name="inner")
    message = rf"'inner' .{kind}. is (of a class of your own, mine.{kind}, with a call|a class of)"
    with pytest.raises(snc.ConversionError, match=message):
        as_model(in_a_graph(keras, inner))
    with pytest.raises(snc.ConversionError, match="subclassed Keras model"):
        as_model(inner)


@pytest.mark.parametrize("wrap", [lambda k, layer: k.Sequential([k.Input((6, 6, 2)), layer], name="inner"), None])
def test_models_called_as_in_training(keras, wrap, rng):
    def model(**options):
        layer = keras.layers.BatchNormalization(name="inner")
        image = keras.Input((6, 6, 2))
        return keras.Model(image, (layer if wrap is None else wrap(keras, layer))(image, **options))

    with pytest.raises(snc.ConversionError, match=r"'inner' .\w+. is called with {'training': True}: leave that out"):
        as_model(model(training=True))
    for options in ({}, {"training": False}):
        assert len(as_model(model(**options)).layers) == 2


def test_files_of_models_called_as_in_training(keras, tmp_path):
    image = keras.Input((6, 6, 2))
    inner = keras.Sequential([keras.Input((6, 6, 2)), keras.layers.BatchNormalization()], name="inner")
    path = save(keras.Model(image, inner(image, training=True)), tmp_path / "model.keras")
    with pytest.raises(snc.ConversionError, match=r"'inner' .Sequential. is called with {'training': True}"):
        as_model(path)


def test_subclasses_that_compute_what_keras_does(keras):
    class Net(keras.Sequential):
        pass

    model = Net([keras.Input((4,)), keras.layers.Dense(3, name="scores")])
    assert np.array_equal(as_model(model).arrays["scores/kernel"], model.get_weights()[0])


@pytest.mark.parametrize("name", ["Conv1DTranspose", "Conv2DTranspose"])
@pytest.mark.parametrize("extra", [0, 1])
def test_output_padding_of_live_layers_counts(keras, name, extra):
    """Some versions of Keras leave this option out of the configuration."""
    layer = getattr(keras.layers, name)(3, 4, strides=2, output_padding=extra)
    model = keras.Sequential([keras.Input((5, 2) if "1D" in name else (5, 5, 2)), layer])
    read = as_model(model)
    assert read.shapes[read.output] == tuple(model.output_shape)[1:]


def test_a_layer_with_another_shape_than_in_keras_is_refused(keras, monkeypatch):
    monkeypatch.setattr("nengo_snnconv.formats.keras.walk.output_shape", lambda layer: (7, 7, 3))
    with pytest.raises(snc.ConversionError, match=r"layer 'conv'.*\(7, 7, 3\) in Keras but \(4, 4, 3\) here"):
        as_model(in_a_sequence(keras, keras.layers.Conv2D(3, 3, name="conv")))
