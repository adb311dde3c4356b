"""Live Keras models that differ from their configuration: custom classes, and calls with training=True."""

import numpy as np
import pytest
from damaged_keras_files import LIBRARIES, save

import nengo_snnconv as snc
from nengo_snnconv.formats.keras import as_model, inspect_keras


@pytest.fixture(params=LIBRARIES)
def keras(request):
    return LIBRARIES[request.param]


def doubled(base):
    """Return a subclass with the name of its Keras class whose output is doubled."""

    def call(self, inputs, *arguments, **options):
        return 2 * base.call(self, inputs)

    return type(base.__name__, (base,), {"call": call, "__module__": "mine"})


def in_sequential(k, layer):
    return k.Sequential([k.Input((6, 6, 2)), layer])


def in_functional(k, layer):
    image = k.Input((6, 6, 2))
    return k.Model(image, k.layers.Flatten()(layer(image)))


def nested(k, layer):
    return in_functional(k, k.Sequential([k.Input((6, 6, 2)), layer], name="inner"))


def nested_twice(k, layer):
    return in_sequential(k, nested(k, layer))


MODELS = [in_sequential, in_functional, nested, nested_twice]
LAYERS = {
    "Conv2D": lambda layers, wrap: wrap(layers.Conv2D)(3, 3, name="own"),
    "ReLU": lambda layers, wrap: wrap(layers.ReLU)(name="own"),
    "Flatten": lambda layers, wrap: wrap(layers.Flatten)(name="own"),
    "BatchNormalization": lambda layers, wrap: wrap(layers.BatchNormalization)(name="own"),
}


@pytest.mark.parametrize("make_model", MODELS)
@pytest.mark.parametrize("kind", LAYERS)
def test_custom_layer_with_the_name_of_a_keras_class(keras, kind, make_model):
    if kind == "Flatten" and make_model is not in_sequential:
        pytest.skip("another Flatten follows")
    model = make_model(keras, LAYERS[kind](keras.layers, doubled))
    with pytest.raises(snc.ConversionError, match=rf"class (mine\.{kind}|of mine)") as caught:
        as_model(model)
    assert caught.value.layer.rpartition(".")[2] == "own"
    statuses = {row["layer"].rpartition(".")[2]: row["status"] for row in inspect_keras(model)}
    assert statuses["own"] == "refused"
    assert as_model(make_model(keras, LAYERS[kind](keras.layers, lambda cls: cls))).layers


def test_custom_operation_with_the_name_of_a_keras_class():
    keras = LIBRARIES["Keras 3"]

    class Relu(keras.Operation):
        def call(self, x):
            return 2 * x

        def compute_output_spec(self, x):
            return keras.KerasTensor(x.shape, x.dtype)

    with pytest.raises(snc.ConversionError, match="is a class of"):
        as_model(in_functional(keras, Relu()))


def test_replaced_call_method(keras):
    layer = keras.layers.ReLU(name="own")
    layer.call = lambda x: 2 * x
    with pytest.raises(snc.ConversionError, match="has a call method") as caught:
        as_model(in_sequential(keras, layer))
    assert caught.value.layer == "own"


@pytest.mark.parametrize("kind", ["Sequential", "Functional"])
def test_custom_model_with_the_name_of_a_keras_class(keras, kind):
    layers = [keras.Input((6, 6, 2)), keras.layers.ReLU()]
    if kind == "Sequential":
        inner = doubled(keras.Sequential)(layers, name="inner")
    else:
        image = keras.Input((6, 6, 2))
        base = type(keras.Model(image, keras.layers.ReLU()(image)))
        inner = doubled(base)(image, keras.layers.ReLU()(image), name="inner")
    with pytest.raises(snc.ConversionError, match=rf"class (mine\.{kind}|of mine)") as caught:
        as_model(in_functional(keras, inner))
    assert caught.value.layer == "inner"
    with pytest.raises(snc.ConversionError, match="subclassed Keras model"):
        as_model(inner)


@pytest.mark.parametrize("wrap", [lambda k, layer: k.Sequential([k.Input((6, 6, 2)), layer], name="inner"), None])
def test_call_with_training(keras, wrap, rng):
    def model(**options):
        layer = keras.layers.BatchNormalization(name="inner")
        image = keras.Input((6, 6, 2))
        return keras.Model(image, (layer if wrap is None else wrap(keras, layer))(image, **options))

    with pytest.raises(snc.ConversionError, match="called with {'training': True}") as caught:
        as_model(model(training=True))
    assert caught.value.layer == "inner"
    for options in ({}, {"training": False}):
        assert len(as_model(model(**options)).layers) == 2


def test_call_with_training_in_a_file(keras, tmp_path):
    image = keras.Input((6, 6, 2))
    inner = keras.Sequential([keras.Input((6, 6, 2)), keras.layers.BatchNormalization()], name="inner")
    path = save(keras.Model(image, inner(image, training=True)), tmp_path / "model.keras")
    with pytest.raises(snc.ConversionError, match="called with {'training': True}") as caught:
        as_model(path)
    assert caught.value.layer == "inner"


def test_subclass_without_a_call_method_is_read(keras):
    class Net(keras.Sequential):
        pass

    model = Net([keras.Input((4,)), keras.layers.Dense(3, name="scores")])
    assert np.array_equal(as_model(model).arrays["scores/kernel"], model.get_weights()[0])


@pytest.mark.parametrize("name", ["Conv1DTranspose", "Conv2DTranspose"])
@pytest.mark.parametrize("extra", [0, 1])
def test_output_padding_is_read_from_the_live_layer(keras, name, extra):
    """Some versions of Keras omit this option in the configuration."""
    layer = getattr(keras.layers, name)(3, 4, strides=2, output_padding=extra)
    model = keras.Sequential([keras.Input((5, 2) if "1D" in name else (5, 5, 2)), layer])
    read = as_model(model)
    assert read.shapes[read.output] == tuple(model.output_shape)[1:]


def test_different_output_shape_than_in_keras_is_refused(keras, monkeypatch):
    monkeypatch.setattr("nengo_snnconv.formats.keras.model_reader.output_shape_of_single_call", lambda layer: (7, 7, 3))
    with pytest.raises(snc.ConversionError, match=r"shape \(7, 7, 3\)") as caught:
        as_model(in_sequential(keras, keras.layers.Conv2D(3, 3, name="conv")))
    assert caught.value.layer == "conv"
