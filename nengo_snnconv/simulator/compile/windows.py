"""Convolutions and dense layers, as what each spike adds, or as the spikes of which each output is made.

Where the spikes of the input are in order, those of a window lie side by side along the last axis.  So the sums of all
filters at a position can stay in registers while its spikes are gone through: a few numbers are read for each spike,
and none is written but the result.
"""

import dataclasses
import functools
import itertools
import math

import numpy as np

from ...model.layers import window_offset, window_output
from ..kernels.vectors import LANES
from .tables import Table, from_entries

PASS = 3 * 2**13  # bytes of weights that a pass reads
UNROLLED = 2**18  # single weights for which tables are made, at most


@dataclasses.dataclass(frozen=True, eq=False)
class Window:
    """A convolution (*axes, channels) -> (*outputs, filters), whose first window begins ``before`` the first entry.

    A dense layer is one with a single window.
    """

    kernel: np.ndarray
    shape: tuple
    strides: tuple
    before: tuple
    outputs: tuple

    selects = False

    @property
    def size_out(self):
        return math.prod(self.outputs) * self.kernel.shape[-1]

    @functools.cached_property
    def table(self):
        """What each spike adds, as a Table."""
        return _of_window(self)

    @functools.cached_property
    def gathering(self):
        """Where the spikes of each window are, as a Gathering."""
        return _gathering(self)


@dataclasses.dataclass(frozen=True, eq=False)
class Gathering:
    """What an entry of a convolution's output is made of, where the input's spikes are in the order of units.

    The output is rows along the last axis.  Row i reads, of the input's ``rows``, those from ``first[p, i]`` to
    ``first[p, i + 1]``: (place where it begins, where the weights of its taps begin).  In each of them, the position j
    of the row reads the places ``columns[j]``: (the first one, the one behind the last, the first one's tap).  All this
    in a single pass, p = 0, or in several ones, p > 0, each of which reads weights that fit the first-level cache.

    Attributes
    ----------
    first : ndarray of int32, (1 + passes, rows of the output + 1)
    rows : ndarray of int32, (any, 2)
    columns : ndarray of int32, (positions, 3)
    weights : ndarray of float32
        (*taps, channels, filters), with zeros behind the filters up to a whole number of vectors.
    channels, filters, places : int
        ``places`` is the number of places of the input.
    """

    first: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    weights: np.ndarray
    channels: int
    filters: int
    places: int


def of_matrix(matrix):
    """The Window of a dense matrix (outputs, inputs)."""
    return Window(np.asarray(matrix.T, np.float32)[None], (1, matrix.shape[1]), (1,), (0,), (1,))


def of_convolution(kernel, shape, strides, padding, groups):
    """The Window of a convolution with the channels last, or its Table if it has groups.

    Parameters
    ----------
    kernel : ndarray, (*size, channels in / groups, filters)
    shape : tuple of int
        (*axes, channels) of the input.
    strides : tuple of int
    padding : "valid" or "same"
    groups : int
    """
    size = kernel.shape[:-2]
    windows = list(zip(shape, size, strides, strict=False))
    outputs = tuple(window_output(*window, padding) for window in windows)
    before = tuple(window_offset(*window, padding) for window in windows)
    window = Window(kernel, tuple(shape), tuple(strides), before, outputs)
    return window if groups == 1 else _of_grouped(window, groups)


def _of_window(window):
    """The table of a convolution in which each filter reads all channels."""
    *size, channels, filters = window.kernel.shape
    stride, outputs = window.strides[-1], window.outputs
    # weights[taps of the other axes][phase][channel][position, in the order of outputs][filter]
    taps = window.kernel.reshape(-1, size[-1], channels, filters)
    widest = math.ceil(size[-1] / stride)
    weights = np.zeros((len(taps), stride, channels, widest, filters), np.float32)
    for phase in range(stride):
        chosen = taps[:, phase::stride][:, ::-1]  # the largest tap reaches the first output
        weights[:, phase, :, : chosen.shape[1]] = np.moveaxis(chosen, 1, 2)
    step = weights[0, 0].size
    runs, first = [], [0]
    for rows, last in _places(window):
        if last:
            (out, tap), length = last[0], len(last)
            phase = tap % stride
            skipped = (size[-1] - 1 - phase) // stride - (tap - phase) // stride
            for row, taps_of_row in rows:
                begin = (taps_of_row * stride + phase) * step + skipped * filters
                runs.append(((row * outputs[-1] + out) * filters, begin, length * filters))
        first.append(len(runs))
    size_out = math.prod(outputs) * filters
    return Table(
        np.array(first, np.int32),
        np.array(runs, np.int32).reshape(-1, 3),
        weights.ravel(),
        size_out,
        channels,
        widest * filters,
    )


