"""rectify_before_max: maxima of rectified values, which neurons can signal with spikes."""

from __future__ import annotations

import dataclasses

from ..model import Model
from ..model import layers as specs
from .rewiring import metadata_for


def rectify_before_max(model: Model) -> Model:
    """Exchange maxima and rectifiers.

    Given    y = Rectifier(MaxPool(x)), where no other layer reads the maximum.
    Result   y = MaxPool(Rectifier(x)), which is equal, since max(x, 0) is monotonic; the maximum then compares spikes
             of neurons instead of currents.
    """
    layers = list(model.layers.values())
    swapped = {}  # rectifier: maximum
    for position, layer in enumerate(layers):
        if not isinstance(layer, specs.Rectifier):
            continue
        pool = model.layers[layer.inputs[0]]
        is_max = isinstance(pool, specs.MaxPool | specs.GlobalMaxPool)
        if is_max and len(model.consumers(pool.name)) == 1 and model.output != pool.name:
            pool_position = next(i for i, other in enumerate(layers) if other.name == pool.name)
            layers[pool_position] = dataclasses.replace(layer, inputs=pool.inputs)
            layers[position] = dataclasses.replace(pool, inputs=(layer.name,))
            swapped[layer.name] = pool.name
    if not swapped:
        return model

    def rewired(layer):
        """Return the layer with maxima as inputs in place of the rectifiers before which they were."""
        if layer.name in swapped.values():
            return layer
        return dataclasses.replace(layer, inputs=tuple(swapped.get(name, name) for name in layer.inputs))

    output = swapped.get(model.output, model.output)
    metadata = metadata_for(model, output)
    if "reading" in metadata:
        metadata["reading"] = [_updated(row, swapped) for row in metadata["reading"]]
    return type(model)(map(rewired, layers), model.arrays, output, metadata)


def _updated(row, swapped):
    """Return a row of the reading report with the rectifier before the maximum."""
    became = row["became"]
    if became and became[-1] in swapped:
        return {**row, "became": [*became, swapped[became[-1]]]}
    if became and became[-1] in swapped.values():
        remark = "taken after the rectifier, which is equivalent"
        return {**row, "remark": "; ".join(filter(None, [row["remark"], remark]))}
    return row
