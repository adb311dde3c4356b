"""Readers of pooling, and of means, sums and maxima over axes."""

import functools
import math

import numpy as np

from ....model import layers as specs
from ...shared.refusals import UnsupportedLayer
from ...shared.spec_builder import inverse_permutation
from .reshaping import selected
from .scaling import scale_and_shift
from .weights import dense_mean, scaled
from .windows import add_image_spec, image_order, pad, padded, read_windows

SPATIAL = (1, 2, 3)


def _windows(call):
    size = call.attributes.integers("kernel_shape")
    if size is None or len(size) != len(call.shape) - 1 or len(size) not in SPATIAL or min(size) < 1:
        raise UnsupportedLayer(f"has a window {size} for a tensor of shape {call.shape}: export the model again")
    windows = read_windows(call, size, call.shape[1:], call.attributes.flag("ceil_mode"))
    if any(window.dilation > 1 for window in windows):
        raise UnsupportedLayer("pools with a dilation, which is not supported: train the model without it")
    for window in windows:
        if window.before >= window.size or window.missing >= window.size:
            raise UnsupportedLayer("has windows in the padding only: use less padding")
    return windows


def _pool(call, spec_class, tensor, windows, padding, suffix=""):
    size, strides = [w.size for w in windows], [w.stride for w in windows]
    return add_image_spec(call, spec_class, tensor, suffix, pool_size=size, strides=strides, padding=padding)


def max_pooling(call):
    """Read MaxPool, whose padding is never the largest entry."""
    call.attributes.ignore("storage_order")
    windows, tensor = _windows(call), call.tensor
    for fits, padding in ((all(w.is_valid() for w in windows), "valid"), (all(w.is_same() for w in windows), "same")):
        if fits:
            return _pool(call, specs.MaxPool, tensor, windows, padding)
    if is_never_negative(call.builder, tensor.spec):
        return _pool(call, specs.MaxPool, *_with(padded(call, tensor, windows), windows))
    return _max_of_dense_windows(call, tensor, windows)


def _with(padded_tensor, windows):
    tensor, padding = padded_tensor
    return tensor, windows, padding


