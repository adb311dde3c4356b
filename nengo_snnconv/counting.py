"""Counting of spikes, compiled."""

import numba
import numpy as np


@numba.njit(nogil=True)
def _count(levels, spikes, histogram):
    for image in range(levels.shape[0]):
        for unit in range(levels.shape[1]):
            level = abs(levels[image, unit])
            if level > 0:
                spikes[unit] += 1
                histogram[int(level)] += 1


class LevelCounter:
    """How many images make each unit spike, and how many spikes have each level, summed up batch by batch.

    Parameters
    ----------
    n_units, n_levels : int

    Attributes
    ----------
    spikes : ndarray of int64, (n_units,)
    histogram : ndarray of int64, (n_levels + 1,)
        By the magnitude of the level; 0 is not counted.
    """

    def __init__(self, n_units, n_levels):
        self.spikes = np.zeros(n_units, np.int64)
        self.histogram = np.zeros(n_levels + 1, np.int64)

    def add(self, levels):
        """Count whole numbers from -n_levels to n_levels, float32 (images, ...)."""
        _count(levels.reshape(len(levels), -1), self.spikes, self.histogram)
