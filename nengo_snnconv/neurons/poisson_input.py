"""PoissonInput, the neuron type that encodes images as random spikes, the same ones on Nengo and NengoDL."""

import numpy as np
from nengo.dists import Choice
from nengo.params import IntParam, NumberParam

from ..compat import tf
from .encoding import LAST_SHIFT, ROUNDS, uniform
from .tensorflow_builder import NeuronBuilder, builds
from .unit_gain import UnitGain


class PoissonInput(UnitGain):
    """Neuron that spikes at random, with probability min(1, |J| / threshold) in each step.

    Spikes have the sign of the input J and the height ``threshold``, so the mean output is J, unless |J| is above the
    threshold (Diehl et al. 2015, doi 10.1109/IJCNN.2015.7280696).  The random numbers come from
    :func:`nengo_snnconv.neurons.encoding.uniform`, which is the same on every back end; Nengo, which has no minibatch,
    uses those of item 0.  Gains are 1 and biases 0.

    Parameters
    ----------
    threshold : float
        Input at which a neuron spikes in every step.
    seed : int
    initial_state : dict, optional
        {"item": ..., "step": ...}: index of the (first) item of the minibatch, and of the first step.
    """

    state = {"item": Choice([0]), "step": Choice([0])}
    spiking = True
    negative = True

    threshold = NumberParam("threshold", low=0, low_open=True)
    seed = IntParam("seed", low=0)

    def __init__(self, threshold=1.0, seed=0, initial_state=None):
        super().__init__(initial_state)
        self.threshold = threshold
        self.seed = seed

    def step(self, dt, J, output, item, step):
        probability = np.abs(J).astype(np.float32) / np.float32(self.threshold)
        fires = uniform(self.seed, item, np.arange(len(J)), step) < probability
        output[...] = np.where(fires, np.sign(J) * self.threshold, 0)
        step += 1


@builds(PoissonInput)
class PoissonInputBuilder(NeuronBuilder):
    """The same step in TensorFlow."""

    def build_pre(self, signals, config):
        super().build_pre(signals, config)
        self.threshold = self.constant(signals, "threshold")
        seeds = [np.full(size, neurons.seed) for neurons, size in zip(self.neurons, self.sizes, strict=True)]
        self.seed = np.concatenate(seeds)[None]
        self.place = np.arange(signals.minibatch_size)[:, None]
        self.unit = np.concatenate([np.arange(size) for size in self.sizes])[None]

    def step(self, J, dt, item, step):
        item_number, number = tf.cast(item, tf.int64) + self.place, tf.cast(step, tf.int64)
        random = self._uniform(self.seed, item_number, number, self.unit)
        fires = random < tf.cast(tf.abs(J), tf.float32) / tf.cast(self.threshold, tf.float32)
        return tf.where(fires, tf.sign(J) * self.threshold, tf.zeros_like(J)), item, step + 1

    @staticmethod
    def _uniform(*numbers):
        state = tf.constant(0, tf.uint32)
        for number in numbers:
            state = _mix(tf.bitwise.bitwise_xor(tf.cast(number, tf.uint32), state)) + tf.constant(0x9E3779B9, tf.uint32)
        bits = tf.bitwise.right_shift(_mix(state), tf.constant(8, tf.uint32))
        return tf.cast(bits, tf.float32) * 2**-24


def _mix(x):
    """Do the same as :func:`nengo_snnconv.neurons.encoding.mix` in TensorFlow."""
    for shift, factor in ROUNDS:
        x = _fold(x, shift) * tf.constant(factor, tf.uint32)
    return _fold(x, LAST_SHIFT)


def _fold(x, shift):
    return tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, tf.constant(shift, tf.uint32)))
