"""rectify_sums_before_max: neurons in front of maxima that read sums."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from ..model import Model
from ..model import layers as specs
from .rewiring import metadata_for


def rectify_sums_before_max(model: Model, floors: Mapping[str, np.ndarray]) -> Model:
    """Insert neurons before maxima.

    Given    y = MaxPool(x), and for each channel a lower bound m of y.
    Result   y = MaxPool(Rectifier(x - m)) + m, which is equal as long as y is at least m.
             ``metadata["neurons before maxima"]`` names the neurons of each maximum.

    Parameters
    ----------
    model : Model
    floors : dict of str to ndarray, (channels,)
        Lower bounds for each maximum that gets neurons.  No shift is inserted if they are all zero.

    Returns
    -------
    Model
    """
    layers: list[specs.Layer] = []
    arrays = dict(model.arrays)
    replacements: dict[str, str] = {}
    added: dict[str, str] = {}

    def add(cls, name, source, shift=None):
        while name in model.layers:
            name += "_"
        layers.append(cls(name, (source,)))
        if shift is not None:
            arrays[f"{name}/scale"], arrays[f"{name}/bias"] = np.ones_like(shift), shift
        return name

    for layer in model.layers.values():
        layer = dataclasses.replace(layer, inputs=tuple(replacements.get(name, name) for name in layer.inputs))
        if layer.name not in floors:
            layers.append(layer)
            continue
        floor, source = np.asarray(floors[layer.name]), layer.inputs[0]
        if floor.any():
            source = add(specs.Affine, f"{layer.name}_above", source, -floor)
        added[layer.name] = source = add(specs.Rectifier, f"{layer.name}_neurons", source)
        layers.append(dataclasses.replace(layer, inputs=(source,)))
        if floor.any():
            replacements[layer.name] = add(specs.Affine, f"{layer.name}_back", layer.name, floor)
    output = replacements.get(model.output, model.output)
    metadata = metadata_for(model, output)
    if added:
        metadata["neurons before maxima"] = added
    return type(model)(layers, arrays, output, metadata)
