"""Comparison of Keras models with the models read from them."""

import numpy as np

import nengo_snnconv as snc
from nengo_snnconv.compat import keras3, tf
from nengo_snnconv.formats.keras import inspect_keras
from nengo_snnconv.model import layers as specs
from nengo_snnconv.networks.keras_layers import keras_layer

LIBRARIES = {"tf.keras": tf.keras, "Keras 3": keras3}


def randomise(model, rng):
    """Set the weights, biases and statistics of a Keras model to random values, and return it."""
    values = []
    for weight, value in zip(model.weights, model.get_weights(), strict=True):
        low = 0.5 if "variance" in weight.name else None
        random = rng.normal(0, 0.3, value.shape) if low is None else rng.uniform(low, 2, value.shape)
        values.append(random.astype(value.dtype))
    model.set_weights(values)
    for layer in model.layers:
        if hasattr(layer, "finalize_state"):  # Normalization of Keras 3 computes with copies of its weights
            layer.finalize_state()
    return model


def forward(model, x):
    """Return the output of a model, computed with Keras layers built from its specs and arrays."""
    values = {}
    for name, layer in model.layers.items():
        inputs = [values[i] for i in layer.inputs]
        if isinstance(layer, specs.Input):
            values[name] = tf.constant(x)
        else:
            built = keras_layer(layer, model.arrays_of(name))
            values[name] = built(inputs if len(inputs) > 1 else inputs[0])
    return values[model.output].numpy()


def check_equal(original, rng, scores=None, n=3):
    """Check that a Model read from Keras has the same output, and return it.

    ``scores`` is a Keras model with the same weights and the expected output, if that of ``original`` differs.
    """
    randomise(original, rng)
    if scores is not None:
        scores.set_weights(original.get_weights())
    model = snc.as_model(original)
    x = rng.normal(0, 2, (n, *model.shapes[model.input])).astype(np.float32)
    check_close(forward(model, x), (original if scores is None else scores)(x, training=False))
    return model


def check_close(got, expected):
    """Check that arrays are equal up to float32 rounding."""
    expected = np.asarray(expected)
    assert got.shape == expected.shape
    assert np.abs(got - expected).max() <= 1e-5 * np.abs(expected).max()


def refused(model):
    """Return {layer: remark} for the refused layers of a model."""
    return {row["layer"]: row["remark"] for row in inspect_keras(model) if row["status"] == "refused"}
