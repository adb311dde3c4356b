"""Readers of sums, differences, products and quotients with constants, sums of tensors, and batch normalization."""

import numpy as np

from ....model import layers as specs
from ...shared.arithmetic import add, affine, check_variance
from ...shared.refusals import GATE, QUOTIENT, UnsupportedLayer
from ..tensors import OnnxTensor, as_plain, like, spec_order


def scale_and_shift(call, tensor, scale, bias, suffix=""):
    """Add specs for ``scale * tensor + bias``.

    Parameters
    ----------
    call : NodeCall
    tensor : OnnxTensor
    scale, bias : array_like
        Numbers, or arrays that are broadcast to the tensor's shape, without the batch axis.
    suffix : str
        Added to the node's name.

    Returns
    -------
    OnnxTensor
    """
    shape = call.builder.shape(tensor)
    scale, bias = (call.item_values(np.asarray(value, float), len(shape)) for value in (scale, bias))
    full = tuple(np.broadcast_shapes(shape, scale.shape, bias.shape)) if _fit(shape, scale, bias) else None
    if full is None:
        raise UnsupportedLayer(
            f"combines a tensor of shape {shape} with constants of shapes {scale.shape} and {bias.shape}, which do not "
            "fit: export the model again"
        )
    tensor = call.builder.broadcast(tensor, full, call.name + suffix)
    varying = {axis for axis in range(len(full)) if max(scale.shape[axis], bias.shape[axis]) > 1}
    last = {axis for axis in varying if tensor.axes[axis] == len(full) - 1}
    if varying <= last:
        pair = [value.ravel() if value.size == 1 else _along(tensor, value, full, last) for value in (scale, bias)]
        return like(tensor, affine(call, as_plain(tensor), *pair, axis=min(last, default=-1), suffix=suffix))
    # any other constants belong to single entries
    name = f"{suffix}_entries"
    flat = call.add_spec(specs.Flatten, tensor.spec, f"{name}_flat")
    pair = [spec_order(np.broadcast_to(value, full), tensor).ravel() for value in (scale, bias)]
    scaled = affine(call, flat, *pair, suffix=name)
    return call.add_spec(specs.Reshape, scaled.spec, suffix, order=tensor.axes, shape=call.builder.shapes[tensor.spec])


def _along(tensor, values, shape, axes):
    """Return the values along the only axis on which they vary, in the order of the spec."""
    (axis,) = axes
    values = np.broadcast_to(values.ravel(), (shape[axis],))
    return spec_order(values, tensor) if tensor.flattened is not None else values


def _fit(shape, *constants):
    sizes = zip(shape, *(value.shape for value in constants), strict=True)
    return all(len({n for n in axis if n != 1}) <= 1 for axis in sizes)


def addition(*signs):
    """Return a reader of a sum of tensors and constants, each with its sign; the last sign is used repeatedly."""

    def read(call):
        terms = list(zip([*signs, *signs[-1:] * len(call.operands)], call.operands, strict=False))
        tensors = [(sign, term) for sign, term in terms if isinstance(term, OnnxTensor)]
        if not tensors:
            raise UnsupportedLayer("adds constants: compute the sum before the export")
        total = _sum(call, tensors) if len(tensors) > 1 else None
        shifts = [sign * call.weights(i, "constants") for i, (sign, _) in enumerate(terms) if _is_array(call, i)]
        if not shifts:
            return total if total is not None else _negative(call, *tensors[0])
        (sign, tensor) = (1, total) if total is not None else tensors[0]
        for i, shift in enumerate(shifts):
            tensor = scale_and_shift(call, tensor, sign if i == 0 else 1, shift, f"_{i}" if i < len(shifts) - 1 else "")
        return tensor

    return read


def _is_array(call, index):
    return isinstance(call.operands[index], np.ndarray)


def _negative(call, sign, tensor):
    return tensor if sign == 1 else scale_and_shift(call, tensor, sign, 0)


