"""Layers of trainable networks: Keras layers in TensorNodes or Nengo's own objects, and the rate form of ensembles."""

import nengo
import numpy as np

from ..compat import nengo_dl, tf
from ..model import layers as specs
from ..neurons.firing_rates import rate_function
from ..neurons.quantized_rectifier import rectifier_neurons
from ..passes import fix_statistics
from .keras_layers import keras_layer, keras_name
from .layer_visitor import ReportRows, rates_remark, refuse_filter
from .nengo_objects import NengoLayers, direct_neurons, linear_node

# remarks on layers that compute something else while training
IN_TRAINING = {specs.Dropout: "while training only", specs.BatchNormalization: "statistics of batches while training"}


class TrainableLayers(NengoLayers):
    """Makes the Nengo objects of layers: TensorNodes with Keras layers, ensembles for rectifiers, nodes for joins."""

    def __init__(self, config, model):
        super().__init__(model, config.synapse)
        self.config = config

    def visit_neurons(self, layer, sources):
        neuron_type, settings = _neurons(self.config, self.model, layer)
        neurons, synapse = nengo_dl.Layer(neuron_type), self.synapse_from(sources[0])
        return neurons(sources[0], synapse=synapse, label=layer.name, **settings)

    def visit_maximum(self, layer, sources):
        return self._tensor_node(layer, sources[0])

    def visit_filter(self, layer, sources):
        refuse_filter(layer, "build_trainable")

    def visit_linear(self, layer, sources):
        if isinstance(layer, specs.Add | specs.Concatenate):
            return linear_node(layer, self.model, sources, [self.synapse_from(source) for source in sources])
        return self._tensor_node(layer, sources[0])

    def _tensor_node(self, layer, source):
        tensor_node = nengo_dl.Layer(keras_layer(layer, self.model.arrays_of(layer.name)))
        shape_in = self.model.shapes[layer.inputs[0]]
        return tensor_node(source, shape_in=shape_in, synapse=self.synapse_from(source), label=layer.name)


class PlainLayers(NengoLayers):
    """Makes Nengo's own objects that compute the same as those of ``TrainableLayers``."""

    def __init__(self, config, model):
        super().__init__(fix_statistics(model), config.synapse)
        self.config = config

    def make_neurons(self, layer):
        neuron_type, settings = _neurons(self.config, self.model, layer)
        return direct_neurons(neuron_type, self.model.size(layer.name), layer.name, **settings)

    def visit_filter(self, layer, sources):
        refuse_filter(layer, "build_trainable")


def _neurons(config, model, layer):
    """Return the neuron type of a rectifier, and the other settings of its ensemble."""
    gain, bias = config.gain_bias(model, layer.name)
    settings = {"gain": gain, "bias": bias}
    if config.neuron_seeds:
        settings["seed"] = config.neuron_seeds[model.neurons.index(layer.name)]
    return rectifier_neurons(config.of_layer(model, layer.name).neuron_type, layer.levels), settings


class TrainableRows(ReportRows):
    """Report of the layers."""

    def visit_input(self, layer):
        return "Node", "exact", "constant current"

    def visit_neurons(self, layer):
        config, name = self.config, type(self.config.neuron_type).__name__
        if config.rectifies and not config.neuron_type.spiking:
            return f"Ensemble ({name})", "exact", rates_remark(layer)
        if not config.has_rates:
            return f"Ensemble ({name})", "exact", "spikes, trained through time"
        remark = f"trained on its {rates_remark(layer)}, runs with spikes" if config.neuron_type.spiking else "rates"
        if not isinstance(config.neuron_type, nengo.RectifiedLinear):
            remark = f"the response of {name} replaces the rectifier; {remark}"
        return f"Ensemble ({name})", "approximated", remark

    def visit_maximum(self, layer):
        became = "TensorNode" if self.config.tensor_nodes else "Ensemble (MaxGate)"
        if self.config.neuron_type.spiking and self.config.has_rates:
            remark = (
                "a spike anywhere in the window passes: rates after it are too high; average pooling has none of this"
            )
            return became, "approximated", remark
        return became, "exact", ""

    def visit_linear(self, layer):
        if isinstance(layer, specs.Add | specs.Concatenate) or not self.config.tensor_nodes:
            return "Node", "exact", ""
        return "TensorNode", "exact", IN_TRAINING.get(type(layer), "")


class RateLayer(tf.keras.layers.Layer):
    """Rate form of the neurons of an ensemble, as a Keras layer of the ANN.

    Parameters
    ----------
    neuron_type : nengo.neurons.NeuronType
    lif_smoothing : float or None
        Smoothing of the response of ``nengo.LIF``.
    gain, bias : ndarray of float32, (size,)
    name : str
        Name of the rectifier.
    """

    def __init__(self, neuron_type, lif_smoothing, gain, bias, name):
        super().__init__(name=keras_name(name), trainable=False)
        self.rate = rate_function(neuron_type, lif_smoothing)
        self.gain, self.bias = gain, bias

    def call(self, inputs):
        shape = inputs.shape[1:]
        return self.rate(self._tensor(self.gain, shape) * inputs + self._tensor(self.bias, shape))

    @staticmethod
    def _tensor(values, shape):
        return tf.constant(values[0] if np.all(values == values[0]) else values.reshape(shape), tf.float32)
