"""tandem_model: a converted network as a Keras model, with the spikes of its neurons and the gradients of rates."""

from __future__ import annotations

import abc
import math
import typing

import nengo
import numpy as np

from ..compat import tf
from ..model import layers as specs
from ..networks.keras_layers import keras_layer, keras_name
from ..networks.rate_model import deep_recursion
from ..neurons.integrate_and_fire import IntegrateAndFire, times
from .unrolled_model import Repeated

if typing.TYPE_CHECKING:
    from ..networks.network import ConvNetwork
    from ..neurons.response import Match

DT = 0.001  # length of a time step in seconds


class _Neurons(abc.ABC):
    """The neurons of a layer, driven by currents in units of activations.

    Parameters
    ----------
    match : Match
        Gain, bias and type of the neurons.

    Attributes
    ----------
    height : float
        Height of a spike.
    """

    def __init__(self, match: Match):
        self.match, self.height = match, match.neuron_type.amplitude / DT

    @abc.abstractmethod
    def smooth_mean(self, current: tf.Tensor, n_steps: int) -> tf.Tensor:
        """Return the mean output for a mean current, as a function that has gradients."""

    @abc.abstractmethod
    def start(self, current: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Return the states before the first step, each of the shape of the current in a step, (images, neurons)."""

    @abc.abstractmethod
    def step(self, current: tf.Tensor, *states: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Return the number of spikes in a step, and the states after it."""


class _IntegrateAndFire(_Neurons):
    """Integrate-and-fire neurons; the states are the potential and the sum of all spikes."""

    def __init__(self, match):
        super().__init__(match)
        neuron_type = match.neuron_type
        growth = DT / neuron_type.tau
        self.gain, self.bias = growth * match.gain, growth * match.bias
        self.threshold, self.max_spikes = neuron_type.threshold, neuron_type.max_spikes
        self.residue, self.min_potential = neuron_type.residue, getattr(neuron_type, "min_potential", -np.inf)
        self.negative = neuron_type.negative

    def smooth_mean(self, current, n_steps):
        # the rate averaged over currents that are up to half a spike of all steps larger or smaller; 0.5 rounds
        start = (self.match.neuron_type.initial_potential - 0.5) / n_steps
        spikes = (self.gain * current + self.bias) / self.threshold + start
        below = _smooth_rectifier(n_steps * (spikes - self.max_spikes)) if np.isfinite(self.max_spikes) else 0
        return self.height / n_steps * (_smooth_rectifier(n_steps * spikes) - below)

    def start(self, current):
        voltage = tf.fill(tf.shape(current), self.match.neuron_type.initial_potential * self.threshold)
        return voltage, tf.zeros_like(voltage)

    def step(self, current, voltage, net_spikes):
        voltage += times(current, self.gain) + self.bias if self.bias else times(current, self.gain)
        spikes = tf.minimum(tf.floor(voltage if self.threshold == 1 else voltage / self.threshold), self.max_spikes)
        spikes = tf.maximum(spikes, tf.maximum(-net_spikes, -self.max_spikes) if self.negative else 0.0)
        rest = voltage - times(spikes, self.threshold)
        if self.residue != 1:
            rest = tf.where(spikes > 0, self.residue * rest, rest)
        if self.min_potential > -np.inf:
            rest = tf.maximum(rest, self.min_potential)
        return spikes, rest, net_spikes + spikes if self.negative else net_spikes


class _LIF(_Neurons):
    """LIF neurons, as ``nengo.LIF``; the states are the potential and the time until the refractory period ends."""

    def smooth_mean(self, current, n_steps):
        # the response is fitted to the rectifier; its own slope is infinite at the threshold
        return tf.clip_by_value(current, 0, self.match.neuron_type.amplitude / max(self.match.neuron_type.tau_ref, DT))

    def start(self, current):
        # Nengo draws the potentials of neurons at random, others whenever a network is built
        states = self.match.neuron_type.make_state(current.shape[-1], rng=np.random.RandomState(0), dtype=np.float32)
        return tuple(tf.broadcast_to(states[name], tf.shape(current)) for name in ("voltage", "refractory_time"))

    def step(self, current, voltage, refractory_time):
        neuron_type = self.match.neuron_type
        current = self.match.gain * current + self.match.bias
        active = tf.clip_by_value(DT - refractory_time, 0, DT)
        voltage -= (current - voltage) * tf.math.expm1(-active / neuron_type.tau_rc)
        spikes = voltage > 1
        # the time since the potential crossed the threshold within the step
        since = -neuron_type.tau_rc * tf.math.log1p((1 - voltage) / tf.where(spikes, current - 1, 1.0))
        refractory_time = tf.where(spikes, neuron_type.tau_ref - since, refractory_time - DT)
        rest = tf.where(spikes, 0.0, tf.maximum(voltage, neuron_type.min_voltage))
        return tf.cast(spikes, voltage.dtype), rest, refractory_time


def _smooth_rectifier(x):
    """Return max(x, 0) averaged over an interval of length 1 around x."""
    return tf.square(tf.clip_by_value(x + 0.5, 0, 1)) / 2 + tf.nn.relu(x - 0.5)


# neuron types of networks of to_spiking that can be trained
CLASSES = {IntegrateAndFire: _IntegrateAndFire, nengo.LIF: _LIF}


def _neurons_of(network, name):
    """Return the neurons of a layer."""
    match = network.settings.of_layer(network.model, name).match
    return next(each for kind, each in CLASSES.items() if isinstance(match.neuron_type, kind))(match)


class _Spikes(tf.keras.layers.Layer):
    """Spikes in each step, (steps * images, ...), for currents (images, ...) that are constant, or of each step."""

    def __init__(self, neurons, n_steps, constant):
        super().__init__(trainable=False)
        self.neurons, self.n_steps, self.constant = neurons, n_steps, constant

    def call(self, inputs):
        # one axis of neurons is faster than three
        shape = (1 if self.constant else self.n_steps, -1, math.prod(inputs.shape[1:]))
        currents = tf.stop_gradient(tf.reshape(inputs, shape))
        states = self.neurons.start(currents[0])
        outputs = []
        for step in range(self.n_steps):
            spikes, *states = self.neurons.step(currents[0 if self.constant else step], *states)
            outputs.append(times(spikes, self.neurons.height))
        return tf.reshape(tf.concat(outputs, axis=0), (-1, *inputs.shape[1:]))


class _MeanSpikes(tf.keras.layers.Layer):
    """Mean of the spikes, with a smooth gradient: inputs are the mean current (images, ...) and all spikes."""

    def __init__(self, neurons, n_steps, name):
        super().__init__(name=keras_name(name), trainable=False)
        self.neurons, self.n_steps = neurons, n_steps

    def call(self, inputs):
        current, spikes = inputs
        smooth = self.neurons.smooth_mean(current, self.n_steps)
        mean = tf.reduce_mean(tf.reshape(spikes, (self.n_steps, -1, *current.shape[1:])), axis=0)
        return smooth + tf.stop_gradient(mean - smooth)


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


class _MeanOutputs(tf.keras.layers.Layer):
    """Mean of a layer's outputs in all steps, with the gradient of its output for the mean of its inputs.

    Both are the same numbers, because the layer is linear or a maximum; gradients of linear layers need only inputs, so
    TensorFlow does not compute the output a second time.

    Inputs are the outputs of all steps, (steps * images, ...), and the mean inputs, (images, ...).
    """

    def __init__(self, layer, n_steps):
        super().__init__()
        self.layer, self.n_steps = layer, n_steps

    def call(self, inputs):
        outputs, *means = inputs

        @tf.custom_gradient
        def mean_outputs(outputs, *sources):
            def gradient(upstream):
                with tf.GradientTape() as tape:
                    tape.watch(means)
                    again = _applied(self.layer, means)
                return None, *tape.gradient(again, [*means, *self.layer.trainable_variables], upstream)

            return tf.reduce_mean(tf.reshape(outputs, (self.n_steps, -1, *outputs.shape[1:])), axis=0), gradient

        # weights are arguments, so that they receive their gradients
        return mean_outputs(outputs, *means, *map(tf.convert_to_tensor, self.layer.trainable_variables))


def tandem_model(network: ConvNetwork, n_steps: int) -> tf.keras.Model:
    """Return a Keras model of a network of integrate-and-fire or LIF neurons, to train it on its own spikes.

    Two copies of the network with the same weights run side by side (tandem learning, Wu et al. 2021, doi
    10.1109/TNNLS.2021.3095724): one computes the spikes of all steps; the other propagates their means, from layer to
    layer, and the gradients of a network of rates.

    Parameters
    ----------
    network : ConvNetwork
        Network made by ``to_spiking`` with neurons of ``CLASSES``, constant input and no synapses.
    n_steps : int
        Number of time steps, of 1 ms each.

    Returns
    -------
    tf.keras.Model
        Model from images (batch, height, width, channel) to mean class scores (batch, classes).  Its layers have the
        same names as in ``rate_model``; those of neurons return mean activities.
    """
    model = network.model
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
            neurons = _neurons_of(network, name)
            spikes = _Spikes(neurons, n_steps, constant=not changing)(*step_inputs)
            means[name] = _MeanSpikes(neurons, n_steps, name)([*mean_inputs, spikes])
            if n_steps > 1:
                steps[name] = spikes
            continue
        computed = keras_layer(layer, model.arrays_of(name))
        if not changing:
            means[name] = _applied(computed, mean_inputs)
            continue
        is_maximum = isinstance(layer, specs.MaxPool | specs.GlobalMaxPool)
        steps[name] = _applied(_GrowthOfMaximum(computed, n_steps) if is_maximum else computed, step_inputs)
        means[name] = _MeanOutputs(computed, n_steps)([steps[name], *mean_inputs])
    scores = means[model.output]
    if model.output_scale != 1:
        scores = tf.keras.layers.Rescaling(model.output_scale)(scores)
    with deep_recursion(2 * len(model.layers)):
        return tf.keras.Model(means[model.input], scores)


def _applied(layer, inputs):
    return layer(inputs if len(inputs) > 1 else inputs[0])
