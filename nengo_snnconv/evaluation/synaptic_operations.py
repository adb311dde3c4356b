"""Synaptic operations: the additions that events cause, from how often each unit sent one."""

import numpy as np

from ..model import connectivity
from ..model import layers as specs


def operations_of(model, tally):
    """Additions per image that the events of each layer cause, by name."""
    n_images = tally.step_predictions.shape[1]
    reached = connectivity.fan_outs(model, tally.totals)
    with np.errstate(over="ignore"):  # more ways through branches than a float can count
        return {name: float(counts @ reached[name].ravel()) / n_images for name, counts in tally.totals.items()}


def passed_operations(network, tally, operations):
    """The additions of maxima, and of spikes that are sent again, by name, in order."""
    n_images = tally.step_predictions.shape[1]
    layers, again = network.model.layers, network.settings.relay_stages(network.model)
    passed = {}
    for name, count in operations.items():
        if isinstance(layers[name], specs.MaxPool | specs.GlobalMaxPool):
            passed[name] = count
        if again.get(name):
            passed[f"{name} again"] = again[name] * float(tally.totals[name].sum()) / n_images
    return passed


def operations_by_step(network, tally):
    """Additions per image from the first step to each, (steps,): the last is ``Evaluation.synaptic_operations``.

    Those before are estimates, because spikes are counted by neuron over the whole run, and by step over all neurons:
    a layer's additions are taken to come when its spikes do.
    """
    operations = operations_of(network.model, tally)
    again = passed_operations(network, tally, operations)
    total = np.zeros(len(tally.step_predictions))
    for name, per_step in tally.per_step.items():
        if spikes := per_step.sum():
            total += np.cumsum(per_step) / spikes * (operations[name] + again.get(f"{name} again", 0.0))
    return total
