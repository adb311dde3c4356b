"""The layer specs: what a layer is and which shapes it makes; its arrays live in the model.

Shapes leave the batch out and put the channel last: (height, width, channel).  Convolution and pooling
work on 1, 2 or 3 spatial axes; their padding is "valid" or "same" as TensorFlow defines it.
"""

import dataclasses
import math
from typing import ClassVar

from ..exceptions import ModelError

PADDINGS = ("valid", "same")


@dataclasses.dataclass(frozen=True)
class Layer:
    """Base class of all layer specs.

    Parameters
    ----------
    name : str
        Unique within its model.
    inputs : tuple of str
        Names of the layers that this one reads, in order.
    """

    name: str
    inputs: tuple = ()

    n_inputs: ClassVar = 1

    def __post_init__(self):
        if not isinstance(self.name, str) or not self.name or "/" in self.name:
            raise ModelError(f"a layer's name must be a non-empty string without '/', got {self.name!r}")
        self._set("inputs", (self.inputs,) if isinstance(self.inputs, str) else tuple(self.inputs))
        if self.n_inputs is None:
            self._require(len(self.inputs) >= 2, f"needs two inputs or more, got {len(self.inputs)}")
        else:
            self._require(len(self.inputs) == self.n_inputs, f"needs {self.n_inputs} input(s), got {self.inputs}")

    def __str__(self):
        return f"layer {self.name!r} ({type(self).__name__})"

    def array_shapes(self, *input_shapes):
        """Shape of each array that the layer needs in the model: {name: shape}."""
        return {}

    def output_shape(self, *input_shapes):
        """Shape that the layer makes of its inputs' shapes; ModelError where they do not fit."""
        return input_shapes[0]

    def _set(self, attribute, value):
        object.__setattr__(self, attribute, value)

    def _require(self, condition, message):
        if not condition:
            raise ModelError(f"{self} {message}")

    def _positive(self, attribute):
        value = getattr(self, attribute)
        self._require(_is_int(value) and value > 0, f"{attribute} must be a positive integer, got {value!r}")

    def _positive_tuple(self, attribute, rank):
        value = getattr(self, attribute)
        value = (value,) * rank if _is_int(value) else tuple(value)
        self._require(
            len(value) == rank and all(_is_int(v) and v > 0 for v in value),
            f"{attribute} must hold {rank} positive integer(s), got {value}",
        )
        self._set(attribute, value)


def _is_int(value):
    return isinstance(value, int) and not isinstance(value, bool)


def window_output(length, size, stride, padding, dilation=1):
    """Positions of a window along one axis, as TensorFlow defines "valid" and "same" padding."""
    if padding == "same":
        return math.ceil(length / stride)
    return max(0, math.ceil((length - (size - 1) * dilation) / stride))


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
        rank = 1 if _is_int(value) else len(value)
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

    def array_shapes(self, shape):
        self._require(shape[-1] % self.groups == 0, f"has {self.groups} groups for {shape[-1]} input channels")
        shapes = {"kernel": (*self.kernel_size, shape[-1] // self.groups, self.filters)}
        return shapes | ({"bias": (self.filters,)} if self.use_bias else {})

    def output_shape(self, shape):
        return (*self._spatial_output(shape, self.kernel_size, self.dilation), self.filters)


@dataclasses.dataclass(frozen=True)
class Dense(Layer):
    """Fully connected layer on the last axis.  Arrays: ``kernel`` (in, units) and ``bias`` (units,)."""

    units: int = None
    use_bias: bool = True

    def __post_init__(self):
        super().__post_init__()
        self._positive("units")

    def array_shapes(self, shape):
        return {"kernel": (shape[-1], self.units)} | ({"bias": (self.units,)} if self.use_bias else {})

    def output_shape(self, shape):
        return (*shape[:-1], self.units)


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


@dataclasses.dataclass(frozen=True)
class AveragePool(_Pool):
    """Mean of each window; with "same" padding, of the entries inside the input only."""


@dataclasses.dataclass(frozen=True)
class MaxPool(_Pool):
    """Largest entry of each window."""


@dataclasses.dataclass(frozen=True)
class _GlobalPool(Layer):
    keepdims: bool = False

    def output_shape(self, shape):
        self._require(len(shape) >= 2, f"needs spatial axes and a channel axis, its input has shape {shape}")
        return ((1,) * (len(shape) - 1) if self.keepdims else ()) + shape[-1:]


@dataclasses.dataclass(frozen=True)
class GlobalAveragePool(_GlobalPool):
    """Mean of each channel."""


@dataclasses.dataclass(frozen=True)
class GlobalMaxPool(_GlobalPool):
    """Largest entry of each channel."""


@dataclasses.dataclass(frozen=True)
class Flatten(Layer):
    """All axes in one, row-major."""

    def output_shape(self, shape):
        return (math.prod(shape),)


@dataclasses.dataclass(frozen=True)
class Reshape(Layer):
    """The same entries, row-major, in another ``shape``."""

    shape: tuple = ()

    def __post_init__(self):
        super().__post_init__()
        self._positive_tuple("shape", len(self.shape))

    def output_shape(self, shape):
        self._require(math.prod(shape) == math.prod(self.shape), f"cannot make {self.shape} of {shape}")
        return self.shape


@dataclasses.dataclass(frozen=True)
class Add(Layer):
    """Sum of inputs of one shape."""

    n_inputs: ClassVar = None

    def output_shape(self, *shapes):
        self._require(len(set(shapes)) == 1, f"adds inputs of different shapes: {shapes}")
        return shapes[0]


@dataclasses.dataclass(frozen=True)
class Concatenate(Layer):
    """Inputs one after another along ``axis``, which counts without the batch (-1: the channel)."""

    axis: int = -1
    n_inputs: ClassVar = None

    def output_shape(self, *shapes):
        rank = len(shapes[0])
        self._require(_is_int(self.axis) and -rank <= self.axis < rank, f"has no axis {self.axis} in {shapes[0]}")
        axis = self.axis % rank
        rest = {shape[:axis] + (None,) + shape[axis + 1 :] for shape in shapes}
        self._require(len(rest) == 1, f"joins shapes that differ apart from axis {self.axis}: {shapes}")
        return shapes[0][:axis] + (sum(shape[axis] for shape in shapes),) + shapes[0][axis + 1 :]


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
