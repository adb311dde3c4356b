"""Keras layers that work on each entry by itself: scale and shift, sums, rectifiers, activations."""

import dataclasses
import math

import numpy as np

from ...model import layers as specs
from .advice import GATE, QUOTIENT, advice_on_activation
from .builder import Refused, Tensor
from .calls import constant, is_own_class
from .live import LIBRARIES
from .use import Options

SLOPE = 0.2  # of leaky_relu where nothing is said, in TensorFlow and in Keras 3


def affine(use, tensor, scale, bias, axis=-1, suffix=""):
    """``scale * tensor + bias``, each a number or one number for each place along ``axis``."""
    values = [np.asarray(value, dtype=float) for value in (scale, bias)]
    if any(value.size > 1 for value in values):
        tensor = use.build.with_last(tensor, axis)
    size = use.build.shapes[tensor.end][-1]
    for value in values:
        along_last = value.size == math.prod(value.shape[-1:]) and value.ndim <= len(tensor.axes) + 1
        if not along_last or value.size not in (1, size):
            raise Refused(f"has values of shape {value.shape} for {size} places: give one number for each, or one")
    arrays = [np.broadcast_to(value.ravel(), (size,)) for value in values]
    return use.put(specs.Affine, tensor.end, suffix, order=tensor.axes, arrays=arrays)


def _along(value, rank):
    """Return the axis along which a constant varies when broadcast to ``rank`` axes; the last one if none."""
    varying = [axis - value.ndim for axis, n in enumerate(value.shape) if n > 1]
    return varying[0] if len(varying) == 1 and -rank <= varying[0] else -1


def constant_affine(use, tensor, scale, bias, suffix=""):
    """``scale * tensor + bias``, of which one is a constant that may vary along any one axis."""
    bias, scale = np.asarray(bias, float), np.asarray(scale, float)
    value, rank = max(scale, bias, key=np.size), len(tensor.axes)
    axis = _along(value, rank)
    if value.size > 1 and value.ndim <= rank + 1 and max(value.shape) == value.size:
        scale, bias = scale.ravel(), bias.ravel()
    return affine(use, tensor, scale, bias, axis, suffix)


def weighted_sum(*weights):
    """A reader that adds tensors and constants, each times its weight, the last of which serves all the rest."""

    def read(use):
        factors = [*weights, *weights[-1:] * len(use.operands)]
        terms = list(zip(factors, use.operands, strict=False))
        tensors = [(factor, operand) for factor, operand in terms if isinstance(operand, Tensor)]
        shift = sum(factor * operand for factor, operand in terms if not isinstance(operand, Tensor))
        if len(tensors) == 1:
            (factor, tensor) = tensors[0]
            return constant_affine(use, tensor, factor, shift) if len(terms) > 1 or factor != 1 else tensor
        if len(tensors) < len(terms):
            raise Refused("adds a constant to several tensors: add it to one")
        return add(use, [t if factor == 1 else affine(use, t, factor, 0, suffix="_scaled") for factor, t in tensors])

    return read


def add(use, tensors, suffix=""):
    """The sum of tensors."""
    ends, order = use.build.in_one_order(tensors)
    return use.put(specs.Add, ends, suffix, order=order)


def average(use):
    total = add(use, use.operands, "_sum") if len(use.operands) > 1 else use.tensor
    return affine(use, total, 1 / len(use.operands), 0)


def multiply(use):
    return _scaled(use, "multiplies", *sorted(use.operands, key=lambda operand: not isinstance(operand, Tensor)))


def divide(use):
    numerator, denominator = use.pair
    inverse = denominator if isinstance(denominator, Tensor) else 1 / denominator
    return _scaled(use, "divides", numerator, inverse)


def _scaled(use, verb, tensor, *factors):
    if len(factors) != 1 or not isinstance(tensor, Tensor) or isinstance(factors[0], Tensor):
        raise Refused(GATE if verb == "multiplies" else QUOTIENT)
    return constant_affine(use, tensor, factors[0], 0)


def bias_add(use):
    """TensorFlow's ``bias_add``, which adds a number to each channel."""
    bias, first = constant(use.config["bias"]), str(use.config.get("data_format") or "N...C").startswith("NC")
    return affine(use, use.tensor, 1, bias, 0 if first else -1)


def custom_scale(use):
    """The end of a block of InceptionResNetV2: x + scale * y."""
    x, y = use.pair
    return add(use, [x, affine(use, y, use.config["scale"], 0, suffix="_scaled")])


def layer_scale(use):
    """ConvNeXt's factor for each channel."""
    use.config.ignore("init_values", "projection_dim")
    return affine(use, use.tensor, *use.arrays("gamma"), 0)


