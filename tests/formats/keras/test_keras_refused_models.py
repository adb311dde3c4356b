"""Keras models that are refused: the error names the layer."""

import inspect

import numpy as np
import pytest
from keras_comparison import LIBRARIES, check_equal

import nengo_snnconv as snc
from nengo_snnconv.compat import keras3, tf
from nengo_snnconv.formats.keras import as_model, inspect_keras


@pytest.fixture(params=LIBRARIES)
def keras(request):
    """Library that creates the models."""
    return LIBRARIES[request.param]


REFUSED = {
    "unknown layer": (lambda k: k.layers.Discretization([0.0], name="l"), "is not supported: replace"),
    "unknown layer with advice": (lambda k: k.layers.LayerNormalization(name="l"), "with BatchNormalization"),
    "tanh": (lambda k: k.layers.Dense(3, activation="tanh", name="l"), "ends the model with"),
    "softplus": (lambda k: k.layers.Activation("softplus", name="l"), "ends the model with"),
    "layer as activation": (lambda k: k.layers.Dense(3, activation=k.layers.ELU(), name="l"), "with activation 'ELU'"),
    "threshold": (lambda k: k.layers.ReLU(threshold=0.5, name="l"), "has threshold=0.5"),
    "slope for each entry": (lambda k: k.layers.PReLU(name="l"), r"with shared_axes=\[1\]"),
    "two axes": (lambda k: k.layers.Normalization(axis=(1, 2), name="l"), r"along the axes \[1, 2\]"),
    "batch axis": (lambda k: k.layers.Concatenate(axis=0, name="l"), "along axis 0, the batch"),
    "Lambda": (lambda k: k.layers.Lambda(lambda x: x, name="l"), "holds Python code"),
    "wrapper": (lambda k: k.layers.TimeDistributed(k.layers.Dense(3), name="l"), "use Dense itself"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_unsupported_layers(keras, case):
    make, message = REFUSED[case]
    image = keras.Input((4, 4))
    layer = make(keras)
    outcome = layer([image, image]) if case == "batch axis" else layer(image)
    model = keras.Model(image, outcome)
    with pytest.raises(snc.ConversionError, match=message) as caught:
        as_model(model)
    assert caught.value.layer == "l"
    (row,) = inspect_keras(model)[1:]
    assert (row["status"], row["became"]) == ("refused", [])


IMAGE_REFUSED = {
    "bilinear": (lambda k: k.layers.UpSampling2D(interpolation="bilinear"), "interpolation='bilinear'"),
    "slope for each entry": (lambda k: k.layers.PReLU(), r"shared_axes=\[1, 2\]"),
    "renormalization": (lambda k: k.layers.BatchNormalization(renorm=True), "renorm=True"),
    "two axes": (lambda k: k.layers.BatchNormalization(axis=[1, 2]), r"along the axes \[1, 2\]"),
}


@pytest.mark.parametrize("case", IMAGE_REFUSED)
def test_unsupported_layers_of_images(keras, case):
    if keras is keras3 and case == "two axes":
        pytest.skip("Keras 3 normalizes along one axis")
    if case == "renormalization" and "renorm" not in inspect.signature(keras.layers.BatchNormalization).parameters:
        pytest.skip("this Keras 3 has no renormalization")
    make, message = IMAGE_REFUSED[case]
    with pytest.raises(snc.ConversionError, match=message):
        as_model(keras.Sequential([keras.Input((4, 4, 2)), make(keras)]))


class TestRefused:
    def test_other_object(self):
        with pytest.raises(snc.ConversionError, match="expected a model of Keras, ONNX or PyTorch"):
            as_model(3)

    def test_unknown_input_shape(self, keras):
        with pytest.raises(snc.ConversionError, match="input shape is not"):
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

    def test_functional_model_with_a_custom_call(self, keras):
        class Own(keras.Model):
            def call(self, inputs, **options):
                return 2 * super().call(inputs, **options)

        image = keras.Input((4,))
        with pytest.raises(snc.ConversionError, match="subclassed"):
            as_model(Own(image, keras.layers.Dense(3)(image)))

    def test_custom_training_step_is_ignored(self, keras, rng):
        class Own(keras.Model):
            def train_step(self, data):
                raise NotImplementedError

        image = keras.Input((4,))
        check_equal(Own(image, keras.layers.Dense(3)(image)), rng)

    def test_a_second_input(self, keras):
        images = [keras.Input(shape, name=name) for shape, name in (((4,), "a"), ((None, 4), "b"))]
        pooled = keras.layers.GlobalAveragePooling1D(name="mean")(images[1])
        model = keras.Model(images, keras.layers.Add(name="sum")([images[0], pooled]))
        with pytest.raises(snc.ConversionError, match="open axis") as caught:
            as_model(model)
        assert caught.value.layer == "b"
        statuses = {row["layer"]: row["status"] for row in inspect_keras(model)}
        assert (statuses["a"], statuses["b"]) == ("exact", "refused")

    def test_custom_class(self, keras):
        class Dense(keras.layers.Dense):
            def call(self, inputs):
                return 2 * super().call(inputs)

        with pytest.raises(snc.ConversionError, match=f"is a class of {__name__}, not one of Keras") as caught:
            as_model(keras.Sequential([keras.Input((4,)), Dense(3, name="l")]))
        assert caught.value.layer == "l"

    def test_custom_activation_with_the_name_of_a_keras_activation(self, keras):
        def relu(x):
            return 2 * x

        with pytest.raises(snc.ConversionError, match="activation of your own") as caught:
            as_model(keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation=relu, name="l")]))
        assert caught.value.layer == "l"

    @pytest.mark.parametrize("kind", ["Dropout", "BatchNormalization", "GaussianNoise"])
    def test_layer_called_with_training(self, keras, kind):
        layer = getattr(keras.layers, kind)(*[] if kind == "BatchNormalization" else [0.5], name="l")
        image = keras.Input((4,))
        with pytest.raises(snc.ConversionError, match="called with {'training': True}") as caught:
            as_model(keras.Model(image, layer(image, training=True)))
        assert caught.value.layer == "l"

    def test_layer_called_without_training(self, keras, rng):
        image = keras.Input((4,))
        check_equal(keras.Model(image, keras.layers.BatchNormalization()(image, training=False)), rng)

    def test_unsupported_operators(self, keras):
        image = keras.Input((4,))
        exponential = tf.exp if keras is tf.keras else keras.ops.exp
        for outcome, message in [
            (image * image, "multiplies tensors"),
            (1 / image, "divides by a tensor"),
            (exponential(image), "the model with 'exp'"),
        ]:
            with pytest.raises(snc.ConversionError, match=message):
                as_model(keras.Model(image, outcome))

    def test_constants_that_vary_along_several_axes(self, keras):
        image = keras.Input((4, 4))
        for constant in (np.ones((4, 1)), np.ones((4, 4)), np.ones(4)):
            model = keras.Model(image, image + constant.astype(np.float32))
            if constant.size == 4:
                assert inspect_keras(model)[1]["status"] == "exact"
            else:
                with pytest.raises(snc.ConversionError, match=r"of shape \(4, [14]\)") as caught:
                    as_model(model)
                assert caught.value.layer == inspect_keras(model)[1]["layer"]

    def test_sum_that_broadcasts(self, keras):
        image = keras.Input((4, 3))
        mean = keras.layers.GlobalAveragePooling1D(keepdims=True)(image)
        with pytest.raises(snc.ConversionError, match="inputs of different shapes"):
            as_model(keras.Model(image, image + mean))

    def test_nan_weights(self, keras):
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="l")])
        model.set_weights([np.full((4, 3), np.nan), np.zeros(3)])
        with pytest.raises(snc.ConversionError, match="holds NaN or infinity") as caught:
            as_model(model)
        assert caught.value.layer == "l"

    @pytest.mark.filterwarnings("ignore:Layer InputLayer does not have", "ignore:__array__ implementation")
    def test_quantized(self):
        model = keras3.Sequential([keras3.Input((4,)), keras3.layers.Dense(3, name="l")])
        model.quantize("int8")
        with pytest.raises(snc.ConversionError, match="is quantized"):
            as_model(model)

    def test_lora(self):
        model = keras3.Sequential([keras3.Input((4,)), keras3.layers.Dense(3, name="l")])
        model.layers[0].enable_lora(2)
        with pytest.raises(snc.ConversionError, match="has LoRA weights"):
            as_model(model)

    def test_unknown_option(self, monkeypatch):
        """An option that a later version of Keras adds must not be ignored silently."""
        model = keras3.Sequential([keras3.Input((4,)), keras3.layers.Dense(3, name="l")])
        config = model.get_config()
        config["layers"][1]["config"]["tempered"] = 3
        monkeypatch.setattr(type(model), "get_config", lambda self: config)
        with pytest.raises(snc.ConversionError, match="has {'tempered': 3}, which") as caught:
            as_model(model)
        assert caught.value.layer == "l"
