"""Readers of nodes that only move entries: Reshape, Transpose, Concat, Pad, Slice, Split, Gather, Resize."""

import math

import numpy as np

from ....model import layers as specs
from ...shared.refusals import UnsupportedLayer
from ...shared.selecting import select
from ...shared.spec_builder import inverse_permutation
from ..folding import resolved_shape, slices, split_sizes
from ..tensors import OnnxTensor, as_plain, check_same_size, like
from .scaling import scale_and_shift
from .windows import pad


def _reshaped(call, shape):
    """Return the tensor in a new shape, which includes the batch axis."""
    items = call.item_shape(shape)
    check_same_size(call.shape, items)
    return call.builder.reshape(call.tensor, items, call.name)


def _whole_shape(call):
    return (call.n_batch, *call.shape)


def flatten(call):
    """Read Flatten."""
    whole, axis = _whole_shape(call), call.attributes.integer("axis", 1)
    return _reshaped(call, (math.prod(whole[:axis]), math.prod(whole[axis:])))


def reshape(call):
    """Read Reshape."""
    shape = call.integers(1, "shape")
    return _reshaped(call, resolved_shape(_whole_shape(call), shape, call.attributes.flag("allowzero")))


def squeeze(call):
    """Read Squeeze."""
    whole, axes = _whole_shape(call), call.integers(1, "axes")
    if axes is None:
        axes = [axis for axis, n in enumerate(whole) if n == 1 and axis > 0]
    dropped = [call.item_axis(axis) + 1 for axis in axes]
    if any(whole[axis] != 1 for axis in dropped):
        raise UnsupportedLayer(f"drops an axis of more than one entry of {call.shape}: export the model again")
    return _reshaped(call, [n for axis, n in enumerate(whole) if axis not in dropped])


def unsqueeze(call):
    """Read Unsqueeze."""
    axes = call.integers(1, "axes") or []
    rank = len(call.shape) + len(axes)
    added = {call.item_axis(axis, rank) for axis in axes}
    if len(added) < len(axes):
        raise UnsupportedLayer(f"adds an axis twice, axes={axes}: export the model again")
    sizes = iter(call.shape)
    return _reshaped(call, [call.n_batch, *(1 if axis in added else next(sizes) for axis in range(rank))])


def transpose(call):
    """Read Transpose, by renaming axes."""
    rank = len(call.shape)
    order = call.attributes.integers("perm", list(range(rank + 1))[::-1])
    if sorted(order) != list(range(rank + 1)):
        raise UnsupportedLayer(f"has perm={order} for {rank + 1} axes: export the model again")
    if order[0] != 0:
        raise UnsupportedLayer("moves the batch axis: keep it first")
    tensor = call.builder.unflattened(call.tensor, call.name) if rank > 1 else call.tensor
    if rank == 1:
        return tensor
    return OnnxTensor(tensor.spec, tuple(tensor.axes[axis - 1] for axis in order[1:]))


def concatenate(call):
    """Read Concat."""
    if not all(isinstance(operand, OnnxTensor) for operand in call.operands):
        raise UnsupportedLayer("joins a constant: join tensors only")
    axis = call.item_axis(call.attributes.integer("axis"))
    if len(call.operands) == 1:
        return call.tensor
    tensors = [call.builder.unflattened(t, f"{call.name}_{i}") for i, t in enumerate(call.operands)]
    inputs, order = call.builder.in_common_order([as_plain(tensor) for tensor in tensors])
    return call.add_spec(specs.Concatenate, inputs, order=order, axis=order[axis])


def padding(call):
    """Read Pad with zeros, or with another constant."""
    mode = call.attributes.text("mode", "constant")
    if mode != "constant":
        raise UnsupportedLayer(f"pads with mode {mode!r}, which is not supported: train the model with zeros")
    pads, value = call.integers(1, "pads"), call.scalar(2, "a value")
    axes = call.integers(3, "axes", list(range(len(call.shape) + 1)))
    if pads is None or len(pads) != 2 * len(axes):
        raise UnsupportedLayer(f"has pads={pads} for {len(axes)} axes: export the model again")
    sides = {}
    for i, axis in enumerate(axes):
        side = (pads[i], pads[len(axes) + i])
        if side != (0, 0):
            sides[call.item_axis(axis)] = side
    if not sides:
        return call.tensor
    tensor = call.builder.unflattened(call.tensor, call.name)
    if not value:
        return pad(call, tensor, sides, "")
    if not np.isfinite(value):
        raise UnsupportedLayer(f"pads with {value}, which is not supported: give the padding to the pooling behind it")
    with_zeros = pad(call, tensor, sides, "_zeros")
    border = np.full(call.builder.shape(with_zeros), value)
    before = [sides.get(axis, (0, 0))[0] for axis in range(border.ndim)]
    border[tuple(slice(max(start, 0), max(start + n, 0)) for start, n in zip(before, call.shape, strict=True))] = 0
    return scale_and_shift(call, with_zeros, 1, border)


