"""drop_dropout: removal of dropout layers."""

from __future__ import annotations

from ..model import Model
from ..model import layers as specs
from .rewiring import without


def drop_dropout(model: Model) -> Model:
    """Remove dropout.

    Given    a model with Dropout layers.
    Result   the same model without them.
    """
    dropouts = {name: layer.inputs[0] for name, layer in model.layers.items() if isinstance(layer, specs.Dropout)}
    return without(model, dropouts, "does nothing after training")
