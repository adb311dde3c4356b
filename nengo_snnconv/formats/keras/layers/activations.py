"""Readers of rectifiers, clipping, maxima and softmax, and of the activation that a layer has as an argument.

All but softmax are made of rectifiers, exactly: "relu" in the docstrings is max(x, 0).
"""

import dataclasses

import numpy as np

from ....model import layers as specs
from ..config_entries import constant, is_custom_class
from ..layer_call import LayerOptions
from ..live_layers import LIBRARIES
from ..spec_builder import Tensor
from ..unsupported import UnsupportedLayer, activation_advice
from .arithmetic import add, affine, constant_affine

DEFAULT_SLOPE = 0.2  # of leaky_relu in TensorFlow and Keras 3

# ---- rectifiers


def rectifier(**defaults):
    """Return a reader of a rectifier; ``defaults`` are the values of options that are not in the configuration."""
    return lambda call: _rectify(call, call.tensor, **{**defaults, **_rectifier_options(call.options)})


def _rectifier_options(options):
    values = {
        "max_value": options.get("max_value"),
        "slope": options.get("negative_slope", options.get("alpha")),
        "threshold": options.get("threshold"),
    }
    return {key: float(constant(value)) for key, value in values.items() if value is not None}


def prelu(call):
    """Read PReLU, a rectifier with trained slopes below 0."""
    (slope,) = call.arrays("alpha")
    axes = [axis for axis, n in enumerate(slope.shape) if n > 1] or [-1]
    if len(axes) > 1:
        shared = list(range(1, slope.ndim))
        raise UnsupportedLayer(
            f"has a slope for each entry: share them with shared_axes={shared}, which leaves one for each channel"
        )
    call.options.ignore("shared_axes")
    return _rectify(call, call.tensor, slope=slope.ravel(), axis=axes[0])


def qcfs(call):
    """Read QCFS, a rectifier for few spikes: its input is divided by the threshold, and its output multiplied by it."""
    call.options.ignore("threshold")  # the initial value
    (threshold,) = call.arrays("threshold")
    if not threshold > 0:
        raise UnsupportedLayer(f"has the threshold {threshold:g}, which must be above 0: train the model again")
    scaled = affine(call, call.tensor, 1 / threshold, 0, suffix="_in")
    levels = int(call.options["levels"])
    rectified = call.add_spec(specs.Rectifier, scaled.spec, order=scaled.axes, levels=levels)
    return affine(call, rectified, threshold, 0, suffix="_out")


