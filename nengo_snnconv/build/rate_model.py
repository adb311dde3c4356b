"""The rate network as a plain Keras model: what training sees, and the ANN that spikes are compared with."""

import numpy as np

from ..compat import tf
from ..model import layers as specs
from ..neurons.rates import rate_function
from .keras_layers import keras_layer


class _Rate(tf.keras.layers.Layer):
    """The rate form of an ensemble whose neurons have the given gain and bias."""

    def __init__(self, settings, gain, bias, name):
        super().__init__(name=name, trainable=False)
        self.rate = rate_function(settings.neuron_type, getattr(settings, "lif_smoothing", None))
        self.gain, self.bias = gain, bias

    def call(self, inputs):
        shape = inputs.shape[1:]
        return self.rate(self._tensor(self.gain, shape) * inputs + self._tensor(self.bias, shape))

    @staticmethod
    def _tensor(values, shape):
        return tf.constant(values[0] if np.all(values == values[0]) else values.reshape(shape), tf.float32)


def rate_model(network):
    """The rate network of a ConvNetwork as a Keras model.

    Parameters
    ----------
    network : ConvNetwork

    Returns
    -------
    tf.keras.Model
        From images (batch, height, width, channel) to the network's output, with the network's arrays.  Its
        layers have the names of the model's.
    """
    model, tensors = network.model, {}
    for name, layer in model.layers.items():
        inputs = [tensors[i] for i in layer.inputs]
        if isinstance(layer, specs.Input):
            tensors[name] = tf.keras.Input(layer.shape, name=name)
        elif isinstance(layer, specs.Rectifier):
            tensors[name] = _Rate(network.settings, *network.settings.gain_bias(model, name), name)(inputs[0])
        else:
            tensors[name] = keras_layer(layer, model.arrays_of(name))(inputs if len(inputs) > 1 else inputs[0])
    return tf.keras.Model(tensors[model.input], tensors[model.output])


def arrays_of_rate_model(network, rates):
    """The arrays that the Keras model ``rates`` of ``network`` holds now: {"conv1/kernel": ndarray, ...}."""
    arrays = {}
    for name in network.model.layers:
        names = network.model.array_names(name)
        values = rates.get_layer(name).get_weights() if names else []
        arrays.update(zip(names, values, strict=True))
    return arrays
