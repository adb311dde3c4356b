"""Trials of remedies: each remedy that a diagnosis could name is applied and evaluated on its images."""

from __future__ import annotations

import dataclasses
import typing

import numpy as np

from ...evaluation.evaluate import evaluate_observed
from ...evaluation.metrics import interval_of_change
from ...evaluation.run_options import RunOptions
from .remedies import Remedy

if typing.TYPE_CHECKING:
    from ...evaluation.result import Evaluation
    from ...evaluation.task import Task
    from .result import Diagnosis


def with_tried_remedies(
    diagnosis: Diagnosis, x: np.ndarray, task: Task, x_calibration: np.ndarray, run: dict[str, typing.Any]
) -> Diagnosis:
    """Return the diagnosis with all remedies of its findings measured.

    Parameters
    ----------
    diagnosis : Diagnosis
    x : ndarray, (images, height, width, channel)
        Images of the diagnosis.
    task : Task
        Task of the images.
    x_calibration : ndarray, (images, height, width, channel)
        Images that normalize or calibrate networks.
    run : dict
        Arguments of ``evaluate`` in the diagnosis.
    """
    tried: dict[str, Remedy] = {}
    for remedy in (remedy for finding in diagnosis.findings for remedy in finding.remedies):
        if remedy.code not in tried:
            changed = remedy.apply(diagnosis.network, x_calibration)
            options = {**run, **remedy.options}
            n_steps, progress = options.pop("n_steps"), options.pop("progress")
            evaluation = evaluate_observed(changed, x, task, n_steps, RunOptions(**options), progress=progress)
            tried[remedy.code] = dataclasses.replace(
                remedy,
                accuracy=float(evaluation.score[-1]),
                helps=is_better(evaluation, diagnosis.evaluation),
            )
    return dataclasses.replace(diagnosis, tried=tuple(tried.values()))


def is_better(evaluation: Evaluation, before: Evaluation) -> bool:
    """Return whether an evaluation is more accurate than another of the same images, by more than chance.

    That is if 0 is below the 95 % confidence interval of the paired difference of accuracies.
    """
    low, _ = interval_of_change(evaluation.image_scores(), before.image_scores())
    return low > 0
