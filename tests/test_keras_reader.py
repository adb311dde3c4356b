import keras as keras3
import numpy as np
import pytest

import nengo_snnconv as snc
from nengo_snnconv.build.keras_layers import keras_layer
from nengo_snnconv.compat import tf
from nengo_snnconv.model import layers as specs

LIBRARIES = {"tf.keras": tf.keras, "Keras 3": keras3}


@pytest.fixture(params=LIBRARIES)
def keras(request):
    """The same models are read whichever library made them."""
    return LIBRARIES[request.param]


def randomise(model, rng):
    """Give a Keras model random weights, biases included."""
    model.set_weights([rng.normal(0, 0.3, weight.shape).astype(np.float32) for weight in model.get_weights()])
    return model


def forward(model, x):
    """A model's output, computed with Keras layers made of its specs and arrays."""
    values = {}
    for name, layer in model.layers.items():
        inputs = [values[i] for i in layer.inputs]
        if isinstance(layer, specs.Input):
            values[name] = tf.constant(x)
        elif isinstance(layer, specs.Rectifier):
            values[name] = tf.nn.relu(inputs[0])
        else:
            built = keras_layer(layer, model.arrays_of(name))
            values[name] = built(inputs if len(inputs) > 1 else inputs[0])
    return values[model.output].numpy()


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


def chain_1d(k):
    layers = k.layers
    return k.Sequential(
        [
            k.Input((20, 3)),
            layers.Conv1D(4, 3, strides=2, activation="relu"),
            layers.MaxPooling1D(2, strides=1),
            layers.AveragePooling1D(2),
            layers.GlobalMaxPooling1D(),
            layers.Dense(2),
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


@pytest.mark.parametrize("make", [chain_1d, chain_2d, chain_3d, graph])
def test_reading_is_exact(keras, make, rng):
    original = randomise(make(keras), rng)
    model = snc.as_model(original)
    x = rng.normal(size=(5, *model.shapes[model.input])).astype(np.float32)
    expected = np.asarray(original(x))
    assert np.abs(forward(model, x) - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("option", [{"trainable": False}, {"kernel_regularizer": "l2"}, {"bias_constraint": "non_neg"}])
def test_what_training_will_not_heed_is_said(keras, option):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="d", **option)])
    with pytest.warns(UserWarning, match=f"layer 'd' .Dense. has {next(iter(option))}.*does not heed"):
        snc.as_model(model)


def test_names_stay(keras):
    model = snc.as_model(graph(keras))
    assert list(model.layers)[:3] == ["image", "a", "a_relu"]
    assert model.output == "scores"


def test_a_model_is_returned_as_it_is():
    model = snc.as_model(snc.preset("lif-mnist"))
    assert snc.as_model(model) is model


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (lambda k: k.layers.LSTM(3, name="l"), "'l' .LSTM. is not supported; supported are"),
        (lambda k: k.layers.Dense(3, activation="softmax", name="l"), "'l' .Dense. has activation 'softmax': leave it"),
        (lambda k: k.layers.Dense(3, activation="tanh", name="l"), "has activation 'tanh': use 'relu'"),
        (lambda k: k.layers.Activation("sigmoid", name="l"), "has activation 'sigmoid'"),
        (lambda k: k.layers.ReLU(max_value=6, name="l"), "has {'max_value': 6"),
        (lambda k: k.layers.Conv1D(3, 2, padding="causal", name="l"), "has padding 'causal'"),
        (lambda k: k.layers.MaxPooling1D(2, data_format="channels_first", name="l"), "has channels first"),
        (lambda k: k.layers.Lambda(lambda x: x, name="l"), "Lambda"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(keras, layer, message):
    model = keras.Sequential([keras.Input((8, 4)), layer(keras)])
    with pytest.raises(snc.ConversionError, match=message):
        snc.as_model(model)


class TestRefused:
    def test_no_model(self):
        with pytest.raises(snc.ConversionError, match="expected a Keras model"):
            snc.as_model("lif-mnist")

    def test_unknown_input_shape(self, keras):
        with pytest.raises(snc.ConversionError, match="input shape is not known"):
            snc.as_model(keras.Sequential([keras.layers.Dense(3)]))

    def test_open_axis(self, keras):
        with pytest.raises(snc.ConversionError, match="open axis"):
            snc.as_model(keras.Sequential([keras.Input((None, 4)), keras.layers.Dense(3)]))

    def test_subclassed(self, keras):
        class Own(keras.Model):
            pass

        with pytest.raises(snc.ConversionError, match="subclassed"):
            snc.as_model(Own())

    def test_shared_layer(self, keras):
        image = keras.Input((4,))
        dense = keras.layers.Dense(4, name="shared")
        with pytest.raises(snc.ConversionError, match="'shared' .Dense. is used more than once"):
            snc.as_model(keras.Model(image, dense(dense(image))))

    def test_two_outputs(self, keras):
        image = keras.Input((4,))
        outputs = [keras.layers.Dense(4)(image), keras.layers.Dense(4)(image)]
        with pytest.raises(snc.ConversionError, match="2 outputs"):
            snc.as_model(keras.Model(image, outputs))

    def test_nested(self, keras):
        inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)], name="inner")
        with pytest.raises(snc.ConversionError, match="'inner' .Sequential. is not supported"):
            snc.as_model(keras.Sequential([keras.Input((4,)), inner]))
