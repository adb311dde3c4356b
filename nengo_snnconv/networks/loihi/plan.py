"""The plan of a network for Loihi: which layers of neurons are on the chip, and how they are split among its cores."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from ...errors import ConversionError
from ...model import layers as specs
from ..layer_visitor import refuse_filter
from .cores import ChipLayer, as_image, block_shapes
from .linear_maps import LinearMap, linear_maps, reachable

OUTPUT_NEURONS = "output/neurons"  # names of layers have no slash


@dataclasses.dataclass(frozen=True, eq=False)
class PlannedLayer:
    """A layer of neurons, or the output.

    Attributes
    ----------
    maps : list of LinearMap
        Input from each source.
    constant : ndarray, (size,)
        Constant input.
    shape : tuple of int
        (rows, columns, channels).
    block_shape : tuple of int or None
        (rows, columns, channels) of the block on each core; None if the layer is not on the chip.
    """

    maps: list[LinearMap]
    constant: np.ndarray
    shape: tuple[int, ...]
    block_shape: tuple[int, ...] | None = None

    @property
    def on_chip(self) -> bool:
        return self.block_shape is not None


@functools.lru_cache(maxsize=2)  # a report needs the plan for each layer
def plan_of(model, readout):
    """Plan which neurons are on the chip, and how they are split among its cores.

    Parameters
    ----------
    model : Model
    readout : "potential" or "spikes"

    Returns
    -------
    dict of str to PlannedLayer
        Layers of neurons and the output, in order; output neurons have the name "output/neurons".

    Raises
    ------
    ConversionError
        If there is a maximum or a filter over time, a layer reads both neurons on the chip and the image, no neurons
        would be on the chip, or a neuron does not fit on a core.
    """
    for layer in model.layers.values():
        if isinstance(layer, specs.Filter):
            refuse_filter(layer, "Loihi's emulator")
    plan, on_chip = {}, []
    for name in model.neurons:
        plan[name] = _planned(model, name, model.layers[name].inputs[0])
        if _reads_only_neurons(model, name, plan[name].maps, on_chip):
            on_chip.append(name)
    if model.output not in plan:
        name = OUTPUT_NEURONS if readout == "spikes" else model.output
        plan[name] = _planned(model, model.output, model.output)
        if _reads_only_neurons(model, model.output, plan[name].maps, on_chip) and readout == "spikes":
            on_chip.append(name)
        else:
            # connections that leave the chip have matrices as weights
            plan[name] = _planned(model, model.output, model.output, convolutions=False)
    if not on_chip:
        raise ConversionError(
            "no neurons would be on the chip, because neurons that read the image are not: use a network with at least "
            "two layers of neurons, or readout='spikes'"
        )
    shapes = block_shapes([ChipLayer(name, plan[name].shape, plan[name].maps) for name in on_chip])
    return {name: dataclasses.replace(planned, block_shape=shapes.get(name)) for name, planned in plan.items()}


def _planned(model, name, read, convolutions=True):
    maps, constant = linear_maps(model, read, convolutions)
    return PlannedLayer(maps, constant, as_image(model.shapes[name]))


def _reads_only_neurons(model, name, maps, on_chip):
    """Return False if a layer reads the image; raise ConversionError if it reads neurons on the chip as well."""
    sources = [linear_map.source for linear_map in maps]
    for source in sources:
        layer = model.layers[source]
        if isinstance(layer, specs.MaxPool | specs.GlobalMaxPool):
            raise ConversionError(
                f"{source} ({type(layer).__name__}): Loihi has no neurons for maxima of spikes: train the model with "
                "average pooling or strides instead",
                layer=source,
            )
    if model.input not in sources:
        return True
    both = [source for source in sources if source in on_chip]
    if both and name in model.neurons:
        raise ConversionError(
            f"{name} reads the image and neurons on the chip ({', '.join(both)}), but the image is not on the chip: "
            "let it read neurons that read the image instead",
            layer=name,
        )
    return False


def layers_reached(model, name):
    """Return the layers of neurons, or the output, that a linear layer reaches through linear layers only."""

    def is_end(each):
        return each == model.output or isinstance(model.layers[each], specs.Rectifier)

    reached = reachable(name, lambda each: () if is_end(each) else [layer.name for layer in model.consumers(each)])
    return [each for each in reached if is_end(each)]
