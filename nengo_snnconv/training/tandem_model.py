"""tandem_model: a converted network as a Keras model, with the spikes of its neurons and the gradients of rates."""

from __future__ import annotations

import math
import typing

import numpy as np

from ..compat import tf
from ..model import layers as specs
from ..networks.keras_layers import keras_layer, keras_name
from ..networks.rate_model import deep_recursion
from ..neurons.integrate_and_fire import times
from .unrolled_model import Repeated

if typing.TYPE_CHECKING:
    from ..networks.native import NativeConfig
    from ..networks.network import ConvNetwork

DT = 0.001  # length of a time step in seconds


class _Neurons:
    """The neurons of a network, all of one type."""

    def __init__(self, settings: NativeConfig):
        match = settings.match
        neuron_type = match.neuron_type
        growth = DT / neuron_type.tau
        self.gain, self.bias = growth * match.gain, growth * match.bias
        self.threshold, self.max_spikes = neuron_type.threshold, neuron_type.max_spikes
        self.residue, self.min_potential = neuron_type.residue, getattr(neuron_type, "min_potential", -np.inf)
        self.negative = neuron_type.negative
        self.height = neuron_type.amplitude / DT
        self.start = neuron_type.initial_potential * neuron_type.threshold

    def rate(self, current):
        """Return the mean output of the neurons for a constant current, as if spikes could have any height."""
        spikes = (self.gain * current + self.bias) / self.threshold
        return self.height * tf.clip_by_value(spikes, 0, self.max_spikes)

    def step(self, current, voltage, net_spikes):
        """Return the spikes in a step, and the potential and the sum of all spikes after it."""
        voltage += times(current, self.gain) + self.bias if self.bias else times(current, self.gain)
        spikes = tf.minimum(tf.floor(voltage if self.threshold == 1 else voltage / self.threshold), self.max_spikes)
        spikes = tf.maximum(spikes, tf.maximum(-net_spikes, -self.max_spikes) if self.negative else 0.0)
        rest = voltage - times(spikes, self.threshold)
        if self.residue != 1:
            rest = tf.where(spikes > 0, self.residue * rest, rest)
        if self.min_potential > -np.inf:
            rest = tf.maximum(rest, self.min_potential)
        return spikes, rest, net_spikes + spikes if self.negative else net_spikes


class _Spikes(tf.keras.layers.Layer):
    """Spikes in each step, (steps * images, ...), for currents (images, ...) that are constant, or of each step."""

    def __init__(self, settings, n_steps, constant):
        super().__init__(trainable=False)
        self.neurons, self.n_steps, self.constant = _Neurons(settings), n_steps, constant

    def call(self, inputs):
        # one axis of neurons is faster than three
        shape = (1 if self.constant else self.n_steps, -1, math.prod(inputs.shape[1:]))
        currents = tf.stop_gradient(tf.reshape(inputs, shape))
        voltage = tf.fill(tf.shape(currents[0]), self.neurons.start)
        net_spikes = tf.zeros_like(voltage)
        outputs = []
        for step in range(self.n_steps):
            spikes, voltage, net_spikes = self.neurons.step(currents[0 if self.constant else step], voltage, net_spikes)
            outputs.append(times(spikes, self.neurons.height))
        return tf.reshape(tf.concat(outputs, axis=0), (-1, *inputs.shape[1:]))


class _MeanSpikes(tf.keras.layers.Layer):
    """Mean of the spikes, with the gradient of the rate: inputs are the mean current (images, ...) and all spikes."""

    def __init__(self, settings, n_steps, name):
        super().__init__(name=keras_name(name), trainable=False)
        self.neurons, self.n_steps = _Neurons(settings), n_steps

    def call(self, inputs):
        current, spikes = inputs
        rate = self.neurons.rate(current)
        mean = tf.reduce_mean(tf.reshape(spikes, (self.n_steps, -1, *current.shape[1:])), axis=0)
        return rate + tf.stop_gradient(mean - rate)


class _GrowthOfMaximum(tf.keras.layers.Layer):
    """Growth, in each step, of the maximum of sums over the steps so far: (steps * images, ...) to the same."""

    def __init__(self, pooling, n_steps):
        super().__init__(trainable=False)
        self.pooling, self.n_steps = pooling, n_steps

    def call(self, inputs):
        # a loop, because tf.cumsum is ten times as slow
        total, *others = tf.unstack(tf.reshape(inputs, (self.n_steps, -1, *inputs.shape[1:])))
        largest = self.pooling(total)
        growth = [largest]
        for values in others:
            total, before = total + values, largest
            largest = self.pooling(total)
            growth.append(largest - before)
        return tf.concat(growth, axis=0)


def tandem_model(network: ConvNetwork, n_steps: int) -> tf.keras.Model:
    """Return a Keras model of a network of integrate-and-fire neurons, to train it on its own spikes.

    Two copies of the network with the same weights run side by side (tandem learning, Wu et al. 2021, doi
    10.1109/TNNLS.2021.3095724): one computes the spikes of all steps; the other propagates their means, from layer to
    layer, and the gradients of a network of rates.

    Parameters
    ----------
    network : ConvNetwork
        Network made by ``to_spiking`` with integrate-and-fire neurons, constant input and no synapses.
    n_steps : int
        Number of time steps, of 1 ms each.

    Returns
    -------
    tf.keras.Model
        Model from images (batch, height, width, channel) to mean class scores (batch, classes).  Its layers have the
        same names as in ``rate_model``; those of neurons return mean activities.
    """
    model, settings = network.model, network.settings
    means: dict[str, typing.Any] = {}
    # layers whose activity is not the same in all steps
    steps: dict[str, typing.Any] = {}
    for name, layer in model.layers.items():
        if isinstance(layer, specs.Input):
            means[name] = tf.keras.Input(layer.shape, name=keras_name(name))
            continue
        mean_inputs = [means[source] for source in layer.inputs]
        changing = any(source in steps for source in layer.inputs)
        step_inputs = mean_inputs
        if changing:
            step_inputs = [steps[s] if s in steps else Repeated(n_steps)(means[s]) for s in layer.inputs]
        if isinstance(layer, specs.Rectifier):
            spikes = _Spikes(settings, n_steps, constant=not changing)(*step_inputs)
            means[name] = _MeanSpikes(settings, n_steps, name)([*mean_inputs, spikes])
            if n_steps > 1:
                steps[name] = spikes
            continue
        computed = keras_layer(layer, model.arrays_of(name))
        means[name] = _applied(computed, mean_inputs)
        if not changing:
            continue
        if isinstance(layer, specs.MaxPool | specs.GlobalMaxPool):
            computed = _GrowthOfMaximum(computed, n_steps)
        steps[name] = _applied(computed, step_inputs)
    scores = means[model.output]
    if model.output_scale != 1:
        scores = tf.keras.layers.Rescaling(model.output_scale)(scores)
    with deep_recursion(2 * len(model.layers)):
        return tf.keras.Model(means[model.input], scores)


def _applied(layer, inputs):
    return layer(inputs if len(inputs) > 1 else inputs[0])
