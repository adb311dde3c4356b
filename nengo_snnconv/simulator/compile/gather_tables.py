"""Convolutions as gather tables, which hold the events that each output reads.

If events are in the order of units, those of a window lie side by side along the last axis.  So the sums of all filters
at a position stay in registers while its events are read: a few numbers are loaded for each event, and only the result
is stored.
"""

import dataclasses
import itertools
import math

import numpy as np

from ..kernels.vectors import LANES
from .scatter_tables import ScatterTable
from .tile_tables import TileTable, tile_table_of

PASS_BYTES = 3 * 2**13  # weights that a pass reads, at most; they should fit the first-level cache


@dataclasses.dataclass(frozen=True, eq=False)
class GatherTable:
    """Events that each entry of a convolution's output reads, if the events of the input are in the order of units.

    The output is rows along the last axis.  Row i reads the entries ``first[p, i]`` to ``first[p, i + 1]`` of ``rows``:
    (place where a row of the input begins, where the weights of its taps begin).  In each of them, position j of the
    output's row reads the places ``columns[j]``: (first place, one behind the last, tap of the first).

    This happens in a single pass, p = 0, or in several, p > 0, each with few enough weights for the first-level cache.

    Attributes
    ----------
    first : ndarray of int32, (1 + passes, rows of the output + 1)
    rows : ndarray of int32, (any, 2)
    columns : ndarray of int32, (positions, 3)
    weights : ndarray of float32
        (*taps, channels, filters), padded with zeros to a whole number of vectors of filters.
    channels, filters : int
    places : int
        Number of places of the input.
    tiles : TileTable or None
        The same convolution as products of matrices, for dense signals; None if it is depthwise, or sparse.
    scatter : ScatterTable or None
        The same convolution, one event after another, which is faster if each window holds few events.
    """

    first: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    weights: np.ndarray
    channels: int
    filters: int
    places: int
    tiles: TileTable | None
    scatter: ScatterTable | None


def gather_table_of(convolution, scatter=None):
    """Return the GatherTable of a ConvolutionMap, with this ScatterTable."""
    *size, channels, filters = convolution.kernel.shape
    axes = convolution.axes
    spans = [[_span(*axis[:-1], out) for out in range(axis[-1])] for axis in axes]
    padded = -(-filters // LANES) * LANES
    weights = np.zeros((*size, channels, padded), np.float32)
    weights[..., :filters] = convolution.kernel
    step = size[-1] * channels * padded
    rows = []  # for each row of the output: [(tap, place, weight), ...]
    for row in itertools.product(*spans[:-1]):
        rows.append([])
        for entries in itertools.product(*(range(begin, end) for begin, end, _ in row)):
            place = tap = 0
            for entry, (begin, _, first_tap), length, n_taps in zip(
                entries, row, convolution.shape, size, strict=False
            ):
                place, tap = place * length + entry, tap * n_taps + entry - begin + first_tap
            rows[-1].append((tap, place * convolution.shape[-2], tap * step))
    n_taps = math.prod(size[:-1])
    taps_of_pass = max(1, PASS_BYTES // (4 * step))
    passes = (range(n_taps), *(range(tap, tap + taps_of_pass) for tap in range(0, n_taps, taps_of_pass)))
    read, first = [], []
    for taps in passes:
        first.append([len(read)])
        for row in rows:
            read += [(place, weight) for tap, place, weight in row if tap in taps]
            first[-1].append(len(read))
    return GatherTable(
        np.array(first, np.int32),
        np.array(read, np.int32).reshape(-1, 2),
        np.array(spans[-1], np.int32),
        weights.ravel(),
        channels,
        filters,
        math.prod(convolution.shape[:-1]),
        None if convolution.depthwise or convolution.sparse else tile_table_of(convolution),
        scatter,
    )


def _span(length, size, stride, before, out):
    """Return the entries along an axis that an output reads, and the tap of the first one: (begin, end, tap)."""
    start = out * stride - before
    begin, end = max(start, 0), min(start + size, length)
    return begin, max(begin, end), begin - start
