"""Findings: from the figures of a diagnosis to the causes of a loss and their places, the first to mend in front."""

import dataclasses

import numpy as np

from .explanations import TOO_HIGH, TOO_LOW, explain
from .remedies import Remedy

# causes that vanish as a run gets longer
OF_STEPS = ("quantisation", "transient", "unevenness")
# a local error of more than this share of the activity is worth a word even where no accuracy is lost
LARGE_ERROR = 0.5
# share of the neurons of a layer that must be silent for it to be called dead
DEAD = 0.9


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes
    ----------
    layer : str
        The layer at fault; for what concerns all layers, the first one in which accuracy is lost.
    cause : str
        "ann", "dead", "weights", "input", "clipping", "quantisation", "transient", "unevenness", "synapse", "reset",
        "response" or "readout".
    points : float
        Accuracy that it costs, in percentage points.
    text : str
        What it means.
    remedy : Remedy
    """

    layer: str
    cause: str
    points: float
    text: str
    remedy: Remedy


def find(diagnosis):
    """The findings on a diagnosis, the one to mend first in front."""
    structural = _dead(diagnosis) or _out_of_scale(diagnosis) or _wrong_ann(diagnosis) or _overdriven(diagnosis)
    if structural:
        return [structural, *_besides(diagnosis, structural)]
    if diagnosis.loss_points <= diagnosis.max_loss + 1e-9:
        return _large_errors(diagnosis)
    costs = sorted(diagnosis.points().items(), key=lambda item: -item[1])
    # the largest one in any case, and what comes near it
    return [_finding(diagnosis, *cost) for cost in costs if cost[1] >= costs[0][1] / 4]


def _dead(diagnosis):
    """The first layer that passes nothing on, through its own fault."""
    for name, layer in diagnosis.layers.items():
        never_spikes = layer.dead >= DEAD * (1 - layer.silent) and layer.level < TOO_LOW
        if diagnosis.largest_input > 0 and (layer.silent >= 0.99 or never_spikes):
            return _finding(diagnosis, "dead", _lost_from(diagnosis, name), name)
    return None


def _wrong_ann(diagnosis):
    """An ANN that guesses, or that spikes are better than: what is amiss is not the conversion."""
    guesses = diagnosis.ann_accuracy < diagnosis.near_chance
    if guesses or diagnosis.loss_points < -max(diagnosis.max_loss, 5):
        return _finding(diagnosis, "ann", 0.0, diagnosis.network.model.output)
    return None


def _out_of_scale(diagnosis):
    """The first layer from which on all activations are larger, or smaller, than the scales say."""
    metadata = diagnosis.network.model.metadata
    how = metadata.get("normalization", {})
    if (
        diagnosis.largest_input == 0
        or "scales" not in metadata
        or how.get("method") == "model"
        or how.get("percentile", 100) < 99
    ):
        return None
    levels = np.array([*(layer.level for layer in diagnosis.layers.values()), diagnosis.output_level])
    for i, name in enumerate(diagnosis.layers):
        before, behind = levels[:i], levels[i:]
        usual = before.min(initial=1), before.max(initial=1)
        if behind.min() > TOO_HIGH * usual[1] or 0 < behind.min() <= behind.max() < TOO_LOW * usual[0]:
            return _finding(diagnosis, "weights", _lost_from(diagnosis, name), name)
    return None


def _overdriven(diagnosis):
    """The first layer that is clipped so much that what comes after it, starved, fails in ways of its own."""
    for name, layer in diagnosis.layers.items():
        clipped = layer.level > TOO_HIGH * layer.largest_output and layer.causes.get("clipping", 0) > LARGE_ERROR
        if clipped and _lost_from(diagnosis, name) > diagnosis.max_loss:
            return _finding(diagnosis, "clipping", _lost_from(diagnosis, name), name)
    return None


def _besides(diagnosis, structural):
    """What else costs more than may be lost: before the layer at fault, and what concerns all layers."""
    names = list(diagnosis.layers)
    before = names[: names.index(structural.layer)] if structural.layer in names else []
    costs = diagnosis.points(before)
    enough = max(diagnosis.max_loss, diagnosis.loss_points / 10)
    costs = {cause: lost for cause, lost in costs.items() if lost > enough and cause != structural.cause}
    return [_finding(diagnosis, *cost) for cost in sorted(costs.items(), key=lambda item: -item[1])]


def _large_errors(diagnosis):
    """The cause of the largest local error, if that is large; Poisson input is uneven by itself."""
    causes = {cause for layer in diagnosis.layers.values() for cause in layer.causes}
    causes -= {"transient", "unevenness"} if diagnosis.evaluation.input_layer else set()
    places = [(layer.causes[cause], cause, name) for name, layer in diagnosis.layers.items() for cause in causes]
    error, cause, name = max(places)
    return [_finding(diagnosis, cause, 0.0, name)] if error > LARGE_ERROR else []


def _finding(diagnosis, cause, points, name=None):
    if cause == "steps":
        cause = max(OF_STEPS, key=diagnosis.error_of)
    if name is None:
        name = diagnosis.where(cause)
    return Finding(name, cause, points, *explain(cause, diagnosis, diagnosis.layers.get(name)))


def _lost_from(diagnosis, name):
    """What is lost in a layer and behind it."""
    names = list(diagnosis.layers)
    return sum(sum(diagnosis.layers[other].points.values()) for other in names[names.index(name) :])
