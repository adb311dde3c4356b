"""MarginStop: a rule by which an image stops before the last time step, and its effect on an evaluation."""

from __future__ import annotations

import dataclasses
import math
import typing

import numpy as np

from .._util.display import Displayed
from .._util.text_tables import counted
from .._util.validation import (
    check_counts,
    check_not_nan,
    check_not_negative,
    invalid,
)
from ..errors import SettingsError

if typing.TYPE_CHECKING:
    from collections.abc import Sequence

    from .result import Evaluation


@dataclasses.dataclass(frozen=True, repr=False)
class MarginStop(Displayed):
    """Rule by which an image stops as soon as its largest class score is far enough above the second largest.

    An image stops after the first step in which the difference of its two largest scores *exceeds* the margin of this
    step, else after the last step.  Its decision is the class with the largest score then.  Scores are those from
    which :func:`evaluate` predicts the class after this step, averaged or filtered over time, in the units of the model
    that was converted.  For one output that tells two classes apart, and for labels, the smallest distance of an output
    from 0 takes the place of the difference.  The rule belongs to a network, a read-out and a number of steps;
    :func:`choose_stop` finds one.

    Parameters
    ----------
    margins : sequence of float
        Margin of each time step, 0 or more.  With ``math.inf``, no image stops in this step.
    calibration : dict
        Facts about the choice of the rule: see :func:`choose_stop`.

    Raises
    ------
    SettingsError
        If a margin is negative or not a number, or there is none.

    Examples
    --------
    >>> rule = snc.MarginStop([math.inf, 2.0, 1.0, 0.5])
    >>> evaluation = snc.evaluate(network, x, y, stop=rule)
    >>> print(evaluation.mean_steps, evaluation.accuracy[-1])

    References
    ----------
    Wu et al. 2023, "Optimising event-driven spiking neural network with regularisation and cutoff", arXiv 2301.09522.
    """

    margins: Sequence[float]
    calibration: dict[str, typing.Any] = dataclasses.field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self):
        margins = self.margins
        if isinstance(margins, str | bytes | dict) or not hasattr(margins, "__len__") or not len(margins):
            raise invalid("margins", "be a sequence of numbers, one for each step", margins)
        for step, margin in enumerate(margins):
            check_not_nan(**{f"margins[{step}]": margin})
            if margin < 0:
                raise invalid(f"margins[{step}]", "be 0 or more", margin)
        if not isinstance(self.calibration, dict):
            raise invalid("calibration", "be a dict", self.calibration)
        object.__setattr__(self, "margins", tuple(map(float, margins)))

    @property
    def n_steps(self) -> int:
        """Number of time steps after which the last images stop."""
        return len(self.margins)

    @property
    def steps(self) -> list[int]:
        """Numbers of steps after which images may stop, in order."""
        return [step for step, margin in enumerate(self.margins, 1) if margin < math.inf or step == self.n_steps]

    def _headline(self):
        finite, steps = [margin for margin in self.margins if margin < math.inf], self.steps
        margins = f", margins {min(finite):.3g} to {max(finite):.3g}" if finite else ""
        after = f"{steps[0]} to {steps[-1]} steps" if len(steps) > 1 else counted(steps[0], "step")
        return f"images stop after {after}{margins}"

    def to_dict(self) -> dict[str, typing.Any]:
        """Return the rule as JSON-serializable values; margins at which no image stops are None."""
        margins = [margin if margin < math.inf else None for margin in self.margins]
        return {"margins": margins, **self.calibration}

    def certain(self, margins: np.ndarray, step: int) -> np.ndarray:
        """Return for which ``margins`` (largest score minus second largest) an image stops after step 1, 2, ..."""
        return np.asarray(margins) > np.float32(self.margins[step - 1])

    def stop_steps(self, margins: np.ndarray) -> np.ndarray:
        """Return the number of steps after which each image stops.

        Parameters
        ----------
        margins : ndarray, (steps, images)
            Largest score minus second largest after each step, such as ``Evaluation.margins`` of a run without a rule.

        Returns
        -------
        ndarray of int, (images,)
        """
        margins = np.asarray(margins)
        if margins.ndim != 2 or len(margins) != self.n_steps:
            raise SettingsError(
                f"margins must have shape (steps, images) for the {counted(self.n_steps, 'step')} of this rule, got "
                f"{margins.shape}",
                argument="margins",
            )
        certain = np.stack([self.certain(row, step) for step, row in enumerate(margins, 1)])
        certain[-1] = True
        return certain.argmax(axis=0) + 1


def recorded_margins(evaluation: Evaluation) -> np.ndarray:
    """Return the margins of an evaluation without a rule, (steps, images).

    Raises
    ------
    SettingsError
        If the evaluation has none, or images stopped.
    """
    if evaluation.step_predictions is None:
        raise SettingsError(
            "evaluation: it is of a regression, whose values have no margin by which images could stop early",
            argument="evaluation",
        )
    if evaluation.margins is None or evaluation.stop is not None:
        why = "its images stopped early" if evaluation.stop is not None else "it was made by sweep, tune or compare"
        raise SettingsError(
            f"evaluation: the scores of all images after all steps are needed, but {why}: use evaluate(network, x, y) "
            "without stop",
            argument="evaluation",
        )
    return evaluation.margins


def decisions(evaluation: Evaluation, stop_steps: np.ndarray) -> np.ndarray:
    """Return the prediction of each image after the step in which it stops, (images,), or (images, labels)."""
    predictions = evaluation.step_predictions
    assert predictions is not None  # recorded_margins checks it
    return predictions[stop_steps - 1, np.arange(len(stop_steps))]


def stopped(evaluation: Evaluation, stop: MarginStop) -> tuple[float, float]:
    """Return the mean steps and the score that a rule would give for the images of an evaluation."""
    if not isinstance(stop, MarginStop):
        raise invalid("stop", "be a MarginStop, such as choose_stop returns", stop)
    steps = stop.stop_steps(recorded_margins(evaluation))
    return float(steps.mean()), float(evaluation.task.image_scores(decisions(evaluation, steps)).mean())


def tradeoff(evaluation: Evaluation, power: float, n_points: int) -> tuple[np.ndarray, np.ndarray]:
    """Return mean steps and score for rules from the laxest to the strictest: see ``Evaluation.stop_tradeoff``."""
    check_not_negative(power=power)
    check_counts(n_points=n_points)
    decrease = np.arange(1.0, evaluation.n_steps + 1) ** -power
    largest = (recorded_margins(evaluation) / decrease[:, None]).max(axis=0)
    factors = np.quantile(largest, np.linspace(0, 1, n_points))
    factors[0] = 0
    return tuple(np.array([stopped(evaluation, MarginStop(factor * decrease)) for factor in factors]).T)
