"""OfValue: how well each of the values of a regression is predicted, which may have different units."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping, Sequence

import numpy as np

from .._util.text_tables import percent
from .._util.validation import check_names
from ..errors import SettingsError, listed
from . import metrics

if typing.TYPE_CHECKING:
    from .task import Task

# largest number of values that are listed one by one
MOST_LISTED = 10


@dataclasses.dataclass(frozen=True)
class OfValue:
    """Errors of one of the values of a regression after the last step.

    Attributes
    ----------
    name : str
    error : float
        Mean absolute error, in the units of the value; the difference from the ANN without targets.
    score : float
        R², the explained share of the variance of the value between images.
    ann_error, ann_score : float or None
        The same of the ANN; None without an ANN, or without targets.
    """

    name: str
    error: float
    score: float
    ann_error: float | None
    ann_score: float | None

    def __str__(self) -> str:
        error, score = f"mean absolute error {self.error:.4g}", f"R² {percent(self.score)}"
        if self.ann_error is not None and self.ann_score is not None:
            error, score = f"{error} ({self.ann_error:.4g} with rates)", f"{score} ({percent(self.ann_score)})"
        return f"{error}, {score}"

    def to_row(self) -> tuple[str, ...]:
        """Return the row of a table, whose header is :data:`HEADER`."""
        of_ann = ["", ""]
        if self.ann_error is not None and self.ann_score is not None:
            of_ann = [f"{self.ann_error:.4g}", percent(self.ann_score)]
        return self.name, f"{self.error:.4g}", of_ann[0], percent(self.score), of_ann[1]

    def to_dict(self) -> dict[str, typing.Any]:
        """Return the attributes as JSON-serializable values."""
        return dataclasses.asdict(self)


HEADER = ("value", "mean absolute error", "with rates (ANN)", "R²", "R² with rates")


def errors_by_value(task: Task, scores: np.ndarray, names: Sequence[str] | None = None) -> list[OfValue]:
    """Return the errors of each value.

    Parameters
    ----------
    task : Task
        That of a regression.
    scores : ndarray, (images, outputs)
        Outputs after the last step.
    names : sequence of str, optional
        Names of the values; by default "value 0" and so on.

    Raises
    ------
    SettingsError
        If the outputs are not the values of a regression, or there are not as many names.
    """
    if task.head.decides or task.parts:
        raise SettingsError(
            "by_value is for the values of a regression"
            + (": use evaluation.heads[name].by_value()" if task.parts else ", which this network does not predict"),
            argument="evaluation",
        )
    reference, predictions = task.reference.astype(float), task.head.predict(scores)
    n_values = reference.shape[1]
    check_names(n_values, "value", class_names=names)
    names = [f"value {number}" for number in range(n_values)] if names is None else list(map(str, names))
    units = [metrics.variance(values) for values in reference.T]
    errors, scores = _errors(predictions, reference, units)
    ann_errors, ann_scores = [None] * n_values, [None] * n_values
    if task.labelled and task.ann is not None:
        ann_errors, ann_scores = _errors(task.ann, reference, units)
    return [OfValue(*columns) for columns in zip(names, errors, scores, ann_errors, ann_scores, strict=True)]


def _errors(predictions, reference, units):
    """Return the mean absolute error of each column, and R²."""
    difference = np.abs(predictions - reference)
    scores = 1 - np.square(difference).mean(axis=0) / units
    return difference.mean(axis=0).tolist(), scores.tolist()


def named_by_output(
    evaluation: typing.Any, class_names: Sequence[str] | Mapping[str, Sequence[str]] | None
) -> dict[str, tuple[str, ...]]:
    """Return the names of the classes, labels or values of each output, checked; the key of the only one is "".

    Of several outputs, names that are not in a dict belong to the first output that has as many classes or values.
    """
    heads = evaluation.heads or {"": evaluation}
    if class_names is None:
        return {}
    if not evaluation.heads:
        class_names = {"": typing.cast(Sequence[str], class_names)}
    elif not isinstance(class_names, Mapping):
        # names of the classes of a data set belong to the output that has as many
        count = len(class_names)
        fitting = [name for name, head in heads.items() if head.task.head.n_classes == count]
        fitting += [name for name, head in heads.items() if head.task.head.n_names == count]
        class_names = dict.fromkeys(fitting[:1], class_names)
    for name, names in class_names.items():
        if name not in heads:
            raise SettingsError(
                f"class_names has {name!r}, but the outputs are {listed(heads, 8)}", argument="class_names"
            )
        if n_names := heads[name].task.head.n_names:
            check_names(n_names, class_names=names)
    return {name: tuple(map(str, names)) for name, names in class_names.items()}
