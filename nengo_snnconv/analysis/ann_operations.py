"""Operations of the ANN, by the layer whose activity causes them."""

from __future__ import annotations

import collections

from ..model import connectivity
from ..model import layers as specs
from ..model.graph import Model


def flops_by_source(model: Model) -> dict[str, float]:
    """Return the floating-point operations of the ANN for each layer with an activity of its own.

    These are the input, layers of neurons and maxima; other layers pass on their activity.  Operations that several of
    them cause together are divided among them.
    """
    flops = {name: 0.0 for name, layer in model.layers.items() if _is_source(layer)}
    shares = source_shares(model)
    for name, count in connectivity.multiply_accumulates(model).items():
        for source, share in shares[model.layers[name].inputs[0]].items():
            flops[source] += 2 * count * share
    return flops


def source_shares(model: Model) -> dict[str, dict[str, float]]:
    """Return the sources of the activity in each layer, with their shares: {layer: {source: float}}."""
    joins = [name for name, layer in model.layers.items() if isinstance(layer, specs.Concatenate)]
    fan_outs = connectivity.fan_outs(model, joins)
    shares: dict[str, dict[str, float]] = {}
    for name, layer in model.layers.items():
        if _is_source(layer):
            shares[name] = {name: 1.0}
            continue
        total: dict[str, float] = collections.defaultdict(float)
        for index, input_name in enumerate(layer.inputs):
            input_share = _input_share(layer, model, index, fan_outs)
            for source, share in shares[input_name].items():
                total[source] += share * input_share
        shares[name] = total
    return shares


def _input_share(layer, model, index, fan_outs):
    """Return the share of one of its inputs in the output of a layer, weighted by fan-out."""
    if not isinstance(layer, specs.Concatenate):
        return 1 / len(layer.inputs)
    total = float(fan_outs[layer.name].sum(dtype=float))
    if not total:  # no synapse reads the layer
        return 0.0
    entries = layer.entries(index, *(model.shapes[name] for name in layer.inputs))
    return float(fan_outs[layer.name].ravel()[entries.ravel() >= 0].sum(dtype=float)) / total


def analog_layers(model: Model) -> tuple[str, ...]:
    """Return the weighted layers whose input is a weighted sum, with no neurons or maxima in between."""
    carries_sums: set[str] = set()
    analog = []
    for name, layer in model.layers.items():
        reads_sums = any(source in carries_sums for source in layer.inputs)
        weighted = isinstance(layer, specs.Conv | specs.Dense)
        if weighted and reads_sums:
            analog.append(name)
        if weighted or (reads_sums and not _is_source(layer)):
            carries_sums.add(name)
    return tuple(analog)


def _is_source(layer):
    """Return whether a layer has an activity of its own: the input, neurons and maxima."""
    return isinstance(layer, specs.Input) or connectivity.is_event_source(layer)
