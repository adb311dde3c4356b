"""Layer specs that only select entries: each entry of the output is an entry of an input, or zero."""

import dataclasses
import math
from typing import ClassVar

import numpy as np

from . import limits
from .spec import Layer, is_int


class Selection(Layer):
    """Base class of layers that move entries about and compute nothing."""

    def select(self, *items, fill=0):
        """Apply the layer to one item.

        Parameters
        ----------
        items : ndarray
            One for each input, of that input's shape; of numbers, or of anything else that an array holds.
        fill : object
            What stands where the output is zero.

        Returns
        -------
        ndarray of the output's shape
        """
        raise NotImplementedError

    def entries(self, place, *shapes):
        """Which entry of input ``place`` each entry of the output is, as numbers in the flat arrays; -1 for none.

        Parameters
        ----------
        place : int
        shapes : tuple of int
            Of all inputs, in order.

        Returns
        -------
        ndarray of int, (output size,)
        """
        items = [np.full(shape, -1) for shape in shapes]
        items[place] = np.arange(items[place].size).reshape(shapes[place])
        return self.select(*items, fill=-1).ravel()


@dataclasses.dataclass(frozen=True)
class Flatten(Selection):
    """All axes in one, row-major."""

    def output_shape(self, shape):
        return (math.prod(shape),)

    def select(self, item, fill=0):
        return item.reshape(-1)


@dataclasses.dataclass(frozen=True)
class Reshape(Selection):
    """The same entries, row-major, in another ``shape``."""

    shape: tuple = ()

    def __post_init__(self):
        super().__post_init__()
        self._positive_tuple("shape", len(self.shape))

    def output_shape(self, shape):
        self._require(math.prod(shape) == math.prod(self.shape), f"cannot make {self.shape} of {shape}")
        return self.shape

    def select(self, item, fill=0):
        return item.reshape(self.shape)


@dataclasses.dataclass(frozen=True)
class Permute(Selection):
    """The axes in another order: axis i of the output is axis ``axes[i]`` of the input, the batch not counted."""

    axes: tuple = ()

    def __post_init__(self):
        super().__post_init__()
        self._set("axes", tuple(self.axes))
        valid = self.axes and sorted(self.axes) == list(range(len(self.axes)))
        self._require(valid, f"axes must hold each of 0, 1, ... once, got {self.axes}")

    def output_shape(self, shape):
        self._require(len(shape) == len(self.axes), f"orders {len(self.axes)} axes, its input has shape {shape}")
        return tuple(shape[axis] for axis in self.axes)

    def select(self, item, fill=0):
        return item.transpose(self.axes)


@dataclasses.dataclass(frozen=True)
class Pad(Selection):
    """Zeros around the entries and between them, or fewer entries.

    Parameters
    ----------
    before, after : tuple of int
        Zeros added at the start and the end of each axis, the channel included; a negative number cuts entries away.
    between : tuple of int
        Zeros put between neighbours along each axis, before ``before`` and ``after`` apply; none by default.
    """

    before: tuple = ()
    after: tuple = ()
    between: tuple = None

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
        self._require(min(padded) > 0, f"cuts away more than there is in {shape}")
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
    """Each entry repeated ``size`` times along each axis, the channel included (nearest neighbour)."""

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
    """Inputs one after another along ``axis``, which counts without the batch (-1: the channel)."""

    axis: int = -1
    n_inputs: ClassVar = None

    def output_shape(self, *shapes):
        rank = len(shapes[0])
        self._require(is_int(self.axis) and -rank <= self.axis < rank, f"has no axis {self.axis} in {shapes[0]}")
        axis = self.axis % rank
        rest = {shape[:axis] + (None,) + shape[axis + 1 :] for shape in shapes}
        self._require(len(rest) == 1, f"joins shapes that differ apart from axis {self.axis}: {shapes}")
        return shapes[0][:axis] + (sum(shape[axis] for shape in shapes),) + shapes[0][axis + 1 :]

    def workspace(self, *shapes):
        return len(shapes) * math.prod(self.output_shape(*shapes))  # the entries of all inputs, once for each

    def select(self, *items, fill=0):
        return np.concatenate(items, axis=self.axis)
