"""Findings: the causes of a loss of accuracy and the layers at fault, the most important first."""

from __future__ import annotations

import dataclasses
import typing

import numpy as np

from ..._util.display import Displayed
from .explanations import TOO_HIGH, TOO_LOW, explain
from .remedies import Remedy

if typing.TYPE_CHECKING:
    from .result import Diagnosis

# causes whose effect vanishes in longer runs
OF_STEPS = ("quantisation", "transient", "unevenness")
# errors above this fraction of the activity are reported even without a loss of accuracy
LARGE_ERROR = 0.5
# a layer is dead if at least this fraction of its active neurons never spike
DEAD = 0.9
# losses of comparable size: at least this fraction of the largest
COMPARABLE = 0.25
# why the points of a finding include those of other causes
INCLUDED = {
    "steps": "which longer runs reduce, too",
    "input": "which random input causes",
    "shared scale": "which is coarse with this scale",
}
# points of a layer that the table does not round to 0, and the largest number of layers that a finding lists
SHOWN_POINTS, MOST_PARTS = 0.05, 4


@dataclasses.dataclass(frozen=True, repr=False)
class Finding(Displayed):
    """A problem of a network.

    Attributes
    ----------
    layer : str
        Layer at fault; the first failing layer if the cause affects all layers.
    cause : str
        "ann", "dead", "weights", "input", "clipping", "quantisation", "shared scale", "transient", "unevenness",
        "maxima", "synapse", "reset", "response" or "readout".
    points : float
        Loss of accuracy in percentage points.
    text : str
        Explanation.
    remedies : tuple of Remedy
        Changes that may help, each with the accuracy that was measured with it, the most accurate first; without
        accuracies if none was tried.
    parts : tuple of (str, str, float)
        Terms of ``points``: layer, cause in this layer, and points, in the order of layers; empty if ``points`` is the
        loss by all causes from ``layer`` on.  Quantisation, transient and unevenness, which vanish in longer runs, are
        one finding.
    """

    layer: str
    cause: str
    points: float
    text: str
    remedies: tuple[Remedy, ...]
    parts: tuple[tuple[str, str, float], ...] = ()

    @property
    def title(self) -> str:
        """Layer, cause and points, with the layers that make up the points if there are several."""
        if self.points <= 0:
            return f"{self.layer}: {self.cause}"
        cost = f"{self.cause}, {self.points:.2f} points"
        shown = [part for part in self.parts if abs(part[2]) >= SHOWN_POINTS]
        if not self.parts:
            return f"{self.layer}: {cost} from this layer on"
        if [part[:2] for part in shown] == [(self.layer, self.cause)]:
            return f"{self.layer}: {cost}"
        largest = sorted(shown, key=lambda part: -abs(part[2]))[:MOST_PARTS]
        terms = [
            f"{-lost:+.1f} {'' if cause == self.cause else f'by {cause} '}in {layer}"
            for layer, cause, lost in shown
            if (layer, cause, lost) in largest
        ]
        rest = sum(lost for *_, lost in self.parts) - sum(lost for *_, lost in largest)
        terms += [f"{-rest:+.1f} in others"] * (abs(rest) >= SHOWN_POINTS)
        return f"{cost} ({', '.join(terms)})"

    def _headline(self):
        return self.title

    @property
    def remedy(self) -> Remedy | None:
        """Change with the highest measured accuracy, if it helps; None otherwise, or if none was tried."""
        return next((remedy for remedy in self.remedies if remedy.helps), None)


def find(diagnosis: Diagnosis) -> list[Finding]:
    """Return the findings of a diagnosis, the most important first."""
    structural = _dead(diagnosis) or _out_of_scale(diagnosis) or _wrong_ann(diagnosis) or _overdriven(diagnosis)
    if structural:
        return [structural, *_other_causes(diagnosis, structural)]
    if diagnosis.loss_points <= diagnosis.max_loss + 1e-9:
        # where rates are few spikes in a run, their errors are large
        return [] if diagnosis.trained else _large_errors(diagnosis)
    losses = sorted(diagnosis.points().items(), key=lambda item: -item[1])
    # the largest loss, and those of comparable size
    largest = [loss for loss in losses if loss[1] >= COMPARABLE * losses[0][1]]
    return [_finding(diagnosis, *loss, parts=diagnosis.parts()[loss[0]]) for loss in largest]


def _dead(diagnosis):
    """Return the finding for the first layer that emits nothing although its input does not explain it, or None."""
    for name, layer in diagnosis.layers.items():
        never_spikes = layer.dead >= DEAD * (1 - layer.silent) and (layer.level < TOO_LOW or diagnosis.trained)
        if diagnosis.largest_input > 0 and (layer.silent >= 0.99 or never_spikes):
            return _finding(diagnosis, "dead", _loss_from(diagnosis, name), name)
    return None


