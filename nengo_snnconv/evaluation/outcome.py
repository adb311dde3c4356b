"""outcome: the attributes of an Evaluation that follow from what was kept of each image and step."""

from __future__ import annotations

import typing

import numpy as np

if typing.TYPE_CHECKING:
    from .task import Task

# names of the measures that are the accuracy, in order of precedence
ACCURACIES = ("accuracy", "accuracy of labels", "agreement with the ANN")


def outcome(task: Task, records: np.ndarray) -> dict[str, typing.Any]:
    """Return the attributes of an Evaluation that follow from what was kept of each image and step.

    Parameters
    ----------
    task : Task
    records : ndarray, (steps, images, ...)
    """
    measures, ann_scores = task.head.measures(task, records), task.ann_scores()
    of_predictions = {measure.name: measure for measure in measures if measure.percent and not measure.output}
    accuracy = next((of_predictions[name] for name in ACCURACIES if name in of_predictions), None)
    return {
        "accuracy": None if accuracy is None else accuracy.steps,
        "ann_accuracy": None if accuracy is None or task.ann is None else 1.0 if accuracy.compares else accuracy.ann,
        "step_predictions": records if task.head.decides else None,
        "ann_predictions": None if task.ann is None else task.head.shaped(task.ann),
        "y": task.head.shaped(task.reference),
        "head": task.head.name,
        "labelled": task.labelled,
        "score": task.image_scores(records).mean(axis=-1, dtype=float),
        "ann_score": None if ann_scores is None else float(ann_scores.mean()),
        "measures": measures,
        "records": records,
        "task": task,
    }
