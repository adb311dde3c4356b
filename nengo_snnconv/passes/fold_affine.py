"""fold_affine: batch normalisation and other scales and shifts go into the weights beside them."""

import dataclasses

import numpy as np

from ..model import layers as specs
from .rewiring import without


def fold_affine(model):
    """Fold scales and shifts into neighbours.

    Given    y = Affine(Conv(x)), with nothing else that reads the convolution, or Conv(Affine(x)); Dense alike.
    Result   one Conv with kernel W * scale and bias b * scale + shift, or W * scale and b + sum of W * shift.

    A shift is not folded into a convolution behind it whose padding adds zeros, because those are not shifted.
    What cannot be folded stays, and is exact all the same.
    """
    for name in [name for name, layer in model.layers.items() if isinstance(layer, specs.Affine)]:
        model = _fold_back(model, name) or _fold_forward(model, name) or model
    return model


def _fold_back(model, name):
    """The model with the Affine layer ``name`` folded into the layer before it, or None."""
    before = model.layers[model.layers[name].inputs[0]]
    if not isinstance(before, specs.Conv | specs.Dense | specs.Affine):
        return None
    if len(model.consumers(before.name)) > 1 or model.output == before.name:
        return None
    scale, shift = (np.asarray(model.arrays[f"{name}/{array}"], np.float64) for array in ("scale", "bias"))
    weights = "scale" if isinstance(before, specs.Affine) else "kernel"
    bias = np.asarray(model.arrays.get(f"{before.name}/bias", 0), np.float64) * scale + shift
    arrays = {f"{before.name}/{weights}": model.arrays[f"{before.name}/{weights}"] * scale}
    return _folded(model, name, before, arrays, bias, "back")


def _fold_forward(model, name):
    """The model with the Affine layer ``name`` folded into the layer behind it, or None."""
    consumers = model.consumers(name)
    if len(consumers) != 1 or model.output == name or not isinstance(consumers[0], specs.Conv | specs.Dense):
        return None
    after = consumers[0]
    scale, shift = (np.asarray(model.arrays[f"{name}/{array}"], np.float64) for array in ("scale", "bias"))
    if isinstance(after, specs.Conv) and after.padding == "same" and shift.any():
        return None
    kernel = np.asarray(model.arrays[f"{after.name}/kernel"], np.float64)
    if isinstance(after, specs.Conv) and after.groups > 1:
        # the kernel's entries of a filter belong to the channels of the filter's group
        per_group = after.filters // after.groups
        scale, shift = (np.repeat(v.reshape(after.groups, -1).T, per_group, axis=1) for v in (scale, shift))
    else:
        scale, shift = scale[:, None], shift[:, None]
    bias = np.asarray(model.arrays.get(f"{after.name}/bias", 0), np.float64)
    bias = bias + (kernel * shift).reshape(-1, kernel.shape[-1]).sum(0)
    return _folded(model, name, after, {f"{after.name}/kernel": kernel * scale}, bias, "forward")


def _folded(model, name, into, arrays, bias, direction):
    """The model without the Affine layer ``name``, with new weights and bias in the layer ``into``."""
    layers = list(model.layers.values())
    if isinstance(into, specs.Affine) or bias.any() or into.use_bias:
        arrays[f"{into.name}/bias"] = bias
    if not isinstance(into, specs.Affine) and not into.use_bias and bias.any():
        layers[layers.index(into)] = dataclasses.replace(into, use_bias=True)
    heirs, remark = {name: model.layers[name].inputs[0]}, f"folded {direction} into {into.name}"
    return without(model, heirs, remark, layers=layers, arrays=arrays, absorbed_by=into.name)
