"""split_rectifiers: each rectifier replaced by several that share its input."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from ..model import Model
from ..model import layers as specs
from .rewiring import free_name


def split_rectifiers(model: Model, parts: Mapping[str, int]) -> Model:
    """Replace each rectifier of some layers by several.

    Given    y = max(x, 0) and a number n of parts.
    Result   n rectifiers y_i = max(x / n, 0) beside each other on the channel axis, and y = sum of y_i in the layers
             that read y.  Convolutions and dense layers around the rectifiers get wider; where others are next to them,
             a dense layer divides x or adds y_i.

    Parameters
    ----------
    model : Model
    parts : dict of str to int
        Number of parts by the name of the rectifier, which is not the output of the model.

    Returns
    -------
    Model
        Model with ``parts`` times as many channels in these rectifiers: parts of a channel are adjacent.
    """
    for name, n in parts.items():
        model = _split(model, name, n)
    return model


def _split(model, name, n):
    rectifier = model.layers[name]
    source, channels = model.layers[rectifier.inputs[0]], model.shapes[name][-1]
    layers, arrays, ann_arrays = dict(model.layers), dict(model.arrays), dict(model.ann_arrays)

    def change(key, function):
        """Change an array, and that of the ANN if it is another one."""
        for kept in (arrays, ann_arrays):
            if key in kept:
                kept[key] = function(kept[key])

    def add(after, name, inputs, kernel):
        """Insert a dense layer without biases after a layer, and return its name."""
        name = free_name(name, layers)
        arrays[f"{name}/kernel"] = kernel
        added = specs.Dense(name, inputs, units=kernel.shape[1], use_bias=False)
        place = list(layers).index(after) + 1
        items = [*layers.items()]
        layers.clear()
        layers.update([*items[:place], (name, added), *items[place:]])
        return name

    divide = np.repeat(np.eye(channels), n, axis=1) / n
    if isinstance(source, specs.Conv | specs.Dense) and len(model.consumers(source.name)) == 1:
        size = "filters" if isinstance(source, specs.Conv) else "units"
        layers[source.name] = dataclasses.replace(source, **{size: n * channels})
        for key in model.array_names(source.name):
            change(key, lambda array: np.repeat(array, n, axis=-1) / n)
    else:
        divided = add(source.name, f"{name}_divided", (source.name,), divide)
        layers[name] = dataclasses.replace(rectifier, inputs=(divided,))
    total = None
    for reader in model.consumers(name):
        if isinstance(reader, specs.Dense) or (isinstance(reader, specs.Conv) and reader.groups == 1):
            change(f"{reader.name}/kernel", lambda array: np.repeat(array, n, axis=-2))
            continue
        total = total or add(name, f"{name}_sum", (name,), n * divide.T)
        inputs = tuple(total if each == name else each for each in reader.inputs)
        layers[reader.name] = dataclasses.replace(reader, inputs=inputs)
    metadata = dict(model.metadata)
    if name in metadata.get("scales", {}):
        scales = np.broadcast_to(metadata["scales"][name], (channels,))
        metadata["scales"] = {**metadata["scales"], name: np.repeat(scales, n).tolist()}
    return Model(layers.values(), arrays, model.output, metadata, ann_arrays)
