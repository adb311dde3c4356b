"""unrolled_model: a network of ``SurrogateLIF`` neurons, unrolled in time, as a plain Keras model."""

from __future__ import annotations

import typing

import numpy as np

from ..compat import tf
from ..model import layers as specs
from ..networks.keras_layers import keras_layer, keras_name
from ..networks.rate_model import deep_recursion
from ..neurons.surrogate_lif import spikes_of

if typing.TYPE_CHECKING:
    from ..networks.network import ConvNetwork


class _StepsFirst(tf.keras.layers.Layer):
    """Reshape (images, steps, ...) to (steps * images, ...), so that layers compute all steps at once.

    The images of a step are contiguous in memory.
    """

    def call(self, inputs):
        order = (1, 0, *range(2, inputs.shape.rank))
        return tf.reshape(tf.transpose(inputs, order), (-1, *inputs.shape[2:]))


class Repeated(tf.keras.layers.Layer):
    """Repeat (images, ...) in every step: (steps * images, ...)."""

    def __init__(self, n_steps):
        super().__init__()
        self.n_steps = n_steps

    def call(self, inputs):
        return tf.tile(inputs, (self.n_steps, *(1 for _ in inputs.shape[1:])))


class _Neurons(tf.keras.layers.Layer):
    """Spikes of neurons driven by currents (steps * images, ...)."""

    def __init__(self, neuron_type, n_steps, smooth, name):
        super().__init__(name=keras_name(name), trainable=False)
        self.neuron_type, self.n_steps, self.smooth = neuron_type, n_steps, smooth

    def call(self, inputs):
        # one axis of neurons is faster than three
        size = int(np.prod(inputs.shape[1:]))
        currents = tf.reshape(inputs, (self.n_steps, -1, size))
        return tf.reshape(spikes_of(self.neuron_type, currents, self.smooth), (-1, *inputs.shape[1:]))


class _ScoresOverTime(tf.keras.layers.Layer):
    """Reshape scores (steps * images, classes) to (images, steps, classes), or take their means (images, classes)."""

    def __init__(self, n_steps, every_step):
        super().__init__()
        self.n_steps, self.every_step = n_steps, every_step

    def call(self, inputs):
        scores = tf.reshape(inputs, (self.n_steps, -1, inputs.shape[-1]))
        return tf.transpose(scores, (1, 0, 2)) if self.every_step else tf.reduce_mean(scores, axis=0)


def unrolled_model(
    network: ConvNetwork, n_steps: int, *, still: bool = False, every_step: bool = False, smooth: bool = False
) -> tf.keras.Model:
    """Return a Keras model of a network of ``SurrogateLIF`` neurons, unrolled over ``n_steps`` steps.

    It gives the same spikes as the network, but computes each layer for all steps at once: steps and images share the
    batch axis, and only neurons loop over the steps.

    Parameters
    ----------
    network : ConvNetwork
        Network made by ``build_trainable``, with ``SurrogateLIF`` neurons and without synapses.
    n_steps : int
        Number of time steps.
    still : bool
        Take images, (batch, height, width, channel), that are shown in every step; layers before the first neurons
        are then computed once.  Otherwise take frames, (batch, steps, height, width, channel).
    every_step : bool
        Return the scores of each step instead of their mean.
    smooth : bool
        Emit the integral of the surrogate gradient instead of spikes, so that gradients are exact.

    Returns
    -------
    tf.keras.Model
        Model from inputs to class scores (batch, classes), or (batch, steps, classes) with ``every_step``.  Its layers
        have the same names as in ``rate_model``, so ``arrays_of_rate_model`` works with it.
    """
    model = network.model
    tensors: dict[str, typing.Any] = {}
    moving: set[str] = set()  # layers whose tensors are (steps * images, ...)
    for name, layer in model.layers.items():
        inputs = [tensors[i] for i in layer.inputs]
        if moving.intersection(layer.inputs):
            moving.add(name)
            inputs = [
                tensor if source in moving else Repeated(n_steps)(tensor)
                for source, tensor in zip(layer.inputs, inputs, strict=True)
            ]
        if isinstance(layer, specs.Input):
            start = tf.keras.Input(layer.shape if still else (n_steps, *layer.shape), name=keras_name(name))
            tensors[name] = start if still else _StepsFirst()(start)
            moving.update(() if still else (name,))
        elif isinstance(layer, specs.Rectifier):
            currents = inputs[0] if name in moving else Repeated(n_steps)(inputs[0])
            moving.add(name)
            neuron_type = network.settings.of_layer(model, name).neuron_type
            tensors[name] = _Neurons(neuron_type, n_steps, smooth, name)(currents)
        else:
            tensors[name] = keras_layer(layer, model.arrays_of(name))(inputs if len(inputs) > 1 else inputs[0])
    scores = tensors[model.output]
    if model.output not in moving:
        scores = Repeated(n_steps)(scores)
    if model.output_scale != 1:
        scores = tf.keras.layers.Rescaling(model.output_scale)(scores)
    with deep_recursion(len(model.layers)):
        return tf.keras.Model(start, _ScoresOverTime(n_steps, every_step)(scores))
