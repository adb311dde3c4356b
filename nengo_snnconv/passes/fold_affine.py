"""fold_affine: folding of batch normalization and other scales and shifts into neighboring weights."""

from __future__ import annotations

import dataclasses

import numpy as np

from ..model import Model
from ..model import layers as specs
from .rewiring import without

MEANS = (specs.AveragePool, specs.GlobalAveragePool)
MAXIMA = (specs.MaxPool, specs.GlobalMaxPool)


def fold_affine(model: Model) -> Model:
    """Fold scales and shifts into neighboring layers.

    Given    y = Affine(Conv(x)), where no other layer reads the convolution, or y = Conv(Affine(x)); likewise Dense.
    Result   one Conv with kernel W * scale and bias b * scale + shift, or W * scale and b + sum of W * shift.

    Pooling layers in between are passed: means always, and maxima if all scales are positive, since the largest value
    stays the largest; on the way to a following layer, only by thresholds of rectifiers with levels, also past Flatten.
    A shift is not folded into a following convolution with zero padding, since the padded zeros are not shifted.
    Affine layers that cannot be folded are kept.
    """
    for name in [name for name, layer in model.layers.items() if isinstance(layer, specs.Affine)]:
        model = _fold_back(model, name) or _fold_forward(model, name) or model
    return model


def _fold_back(model, name):
    """Return the model with the Affine layer ``name`` folded into the layer before it, or None if impossible."""
    scale, shift = (np.asarray(model.arrays[f"{name}/{array}"], np.float64) for array in ("scale", "bias"))
    pools = MEANS + (MAXIMA if (scale > 0).all() else ())
    before = model.layers[model.layers[name].inputs[0]]
    while isinstance(before, pools) and _only_one_reads(model, before):
        before = model.layers[before.inputs[0]]
    if not isinstance(before, specs.Conv | specs.Dense | specs.Affine) or not _only_one_reads(model, before):
        return None
    weights = "scale" if isinstance(before, specs.Affine) else "kernel"
    bias = np.asarray(model.arrays.get(f"{before.name}/bias", 0), np.float64) * scale + shift
    arrays = {f"{before.name}/{weights}": model.arrays[f"{before.name}/{weights}"] * scale}
    return _folded(model, name, before, arrays, bias, "back")


def _only_one_reads(model, layer):
    """Return whether exactly one layer reads the output of a layer, and the model's user does not."""
    return len(model.consumers(layer.name)) == 1 and model.output != layer.name


def _fold_forward(model, name):
    """Return the model with the Affine layer ``name`` folded into the layer after it, or None if impossible."""
    scale, shift = (np.asarray(model.arrays[f"{name}/{array}"], np.float64) for array in ("scale", "bias"))
    passed = (specs.Flatten, *MEANS, *(MAXIMA if (scale > 0).all() else ())) if scales_levels(model, name) else ()
    after = model.layers[name]
    while after.name == name or isinstance(after, passed):
        if not _only_one_reads(model, after):
            return None
        if isinstance(after, specs.Flatten):
            repeats = model.size(after.name) // len(scale)
            scale, shift = np.tile(scale, repeats), np.tile(shift, repeats)
        (after,) = model.consumers(after.name)
    if not isinstance(after, specs.Conv | specs.Dense):
        return None
    if isinstance(after, specs.Conv) and after.padding == "same" and shift.any():
        return None
    kernel = np.asarray(model.arrays[f"{after.name}/kernel"], np.float64)
    if isinstance(after, specs.Conv) and after.groups > 1:
        # a filter reads only the channels of its group
        per_group = after.filters // after.groups
        scale, shift = (np.repeat(v.reshape(after.groups, -1).T, per_group, axis=1) for v in (scale, shift))
    else:
        scale, shift = scale[:, None], shift[:, None]
    bias = np.asarray(model.arrays.get(f"{after.name}/bias", 0), np.float64)
    bias = bias + (kernel * shift).reshape(-1, kernel.shape[-1]).sum(0)
    return _folded(model, name, after, {f"{after.name}/kernel": kernel * scale}, bias, "forward")


def scales_levels(model: Model, name: str) -> bool:
    """Return whether an Affine layer is the threshold of a rectifier with levels, before or behind it.

    Layers around it may then have other scales than in the original model.
    """
    neighbors = [model.layers[model.layers[name].inputs[0]], *model.consumers(name)]
    return any(isinstance(layer, specs.Rectifier) and layer.levels is not None for layer in neighbors)


def _folded(model, name, into, arrays, bias, direction):
    """Return the model without the Affine layer ``name`` and with new weights and bias in the layer ``into``."""
    layers = list(model.layers.values())
    if isinstance(into, specs.Affine) or bias.any() or into.use_bias:
        arrays[f"{into.name}/bias"] = bias
    if not isinstance(into, specs.Affine) and not into.use_bias and bias.any():
        layers[layers.index(into)] = dataclasses.replace(into, use_bias=True)
    replacements, remark = {name: model.layers[name].inputs[0]}, f"folded {direction} into {into.name}"
    return without(model, replacements, remark, layers=layers, arrays=arrays, absorbed_by=into.name)