def rescaling(use):
    return affine(use, use.tensor, constant(use.config["scale"]), constant(use.config["offset"]))


def normalization(use):
    config = use.config
    if config["mean"] is None:
        mean, variance, _ = use.arrays("mean", "variance", "count")
    else:
        mean, variance = constant(config["mean"]), constant(config["variance"])
    deviation = np.maximum(np.sqrt(np.asarray(variance, float).ravel()), 1e-7)  # keras.backend.epsilon()
    mean = np.asarray(mean, float).ravel()
    scale, bias = (deviation, mean) if config["invert"] else (1 / deviation, -mean / deviation)
    return affine(use, use.tensor, scale, bias, _single_axis(use))


def batch_normalization(use):
    config = use.config
    if config.get("renorm"):
        raise Refused("has renorm=True: leave it out, and train again")
    config.ignore("momentum", "renorm_momentum", "renorm_clipping", "synchronized")
    names = ["gamma"] * config["scale"] + ["beta"] * config["center"] + ["mean", "variance"]
    arrays = dict(zip(names, (np.asarray(a, float) for a in use.arrays(*names)), strict=True))
    scale = arrays.get("gamma", 1) / np.sqrt(arrays["variance"] + config["epsilon"])
    return affine(use, use.tensor, scale, arrays.get("beta", 0) - arrays["mean"] * scale, _single_axis(use))


def _single_axis(use):
    """The one axis of a normalisation; the last where there is none, and one number serves all."""
    axis = use.config["axis"]
    axes = [axis] if isinstance(axis, int) else list(axis or [-1])
    if len(axes) > 1:
        raise Refused(f"normalises along the axes {axes}: use one axis")
    return use.axis(axes[0])


def rectify(use, tensor, suffix="", max_value=None, slope=0, threshold=0, axis=-1):
    """Keras' ReLU, exactly: relu(x) - relu(x - max_value) - slope * relu(-x)."""
    if threshold:
        raise Refused(f"has threshold={threshold:g}, where it jumps: train the model with threshold=0")
    if np.size(slope) > 1:
        tensor = use.build.with_last(tensor, axis)
    parts = [(f"{suffix}_above", 1, -max_value, -1)] if max_value is not None else []
    parts += [(f"{suffix}_below", -1, 0, -slope)] if np.any(slope) else []
    whole = use.put(specs.Rectifier, tensor.end, f"{suffix}_whole" if parts else suffix, order=tensor.axes)
    return add(use, [whole, *(_ramp(use, tensor, axis, *part) for part in parts)], suffix) if parts else whole


def _ramp(use, tensor, axis, suffix, scale, bias, weight):
    """weight * relu(scale * x + bias)"""
    into = affine(use, tensor, scale, bias, suffix=f"{suffix}_in")
    ramp = use.put(specs.Rectifier, into.end, suffix, order=into.axes)
    return affine(use, ramp, weight, 0, axis, f"{suffix}_out")


def clip(use, tensor, low=None, high=None, suffix=""):
    """The tensor within bounds, exactly: low + relu(x - low) - relu(x - high); a bound of None is none.

    A bound is a number, or an array that varies along one axis.
    """
    if low is None and high is None:
        return tensor
    if low is not None and high is not None and np.any(np.asarray(low) >= np.asarray(high)):
        raise Refused(f"has the bounds {low} and {high}, the first of which is not the smaller one: exchange them")
    if np.ndim(low) == np.ndim(high) == 0 and low == 0:
        return rectify(use, tensor, suffix, max_value=high)
    parts = []
    for name, bound, sign in (("low", low, 1), ("high", high, -1)):
        if bound is not None:
            direction = 1 if low is not None else -1  # without a lower bound: high - relu(high - x)
            into = constant_affine(use, tensor, direction, -direction * np.asarray(bound), suffix=f"{suffix}_{name}_in")
            ramp = use.put(specs.Rectifier, into.end, f"{suffix}_{name}", order=into.axes)
            parts.append(ramp if sign == 1 else affine(use, ramp, -1, 0, suffix=f"{suffix}_{name}_out"))
    total = parts[0] if len(parts) == 1 else add(use, parts, f"{suffix}_sum")
    return constant_affine(use, total, 1, high if low is None else low, suffix=suffix)


def clipping(low, high):
    """A reader of an operation whose bounds are the options ``low`` and ``high``."""

    def read(use):
        bounds = [use.config.get(key) for key in (low, high)]
        return clip(use, use.tensor, *(None if b is None or np.isinf(b).all() else constant(b) for b in bounds))

    return read


