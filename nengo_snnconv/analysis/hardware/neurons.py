"""Neurons of a network on a chip: which layers have types that the chip does not support."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable

from ...networks.neuron_types import replacing, types_of

if typing.TYPE_CHECKING:
    import nengo

    from ...networks.network import ConvNetwork
    from .result import LayerOnChip


def neurons_of(network: ConvNetwork) -> dict[str, nengo.neurons.NeuronType]:
    """Return the neuron type of each layer of neurons, and of the output if it spikes or there are no others."""
    model, settings = network.model, network.settings
    types = types_of(model, settings)
    if not types or getattr(settings, "readout", "potential") == "spikes":
        types.setdefault(model.output, settings.neuron_type)
    return types


def neuron_problems(
    network: ConvNetwork, why_not: Callable[[typing.Any, str], str], of_all: str, of_layer: str
) -> tuple[dict[str, str], list[str]]:
    """Return the problem of each layer whose neurons a chip does not support, or those of the network as a whole.

    Parameters
    ----------
    network : ConvNetwork
    why_not : callable
        Returns why the chip has no neurons of a type, with the way out that it gets; empty if it has them.
    of_all : str
        Way out if no layer has neurons that the chip supports.
    of_layer : str
        Neuron type, as code, with which the way out for a single layer replaces its neurons.
    """
    types = neurons_of(network)
    refused = {name: each for name, each in types.items() if why_not(each, of_all)}
    if len(refused) == len(types):
        return {}, list(dict.fromkeys(why_not(each, of_all) for each in refused.values()))
    return {name: why_not(each, replacing(name, of_layer)) for name, each in refused.items()}, []


def with_problem(layer: LayerOnChip, problem: str | None) -> LayerOnChip:
    """Return a layer with one more problem, which is None if there is none; its cores are those of its size."""
    return dataclasses.replace(layer, problems=(problem, *layer.problems)) if problem else layer
