"""Readers of rectifiers, clipping, maxima, minima and of softmax and sigmoid, which are left out at the end."""

import dataclasses

import numpy as np

from ...shared.left_out import LeftOut
from ...shared.rectifiers import clip, extremum_of_two, rectify
from ...shared.refusals import UnsupportedLayer
from ..tensors import OnnxTensor, as_plain, like, spec_order
from .scaling import combined

UNBOUNDED = 3.4e38  # exporters write the largest float for a bound that is not there


def relu(call):
    """Read Relu."""
    return like(call.tensor, rectify(call, as_plain(call.tensor)))


def leaky_relu(call):
    """Read LeakyRelu."""
    return like(call.tensor, rectify(call, as_plain(call.tensor), slope=call.attributes.number("alpha", 0.01)))


def absolute(call):
    """Read Abs, a rectifier with the slope -1 below 0."""
    return like(call.tensor, rectify(call, as_plain(call.tensor), slope=-1.0))


def prelu(call):
    """Read PRelu, a rectifier with trained slopes below 0."""
    slope = call.item_values(call.weights(1, "slopes"), len(call.shape))
    axes = [axis for axis, n in enumerate(slope.shape) if n > 1]
    if any(slope.shape[axis] != call.shape[axis] for axis in axes):
        raise UnsupportedLayer(f"has slopes of shape {slope.shape} for a tensor of {call.shape}: export it again")
    if len(axes) > 1:
        raise UnsupportedLayer("has a slope for each entry: train the model with one for each channel")
    if call.tensor.flattened is not None and axes:
        slope = spec_order(slope, call.tensor)
    axis = axes[0] if axes else -1
    return like(call.tensor, rectify(call, as_plain(call.tensor), slope=np.asarray(slope, float).ravel(), axis=axis))


def clipping(call):
    """Read Clip, whose bounds are numbers."""
    return _clipped(call, call.tensor, call.scalar(1, "a bound"), call.scalar(2, "a bound"))


def _clipped(call, tensor, low, high, suffix=""):
    low, high = (None if b is None or abs(b) >= UNBOUNDED else b for b in (low, high))
    return like(tensor, clip(call, as_plain(tensor), low, high, suffix))


def extremum(sign):
    """Return a reader of the maximum (``sign`` 1) or minimum (-1) of tensors and numbers, entry by entry."""

    def read(call):
        tensors = [operand for operand in call.operands if isinstance(operand, OnnxTensor)]
        indices = [i for i, operand in enumerate(call.operands) if not isinstance(operand, OnnxTensor)]
        result = tensors[0]
        for i, other in enumerate(tensors[1:]):
            if call.builder.shape(result) != call.builder.shape(other):
                raise UnsupportedLayer("compares tensors of different shapes: export the model again")
            result = combined(call, [result, other], lambda pair, i=i: extremum_of_two(call, *pair, sign, f"_pair{i}"))
        for index in indices:
            bound = call.scalar(index, "a bound")
            low, high = (bound, None) if sign == 1 else (None, bound)
            result = _clipped(call, result, low, high, f"_bound{index}" if index != indices[-1] else "")
        return result

    return read


def softmax(call):
    """Read Softmax and LogSoftmax by leaving them out."""
    call.item_axis(call.attributes.integer("axis", -1 if call.opset >= 13 else 1))  # refuses the batch axis
    return _as_logits(call, "softmax")


def sigmoid(call):
    """Read Sigmoid by leaving it out, since it keeps the order of scores."""
    return _as_logits(call, "sigmoid")


def _as_logits(call, function):
    return dataclasses.replace(call.tensor, left_out=LeftOut(call.name, function))