def depth_to_space(call):
    """Read DepthToSpace, which moves groups of channels to blocks of an image."""
    channels, height, width = _image(call)
    n, mode = call.attributes.integer("blocksize"), call.attributes.text("mode", "DCR")
    if n < 1 or channels % n**2 or mode not in ("DCR", "CRD"):
        raise UnsupportedLayer(f"has blocks of {n} for {channels} channels: export the model again")
    rest = channels // n**2
    split = (n, n, rest, height, width) if mode == "DCR" else (rest, n, n, height, width)
    order = (2, 3, 0, 4, 1) if mode == "DCR" else (0, 3, 1, 4, 2)
    return _rearranged(call, split, order, (rest, height * n, width * n))


def space_to_depth(call):
    """Read SpaceToDepth, which moves blocks of an image to channels."""
    channels, height, width = _image(call)
    n = call.attributes.integer("blocksize")
    if n < 1 or height % n or width % n:
        raise UnsupportedLayer(f"has blocks of {n} for an image of {height} x {width}: export the model again")
    split = (channels, height // n, n, width // n, n)
    return _rearranged(call, split, (2, 4, 0, 1, 3), (channels * n**2, height // n, width // n))


def _image(call):
    if len(call.shape) != 3:
        raise UnsupportedLayer(f"works on images, and its input has shape {call.shape}: export the model again")
    return call.shape


def _rearranged(call, split, order, shape):
    blocks = call.builder.reshape(call.tensor, split, f"{call.name}_split")
    moved = OnnxTensor(blocks.spec, tuple(blocks.axes[axis] for axis in order))
    return call.builder.reshape(moved, shape, call.name)


# ---- selections


def selected(call, tensor, indices, suffix=""):
    """Return the tensor with some entries of some axes: {axis: indices}."""
    tensor = call.builder.unflattened(tensor, call.name + suffix)
    shape = call.builder.shape(tensor)
    taken = [indices.get(axis, range(n)) for axis, n in enumerate(shape)]
    if not all(taken):
        raise UnsupportedLayer("takes nothing out of an axis: export the model again")
    ordered = [list(taken[axis]) for axis in inverse_permutation(tensor.axes)]
    spec = OnnxTensor(tensor.spec, tuple(range(len(shape))))
    return OnnxTensor(select(call, spec, ordered, suffix).spec, tensor.axes)


def slicing(call):
    """Read Slice."""
    whole = _whole_shape(call)
    batch, *taken = slices(call, whole)
    if len(range(whole[0])[batch]) != whole[0] or (batch.step or 1) != 1:
        raise UnsupportedLayer("takes items out of the batch: keep that axis whole")
    return selected(call, call.tensor, {axis: range(n)[taken[axis]] for axis, n in enumerate(call.shape)})


def splitting(call):
    """Read Split, and return a list of its parts."""
    axis = call.item_axis(call.attributes.integer("axis", 0))
    sizes = split_sizes(call, call.shape[axis])
    ends = np.cumsum(sizes).tolist()
    return [
        selected(call, call.tensor, {axis: range(end - size, end)}, f"_{i}")
        for i, (size, end) in enumerate(zip(sizes, ends, strict=True))
    ]


def gather(call):
    """Read Gather with constant indices."""
    axis = call.item_axis(call.attributes.integer("axis", 0))
    indices = call.constant(1, "indices")
    if indices.dtype.kind not in "iu" or indices.ndim > 1:
        raise UnsupportedLayer("takes entries by an array of indices of several axes: take them one after another")
    n = call.shape[axis]
    picked = [int(index) for index in indices.ravel()]
    if any(not -n <= index < n for index in picked):
        raise UnsupportedLayer(f"takes entries {picked[:3]} of an axis of {n}: export the model again")
    result = selected(call, call.tensor, {axis: [index % n for index in picked]})
    if indices.ndim == 1:
        return result
    shape = tuple(m for i, m in enumerate(call.shape) if i != axis)
    return call.builder.reshape(result, shape, f"{call.name}_axes")


def expand(call):
    """Read Expand, which repeats axes of one entry."""
    target = call.integers(1, "shape")
    whole = _whole_shape(call)
    try:
        shape = np.broadcast_shapes(whole, tuple(target))
    except ValueError as error:
        raise UnsupportedLayer(f"expands {whole} to {tuple(target)}, which does not fit: export it again") from error
    return like(call.tensor, call.builder.broadcast(call.tensor, call.item_shape(shape), call.name))


# ---- resizing


def resize(call):
    """Read Resize if it repeats entries, or takes every n-th of them."""
    attributes, rank = call.attributes, len(call.shape)
    mode = attributes.text("mode", "nearest")
    transform = attributes.text("coordinate_transformation_mode", "half_pixel")
    rounding = attributes.text("nearest_mode", "round_prefer_floor")
    attributes.ignore("cubic_coeff_a", "exclude_outside", "extrapolation_value", "antialias")
    if attributes.text("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise UnsupportedLayer("keeps the aspect ratio: give the sizes of all axes")
    axes = attributes.integers("axes", list(range(rank + 1)))
    lengths = [_whole_shape(call)[axis] for axis in axes]
    scales, sizes = _resized(call, lengths)
    indices = {}
    for axis, n, scale, size in zip(axes, lengths, scales, sizes, strict=True):
        if (scale, size) != (1, n):
            indices[call.item_axis(axis)] = _nearest(n, scale, size, transform, rounding)
    if indices and mode != "nearest":
        raise UnsupportedLayer(f"interpolates (mode {mode!r}): use 'nearest', which only repeats entries")
    return _repeated(call, indices) if indices else call.tensor


def _resized(call, lengths):
    """Return (scales, sizes) of the output of Resize, one for each of its axes."""
    sizes, scales = call.integers(3, "sizes"), call.constant(2, "scales")
    if sizes:
        scales = [size / n for size, n in zip(sizes, lengths, strict=False)]
    elif scales is not None and scales.size and scales.dtype.kind == "f" and np.isfinite(scales).all():
        scales = scales.ravel().tolist()
        sizes = [math.floor(n * scale) for n, scale in zip(lengths, scales, strict=False)]
    if not sizes or not len(sizes) == len(scales) == len(lengths) or min(sizes) < 1 or min(scales) <= 0:
        raise UnsupportedLayer("has neither constant scales nor sizes for each axis: export the model again")
    return scales, sizes


def _nearest(n, scale, size, transform, rounding):
    """Return the index of the entry that each entry of a resized axis repeats, as ONNX computes it."""
    if max(n, size) > 2**20:
        raise UnsupportedLayer(f"resizes an axis of {n} entries to {size}: use smaller images")
    x = np.arange(size)
    if transform in ("half_pixel", "half_pixel_symmetric") or (transform == "pytorch_half_pixel" and size > 1):
        original = (x + 0.5) / scale - 0.5
        if transform == "half_pixel_symmetric":
            original = original + n / 2 * (1 - size / (scale * n))
    elif transform == "asymmetric":
        original = x / scale
    elif transform == "tf_half_pixel_for_nn":  # tf2onnx writes it, although opset 13 removed it
        original = (x + 0.5) / scale
    elif transform == "align_corners":
        original = x * ((n - 1) / (size - 1)) if size > 1 else x * 0.0
    elif transform == "pytorch_half_pixel":
        original = x * 0.0
    else:
        raise UnsupportedLayer(f"has coordinates {transform!r}: use 'half_pixel' or 'asymmetric'")
    functions = {
        "round_prefer_floor": lambda v: np.ceil(v - 0.5),
        "round_prefer_ceil": lambda v: np.floor(v + 0.5),
        "floor": np.floor,
        "ceil": np.ceil,
    }
    if rounding not in functions:
        raise UnsupportedLayer(f"has nearest_mode {rounding!r}: use 'floor'")
    return np.clip(functions[rounding](original), 0, n - 1).astype(int).tolist()


def _repeated(call, indices):
    """Return the tensor with repeated entries, each as often as the others of its axis, or with selected ones."""
    tensor, repeats, picks = call.builder.unflattened(call.tensor, call.name), [1] * len(call.shape), {}
    for axis, taken in indices.items():
        n = call.shape[axis]
        times = len(taken) // n
        if times > 1 and taken == [i for i in range(n) for _ in range(times)]:
            repeats[tensor.axes[axis]] = times
        elif taken != list(range(n)):
            picks[axis] = taken
    if any(len(set(taken)) < len(taken) for taken in picks.values()):
        raise UnsupportedLayer("repeats entries unevenly: resize by whole numbers, with mode 'nearest'")
    if picks:
        tensor = selected(call, tensor, picks, "_taken")
    if max(repeats) == 1:
        return tensor
    return call.add_spec(specs.Upsample, tensor.spec, order=tensor.axes, size=repeats)
