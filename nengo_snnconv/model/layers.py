"""The layer specs: what a layer is and which shapes it makes; its arrays live in the model.

Shapes leave the batch out and put the channel last: (height, width, channel).  Convolution and pooling
work on 1, 2 or 3 spatial axes; their padding is "valid" or "same" as TensorFlow defines it.
"""

import dataclasses
import math
from typing import ClassVar

import numpy as np

from . import limits
from .selections import Concatenate, Flatten, Pad, Permute, Reshape, Selection, Upsample
from .spec import Layer, is_int

__all__ = [
    "Add",
    "Affine",
    "AveragePool",
    "Concatenate",
    "Conv",
    "Dense",
    "Dropout",
    "Flatten",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "Input",
    "Layer",
    "MaxPool",
    "Pad",
    "Permute",
    "Rectifier",
    "Reshape",
    "Selection",
    "Upsample",
    "window_offset",
    "window_output",
]

PADDINGS = ("valid", "same")
# those that a model may have: not the base classes
LAYERS = tuple(name for name in __all__ if name[0].isupper() and name not in ("Layer", "Selection"))


def window_output(length, size, stride, padding, dilation=1):
    """Positions of a window along one axis, as TensorFlow defines "valid" and "same" padding."""
    if padding == "same":
        return math.ceil(length / stride)
    return max(0, math.ceil((length - (size - 1) * dilation) / stride))


def window_offset(length, size, stride, padding):
    """How far before the first entry the first window begins."""
    if padding == "valid":
        return 0
    return max((window_output(length, size, stride, padding) - 1) * stride + size - length, 0) // 2


@dataclasses.dataclass(frozen=True)
class Input(Layer):
    """Where the data enters, with the ``shape`` of one item."""

    shape: tuple = ()
    n_inputs: ClassVar = 0

    def __post_init__(self):
        super().__post_init__()
        self._positive_tuple("shape", len(self.shape))
        self._require(self.shape, "needs a shape")

    def output_shape(self):
        return self.shape


class _Window(Layer):
    """What convolution and pooling share: a window that moves over the spatial axes."""

    def _check_window(self, size, *others):
        value = getattr(self, size)
        rank = 1 if is_int(value) else len(value)
        self._require(rank in (1, 2, 3), f"{size} must have 1, 2 or 3 entries, got {value}")
        for attribute in (size, *others):
            self._positive_tuple(attribute, rank)
        self._require(self.padding in PADDINGS, f"padding must be one of {PADDINGS}, got {self.padding!r}")

    def _spatial_output(self, shape, size, dilation):
        self._require(
            len(shape) == len(size) + 1,
            f"works on {len(size)} spatial axes and a channel axis, its input has shape {shape}",
        )
        spatial = tuple(
            window_output(n, k, s, self.padding, d)
            for n, k, s, d in zip(shape, size, self.strides, dilation, strict=False)
        )
        self._require(all(spatial), f"has a window {size} (dilation {dilation}) larger than its input {shape}")
        return spatial

    def _padded(self, shape, size, dilation):
        """Number of entries of the input with the zeros that "same" padding adds."""
        if self.padding == "valid":
            return 0
        spatial = tuple(
            max((window_output(n, k, s, "same") - 1) * s + (k - 1) * d + 1, n)
            for n, k, s, d in zip(shape, size, self.strides, dilation, strict=False)
        )
        limits.check_entries(self, "a padded input", *spatial, shape[-1], limit=limits.ENTRIES_OF_WORKSPACE)
        return math.prod(spatial) * shape[-1]


