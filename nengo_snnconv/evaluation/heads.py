"""Heads: what the outputs of a network mean, what is kept of each step, and how it is measured.

The model and the targets choose the head, see :func:`.task.as_task`.
"""

from __future__ import annotations

import abc
import dataclasses
import types
import typing

import numpy as np

from ..model.ports import as_records
from . import metrics
from .measures import Measure, agreement, measured

if typing.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .task import Task


class Head(abc.ABC):
    """Meaning of the outputs of a network.

    Attributes
    ----------
    name : str
        "classes", "binary", "labels", "values" or "heads".
    score_name : str
        Name of the score, from which losses are computed.
    decides : bool
        True if predictions are decisions, which have a margin.
    n_classes : int
        Number of classes or labels; 0 if there are none.
    chance : float
        Score of guessing.
    entries : dict of str to slice
        Entries of each of several outputs in the vector of all of them, by name.
    """

    name: typing.ClassVar[str]
    score_name: str
    decides: bool = True
    n_classes: int = 0
    chance: float = 0.0
    entries: Mapping[str, slice] = types.MappingProxyType({})

    @property
    def kind(self) -> str:
        """Name of the head, with those of its parts: networks with equal kinds have predictions of the same form."""
        parts = ", ".join(f"{name} {head.kind}" for name, head in self.parts.items())
        return f"{self.name}: {parts}" if parts else self.name

    @property
    def n_names(self) -> int:
        """Number of classes, labels or values that may have names."""
        return self.n_classes

    @property
    def parts(self) -> dict[str, Head]:
        """Head of each of several outputs, by name; empty for one output."""
        return {}

    @abc.abstractmethod
    def predict(self, outputs: np.ndarray) -> np.ndarray:
        """Return the predictions for outputs, (..., outputs)."""

    @abc.abstractmethod
    def margins(self, outputs: np.ndarray) -> np.ndarray:
        """Return how far outputs (..., outputs) are from another decision, float32 (...)."""

    def record(self, outputs: np.ndarray, references: Sequence[np.ndarray]) -> np.ndarray:
        """Return what is kept of outputs (images, steps, outputs): predictions, (images, steps, ...).

        ``references`` are values of the same images with which the outputs are compared.
        """
        return self.predict(outputs)

    def shaped(self, predictions: np.ndarray) -> np.ndarray:
        """Return predictions (images, ...) in the shape that users see."""
        return predictions

    def records_of(self, predictions: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Return what :meth:`record` keeps of predictions (images, ...), to compare them with values (images, ...)."""
        return predictions

    @abc.abstractmethod
    def image_scores(self, records: np.ndarray, reference: np.ndarray, task: Task) -> np.ndarray:
        """Return the score of each image, (..., images), from records (..., images, ...); the score is their mean."""

    @abc.abstractmethod
    def measures(self, task: Task, records: np.ndarray) -> list[Measure]:
        """Return the measures of all steps, the main one first, from records (steps, images, ...)."""


class Classes(Head):
    """One score for each class; the prediction is the class with the largest one.

    Parameters
    ----------
    n_classes : int
    assumed : bool
        True if nothing but the number of outputs tells that they are class scores.
    """

    name = "classes"
    score_name = "accuracy"

    def __init__(self, n_classes: int, assumed: bool = False):
        self.n_classes, self.chance, self.assumed = n_classes, 1 / n_classes, assumed

    def predict(self, outputs):
        return outputs.argmax(axis=-1).astype(np.int32)

    def margins(self, outputs):
        return metrics.margins(outputs)

    def image_scores(self, records, reference, task):
        return (records == reference).astype(float)

    def measures(self, task, records):
        found = agreement(task, records, metrics.accuracy)
        if task.labelled:
            found = [
                measured("accuracy", task, records, metrics.accuracy),
                measured("balanced accuracy", task, records, metrics.balanced_accuracy),
                *found,
            ]
        return found


class Binary(Classes):
    """One output, the logit of class 1, which is the prediction if the output is above 0.

    These are two classes, of which class 0 has the score 0.
    """

    name = "binary"

    def __init__(self):
        super().__init__(2)

    def predict(self, outputs):
        return (outputs[..., 0] > 0).astype(np.int32)

    def margins(self, outputs):
        return np.abs(np.asarray(outputs[..., 0], np.float32))


class Labels(Head):
    """One logit for each label, which an image has if the logit is above 0.

    The margin is the smallest distance of a logit from 0.  By that much the best set of labels is better than the
    second best.
    """

    name = "labels"
    score_name = "F1"

    def __init__(self, n_labels: int):
        self.n_classes = n_labels

    def predict(self, outputs):
        return outputs > 0

    def margins(self, outputs):
        return np.abs(np.asarray(outputs, np.float32)).min(axis=-1)

    def image_scores(self, records, reference, task):
        return metrics.image_f1(records, reference) if task.labelled else (records == reference).mean(axis=-1)

    def measures(self, task, records):
        found = agreement(task, records, metrics.label_accuracy)
        if task.labelled:
            found = [
                measured("F1", task, records, lambda *labels: metrics.image_f1(*labels).mean(axis=-1)),
                measured("accuracy of labels", task, records, metrics.label_accuracy),
                *found,
            ]
        return found


class Values(Head):
    """Numbers, such as those of a regression or the pixels of an image.

    Of each step, the mean squared and the mean absolute error of each image are kept, compared with each reference,
    float32 (images, steps, references, 2).

    Parameters
    ----------
    shape : tuple of int
        Shape of the output for an image.
    sigmoid : bool
        True if a sigmoid was left out at the end of the model; it is applied to the outputs after each step.
    """

    name = "values"
    score_name = "R²"
    decides = False

    def __init__(self, shape: tuple[int, ...], sigmoid: bool = False):
        self.shape, self.sigmoid = shape, sigmoid

    def predict(self, outputs):
        outputs = np.asarray(outputs, np.float32)
        # a sigmoid that cannot overflow
        return (1 + np.tanh(outputs / 2)) / 2 if self.sigmoid else outputs

    def margins(self, outputs):
        return np.full(outputs.shape[:-1], np.nan, np.float32)

    def shaped(self, predictions):
        return predictions.reshape(len(predictions), *self.shape)

    @property
    def n_names(self):
        return self.shape[0] if len(self.shape) == 1 else 0

    def record(self, outputs, references):
        values = self.predict(outputs)
        errors = [metrics.errors(values, reference[:, None]) for reference in references]
        return np.stack(errors, axis=-2)

    def records_of(self, predictions, reference):
        return metrics.errors(predictions, reference)[:, None]

    def image_scores(self, records, reference, task):
        return 1 - records[..., 0, 0] / task.variance

    def measures(self, task, records):
        found = []
        if task.labelled:
            of_ann = None if task.ann is None else metrics.errors(task.ann, task.y).mean(axis=0)
            for kind, name in enumerate(("mean squared error", "mean absolute error")):
                steps = records[:, :, 0, kind].mean(axis=1, dtype=float)
                found.append(Measure(name, steps, None if of_ann is None else float(of_ann[kind]), percent=False))
            found.append(self._score(task, records))
        if task.ann is not None:
            for kind, name in enumerate(("MSE against the ANN", "MAE against the ANN")):
                steps = records[:, :, -1, kind].mean(axis=1, dtype=float)
                found.append(Measure(name, steps, None, percent=False, compares=True))
        return found if task.labelled else [*found, self._score(task, records)]

    def _score(self, task, records):
        """Return R² as a measure."""
        steps, ann = task.image_scores(records).mean(axis=-1, dtype=float), task.ann_scores()
        of_ann = float(ann.mean()) if task.labelled and ann is not None else None
        return Measure(task.score_name, steps, of_ann, compares=not task.labelled)


class Heads(Head):
    """Several outputs, each with a head of its own; what is kept of them are structured arrays with a field for each.

    The score is the mean of their scores, and the margin that of the output whose decision is closest.  If one of
    them is a regression, there are no margins.

    Parameters
    ----------
    parts : dict of str to (slice, Head)
        The entries of each output in the vector of all of them, and its head.
    """

    name = "heads"
    score_name = "mean score"

    def __init__(self, parts: dict[str, tuple[slice, Head]]):
        self.entries = {name: entries for name, (entries, _) in parts.items()}
        self._parts = {name: head for name, (_, head) in parts.items()}
        self.decides = all(head.decides for head in self._parts.values())
        self.chance = float(np.mean([head.chance for head in self._parts.values()]))

    @property
    def parts(self):
        return self._parts

    def _join(self, n_axes, function, *arrays):
        """Return the results of a function of each name, head and the entries of ``arrays``, as a structured array."""
        found = {
            name: function(name, head, *(array[..., self.entries[name]] for array in arrays))
            for name, head in self._parts.items()
        }
        return as_records(found, n_axes)

    def predict(self, outputs):
        return self._join(outputs.ndim - 1, lambda name, head, own: head.predict(own), outputs)

    def margins(self, outputs):
        if not self.decides:
            return np.full(outputs.shape[:-1], np.nan, np.float32)
        return np.min([head.margins(outputs[..., self.entries[name]]) for name, head in self._parts.items()], axis=0)

    def shaped(self, predictions):
        return as_records({name: head.shaped(predictions[name]) for name, head in self._parts.items()}, 1)

    def record(self, outputs, references):
        def of_part(name, head, own):
            return head.record(own, [reference[name] for reference in references])

        return self._join(2, of_part, outputs)

    def records_of(self, predictions, reference):
        parts = self._parts.items()
        return as_records({name: head.records_of(predictions[name], reference[name]) for name, head in parts}, 1)

    def image_scores(self, records, reference, task):
        parts = [
            head.image_scores(records[name], reference[name], task.parts[name]) for name, head in self._parts.items()
        ]
        return np.mean(parts, axis=0)

    def measures(self, task, records):
        ann = task.ann_scores()
        scores = np.array([task.image_scores(of_step).mean() for of_step in records])
        found = [Measure(self.score_name, scores, None if ann is None else float(ann.mean()))]
        for name, head in self._parts.items():
            for measure in head.measures(task.parts[name], records[name]):
                found.append(dataclasses.replace(measure, output=name))
        return found
