"""The rate network as a plain Keras model: what training sees, and the ANN that spikes are compared with."""

import contextlib
import sys

from ..compat import tf
from ..memory import MEMORY_MB, bytes_of_pass, images_together
from ..model import layers as specs
from ..neurons.rates import rate_function
from .keras_layers import keras_layer


def rate_model(network, layers=None):
    """The rate network of a ConvNetwork as a Keras model: the ANN.

    Parameters
    ----------
    network : ConvNetwork
    layers : sequence of str, optional
        Give the activity of these layers, not just the output.

    Returns
    -------
    tf.keras.Model
        From images (batch, height, width, channel) to the network's output, or to a list of the layers' activity, with
        the network's arrays.  Its layers have the names of the model's.

    Raises
    ------
    ConversionError
        If the network's neurons have no rate form.
    """
    if not network.settings.has_rates:
        rate_function(network.settings.neuron_type)(None)  # raises, and says why
    model, tensors = network.model, {}
    for name, layer in model.layers.items():
        inputs = [tensors[i] for i in layer.inputs]
        if isinstance(layer, specs.Input):
            tensors[name] = tf.keras.Input(layer.shape, name=name)
        elif isinstance(layer, specs.Rectifier):
            tensors[name] = network.settings.rate(model, name)(inputs[0])
        else:
            tensors[name] = keras_layer(layer, model.arrays_of(name))(inputs if len(inputs) > 1 else inputs[0])
    outputs = tensors[model.output] if layers is None else [tensors[name] for name in layers]
    with deep_recursion(len(model.layers)):
        return tf.keras.Model(tensors[model.input], outputs)


@contextlib.contextmanager
def deep_recursion(depth):
    """Let Python functions call themselves ``depth`` times more: Keras does so for each layer of a model in a row."""
    before = sys.getrecursionlimit()
    # some functions in between for each layer
    sys.setrecursionlimit(max(before, 4 * depth + 1000))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def prediction_batch(model, memory_mb=MEMORY_MB, kept=()):
    """How many images go through the ANN of a model together: 500, or fewer where the model is large.

    Parameters
    ----------
    model : Model
    memory_mb : float
        That their activity may take.
    kept : iterable of str
        Layers whose activity is asked for.
    """
    return images_together(bytes_of_pass(model, kept), memory_mb, most=500)


def outputs_of(keras, x, batch_size=500):
    """What a Keras model gives for arrays: what its ``predict`` does, without tracing it first for just one batch.

    Parameters
    ----------
    keras : tf.keras.Model
    x : ndarray, (images, ...)
    batch_size : int
        :func:`prediction_batch` says how many fit into memory.

    Returns
    -------
    ndarray or list of ndarray
        For each of the model's outputs.
    """
    if len(x) > batch_size:
        return keras.predict(x, batch_size=batch_size, verbose=0)
    return tf.nest.map_structure(lambda tensor: tensor.numpy(), keras(x))


def arrays_of_rate_model(network, rates):
    """The arrays that the Keras model ``rates`` of ``network`` holds now: {"conv1/kernel": ndarray, ...}."""
    arrays = {}
    for name in network.model.layers:
        names = network.model.array_names(name)
        values = rates.get_layer(name).get_weights() if names else []
        arrays.update(zip(names, values, strict=True))
    return arrays
