"""The ANN behind a network, as a Keras model: the network with firing rates instead of spikes.

Training uses it, and results with spikes are compared with it.
"""

from __future__ import annotations

import contextlib
import sys
import typing

from .._util.validation import shown
from ..compat import tf
from ..errors import SettingsError
from ..model import layers as specs
from ..model.memory import MEMORY_MB, bytes_of_pass, images_together
from ..neurons.firing_rates import rate_function
from .edits import check_unedited
from .keras_layers import keras_layer, keras_name
from .network import ConvNetwork, check_network

if typing.TYPE_CHECKING:
    from collections.abc import Sequence


def rate_model(network: ConvNetwork, layers: Sequence[str] | None = None) -> tf.keras.Model:
    """Return the ANN of a network as a Keras model.

    Parameters
    ----------
    network : ConvNetwork
    layers : sequence of str, optional
        Names of layers to return the activity of, instead of the output.

    Returns
    -------
    tf.keras.Model
        Model from images (batch, height, width, channel) to the network's output, in the units of the model that was
        converted, or to a list with the activity of each of ``layers``.  It has the network's arrays, or those before
        ``calibrate``, so activities are divided by the scales in ``network.model.metadata["scales"]``.  Layers have
        their names in ``network.model``, except for characters that TensorFlow does not allow ("conv 1" is
        "conv-x20-1").

    Raises
    ------
    ConversionError
        If the network's neurons have no rate form.
    SettingsError
        If the network has no such layer, or its objects were changed by hand.

    Examples
    --------
    >>> scores = snc.rate_model(network).predict(x)
    >>> (activity,) = snc.rate_model(network, ["conv1_relu"]).predict(x)
    """
    if isinstance(network, ConvNetwork):
        check_unedited(network)
    elif not (hasattr(network, "model") and hasattr(network, "settings")):
        check_network(network)  # objects with both attributes are accepted
    if layers is not None:
        names = None if isinstance(layers, str) or not hasattr(layers, "__iter__") else list(layers)
        unknown = layers if not names else [name for name in names if not _is_layer(network.model, name)]
        if unknown or not names:
            known = list(network.model.layers)[:3]
            raise SettingsError(
                f"layers must be names of layers, such as {known}, or None; got {shown(unknown)}", argument="layers"
            )
        layers = names
    if not network.settings.has_rates:
        rate_function(network.settings.neuron_type)(None)  # raises ConversionError with the reason
    model = network.model.ann
    tensors: dict[str, tf.Tensor] = {}
    for name, layer in model.layers.items():
        inputs = [tensors[i] for i in layer.inputs]
        if isinstance(layer, specs.Input):
            tensors[name] = tf.keras.Input(layer.shape, name=keras_name(name))
        elif isinstance(layer, specs.Rectifier):
            tensors[name] = network.settings.rate_layer(model, name)(inputs[0])
        else:
            tensors[name] = keras_layer(layer, model.arrays_of(name))(inputs if len(inputs) > 1 else inputs[0])
    if layers is None:
        outputs = tensors[model.output]
        if model.output_scale != 1:
            # names of layers have no slash
            outputs = tf.keras.layers.Rescaling(model.output_scale, name="output/scale")(outputs)
    else:
        outputs = [tensors[name] for name in layers]
    with deep_recursion(len(model.layers)):
        return tf.keras.Model(tensors[model.input], outputs)


@contextlib.contextmanager
def deep_recursion(depth):
    """Raise Python's recursion limit for ``depth`` layers in a row: Keras recurses once for each of them."""
    before = sys.getrecursionlimit()
    # several function calls for each layer
    sys.setrecursionlimit(max(before, 4 * depth + 1000))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def prediction_batch(model, memory_mb=MEMORY_MB, kept=()):
    """Return the batch size for a model's ANN: 500, or less for large models.

    Parameters
    ----------
    model : Model
    memory_mb : float
        Memory for the activity of a batch, in MB.
    kept : iterable of str
        Names of layers whose activity is kept.
    """
    return images_together(bytes_of_pass(model, kept), memory_mb, most=500)


def _is_layer(model, name):
    return isinstance(name, str) and name in model.layers


def outputs_of(keras, x, batch_size=500):
    """Return the output of a Keras model, as ``predict`` does, but without tracing the model for a single batch.

    Parameters
    ----------
    keras : tf.keras.Model
    x : ndarray, (images, ...)
    batch_size : int
        Batch size, such as that of :func:`prediction_batch`.

    Returns
    -------
    ndarray or list of ndarray
        Output, or list of the model's outputs.
    """
    if len(x) > batch_size:
        return keras.predict(x, batch_size=batch_size, verbose=0)
    return tf.nest.map_structure(lambda tensor: tensor.numpy(), keras(x))


def arrays_of_rate_model(network, rates):
    """Return the current weights of the Keras model ``rates`` of ``network``: {"conv1/kernel": ndarray, ...}."""
    arrays = {}
    for name in network.model.layers:
        names = network.model.array_names(name)
        values = rates.get_layer(keras_name(name)).get_weights() if names else []
        arrays.update(zip(names, values, strict=True))
    return arrays
