"""Histograms of activity: how often each value occurred, in memory that does not grow with the data."""

import numpy as np

from ..errors import SettingsError

# a histogram has this many bins in each octave, from 2**LOWEST up
BINS_PER_OCTAVE, LOWEST, HIGHEST = 64, -24, 24
OCTAVES = HIGHEST - LOWEST
EDGES = 2.0 ** (LOWEST + np.arange(OCTAVES * BINS_PER_OCTAVE + 1) / BINS_PER_OCTAVE)

# values that are counted, and numbers of units whose counts are looked at, in one go: tens of megabytes
VALUES, UNITS = 2**20, 2**9
# of counts, from the smallest; the next one is taken before one overflows
COUNTS = (np.uint16, np.uint32, np.int64)


class Histogram:
    """How often each positive value occurred in each unit, to about one percent of the value.

    The octaves of a unit have bins as soon as a value lies in them, so that a unit takes the memory of its own range:
    about one kilobyte, and at most 6, or 25 after some billion values.

    Attributes
    ----------
    largest : ndarray, (units,)
        The largest value itself; 0 where there was no positive one.
    n_images : int
        Images that were measured.
    """

    def __init__(self, n_units):
        self.largest = np.zeros(n_units)
        self.n_images = 0
        # the row of bins of each octave of each unit; the first one is that of octaves without values
        self._rows = np.zeros((n_units, OCTAVES), np.int32)
        self._bins = np.zeros((1, BINS_PER_OCTAVE), COUNTS[0])
        self._n_rows = 1
        self._entered = np.zeros(n_units, np.int64)

    def add(self, values, labels):
        """Count ``values`` (batch, ...), whose entries belong to the units ``labels`` (...)."""
        values, labels = values.reshape(len(values), -1), labels.ravel()
        # no bin can hold more than all values that its unit was given
        entries = np.bincount(labels[labels >= 0], minlength=len(self.largest))
        self._entered += len(values) * entries
        self._make_room_for(self._entered.max(initial=0))
        for some in _slices(*values.shape):
            self._add(values[some], np.broadcast_to(labels[some[1]], values[some].shape))

    def _add(self, values, labels):
        if not np.isfinite(values).all():
            raise SettingsError("the network's activity is NaN or infinite on the calibration data: check the data")
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
        """Give octaves of units, which have no bins yet, some."""
        self._rows.reshape(-1)[keys] = np.arange(self._n_rows, self._n_rows + len(keys))
        self._n_rows += len(keys)
        if self._n_rows > len(self._bins):
            # in place, where memory allows, and by an eighth, so that little is taken in vain
            self._bins.resize((self._n_rows + self._n_rows // 8, BINS_PER_OCTAVE), refcheck=False)

    def _make_room_for(self, count):
        """Let bins hold a count."""
        kind = next(kind for kind in COUNTS if count <= np.iinfo(kind).max)
        if np.dtype(kind).itemsize > self._bins.itemsize:
            self._bins = self._bins.astype(kind)

    @property
    def nbytes(self):
        """Bytes that it takes."""
        return sum(array.nbytes for array in (self.largest, self._rows, self._bins, self._entered))

    def counts(self, units=slice(None)):
        """How often values lay in each bin, for a slice of the units: int64 (units, bins)."""
        found = self._bins[self._rows[units]]
        return found.reshape(len(found), -1).astype(np.int64)

    def percentile(self, percentile):
        """The percentile of the positive values of each unit, (units,); 0 where there was none."""
        if percentile == 100:
            return self.largest.copy()
        return self._of_units(lambda counts, largest: _percentile(counts, largest, percentile))

    def best_threshold(self, n_steps, n_candidates=128):
        """The threshold of each unit with the least mean squared error of spike counts, (units,); 0 where all is zero.

        A neuron that starts at half its threshold emits min(floor(a n / threshold + 1/2), n) spikes of the threshold's
        height in n steps of constant input a.
        """
        return self._of_units(lambda counts, largest: _best_threshold(counts, largest, n_steps, n_candidates))

    def _of_units(self, function):
        """What a function makes of the counts (units, bins) and the largest values of units, some at a time."""
        found = np.zeros(len(self.largest))
        for first in range(0, len(found), UNITS):
            units = slice(first, first + UNITS)
            found[units] = function(self.counts(units), self.largest[units])
        return found


def _slices(n_rows, size):
    """Slices of rows and columns that hold no more than VALUES each."""
    width = min(size, VALUES) or 1
    height = max(1, VALUES // width)
    for row in range(0, n_rows, height):
        for column in range(0, size, width):
            yield slice(row, row + height), slice(column, column + width)


def _percentile(counts, largest, percentile):
    total, reached = counts.sum(axis=1), np.cumsum(counts, axis=1)
    wanted = total * (percentile / 100)
    places = (reached < wanted[:, None]).sum(axis=1).clip(max=len(EDGES) - 2)
    rows = np.arange(len(places))
    inside = counts[rows, places]
    share = (wanted - (reached[rows, places] - inside)) / np.maximum(inside, 1)
    value = EDGES[places] * (EDGES[places + 1] / EDGES[places]) ** share
    return np.where(total > 0, np.minimum(value, largest), 0.0)


def _best_threshold(counts, largest, n_steps, n_candidates):
    """For each unit the best of ``n_candidates`` thresholds from 0.05 to 1.2 of the largest value.

    With spikes of height q = threshold / n_steps, and T(k) the sum over the values that emit k spikes or more, the sum
    of (k q - a)^2 is that of a^2, plus q^2 sum_k (2 k - 1) T_1(k), minus 2 q sum_k T_a(k), k from 1 to n_steps.
    """
    best, alive = np.zeros(len(largest)), np.flatnonzero(largest > 0)
    counts, candidates = counts[alive], np.geomspace(0.05, 1.2, n_candidates)
    values = np.sqrt(EDGES[:-1] * EDGES[1:])
    # sums over a bin and all above it; behind the last one there is nothing
    numbers, sums = (np.zeros((len(counts), len(values) + 1)) for _ in range(2))
    numbers[:, :-1] = np.cumsum(counts[:, ::-1], axis=1)[:, ::-1]
    sums[:, :-1] = np.cumsum((counts * values)[:, ::-1], axis=1)[:, ::-1]
    thresholds = candidates * largest[alive, None]
    height = thresholds / n_steps
    # the bins of values that emit k spikes begin where these do, at log2(k - 1/2) behind those of log2(height)
    begin = (np.log2(height) - LOWEST) * BINS_PER_OCTAVE - 0.5
    rows = np.arange(len(counts))[:, None] * numbers.shape[1]
    errors = np.zeros_like(height)
    for k in range(1, n_steps + 1):
        places = np.ceil(begin + np.log2(k - 0.5) * BINS_PER_OCTAVE).astype(np.int64)
        places = np.clip(places, 0, len(values)) + rows
        errors += height * ((2 * k - 1) * height * numbers.ravel()[places] - 2 * sums.ravel()[places])
    best[alive] = thresholds[np.arange(len(alive)), errors.argmin(axis=1)]
    return best
