"""untie_shortcuts: scales on the shortcuts of residual blocks, so that the layers they join need not share one."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

import numpy as np

from ..model import Model
from ..model import layers as specs
from .rewiring import free_name

WEIGHTED = (specs.Conv, specs.Dense, specs.Affine)


def untie_shortcuts(model: Model) -> Model:
    """Scale the inputs of sums that have no weights of their own.

    Given    a sum, one of whose inputs is not a layer with weights that only the sum reads: an identity shortcut.
    Result   a scale of 1 for each channel in between, which :func:`rescale` can change.  Without it, the layer at the
             beginning of the shortcut and the sum would need the same scale.
    """
    shortcuts = [
        (source, layer.name)
        for layer in model.layers.values()
        if isinstance(layer, specs.Add)
        for source in dict.fromkeys(layer.inputs)
        if not isinstance(model.layers[source], WEIGHTED) or len(model.consumers(source)) > 1
    ]
    return insert_scales(model, shortcuts)


def insert_scales(model: Model, edges: Collection[tuple[str, str]]) -> Model:
    """Return the model with a scale of 1 for each channel between layers.

    Parameters
    ----------
    model : Model
    edges : collection of (str, str)
        Pairs of a layer and one that reads it.  Readers of the same layer share the scale, unless they are sums.

    Returns
    -------
    Model
        Model with Affine layers that are named after the layer they scale.
    """
    layers: list[specs.Layer] = []
    arrays = dict(model.arrays)
    names: dict[tuple[str, str], str] = {}
    for layer in model.layers.values():
        inputs = []
        for source in layer.inputs:
            if (source, layer.name) not in edges:
                inputs.append(source)
                continue
            edge = (source, layer.name if isinstance(layer, specs.Add) else "")
            if edge not in names:
                names[edge] = free_name(f"{source}_scaled", {*model.layers, *names.values()})
                layers.append(specs.Affine(names[edge], (source,)))
                channels = model.shapes[source][-1]
                arrays |= {f"{names[edge]}/scale": np.ones(channels), f"{names[edge]}/bias": np.zeros(channels)}
            inputs.append(names[edge])
        layers.append(dataclasses.replace(layer, inputs=tuple(inputs)))
    return model if not names else type(model)(layers, arrays, model.output, model.metadata)
