"""Counting of spikes, compiled and on several threads."""

import concurrent.futures

import numba
import numpy as np

from .._util.numba_cache import kept_njit
from .._util.system_info import n_cores
from ..errors import SettingsError

THREADS = min(4, n_cores())
# with its types, so that it is compiled now; tensors are arrays that cannot be written
LEVELS = numba.types.Array(numba.float32, 2, "C", readonly=True)


@kept_njit(signatures=[(LEVELS, numba.int64[::1], numba.int64[::1])], nogil=True)
def _count(levels, spikes, histogram):
    for image in range(levels.shape[0]):
        for unit in range(levels.shape[1]):
            level = abs(levels[image, unit])
            if not level < histogram.shape[0]:  # also NaN: nothing may be written outside of the histogram
                return False
            if level != 0:
                spikes[unit] += 1
                histogram[int(level)] += 1
    return True


class LevelCounter:
    """How many images make each unit spike, and how many spikes have each level, summed up batch by batch.

    Parameters
    ----------
    n_units, n_levels : int
    """

    pool = concurrent.futures.ThreadPoolExecutor(THREADS)

    def __init__(self, n_units, n_levels):
        # for each thread
        self._spikes = np.zeros((THREADS, n_units), np.int64)
        self._histograms = np.zeros((THREADS, n_levels + 1), np.int64)

    def add(self, levels):
        """Count whole numbers from -n_levels to n_levels, float32 (images, ...); SettingsError for others."""
        parts = np.array_split(levels.reshape(len(levels), -1), THREADS)
        if not all(self.pool.map(_count, parts, self._spikes, self._histograms)):
            raise SettingsError(
                "the network's activations become NaN or infinite: its weights or the images are too large for float32"
            )

    @property
    def spikes(self):
        """How many images make each unit spike, (n_units,)."""
        return self._spikes.sum(axis=0)

    @property
    def histogram(self):
        """How many spikes have each magnitude of the level, (n_levels + 1,); 0 is not counted."""
        return self._histograms.sum(axis=0)
