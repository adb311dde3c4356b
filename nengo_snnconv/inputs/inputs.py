"""Inputs of a network, read in batches: images, frames, or recordings of event cameras that are split into frames."""

from __future__ import annotations

import abc
import typing

import numpy as np

from .._util.digests import crc32, digest
from .._util.user_warnings import warn_user
from .._util.validation import (
    as_float32,
    check_counts,
    check_flags,
    check_optional_counts,
    is_whole,
    shown,
)
from ..errors import SettingsError
from ..events import Recordings
from ..events.frames import check_split
from ..events.recordings import check_recordings
from ..model.input_range import tells_range, warn_of_other_range

if typing.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# data in any of the forms that ``as_data`` reads
Data: typing.TypeAlias = "np.ndarray | Recordings | Inputs | Iterable[typing.Any]"
# number of items that are checked together
CHECKED_TOGETHER = 500


class Inputs(abc.ABC):
    """Base class of inputs; a subclass of your own can read them from any source.

    Attributes
    ----------
    n_steps : int or None
        Number of steps of an item; None for images, which can be shown for any number of steps.
    shape : tuple of int
        (height, width, channel) of a step.
    labels : ndarray or None
        Labels of the items, which functions use if they get no ``y``.
    """

    n_steps: int | None = None
    shape: tuple[int, ...]
    labels: np.ndarray | None = None

    @abc.abstractmethod
    def __len__(self) -> int:
        """Return the number of items."""

    @abc.abstractmethod
    def batch(self, indices: slice | np.ndarray) -> np.ndarray:
        """Return items as an array.

        Parameters
        ----------
        indices : slice or ndarray of int

        Returns
        -------
        ndarray of float32, (items, steps, height, width, channel)
            Without the axis of steps if ``n_steps`` is None.
        """

    @abc.abstractmethod
    def take(self, indices: slice | np.ndarray) -> Inputs:
        """Return Inputs of the given items only."""

    @abc.abstractmethod
    def checksum(self) -> int:
        """Return a number that differs for other inputs; checkpoints use it to recognize the training data."""


class Images(Inputs):
    """Inputs from an array, which becomes float32 a batch at a time.

    Parameters
    ----------
    x : ndarray
        Images (images, height, width, channel), or frames (items, steps, height, width, channel).  It may be
        memory-mapped (``np.load("x.npy", mmap_mode="r")``).
    moving : bool
        True for frames.
    """

    def __init__(self, x: np.ndarray, moving: bool = False):
        self.x = x
        self.n_steps = x.shape[1] if moving else None
        self.shape = x.shape[1 + moving :]

    def __len__(self) -> int:
        return len(self.x)

    def batch(self, indices: slice | np.ndarray) -> np.ndarray:
        return np.asarray(self.x[indices], np.float32)

    def take(self, indices: slice | np.ndarray) -> Images:
        return Images(self.x[indices], self.n_steps is not None)

    def checksum(self) -> int:
        if self.n_steps is not None:
            return crc32(self.x)
        checksum = 0
        for batch in batches(self):  # the same for images in any type
            checksum = crc32(batch, start=checksum)
        return checksum

    def digest(self) -> str:
        """Return a digest of the array, which is read a batch at a time."""
        starts = range(0, len(self), CHECKED_TOGETHER)
        return digest(*(self.x[start : start + CHECKED_TOGETHER] for start in starts))


class EventFrames(Inputs):
    """Recordings of an event camera, split into frames a batch at a time, when they are needed.

    Parameters
    ----------
    recordings : Recordings
    n_steps : int
        Number of frames of each recording.
    split, window_us, merge_polarities
        As for :func:`event_frames`.

    Raises
    ------
    SettingsError
        If an argument has an invalid value.
    """

    n_steps: int

    def __init__(
        self,
        recordings: Recordings,
        n_steps: int,
        *,
        split: str = "count",
        window_us: float | None = None,
        merge_polarities: bool = False,
    ):
        check_recordings(recordings)
        check_split(n_steps, split, window_us)
        check_flags(merge_polarities=merge_polarities)
        self.recordings, self.n_steps = recordings, n_steps
        self.options: dict[str, typing.Any] = {
            "split": split,
            "window_us": window_us,
            "merge_polarities": merge_polarities,
        }
        self.shape = (*recordings.sensor, 1 if merge_polarities else 2)
        self.labels = recordings.labels

    def __len__(self) -> int:
        return len(self.recordings)

    def batch(self, indices: slice | np.ndarray) -> np.ndarray:
        return self.recordings[indices].frames(self.n_steps, **self.options)

    def take(self, indices: slice | np.ndarray) -> EventFrames:
        return EventFrames(self.recordings[indices], self.n_steps, **self.options)

    def checksum(self) -> int:
        return crc32(repr((self.n_steps, self.options)).encode(), start=self.recordings.checksum())