def _rectify(call, tensor, suffix="", *, max_value=None, slope=0, threshold=0, axis=-1):
    """Add specs for Keras' ReLU: relu(x) - relu(x - max_value) - slope * relu(-x).

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


# ---- clipping, maxima and minima


def clipping(low, high):
    """Return a reader of an operation whose bounds are the options ``low`` and ``high``."""

    def read(call):
        bounds = [call.options.get(key) for key in (low, high)]
        return _clip(call, call.tensor, *(None if b is None or np.isinf(b).all() else constant(b) for b in bounds))

    return read


def _clip(call, tensor, low=None, high=None, suffix=""):
    """Add specs that clip a tensor: low + relu(x - low) - relu(x - high), or high - relu(high - x) without ``low``.

    A bound is a number, an array that varies along one axis, or None.
    """
    if low is None and high is None:
        return tensor
    if low is not None and high is not None and np.any(np.asarray(low) >= np.asarray(high)):
        raise UnsupportedLayer(f"has the bounds {low} and {high}: the first must be smaller, so exchange them")
    if np.ndim(low) == np.ndim(high) == 0 and low == 0:
        return _rectify(call, tensor, suffix, max_value=high)
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


def extremum(sign):
    """Return a reader of the maximum (``sign`` 1) or minimum (-1) of tensors and constants, entry by entry.

    max(x, y) = y + relu(x - y) and min(x, y) = y - relu(y - x).
    """

    def read(call):
        result, *others = sorted(call.operands, key=lambda operand: not isinstance(operand, Tensor))
        if not isinstance(result, Tensor):
            raise UnsupportedLayer("compares constants: replace it by the result")
        for i, other in enumerate(others):
            suffix = f"_{i}" if i < len(others) - 1 else ""
            if isinstance(other, Tensor):
                result = _extremum_of_two(call, result, other, sign, suffix)
            else:
                result = _clip(call, result, **{"low" if sign == 1 else "high": other}, suffix=suffix)
        return result

    return read


def _extremum_of_two(call, x, y, sign, suffix):
    opposite = affine(call, y if sign == 1 else x, -1, 0, suffix=f"{suffix}_opposite")
    difference = add(call, [x if sign == 1 else y, opposite], f"{suffix}_difference")
    excess = call.add_spec(specs.Rectifier, difference.spec, f"{suffix}_excess", order=difference.axes)
    excess = excess if sign == 1 else affine(call, excess, -1, 0, suffix=f"{suffix}_subtracted")
    return add(call, [y, excess], suffix)


# ---- softmax


def softmax(call):
    """Read a softmax by leaving it out."""
    call.options.ignore("axis")  # the largest entry stays the largest along any axis
    return _as_logits(call, call.tensor)


def _as_logits(call, tensor):
    return dataclasses.replace(tensor, logits_of=call.name)


# ---- activations that are arguments of layers

# name -> options of the rectifier
ACTIVATIONS = {
    "linear": {},
    "softmax": {},
    "log_softmax": {},
    "relu": {},
    "relu6": {"max_value": 6},
    "leaky_relu": {"slope": DEFAULT_SLOPE},
}
# names of TensorFlow functions that Keras 3 does not replace by its own -> names in Keras
TENSORFLOW_NAMES = {"softmax_v2": "softmax", "log_softmax_v2": "log_softmax", "identity": "linear"}


def with_activation(read):
    """Return a reader of a layer with the argument ``activation``, whose output before the activation is ``read``."""
    return lambda call: _activate(call, read(call))


def _activate(call, tensor):
    name, options = read_activation(call)
    if name == "linear":
        return tensor
    if name.endswith("softmax"):
        return _as_logits(call, tensor)
    # the spec of a layer that consists of its activation has the name of the layer
    return _rectify(call, tensor, "" if tensor is call.operands[0] else f"_{name}", **options)


def read_activation(call):
    """Return the activation of a layer as (name in ``ACTIVATIONS``, options of the rectifier)."""
    value = call.options["activation"]
    if isinstance(value, dict) and is_custom_class(value):
        raise UnsupportedLayer(f"has an activation of your own, {value.get('class_name')!r}: use 'relu'")
    if isinstance(value, dict) and value.get("class_name") in ("LeakyReLU", "ReLU"):
        return "relu", _rectifier_options(LayerOptions(value["config"]))
    is_function = isinstance(value, dict) and isinstance(value.get("config"), str)
    if isinstance(value, dict):
        value = value["config"] if is_function else value.get("class_name", "of your own")
    name = "linear" if value is None else str(value)
    module = getattr(call.activation, "__module__", None) or ""
    if module.partition(".")[0] not in ("", *LIBRARIES) or (is_function and call.activation is None):
        # a file has the name only; the function itself may be supported, such as tf.nn.softmax
        in_module = f" of {module}: use 'relu'"
        in_file = ": use 'relu', or load the file in Keras with custom_objects, and pass the model"
        raise UnsupportedLayer(f"has an activation of your own, {name!r}{in_module if module else in_file}")
    if is_function and module.startswith("tensorflow."):
        name = TENSORFLOW_NAMES.get(name, name)
    if name not in ACTIVATIONS:
        raise UnsupportedLayer(activation_advice(name, call.role))
    return name, ACTIVATIONS[name]
