"""ClosedForm: a network with time to first spike, computed in one forward pass instead of step by step."""

from __future__ import annotations

import dataclasses
import typing

import numpy as np

from ..compat import tf
from ..model import layers as specs
from ..model.connectivity import is_event_source
from ..networks.keras_layers import keras_layer, keras_name
from ..networks.native import driving_layers
from ..networks.ttfs import TTFSConfig, spike_sources
from ..neurons.time_to_first_spike import nearest_level

if typing.TYPE_CHECKING:
    from ..networks.network import ConvNetwork


class ClosedForm:
    """Closed form of a network with time to first spike.

    The level of a neuron is the number of steps from its spike to the end of its spiking stage, which has t_max steps:

        level = clip(floor(u / threshold + offset), 0, t_max),    u = sum_j w_j level_j + t_max b,

    a quantized and clipped rectifier.  At level 0 there is no spike.  Levels are in steps, so sums are the same as in
    the simulation.

    Parameters
    ----------
    network : ConvNetwork
        Network made by ``to_ttfs``.

    Attributes
    ----------
    emitters : list of str
        Names of the layers that emit spikes, in order: the input if it spikes, layers of neurons, and maxima.
    """

    def __init__(self, network: ConvNetwork):
        assert isinstance(network.settings, TTFSConfig)
        self.model, self.settings = network.model, network.settings
        self.n_steps, self.neurons = self.settings.stage_steps, self.settings.neuron_type
        layers = self.model.layers
        self.emitters = [name for name in layers if is_event_source(layers[name])]
        if self.settings.input_spikes:
            self.emitters.insert(0, self.model.input)
        # layers in units of levels of the image, which are not yet multiplied by the height of its spikes
        self._image_levels = {name for name, kind in spike_sources(self.model).items() if kind is specs.Input}
        # layers whose bias includes the offset of the neurons that they drive, which saves an operation
        self._with_offset = driving_layers(self.model) if self.neurons.threshold == 1 else set()
        self._output_sources, output_layers = self._find_last_stage()
        self._layers = {name: self._keras_layer(name, self.n_steps) for name in layers if name != self.model.input}
        self._output_layers = {name: self._keras_layer(name, 0) for name in output_layers}
        shapes = {
            name: tf.TensorSpec((None, *shape), name=keras_name(name)) for name, shape in self.model.shapes.items()
        }
        self._levels = _trace(self._compute_levels, shapes[self.model.input])
        self._outputs = _trace(self._compute_outputs, {name: shapes[name] for name in self._output_sources})

    def levels(self, images: np.ndarray) -> dict[str, tf.Tensor]:
        """Return the levels of all spikes.

        Parameters
        ----------
        images : ndarray of float32, (images, height, width, channel)

        Returns
        -------
        dict of str to tensor, (images, ...)
            For each of ``emitters``, whole numbers from 0, which is no spike, to the number of steps of a stage;
            negative for negative spikes of the image.  Also those that the scores depend on: an input without spikes
            is multiplied by the number of steps.
        """
        return self._levels(tf.constant(images))

    def _compute_levels(self, images):
        values = self._forward({self.model.input: self._image_level(images)}, self._layers, {})
        # only these: other layers would have to be kept in memory, and could not be fused with the next operation
        levels = {name: values[name] for name in {*self.emitters, *self._output_sources}}
        if not self.settings.input_spikes:  # maxima of the image pass on one impulse, in the first step
            levels |= {
                name: self.n_steps * tf.abs(tf.sign(levels[name])) for name in self._image_levels & {*self.emitters}
            }
        return levels

    def _image_level(self, images):
        x_max, lowest = self.settings.x_max, -1 if self.settings.signed else 0
        if not self.settings.input_spikes:
            return images * (self.n_steps / x_max)
        return nearest_level(images, self.n_steps / x_max, self.n_steps) * tf.maximum(tf.sign(images), lowest)

    def outputs(self, levels: dict[str, tf.Tensor]) -> tf.Tensor:
        """Return the class scores after each step of the last stage, (steps, images, classes)."""
        return self._outputs({name: levels[name] for name in self._output_sources})

    def _compute_outputs(self, levels):
        return tf.map_fn(lambda step: self._output(levels, step), tf.range(1.0, self.n_steps + 1))

    def _output(self, levels, step):
        """Return the class scores after a step of the last stage, (images, classes)."""
        # a spike k steps before the end of the stage is k - remaining steps before the end of this step
        remaining = self.n_steps - step
        known = {name: tf.sign(level) * tf.nn.relu(abs(level) - remaining) for name, level in levels.items()}
        if self.model.input in levels and not self.settings.input_spikes:
            known[self.model.input] = levels[self.model.input] * (step / self.n_steps)
        # biases are currents from the first step of the stage
        biases = {
            name: step * self.model.arrays[f"{name}/bias"] for name in self._output_layers if self._has_bias(name)
        }
        output = self._forward(known, self._output_layers, biases)[self.model.output] / self.n_steps
        return output if self.model.output_scale == 1 else output * self.model.output_scale

    def _find_last_stage(self):
        """Return the layers whose spikes are read in the last stage, and the layers after them, both in order."""
        sources, layers, waiting = set(), set(), [self.model.output]
        while waiting:
            layer = self.model.layers[waiting.pop()]
            if isinstance(layer, specs.Input | specs.Rectifier):
                sources.add(layer.name)
            else:
                layers.add(layer.name)
                waiting.extend(layer.inputs)
        return tuple([name for name in self.model.layers if name in names] for names in (sources, layers))

    def _forward(self, known, layers, biases):
        """Return the values of layers in one forward pass.

        Parameters
        ----------
        known : dict of str to tensor
            Given values.
        layers : dict of str to Keras layer or None
            Layers to be computed; None for neurons.
        biases : dict of str to tensor
            Values that are added to the output of layers.

        Returns
        -------
        dict of str to tensor
            ``known`` and the values of ``layers``.
        """
        values = dict(known)
        for name, layer in layers.items():
            sources = self.model.layers[name].inputs
            inputs = [self._input_from(source, name, values) for source in sources]
            if layer is None:
                level = inputs[0] if sources[0] in self._with_offset else self._unrounded_level(inputs[0])
                # the rectifier comes first, so that TensorFlow fuses it with the convolution before it
                values[name] = tf.minimum(tf.floor(tf.nn.relu(level)), self.n_steps)
            else:
                value = layer(inputs if len(inputs) > 1 else inputs[0])
                values[name] = value + biases[name] if name in biases else value
        return values

    def _unrounded_level(self, potential):
        return potential / self.neurons.threshold + self.neurons.offset

    def _has_bias(self, name):
        return f"{name}/bias" in self.model.arrays

    def _keras_layer(self, name, n_bias_steps):
        """Return the Keras layer ``name``, with its bias summed over ``n_bias_steps`` steps; None for neurons."""
        layer, arrays = self.model.layers[name], self.model.arrays_of(name)
        if isinstance(layer, specs.Rectifier):
            return None
        if self._has_bias(name):
            arrays = {**arrays, "bias": n_bias_steps * arrays["bias"]}
        if name in self._with_offset:
            layer = dataclasses.replace(layer, use_bias=True)
            offset = np.full(arrays["kernel"].shape[-1], self.neurons.offset, np.float32)
            arrays = {**arrays, "bias": arrays.get("bias", 0) + offset}
        return keras_layer(layer, arrays)

    def _input_from(self, name, reader, values):
        """Return the values of layer ``name`` as input of layer ``reader``.

        Levels of the image are multiplied by the height of its spikes, unless the reader passes them on as levels.
        """
        scaled = name in self._image_levels and reader not in self._image_levels
        return values[name] * self.settings.x_max if scaled else values[name]


def _trace(function, signature):
    """Return a function of tensors as a graph that is built now instead of in the first call."""
    traced = tf.function(function, input_signature=[signature], autograph=False)
    traced.get_concrete_function()
    return traced
