"""Histogram: a streaming histogram of activations, in memory that does not grow with the data."""

from __future__ import annotations

import numpy as np

from ..errors import SettingsError

# bins per octave, and range of values: octaves from 2**LOWEST to 2**HIGHEST
BINS_PER_OCTAVE, LOWEST, HIGHEST = 64, -24, 24
OCTAVES = HIGHEST - LOWEST
EDGES = 2.0 ** (LOWEST + np.arange(OCTAVES * BINS_PER_OCTAVE + 1) / BINS_PER_OCTAVE)

# number of values that are counted, and of units whose counts are evaluated, at a time: tens of megabytes
VALUES, UNITS = 2**20, 2**9
# types of counts; the next larger one replaces a type before it overflows
COUNTS = (np.uint16, np.uint32, np.int64)


class Histogram:
    """Histogram of the positive values of each unit, with bins of about one percent of the value.

    An octave of a unit gets bins when the first value falls into it, so memory depends on the range of the values:
    about one kilobyte per unit and at most 6, or 25 after some billion values.

    Parameters
    ----------
    n_units : int

    Attributes
    ----------
    largest : ndarray, (units,)
        Exact largest value of each unit; 0 if it had no positive value.
    n_images : int
        Number of images whose values were added; set by the caller.
    ranges : dict of str to list
        Smallest and largest number of these images for each input, by name; set by the caller.
    """

    def __init__(self, n_units: int):
        self.largest = np.zeros(n_units)
        self.n_images = 0
        self.ranges: dict[str, list[float]] = {}
        # row of bins of each octave of each unit; row 0 is shared by octaves without values
        self._rows = np.zeros((n_units, OCTAVES), np.int32)
        self._bins = np.zeros((1, BINS_PER_OCTAVE), COUNTS[0])
        self._n_rows = 1
        self._entered = np.zeros(n_units, np.int64)

    def add(self, values: np.ndarray, labels: np.ndarray) -> None:
        """Add a batch of values.

        Parameters
        ----------
        values : ndarray, (batch, ...)
        labels : ndarray of int, (...)
            Unit of each entry; entries with negative labels are ignored.

        Raises
        ------
        SettingsError
            If a value is NaN or infinite.
        """
        values, labels = values.reshape(len(values), -1), labels.ravel()
        # a bin holds at most all values of its unit
        entries = np.bincount(labels[labels >= 0], minlength=len(self.largest))
        self._entered += len(values) * entries
        self._widen_counts(self._entered.max(initial=0))
        for block in _blocks(*values.shape):
            self._add_block(values[block], np.broadcast_to(labels[block[1]], values[block].shape))

    def _add_block(self, values, labels):
        if not np.isfinite(values).all():
            raise SettingsError("the network's activations are NaN or infinite on the calibration data: check the data")
        counted = (values > 0) & (labels >= 0)
        values, labels = values[counted].astype(np.float64), labels[counted]
        bins = np.floor((np.log2(values) - LOWEST) * BINS_PER_OCTAVE).astype(np.int64)
        octaves, bins = np.divmod(np.clip(bins, 0, OCTAVES * BINS_PER_OCTAVE - 1), BINS_PER_OCTAVE)
        keys = labels * OCTAVES + octaves
        rows = self._rows.reshape(-1)
        self._make_rows(np.unique(keys[rows[keys] == 0]))
        places, flat = rows[keys] * np.int64(BINS_PER_OCTAVE) + bins, self._bins.reshape(-1)
        if len(flat) <= VALUES:
            flat += np.bincount(places, minlength=len(flat)).astype(flat.dtype)
        else:
            np.add.at(flat, places, flat.dtype.type(1))
        np.maximum.at(self.largest, labels, values)

    def _make_rows(self, keys):
        """Give rows of bins to octaves (``unit * OCTAVES + octave``) that have none."""
        self._rows.reshape(-1)[keys] = np.arange(self._n_rows, self._n_rows + len(keys))
        self._n_rows += len(keys)
        if self._n_rows > len(self._bins):
            # in place if memory allows, and by an eighth, so that little memory is unused
            self._bins.resize((self._n_rows + self._n_rows // 8, BINS_PER_OCTAVE), refcheck=False)

    def _widen_counts(self, count):
        """Convert counts to a type that can hold ``count``."""
        dtype = next(dtype for dtype in COUNTS if count <= np.iinfo(dtype).max)
        if np.dtype(dtype).itemsize > self._bins.itemsize:
            self._bins = self._bins.astype(dtype)

    @property
    def nbytes(self) -> int:
        """Size of the histogram in bytes."""
        return sum(array.nbytes for array in (self.largest, self._rows, self._bins, self._entered))

    def counts(self, units: slice = slice(None)) -> np.ndarray:
        """Return the number of values in each bin for a slice of the units, int64 (units, bins)."""
        counts = self._bins[self._rows[units]]
        return counts.reshape(len(counts), -1).astype(np.int64)

    def percentile(self, percentile: float) -> np.ndarray:
        """Return the percentile of the positive values of each unit, (units,); 0 for units without any."""
        if percentile == 100:
            return self.largest.copy()
        return self._map_units(lambda counts, largest: _percentile(counts, largest, percentile))

    def best_threshold(self, n_steps: int, n_candidates: int = 128) -> np.ndarray:
        """Return the threshold of each unit with the least mean squared error of spike counts.

        A neuron that starts at half its threshold emits min(floor(a n / threshold + 1/2), n) spikes of the threshold's
        height in n steps of constant input a.

        Parameters
        ----------
        n_steps : int
        n_candidates : int
            Number of thresholds that are compared.

        Returns
        -------
        ndarray, (units,)
            0 for units without positive values.
        """
        return self._map_units(lambda counts, largest: _best_threshold(counts, largest, n_steps, n_candidates))

    def _map_units(self, function):
        """Return the values of a function of counts (units, bins) and largest values (units,), UNITS at a time."""
        values = np.zeros(len(self.largest))
        for first in range(0, len(values), UNITS):
            units = slice(first, first + UNITS)
            values[units] = function(self.counts(units), self.largest[units])
        return values


def _blocks(n_rows, size):
    """Yield slices of rows and columns of blocks with at most VALUES entries."""
    width = min(size, VALUES) or 1
    height = max(1, VALUES // width)
    for row in range(0, n_rows, height):
        for column in range(0, size, width):
            yield slice(row, row + height), slice(column, column + width)


def _percentile(counts, largest, percentile):
    """Return the percentile for each row of counts, interpolated geometrically within its bin."""
    total, cumulative = counts.sum(axis=1), np.cumsum(counts, axis=1)
    rank = total * (percentile / 100)
    bins = (cumulative < rank[:, None]).sum(axis=1).clip(max=len(EDGES) - 2)
    rows = np.arange(len(bins))
    inside = counts[rows, bins]
    share = (rank - (cumulative[rows, bins] - inside)) / np.maximum(inside, 1)
    value = EDGES[bins] * (EDGES[bins + 1] / EDGES[bins]) ** share
    return np.where(total > 0, np.minimum(value, largest), 0.0)


def _best_threshold(counts, largest, n_steps, n_candidates):
    """Return, for each unit, the best of ``n_candidates`` thresholds from 0.05 to 1.2 times the largest value.

    Let q = threshold / n_steps be the height of a spike, k(a) the number of spikes for a value a, N(k) the number of
    values with k spikes or more, and S(k) their sum.  Then

        sum_a (k(a) q - a)^2 = sum_a a^2 + q^2 sum_k (2 k - 1) N(k) - 2 q sum_k S(k),    k from 1 to n_steps,

    and the first term does not depend on the threshold.
    """
    best, alive = np.zeros(len(largest)), np.flatnonzero(largest > 0)
    counts, candidates = counts[alive], np.geomspace(0.05, 1.2, n_candidates)
    values = np.sqrt(EDGES[:-1] * EDGES[1:])
    # number and sum of the values in a bin and all higher ones; the last entry is 0
    numbers, sums = (np.zeros((len(counts), len(values) + 1)) for _ in range(2))
    numbers[:, :-1] = np.cumsum(counts[:, ::-1], axis=1)[:, ::-1]
    sums[:, :-1] = np.cumsum((counts * values)[:, ::-1], axis=1)[:, ::-1]
    thresholds = candidates * largest[alive, None]
    height = thresholds / n_steps
    # bin at which values emit k spikes or more: that of height * (k - 1/2), minus half a bin for the centers of bins
    begin = (np.log2(height) - LOWEST) * BINS_PER_OCTAVE - 0.5
    rows = np.arange(len(counts))[:, None] * numbers.shape[1]
    errors = np.zeros_like(height)
    for k in range(1, n_steps + 1):
        places = np.ceil(begin + np.log2(k - 0.5) * BINS_PER_OCTAVE).astype(np.int64)
        places = np.clip(places, 0, len(values)) + rows
        errors += height * ((2 * k - 1) * height * numbers.ravel()[places] - 2 * sums.ravel()[places])
    best[alive] = thresholds[np.arange(len(alive)), errors.argmin(axis=1)]
    return best
