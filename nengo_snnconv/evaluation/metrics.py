"""Figures of merit from arrays: accuracy, confusion, intervals, spike counts."""

import numpy as np


def accuracy(predictions, y):
    """Share of right predictions along the last axis: (..., n) and (n,) give (...)."""
    return (np.asarray(predictions) == np.asarray(y)).mean(axis=-1)


def first_lasting(holds):
    """The number, from 1, of the first step from which on something holds in all steps; None if not in the last."""
    failing = np.flatnonzero(~np.asarray(holds))
    first = failing[-1] + 2 if len(failing) else 1
    return int(first) if first <= len(holds) else None


def paired_interval(lost, gained, n, z=1.96):
    """Limits within which a change of accuracy lies in general, if it was seen on ``n`` images (95 % by default).

    The score interval of Tango 1998 (Statistics in Medicine 17, 891) for the difference of matched proportions: the
    changes D at which that of the images is z standard deviations away,

        lost - gained - n D = +-z sqrt(n (2 q + D (1 - D))),

    with q the most likely share of images that are gained, given D.  It is not empty where no prediction changed.

    Parameters
    ----------
    lost, gained : int
        Images that were right before and wrong after, and the other way round.
    n : int
    z : float
        Quantile of the normal distribution.

    Returns
    -------
    (float, float)
        Of (lost - gained) / n.
    """

    def deviation(change):
        half = (lost + gained - (2 * n - lost + gained) * change) / (4 * n)
        share = half + np.sqrt(half**2 + gained * change * (1 - change) / (2 * n))
        return (lost - gained - n * change) / np.sqrt(max(n * (2 * share + change * (1 - change)), 1e-30))

    def limit(wanted):
        low, high = -1.0, 1.0
        for _ in range(60):  # the deviation falls with the change
            middle = (low + high) / 2
            low, high = (middle, high) if deviation(middle) > wanted else (low, middle)
        return (low + high) / 2

    return limit(z), limit(-z)


def confusion_matrix(y, predictions, n_classes):
    """How often class i was predicted as class j: an int array (classes, classes), rows true, columns predicted."""
    counts = np.bincount(np.asarray(y) * n_classes + np.asarray(predictions), minlength=n_classes**2)
    return counts.reshape(n_classes, n_classes)


def spike_counts(output, amplitude, dt):
    """Number of spikes per step from a spiking neuron's output, in which a spike has the height amplitude / dt.

    Parameters
    ----------
    output : ndarray
    amplitude : float
    dt : float
        In seconds.

    Returns
    -------
    ndarray of the same shape
        Whole numbers; a negative spike counts as a spike.
    """
    return np.rint(np.abs(output) * (dt / amplitude))
