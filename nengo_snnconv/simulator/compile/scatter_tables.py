"""Linear maps as scatter tables, which hold what an event of each unit adds to other units.

Events are few: instead of multiplying whole layers, each event adds its rows of weights.  A row is a *run*: consecutive
weights that are added to consecutive units.  With channels last, the filters of all positions along the last axis that
an event reaches lie side by side, in the target and in the table.  So runs are long, and a single loop over runs serves
convolutions of any number of axes, matrices, averages and selections.
"""

import dataclasses
import functools

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class ScatterTable:
    """Weights that an event of each unit adds to the units of the output.

    Unit ``place * channels + channel`` has the runs ``first[place]`` to ``first[place + 1]`` of its place.  A run
    (target, weight, length) adds ``weights[weight + channel * stride :][:length]`` to the units from
    ``target + channel // group * shift`` on.

    Attributes
    ----------
    first : ndarray of int32, (places + 1,)
    runs : ndarray of int32, (runs, 3)
    weights : ndarray of float32
    size_out : int
    channels, stride, group, shift : int
    selects : bool
        True if each unit of the output is one of the input, or zero.
    """

    first: np.ndarray
    runs: np.ndarray
    weights: np.ndarray
    size_out: int
    channels: int = 1
    stride: int = 0
    group: int = 1
    shift: int = 0
    selects: bool = False

    @functools.cached_property
    def single(self):
        """True if runs are single weights, in order, of units that are places."""
        in_order = np.array_equal(self.runs[:, 1], np.arange(len(self.runs)))
        return self.channels == 1 and in_order and bool((self.runs[:, 2] == 1).all())

    @functools.cached_property
    def one(self):
        """True if runs are single weights, one for each unit."""
        return self.single and np.array_equal(self.first, np.arange(len(self.first)))

    @functools.cached_property
    def targets(self):
        """Targets of all runs, int32."""
        return np.ascontiguousarray(self.runs[:, 0])


def from_entries(targets, sources, values, size_in, size_out, selects=False):
    """Return the table of a matrix from the row, the column and the value of each non-zero entry."""
    order = np.argsort(sources, kind="stable")
    targets, values = np.asarray(targets)[order], np.asarray(values, np.float32)[order]
    first = np.concatenate([[0], np.cumsum(np.bincount(np.asarray(sources, int), minlength=size_in))])
    runs = np.stack([targets, np.arange(len(targets)), np.ones_like(targets)], axis=1)
    return ScatterTable(first.astype(np.int32), runs.astype(np.int32), values, size_out, selects=selects)


@functools.lru_cache
def identity(size):
    """Return the table of the identity."""
    return from_entries(np.arange(size), np.arange(size), np.ones(size), size, size, selects=True)