class _CheckedInputs(Inputs):
    """Inputs of a user's own subclass, whose results are checked before simulators compute with them."""

    def __init__(self, inputs):
        name = type(inputs).__name__
        n_steps, shape = getattr(inputs, "n_steps", None), getattr(inputs, "shape", None)
        check_optional_counts(**{f"{name}.n_steps": n_steps})
        if not isinstance(shape, tuple | list) or not shape:
            raise SettingsError(
                f"{name}.shape must be (height, width, channel) of a step, got {shown(shape)}", argument="x"
            )
        check_counts(**{f"{name}.shape[{axis}]": size for axis, size in enumerate(shape)})
        self.inputs, self.n_steps, self.shape, self.name = inputs, n_steps, tuple(map(int, shape)), name
        self.labels = getattr(inputs, "labels", None)
        try:
            self.length = len(inputs)
        except (TypeError, ValueError) as error:
            raise SettingsError(f"len({name}) must be the number of items: {error}", argument="x") from error

    def __len__(self):
        return self.length

    def batch(self, indices):
        batch = as_float32(self.inputs.batch(indices), f"{self.name}.batch")
        steps = () if self.n_steps is None else (self.n_steps,)
        expected = (_n_selected(indices, self.length), *steps, *self.shape)
        if batch.shape != expected:
            raise SettingsError(
                f"{self.name}.batch must return an array of shape {expected} for {expected[0]} items, got shape "
                f"{batch.shape}",
                argument="x",
            )
        return batch

    def take(self, indices):
        taken, n_items = self.inputs.take(indices), _n_selected(indices, self.length)
        if not isinstance(taken, Inputs):
            raise SettingsError(f"{self.name}.take must return Inputs, got {type(taken).__name__}", argument="x")
        taken = _CheckedInputs(taken)
        if (len(taken), taken.n_steps, taken.shape) != (n_items, self.n_steps, self.shape):
            raise SettingsError(
                f"{self.name}.take must return Inputs with {n_items} items, n_steps={self.n_steps} and "
                f"shape={self.shape}; got {len(taken)} items, n_steps={taken.n_steps}, shape={taken.shape}",
                argument="x",
            )
        return taken

    def checksum(self):
        checksum = self.inputs.checksum()
        if not is_whole(checksum):
            raise SettingsError(f"{self.name}.checksum must return an integer, got {shown(checksum)}", argument="x")
        return int(checksum) & 0xFFFFFFFF


def _n_selected(indices, length):
    """Return how many of ``length`` items a slice, an array of indices or a mask selects."""
    return len(range(length)[indices]) if isinstance(indices, slice) else len(np.arange(length)[indices])


def checked_inputs(inputs: Inputs) -> Inputs:
    """Return Inputs whose results are checked, if they are of a user's own class."""
    # exact types, because a subclass may override batch
    return inputs if type(inputs) in (Images, EventFrames, _CheckedInputs) else _CheckedInputs(inputs)


def batches(inputs: Inputs, size: int = CHECKED_TOGETHER) -> Iterator[np.ndarray]:
    """Yield the items of inputs in order, ``size`` at a time."""
    for first in range(0, len(inputs), size):
        yield inputs.batch(slice(first, first + size))


def warn_of_clipped_input(arrays, settings):
    """Warn if values of the input are outside the range that input spikes can represent; return True if so.

    Parameters
    ----------
    arrays : iterable of ndarray
        Parts of the input.
    settings : Settings
        Settings of a network whose input spikes.
    """
    lowest, highest = settings.input_range
    n_values = n_clipped = 0
    extremes = []
    for x in arrays:
        n_values, n_clipped = n_values + x.size, n_clipped + np.count_nonzero((x < lowest) | (x > highest))
        extremes += [x.min(), x.max()]
    if n_clipped:
        share = 100 * n_clipped / n_values
        text = f"{share:.0f}" if share >= 10 else f"{share:.2g}"
        warn_user(
            f"{text} % of the input is outside the range from {lowest:g} to {highest:g} that spikes can represent, and "
            f"is clipped: use {settings.wider_input(np.array(extremes))}",
        )
    return n_clipped > 0


def warn_of_uncalibrated_input(model, inputs, settings):
    """Warn if the first images are far outside the range with which a network without input spikes was calibrated."""
    if isinstance(inputs, Images) and inputs.n_steps is None and not settings.input_spikes:
        warn_of_other_range(model, inputs.batch(slice(0, CHECKED_TOGETHER)))


def is_unit_input(model, inputs):
    """Return whether the first images are in [0, 1], and nothing tells whether the model was trained on such images."""
    if not isinstance(inputs, Images) or inputs.n_steps is not None or tells_range(model):
        return False
    images = inputs.batch(slice(0, CHECKED_TOGETHER))
    return bool(images.min() >= 0 and 0 < images.max() <= 1)
