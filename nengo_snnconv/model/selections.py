"""Layer specs that select entries: each entry of the output is an entry of an input, or zero."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

import numpy as np

from . import limits
from .spec import Layer, is_int


class Selection(Layer):
    """Base class of layers that rearrange entries and compute nothing."""

    def select(self, *items: np.ndarray, fill: Any = 0) -> np.ndarray:
        """Apply the layer to one item, without the batch axis.

        Parameters
        ----------
        items : ndarray
            An array for each input, in its shape, of any dtype.
        fill : object
            Value of the entries that are zero in the layer's output.

        Returns
        -------
        ndarray
            In the shape of the output.
        """
        raise NotImplementedError

    def entries(self, place: int, *shapes: tuple[int, ...]) -> np.ndarray:
        """Return the flat index in input ``place`` of each entry of the output, or -1 if it comes from elsewhere.

        Parameters
        ----------
        place : int
            Position of the input among ``inputs``.
        shapes : tuple of int
            Shapes of all inputs, in order.

        Returns
        -------
        ndarray of int, (output size,)
        """
        items = [np.full(shape, -1) for shape in shapes]
        items[place] = np.arange(items[place].size).reshape(shapes[place])
        return self.select(*items, fill=-1).ravel()


@dataclasses.dataclass(frozen=True)
class Flatten(Selection):
    """All axes merged into one, in row-major order."""

    def output_shape(self, shape):
        return (math.prod(shape),)

    def select(self, item, fill=0):
        return item.reshape(-1)


@dataclasses.dataclass(frozen=True)
class Reshape(Selection):
    """The same entries in another ``shape``, in row-major order."""

    shape: tuple = ()

    def __post_init__(self):
        super().__post_init__()
        self._positive_tuple("shape", len(self.shape))

    def output_shape(self, shape):
        self._require(math.prod(shape) == math.prod(self.shape), f"cannot reshape {shape} to {self.shape}")
        return self.shape

    def select(self, item, fill=0):
        return item.reshape(self.shape)


@dataclasses.dataclass(frozen=True)
class Permute(Selection):
    """Permutation of the axes: axis i of the output is axis ``axes[i]`` of the input, without the batch axis."""

    axes: tuple = ()

    def __post_init__(self):
        super().__post_init__()
        self._set("axes", tuple(self.axes))
        valid = self.axes and sorted(self.axes) == list(range(len(self.axes)))
        self._require(valid, f"axes must hold each of 0, 1, ... once, got {self.axes}")

    def output_shape(self, shape):
        self._require(len(shape) == len(self.axes), f"permutes {len(self.axes)} axes, its input has shape {shape}")
        return tuple(shape[axis] for axis in self.axes)

    def select(self, item, fill=0):
        return item.transpose(self.axes)


@dataclasses.dataclass(frozen=True)
class Pad(Selection):
    """Padding with zeros around and between the entries, or cropping.

    Parameters
    ----------
    before, after : tuple of int
        Zeros added at the start and the end of each axis, including the channel; negative numbers crop.
    between : tuple of int
        Zeros inserted between neighbors along each axis, before ``before`` and ``after`` apply; none by default.
    """

    before: tuple = ()
    after: tuple = ()
    between: tuple | None = None

    def __post_init__(self):
        super().__post_init__()
        if self.between is None:
            self._set("between", (0,) * len(self.before))
        for attribute in ("before", "after", "between"):
            value = tuple(getattr(self, attribute))
            fits = len(value) == len(self.before) and all(is_int(v) for v in value)
            self._require(fits and value, f"{attribute} must hold an integer for each axis, got {value}")
            self._set(attribute, value)
        self._require(min(self.between) >= 0, f"between must not be negative, got {self.between}")

    def output_shape(self, shape):
        self._require(len(shape) == len(self.before), f"pads {len(self.before)} axes, its input has shape {shape}")
        padding = zip(shape, self.before, self.after, self.between, strict=True)
        padded = tuple(n + (n - 1) * gap + before + after for n, before, after, gap in padding)
        self._require(min(padded) > 0, f"crops all entries of its input of shape {shape}")
        return padded

    def workspace(self, shape):
        padding = zip(shape, self.before, self.after, self.between, strict=True)
        size = [n + (n - 1) * gap + max(before, 0) + max(after, 0) for n, before, after, gap in padding]
        limits.check_entries(self, "a padded input", *size, limit=limits.ENTRIES_OF_WORKSPACE)
        return math.prod(size)

    def select(self, item, fill=0):
        sparse = np.full([n + (n - 1) * gap for n, gap in zip(item.shape, self.between, strict=True)], fill, item.dtype)
        sparse[tuple(slice(None, None, gap + 1) for gap in self.between)] = item
        sides = list(zip(self.before, self.after, strict=True))
        padded = np.pad(sparse, [(max(a, 0), max(b, 0)) for a, b in sides], constant_values=fill)
        return padded[tuple(slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(padded.shape, sides, strict=True))]


@dataclasses.dataclass(frozen=True)
class Upsample(Selection):
    """Nearest-neighbor upsampling: entries repeated ``size`` times along each axis, including the channel."""

    size: tuple = ()

    def __post_init__(self):
        super().__post_init__()
        self._positive_tuple("size", len(self.size))

    def output_shape(self, shape):
        self._require(len(shape) == len(self.size), f"repeats {len(self.size)} axes, its input has shape {shape}")
        return tuple(n * times for n, times in zip(shape, self.size, strict=True))

    def select(self, item, fill=0):
        for axis, times in enumerate(self.size):
            item = np.repeat(item, times, axis)
        return item


@dataclasses.dataclass(frozen=True)
class Concatenate(Selection):
    """Concatenation of the inputs along ``axis``, without counting the batch axis (-1: the channel)."""

    axis: int = -1
    n_inputs: ClassVar[int | None] = None

    def output_shape(self, *shapes):
        rank = len(shapes[0])
        self._require(is_int(self.axis) and -rank <= self.axis < rank, f"has no axis {self.axis} in {shapes[0]}")
        axis = self.axis % rank
        rest = {shape[:axis] + (None,) + shape[axis + 1 :] for shape in shapes}
        self._require(len(rest) == 1, f"concatenates shapes that differ in other axes than {self.axis}: {shapes}")
        return shapes[0][:axis] + (sum(shape[axis] for shape in shapes),) + shapes[0][axis + 1 :]

    def workspace(self, *shapes):
        return len(shapes) * math.prod(self.output_shape(*shapes))  # an array of indices for each input

    def select(self, *items, fill=0):
        return np.concatenate(items, axis=self.axis)