def _max_of_dense_windows(call, tensor, windows):
    """Return some of the maxima of windows at all entries, whose padding never is the largest."""
    centers = [np.arange(w.n_out) * w.stride - w.before + (w.size - 1) // 2 for w in windows]
    if any(c[0] < 0 or c[-1] >= w.length for c, w in zip(centers, windows, strict=True)):
        raise UnsupportedLayer(
            "pads a maximum of entries that may be negative: put a Relu before it, or pad half of the window"
        )
    order = image_order(len(tensor.axes))
    size = [window.size for window in windows]
    dense = add_image_spec(call, specs.MaxPool, tensor, "_all", pool_size=size, strides=1, padding="same")
    return selected(call, dense, {axis: c.tolist() for axis, c in zip(order, centers, strict=False)})


def is_never_negative(builder, spec):
    """Return whether no entry of a spec's output can be negative, since it comes from rectifiers."""
    waiting, seen = [spec], set()
    while waiting:
        layer = builder.layers[waiting.pop()]
        if isinstance(layer, specs.Rectifier) or layer.name in seen:
            continue
        keeps = specs.Selection | specs.MaxPool | specs.AveragePool | specs.GlobalMaxPool | specs.GlobalAveragePool
        if not isinstance(layer, keeps | specs.Add | specs.Dropout):
            return False
        seen.add(layer.name)
        waiting += layer.inputs
    return True


def average_pooling(call):
    """Read AveragePool; each mean is over the entries that count, which are fewer at the border."""
    windows, includes_padding = _windows(call), call.attributes.flag("count_include_pad")
    if all(w.is_valid() for w in windows):
        return _pool(call, specs.AveragePool, call.tensor, windows, "valid")
    if all(w.is_same() for w in windows) and not includes_padding:
        return _pool(call, specs.AveragePool, call.tensor, windows, "same")
    # "same" leaves the padding out, but zeros that Pad adds are entries like others
    counts = [_counted(window, includes_padding) for window in windows]
    scale = functools.reduce(np.multiply.outer, [w.size / c for w, c in zip(windows, counts, strict=True)])
    sides = _with(_zero_padded(call, windows), windows)
    if (scale == 1).all():
        return _pool(call, specs.AveragePool, *sides)
    pooled = _pool(call, specs.AveragePool, *sides, "_sums")
    return scale_and_shift(call, pooled, scale[None], 0)


def _zero_padded(call, windows):
    sides = {i + 1: (window.before, max(window.after, window.missing)) for i, window in enumerate(windows)}
    return pad(call, call.tensor, sides), "valid"


def _counted(window, includes_padding):
    """Return the number of entries over which each window takes its mean, along one axis."""
    first = np.arange(window.n_out) * window.stride - window.before
    low, high = (-window.before, window.length + window.after) if includes_padding else (0, window.length)
    return np.minimum(first + window.size, high) - np.maximum(first, low)


def global_pooling(spec_class):
    """Return a reader of GlobalAveragePool or GlobalMaxPool."""

    def read(call):
        if len(call.shape) < 2:
            raise UnsupportedLayer(f"pools a tensor of shape {call.shape}, without spatial axes: leave it out")
        return add_image_spec(call, spec_class, call.tensor, keepdims=True)

    return read


def reduction(kind):
    """Return a reader of ReduceMean, ReduceSum or ReduceMax (``kind`` "mean", "sum" or "max")."""

    def read(call):
        axes, keep = call.integers(1, "axes"), call.attributes.flag("keepdims", True)
        unchanged = call.attributes.flag("noop_with_empty_axes")
        if not axes and unchanged:
            return call.tensor
        if not axes:
            raise UnsupportedLayer("works along all axes, the batch included: give the axes of one item")
        axes = sorted({call.item_axis(axis) for axis in axes})
        result = _reduced(call, axes, kind, keep)
        if kind == "sum":
            result = scaled(call, result, math.prod(call.shape[axis] for axis in axes))
        shape = [1 if axis in axes else n for axis, n in enumerate(call.shape) if keep or axis not in axes]
        return call.builder.reshape(result, tuple(shape), f"{call.name}_axes")

    return read


def _reduced(call, axes, kind, keep):
    """Return the mean or maximum over some axes of an item, in any shape with the right order of entries."""
    builder, tensor, rank = call.builder, call.tensor, len(call.shape)
    kept = [axis for axis in range(rank) if axis not in axes]
    if not kept and kind != "max":
        return dense_mean(call, tensor)
    if not kept or (rank == 1):
        raise UnsupportedLayer("takes the largest of all entries, which is not supported: keep the channels")
    tensor = builder.unflattened(tensor, call.name)
    if len(kept) == 1:
        order = (*sorted(axes, key=lambda axis: tensor.axes[axis]), *kept)
        spec_class = specs.GlobalMaxPool if kind == "max" else specs.GlobalAveragePool
        axes_of_result = inverse_permutation(order) if keep else None
        return call.add_spec(spec_class, builder.spec_in_order(tensor, order), order=axes_of_result, keepdims=keep)
    last = kept[-1] if tensor.axes.index(rank - 1) in axes else tensor.axes.index(rank - 1)
    order = (*(axis for axis in range(rank) if axis != last), last)
    if rank - 1 not in SPATIAL:
        raise UnsupportedLayer(f"works on {rank} axes, and at most 4 are supported: reshape the tensor")
    size = [call.shape[axis] if axis in axes else 1 for axis in order[:-1]]
    spec_class = specs.MaxPool if kind == "max" else specs.AveragePool
    spec = builder.spec_in_order(tensor, order)
    return call.add_spec(spec_class, spec, order=inverse_permutation(order), pool_size=size, strides=size)
