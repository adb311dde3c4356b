"""Metrics computed from arrays: accuracy, confusion matrix, confidence interval, spike counts."""

from __future__ import annotations

import numpy as np


def accuracy(predictions: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the fraction of correct predictions along the last axis: (..., n) and (n,) give (...)."""
    return (np.asarray(predictions) == np.asarray(y)).mean(axis=-1)


def balanced_accuracy(predictions: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the mean over classes of the fraction of their images that are predicted correctly, (..., n) to (...)."""
    correct, classes = np.asarray(predictions) == np.asarray(y), np.unique(y)
    return np.mean([correct[..., y == each].mean(axis=-1) for each in classes], axis=0)


def label_accuracy(predictions: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the fraction of labels that are predicted correctly: (..., n, labels) and (n, labels) give (...)."""
    return (np.asarray(predictions) == np.asarray(y)).mean(axis=(-2, -1))


def image_f1(predictions: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the F1 of the labels of each image, bool (..., n, labels) and (n, labels) give (..., n).

    Twice the number of labels in both sets, divided by the sum of their sizes; 1 if both are empty.  Its mean is
    scikit-learn's ``f1_score(y, predictions, average="samples", zero_division=1)``.
    """
    both = (predictions & y).sum(axis=-1)
    sizes = predictions.sum(axis=-1) + y.sum(axis=-1)
    return np.where(sizes, 2 * both / np.maximum(sizes, 1), 1.0)


def errors(values: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return the mean squared and the mean absolute error over the last axis: (..., outputs) gives (..., 2)."""
    difference = np.abs(values - reference)
    return np.stack([np.square(difference).mean(axis=-1), difference.mean(axis=-1)], axis=-1)


def variance(values: np.ndarray) -> float:
    """Return the variance over the first axis, averaged over the others; their mean square, or 1, if it is 0."""
    values = np.asarray(values, float)
    return float(values.var(axis=0).mean()) or float(np.square(values).mean()) or 1.0


def same(predictions: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return whether predictions of each image are the same, (..., n): classes (n,), or all labels of (n, labels)."""
    equal = np.asarray(predictions) == np.asarray(others)
    return equal.all(axis=-1) if np.ndim(others) > 1 else equal


def margins(scores: np.ndarray) -> np.ndarray:
    """Return the largest score minus the second largest along the last axis, float32; infinite for a single class."""
    if scores.shape[-1] == 1:
        return np.full(scores.shape[:-1], np.inf, np.float32)
    largest = np.partition(np.asarray(scores, np.float32), -2)
    return largest[..., -1] - largest[..., -2]


def first_lasting(holds: np.ndarray) -> int | None:
    """Return the first step (1-based) from which the condition always holds; None if it fails in the last step.

    Parameters
    ----------
    holds : ndarray of bool, (steps,)
    """
    failing = np.flatnonzero(~np.asarray(holds))
    first = failing[-1] + 2 if len(failing) else 1
    return int(first) if first <= len(holds) else None


def paired_interval(lost: int, gained: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """Return the confidence interval of a change of accuracy that was measured on ``n`` images.

    The score interval of Tango 1998 (Statistics in Medicine 17, 891) for the difference of matched proportions: the
    changes D from which the measured one is z standard deviations away,

        lost - gained - n D = +-z sqrt(n (2 q + D (1 - D))),

    where q is the maximum-likelihood fraction of images that are gained, given D.  The interval is not empty if no
    prediction changed.

    Parameters
    ----------
    lost, gained : int
        Number of images that were predicted correctly before but not after, and after but not before.
    n : int
        Number of images.
    z : float
        Quantile of the normal distribution; the default is that of 95 %.

    Returns
    -------
    (float, float)
        Limits of (lost - gained) / n.
    """

    def deviation(change):
        half = (lost + gained - (2 * n - lost + gained) * change) / (4 * n)
        share = half + np.sqrt(half**2 + gained * change * (1 - change) / (2 * n))
        return (lost - gained - n * change) / np.sqrt(max(n * (2 * share + change * (1 - change)), 1e-30))

    def limit(target):
        low, high = -1.0, 1.0
        for _ in range(60):  # bisection, as the deviation decreases with the change
            middle = (low + high) / 2
            low, high = (middle, high) if deviation(middle) > target else (low, middle)
        return (low + high) / 2

    return limit(z), limit(-z)


def interval_of_change(before: np.ndarray, after: np.ndarray, z: float = 1.96) -> tuple[float, float]:
    """Return the confidence interval of the mean of ``before - after``, scores (images,) of the same images.

    It is that of :func:`paired_interval` for scores of 0 and 1, else that of a normal distribution.
    """
    change = before - after
    if np.isin(before, (0, 1)).all() and np.isin(after, (0, 1)).all():
        return paired_interval(int((change > 0).sum()), int((change < 0).sum()), len(change), z)
    half = z * change.std(ddof=1) / np.sqrt(len(change)) if len(change) > 1 else np.inf
    return float(change.mean() - half), float(change.mean() + half)


def confusion_matrix(y: np.ndarray, predictions: np.ndarray, n_classes: int) -> np.ndarray:
    """Return the confusion matrix, int (classes, classes): rows are true classes, columns predicted ones."""
    counts = np.bincount(np.asarray(y) * n_classes + np.asarray(predictions), minlength=n_classes**2)
    return counts.reshape(n_classes, n_classes)


def spike_counts(output: np.ndarray, amplitude: float, dt: float) -> np.ndarray:
    """Return the number of spikes in each step from the output of spiking neurons.

    A spike is an impulse of height amplitude / dt; a negative one counts like a positive one.

    Parameters
    ----------
    output : ndarray
    amplitude : float
    dt : float
        Seconds per step.

    Returns
    -------
    ndarray of the same shape
        Whole numbers.
    """
    return np.rint(np.abs(output) * (dt / amplitude))
