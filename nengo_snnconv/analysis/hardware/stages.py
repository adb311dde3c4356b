"""Stages: layers of neurons with the linear layers that lead to them, as chips see a network."""

from __future__ import annotations

import dataclasses
import math

from ...model import layers as specs
from ...model.spec import Layer

PASSING = specs.Dropout | specs.Affine | specs.BatchNormalization | specs.Selection  # layers that need no resources


@dataclasses.dataclass(frozen=True)
class Stage:
    """A layer of neurons, or the output, and the layers between it and its sources.

    Attributes
    ----------
    name : str
    shape : tuple of int
        Shape of the neurons.
    layers : tuple of Layer
        Linear layers and maxima, in order.
    """

    name: str
    shape: tuple[int, ...]
    layers: tuple[Layer, ...]

    @property
    def neurons(self) -> int:
        return math.prod(self.shape)

    @property
    def weighted(self) -> list:
        """Layers with weights."""
        return [layer for layer in self.layers if isinstance(layer, specs.Conv | specs.Dense)]

    @property
    def maxima(self) -> list:
        """Layers of maxima."""
        return [layer for layer in self.layers if isinstance(layer, specs.MaxPool | specs.GlobalMaxPool)]


def stages_of(model) -> list[Stage]:
    """Return the stages of a model in order; the output is one of them."""
    ends = [*model.neurons, *([] if model.output in model.neurons else [model.output])]
    return [Stage(end, model.shapes[end], _between(model, end)) for end in ends]


def _between(model, end):
    """Return the layers between a layer of neurons, or the output, and its sources, in the order of the model."""
    waiting = list(model.layers[end].inputs) if end in model.neurons else [end]
    found = set()
    while waiting:
        name = waiting.pop()
        if name not in found and not isinstance(model.layers[name], specs.Rectifier | specs.Input):
            found.add(name)
            waiting += model.layers[name].inputs
    return tuple(layer for name, layer in model.layers.items() if name in found)


def fan_in(model, layer) -> int:
    """Return the number of synapses of a unit of a convolution or dense layer."""
    return math.prod(model.arrays_of(layer.name)["kernel"].shape[:-1])


def n_weights(model, layer) -> int:
    """Return the number of weights of a convolution or dense layer, without biases."""
    return model.arrays_of(layer.name)["kernel"].size


def synapses_of(model, stage) -> tuple[int, int]:
    """Return the largest fan-in of the layers with weights of a stage, and the number of all their weights."""
    fan_ins = [fan_in(model, layer) for layer in stage.weighted]
    return max(fan_ins, default=0), sum(n_weights(model, layer) for layer in stage.weighted)
