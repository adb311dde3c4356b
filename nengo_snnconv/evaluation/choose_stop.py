"""choose_stop: the choice of a rule by which images stop early, with a bound on the loss of accuracy."""

from __future__ import annotations

import dataclasses
import math
import typing

import numpy as np

from .._util.validation import check_flags, check_has, check_positive, invalid
from ..errors import SettingsError
from . import metrics
from .margin_stop import MarginStop, decisions, recorded_margins

if typing.TYPE_CHECKING:
    from .result import Evaluation

# decrease of margins over time, t**-p, of the families of rules from which choose_stop chooses: the error of spikes
# after t steps is that of the last spikes divided by t in an average, and of constant size in a filtered value
POWERS = (0, 1)
CONFIDENCE = 0.95


def choose_stop(
    evaluation: Evaluation, *, max_loss: float = 0.5, confidence: float = CONFIDENCE, labels: bool = True
) -> MarginStop:
    """Choose a rule with which images stop early and the loss of accuracy is bounded.

    The margin after t steps is c, which suits filtered scores, or c / t, which suits averaged ones, whose errors
    shrink.  For both, c is the smallest number for which the loss on new images is at most ``max_loss`` with this
    ``confidence``; the rule that takes fewer steps is chosen.

    The bound holds for any distribution of images.  Each image has a critical c, with which and below which it might be
    lost: the largest margin, times t for c / t, over all steps after which its class changes once more.  The rule takes
    one of these as c, so that at most k of n images have a larger one (Wilks 1941), where k is the largest number for
    which the upper confidence limit of the share k / n (Clopper & Pearson 1934) is within ``max_loss``.  Since the
    better of two is chosen, each limit has the confidence 1 - (1 - ``confidence``) / 2.

    Parameters
    ----------
    evaluation : Evaluation
        Evaluation without a rule, on calibration images, for the number of steps after which the last images shall
        stop.  The bound holds for images like these: use images that the network was **not trained on**, because scores
        of training images are further apart.  The bundled network ``pretrained("airbench-cifar10")`` was trained on all
        training images of CIFAR-10.
    max_loss : float
        Largest loss of accuracy from stopping early, in percentage points of all images: an image is lost if its class
        would be correct after the last step, but is wrong after the step in which it stops.  Images that are wrong
        after the last step and correct before are not subtracted.
    confidence : float
        Probability with which the bound holds, over the choice of calibration images.
    labels : bool
        If False, the true classes are not used, and any image is lost that stops with another class than after the last
        step.  This bounds the loss of accuracy too, but allows fewer images to stop early.

    Returns
    -------
    MarginStop
        ``calibration`` holds "max_loss", "confidence" and "labels", the number of "images" and of those that may be
        "lost", the "power" of 1 / t, 0 or 1, and, on the calibration images, "loss_points" and "mean_steps".

    Raises
    ------
    SettingsError
        If an argument is invalid, or there are too few images for the bound; the message says how many it needs.

    Examples
    --------
    >>> rule = snc.choose_stop(snc.evaluate(snn, x_calibration, y_calibration, n_steps=16), max_loss=0.5)
    >>> evaluation = snc.evaluate(snn, x_test, y_test, stop=rule)
    >>> print(evaluation.mean_steps)

    References
    ----------
    Wilks 1941, "Determination of sample sizes for setting tolerance limits", Annals of Mathematical Statistics 12, 91.

    Clopper & Pearson 1934, "The use of confidence or fiducial limits illustrated in the case of the binomial",
    Biometrika 26, 404.

    Li et al. 2023, "Unleashing the potential of spiking neural networks by dynamic confidence", arXiv 2303.10276.
    """
    check_has("step_predictions", "an Evaluation: make one with evaluate(network, x, y)", evaluation=evaluation)
    check_positive(max_loss=max_loss)
    if max_loss > 100:
        raise invalid("max_loss", "be at most 100 percentage points", max_loss)
    if not isinstance(confidence, float | np.floating) or not 0 < confidence < 1:
        raise invalid("confidence", "be a number between 0 and 1", confidence)
    check_flags(labels=labels)
    margins = recorded_margins(evaluation)
    n_lost = _most_lost(len(evaluation.y), max_loss / 100, (1 - confidence) / len(POWERS))
    rules = {power: _rule(evaluation, margins, power, n_lost, labels) for power in POWERS}
    steps = {power: rule.stop_steps(margins) for power, rule in rules.items()}
    power = min(POWERS, key=lambda power: steps[power].mean())
    changed = ~metrics.same(decisions(evaluation, steps[power]), evaluation.predictions)
    lost = _final(evaluation, labels) & changed
    description = {
        "max_loss": float(max_loss),
        "confidence": float(confidence),
        "labels": bool(labels),
        "images": len(evaluation.y),
        "lost": n_lost,
        "power": power,
        "loss_points": 100 * float(lost.mean()),
        "mean_steps": float(steps[power].mean()),
    }
    return dataclasses.replace(rules[power], calibration=description)


def _final(evaluation, labels):
    """Return which images can be lost, bool (images,)."""
    return metrics.same(evaluation.predictions, evaluation.y) | (not labels)


def _rule(evaluation, margins, power, n_lost, labels):
    """Return the rule with margins c t**-power by which at most ``n_lost`` images are lost."""
    decrease = np.arange(1.0, len(margins) + 1) ** -power
    # steps after which the decision changes once more
    differs = ~metrics.same(evaluation.step_predictions, evaluation.predictions)
    unsettled = np.logical_or.accumulate(differs[::-1])[::-1] & _final(evaluation, labels)
    critical = np.where(unsettled, margins / decrease[:, None], 0.0).max(axis=0)
    factor = np.sort(critical)[len(critical) - 1 - n_lost]
    return MarginStop(_rounded_up(factor * decrease))


def _rounded_up(limits):
    """Return float32 limits that are not below the given ones, since margins are compared in this precision."""
    rounded = limits.astype(np.float32)
    return np.where(rounded < limits, np.nextafter(rounded, np.float32(np.inf)), rounded)


def images_needed(max_loss: float, confidence: float = CONFIDENCE) -> int:
    """Return the number of images that :func:`choose_stop` needs at least for a loss in percentage points."""
    return _images_needed(max_loss / 100, (1 - confidence) / len(POWERS))


def _images_needed(share, risk):
    """Return the smallest number of images of which none is lost with a probability of at most ``risk``."""
    return math.ceil(math.log(risk) / math.log1p(-share)) if share < 1 else 1


def _most_lost(n_images, share, risk):
    """Return the largest number of lost images for which the limit of their share is within ``share``.

    Clopper and Pearson's upper limit of the share is at most ``share`` if as few images would be lost with a
    probability of at most ``risk``, were the share as large.
    """
    from scipy.special import bdtr

    needed = _images_needed(share, risk)
    if n_images < needed:
        raise SettingsError(
            f"max_loss={100 * share:g} needs at least {needed:,} images for this confidence, got {n_images:,}: "
            "evaluate more calibration images, or allow a larger max_loss",
            argument="max_loss",
        )
    numbers = np.arange(n_images)
    return int(np.flatnonzero(bdtr(numbers, n_images, share) <= risk)[-1])
