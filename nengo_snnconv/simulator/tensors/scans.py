"""Scans: neurons and filters over the steps of a chunk, each compiled to one loop by TensorFlow's compiler XLA.

Signals over time are tensors (steps, images, size).  The first two axes have length 1 if the signal is the same in all
steps, or for all images.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Sequence

import nengo
import numpy as np
from nengo.builder.neurons import SimNeurons
from nengo.builder.signal import Signal

from ...compat import nengo_dl, tf
from ...errors import ConversionError
from ..compile.neuron_kinds import SUPPORTED

if typing.TYPE_CHECKING:
    import numpy.typing as npt


def scan(
    step: Callable, signals: Sequence[tf.Tensor], states: Sequence[tf.Tensor], n_steps: int
) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
    """Apply a function to each step, one after another.

    Parameters
    ----------
    step : callable
        Takes the values of all signals in a step, and the states; returns a list of outputs and a list of new states,
        all (images, size).
    signals : sequence of tf.Tensor, (steps or 1, images or 1, size)
    states : sequence of tf.Tensor, (images, size)
    n_steps : int

    Returns
    -------
    (list of tf.Tensor, list of tf.Tensor)
        The outputs of all steps, (steps, images, size) each, and the states after the last one.
    """

    def values_in(number):
        return [signal[number if signal.shape[0] > 1 else 0] for signal in signals]

    def body(number, states, outputs):
        now, after = step(values_in(number), states)
        return number + 1, after, [output.write(number, value) for output, value in zip(outputs, now, strict=True)]

    first, _ = step(values_in(0), list(states))  # only its shapes are used
    arrays = [tf.TensorArray(value.dtype, n_steps, element_shape=value.shape) for value in first]
    start = (tf.constant(0), list(states), arrays)
    _, after, outputs = tf.while_loop(lambda number, *_: number < n_steps, body, start)
    return [output.stack() for output in outputs], after


class NeuronScan:
    """Neurons of a type over the steps of a chunk: the step of NengoDL's builder of the type, in a compiled loop.

    Parameters
    ----------
    neuron_type : nengo.neurons.NeuronType
    size : int
        Number of neurons.
    dt : float
        Seconds per step.

    Raises
    ------
    ConversionError
        If NengoDL has no builder in TensorFlow for the type.
    """

    def __init__(self, neuron_type: nengo.neurons.NeuronType, size: int, dt: float):
        builders = nengo_dl.neuron_builders.SimNeuronsBuilder.TF_NEURON_IMPL
        # the input of spikes from rates would be the output of other neurons, and some of them draw random numbers
        from_rates = isinstance(neuron_type, nengo.neurons.RatesToSpikesNeuronType)
        if type(neuron_type) not in builders or from_rates:
            raise ConversionError(
                f"the back end 'tensorflow' does not support {neuron_type}: it simulates {SUPPORTED}, networks of "
                "to_ttfs and types with a step of their own in NengoDL; use backend='nengo_dl'"
            )
        current, output, *signals = (Signal(np.zeros(size)) for _ in range(2 + len(neuron_type.state)))
        operator = SimNeurons(neuron_type, current, output, dict(zip(neuron_type.state, signals, strict=True)))
        self._builder = builders[type(neuron_type)]([operator])
        self._builder.build_pre(_BuilderSignals(dt), types.SimpleNamespace(lif_smoothing=None))
        self._dt, self._names = np.float32(dt), tuple(neuron_type.state)
        self._run = tf.function(self._loop, autograph=False, jit_compile=True)

    def __call__(
        self,
        currents: Sequence[tf.Tensor],
        gain: npt.ArrayLike,
        bias: npt.ArrayLike,
        states: Sequence[tf.Tensor],
        n_steps: int,
        traced: Sequence[str] = (),
    ) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        """Run the neurons.

        Parameters
        ----------
        currents : sequence of tf.Tensor, (steps or 1, images or 1, neurons)
            Their sum is the input of the neurons.
        gain, bias : float or ndarray of float32, (neurons,)
        states : sequence of tf.Tensor, (images, neurons)
            In the order of ``neuron_type.make_state``.
        n_steps : int
        traced : sequence of str
            Names of states.

        Returns
        -------
        (list of tf.Tensor, list of tf.Tensor)
            Output and traced states after each step, (steps, images, neurons) each; and the states after the last one.
        """
        return self._run(list(currents), gain, bias, list(states), n_steps, tuple(traced))

    def _loop(self, currents, gain, bias, states, n_steps, traced):
        def step(currents, states):
            current = _sum(currents)
            current = current if np.isscalar(gain) and gain == 1 else current * gain
            current = current if np.isscalar(bias) and bias == 0 else current + bias
            result = self._builder.step(current, self._dt, **dict(zip(self._names, states, strict=True)))
            output, *after = result if states else [result]
            after = [tf.cast(new, old.dtype) for new, old in zip(after, states, strict=True)]
            return [output, *(after[self._names.index(name)] for name in traced)], after

        return scan(step, currents, states, n_steps)


class _BuilderSignals(nengo_dl.signals.SignalDict):
    """The part of NengoDL's signals that its builders of neurons use when they are created, for one image."""

    def __init__(self, dt):
        super().__init__("float32", minibatch_size=1)
        self.dt_val, self.dt = dt, np.float32(dt)
        self.zero, self.one = tf.constant(0.0), tf.constant(1.0)

    def combine(self, signals, label=None):
        return signals[0]


class FilterScan:
    """A linear filter over the steps of a chunk; as in Nengo, the output in a step is the value after the step before.

    Parameters
    ----------
    synapse : nengo.LinearFilter
    dt : float
        Seconds per step.

    Attributes
    ----------
    n_states : int
        Number of states of a value: those of the filter, and its last output.
    """

    def __init__(self, synapse: nengo.LinearFilter, dt: float):
        step = synapse.make_step((1,), (1,), dt, None, synapse.make_state((1,), (1,), dt))
        feedthrough = step.d if isinstance(step, nengo.LinearFilter.NoX) else step.D.item()
        self._a, self._b, self._c = (
            np.asarray(values, np.float32) for values in (step.A, np.ravel(step.B), np.ravel(step.C))
        )
        self._d, self._from_before = np.float32(feedthrough), isinstance(step, nengo.LinearFilter.General)
        self.n_states = len(self._b) + 1
        self._run = tf.function(self._loop, autograph=False, jit_compile=True)

    def __call__(
        self, signal: tf.Tensor, states: Sequence[tf.Tensor], n_steps: int
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Return the filtered signal, (steps, images, size), and the states after the last step."""
        (output,), after = self._run(signal, list(states), n_steps)
        return output, after

    def _loop(self, signal, states, n_steps):
        def step(values, states):
            (x,), (*before, last) = values, states
            after = [_weighted([x, *before], [b, *row]) for b, row in zip(self._b, self._a, strict=True)]
            now = _weighted([x, *(before if self._from_before else after)], [self._d, *self._c])
            return [last], [*after, tf.broadcast_to(now, last.shape)]

        return scan(step, [signal], states, n_steps)


def _weighted(values, weights):
    """Return the weighted sum of tensors, without those whose weight is 0."""
    weighted = [(value, weight) for value, weight in zip(values, weights, strict=True) if weight]
    products = [value if weight == 1 else value * weight for value, weight in weighted]
    return _sum(products) if products else tf.zeros_like(values[0])


def _sum(values):
    total, *others = values
    for value in others:
        total = total + value
    return total
