"""TensorRunner: runs of a network in TensorFlow, with chunks of steps that fit into memory, states and counters."""

from __future__ import annotations

import math
import typing
from collections.abc import Sequence

import nengo
import numpy as np

from ..._util.validation import check_memory
from ...compat import tf
from ...compat.exact_products import exact_products
from .tensor_program import TensorProgram

# longer chunks are not faster
LONGEST_CHUNK = 16


class TensorRunner:
    """Runs minibatches of a network in TensorFlow, on a GPU if there is one.

    Parameters
    ----------
    network : ConvNetwork
    dt : float
        Seconds per step.
    minibatch_size : int
    probes : list of nengo.Probe
    counted : dict of str to (Nengo object, float), optional
        As for :class:`TensorProgram`.
    memory_mb : float or None
        Approximate memory in megabytes; limits the number of steps of a chunk.  None for no limit.

    Attributes
    ----------
    totals : dict of str to ndarray, (units,)
        Counts of all runs.
    per_step : dict of str to ndarray, (steps,)
        Counts of the last run.
    negative : dict of str to float
        Counts of negative spikes in all runs, for the counted neurons that can emit them.
    """

    def __init__(
        self,
        network: typing.Any,
        dt: float,
        minibatch_size: int,
        probes: Sequence[nengo.Probe],
        counted: dict[str, tuple[typing.Any, float]] | None = None,
        *,
        memory_mb: float | None = None,
    ):
        self.program = TensorProgram(network, dt, probes, counted)
        self.minibatch_size = minibatch_size
        # states before and after a chunk
        state_bytes = 2 * 4 * minibatch_size * sum(state.size for group in self.program.initial for state in group)
        check_memory(
            state_bytes,
            f"the state of neurons for minibatch_size={minibatch_size}",
            "simulate fewer images together",
        )
        self.chunk = LONGEST_CHUNK
        if memory_mb is not None:
            free = memory_mb * 1e6 - state_bytes
            self.chunk = int(max(1, min(LONGEST_CHUNK, free / (minibatch_size * self.program.bytes_per_step))))
        self._compute = tf.function(self.program.compute, autograph=False)
        self._totals = [tf.zeros(obj.size_out, tf.float64) for obj, _ in self.program.counted.values()]
        self.per_step: dict[str, np.ndarray] = {}
        self.negative = dict.fromkeys(self.program.signed, 0.0)
        self.start(1, 0)

    def start(self, n_images: int, first_image: int) -> None:
        """Reset the network to time 0.

        Parameters
        ----------
        n_images : int
            Number of images, at most ``minibatch_size``.
        first_image : int
            Number of the first image in its minibatch, on which Poisson spikes depend.
        """
        self._states = self.program.states(self._places(n_images), first_image)

    def keep(self, rows: np.ndarray) -> None:
        """Continue with some images of the last run only.

        Parameters
        ----------
        rows : ndarray of int
            Their places, in order.
        """
        rows = self._padded(rows)
        self._states = [[tf.gather(state, rows) for state in group] for group in self._states]

    def run(self, n_steps: int, images: np.ndarray) -> list[np.ndarray]:
        """Run further steps.

        Parameters
        ----------
        n_steps : int
        images : ndarray of float32, (images, 1 or n_steps, size)

        Returns
        -------
        list of ndarray, (images, n_steps, size)
            Values of each probe.
        """
        n_images, n_shown, _ = images.shape
        shown = np.swapaxes(images, 0, 1)[:, self._padded(np.arange(n_images))]
        samples, by_step, begin = [], [], 0
        with exact_products():
            for length in _lengths(n_steps, self.chunk):
                part = shown if n_shown == 1 else shown[begin : begin + length]
                values, counts, negative, self._states = self._compute(
                    tf.constant(part), self._states, length, tf.constant(n_images)
                )
                samples.append([value[:, :n_images] for value in values])
                by_step.append([number for number, _ in counts])
                self._totals = [total + units for total, (_, units) in zip(self._totals, counts, strict=True)]
                for name, number in zip(self.negative, negative, strict=True):
                    self.negative[name] += float(number)
                begin += length
        names = self.program.counted
        self.per_step = dict(zip(names, map(np.concatenate, zip(*by_step, strict=True)), strict=True))
        return [np.swapaxes(np.concatenate(parts), 0, 1) for parts in zip(*samples, strict=True)]

    @property
    def totals(self) -> dict[str, np.ndarray]:
        return {name: total.numpy() for name, total in zip(self.program.counted, self._totals, strict=True)}

    def _places(self, n_images):
        """Return the number of places for images: the minibatch, its half, its quarter, ..., as each is compiled."""
        places = self.minibatch_size
        while places > 1 and (places + 1) // 2 >= n_images:
            places = (places + 1) // 2
        return places

    def _padded(self, rows):
        """Return rows for all places; the last one fills places without an image."""
        return np.pad(rows, (0, self._places(len(rows)) - len(rows)), mode="edge")


def _lengths(n_steps, longest):
    """Return the lengths of the chunks of a run, which differ by at most one, since each length is compiled."""
    n_chunks = math.ceil(n_steps / longest)
    return [n_steps // n_chunks + (number < n_steps % n_chunks) for number in range(n_chunks)]
