"""Inputs: what a network is shown, as batches: images that stand still, frames, or recordings that become frames."""

import abc

import numpy as np

from .._util.digests import crc32
from .._util.validation import (
    as_array,
    as_float32,
    check_counts,
    check_flags,
    check_images,
    check_optional_counts,
    check_range,
    is_whole,
    shown,
)
from ..errors import SettingsError
from ..events import Recordings
from ..events.frames import check_split


class Inputs(abc.ABC):
    """Base class of what a network can be shown; a subclass of your own can read it from wherever it is.

    Attributes
    ----------
    n_steps : int or None
        Steps of an item; None for images that stand still, for any number of steps.
    shape : tuple of int
        (height, width, channel) of a step.
    """

    n_steps = None

    @abc.abstractmethod
    def __len__(self):
        """Number of items."""

    @abc.abstractmethod
    def batch(self, indices):
        """Items, by slice or numbers: float32 (items, steps, height, width, channel), without steps if still."""

    @abc.abstractmethod
    def take(self, indices):
        """Inputs of these items only."""

    @abc.abstractmethod
    def checksum(self):
        """A number that tells these inputs from others, so that a checkpoint knows its training."""


class Images(Inputs):
    """Images that stand still (images, height, width, channel), or frames (items, steps, height, width, channel)."""

    def __init__(self, x, moving=False):
        self.x = x
        self.n_steps = x.shape[1] if moving else None
        self.shape = x.shape[1 + moving :]

    def __len__(self):
        return len(self.x)

    def batch(self, indices):
        return np.asarray(self.x[indices], np.float32)

    def take(self, indices):
        return Images(self.x[indices], self.n_steps is not None)

    def checksum(self):
        return crc32(self.x)


class EventFrames(Inputs):
    """Recordings of an event camera that become frames when they are needed, a batch at a time.

    Parameters
    ----------
    recordings : Recordings
    n_steps : int
        Frames of each recording.
    split, window_us, merge_polarities
        As for :func:`event_frames`.
    """

    def __init__(self, recordings, n_steps, *, split="count", window_us=None, merge_polarities=False):
        if not isinstance(recordings, Recordings):
            raise SettingsError(f"recordings must be Recordings, got {type(recordings).__name__}")
        check_split(n_steps, split, window_us)
        check_flags(merge_polarities=merge_polarities)
        self.recordings, self.n_steps = recordings, n_steps
        self.options = {"split": split, "window_us": window_us, "merge_polarities": merge_polarities}
        self.shape = (*recordings.sensor, 1 if merge_polarities else 2)

    def __len__(self):
        return len(self.recordings)

    def batch(self, indices):
        return self.recordings[indices].frames(self.n_steps, **self.options)

    def take(self, indices):
        return EventFrames(self.recordings[indices], self.n_steps, **self.options)

    def checksum(self):
        return crc32(repr((self.n_steps, self.options)).encode(), start=self.recordings.checksum())


class _Checked(Inputs):
    """Inputs of a user's own, of which all that they give is checked: simulators compute on it as it is."""

    def __init__(self, inputs):
        name = type(inputs).__name__
        n_steps, shape = getattr(inputs, "n_steps", None), getattr(inputs, "shape", None)
        check_optional_counts(**{f"{name}.n_steps": n_steps})
        if not isinstance(shape, tuple | list) or not shape:
            raise SettingsError(f"{name}.shape must be (height, width, channel) of a step, got {shown(shape)}")
        check_counts(**{f"{name}.shape[{axis}]": size for axis, size in enumerate(shape)})
        self.inputs, self.n_steps, self.shape, self.name = inputs, n_steps, tuple(map(int, shape)), name
        try:
            self.length = len(inputs)
        except (TypeError, ValueError) as error:
            raise SettingsError(f"len({name}) must be the number of items: {error}") from error

    def __len__(self):
        return self.length

    def batch(self, indices):
        batch = as_float32(self.inputs.batch(indices), f"{self.name}.batch")
        steps = () if self.n_steps is None else (self.n_steps,)
        wanted = (_number_of(indices, self.length), *steps, *self.shape)
        if batch.shape != wanted:
            raise SettingsError(
                f"{self.name}.batch must give finite numbers (items, {', '.join(map(str, wanted[1:]))}), {wanted[0]} "
                f"items for the {wanted[0]} that it is asked for; it gave {batch.shape}"
            )
        return batch

    def take(self, indices):
        taken, wanted = self.inputs.take(indices), _number_of(indices, self.length)
        if not isinstance(taken, Inputs):
            raise SettingsError(f"{self.name}.take must give Inputs, it gave {type(taken).__name__}")
        taken = _Checked(taken)
        if (len(taken), taken.n_steps, taken.shape) != (wanted, self.n_steps, self.shape):
            raise SettingsError(
                f"{self.name}.take must give Inputs of the {wanted} items that it is asked for, with the same n_steps "
                f"and shape; it gave {len(taken)} items, n_steps={taken.n_steps}, shape={taken.shape}"
            )
        return taken

    def checksum(self):
        checksum = self.inputs.checksum()
        if not is_whole(checksum):
            raise SettingsError(f"{self.name}.checksum must give a whole number, it gave {shown(checksum)}")
        return int(checksum) & 0xFFFFFFFF


def _number_of(indices, length):
    """Return how many of ``length`` items a slice, numbers or a mask name."""
    return len(range(length)[indices]) if isinstance(indices, slice) else len(np.arange(length)[indices])


def as_inputs(model, x, n_steps=None):
    """``x`` as Inputs that fit ``model``.

    Parameters
    ----------
    model : Model
    x : ndarray, Recordings or Inputs
        Images (images, height, width, channel), frames (items, steps, height, width, channel), or recordings, which
        are split into ``n_steps`` frames of equally many events.
    n_steps : int, optional
        For recordings by default as many as the model was trained through.

    Returns
    -------
    Inputs

    Raises
    ------
    SettingsError
        If they do not fit the model, or do not have ``n_steps`` steps.
    """
    if n_steps is not None:
        check_counts(n_steps=n_steps)
    shape = model.shapes[model.input]
    if isinstance(x, Recordings):
        n_steps = model.metadata.get("n_steps") if n_steps is None else n_steps
        if n_steps is None:
            raise SettingsError("recordings become frames: say into how many they are split, for example n_steps=16")
        x = EventFrames(x, n_steps)
    elif isinstance(x, Inputs):
        # of these classes themselves: a subclass may have a batch of its own
        x = x if type(x) in (Images, EventFrames, _Checked) else _Checked(x)
    else:
        x = as_array(x, "x", "an array of images")
        if x.ndim != len(shape) + 2:
            return Images(check_images(model, x))
        check_range(x, "x", exact=True)  # whole numbers become float32 a batch at a time
        x = Images(x, moving=True)
    if x.shape != shape or not len(x) or x.n_steps == 0:
        raise SettingsError(
            f"each step of x must have shape ({', '.join(map(str, shape))}), and there must be some; got {len(x)} "
            f"items of {x.shape}" + (" without any step" if x.n_steps == 0 else "")
        )
    if None not in (x.n_steps, n_steps) and x.n_steps != n_steps:
        raise SettingsError(f"x has {x.n_steps} steps, n_steps is {n_steps}: leave n_steps out, or make other frames")
    return x
