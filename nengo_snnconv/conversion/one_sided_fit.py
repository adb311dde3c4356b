"""one_sided_fit: least squares in which an output that is low enough costs nothing."""

from __future__ import annotations

import numpy as np
import scipy.linalg

MOST_ITERATIONS = 20
# the fit ends when an iteration reduces the error by less than this share
LEAST_GAIN = 0.003


def one_sided_fit(
    x: np.ndarray, target: np.ndarray, free_below: np.ndarray, old: np.ndarray, strength: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights and the bias of a one-sided ridge regression towards given weights.

    They minimize the mean over rows of the squared errors, plus ``strength`` times the mean variance of the inputs
    times the squared distance from ``old``.  The error of an output is its distance from ``target``; or, where
    ``free_below`` is not NaN, how far it lies above ``free_below``.  This is a convex problem.  An error of one side is
    the distance from the nearest value that costs nothing, so each iteration is an ordinary regression to the targets
    that were nearest to the last outputs (majorization), accelerated by momentum (Beck & Teboulle 2009, doi
    10.1137/080716542, with the restarts of O'Donoghue & Candes 2015, doi 10.1007/s10208-013-9150-3).

    Parameters
    ----------
    x : ndarray of float32, (rows, inputs)
    target : ndarray of float32, (rows, outputs)
    free_below : ndarray of float32, (rows, outputs)
        Largest output that costs nothing; NaN where the target must be met.
    old : ndarray, (inputs, outputs)
        Weights to which the solution is pulled.
    strength : float
        Strength of the regularization, above 0.  It is raised if the regression cannot be solved in float32, because
        inputs depend on each other.

    Returns
    -------
    weights : ndarray of float32, (inputs, outputs)
    bias : ndarray of float32, (outputs,)

    Examples
    --------
    >>> x = np.array([[-1.0], [0.0], [1.0]], np.float32)
    >>> target = np.array([[-3.0], [0.0], [1.0]], np.float32)
    >>> free_below = np.array([[0.0], [np.nan], [np.nan]], np.float32)
    >>> one_sided_fit(x, target, free_below, np.zeros((1, 1)), strength=1e-6)  # weight 1, bias 0: -1 is low enough
    """
    # products of deviations lose no digits in float32 where inputs hardly vary
    mean = x.mean(axis=0, dtype=np.float64).astype(np.float32)
    x = x - mean
    covariance = (x.T @ x).astype(np.float64) / len(x)
    pull = strength * max(np.trace(covariance) / len(old), 1e-12)
    factor, pull = ridge_factor(covariance, pull, np.float32)
    old = old.astype(np.float32)

    def regression(goal):
        mean_goal = goal.mean(axis=0, dtype=np.float64).astype(np.float32)
        with_goal = x.T @ (goal - mean_goal) / np.float32(len(x))
        return scipy.linalg.cho_solve(factor, with_goal + np.float32(pull) * old), mean_goal

    one_sided = ~np.isnan(free_below)
    weights, bias = regression(target)
    ahead, momentum, smallest = (weights, bias), 1.0, np.inf
    for _ in range(MOST_ITERATIONS):
        output = x @ ahead[0] + ahead[1]
        goal = np.where(one_sided, np.minimum(output, free_below), target)
        error = np.mean((output - goal) ** 2, dtype=np.float64) * len(bias) + pull * np.sum((ahead[0] - old) ** 2)
        if error > smallest:  # momentum led too far
            if momentum == 1:
                break
            ahead, momentum = (weights, bias), 1.0
            continue
        converged = error > (1 - LEAST_GAIN) * smallest
        smallest = error
        before, (weights, bias) = (weights, bias), regression(goal)
        if converged:
            break
        following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        step = np.float32((momentum - 1) / following)
        ahead = weights + step * (weights - before[0]), bias + step * (bias - before[1])
        momentum = following
    return weights, bias - mean @ weights


def ridge_factor(
    covariance: np.ndarray, pull: float, dtype: type = np.float64
) -> tuple[tuple[np.ndarray, bool], float]:
    """Return the Cholesky factor of ``covariance + pull``, and the pull, raised until rounding errors are smaller."""
    while True:
        try:
            return scipy.linalg.cho_factor((covariance + pull * np.eye(len(covariance))).astype(dtype)), pull
        except np.linalg.LinAlgError:
            pull *= 10
