"""The rate network as a plain Keras model: what training sees, and the ANN that spikes are compared with."""

import contextlib
import sys

from .._util.validation import shown
from ..compat import tf
from ..errors import SettingsError
from ..model import layers as specs
from ..model.memory import MEMORY_MB, bytes_of_pass, images_together
from ..neurons.rates import rate_function
from .edits import check_unedited
from .keras_layers import keras_layer, keras_name
from .network import ConvNetwork, check_network


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
        From images (batch, height, width, channel) to the network's output, in the units of the model that was
        converted, or to a list of the layers' activity, with the network's arrays: each is divided by its scale in
        ``network.model.metadata["scales"]``.  Its layers have the names of the model's; a character that TensorFlow
        does not allow in a name becomes a number ("conv 1" is "conv-x20-1").

    Raises
    ------
    ConversionError
        If the network's neurons have no rate form.
    SettingsError
        If there is no such layer.
    """
    if isinstance(network, ConvNetwork):
        check_unedited(network)
    elif not (hasattr(network, "model") and hasattr(network, "settings")):
        check_network(network)  # a stand-in with both will do
    if layers is not None:
        names = None if isinstance(layers, str) or not hasattr(layers, "__iter__") else list(layers)
        unknown = layers if not names else [name for name in names if not _is_layer(network.model, name)]
        if unknown or not names:
            known = list(network.model.layers)[:3]
            raise SettingsError(f"layers must be names of layers, such as {known}, or None; got {shown(unknown)}")
        layers = names
    if not network.settings.has_rates:
        rate_function(network.settings.neuron_type)(None)  # raises, and says why
    model, tensors = network.model, {}
    for name, layer in model.layers.items():
        inputs = [tensors[i] for i in layer.inputs]
        if isinstance(layer, specs.Input):
            tensors[name] = tf.keras.Input(layer.shape, name=keras_name(name))
        elif isinstance(layer, specs.Rectifier):
            tensors[name] = network.settings.rate(model, name)(inputs[0])
        else:
            tensors[name] = keras_layer(layer, model.arrays_of(name))(inputs if len(inputs) > 1 else inputs[0])
    if layers is None:
        outputs = tensors[model.output]
        if model.output_scale != 1:
            # no layer of the model has a slash in its name
            outputs = tf.keras.layers.Rescaling(model.output_scale, name="output/scale")(outputs)
    else:
        outputs = [tensors[name] for name in layers]
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
    """Return how many images go through the ANN of a model together: 500, or fewer where the model is large.

    Parameters
    ----------
    model : Model
    memory_mb : float
        Memory that their activity may take.
    kept : iterable of str
        Layers whose activity is asked for.
    """
    return images_together(bytes_of_pass(model, kept), memory_mb, most=500)


def _is_layer(model, name):
    return isinstance(name, str) and name in model.layers


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
        values = rates.get_layer(keras_name(name)).get_weights() if names else []
        arrays.update(zip(names, values, strict=True))
    return arrays
