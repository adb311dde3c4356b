"""Maxima over windows of units, of each step or of sums over time, for all steps and images at once."""

from __future__ import annotations

import typing
from collections.abc import Callable, Sequence

import nengo
import numpy as np

from ...compat import tf
from ...model import layers as specs
from ...networks.keras_layers import keras_layer
from ...neurons.max_gate import MaxGate
from .scans import scan

if typing.TYPE_CHECKING:
    from ...model import Model
    from ..compile.network_view import NetworkView


def is_pooling(neurons: nengo.ensemble.Neurons, view: NetworkView, readers: Sequence[nengo.Connection]) -> bool:
    """Return True for a ``MaxGate`` that selects from one signal, and of which only the maxima are read.

    Parameters
    ----------
    neurons : nengo.ensemble.Neurons
    view : NetworkView
    readers : sequence of nengo.Connection
        Connections that read the neurons.
    """
    if not isinstance(neurons.ensemble.neuron_type, MaxGate) or neurons.ensemble.neuron_type.initial_state:
        return False
    into = view.into(neurons)
    firsts = np.arange(0, neurons.size_out, neurons.ensemble.neuron_type.window)
    selects = len(into) == 1 and isinstance(into[0].transform, nengo.transforms.NoTransform)
    return (
        selects
        and view.n_readers(neurons) == len(readers) > 0  # no probes and no counters
        and all(
            np.array_equal(np.arange(neurons.size_out)[reader.pre_slice], firsts)
            and isinstance(reader.transform, nengo.transforms.NoTransform)
            and len(firsts) == reader.post_obj.size_in
            for reader in readers
        )
    )


def maxima_of(entries: np.ndarray, model: Model | None, name: str) -> Callable[[tf.Tensor], tf.Tensor]:
    """Return the function that takes maxima of windows: (..., units) to (..., windows).

    Parameters
    ----------
    entries : ndarray of int, (windows, entries)
        Units of each window.
    model : Model or None
    name : str
        Layer of ``model`` that may have the same windows, which TensorFlow's pooling computes faster.
    """
    layer = model.layers.get(name) if model is not None else None
    if model is not None and isinstance(layer, specs.MaxPool | specs.GlobalMaxPool):
        shape = model.shapes[layer.inputs[0]]
        if np.array_equal(layer.windows(shape), entries):
            pool = keras_layer(layer, {})
            return lambda values: tf.reshape(pool(tf.reshape(values, (-1, *shape))), (*values.shape[:-1], len(entries)))

    def gathered(values):
        largest, *others = (tf.gather(values, units, axis=-1) for units in entries.T)
        for value in others:
            largest = tf.maximum(largest, value)
        return largest

    return gathered


class MaximaScan:
    """Maxima of windows: those of each step, or the growth of the maxima of sums over time, see ``MaxGate``.

    Parameters
    ----------
    maxima : callable
        Takes values (..., units) and returns their maxima in each window, (..., windows).
    cumulative : bool
    """

    def __init__(self, maxima: Callable[[tf.Tensor], tf.Tensor], cumulative: bool):
        self._maxima, self._cumulative = maxima, cumulative
        self._sums = tf.function(_sums_over_time, autograph=False, jit_compile=True)

    def __call__(
        self, signal: tf.Tensor, states: Sequence[tf.Tensor], n_steps: int
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Return the output, (steps, images, windows), and the states after the last step.

        States are the sums of the units and their maxima; none for maxima of each step.
        """
        if not self._cumulative:
            return self._maxima(signal), []
        total, before = states
        (totals,), (total,) = self._sums(signal, total, n_steps)
        largest = self._maxima(totals)
        return largest - tf.concat([before[None], largest[:-1]], axis=0), [total, largest[-1]]


def _sums_over_time(signal, total, n_steps):
    # a loop, because tf.cumsum is several times as slow
    def step(values, states):
        total = states[0] + values[0]
        return [total], [total]

    return scan(step, [signal], [total], n_steps)
