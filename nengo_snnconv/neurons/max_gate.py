"""MaxGate, the neuron type of max pooling, for rates and for spikes, for Nengo and NengoDL."""

from nengo.dists import Choice
from nengo.params import BoolParam, IntParam

from ..compat import tf
from .tensorflow_builder import NeuronBuilder, builds
from .unit_gain import UnitGain


class MaxGate(UnitGain):
    """Max pooling as a Nengo neuron type.

    Each ``window`` consecutive neurons of an ensemble receive the entries of a pooling window; the first of them emits
    the maximum, the others emit nothing.  Gains are 1 and biases 0.

    For spikes, the gate follows the unit with the most spikes so far (Rueckauer et al. 2017, doi
    10.3389/fnins.2017.00682): it sums each input over time and emits the increase of the largest sum,

        s_i <- s_i + J_i,    output = max_i s_i - (max_i s_i one step before),

    so that at any time its spike count is the maximum of the spike counts of its inputs.  Spikes of the leading unit
    pass, those of a unit that catches up do not.

    Parameters
    ----------
    window : int
        Number of entries of a pooling window.
    cumulative : bool
        Compare sums over time (for spikes), instead of the values of each step (for rates).
    initial_state : dict, optional
        {"total": ...}: initial sums.
    """

    state = {"total": Choice([0])}
    spiking = False
    negative = True

    window = IntParam("window", low=1)
    cumulative = BoolParam("cumulative")

    def __init__(self, window, cumulative=True, initial_state=None):
        super().__init__(initial_state)
        self.window = window
        self.cumulative = cumulative

    def step(self, dt, J, output, total):
        before = self._maxima(total)
        total += J
        output[...] = 0
        output[:: self.window] = self._maxima(total) - before if self.cumulative else self._maxima(J)

    def _maxima(self, values):
        return values.reshape(-1, self.window).max(axis=1)


@builds(MaxGate)
class MaxGateBuilder(NeuronBuilder):
    """The same step in TensorFlow; merged ensembles are split, because their windows may differ."""

    def step(self, J, dt, total):
        after = total + J
        parts = zip(self.neurons, *(tf.split(values, self.sizes, axis=1) for values in (J, total, after)), strict=True)
        output = [self._emit(neurons, *values) for neurons, *values in parts]
        return tf.concat(output, axis=1), after

    @staticmethod
    def _emit(neurons, current, total, after):
        def maxima(values):
            return tf.reduce_max(tf.reshape(values, (values.shape[0], -1, neurons.window)), axis=2, keepdims=True)

        largest = maxima(after) - maxima(total) if neurons.cumulative else maxima(current)
        silent = tf.pad(largest, [(0, 0), (0, 0), (0, neurons.window - 1)])
        return tf.reshape(silent, current.shape)
