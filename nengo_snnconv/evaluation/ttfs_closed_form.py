"""The closed form of time to first spike: one forward pass instead of a simulation step by step."""

import dataclasses

import numpy as np

from ..compat import tf
from ..model import layers as specs
from ..model.connectivity import is_event_source
from ..networks.keras_layers import keras_layer, keras_name
from ..networks.native import driving_layers
from ..networks.ttfs import spike_sources
from ..neurons.time_to_first_spike import nearest_level


class ClosedForm:
    """What a network of time to first spike does, computed at once.

    A neuron of two stages with t_max steps spikes in step t_max - level of its spiking stage, and not at all at level
    0, where

        level = clip(floor(u / threshold + offset), 0, t_max),    u = sum of w level_j + t_max b:

    a rectifier that is quantised and clipped.  All is counted in steps, so that sums are those of the simulation.

    Parameters
    ----------
    network : ConvNetwork
        Made by ``to_ttfs``.

    Attributes
    ----------
    emitters : list of str
        The input, layers of neurons, and maxima of their spikes, in order.
    """

    def __init__(self, network):
        self.model, self.settings = network.model, network.settings
        self.n_steps, self.neurons = self.settings.stage_steps, self.settings.neuron_type
        layers = self.model.layers
        self.emitters = [name for name in layers if is_event_source(layers[name]) or name == self.model.input]
        # what is counted in levels of the image, not in levels times its height
        self._of_image = {name for name, kind in spike_sources(self.model).items() if kind is specs.Input}
        # layers whose bias takes the offset of the neurons that they drive, which is quicker
        self._ahead = driving_layers(self.model) if self.neurons.threshold == 1 else set()
        self.read_last, behind = self._find_last()
        self._all = {name: self._layer(name, self.n_steps) for name in layers if name != self.model.input}
        self._last = {name: self._layer(name, 0) for name in behind}
        shapes = {
            name: tf.TensorSpec((None, *shape), name=keras_name(name)) for name, shape in self.model.shapes.items()
        }
        self._levels = _traced(self._compute_levels, shapes[self.model.input])
        self._outputs = _traced(self._compute_outputs, {name: shapes[name] for name in self.read_last})

    def levels(self, images):
        """The levels of all spikes, steps before the end of their stage: {name of an emitter: tensor (images, ...)}.

        They are whole numbers from 0 to ``n_steps``, of the image also negative ones; 0 is no spike.
        """
        return self._levels(tf.constant(images))

    def _compute_levels(self, images):
        x_max, lowest = self.settings.x_max, -1 if self.settings.signed else 0
        level = nearest_level(images, self.n_steps / x_max, self.n_steps)
        known = {self.model.input: level * tf.maximum(tf.sign(images), lowest)}
        values = self._forward(known, self._all, {})
        # what else were returned would have to be kept, and could not be computed together with what follows it
        return {name: values[name] for name in self.emitters}

    def outputs(self, levels):
        """The scores after each step of the last stage, (steps, images, classes), from the levels of all layers."""
        return self._outputs({name: levels[name] for name in self.read_last})

    def _compute_outputs(self, levels):
        return tf.map_fn(lambda step: self._output(levels, step), tf.range(1.0, self.n_steps + 1))

    def _output(self, levels, step):
        # a spike that comes k steps before the end of the stage came k - (n_steps - step) before this step
        late = self.n_steps - step
        known = {name: tf.sign(level) * tf.nn.relu(abs(level) - late) for name, level in levels.items()}
        # biases are currents from the first step of the stage on
        biases = {name: step * self.model.arrays[f"{name}/bias"] for name in self._last if self._has_bias(name)}
        output = self._forward(known, self._last, biases)[self.model.output] / self.n_steps
        return output if self.model.output_scale == 1 else output * self.model.output_scale

    def _find_last(self):
        """What is read in the last stage, the input or neurons, and the layers behind that, both in order."""
        read, behind, open_ends = set(), set(), [self.model.output]
        while open_ends:
            layer = self.model.layers[open_ends.pop()]
            if isinstance(layer, specs.Input | specs.Rectifier):
                read.add(layer.name)
            else:
                behind.add(layer.name)
                open_ends.extend(layer.inputs)
        return tuple([name for name in self.model.layers if name in names] for names in (read, behind))

    def _forward(self, known, layers, biases):
        """The values that are ``known`` and those of ``layers``, plus ``biases``, where those have none."""
        values = dict(known)
        for name, layer in layers.items():
            sources = self.model.layers[name].inputs
            inputs = [self._arriving(source, name, values) for source in sources]
            if layer is None:
                steps = inputs[0] if sources[0] in self._ahead else self._in_thresholds(inputs[0])
                # in this order the rectifier is computed together with the convolution in front of it
                values[name] = tf.minimum(tf.floor(tf.nn.relu(steps)), self.n_steps)
            else:
                value = layer(inputs if len(inputs) > 1 else inputs[0])
                values[name] = value + biases[name] if name in biases else value
        return values

    def _in_thresholds(self, potential):
        return potential / self.neurons.threshold + self.neurons.offset

    def _has_bias(self, name):
        return f"{name}/bias" in self.model.arrays

    def _layer(self, name, times):
        """The Keras layer ``name`` whose bias is added so many times; None for neurons."""
        layer, arrays = self.model.layers[name], self.model.arrays_of(name)
        if isinstance(layer, specs.Rectifier):
            return None
        if self._has_bias(name):
            arrays = {**arrays, "bias": times * arrays["bias"]}
        if name in self._ahead:
            layer = dataclasses.replace(layer, use_bias=True)
            offset = np.full(arrays["kernel"].shape[-1], self.neurons.offset, np.float32)
            arrays = {**arrays, "bias": arrays.get("bias", 0) + offset}
        return keras_layer(layer, arrays)

    def _arriving(self, name, reader, values):
        """What a layer sends, as ``reader`` weighs it: spikes of the image have its height, but for maxima of it."""
        weighed = name in self._of_image and reader not in self._of_image
        return values[name] * self.settings.x_max if weighed else values[name]


def _traced(function, signature):
    """A function of tensors as a graph that is made now, not in the first call."""
    traced = tf.function(function, input_signature=[signature], autograph=False)
    traced.get_concrete_function()
    return traced
