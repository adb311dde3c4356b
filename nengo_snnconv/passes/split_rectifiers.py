"""split_rectifiers: each rectifier replaced by several that share its input."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from ..model import Model
from ..model import layers as specs
from .rewiring import free_name

# layers that treat all channels alike
CHANNELWISE = (
    specs.AveragePool,
    specs.Dropout,
    specs.Filter,
    specs.Flatten,
    specs.GlobalAveragePool,
    specs.GlobalMaxPool,
    specs.MaxPool,
)


def split_rectifiers(model: Model, parts: Mapping[str, int]) -> Model:
    """Replace each rectifier of some layers by several.

    Given    y = max(x, 0) and a number n of parts.
    Result   n adjacent channels y_i = max(x / n, 0), whose sum is y.  Adjacent convolutions and dense layers are
             widened, also behind pooling; elsewhere, inserted layers divide x and add the y_i.
             ``metadata["split"]`` has the numbers of parts of these rectifiers ("neurons"), of the layers with weights
             before them ("sources"), and of those that read them ("readers").

    Parameters
    ----------
    model : Model
    parts : dict of str to int
        Number of parts by the name of the rectifier, which is not the output of the model.

    Returns
    -------
    Model
    """
    split = _Split(model)
    for name, n in parts.items():
        split.rectifier(name, n)
    return split.result()


class _Split:
    """A model whose rectifiers are split, one after another."""

    def __init__(self, model):
        self.model = model
        self.layers = dict(model.layers)
        self.arrays, self.ann_arrays = dict(model.arrays), dict(model.ann_arrays)
        self.parts = {"neurons": {}, "sources": {}, "readers": {}}

    def result(self):
        """Return the model with all changes."""
        metadata = {**self.model.metadata, "split": self.parts}
        if "scales" in metadata:
            parts = self.parts["neurons"]
            metadata["scales"] = {
                name: self.repeated(name, scales, parts[name]) if name in parts else scales
                for name, scales in metadata["scales"].items()
            }
        return Model(self.layers.values(), self.arrays, self.model.output, metadata, self.ann_arrays)

    def repeated(self, name, scales, n):
        """Return the scales of a layer, one for all channels or one for each, for ``n`` parts of each channel."""
        return np.repeat(np.broadcast_to(scales, self.model.shapes[name][-1:]), n).tolist()

    def rectifier(self, name, n):
        """Replace a rectifier by ``n``."""
        layer = self.layers[name]
        source = self.layers[layer.inputs[0]]
        alone = len(self.model.consumers(source.name)) == 1 and source.name != self.model.output
        if alone and isinstance(source, specs.Conv | specs.Dense):
            size = "filters" if isinstance(source, specs.Conv) else "units"
            self.layers[source.name] = dataclasses.replace(source, **{size: n * getattr(source, size)})
            for key in self.model.array_names(source.name):
                self.change(key, lambda array: np.repeat(array, n, axis=-1) / n)
            self.parts["sources"][source.name] = n
        else:
            self.divide(name, source.name, n)
        self.parts["neurons"][name] = n
        self.widen_readers(name, n)

    def widen_readers(self, name, n):
        """Let the readers of a layer read ``n`` parts of each channel."""
        total = None
        for reader in self.model.consumers(name):
            key = f"{reader.name}/kernel"
            if isinstance(reader, specs.Dense) or (isinstance(reader, specs.Conv) and reader.groups == 1):
                self.change(key, lambda array: np.repeat(array, n, axis=-2))
                self.parts["readers"][reader.name] = n
            elif isinstance(reader, CHANNELWISE) and reader.name != self.model.output:
                self.widen_readers(reader.name, n)
            elif isinstance(reader, specs.Affine) and reader.name != self.model.output:
                self.change(f"{reader.name}/scale", lambda array: np.repeat(array, n))
                self.change(f"{reader.name}/bias", lambda array: np.repeat(array, n) / n)
                self.widen_readers(reader.name, n)
            else:
                total = total or self.add_sum(name, n)
                inputs = tuple(total if each == name else each for each in self.layers[reader.name].inputs)
                self.layers[reader.name] = dataclasses.replace(self.layers[reader.name], inputs=inputs)

    def divide(self, name, source, n):
        """Insert layers that divide the input of a rectifier among ``n`` parts."""
        shape = self.model.shapes[source]
        size = (1,) * (len(shape) - 1) + (n,)
        repeated = self.insert(source, f"{name}_repeated", lambda new: specs.Upsample(new, source, size=size))
        divided = self.insert(repeated, f"{name}_divided", lambda new: specs.Affine(new, repeated))
        self.scale(divided, n * shape[-1], 1 / n)
        self.layers[name] = dataclasses.replace(self.layers[name], inputs=(divided,))

    def add_sum(self, name, n):
        """Insert layers that add the ``n`` parts of each channel of a layer, and return the name of the last one."""
        shape = self.model.shapes[name]
        row = self.insert(
            name, f"{name}_row", lambda new: specs.Reshape(new, name, shape=(n * np.prod(shape).item(), 1))
        )
        mean = self.insert(row, f"{name}_mean", lambda new: specs.AveragePool(new, row, pool_size=(n,)))
        back = self.insert(mean, f"{name}_back", lambda new: specs.Reshape(new, mean, shape=shape))
        total = self.insert(back, f"{name}_sum", lambda new: specs.Affine(new, back))
        self.scale(total, shape[-1], n)
        return total

    def insert(self, after, name, make):
        """Insert a layer behind another one, and return its name."""
        name = free_name(name, self.layers)
        items = list(self.layers.items())
        place = list(self.layers).index(after) + 1
        self.layers = dict([*items[:place], (name, make(name)), *items[place:]])
        return name

    def scale(self, name, channels, factor):
        """Set the arrays of an inserted layer to a factor without shift."""
        self.arrays |= {f"{name}/scale": np.full(channels, factor), f"{name}/bias": np.zeros(channels)}

    def change(self, key, function):
        """Change an array, and that of the ANN if it is another one."""
        for arrays in (self.arrays, self.ann_arrays):
            if key in arrays:
                arrays[key] = function(arrays[key])
