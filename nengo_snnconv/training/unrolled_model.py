"""The network unrolled in time as a plain Keras model: what training through time sees."""

import numpy as np

from ..compat import tf
from ..model import layers as specs
from ..networks.keras_layers import keras_layer, keras_name
from ..networks.rate_model import deep_recursion
from ..neurons.surrogate_lif import spikes_of


class _StepsFirst(tf.keras.layers.Layer):
    """(images, steps, ...) as (steps * images, ...), so that layers do all steps at once and a step lies together."""

    def call(self, inputs):
        order = (1, 0, *range(2, inputs.shape.rank))
        return tf.reshape(tf.transpose(inputs, order), (-1, *inputs.shape[2:]))


class _Repeated(tf.keras.layers.Layer):
    """(images, ...) as (steps * images, ...): the same in each step."""

    def __init__(self, n_steps):
        super().__init__()
        self.n_steps = n_steps

    def call(self, inputs):
        return tf.tile(inputs, (self.n_steps, *(1 for _ in inputs.shape[1:])))


class _Neurons(tf.keras.layers.Layer):
    """Spikes of neurons for currents (steps * images, ...)."""

    def __init__(self, neuron_type, n_steps, smooth, name):
        super().__init__(name=keras_name(name), trainable=False)
        self.neuron_type, self.n_steps, self.smooth = neuron_type, n_steps, smooth

    def call(self, inputs):
        # neurons flat: one axis is quicker than four
        size = int(np.prod(inputs.shape[1:]))
        currents = tf.reshape(inputs, (self.n_steps, -1, size))
        return tf.reshape(spikes_of(self.neuron_type, currents, self.smooth), (-1, *inputs.shape[1:]))


class _OverTime(tf.keras.layers.Layer):
    """(steps * images, classes) as (images, steps, classes), or as its mean over the steps (images, classes)."""

    def __init__(self, n_steps, every_step):
        super().__init__()
        self.n_steps, self.every_step = n_steps, every_step

    def call(self, inputs):
        scores = tf.reshape(inputs, (self.n_steps, -1, inputs.shape[-1]))
        return tf.transpose(scores, (1, 0, 2)) if self.every_step else tf.reduce_mean(scores, axis=0)


def unrolled_model(network, n_steps, *, still=False, every_step=False, smooth=False):
    """A network of ``SurrogateLIF`` neurons, unrolled over ``n_steps`` steps, as a Keras model.

    It computes what the network does, spike for spike, but each layer for all steps at once: steps and images share the
    axis of the batch, and only neurons go from step to step.

    Parameters
    ----------
    network : ConvNetwork
        Made by ``build_trainable`` with ``SurrogateLIF`` neurons and without synapses.
    n_steps : int
    still : bool
        Take images that stand still, (batch, height, width, channel); what comes before the first neurons is then
        computed once.  Otherwise frames, (batch, steps, height, width, channel).
    every_step : bool
        Give the scores of each step, not their mean.
    smooth : bool
        Emit the surrogate in place of spikes, so that gradients are the true ones.

    Returns
    -------
    tf.keras.Model
        From input to class scores (batch, classes), or (batch, steps, classes) with ``every_step``.  Its layers have
        the names of the model's, so ``arrays_of_rate_model`` reads it too.
    """
    model, tensors, moving = network.model, {}, set()
    for name, layer in model.layers.items():
        inputs = [tensors[i] for i in layer.inputs]
        if moving.intersection(layer.inputs):
            moving.add(name)
            inputs = [
                tensor if source in moving else _Repeated(n_steps)(tensor)
                for source, tensor in zip(layer.inputs, inputs, strict=True)
            ]
        if isinstance(layer, specs.Input):
            start = tf.keras.Input(layer.shape if still else (n_steps, *layer.shape), name=keras_name(name))
            tensors[name] = start if still else _StepsFirst()(start)
            moving.update(() if still else (name,))
        elif isinstance(layer, specs.Rectifier):
            currents = inputs[0] if name in moving else _Repeated(n_steps)(inputs[0])
            moving.add(name)
            tensors[name] = _Neurons(network.settings.neuron_type, n_steps, smooth, name)(currents)
        else:
            tensors[name] = keras_layer(layer, model.arrays_of(name))(inputs if len(inputs) > 1 else inputs[0])
    scores = tensors[model.output]
    if model.output not in moving:
        scores = _Repeated(n_steps)(scores)
    if model.output_scale != 1:
        scores = tf.keras.layers.Rescaling(model.output_scale)(scores)
    with deep_recursion(len(model.layers)):
        return tf.keras.Model(start, _OverTime(n_steps, every_step)(scores))
