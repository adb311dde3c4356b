"""The closed form of time to first spike: one forward pass instead of a simulation step by step."""

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
        self.read_last, behind = self._find_last()
        self._all, self._last = self._layers(self.model.layers, self.n_steps), self._layers(behind, 0)

    @tf.function(reduce_retracing=True)
    def levels(self, images):
        """What each layer sends, in steps before the end of its stage: {name: tensor (images, ...)}.

        Those of neurons are whole numbers from 0 to ``n_steps``; 0 is no spike.
        """
        x_max, lowest = self.settings.x_max, -1 if self.settings.signed else 0
        level = tf.minimum(tf.floor(abs(images) * (self.n_steps / x_max) + 0.5), self.n_steps)
        known = {self.model.input: level * tf.maximum(tf.sign(images), lowest)}
        return self._forward(known, self._all, {})

    def outputs(self, levels):
        """The scores after each step of the last stage, (steps, images, classes), from the levels of all layers."""
        return self._outputs({name: levels[name] for name in self.read_last})

    @tf.function(reduce_retracing=True)
    def _outputs(self, levels):
        return tf.map_fn(lambda step: self._output(levels, step), tf.range(1.0, self.n_steps + 1))

    def _output(self, levels, step):
        # a spike that comes k steps before the end of the stage came k - (n_steps - step) before this step
        late = self.n_steps - step
        known = {name: tf.sign(level) * tf.nn.relu(abs(level) - late) for name, level in levels.items()}
        # biases are currents from the first step of the stage on
        biases = {name: step * self.model.arrays[f"{name}/bias"] for name in self._last if self._has_bias(name)}
        return self._forward(known, self._last, biases)[self.model.output] / self.n_steps

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
        values, neurons = dict(known), self.settings.neuron_type
        for name, layer in layers.items():
            inputs = [self._arriving(i, values) for i in self.model.layers[name].inputs]
            if layer is None:
                potential = inputs[0] if neurons.threshold == 1 else inputs[0] / neurons.threshold
                values[name] = tf.clip_by_value(tf.floor(potential + neurons.offset), 0, self.n_steps)
            else:
                value = layer(inputs if len(inputs) > 1 else inputs[0])
                values[name] = value + biases[name] if name in biases else value
        return values

    def _has_bias(self, name):
        return f"{name}/bias" in self.model.arrays

    def _layers(self, names, times):
        """The Keras layers of ``names`` whose biases are added so many times; None for neurons."""
        layers = {}
        for name in names:
            layer, arrays = self.model.layers[name], self.model.arrays_of(name)
            if isinstance(layer, specs.Input):
                continue
            if self._has_bias(name):
                arrays = {**arrays, "bias": times * arrays["bias"]}
            layers[name] = None if isinstance(layer, specs.Rectifier) else keras_layer(layer, arrays)
        return layers

    def _arriving(self, name, values):
        """What a layer sends, as its readers weigh it: spikes of the input have its height."""
        return values[name] * self.settings.x_max if name == self.model.input else values[name]
