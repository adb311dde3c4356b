"""The closed form of time to first spike: one forward pass instead of a simulation step by step."""

import dataclasses
import functools

import numpy as np

from ..compat import tf
from ..model import layers as specs
from .keras_layers import keras_layer


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
    """

    def __init__(self, network):
        self.model, self.settings = network.model, network.settings
        self.n_steps = self.settings.stage_steps
        self.layers = {name: _without_bias(layer, self.model) for name, layer in self.model.layers.items()}
        self.biases = {
            name: array for name in self.model.layers if (array := self.model.arrays.get(f"{name}/bias")) is not None
        }

    @tf.function(reduce_retracing=True)
    def levels(self, images):
        """What each layer sends, in steps before the end of its stage: {name: tensor (images, ...)}.

        Those of neurons are whole numbers from 0 to ``n_steps``; 0 is no spike.
        """
        x_max, lowest = self.settings.x_max, -1 if self.settings.signed else 0
        level = tf.minimum(tf.floor(abs(images) * (self.n_steps / x_max) + 0.5), self.n_steps)
        known = {self.model.input: level * tf.maximum(tf.sign(images), lowest)}
        return self._forward(known, [name for name in self.model.layers if name not in known], self.n_steps)

    def output(self, levels, step):
        """The scores after ``step`` steps of the last stage, (images, classes), from the levels of all layers."""
        return self._output({name: levels[name] for name in self._last[0]}, tf.constant(step, tf.float32))

    @tf.function(reduce_retracing=True)
    def _output(self, levels, step):
        # a spike that comes k steps before the end of the stage came k - (n_steps - step) before this step
        late = self.n_steps - step
        known = {name: tf.sign(level) * tf.nn.relu(abs(level) - late) for name, level in levels.items()}
        return self._forward(known, self._last[1], step)[self.model.output] / self.n_steps

    def count(self, levels):
        """Spikes of each unit, (units,), and how many units have each level from 0 to n_steps, over all images."""
        levels = np.abs(levels.numpy()).astype(np.uint8 if self.n_steps < 256 else np.int64).reshape(len(levels), -1)
        spikes = levels != 0
        return spikes.sum(axis=0), np.bincount(levels[spikes], minlength=self.n_steps + 1)

    @functools.cached_property
    def _last(self):
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

    def _forward(self, known, names, clock):
        """The values that are ``known`` and those of the layers ``names``, where biases were added ``clock`` times."""
        values, neurons = dict(known), self.settings.neuron_type
        for name in names:
            layer = self.model.layers[name]
            inputs = [self._arriving(i, values) for i in layer.inputs]
            if isinstance(layer, specs.Rectifier):
                steps = tf.floor(inputs[0] / neurons.threshold + neurons.offset)
                values[name] = tf.clip_by_value(steps, 0, self.n_steps)
            else:
                value = self.layers[name](inputs if len(inputs) > 1 else inputs[0])
                values[name] = value + self.biases[name] * clock if name in self.biases else value
        return values

    def _arriving(self, name, values):
        """What a layer sends, as its readers weigh it: spikes of the input have its height."""
        return values[name] * self.settings.x_max if name == self.model.input else values[name]


def _without_bias(layer, model):
    """The Keras layer of a spec without its bias; None for layers that are neither linear nor maxima."""
    if isinstance(layer, specs.Input | specs.Rectifier):
        return None
    arrays = model.arrays_of(layer.name)
    if isinstance(layer, specs.Affine):
        arrays = {**arrays, "bias": np.zeros_like(arrays["bias"])}
    elif "bias" in arrays:
        layer = dataclasses.replace(layer, use_bias=False)
        arrays = {name: array for name, array in arrays.items() if name != "bias"}
    return keras_layer(layer, arrays)
