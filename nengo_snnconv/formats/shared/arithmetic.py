"""Specs for sums, and for scales and shifts, of tensors of a foreign model.

``call`` is the call of a layer in the foreign model: its ``builder`` collects the specs, and its ``add_spec`` adds one
under the layer's name.
"""

import math

import numpy as np

from ...model import layers as specs
from .refusals import UnsupportedLayer


def affine(call, tensor, scale, bias, axis=-1, suffix=""):
    """Add specs for ``scale * tensor + bias``.

    Parameters
    ----------
    call : LayerCall or NodeCall
    tensor : Tensor
    scale, bias : float or array_like
        One number, or one for each index along ``axis``.
    axis : int
        Axis of the tensor.
    suffix : str
        Added to the layer's name.

    Returns
    -------
    Tensor
    """
    values = [np.asarray(value, dtype=float) for value in (scale, bias)]
    if any(value.size > 1 for value in values):
        tensor = call.builder.with_axis_last(tensor, axis)
    size = call.builder.shapes[tensor.spec][-1]
    for value in values:
        along_last = value.size == math.prod(value.shape[-1:]) and value.ndim <= len(tensor.axes) + 1
        if not along_last or value.size not in (1, size):
            raise UnsupportedLayer(
                f"has values of shape {value.shape} along an axis of {size} entries: give one number for each, or one"
            )
    arrays = [np.broadcast_to(value.ravel(), (size,)) for value in values]
    return call.add_spec(specs.Affine, tensor.spec, suffix, order=tensor.axes, arrays=arrays)


def check_variance(variance, epsilon):
    """Refuse a batch normalization that would divide by the root of a variance that is not positive."""
    if variance.size and np.min(variance) + epsilon <= 0:
        raise UnsupportedLayer("has a variance that is not positive: train the model again")


def _varying_axis(value, rank):
    """Return the axis along which a constant varies if it is broadcast to ``rank`` axes; the last one if none."""
    varying = [axis - value.ndim for axis, n in enumerate(value.shape) if n > 1]
    return varying[0] if len(varying) == 1 and -rank <= varying[0] else -1


def constant_affine(call, tensor, scale, bias, suffix=""):
    """Add specs for ``scale * tensor + bias``, where one of the two may vary along any one axis."""
    bias, scale = np.asarray(bias, float), np.asarray(scale, float)
    value, rank = max(scale, bias, key=np.size), len(tensor.axes)
    axis = _varying_axis(value, rank)
    if value.size > 1 and value.ndim <= rank + 1 and max(value.shape) == value.size:
        scale, bias = scale.ravel(), bias.ravel()
    return affine(call, tensor, scale, bias, axis, suffix)


def add(call, tensors, suffix=""):
    """Add a spec for the sum of tensors."""
    inputs, order = call.builder.in_common_order(tensors)
    return call.add_spec(specs.Add, inputs, suffix, order=order)
