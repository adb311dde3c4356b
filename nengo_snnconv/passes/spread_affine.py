"""spread_affine: scales and shifts moved to places where they can be folded into weights."""

from __future__ import annotations

import dataclasses

import numpy as np

from ..model import Model
from ..model import layers as specs
from .fold_affine import scales_levels
from .rewiring import free_name, without

WEIGHTED = (specs.Conv, specs.Dense)


def spread_affine(model: Model) -> Model:
    """Move thresholds of rectifiers with levels from sums to their inputs, and to each of several readers.

    Given    y = Affine(Add(a, b)), where no other layer reads the sum.
    Result   y = Add(Affine(a), Affine(b)), the first of which has the shift.

    Given    an Affine layer that several layers read, among them convolutions or dense layers.
    Result   one Affine layer for each reader.
    """
    for name in [name for name, layer in model.layers.items() if isinstance(layer, specs.Affine)]:
        if not scales_levels(model, name):
            continue
        before = model.layers[model.layers[name].inputs[0]]
        if isinstance(before, specs.Add) and len(model.consumers(before.name)) == 1 and model.output != before.name:
            model = _moved_to_inputs(model, name, before)
        elif len(model.consumers(name)) > 1 and any(isinstance(r, WEIGHTED) for r in model.consumers(name)):
            model = _copied_for_readers(model, name)
    return model


def _moved_to_inputs(model, name, total):
    """Return the model with the Affine layer ``name`` at each input of the sum ``total`` before it."""
    scale, shift = model.arrays[f"{name}/scale"], model.arrays[f"{name}/bias"]
    copies = [
        specs.Affine(free_name(f"{name}_{number}", model.layers), (source,))
        for number, source in enumerate(total.inputs, start=1)
    ]
    arrays = {f"{copy.name}/scale": scale for copy in copies}
    arrays |= {f"{copy.name}/bias": np.zeros_like(shift) for copy in copies} | {f"{copies[0].name}/bias": shift}
    layers = []
    for layer in model.layers.values():
        if layer is total:
            layers += copies
            layer = dataclasses.replace(layer, inputs=tuple(copy.name for copy in copies))
        layers.append(layer)
    return without(model, {name: total.name}, f"moved to the inputs of {total.name}", layers=layers, arrays=arrays)


def _copied_for_readers(model, name):
    """Return the model with a copy of the Affine layer ``name`` for each of its readers but the first."""
    layers, arrays, first = [], {}, True
    source = model.layers[name].inputs
    for layer in model.layers.values():
        if name in layer.inputs and not first:
            copy = specs.Affine(free_name(f"{name}_{layer.name}", model.layers), source)
            arrays |= {f"{copy.name}/{key}": model.arrays[f"{name}/{key}"] for key in ("scale", "bias")}
            layers.append(copy)
            layer = dataclasses.replace(layer, inputs=tuple(copy.name if i == name else i for i in layer.inputs))
        elif name in layer.inputs:
            first = False
        layers.append(layer)
    return type(model)(layers, {**model.arrays, **arrays}, model.output, model.metadata)
