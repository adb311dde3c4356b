"""Readers of layers that only move entries: Flatten, Reshape, Permute, Concatenate, padding, cropping, upsampling."""

import math

from ....model import layers as specs
from ...shared.refusals import UnsupportedLayer
from ...shared.spec_builder import Tensor
from .axes import add_spatial_spec, channels_last_order, per_axis


def flatten(call):
    """Read Flatten; Keras flattens a channels-first image as if it were channels-last."""
    return call.add_spec(specs.Flatten, call.builder.spec_in_order(call.tensor, channels_last_order(call)))


def reshape(call):
    """Read Reshape."""
    shape = tuple(call.options["target_shape"])
    if -1 in shape:
        n_known = math.prod(n for n in shape if n != -1)
        shape = tuple(math.prod(call.shape) // n_known if n == -1 else n for n in shape)
    return call.add_spec(specs.Reshape, call.builder.spec_in_order(call.tensor), shape=shape)


def permute(call):
    """Read Permute."""
    order = [axis - 1 for axis in call.options["dims"]]
    spec = call.builder.spec_in_order(call.tensor, order, call.name)
    return Tensor(spec, tuple(range(len(order))))


def repeat_vector(call):
    """Read RepeatVector."""
    row = call.add_spec(specs.Reshape, call.builder.spec_in_order(call.tensor), "_row", shape=(1, *call.shape))
    return call.add_spec(specs.Upsample, row.spec, size=(call.options["n"], 1))


def concatenate(call):
    """Read Concatenate."""
    if not all(isinstance(operand, Tensor) for operand in call.operands):
        raise UnsupportedLayer("joins a constant: join tensors only")
    axis = call.axis_without_batch(call.options["axis"], len(call.operands[0].axes))
    if len(call.operands) == 1:
        return call.tensor
    inputs, order = call.builder.in_common_order(call.operands)
    return call.add_spec(specs.Concatenate, inputs, order=order, axis=order[axis])


def zero_padding(call):
    """Read ZeroPadding1D, 2D or 3D."""
    before, after = _sides(call, "padding")
    return add_spatial_spec(call, call.tensor, specs.Pad, before=before, after=after)


def cropping(call):
    """Read Cropping1D, 2D or 3D, which is padding with a negative number of zeros."""
    before, after = ([-n for n in side] for side in _sides(call, "cropping"))
    return add_spatial_spec(call, call.tensor, specs.Pad, before=before, after=after)


def _sides(call, key):
    """Return an option as (numbers before, numbers after) the spatial axes; a plain pair is that of a single axis."""
    pairs = call.options[key]
    pairs = [pairs] if isinstance(pairs[0], int) else pairs
    return zip(*pairs, strict=True)


def center_crop(call):
    """Read CenterCrop of images that are at least as large as its target."""
    order = channels_last_order(call)[:2]
    before, after = [], []
    for axis, size in zip(order, (call.options["height"], call.options["width"]), strict=True):
        surplus = call.shape[axis] - size
        if surplus < 0:
            raise UnsupportedLayer(
                "resizes images that are smaller than its target: resize them before they enter the model"
            )
        before.append(-(surplus // 2))
        after.append(surplus // 2 - surplus)
    return add_spatial_spec(call, call.tensor, specs.Pad, before=before, after=after)


def upsampling(call):
    """Read UpSampling1D, 2D or 3D."""
    interpolation = call.options.get("interpolation", "nearest")
    if interpolation != "nearest":
        raise UnsupportedLayer(f"has interpolation={interpolation!r}: use 'nearest', which only repeats entries")
    size = per_axis(call.options["size"], len(call.tensor.axes) - 1)
    return add_spatial_spec(call, call.tensor, specs.Upsample, channel_value=1, size=size)
