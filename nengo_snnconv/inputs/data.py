"""Data as functions take them: images and labels in any form, as Inputs, arrays or a stream of batches.

Every public function that takes images calls one of these functions first.
"""

from __future__ import annotations

import math
import os
import typing

import numpy as np

from .._util.text_tables import counted
from .._util.validation import as_array, check_counts, check_memory, check_range, check_stored_images, shown
from ..errors import SettingsError
from ..events import Recordings
from ..model.input_range import warn_of_range
from .arrays import as_numbers, channels_last
from .inputs import EventFrames, Images, Inputs, batches, checked_inputs
from .several import JoinedArrays, as_parts, as_targets, as_vectors, has_several, holds_batches
from .sources import batches_of, gather, is_pair, is_source

if typing.TYPE_CHECKING:
    from collections.abc import Iterator

    from ..model import Model


def as_data(model: Model, x: typing.Any, y: typing.Any = None, n_steps: int | None = None) -> tuple[Inputs, typing.Any]:
    """Return data in any form as Inputs that fit ``model``, and labels.

    Parameters
    ----------
    model : Model
    x : array_like, Recordings, Inputs, data set, loader, sequence or iterable
        Images, (images, height, width, channel), or frames, (items, steps, height, width, channel).  Data sets, loaders
        and generators give them in batches or one by one, alone, as pairs (x, y), or as dicts.
    y : array_like, optional
        Labels; by default those in ``x``.
    n_steps : int, optional
        As for :func:`as_inputs`.

    Returns
    -------
    Inputs, labels
        The labels are not checked; None if there are none.

    Raises
    ------
    SettingsError
        If the data do not fit the model, or ``y`` differs from the labels in ``x``.
    """
    x, labels = _gathered(model, x)
    inputs = _as_inputs(model, x, n_steps)
    if isinstance(inputs, Images):
        warn_of_range(model, inputs.x)
    if y is None and isinstance(x, Recordings | Inputs):
        return inputs, x.labels
    return inputs, _chosen(model, y, labels)


def as_inputs(model: Model, x: typing.Any, n_steps: int | None = None) -> Inputs:
    """Return ``x`` as Inputs that fit ``model``; labels in it are ignored.

    Parameters
    ----------
    model : Model
    x
        As for :func:`as_data`.
    n_steps : int, optional
        Number of steps; by default, recordings are split into as many frames as the model was trained with.

    Returns
    -------
    Inputs

    Raises
    ------
    SettingsError
        If they do not fit the model, or do not have ``n_steps`` steps.
    """
    return as_data(model, x, n_steps=n_steps)[0]


def as_images(
    model: Model, x: typing.Any, y: typing.Any = None, *, means: bool = False
) -> tuple[np.ndarray, typing.Any]:
    """Return data in any form as an array of images that fit ``model``, and labels.

    Parameters
    ----------
    model, x, y
        As for :func:`as_data`.
    means : bool
        Take the mean over the steps of frames, as an ANN does.  If False, frames are
        refused, since the caller shows the same image in every step.

    Returns
    -------
    ndarray of float32, (images, height, width, channel)
    labels
        They are not checked; None if there are none.

    Raises
    ------
    SettingsError
        If the data do not fit the model or the memory, or ``y`` differs from the labels in ``x``.
    """
    if isinstance(x, Recordings):
        raise _no_steps()
    inputs, y = as_data(model, x, y)
    if inputs.n_steps is not None and not means:
        mean = "x.mean(axis=1)" if isinstance(inputs, Images) else "x.batch(slice(None)).mean(axis=1)"
        raise SettingsError(
            f"x must have shape (images, {', '.join(map(str, inputs.shape))}), got frames, and this function shows the "
            f"same image in every step: give their mean over the steps, {mean}",
            argument="x",
        )
    check_memory(4.0 * len(inputs) * np.prod(inputs.shape), "x as float32", "give fewer images")
    if inputs.n_steps is None:
        return inputs.batch(slice(None)), y
    return np.concatenate([batch.mean(axis=1) for batch in batches(inputs)]), y


def image_batches(model: Model, x: typing.Any, size: int) -> tuple[int | None, Iterator[np.ndarray]]:
    """Return the number of images, if it is known, and an iterator of batches of float32 images that fit ``model``.

    Sources are read once and not kept.  Of frames, the mean over the steps is taken.

    Parameters
    ----------
    model, x
        As for :func:`as_data`; a list or tuple of arrays holds batches.
    size : int
        Largest number of images in a batch.
    """
    if isinstance(x, Recordings):
        raise _no_steps()
    is_data = is_pair(model, x) or (has_several(model) and as_parts(model, x) is not None)
    if not is_data and (is_source(x) or isinstance(x, list | tuple)):
        source = iter(x) if isinstance(x, list | tuple) else x
        return None, _streamed(model, source, size)
    inputs = as_inputs(model, x)
    return len(inputs), (_mean(batch) if inputs.n_steps else batch for batch in batches(inputs, size))


