"""rectify_sums_before_max: maxima are taken over neurons, where they were taken over sums."""

import dataclasses

import numpy as np

from ..model import layers as specs
from .rewiring import metadata_for


def rectify_sums_before_max(model, floors):
    """Put neurons before maxima.

    Given    y = MaxPool(x), and for each channel a floor m that y does not fall below.
    Result   y = MaxPool(Rectifier(x - m)) + m, which is the same wherever y is at least m.
             ``metadata["neurons before maxima"]`` names the neurons of each maximum.

    Parameters
    ----------
    model : Model
    floors : dict of str to ndarray, (channels,)
        For each maximum that is to have neurons.  Where they are zero, nothing is shifted.

    Returns
    -------
    Model
    """
    layers, arrays, heirs, added = [], dict(model.arrays), {}, {}

    def add(cls, name, source, shift=None):
        while name in model.layers:
            name += "_"
        layers.append(cls(name, (source,)))
        if shift is not None:
            arrays[f"{name}/scale"], arrays[f"{name}/bias"] = np.ones_like(shift), shift
        return name

    for layer in model.layers.values():
        layer = dataclasses.replace(layer, inputs=tuple(heirs.get(name, name) for name in layer.inputs))
        if layer.name not in floors:
            layers.append(layer)
            continue
        floor, source = np.asarray(floors[layer.name]), layer.inputs[0]
        if floor.any():
            source = add(specs.Affine, f"{layer.name}_above", source, -floor)
        added[layer.name] = source = add(specs.Rectifier, f"{layer.name}_neurons", source)
        layers.append(dataclasses.replace(layer, inputs=(source,)))
        if floor.any():
            heirs[layer.name] = add(specs.Affine, f"{layer.name}_back", layer.name, floor)
    output = heirs.get(model.output, model.output)
    metadata = metadata_for(model, output)
    if added:
        metadata["neurons before maxima"] = added
    return type(model)(layers, arrays, output, metadata)
