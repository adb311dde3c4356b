"""Convolutions and dense layers as linear maps, for events in any order (scatter) or in the order of units (gather)."""

import dataclasses
import functools
import itertools
import math

import numpy as np

from ...model.layers import window_offset, window_output
from .gather_tables import gather_table_of
from .scatter_tables import ScatterTable, from_entries

# with so few of both, as in first layers, it takes less time to go through the events than through the outputs
FEW_CHANNELS, FEW_FILTERS = 4, 32
MAX_SINGLE_WEIGHTS = 2**18  # of tables of depthwise convolutions without channels


@dataclasses.dataclass(frozen=True, eq=False)
class ConvolutionMap:
    """A convolution from (*shape, channels) to (*outputs, filters); a dense layer has a single convolution.

    Attributes
    ----------
    kernel : ndarray, (*size, channels, filters)
        If it is depthwise, (*size, 1, channels).
    shape : tuple of int
        (*axes, channels) of the input.
    strides : tuple of int
    before : tuple of int
        Along each axis, the distance from the begin of the first window to the first entry of the input: its padding.
    outputs : tuple of int
        Number of windows along each axis.
    depthwise : bool
        True if each filter reads the channel of its own number only.
    sparse : bool
        True if products of all inputs are never computed, because that would hardly ever take less time.
    """

    kernel: np.ndarray
    shape: tuple
    strides: tuple
    before: tuple
    outputs: tuple
    depthwise: bool = False
    sparse: bool = False

    selects = False

    @property
    def size_out(self):
        return math.prod(self.outputs) * self.kernel.shape[-1]

    @property
    def axes(self):
        """For each axis: (length, size of the kernel, stride, before, outputs)."""
        size = self.kernel.shape[:-2]
        return list(zip(self.shape, size, self.strides, self.before, self.outputs, strict=False))

    @property
    def windows_of_unit(self):
        """Mean number of windows that read a unit, apart from the borders."""
        return math.prod(self.kernel.shape[:-2]) / math.prod(self.strides)

    @functools.cached_property
    def scatter_table(self):
        if self.depthwise:
            return _grouped_scatter_table_of(self, self.shape[-1])
        return _scatter_table_of(self)

    @functools.cached_property
    def gather_table(self):
        few = self.shape[-1] <= FEW_CHANNELS and self.kernel.shape[-1] <= FEW_FILTERS
        few = few and math.prod(self.outputs) > 1 and not self.depthwise
        return gather_table_of(self, self.scatter_table if few else None)


def of_matrix(matrix, sparse=False):
    """Return the map of a dense matrix (outputs, inputs)."""
    kernel = np.asarray(matrix.T, np.float32)[None]
    return ConvolutionMap(kernel, (1, matrix.shape[1]), (1,), (0,), (1,), sparse=sparse)


def of_convolution(kernel, shape, strides, padding, groups):
    """Return the map of a convolution with channels last; with groups of several channels, a ScatterTable.

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
    depthwise = 1 < groups == shape[-1] == kernel.shape[-1]
    convolution = ConvolutionMap(kernel, tuple(shape), tuple(strides), before, outputs, depthwise)
    return convolution if groups == 1 or depthwise else _grouped_scatter_table_of(convolution, groups)


def _scatter_table_of(convolution):
    """Return the table of a convolution in which each filter reads all channels."""
    *size, channels, filters = convolution.kernel.shape
    stride, outputs = convolution.strides[-1], convolution.outputs
    # weights[taps of the other axes][phase][channel][position, in the order of outputs][filter]
    taps = convolution.kernel.reshape(-1, size[-1], channels, filters)
    widest = math.ceil(size[-1] / stride)
    weights = np.zeros((len(taps), stride, channels, widest, filters), np.float32)
    for phase in range(stride):
        chosen = taps[:, phase::stride][:, ::-1]  # the largest tap reaches the first output
        weights[:, phase, :, : chosen.shape[1]] = np.moveaxis(chosen, 1, 2)
    step = weights[0, 0].size
    runs, first = [], [0]
    for rows, last in _targets_of_places(convolution):
        if last:
            (out, tap), length = last[0], len(last)
            phase = tap % stride
            skipped = (size[-1] - 1 - phase) // stride - (tap - phase) // stride
            for row, taps_of_row in rows:
                begin = (taps_of_row * stride + phase) * step + skipped * filters
                runs.append(((row * outputs[-1] + out) * filters, begin, length * filters))
        first.append(len(runs))
    size_out = math.prod(outputs) * filters
    return ScatterTable(
        np.array(first, np.int32),
        np.array(runs, np.int32).reshape(-1, 3),
        weights.ravel(),
        size_out,
        channels,
        widest * filters,
    )


def _grouped_scatter_table_of(convolution, groups):
    """Return the table of a convolution in groups: filter g * per_group + j reads the channels of group g only."""
    *size, depth, filters = convolution.kernel.shape
    per_group, outputs = filters // groups, convolution.outputs
    taps = convolution.kernel.reshape(-1, depth, groups, per_group)
    weights = np.ascontiguousarray(np.moveaxis(taps, 2, 1), np.float32)
    step = weights[0].size
    runs, first = [], [0]
    for rows, last in _targets_of_places(convolution):
        for row, taps_of_row in rows:
            for out, tap in last:
                target = (row * outputs[-1] + out) * filters
                runs.append((target, (taps_of_row * size[-1] + tap) * step, per_group))
        first.append(len(runs))
    table = ScatterTable(
        np.array(first, np.int32),
        np.array(runs, np.int32).reshape(-1, 3),
        weights.ravel(),
        math.prod(outputs) * filters,
        depth * groups,
        per_group,
        depth,
        per_group,
    )
    return _without_channels(table) if per_group == 1 and depth * groups * len(runs) <= MAX_SINGLE_WEIGHTS else table


def _without_channels(table):
    """Return the same table without channels: the runs of each unit are single weights."""
    first, (targets, weights, _) = table.first, table.runs.T
    numbers, channels = np.diff(first), np.arange(table.channels)
    # the runs of all channels, place after place
    places = np.repeat(np.arange(len(numbers)), numbers)
    units = places[:, None] * table.channels + channels
    reached = targets[:, None] + channels // table.group * table.shift
    values = table.weights[weights[:, None] + channels * table.stride]
    return from_entries(reached.ravel(), units.ravel(), values.ravel(), len(numbers) * table.channels, table.size_out)


def _targets_of_places(convolution):
    """Yield the (output, tap) pairs that each place of the input reaches: along the other axes, and along the last one.

    Along the other axes, outputs and taps are numbered over all of these axes together.
    """
    size = convolution.kernel.shape[:-2]
    reached = [_reached(*axis) for axis in convolution.axes]
    for place in itertools.product(*(range(n) for n in convolution.shape[:-1])):
        rows = []
        for hits in itertools.product(*(pairs[i] for pairs, i in zip(reached[:-1], place[:-1], strict=True))):
            row = tap = 0
            for (out, k), n_outputs, n_taps in zip(hits, convolution.outputs, size, strict=False):
                row, tap = row * n_outputs + out, tap * n_taps + k
            rows.append((row, tap))
        yield rows, reached[-1][place[-1]]


def _reached(length, size, stride, before, n_outputs):
    """Return the (output, tap) pairs that each entry along an axis reaches, in the order of outputs."""
    reached = [[] for _ in range(length)]
    for out in range(n_outputs):
        for tap in range(size):
            entry = out * stride - before + tap
            if 0 <= entry < length:
                reached[entry].append((out, tap))
    return reached