def _streamed(model, source, size):
    rank = len(model.shapes[model.input])
    for number, (batch, _) in enumerate(batches_of(model, source)):
        if not number:
            warn_of_range(model, batch)
        for first in range(0, len(batch), size):
            part = np.asarray(batch[first : first + size], np.float32)
            yield check_stored_images(model, _mean(part)) if part.ndim == rank + 2 else part


def as_pair(data: typing.Any) -> tuple[typing.Any, typing.Any]:
    """Return images and labels of an argument such as ``validation_data``: a pair (x, y), or data with labels."""
    return tuple(data) if isinstance(data, tuple | list) and len(data) == 2 else (data, None)


def check_pair(data: typing.Any, name: str) -> None:
    """Check that an argument is a pair (x, y), or data with labels."""
    x, y = as_pair(data)
    if y is None and not (is_source(x) or getattr(x, "labels", None) is not None):
        raise SettingsError(f"{name} must be a pair (x, y), or a data set of pairs; got {shown(data)}", argument=name)


def _mean(frames):
    return frames.mean(axis=1)


def _no_steps():
    return SettingsError(
        "x must be an array of images, got recordings: give the mean over their frames, such as "
        "recordings.frames(16).mean(axis=1)",
        argument="x",
    )


def _gathered(model, x):
    """Return ``x`` as an array, Recordings or Inputs, and the labels of a source, or None."""
    if isinstance(x, str | bytes | os.PathLike):
        raise SettingsError(
            f"x must hold images, got a path: load them, as in np.load({shown(x)}), or load_dataset(path).x_test",
            argument="x",
        )
    if hasattr(x, "x_train"):
        raise SettingsError(f"x must hold images, got {x!r}: give its parts, such as x_test and y_test", argument="x")
    if has_several(model):
        parts = as_parts(model, x)
        if parts is not None:
            return as_vectors(model, parts[0]), parts[1]
        if holds_batches(x):
            return gather(model, x)
    if is_pair(model, x):
        return x
    if isinstance(x, dict):  # one batch
        x = [x]
    if is_source(x):
        return gather(model, x)
    return x, None


def _chosen(model, y, labels):
    """Return the labels that were given, or those of the source; raise SettingsError if they differ."""
    if y is None or labels is None:
        return labels if y is None else y
    if not _are_equal(*(as_targets(model, each) for each in (y, labels))):
        raise SettingsError(
            "y differs from the labels in x: leave y out (a data set that shuffles gives its items in another order)",
            argument="y",
        )
    return y


def _are_equal(given, found):
    """Return whether labels are the same, as class numbers or as one-hot rows; those of several outputs by name."""
    if names := getattr(getattr(found, "dtype", None), "names", None):
        return given.dtype.names == names and all(_are_equal(given[name], found[name]) for name in names)
    given, found = _classes(given), _classes(found)
    return given.shape == found.shape and np.array_equal(given, found)


def _classes(labels):
    """Return labels as class numbers, if they are one-hot."""
    labels = as_array(labels, "y")
    return labels.argmax(axis=1) if labels.ndim == 2 and labels.shape[1] > 1 else labels.reshape(len(labels), -1)[:, 0]


def _as_inputs(model, x, n_steps):
    """Return an array, Recordings or Inputs as Inputs that fit the model."""
    if n_steps is not None:
        check_counts(n_steps=n_steps)
    shape = model.shapes[model.input]
    if isinstance(x, Recordings):
        n_steps = model.metadata.get("n_steps") if n_steps is None else n_steps
        if n_steps is None:
            raise SettingsError(
                "n_steps must be given for recordings, as the number of frames into which each is split, for example "
                "n_steps=16",
                argument="n_steps",
            )
        inputs: Inputs = EventFrames(x, n_steps)
    elif isinstance(x, Inputs):
        inputs = checked_inputs(x)
    elif isinstance(x, JoinedArrays):
        inputs = Images(x, moving=bool(x.steps))
    else:
        array = channels_last(model, as_numbers(x, "x"), shape)
        # of flat images, (images, height, width) is no array of frames
        flat = array.shape[2:] != shape and math.prod(array.shape[1:]) == math.prod(shape)
        if array.ndim != len(shape) + 2 or flat:
            return Images(check_stored_images(model, array))
        check_range(array, "x", exact=True)
        inputs = Images(array, moving=True)
    if inputs.shape != shape or not len(inputs) or inputs.n_steps == 0:
        raise SettingsError(
            f"x must hold one or more items, whose steps have shape ({', '.join(map(str, shape))}); got "
            f"{len(inputs)} items with steps of shape {inputs.shape}"
            + (" but no steps" if inputs.n_steps == 0 else ""),
            argument="x",
        )
    if None not in (inputs.n_steps, n_steps) and inputs.n_steps != n_steps:
        raise SettingsError(
            f"n_steps={n_steps}, but x has {counted(inputs.n_steps, 'step')}: leave n_steps out, or split into "
            f"{counted(n_steps, 'frame')}",
            argument="n_steps",
        )
    return inputs
