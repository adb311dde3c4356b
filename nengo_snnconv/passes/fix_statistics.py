"""fix_statistics: batch normalization as the scale and shift that it is after training."""

from __future__ import annotations

import numpy as np

from ..model import Model
from ..model import layers as specs


def fix_statistics(model: Model) -> Model:
    """Replace batch normalization by a scale and a shift.

    Given    y = BatchNormalization(x), with moving averages of mean and variance.
    Result   y = Affine(x) of the same name: scale = gamma / sqrt(variance + epsilon), bias = beta - mean * scale.
    """
    normalizations = [each for each in model.layers.values() if isinstance(each, specs.BatchNormalization)]
    if not normalizations:
        return model
    layers, arrays = dict(model.layers), dict(model.arrays)
    for layer in normalizations:
        of_layer = {key: np.asarray(array, np.float64) for key, array in model.arrays_of(layer.name).items()}
        scale = of_layer.get("gamma", 1) / np.sqrt(of_layer["variance"] + layer.epsilon)
        layers[layer.name] = specs.Affine(layer.name, layer.inputs)
        arrays = {key: array for key, array in arrays.items() if key not in model.array_names(layer.name)}
        arrays[f"{layer.name}/scale"] = scale
        arrays[f"{layer.name}/bias"] = of_layer.get("beta", 0) - of_layer["mean"] * scale
    return type(model)(layers.values(), arrays, model.output, model.metadata)
