"""Measures: how good the predictions are after each step, beside those of the ANN."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable

import numpy as np

from .._util.text_tables import counted, percent

if typing.TYPE_CHECKING:
    from .task import Task


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Measure:
    """A measure of predictions.

    Attributes
    ----------
    name : str
        Name, such as "accuracy" or "mean squared error".
    steps : ndarray, (steps,)
        Value after each step.
    ann : float or None
        Value of the ANN; None without an ANN, or if the measure compares with it.
    percent : bool
        True for a fraction, of which 1 is the best; False for an error in the units of the model, of which 0 is.
    compares : bool
        True if the predictions are compared with those of the ANN.
    output : str
        Name of the output of which it is a measure; empty for a model with one output, and for a measure of all.
    """

    name: str
    steps: np.ndarray
    ann: float | None
    percent: bool = True
    compares: bool = False
    output: str = ""

    def __repr__(self) -> str:
        steps = counted(len(self.steps), "step")
        ann = "" if self.ann is None else f", {self.text(self.ann)} with rates"
        return f"<{type(self).__name__}: {self.title} {self.text(self.steps[-1])} after {steps}{ann}>"

    @property
    def title(self) -> str:
        """Name for tables and figures: "accuracy", or "digit: accuracy" for one of several outputs."""
        return f"{self.output}: {self.name}" if self.output else self.name

    @property
    def key(self) -> str:
        """Name for JSON, such as "mean_squared_error"; that of R² is "r2"."""
        name = f"{self.output} {self.name}" if self.output else self.name
        return name.lower().replace(" ", "_").replace("²", "2")

    def text(self, value: float) -> str:
        """Return a value as text: "98.20 %" or "0.01234"."""
        return percent(value) if self.percent else f"{value:.4g}"


def measured(name: str, task: Task, records: np.ndarray, function: Callable) -> Measure:
    """Return a measure of the true ``y``: a function of predictions (..., images, ...) and ``y`` that returns (...)."""
    ann = None if task.ann is None else float(function(task.ann, task.y))
    return Measure(name, function(records, task.y), ann)


def agreement(task: Task, records: np.ndarray, function: Callable) -> list[Measure]:
    """Return the measure of the ANN's predictions, in a list; an empty list without an ANN."""
    return (
        []
        if task.ann is None
        else [Measure("agreement with the ANN", function(records, task.ann), None, compares=True)]
    )
