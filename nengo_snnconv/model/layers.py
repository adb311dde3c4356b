"""Layer specs: the hyperparameters and shapes of layers; their arrays are kept in the model.

Shapes have no batch axis, and the channel is the last axis: (height, width, channel).  Convolution and pooling work on
1, 2 or 3 spatial axes; their padding is "valid" or "same", as defined by TensorFlow.
"""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

import numpy as np

from .._util.validation import is_number
from . import limits
from .filters import Filter
from .selections import Concatenate, Flatten, Pad, Permute, Reshape, Selection, Upsample
from .spec import Layer, is_int

__all__ = [
    "Add",
    "Affine",
    "AveragePool",
    "BatchNormalization",
    "Concatenate",
    "Conv",
    "Dense",
    "Dropout",
    "Filter",
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
# classes of which a model may consist, without the base classes
LAYERS = tuple(name for name in __all__ if name[0].isupper() and name not in ("Layer", "Selection"))


def window_output(length: int, size: int, stride: int, padding: str, dilation: int = 1) -> int:
    """Return the number of window positions along one axis, for TensorFlow's "valid" or "same" padding."""
    if padding == "same":
        return math.ceil(length / stride)
    return max(0, math.ceil((length - (size - 1) * dilation) / stride))


def window_offset(length: int, size: int, stride: int, padding: str) -> int:
    """Return the number of padded entries before the first entry, where the first window begins."""
    if padding == "valid":
        return 0
    return max((window_output(length, size, stride, padding) - 1) * stride + size - length, 0) // 2


@dataclasses.dataclass(frozen=True)
class Input(Layer):
    """Input of the model, with the ``shape`` of one item."""

    shape: tuple = ()
    n_inputs: ClassVar[int | None] = 0

    def __post_init__(self):
        super().__post_init__()
        self._positive_tuple("shape", len(self.shape))
        self._require(self.shape, "needs a shape")

    def output_shape(self):
        return self.shape


class _Window(Layer):
    """Base class of convolution and pooling: a window that moves over the spatial axes."""

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
        """Return the number of entries of the input including the zeros of "same" padding; 0 for "valid"."""
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

    filters: int = None  # type: ignore[assignment]  # required, after the defaults of the base class
    kernel_size: tuple = None  # type: ignore[assignment]  # required
    strides: tuple = 1  # type: ignore[assignment]  # an int is made a tuple
    padding: str = "valid"
    dilation: tuple = 1  # type: ignore[assignment]
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

    units: int = None  # type: ignore[assignment]  # required
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
class BatchNormalization(Layer):
    """Normalization of each entry of the last axis: gamma * (x - mean) / sqrt(variance + epsilon) + beta.

    Training uses the mean and the variance of each batch, and keeps moving averages of them, which are the arrays:
    mean <- momentum * mean + (1 - momentum) * mean of the batch.

    Arrays: ``gamma`` with ``scale``, ``beta`` with ``center``, ``mean`` and ``variance``, all (channels,).
    """

    epsilon: float = 1e-3
    momentum: float = 0.99
    scale: bool = True
    center: bool = True

    def __post_init__(self):
        super().__post_init__()
        for name in ("epsilon", "momentum"):
            value = getattr(self, name)
            self._require(is_number(value) and 0 <= value <= 1, f"{name} must be in [0, 1], got {value!r}")
        self._boolean("scale")
        self._boolean("center")

    def array_shapes(self, shape):
        names = ("gamma",) * self.scale + ("beta",) * self.center
        return dict.fromkeys((*names, "mean", "variance"), shape[-1:])


@dataclasses.dataclass(frozen=True)
class _Pool(_Window):
    pool_size: tuple = None  # type: ignore[assignment]  # required
    strides: tuple = None  # type: ignore[assignment]  # pool_size
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
    """Mean of each window; with "same" padding, only of the entries inside the input."""


@dataclasses.dataclass(frozen=True)
class MaxPool(_Pool):
    """Largest entry of each window."""

    def workspace(self, shape):
        n_padded, size = super().workspace(shape), (*self.output_shape(shape), *self.pool_size)
        limits.check_entries(self, "windows", *size, limit=limits.ENTRIES_OF_WORKSPACE)
        return n_padded + math.prod(size)

    def windows(self, shape):
        """Return the flat indices of the entries of each window in an input of ``shape``: (outputs, window).

        A window that reaches over the border repeats one of its entries, which does not change the maximum.
        """
        grids = []
        for n, size, stride in zip(shape, self.pool_size, self.strides, strict=False):
            first = np.arange(window_output(n, size, stride, self.padding)) * stride
            first -= window_offset(n, size, stride, self.padding)
            grids.append(np.clip(first[:, None] + np.arange(size), 0, n - 1))
        axes = np.ix_(*(grid.ravel() for grid in grids), range(shape[-1]))
        entries = np.ravel_multi_index(np.broadcast_arrays(*axes), shape)
        # from (positions, size) for each axis and the channel to all positions, the channel and all sizes
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
        """Return the flat indices of the entries of each channel in an input of ``shape``: (channels, entries)."""
        return np.arange(math.prod(shape)).reshape(-1, shape[-1]).T


@dataclasses.dataclass(frozen=True)
class Add(Layer):
    """Sum of inputs of the same shape."""

    n_inputs: ClassVar[int | None] = None

    def output_shape(self, *shapes):
        self._require(len(set(shapes)) == 1, f"adds inputs of different shapes: {shapes}")
        return shapes[0]


@dataclasses.dataclass(frozen=True)
class Rectifier(Layer):
    """max(x, 0), a layer of neurons in a network; the neuron type is a setting of the builder.

    With ``levels``, it is a rectifier that was trained for few spikes: clip(floor(levels * x + 1/2) / levels, 0, 1).
    Its scale is fixed, since the values depend on it.
    """

    levels: int | None = None

    def __post_init__(self):
        super().__post_init__()
        if self.levels is not None:
            self._positive("levels")


@dataclasses.dataclass(frozen=True)
class Dropout(Layer):
    """Dropout of entries with probability ``rate`` in training; the identity otherwise."""

    rate: float = 0.5

    def __post_init__(self):
        super().__post_init__()
        self._require(0 <= self.rate < 1, f"rate must be in [0, 1), got {self.rate}")
