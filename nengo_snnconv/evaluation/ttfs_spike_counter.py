"""SpikeCounter: counts spikes from the closed form of time to first spike, compiled and on several threads."""

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
            if not level < histogram.shape[0]:  # NaN as well, which must not be written outside the histogram
                return False
            if level != 0:
                spikes[unit] += 1
                histogram[int(level)] += 1
    return True


class SpikeCounter:
    """Count spikes by unit and by level, summed over batches of images.

    The level of a spike is the number of steps from the spike to the end of its stage.

    Parameters
    ----------
    n_units, n_levels : int
    """

    pool = concurrent.futures.ThreadPoolExecutor(THREADS)

    def __init__(self, n_units: int, n_levels: int):
        # a row for each thread
        self._spikes = np.zeros((THREADS, n_units), np.int64)
        self._histograms = np.zeros((THREADS, n_levels + 1), np.int64)

    def add(self, levels: np.ndarray) -> None:
        """Count the spikes of a batch.

        Parameters
        ----------
        levels : ndarray of float32, (images, ...)
            Whole numbers from -n_levels to n_levels; 0 is no spike.

        Raises
        ------
        SettingsError
            If other numbers are among them.
        """
        parts = np.array_split(levels.reshape(len(levels), -1), THREADS)
        if not all(self.pool.map(_count, parts, self._spikes, self._histograms)):
            raise SettingsError(
                "the network's activations become NaN or infinite: its weights or the images are too large for float32"
            )

    @property
    def spikes(self) -> np.ndarray:
        """Number of images for which each unit spikes, (n_units,)."""
        return self._spikes.sum(axis=0)

    @property
    def histogram(self) -> np.ndarray:
        """Number of spikes of each magnitude of the level, (n_levels + 1,); entry 0 is 0."""
        return self._histograms.sum(axis=0)