def extreme(sign):
    """A reader of the largest (``sign`` 1) or smallest (-1) of tensors and constants, entry by entry.

    max(x, y) = y + relu(x - y) and min(x, y) = y - relu(y - x), exactly.
    """

    def read(use):
        first, *others = sorted(use.operands, key=lambda operand: not isinstance(operand, Tensor))
        if not isinstance(first, Tensor):
            raise Refused("compares constants: put in the result")
        for i, other in enumerate(others):
            suffix = f"_{i}" if i < len(others) - 1 else ""
            if isinstance(other, Tensor):
                first = _larger(use, first, other, sign, suffix)
            else:
                first = clip(use, first, **{"low" if sign == 1 else "high": other}, suffix=suffix)
        return first

    return read


def _larger(use, x, y, sign, suffix):
    opposite = affine(use, y if sign == 1 else x, -1, 0, suffix=f"{suffix}_opposite")
    difference = add(use, [x if sign == 1 else y, opposite], f"{suffix}_difference")
    excess = use.put(specs.Rectifier, difference.end, f"{suffix}_excess", order=difference.axes)
    excess = excess if sign == 1 else affine(use, excess, -1, 0, suffix=f"{suffix}_subtracted")
    return add(use, [y, excess], suffix)


def rectifier(**fixed):
    """A reader of a layer, or an operation, that rectifies; ``fixed`` is what its configuration does not say."""
    return lambda use: rectify(use, use.tensor, **{**fixed, **_rectifier_options(use.config)})


def _rectifier_options(config):
    options = {
        "max_value": config.get("max_value"),
        "slope": config.get("negative_slope", config.get("alpha")),
        "threshold": config.get("threshold"),
    }
    return {key: float(constant(value)) for key, value in options.items() if value is not None}


def prelu(use):
    (slope,) = use.arrays("alpha")
    axes = [axis for axis, n in enumerate(slope.shape) if n > 1] or [-1]
    if len(axes) > 1:
        shared = list(range(1, slope.ndim))
        raise Refused(f"has a slope for each place: share them with shared_axes={shared}, one for each channel")
    use.config.ignore("shared_axes")
    return rectify(use, use.tensor, slope=slope.ravel(), axis=axes[0])


def softmax(use):
    use.config.ignore("axis")  # along every axis, the largest stays the largest
    return _logits(use, use.tensor)


def _logits(use, tensor):
    return dataclasses.replace(tensor, logits_of=use.name)


ACTIVATIONS = {
    "linear": {},
    "softmax": {},
    "log_softmax": {},
    "relu": {},
    "relu6": {"max_value": 6},
    "leaky_relu": {"slope": SLOPE},
}
# TensorFlow's functions that Keras 3 does not take for its own: their names, and those of the same in Keras
TENSORFLOW_NAMES = {"softmax_v2": "softmax", "log_softmax_v2": "log_softmax", "identity": "linear"}


def activate(use, tensor):
    """The activation of a layer that has one as its argument, applied to what the layer made."""
    name, options = activation_of(use)
    if name == "linear":
        return tensor
    if name.endswith("softmax"):
        return _logits(use, tensor)
    # a layer that is nothing but its activation gives it its own name
    return rectify(use, tensor, "" if tensor is use.operands[0] else f"_{name}", **options)


def activation_of(use):
    """(name, options of the rectifier); Refused where it is none of ``ACTIVATIONS``."""
    value = use.config["activation"]
    if isinstance(value, dict) and is_own_class(value):
        raise Refused(f"has an activation of your own, {value.get('class_name')!r}: use 'relu'")
    if isinstance(value, dict) and value.get("class_name") in ("LeakyReLU", "ReLU"):
        return "relu", _rectifier_options(Options(value["config"]))
    is_function = isinstance(value, dict) and isinstance(value.get("config"), str)
    if isinstance(value, dict):
        value = value["config"] if is_function else value.get("class_name", "of your own")
    name = "linear" if value is None else str(value)
    owner = getattr(use.activation, "__module__", None) or ""
    if owner.partition(".")[0] not in ("", *LIBRARIES) or (is_function and use.activation is None):
        # a file has its name only; the function itself may be one that can be read, such as tf.nn.softmax
        of_module = f" of {owner}: use 'relu'"
        of_file = ": use 'relu', or load the file in Keras with custom_objects, and pass the model"
        raise Refused(f"has an activation of your own, {name!r}{of_module if owner else of_file}")
    if is_function and owner.startswith("tensorflow."):
        name = TENSORFLOW_NAMES.get(name, name)
    if name not in ACTIVATIONS:
        raise Refused(advice_on_activation(name, use.role))
    return name, ACTIVATIONS[name]