def _of_grouped(window, groups):
    """The table of a convolution in groups: filter g * per_group + j reads the channels of group g alone."""
    *size, depth, filters = window.kernel.shape
    per_group, outputs = filters // groups, window.outputs
    taps = window.kernel.reshape(-1, depth, groups, per_group)
    weights = np.ascontiguousarray(np.moveaxis(taps, 2, 1), np.float32)
    step = weights[0].size
    runs, first = [], [0]
    for rows, last in _places(window):
        for row, taps_of_row in rows:
            for out, tap in last:
                target = (row * outputs[-1] + out) * filters
                runs.append((target, (taps_of_row * size[-1] + tap) * step, per_group))
        first.append(len(runs))
    table = Table(
        np.array(first, np.int32),
        np.array(runs, np.int32).reshape(-1, 3),
        weights.ravel(),
        math.prod(outputs) * filters,
        depth * groups,
        per_group,
        depth,
        per_group,
    )
    return _unrolled(table) if per_group == 1 and depth * groups * len(runs) <= UNROLLED else table


def _unrolled(table):
    """The same table without channels: runs for each unit, single weights."""
    first, (targets, weights, _) = table.first, table.runs.T
    numbers, channels = np.diff(first), np.arange(table.channels)
    # runs of all channels, place after place
    places = np.repeat(np.arange(len(numbers)), numbers)
    units = places[:, None] * table.channels + channels
    found = targets[:, None] + channels // table.group * table.shift
    values = table.weights[weights[:, None] + channels * table.stride]
    return from_entries(found.ravel(), units.ravel(), values.ravel(), len(numbers) * table.channels, table.size_out)


def _gathering(window):
    """The Gathering of a convolution."""
    *size, channels, filters = window.kernel.shape
    axes = list(zip(window.shape, size, window.strides, window.before, window.outputs, strict=False))
    spans = [[_span(*axis[:-1], out) for out in range(axis[-1])] for axis in axes]
    padded = -(-filters // LANES) * LANES
    weights = np.zeros((*size, channels, padded), np.float32)
    weights[..., :filters] = window.kernel
    step = size[-1] * channels * padded
    rows = []  # of each row of the output: (tap, place, weight)
    for row in itertools.product(*spans[:-1]):
        rows.append([])
        for entries in itertools.product(*(range(begin, end) for begin, end, _ in row)):
            place = tap = 0
            for entry, (begin, _, skipped), length, n_taps in zip(entries, row, window.shape, size, strict=False):
                place, tap = place * length + entry, tap * n_taps + entry - begin + skipped
            rows[-1].append((tap, place * window.shape[-2], tap * step))
    n_taps = math.prod(size[:-1])
    at_once = max(1, PASS // (4 * step))  # taps of a pass
    found, first = [], []
    for taps in (range(n_taps), *(range(tap, tap + at_once) for tap in range(0, n_taps, at_once))):
        first.append([len(found)])
        for row in rows:
            found += [(place, weight) for tap, place, weight in row if tap in taps]
            first[-1].append(len(found))
    return Gathering(
        np.array(first, np.int32),
        np.array(found, np.int32).reshape(-1, 2),
        np.array(spans[-1], np.int32),
        weights.ravel(),
        channels,
        filters,
        math.prod(window.shape[:-1]),
    )


def _span(length, size, stride, before, out):
    """Along an axis, the entries that an output reads, and which tap reads the first: (begin, end, tap)."""
    start = out * stride - before
    begin, end = max(start, 0), min(start + size, length)
    return begin, max(begin, end), begin - start


def _places(window):
    """For each place of the input: the (output, tap) pairs that it reaches along the other axes, numbered over all of

    them, and those along the last axis.
    """
    size = window.kernel.shape[:-2]
    axes = zip(window.shape, size, window.strides, window.before, window.outputs, strict=False)
    reached = [_reached(*axis) for axis in axes]
    for place in itertools.product(*(range(n) for n in window.shape[:-1])):
        rows = []
        for hits in itertools.product(*(pairs[i] for pairs, i in zip(reached[:-1], place[:-1], strict=True))):
            row = tap = 0
            for (out, k), n_outputs, n_taps in zip(hits, window.outputs, size, strict=False):
                row, tap = row * n_outputs + out, tap * n_taps + k
            rows.append((row, tap))
        yield rows, reached[-1][place[-1]]


def _reached(length, size, stride, before, n_outputs):
    """For each entry along an axis, the (output, tap) pairs that it reaches, in the order of outputs."""
    reached = [[] for _ in range(length)]
    for out in range(n_outputs):
        for tap in range(size):
            entry = out * stride - before + tap
            if 0 <= entry < length:
                reached[entry].append((out, tap))
    return reached
