"""Specs for rectifiers, clipping, maxima and minima, all of which are made of rectifiers, exactly.

"relu" in the docstrings is max(x, 0).
"""

import numpy as np

from ...model import layers as specs
from .arithmetic import add, affine, constant_affine
from .refusals import UnsupportedLayer


def rectify(call, tensor, suffix="", *, max_value=None, slope=0, threshold=0, axis=-1):
    """Add specs for a general rectifier: relu(x) - relu(x - max_value) - slope * relu(-x).

    ``slope`` is a number, or an array with one for each index along ``axis``.
    """
    if threshold:
        raise UnsupportedLayer(f"has threshold={threshold:g}, where it jumps: train the model with threshold=0")
    if np.size(slope) > 1:
        tensor = call.builder.with_axis_last(tensor, axis)
    ramps = [(f"{suffix}_above", 1, -max_value, -1)] if max_value is not None else []
    ramps += [(f"{suffix}_below", -1, 0, -slope)] if np.any(slope) else []
    whole = call.add_spec(specs.Rectifier, tensor.spec, f"{suffix}_whole" if ramps else suffix, order=tensor.axes)
    return add(call, [whole, *(_ramp(call, tensor, axis, *ramp) for ramp in ramps)], suffix) if ramps else whole


def _ramp(call, tensor, axis, suffix, scale, bias, weight):
    """Add specs for weight * relu(scale * x + bias)."""
    inner = affine(call, tensor, scale, bias, suffix=f"{suffix}_in")
    ramp = call.add_spec(specs.Rectifier, inner.spec, suffix, order=inner.axes)
    return affine(call, ramp, weight, 0, axis, f"{suffix}_out")


def clip(call, tensor, low=None, high=None, suffix=""):
    """Add specs that clip a tensor: low + relu(x - low) - relu(x - high), or high - relu(high - x) without ``low``.

    A bound is a number, an array that varies along one axis, or None.
    """
    if low is None and high is None:
        return tensor
    if low is not None and high is not None and np.any(np.asarray(low) >= np.asarray(high)):
        raise UnsupportedLayer(f"has the bounds {low} and {high}: the first must be smaller, so exchange them")
    if np.ndim(low) == np.ndim(high) == 0 and low == 0:
        return rectify(call, tensor, suffix, max_value=high)
    parts = []
    for name, bound, sign in (("low", low, 1), ("high", high, -1)):
        if bound is not None:
            direction = 1 if low is not None else -1
            shift = -direction * np.asarray(bound)
            inner = constant_affine(call, tensor, direction, shift, suffix=f"{suffix}_{name}_in")
            ramp = call.add_spec(specs.Rectifier, inner.spec, f"{suffix}_{name}", order=inner.axes)
            parts.append(ramp if sign == 1 else affine(call, ramp, -1, 0, suffix=f"{suffix}_{name}_out"))
    total = parts[0] if len(parts) == 1 else add(call, parts, f"{suffix}_sum")
    return constant_affine(call, total, 1, high if low is None else low, suffix=suffix)


def extremum_of_two(call, x, y, sign, suffix=""):
    """Add specs for the maximum (``sign`` 1) or minimum (-1) of two tensors.

    max(x, y) = y + relu(x - y) and min(x, y) = y - relu(y - x).
    """
    opposite = affine(call, y if sign == 1 else x, -1, 0, suffix=f"{suffix}_opposite")
    difference = add(call, [x if sign == 1 else y, opposite], f"{suffix}_difference")
    excess = call.add_spec(specs.Rectifier, difference.spec, f"{suffix}_excess", order=difference.axes)
    excess = excess if sign == 1 else affine(call, excess, -1, 0, suffix=f"{suffix}_subtracted")
    return add(call, [y, excess], suffix)
