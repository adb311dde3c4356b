"""Windows of convolution and pooling: sizes, strides, dilation and padding along the spatial axes."""

import dataclasses
import math

from ....model import layers as specs
from ....model.layers import window_offset
from ...shared.refusals import UnsupportedLayer
from ...shared.spec_builder import inverse_permutation

AUTO_PADS = ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")


@dataclasses.dataclass(frozen=True)
class Window:
    """A window that moves along one axis.

    Attributes
    ----------
    length : int
        Number of entries of the axis.
    size, stride, dilation : int
    before, after : int
        Padding.
    n_out : int
        Number of positions.
    """

    length: int
    size: int
    stride: int
    dilation: int
    before: int
    after: int
    n_out: int

    @property
    def span(self):
        """Number of entries from the first to the last that a window reads."""
        return (self.size - 1) * self.dilation + 1

    @property
    def missing(self):
        """Entries after the padding at the start and the axis that the last window reads."""
        return max((self.n_out - 1) * self.stride + self.span - self.length - self.before, 0)

    def is_same(self):
        """Return whether the padding is that of TensorFlow's "same"."""
        offset = window_offset(self.length, self.span, self.stride, "same")
        return self.before == offset and self.n_out == math.ceil(self.length / self.stride)

    def is_valid(self):
        """Return whether there is no padding, and all windows lie within the axis."""
        return self.before == self.after == self.missing == 0


def read_windows(call, size, lengths, ceil_mode=False):
    """Return the Window of each spatial axis.

    Parameters
    ----------
    call : NodeCall
    size : sequence of int
        Size of the window.
    lengths : sequence of int
        Numbers of entries of the spatial axes.
    ceil_mode : bool
        Whether windows may reach over the padding at the end.
    """
    rank, attributes = len(size), call.attributes
    strides, dilations = (counts(call, name, rank) for name in ("strides", "dilations"))
    pads = attributes.integers("pads", [0] * 2 * rank)
    automatic = attributes.text("auto_pad", "NOTSET")
    if len(pads) != 2 * rank or min(pads) < 0:
        raise UnsupportedLayer(f"has pads={pads}, expected {2 * rank} numbers from 0: export the model again")
    if automatic not in AUTO_PADS:
        raise UnsupportedLayer(f"has auto_pad={automatic!r}: use one of {AUTO_PADS}")
    windows = []
    for axis in range(rank):
        n, stride, span = lengths[axis], strides[axis], (size[axis] - 1) * dilations[axis] + 1
        before, after = pads[axis], pads[rank + axis]
        if automatic.startswith("SAME"):
            total = max((math.ceil(n / stride) - 1) * stride + span - n, 0)
            before = total // 2 if automatic == "SAME_UPPER" else total - total // 2
            after = total - before
        elif automatic == "VALID":
            before = after = 0
        n_out = (n + before + after - span) // stride + 1
        if ceil_mode and not automatic.startswith("SAME"):
            n_out = -(-(n + before + after - span) // stride) + 1
            n_out -= (n_out - 1) * stride >= n + before  # a window must begin within the input or its padding
        if n_out < 1:
            raise UnsupportedLayer(
                f"has a window {tuple(size)} larger than its input {tuple(lengths)}: use larger inputs"
            )
        windows.append(Window(n, size[axis], stride, dilations[axis], before, after, n_out))
    return windows


def counts(call, name, rank):
    """Return an attribute of ``rank`` positive integers, 1 by default."""
    values = call.attributes.integers(name, [1] * rank)
    if len(values) != rank or min(values) < 1:
        raise UnsupportedLayer(f"has {name}={values}, expected {rank} positive numbers: export the model again")
    return values


def image_order(rank):
    """Return the order of the axes of an item in which the channel, which is first in ONNX, is last."""
    return (*range(1, rank), 0)


def add_image_spec(call, spec_class, tensor, suffix="", **fields):
    """Add a spec that reads images channels-last, and return its output, an image too."""
    order = image_order(len(tensor.axes))
    spec = call.builder.spec_in_order(tensor, order)
    return call.add_spec(spec_class, spec, suffix, order=inverse_permutation(order), **fields)


def pad(call, tensor, sides, suffix="_pad", gaps=None):
    """Return the tensor with zeros around, and between, its entries.

    Parameters
    ----------
    call : NodeCall
    tensor : OnnxTensor
    sides : dict of int to (int, int)
        Axis -> zeros before and after; negative numbers crop.
    suffix : str
    gaps : dict of int to int, optional
        Axis -> zeros between neighbors.
    """
    fields = {name: [0] * len(tensor.axes) for name in ("before", "after", "between")}
    for axis, (before, after) in sides.items():
        place = tensor.axes[axis]
        fields["before"][place], fields["after"][place] = before, after
        fields["between"][place] = (gaps or {}).get(axis, 0)
    return call.add_spec(specs.Pad, tensor.spec, suffix, order=tensor.axes, **fields)


def padded(call, tensor, windows):
    """Return (tensor, padding) with which a spec has these windows, padded with zeros if that is needed."""
    if all(window.is_valid() for window in windows):
        return tensor, "valid"
    if all(window.is_same() for window in windows):
        return tensor, "same"
    sides = {i + 1: (window.before, max(window.after, window.missing)) for i, window in enumerate(windows)}
    return pad(call, tensor, sides), "valid"
