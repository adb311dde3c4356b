"""Synaptic operations: additions that spikes cause, from the number of spikes of each neuron and its fan-out."""

from __future__ import annotations

import typing

import numpy as np

from ..model import connectivity
from ..model import layers as specs

if typing.TYPE_CHECKING:
    from ..model import Model
    from ..networks.network import ConvNetwork
    from .run_counts import RunCounts


def operations_by_layer(model: Model, counts: RunCounts) -> dict[str, float]:
    """Return the additions per image that the events of each layer cause in the next layers."""
    n_images = counts.records.shape[1]
    fan_outs = connectivity.fan_outs(model, counts.totals)
    with np.errstate(over="ignore"):  # branches in a row can have more paths than a float can count
        return {name: float(total @ fan_outs[name].ravel()) / n_images for name, total in counts.totals.items()}


def relay_operations(network: ConvNetwork, counts: RunCounts, operations: dict[str, float]) -> dict[str, float]:
    """Return the additions per image of events that are passed on, not generated.

    Maxima pass on events of their inputs, under the name of the layer.  In networks with time to first spike, relay
    neurons repeat spikes in later stages, under "<name> again".

    Parameters
    ----------
    network : ConvNetwork
    counts : RunCounts
    operations : dict of str to float
        Result of :func:`operations_by_layer`.
    """
    n_images = counts.records.shape[1]
    layers, relay_stages = network.model.layers, network.settings.relay_stages(network.model)
    relayed = {}
    for name, count in operations.items():
        if isinstance(layers[name], specs.MaxPool | specs.GlobalMaxPool):
            relayed[name] = count
        if relay_stages.get(name):
            relayed[f"{name} again"] = relay_stages[name] * float(counts.totals[name].sum()) / n_images
    return relayed


def operations_by_step(network: ConvNetwork, counts: RunCounts) -> np.ndarray:
    """Return the additions per image from the first step to each step, (steps,).

    The last value is ``Evaluation.synaptic_operations``.  Those before it are estimates: spikes are counted by neuron
    over the whole run and by step over the whole layer, so a layer's additions are assumed to follow its spikes.
    """
    operations = operations_by_layer(network.model, counts)
    relayed = relay_operations(network, counts, operations)
    total = np.zeros(len(counts.records))
    for name, per_step in counts.per_step.items():
        if spikes := per_step.sum():
            total += np.cumsum(per_step) / spikes * (operations[name] + relayed.get(f"{name} again", 0.0))
    return total
