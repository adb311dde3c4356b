"""rectify_before_max: maxima are taken over rectified values, which neurons can signal."""

import dataclasses

from ..model import layers as specs
from .rewiring import metadata_for


def rectify_before_max(model):
    """Exchange maxima and rectifiers.

    Given    y = Rectifier(MaxPool(x)), with nothing else that reads the maximum.
    Result   y = MaxPool(Rectifier(x)): max(x, 0) grows with x, so both are equal, but what is compared are then the
             spikes of neurons instead of currents.
    """
    layers = list(model.layers.values())
    swapped = {}  # rectifier: maximum
    for position, layer in enumerate(layers):
        if not isinstance(layer, specs.Rectifier):
            continue
        pool = model.layers[layer.inputs[0]]
        is_max = isinstance(pool, specs.MaxPool | specs.GlobalMaxPool)
        if is_max and len(model.consumers(pool.name)) == 1 and model.output != pool.name:
            place = next(i for i, other in enumerate(layers) if other.name == pool.name)
            layers[place] = dataclasses.replace(layer, inputs=pool.inputs)
            layers[position] = dataclasses.replace(pool, inputs=(layer.name,))
            swapped[layer.name] = pool.name
    if not swapped:
        return model

    def reading(layer):
        """The layer, reading the maximum where it read the rectifier."""
        if layer.name in swapped.values():
            return layer
        return dataclasses.replace(layer, inputs=tuple(swapped.get(name, name) for name in layer.inputs))

    output = swapped.get(model.output, model.output)
    metadata = metadata_for(model, output)
    if "reading" in metadata:
        metadata["reading"] = [_updated(row, swapped) for row in metadata["reading"]]
    return type(model)(map(reading, layers), model.arrays, output, metadata)


def _updated(row, swapped):
    """A row of the reading report, where what became of a layer has changed places."""
    became = row["became"]
    if became and became[-1] in swapped:
        return {**row, "became": [*became, swapped[became[-1]]]}
    if became and became[-1] in swapped.values():
        remark = "taken after the rectifier, which is the same"
        return {**row, "remark": "; ".join(filter(None, [row["remark"], remark]))}
    return row
