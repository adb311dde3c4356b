"""Readers of rectifiers, clipping, maxima, softmax and sigmoid, and of the activation that a layer has as an argument.

All but softmax and sigmoid, which are left out, are made of rectifiers, exactly: "relu" is max(x, 0) in docstrings.
"""

import dataclasses

import numpy as np

from ....model import layers as specs
from ...shared.arithmetic import affine
from ...shared.left_out import LeftOut
from ...shared.rectifiers import clip, extremum_of_two, rectify
from ...shared.refusals import UnsupportedLayer
from ...shared.spec_builder import Tensor
from ..config_entries import constant, is_custom_class
from ..layer_call import LayerOptions
from ..live_layers import LIBRARIES
from ..unsupported import activation_advice

DEFAULT_SLOPE = 0.2  # of leaky_relu in TensorFlow and Keras 3

# ---- rectifiers


def rectifier(**defaults):
    """Return a reader of a rectifier; ``defaults`` are the values of options that are not in the configuration."""
    return lambda call: rectify(call, call.tensor, **{**defaults, **_rectifier_options(call.options)})


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
    return rectify(call, call.tensor, slope=slope.ravel(), axis=axes[0])


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


# ---- clipping, maxima and minima


def clipping(low, high):
    """Return a reader of an operation whose bounds are the options ``low`` and ``high``."""

    def read(call):
        bounds = [call.options.get(key) for key in (low, high)]
        return clip(call, call.tensor, *(None if b is None or np.isinf(b).all() else constant(b) for b in bounds))

    return read


def extremum(sign):
    """Return a reader of the maximum (``sign`` 1) or minimum (-1) of tensors and constants, entry by entry."""

    def read(call):
        result, *others = sorted(call.operands, key=lambda operand: not isinstance(operand, Tensor))
        if not isinstance(result, Tensor):
            raise UnsupportedLayer("compares constants: replace it by the result")
        for i, other in enumerate(others):
            suffix = f"_{i}" if i < len(others) - 1 else ""
            if isinstance(other, Tensor):
                result = extremum_of_two(call, result, other, sign, suffix)
            else:
                result = clip(call, result, **{"low" if sign == 1 else "high": other}, suffix=suffix)
        return result

    return read


# ---- softmax and sigmoid


def softmax(call):
    """Read a softmax by leaving it out."""
    call.options.ignore("axis")  # the largest entry stays the largest along any axis
    return _as_logits(call, call.tensor, "softmax")


def sigmoid(call):
    """Read a sigmoid at the end of the model by leaving it out."""
    return _as_logits(call, call.tensor, "sigmoid")


def _as_logits(call, tensor, function):
    return dataclasses.replace(tensor, left_out=LeftOut(call.name, function))


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
# activations that are left out at the end of a model
LEFT_OUT = {"softmax": "softmax", "log_softmax": "softmax", "sigmoid": "sigmoid"}
# names of TensorFlow functions that Keras 3 does not replace by its own -> names in Keras
TENSORFLOW_NAMES = {"softmax_v2": "softmax", "log_softmax_v2": "log_softmax", "identity": "linear"}


def with_activation(read):
    """Return a reader of a layer with the argument ``activation``, whose output before the activation is ``read``."""
    return lambda call: _activate(call, read(call))


def _activate(call, tensor):
    name, options = read_activation(call)
    if name == "linear":
        return tensor
    if name in LEFT_OUT:
        return _as_logits(call, tensor, LEFT_OUT[name])
    # the spec of a layer that consists of its activation has the name of the layer
    return rectify(call, tensor, "" if tensor is call.operands[0] else f"_{name}", **options)


def read_activation(call):
    """Return the activation of a layer as (name in ``ACTIVATIONS`` or ``LEFT_OUT``, options of the rectifier)."""
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
    if name not in ACTIVATIONS and not (name in LEFT_OUT and call.role == "output"):
        raise UnsupportedLayer(activation_advice(name, call.role))
    return name, ACTIVATIONS.get(name, {})