def _wrong_ann(diagnosis):
    """Return the finding for an ANN that guesses or is worse than its spikes, or None; conversion is not at fault."""
    guesses = diagnosis.ann_accuracy < diagnosis.near_chance
    if guesses or diagnosis.loss_points < -max(diagnosis.max_loss, 5):
        return _finding(diagnosis, "ann", 0.0, diagnosis.network.model.output)
    return None


def _out_of_scale(diagnosis):
    """Return the finding for the first layer after which all activations contradict the scales, or None."""
    metadata = diagnosis.network.model.metadata
    normalization = metadata.get("normalization", {})
    if (
        diagnosis.trained
        or diagnosis.largest_input == 0
        or "scales" not in metadata
        or normalization.get("method") == "model"
        or normalization.get("percentile", 100) < 99
    ):
        return None
    levels = np.array([*(layer.level for layer in diagnosis.layers.values()), diagnosis.output_level])
    for i, name in enumerate(diagnosis.layers):
        before, after = levels[:i], levels[i:]
        lowest, highest = before.min(initial=1), before.max(initial=1)
        if after.min() > TOO_HIGH * highest or 0 < after.min() <= after.max() < TOO_LOW * lowest:
            return _finding(diagnosis, "weights", _loss_from(diagnosis, name), name)
    return None


def _overdriven(diagnosis):
    """Return the finding for the first layer whose clipping starves later layers, or None.

    These fail for other reasons then, such as too few spikes.
    """
    for name, layer in diagnosis.layers.items():
        clipped = layer.level > TOO_HIGH * layer.largest_output and layer.causes.get("clipping", 0) > LARGE_ERROR
        if clipped and _loss_from(diagnosis, name) > diagnosis.max_loss:
            return _finding(diagnosis, "clipping", _loss_from(diagnosis, name), name)
    return None


def _other_causes(diagnosis, structural):
    """Return findings for large losses by other causes before the layer at fault, largest first."""
    names = list(diagnosis.layers)
    before = names[: names.index(structural.layer)] if structural.layer in names else []
    losses = diagnosis.points(before)
    limit = max(diagnosis.max_loss, diagnosis.loss_points / 10)
    losses = {cause: points for cause, points in losses.items() if points > limit and cause != structural.cause}
    losses_first = sorted(losses.items(), key=lambda item: -item[1])
    return [_finding(diagnosis, *loss, parts=diagnosis.parts(before)[loss[0]]) for loss in losses_first]


def _large_errors(diagnosis):
    """Return a finding for the largest error by a single cause, if it is large.

    Transients and unevenness do not count with Poisson input, which is uneven itself.
    """
    causes = {cause for layer in diagnosis.layers.values() for cause in layer.causes}
    causes -= {"transient", "unevenness"} if diagnosis.evaluation.input_layer else set()
    errors = [(layer.causes.get(cause, 0), cause, name) for name, layer in diagnosis.layers.items() for cause in causes]
    error, cause, name = max(errors)
    return [_finding(diagnosis, cause, 0.0, name)] if error > LARGE_ERROR else []


def _finding(diagnosis, cause, points, name=None, parts=()):
    kind = cause
    if cause == "steps":
        cause = _largest_of_steps(diagnosis, parts)
    if name is None:
        name = diagnosis.where(cause)
    text, remedies = explain(cause, diagnosis, diagnosis.layers.get(name))
    others = dict.fromkeys(of for _, of, lost in parts if of != cause and abs(lost) >= SHOWN_POINTS)
    if others and kind in INCLUDED:
        text += f"; the points include those of {' and '.join(others)}, {INCLUDED[kind]}"
    tried = {remedy.code: remedy for remedy in diagnosis.tried}
    measured = [tried.get(remedy.code, remedy) for remedy in remedies]
    # sorting is stable: remedies with equal accuracies keep the order of the explanation
    return Finding(
        name, cause, points, text, tuple(sorted(measured, key=lambda remedy: -(remedy.accuracy or 0))), tuple(parts)
    )


def _largest_of_steps(diagnosis, parts):
    """Return the cause with the largest error, among those that vanish in longer runs and cost much accuracy.

    With few steps all of them are large, and their points, which are measured one after another, less certain than
    their errors; but a large error may also cost nothing.
    """
    points = {cause: sum(lost for _, of, lost in parts if of == cause) for cause in OF_STEPS}
    costly = [cause for cause in OF_STEPS if points[cause] >= COMPARABLE * max(points.values())]
    return max(costly, key=diagnosis.error_of)


def _loss_from(diagnosis, name):
    """Return the loss of accuracy in a layer and all later ones."""
    names = list(diagnosis.layers)
    return sum(sum(diagnosis.layers[other].points.values()) for other in names[names.index(name) :])
