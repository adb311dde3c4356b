"""Readers of convolutions, plain and transposed, and of products with constant matrices."""

import math

import numpy as np

from ....model import layers as specs
from ...shared.refusals import UnsupportedLayer
from ..tensors import OnnxTensor, spec_order
from .scaling import scale_and_shift
from .windows import add_image_spec, counts, pad, padded, read_windows

COMPUTED = "computes its weights from the image, which is not supported: train a model with constant weights"


def convolution(call):
    """Read Conv."""
    kernel, bias = _kernel(call), call.weights(2, "a bias")
    windows = read_windows(call, kernel.shape[2:], call.shape[1:])
    tensor, padding = padded(call, call.tensor, windows)
    fields = {"strides": [w.stride for w in windows], "dilation": [w.dilation for w in windows], "padding": padding}
    groups = call.attributes.integer("group", 1)
    return _add_convolution(call, tensor, np.moveaxis(kernel, (1, 0), (-2, -1)), bias, groups=groups, **fields)


def transposed_convolution(call):
    """Read ConvTranspose.

    It is a convolution with the flipped kernel over the input with ``strides - 1`` zeros between its entries.
    """
    kernel, bias, lengths = _kernel(call), call.weights(2, "a bias"), call.shape[1:]
    size, rank, groups = kernel.shape[2:], kernel.ndim - 2, call.attributes.integer("group", 1)
    strides, dilation = counts(call, "strides", rank), counts(call, "dilations", rank)
    if groups < 1 or len(kernel) % groups:
        raise UnsupportedLayer(f"has {groups} groups for {len(kernel)} input channels: export the model again")
    sides = {}
    for axis, (before, after) in enumerate(_transposed_pads(call, lengths, size, strides, dilation)):
        span = (size[axis] - 1) * dilation[axis] + 1
        sides[axis + 1] = (span - 1 - before, span - 1 - after)
    gaps = {axis + 1: stride - 1 for axis, stride in enumerate(strides)}
    spread = pad(call, call.tensor, sides, "_spread", gaps)
    flipped = np.flip(kernel, range(2, kernel.ndim))
    # (group, in / groups, out / groups, ...) to (..., in / groups, group, out / groups)
    split = flipped.reshape(groups, len(kernel) // groups, *kernel.shape[1:])
    split = np.moveaxis(split, (1, 0, 2), (-3, -2, -1))
    merged = split.reshape(*size, len(kernel) // groups, groups * kernel.shape[1])
    return _add_convolution(call, spread, merged, bias, groups=groups, dilation=dilation)


def _transposed_pads(call, lengths, size, strides, dilation):
    """Return (before, after) for each axis: entries of the full output that are cut off, or added if negative."""
    rank, attributes = len(size), call.attributes
    extra, pads = (attributes.integers(n, [0] * m * rank) for n, m in (("output_padding", 1), ("pads", 2)))
    shape, automatic = attributes.integers("output_shape"), attributes.text("auto_pad", "NOTSET")
    if len(extra) != rank or len(pads) != 2 * rank or (shape is not None and len(shape) not in (rank, rank + 2)):
        raise UnsupportedLayer("has padding that does not fit its kernel: export the model again")
    if automatic.startswith("SAME") and shape is None:
        shape = [n * stride for n, stride in zip(lengths, strides, strict=True)]
    sides = []
    for axis in range(rank):
        span = (size[axis] - 1) * dilation[axis] + 1
        full = (lengths[axis] - 1) * strides[axis] + span + extra[axis]
        if shape is not None:
            total = full - shape[axis - rank]
            half = max(total, 0) // 2
            before = half if automatic == "SAME_UPPER" else max(total, 0) - half
            after = total - before
        elif automatic == "VALID":
            before = after = 0
        else:
            before, after = pads[axis], pads[rank + axis]
        sides.append((before, after - extra[axis]))
    return sides


def _kernel(call):
    if isinstance(call.operand(1), OnnxTensor):
        raise UnsupportedLayer(COMPUTED)
    kernel = call.weights(1, "weights")
    if kernel is None or kernel.ndim != len(call.shape) + 1 or kernel.ndim < 3:
        raise UnsupportedLayer(f"has weights that do not fit a tensor of shape {call.shape}: export the model again")
    if call.attributes.integers("kernel_shape", list(kernel.shape[2:])) != list(kernel.shape[2:]):
        raise UnsupportedLayer("has a kernel_shape that its weights do not have: export the model again")
    return kernel


def _add_convolution(call, tensor, kernel, bias, **fields):
    arrays = [kernel] if bias is None else [kernel, bias]
    size = kernel.shape[:-2]
    return add_image_spec(
        call,
        specs.Conv,
        tensor,
        arrays=arrays,
        filters=kernel.shape[-1],
        kernel_size=size,
        use_bias=bias is not None,
        **fields,
    )


# ---- products with matrices


def gemm(call):
    """Read Gemm: alpha * A' B' + beta * C, of which A is the tensor."""
    attributes = call.attributes
    if isinstance(call.operand(1), OnnxTensor):
        raise UnsupportedLayer(COMPUTED)
    tensor, matrix = call.tensor, call.weights(1, "weights")
    if attributes.flag("transA") or len(call.shape) != 1 or matrix is None or matrix.ndim != 2:
        raise UnsupportedLayer("multiplies other than vectors by a matrix: use MatMul, or flatten the items")
    kernel = attributes.number("alpha", 1.0) * (matrix.T if attributes.flag("transB") else matrix)
    bias = call.weights(2, "a bias")
    if bias is not None:
        bias = attributes.number("beta", 1.0) * np.broadcast_to(call.item_values(bias, 1), kernel.shape[1:])
    attributes.ignore("beta")
    return _add_dense(call, tensor, kernel, bias)


def matmul(call):
    """Read MatMul of a tensor and a constant, in either order."""
    first, second = call.operands
    if isinstance(first, OnnxTensor) and isinstance(second, OnnxTensor):
        raise UnsupportedLayer(COMPUTED)
    if isinstance(first, OnnxTensor):
        return _product(call, first, _matrix(call, 1), -1)
    if len(call.builder.shape(second)) < 2:
        raise UnsupportedLayer("multiplies the batch axis: put the tensor first, as in MatMul(x, weights)")
    return _product(call, second, _matrix(call, 0).T, -2)


def _matrix(call, index):
    matrix = call.weights(index, "weights")
    while matrix.ndim > 2 and len(matrix) == 1:
        matrix = matrix[0]
    if matrix.ndim != 2:
        raise UnsupportedLayer(f"has weights of shape {matrix.shape}, not a matrix: use one matrix for all items")
    return matrix


def _product(call, tensor, kernel, axis):
    """Add specs for the product of a tensor along an axis with a matrix (in, out)."""
    shape = call.builder.shape(tensor)
    if shape[axis] != len(kernel):
        raise UnsupportedLayer(f"multiplies an axis of {shape[axis]} entries by {len(kernel)} rows: export it again")
    if len(shape) == 1:
        return _add_dense(call, tensor, kernel, None)
    moved = call.builder.with_axis_last(tensor, axis)
    return call.add_spec(
        specs.Dense, moved.spec, order=moved.axes, arrays=[kernel], units=kernel.shape[1], use_bias=False
    )


def _add_dense(call, tensor, kernel, bias):
    """Add a Dense spec on a vector; rows of the kernel follow the order of its entries."""
    (n,) = call.builder.shape(tensor)
    if len(kernel) != n:
        raise UnsupportedLayer(f"multiplies {n} entries by {len(kernel)} rows: export the model again")
    if tensor.flattened is not None:
        kernel = kernel[spec_order(np.arange(n), tensor)]
    arrays = [kernel] if bias is None else [kernel, bias]
    return call.add_spec(specs.Dense, tensor.spec, arrays=arrays, units=kernel.shape[1], use_bias=bias is not None)


def dense_mean(call, tensor):
    """Return the mean of all entries of an item, with one axis of one entry."""
    n = math.prod(call.builder.shape(tensor))
    flat = call.add_spec(specs.Flatten, tensor.spec, "_flat")
    return call.add_spec(specs.Dense, flat.spec, arrays=[np.full((n, 1), 1 / n)], units=1, use_bias=False)


def scaled(call, tensor, factor):
    """Return the tensor times a number."""
    return tensor if factor == 1 else scale_and_shift(call, tensor, factor, 0, "_scaled")