def _sum(call, terms):
    shapes = [call.builder.shape(tensor) for _, tensor in terms]
    try:
        full = tuple(np.broadcast_shapes(*shapes))
    except ValueError as error:
        raise UnsupportedLayer(f"adds tensors of shapes {shapes}, which do not fit: export the model again") from error
    terms = [(sign, call.builder.broadcast(tensor, full, f"{call.name}_{i}")) for i, (sign, tensor) in enumerate(terms)]
    terms = [tensor if sign == 1 else scale_and_shift(call, tensor, sign, 0, "_scaled") for sign, tensor in terms]
    return combined(call, terms, lambda tensors: add(call, tensors))


def combined(call, tensors, combine):
    """Return ``combine(tensors)`` of tensors of one shape, with their entries in one order."""
    if len({(tensor.axes, tensor.flattened) for tensor in tensors}) == 1:
        return like(tensors[0], combine([as_plain(tensor) for tensor in tensors]))
    return combine([as_plain(call.builder.unflattened(tensor, f"{call.name}_{i}")) for i, tensor in enumerate(tensors)])


def mean(call):
    """Read Mean, of several tensors."""
    return scale_and_shift(call, addition(1)(call), 1 / len(call.operands), 0, "_mean")


def multiply(call):
    """Read the product of a tensor and a constant."""
    first, second = call.operands
    if isinstance(first, OnnxTensor) and isinstance(second, OnnxTensor):
        raise UnsupportedLayer(GATE)
    tensor, index = (first, 1) if isinstance(first, OnnxTensor) else (second, 0)
    return scale_and_shift(call, tensor, call.weights(index, "factors"), 0)


def divide(call):
    """Read the quotient of a tensor and a constant."""
    if isinstance(call.operand(1), OnnxTensor):
        raise UnsupportedLayer(QUOTIENT)
    divisor = np.asarray(call.weights(1, "divisors"), float)
    if (divisor == 0).any():
        raise UnsupportedLayer("divides by zero: export the model again")
    return scale_and_shift(call, call.tensor, 1 / divisor, 0)


def batch_normalization(call):
    """Read BatchNormalization at inference: scale * (x - mean) / sqrt(variance + epsilon) + bias."""
    call.attributes.ignore("spatial")
    if call.attributes.flag("training_mode"):
        raise UnsupportedLayer("is in training mode: call model.eval() before the export")
    names = ("scale", "bias", "mean", "variance")
    arrays = [np.asarray(call.weights(i + 1, n), float) for i, n in enumerate(names)]
    scale, bias, average, variance = arrays
    fields = {"epsilon": call.attributes.number("epsilon", 1e-5), "momentum": call.attributes.number("momentum", 0.9)}
    check_variance(variance, fields["epsilon"])
    tensor, channels = call.tensor, call.shape[0]
    if {array.shape for array in arrays} != {(channels,)}:
        raise UnsupportedLayer(f"has arrays that do not fit its {channels} channels: export the model again")
    if tensor.flattened is None and tensor.axes[0] == len(tensor.axes) - 1:
        plain = call.add_spec(specs.BatchNormalization, tensor.spec, order=tensor.axes, arrays=arrays, **fields)
        return like(tensor, plain)
    # channels that are not the last axis of the spec are scaled without a layer of their own
    scale = scale / np.sqrt(variance + fields["epsilon"])
    column = (channels,) + (1,) * (len(call.shape) - 1)
    return scale_and_shift(call, call.tensor, scale.reshape(column), (bias - average * scale).reshape(column))


def cast(call):
    """Read a cast to floats, which changes nothing, since everything is computed in float32."""
    call.attributes.ignore("saturate", "round_mode")
    if call.attributes.integer("to") not in (1, 10, 11, 16):
        raise UnsupportedLayer("casts to a type other than float: leave that out")
    return call.tensor
