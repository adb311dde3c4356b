"""quantize: activations rounded to a few levels, as neurons signal them in a few steps."""

from __future__ import annotations

import dataclasses

from ..model import Model
from ..model import layers as specs


def quantize(model: Model, levels: int) -> Model:
    """Round the activations of all rectifiers to multiples of 1 / levels, up to 1.

    Given    any model, usually normalized, so that activations are at most 1.
    Result   the same layers and arrays, with ``levels`` in each rectifier: y = clip(floor(x levels + 1/2) / levels, 0,
             1).  Spiking networks with ``stage_steps=levels`` compute this model.
    """
    layers = [
        dataclasses.replace(layer, levels=levels) if isinstance(layer, specs.Rectifier) else layer
        for layer in model.layers.values()
    ]
    return type(model)(layers, model.arrays, model.output, model.metadata)
