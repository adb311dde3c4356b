"""MaxGate: the largest entry of a window, for rates and for spikes, on nengo and nengo_dl."""

from nengo.dists import Choice
from nengo.params import BoolParam, IntParam

from ..compat import tf
from .tensorflow_builder import NeuronBuilder, builds
from .unit_gain import UnitGain


class MaxGate(UnitGain):
    """Passes the largest entry of each window: max pooling as a Nengo neuron type.

    The neurons of an ensemble are consecutive windows of ``window`` neurons each, which hold the entries of the
    windows; the first neuron of a window emits its maximum, the others emit nothing.  Gains are 1 and biases 0.

    For spikes, the gate follows the unit with the most spikes so far (Rueckauer et al. 2017, doi
    10.3389/fnins.2017.00682): it keeps the sum of each input over time and emits the growth of the largest sum,

        s_i <- s_i + J_i,    output = max_i s_i - (max_i s_i one step before),

    so that what it has emitted at any time is exactly the maximum of what its inputs have emitted.  Spikes of the
    leading unit pass; those of a unit that catches up do not, so a change of the leader counts nothing twice.

    Parameters
    ----------
    window : int
        Entries of a window.
    cumulative : bool
        Whether sums over time are compared (spikes), or each step for itself (rates).
    initial_state : dict, optional
        {"total": ...}, the sums at the start.
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
    """The same step in TensorFlow; merged ensembles are taken apart, their windows may differ."""

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
