"""The rate network as a plain Keras model: what training sees, and the ANN that spikes are compared with."""

from ..checks import shown
from ..compat import tf
from ..exceptions import SettingsError
from ..model import layers as specs
from ..neurons.rates import rate_function
from .keras_layers import keras_layer
from .network import check_network


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
    SettingsError
        If there is no such layer.
    """
    if not (hasattr(network, "model") and hasattr(network, "settings")):
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
            tensors[name] = tf.keras.Input(layer.shape, name=name)
        elif isinstance(layer, specs.Rectifier):
            tensors[name] = network.settings.rate(model, name)(inputs[0])
        else:
            tensors[name] = keras_layer(layer, model.arrays_of(name))(inputs if len(inputs) > 1 else inputs[0])
    outputs = tensors[model.output] if layers is None else [tensors[name] for name in layers]
    return tf.keras.Model(tensors[model.input], outputs)


def _is_layer(model, name):
    return isinstance(name, str) and name in model.layers


def outputs_of(keras, x, batch_size=500):
    """What a Keras model gives for arrays: what its ``predict`` does, without tracing it first for just one batch.

    Parameters
    ----------
    keras : tf.keras.Model
    x : ndarray, (images, ...)
    batch_size : int

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
