"""Window tables: the units that each window of a maximum reads."""

import dataclasses
import math

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class WindowTable:
    """Units that windows read.

    Windows that follow one another often read units that follow one another, the channels of a place.  So the table
    holds the entries of every first of ``together`` windows: window ``number * together + n`` reads the units
    ``entries[number] + n``.

    Attributes
    ----------
    entries : ndarray of int32, (windows / together, entries of a window)
    together : int
    units : int
        Number of units.
    """

    entries: np.ndarray
    together: int
    units: int


def window_table(entries, units):
    """Return the WindowTable of ``entries``, (windows, entries of a window), of which each is one of ``units``."""
    breaks = np.flatnonzero((np.diff(entries, axis=0) != 1).any(axis=1)) + 1
    together = math.gcd(len(entries), *breaks.tolist())
    return WindowTable(np.ascontiguousarray(entries[::together], np.int32), together, units)
