"""Linear maps as tables that say what a spike of each unit adds to which others.

A spike is cheap where few of its kind come: instead of multiplying whole layers, each spike adds its rows of weights.
A row is a *run*: consecutive weights that are added to consecutive units.  With channels last, all filters of all
positions along the last axis that a spike reaches lie side by side, in the target as in the table, so that runs are
long, and one loop over them serves convolutions of any number of axes, matrices, averages and selections.
"""

import dataclasses
import functools

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Table:
    """What a spike of each unit adds.

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
        Whether each unit of the output is one of the input, or zero.
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
        """Whether runs are single weights, one after another, of units that are places."""
        in_order = np.array_equal(self.runs[:, 1], np.arange(len(self.runs)))
        return self.channels == 1 and in_order and bool((self.runs[:, 2] == 1).all())

    @functools.cached_property
    def targets(self):
        """Those of all runs."""
        return np.ascontiguousarray(self.runs[:, 0])


def from_entries(targets, sources, values, size_in, size_out, selects=False):
    """The table of a matrix from its entries that are not zero: arrays of row, column and value."""
    order = np.argsort(sources, kind="stable")
    targets, values = np.asarray(targets)[order], np.asarray(values, np.float32)[order]
    first = np.concatenate([[0], np.cumsum(np.bincount(np.asarray(sources, int), minlength=size_in))])
    runs = np.stack([targets, np.arange(len(targets)), np.ones_like(targets)], axis=1)
    return Table(first.astype(np.int32), runs.astype(np.int32), values, size_out, selects=selects)


@functools.lru_cache
def identity(size):
    """The table of the identity."""
    return from_entries(np.arange(size), np.arange(size), np.ones(size), size, size, selects=True)
