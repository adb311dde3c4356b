"""WeightFit: least-squares fit of a layer's weights to the activity that the layer really receives."""

from __future__ import annotations

import functools

import numpy as np

from ..model import layers as specs
from ..model.layers import window_offset, window_output

# number of rows of a fit: for each input of a neuron, and at least
ROWS_PER_INPUT = 20
LEAST_ROWS = 20_000


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
        self.layer, self.arrays = layer, arrays
        self.groups = layer.groups if isinstance(layer, specs.Conv) else 1
        self.n_rows = 0
        self.sums: list = []  # for each group: of inputs, of targets, of products of inputs, of inputs and targets

    @property
    def n_inputs(self) -> int:
        """Number of inputs of a neuron."""
        kernel = self.arrays.get("kernel")
        return 1 if kernel is None else int(np.prod(kernel.shape[:-1]))

    @property
    def rows_needed(self) -> int:
        """Number of rows, that is, positions in images, that the fit should be based on."""
        return max(LEAST_ROWS, ROWS_PER_INPUT * self.n_inputs)

    def add(self, x: np.ndarray, target: np.ndarray, most_rows: int, rng: np.random.Generator) -> None:
        """Add up to ``most_rows`` positions, drawn at random, of inputs and targets, (images, ..., channel)."""
        rows = rows_of(self.layer, x)
        targets = target.reshape(-1, target.shape[-1])
        n = len(targets)
        chosen = np.sort(rng.permutation(n)[:most_rows]) if n > most_rows else slice(None)
        rows, targets = rows(chosen), targets[chosen].astype(np.float64)
        self.n_rows += len(targets)
        if isinstance(self.layer, specs.Affine):
            parts = [(rows.sum(0), targets.sum(0), (rows**2).sum(0), (rows * targets).sum(0))]
        else:
            # rows: (positions, window, channel); groups divide the channels
            grouped = np.split(rows, self.groups, axis=2)
            split = np.split(targets, self.groups, axis=1)
            parts = [_sums(r.reshape(len(r), -1), t) for r, t in zip(grouped, split, strict=True)]
        if not self.sums:
            self.sums = [list(part) for part in parts]
            return
        for total, part in zip(self.sums, parts, strict=True):
            for number, values in enumerate(part):
                total[number] = total[number] + values

    def solve(self, regularization: float) -> dict[str, np.ndarray]:
        """Return the fitted arrays of the layer, with a bias."""
        if isinstance(self.layer, specs.Affine):
            return self._solve_affine(regularization)
        kernel = self.arrays["kernel"]
        matrices = np.split(kernel.reshape(-1, kernel.shape[-1]).astype(np.float64), self.groups, axis=1)
        biases = []
        for number, (sum_x, sum_y, xx, xy) in enumerate(self.sums):
            mean_x, mean_y = sum_x / self.n_rows, sum_y / self.n_rows
            covariance = xx / self.n_rows - np.outer(mean_x, mean_x)
            with_target = xy / self.n_rows - np.outer(mean_x, mean_y)
            strength = regularization * max(np.trace(covariance) / len(covariance), 1e-12)
            old = matrices[number]
            system = covariance + strength * np.eye(len(covariance))
            matrices[number] = old + np.linalg.solve(system, with_target - covariance @ old)
            biases.append(mean_y - mean_x @ matrices[number])
        return {"kernel": np.concatenate(matrices, axis=1).reshape(kernel.shape), "bias": np.concatenate(biases)}

    def _solve_affine(self, regularization):
        ((sum_x, sum_y, xx, xy),) = self.sums
        mean_x, mean_y = sum_x / self.n_rows, sum_y / self.n_rows
        variance = xx / self.n_rows - mean_x**2
        strength = regularization * max(variance.mean(), 1e-12)
        old = self.arrays["scale"]
        scale = old + (xy / self.n_rows - mean_x * mean_y - variance * old) / (variance + strength)
        return {"scale": scale, "bias": mean_y - mean_x * scale}


def _sums(x, y):
    x = x.astype(np.float32)
    return x.sum(0, np.float64), y.sum(0), (x.T @ x).astype(np.float64), (x.T @ y.astype(np.float32)).astype(np.float64)


def rows_of(layer: specs.Layer, x: np.ndarray):
    """Return a function that maps positions to the inputs that a layer reads there.

    Parameters
    ----------
    layer : Conv, Dense or Affine
    x : ndarray, (images, ..., channel)
        Input of the layer.

    Returns
    -------
    callable
        Function of an index into the flat positions of all images; it returns an array, (positions, window, channel)
        for Conv and Dense, whose order is that of the layer's kernel, or (positions, channel) for Affine.
    """
    if isinstance(layer, specs.Conv):
        return functools.partial(_windows, layer, x)
    flat = x.reshape(-1, x.shape[-1])
    if isinstance(layer, specs.Dense):
        flat = flat[:, None]
    return flat.__getitem__


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
