"""Trials of remedies: each remedy that a diagnosis could name is applied and evaluated on its images."""

from __future__ import annotations

import dataclasses
import typing

import numpy as np

from ...evaluation.evaluate import evaluate
from ...evaluation.metrics import paired_interval
from .remedies import Remedy

if typing.TYPE_CHECKING:
    from ...evaluation.result import Evaluation
    from .result import Diagnosis


def with_tried_remedies(
    diagnosis: Diagnosis, x: np.ndarray, y: np.ndarray, x_calibration: np.ndarray, run: dict[str, typing.Any]
) -> Diagnosis:
    """Return the diagnosis with all remedies of its findings measured.

    Parameters
    ----------
    diagnosis : Diagnosis
    x : ndarray, (images, height, width, channel)
        Images of the diagnosis.
    y : ndarray of int, (images,)
    x_calibration : ndarray, (images, height, width, channel)
        Images that normalize or calibrate networks.
    run : dict
        Arguments of ``evaluate`` in the diagnosis.
    """
    tried: dict[str, Remedy] = {}
    for remedy in (remedy for finding in diagnosis.findings for remedy in finding.remedies):
        if remedy.code not in tried:
            changed = remedy.apply(diagnosis.network, x_calibration)
            evaluation = evaluate(changed, x, y, **{**run, **remedy.options})
            tried[remedy.code] = dataclasses.replace(
                remedy,
                accuracy=float(evaluation.accuracy[-1]),
                helps=is_better(evaluation, diagnosis.evaluation),
            )
    return dataclasses.replace(diagnosis, tried=tuple(tried.values()))


def is_better(evaluation: Evaluation, before: Evaluation) -> bool:
    """Return whether an evaluation is more accurate than another of the same images, by more than chance.

    That is if 0 is below the 95 % confidence interval of the paired difference of accuracies.
    """
    now, then = evaluation.predictions == evaluation.y, before.predictions == before.y
    low, _ = paired_interval(int((now & ~then).sum()), int((then & ~now).sum()), len(before.y))
    return low > 0
