"""Readers of layers that scale and shift: BatchNormalization, Normalization, Rescaling and LayerScale."""

import numpy as np

from ....model import layers as specs
from ...shared.arithmetic import check_variance
from ...shared.refusals import UnsupportedLayer
from ..config_entries import constant
from .arithmetic import affine

EPSILON = 1e-7  # keras.backend.epsilon()


def batch_normalization(call):
    """Read BatchNormalization at inference: gamma * (x - mean) / sqrt(variance + epsilon) + beta."""
    options = call.options
    if options.get("renorm"):
        raise UnsupportedLayer("has renorm=True: leave it out, and train again")
    options.ignore("renorm_momentum", "renorm_clipping", "synchronized")
    fields = {name: options[name] for name in ("epsilon", "momentum", "scale", "center")}
    names = ["gamma"] * fields["scale"] + ["beta"] * fields["center"] + ["mean", "variance"]
    arrays = call.arrays(*names)
    check_variance(arrays[-1], fields["epsilon"])
    tensor = call.builder.with_axis_last(call.tensor, _single_axis(call))
    return call.add_spec(specs.BatchNormalization, tensor.spec, order=tensor.axes, arrays=arrays, **fields)


def normalization(call):
    """Read Normalization: (x - mean) / sqrt(variance), or its inverse."""
    options = call.options
    if options["mean"] is None:
        mean, variance, _ = call.arrays("mean", "variance", "count")
    else:
        mean, variance = constant(options["mean"]), constant(options["variance"])
    deviation = np.maximum(np.sqrt(np.asarray(variance, float).ravel()), EPSILON)
    mean = np.asarray(mean, float).ravel()
    scale, bias = (deviation, mean) if options["invert"] else (1 / deviation, -mean / deviation)
    return affine(call, call.tensor, scale, bias, _single_axis(call))


def _single_axis(call):
    """Return the axis of a normalization; the last one if all axes share one mean and variance."""
    axis = call.options["axis"]
    axes = [axis] if isinstance(axis, int) else list(axis or [-1])
    if len(axes) > 1:
        raise UnsupportedLayer(f"normalizes along the axes {axes}: use one axis")
    return call.axis_without_batch(axes[0])


def rescaling(call):
    """Read Rescaling: scale * x + offset."""
    return affine(call, call.tensor, constant(call.options["scale"]), constant(call.options["offset"]))


def layer_scale(call):
    """Read LayerScale of ConvNeXt, a factor for each channel."""
    call.options.ignore("init_values", "projection_dim")
    return affine(call, call.tensor, *call.arrays("gamma"), 0)
