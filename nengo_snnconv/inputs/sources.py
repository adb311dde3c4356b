"""Sources of data: data sets, loaders, sequences and generators, which give images in batches or one by one.

They are recognized by their methods, not by their classes, so that none of their packages is imported.
"""

from __future__ import annotations

import os
import typing

import numpy as np

from .._util.validation import check_memory, check_stored_images, shown
from ..errors import SettingsError
from ..events import Recordings
from .arrays import IMAGE_KEYS, LABEL_KEYS, as_numbers, channels_last
from .inputs import CHECKED_TOGETHER, Inputs
from .several import as_item, as_parts, has_several

if typing.TYPE_CHECKING:
    from collections.abc import Iterator

    from ..model import Model

TOO_LARGE = (
    "give fewer images, or write them to a .npy file and give np.load(path, mmap_mode='r'), which evaluate, train and "
    "record read a batch at a time"
)


def is_pair(model: Model, x: typing.Any) -> bool:
    """Return whether ``x`` is a pair of arrays, images and labels, rather than a sequence of batches."""
    if not isinstance(x, tuple) or len(x) != 2 or not all(hasattr(part, "shape") for part in x):
        return False
    images, labels = x
    same_length = len(images.shape) > 0 and len(labels.shape) > 0 and len(images) == len(labels)
    return same_length and len(labels.shape) <= 2 and tuple(labels.shape[1:]) != model.shapes[model.input]


def is_source(x: typing.Any) -> bool:
    """Return whether ``x`` gives its items in batches or one by one, instead of being an array.

    A list or tuple is an array, unless it holds batches with labels.
    """
    if hasattr(x, "shape") or isinstance(x, str | bytes | dict | set | Recordings | Inputs | os.PathLike):
        return False
    if isinstance(x, list | tuple):
        return len(x) > 0 and isinstance(x[0], tuple | dict)
    return hasattr(x, "__iter__") or (hasattr(x, "__getitem__") and hasattr(x, "__len__"))


def elements(source: typing.Any) -> Iterator[typing.Any]:
    """Yield the elements of a source, once.

    Sources with numbered elements are read by number, because some, such as Keras' image iterators, never end.
    """
    if hasattr(source, "cardinality") and int(source.cardinality()) == -1:  # a repeated tf.data.Dataset
        raise SettingsError("x repeats its items for ever: give a part of it, such as x.take(100)", argument="x")
    if hasattr(source, "__getitem__") and hasattr(source, "__len__") and not isinstance(source, list | tuple):
        yield from (source[number] for number in range(len(source)))
    else:
        yield from source


def batches_of(model: Model, source: typing.Any) -> Iterator[tuple[np.ndarray, typing.Any]]:
    """Yield the batches of a source, images in their own type and labels; None for a source without labels.

    Elements are batches or single items: pairs (x, y), dicts, or x alone.  Frames are allowed in place of images.

    Raises
    ------
    SettingsError
        If an element does not fit the model, or some have labels and others not.
    """
    labeled = None
    waiting: list[tuple] = []
    for element in elements(source):
        x, y, single = _item(model, element, bool(waiting))
        if labeled not in (None, y is not None):
            raise SettingsError("x gives labels with some images, and none with others", argument="x")
        labeled = y is not None
        if not single:
            if y is not None and (not x.ndim or len(x) != len(y)):
                raise SettingsError(f"x gives batches with {len(y)} labels for images of shape {x.shape}", argument="x")
            if not x.ndim or len(x):
                yield _fitting(model, x), y
            continue
        waiting.append((x, y))
        if len(waiting) == CHECKED_TOGETHER:
            yield _stacked(model, waiting)
            waiting = []
    if waiting:
        yield _stacked(model, waiting)
    elif labeled is None:
        raise SettingsError(
            "x must hold images, got none: a generator can be read only once, so give a new one to each call",
            argument="x",
        )


def _item(model, element, is_after_items):
    """Return images and labels of an element of a source, and whether it is a single item."""
    if has_several(model):
        return as_item(model, *(as_parts(model, element, element=True) or (element, None)))
    x, y = _parts(element)
    x, y, shape = as_numbers(x, "x"), None if y is None else as_numbers(y, "y"), model.shapes[model.input]
    fits = x.ndim == len(shape) and channels_last(model, x, shape).shape == shape
    if y is not None:
        return x, y, fits or y.ndim == 0  # a single image may have a row of labels
    return x, y, fits or (is_after_items and x.ndim == len(shape))


def _stacked(model, items):
    """Return the batch of single items."""
    images, labels = zip(*items, strict=True)
    try:
        return _fitting(model, np.stack(images)), None if labels[0] is None else np.stack(labels)
    except ValueError as error:
        if isinstance(error, SettingsError):
            raise
        shapes = " and ".join(map(str, sorted({image.shape for image in images})[:2]))
        raise SettingsError(
            f"x gives images of different shapes, {shapes}: resize them to one", argument="x"
        ) from error


def _fitting(model, x):
    """Return images, or frames, that fit the model."""
    shape = model.shapes[model.input]
    frames = x.ndim == len(shape) + 2
    x = channels_last(model, x, shape)
    return x if frames else check_stored_images(model, x)


def _parts(element):
    """Return (images, labels or None) of an element of a source."""
    if isinstance(element, dict):
        image = [key for key in element if key in IMAGE_KEYS]
        label = [key for key in element if key in LABEL_KEYS]
        if len(image) != 1 or len(label) > 1:
            raise SettingsError(
                f"x gives dicts with the keys {shown(list(element))}, of which one must be "
                f"{' or '.join(IMAGE_KEYS[:2])}, and one may be {' or '.join(LABEL_KEYS[:2])}: give pairs, such as "
                "x.map(lambda item: (item['picture'], item['kind']))",
                argument="x",
            )
        return element[image[0]], element[label[0]] if label else None
    if not isinstance(element, tuple | list):
        return element, None
    if len(element) == 3 and element[2] is None:
        element = element[:2]
    if not 1 <= len(element) <= 2:
        kind = "weights" if len(element) == 3 else "more"
        raise SettingsError(
            f"x gives tuples of {len(element)}, and images and labels are needed, without {kind}: give pairs, such as "
            "x.map(lambda x, y, *others: (x, y))",
            argument="x",
        )
    return (*element, None)[:2]


def gather(model: Model, source: typing.Any) -> tuple[np.ndarray, np.ndarray | None]:
    """Return all images and labels of a source as arrays; the labels are None if it has none.

    Floats become float32; integers keep their type, which may take a quarter of the memory.

    Raises
    ------
    SettingsError
        If there are none, they do not fit the model, or they do not fit into memory.
    """
    images: list[np.ndarray] = []
    labels, n_bytes = [], 0
    for x, y in batches_of(model, source):
        x = x.astype(np.float32, copy=False) if x.dtype.kind == "f" else x
        if images and x.shape[1:] != images[0].shape[1:]:
            raise SettingsError(f"x gives frames of shapes {images[0].shape[1:]} and {x.shape[1:]}", argument="x")
        n_bytes += x.nbytes
        check_memory(2 * n_bytes, "x as arrays", TOO_LARGE)  # twice, to put the batches together
        images.append(x)
        labels.append(y)
    return np.concatenate(images), None if labels[0] is None else _concatenated(labels)


def _concatenated(labels):
    if len({each.shape[1:] for each in labels}) > 1:
        raise SettingsError("x gives labels of different shapes", argument="x")
    return np.concatenate(labels)