@dataclasses.dataclass(frozen=True)
class Conv(_Window):
    """Convolution (cross-correlation, as in deep learning) over 1, 2 or 3 spatial axes.

    Arrays: ``kernel`` (\\*kernel_size, channels in / groups, filters) and ``bias`` (filters,).
    """

    filters: int = None
    kernel_size: tuple = None
    strides: tuple = 1
    padding: str = "valid"
    dilation: tuple = 1
    groups: int = 1
    use_bias: bool = True

    def __post_init__(self):
        super().__post_init__()
        self._check_window("kernel_size", "strides", "dilation")
        self._positive("filters")
        self._positive("groups")
        self._require(self.filters % self.groups == 0, f"has {self.filters} filters for {self.groups} groups")
        self._boolean("use_bias")

    def array_shapes(self, shape):
        self._require(shape[-1] % self.groups == 0, f"has {self.groups} groups for {shape[-1]} input channels")
        shapes = {"kernel": (*self.kernel_size, shape[-1] // self.groups, self.filters)}
        return shapes | ({"bias": (self.filters,)} if self.use_bias else {})

    def output_shape(self, shape):
        return (*self._spatial_output(shape, self.kernel_size, self.dilation), self.filters)

    def workspace(self, shape):
        n_padded = self._padded(shape, self.kernel_size, self.dilation)
        if set(self.dilation) == {1}:
            return n_padded
        *size, into, out = self.array_shapes(shape)["kernel"]
        size = [(n - 1) * d + 1 for n, d in zip(size, self.dilation, strict=True)]
        limits.check_entries(self, "a kernel, zeros included,", *size, into, out, limit=limits.ENTRIES_OF_KERNEL)
        return n_padded + math.prod(size) * into * out


@dataclasses.dataclass(frozen=True)
class Dense(Layer):
    """Fully connected layer on the last axis.  Arrays: ``kernel`` (in, units) and ``bias`` (units,)."""

    units: int = None
    use_bias: bool = True

    def __post_init__(self):
        super().__post_init__()
        self._positive("units")
        self._boolean("use_bias")

    def array_shapes(self, shape):
        return {"kernel": (shape[-1], self.units)} | ({"bias": (self.units,)} if self.use_bias else {})

    def output_shape(self, shape):
        return (*shape[:-1], self.units)


@dataclasses.dataclass(frozen=True)
class Affine(Layer):
    """Scale and shift of each entry of the last axis.  Arrays: ``scale`` and ``bias``, (channels,)."""

    def array_shapes(self, shape):
        return {"scale": shape[-1:], "bias": shape[-1:]}


@dataclasses.dataclass(frozen=True)
class _Pool(_Window):
    pool_size: tuple = None
    strides: tuple = None
    padding: str = "valid"

    def __post_init__(self):
        super().__post_init__()
        if self.strides is None:
            self._set("strides", self.pool_size)
        self._check_window("pool_size", "strides")

    def output_shape(self, shape):
        return (*self._spatial_output(shape, self.pool_size, (1,) * len(self.pool_size)), shape[-1])

    def workspace(self, shape):
        return self._padded(shape, self.pool_size, (1,) * len(self.pool_size))


@dataclasses.dataclass(frozen=True)
class AveragePool(_Pool):
    """Mean of each window; with "same" padding, of the entries inside the input only."""


@dataclasses.dataclass(frozen=True)
class MaxPool(_Pool):
    """Largest entry of each window."""

    def workspace(self, shape):
        n_padded, size = super().workspace(shape), (*self.output_shape(shape), *self.pool_size)
        limits.check_entries(self, "windows", *size, limit=limits.ENTRIES_OF_WORKSPACE)
        return n_padded + math.prod(size)

    def windows(self, shape):
        """The entries of each window, as numbers in the flat input of ``shape``: (outputs, window).

        Where a window reaches over the edge, one of its entries is repeated, which does not change the maximum.
        """
        grids = []
        for n, size, stride in zip(shape, self.pool_size, self.strides, strict=False):
            first = np.arange(window_output(n, size, stride, self.padding)) * stride
            first -= window_offset(n, size, stride, self.padding)
            grids.append(np.clip(first[:, None] + np.arange(size), 0, n - 1))
        axes = np.ix_(*(grid.ravel() for grid in grids), range(shape[-1]))
        entries = np.ravel_multi_index(np.broadcast_arrays(*axes), shape)
        # (positions, size) of each axis, then the channel: sizes last
        split = entries.reshape(*(m for grid in grids for m in grid.shape), shape[-1])
        rank = len(grids)
        order = (*range(0, 2 * rank, 2), 2 * rank, *range(1, 2 * rank, 2))
        return split.transpose(order).reshape(-1, math.prod(self.pool_size))


@dataclasses.dataclass(frozen=True)
class _GlobalPool(Layer):
    keepdims: bool = False

    def __post_init__(self):
        super().__post_init__()
        self._boolean("keepdims")

    def output_shape(self, shape):
        self._require(len(shape) >= 2, f"needs spatial axes and a channel axis, its input has shape {shape}")
        return ((1,) * (len(shape) - 1) if self.keepdims else ()) + shape[-1:]


@dataclasses.dataclass(frozen=True)
class GlobalAveragePool(_GlobalPool):
    """Mean of each channel."""


@dataclasses.dataclass(frozen=True)
class GlobalMaxPool(_GlobalPool):
    """Largest entry of each channel."""

    def windows(self, shape):
        """The entries of each channel, as numbers in the flat input of ``shape``: (channels, entries)."""
        return np.arange(math.prod(shape)).reshape(-1, shape[-1]).T


@dataclasses.dataclass(frozen=True)
class Add(Layer):
    """Sum of inputs of one shape."""

    n_inputs: ClassVar = None

    def output_shape(self, *shapes):
        self._require(len(set(shapes)) == 1, f"adds inputs of different shapes: {shapes}")
        return shapes[0]


@dataclasses.dataclass(frozen=True)
class Rectifier(Layer):
    """max(x, 0): where a network has its neurons, of a type that the builder is told."""


@dataclasses.dataclass(frozen=True)
class Dropout(Layer):
    """Drops entries with probability ``rate`` while training, does nothing afterwards."""

    rate: float = 0.5

    def __post_init__(self):
        super().__post_init__()
        self._require(0 <= self.rate < 1, f"rate must be in [0, 1), got {self.rate}")
