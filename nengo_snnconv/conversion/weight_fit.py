"""WeightFit: least-squares fit of a layer's weights to the activity that the layer really receives."""

from __future__ import annotations

import functools
import typing

import numpy as np
import scipy.linalg

from ..model import layers as specs
from ..model.layers import window_offset, window_output
from .one_sided_fit import one_sided_fit, ridge_factor

# number of rows of a fit: for each input of a neuron, and at least; and the largest number of inputs in all rows
ROWS_PER_INPUT = 20
LEAST_ROWS = 20_000
MOST_INPUTS = 150_000_000
# strengths of the regularization that are tried; infinity keeps the weights, and changes the bias only
STRENGTHS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, np.inf)
LEAST_STRENGTH = 1e-9


class WeightFit:
    """Fit of weights and biases to pairs of input and target, which are added in parts.

    The weights minimize the mean squared error, plus ``regularization`` times the mean variance of the inputs times the
    squared distance from the old weights (ridge regression towards the old weights).  The bias removes the mean error.

    Parameters
    ----------
    layer : Conv, Dense or Affine
    arrays : dict of str to ndarray
        Arrays of the layer.
    """

    def __init__(self, layer: specs.Layer, arrays: dict[str, np.ndarray]):
        self.layer = layer
        self.name = "scale" if isinstance(layer, specs.Affine) else "kernel"
        self.weights = arrays[self.name]
        channels = self.weights.shape[-1]
        self.groups = layer.groups if isinstance(layer, specs.Conv) else 1
        if isinstance(layer, specs.Affine):  # a convolution of one position, with a group for each channel
            self.groups = channels
        matrix = self.weights.reshape(-1, channels).astype(np.float64)
        self.matrices = np.split(matrix, self.groups, axis=1)
        self.n_images = 0
        # sums over the even images and over the odd ones, for each group
        self.halves: list[list[_Sums] | None] = [None, None]
        # rows of a one-sided fit, for each group: inputs, targets, and outputs that are low enough
        self.rows: list[list[tuple[np.ndarray, ...]]] = [[] for _ in range(self.groups)]

    @property
    def rows_needed(self) -> int:
        """Number of rows, that is, positions in images, that the fit should be based on."""
        inputs = len(self.matrices[0])
        return min(max(LEAST_ROWS, ROWS_PER_INPUT * inputs), MOST_INPUTS // (self.groups * inputs))

    def add(
        self,
        x: np.ndarray,
        target: np.ndarray,
        most_rows: int,
        rng: np.random.Generator,
        free_below: np.ndarray | None = None,
    ) -> None:
        """Add up to ``most_rows`` positions, drawn at random, of inputs and targets, (images, ..., channel).

        With ``free_below``, of the same shape as ``target``, the fit is one-sided: outputs up to it have no error,
        except where it is NaN.
        """
        rows = rows_of(self.layer, x)
        targets = target.reshape(-1, target.shape[-1])
        chosen = np.sort(rng.permutation(len(targets))[:most_rows])
        odd = (chosen // (len(targets) // len(x)) + self.n_images) % 2
        self.n_images += len(x)
        for half in (0, 1):
            if not (odd == half).any():
                continue
            part = chosen[odd == half]
            grouped = np.split(rows(part).astype(np.float32), self.groups, axis=2)
            split = np.split(targets[part].astype(np.float32), self.groups, axis=1)
            grouped = [inputs.reshape(len(inputs), -1) for inputs in grouped]
            sums = [_Sums.of(inputs, values) for inputs, values in zip(grouped, split, strict=True)]
            self.halves[half] = _added(self.halves[half], sums)
            if free_below is not None:
                bounds = free_below.reshape(targets.shape)[part].astype(np.float32)
                for kept, *values in zip(self.rows, grouped, split, np.split(bounds, self.groups, axis=1), strict=True):
                    kept.append(tuple(values))

    def solve(self, regularization: float | None = None) -> dict[str, np.ndarray]:
        """Return the fitted arrays of the layer, with a bias.

        By default, the regularization is the one of ``STRENGTHS`` with the smallest error in cross-validation: of the
        fit to the even images on the odd ones, and the other way round.
        """
        if regularization is None:
            regularization = self._best_strength() if None not in self.halves else 1.0
        fits = [
            sums.fit(matrix, regularization) for sums, matrix in zip(_added(*self.halves), self.matrices, strict=True)
        ]
        if self.rows[0] and np.isfinite(regularization):
            fits = []
            for rows, matrix in zip(self.rows, self.matrices, strict=True):
                x, target, free_below = map(np.concatenate, zip(*rows, strict=True))
                fits.append(one_sided_fit(x, target, free_below, matrix, max(regularization, LEAST_STRENGTH)))
        kernel = np.concatenate([matrix for matrix, _ in fits], axis=1).reshape(self.weights.shape)
        return {self.name: kernel, "bias": np.concatenate([bias for _, bias in fits])}

    def covariances(self) -> list[np.ndarray]:
        """Return the covariance of the inputs of each group, (inputs, inputs)."""
        return [sums.covariance for sums in _added(*self.halves)]

    def bias_for(self, weights: np.ndarray) -> np.ndarray:
        """Return the bias that removes the mean error with given weights."""
        matrices = np.split(weights.reshape(-1, weights.shape[-1]), self.groups, axis=1)
        sums = _added(*self.halves)
        return np.concatenate(
            [(each.y - each.x @ matrix) / each.n for each, matrix in zip(sums, matrices, strict=True)]
        )

    def _best_strength(self):
        errors = dict.fromkeys(STRENGTHS, 0.0)
        for strength in STRENGTHS:
            for fitted, tested in (self.halves, self.halves[::-1]):
                for matrix, sums, others in zip(self.matrices, fitted, tested, strict=True):
                    errors[strength] += others.error(*sums.fit(matrix, strength))
        return min(errors, key=errors.get)


class _Sums(typing.NamedTuple):
    """Sums over rows: their number, inputs, targets, and products of deviations from the means.

    The products are of inputs, and of inputs and targets.  Products of deviations lose no digits in float32 where
    inputs hardly vary, unlike the products of the inputs themselves.
    """

    n: int
    x: np.ndarray
    y: np.ndarray
    xx: np.ndarray
    xy: np.ndarray

    @classmethod
    def of(cls, x, y):
        sums = x.sum(0, np.float64), y.sum(0, np.float64)
        x, y = (values - (total / len(x)).astype(np.float32) for values, total in zip((x, y), sums, strict=True))
        return cls(len(x), *sums, (x.T @ x).astype(np.float64), (x.T @ y).astype(np.float64))

    def __add__(self, other):
        n = self.n + other.n
        x, y = other.x / other.n - self.x / self.n, other.y / other.n - self.y / self.n
        weight = self.n * other.n / n
        products = self.xx + other.xx + weight * np.outer(x, x), self.xy + other.xy + weight * np.outer(x, y)
        return _Sums(n, self.x + other.x, self.y + other.y, *products)

    @property
    def covariance(self):
        """Covariance of the inputs."""
        return self.xx / self.n

    def fit(self, old, strength):
        """Return weights and bias of the ridge regression towards the weights ``old``."""
        new = old
        if np.isfinite(strength):
            covariance = self.covariance
            pull = max(strength, LEAST_STRENGTH) * max(np.trace(covariance) / len(old), 1e-12)
            factor, _ = ridge_factor(covariance, pull)
            new = old + scipy.linalg.cho_solve(factor, self.xy / self.n - covariance @ old)
        return new, (self.y - self.x @ new) / self.n

    def error(self, weights, bias):
        """Return the mean squared error summed over outputs, less a part that depends on the targets only."""
        offset = (self.x @ weights - self.y) / self.n + bias  # error of the mean
        return (np.sum(weights * (self.xx @ weights)) - 2 * np.sum(weights * self.xy)) / self.n + offset @ offset


def _added(one, other):
    """Return the sums over the rows of both, for each group; None stands for no rows."""
    if one is None or other is None:
        return other if one is None else one
    return [sums + others for sums, others in zip(one, other, strict=True)]


def rows_of(layer: specs.Layer, x: np.ndarray):
    """Return a function that maps positions to the inputs that a layer reads there.

    Parameters
    ----------
    layer : Conv, MaxPool, or a layer that reads single positions
    x : ndarray, (images, ..., channel)
        Input of the layer.

    Returns
    -------
    callable
        Function of an index into the flat positions of all images; it returns an array, (positions, window, channel),
        whose order is that of the layer's kernel.
    """
    if isinstance(layer, specs.MaxPool):
        size, strides, padding = layer.pool_size, layer.strides, layer.padding
        layer = specs.Conv(layer.name, layer.inputs, filters=1, kernel_size=size, strides=strides, padding=padding)
    if isinstance(layer, specs.Conv):
        return functools.partial(_windows, layer, x)
    return x.reshape(-1, 1, x.shape[-1]).__getitem__


def _windows(layer, x, chosen):
    n, *lengths, channels = x.shape
    counts, pads = [], []
    for length, size, stride, dilation in zip(lengths, layer.kernel_size, layer.strides, layer.dilation, strict=True):
        extent = (size - 1) * dilation + 1
        count = window_output(length, size, stride, layer.padding, dilation)
        before = window_offset(length, extent, stride, layer.padding)
        counts.append(count)
        pads.append((before, max(0, (count - 1) * stride + extent - length - before)))
    padded = np.pad(x, [(0, 0), *pads, (0, 0)])
    positions = np.arange(n * int(np.prod(counts)))[chosen]
    image, *starts = np.unravel_index(positions, (n, *counts))
    indices = [image.reshape(-1, *[1] * len(counts))]
    for axis, (start, size) in enumerate(zip(starts, layer.kernel_size, strict=True)):
        steps = start[:, None] * layer.strides[axis] + np.arange(size) * layer.dilation[axis]
        shape = [len(positions)] + [1] * len(counts)
        shape[1 + axis] = size
        indices.append(steps.reshape(shape))
    return padded[tuple(indices)].reshape(len(positions), -1, channels)
