"""Linear maps as tables that say what a spike of each unit adds to which others.

A spike is cheap where few of its kind come: instead of multiplying whole layers, each spike adds its rows of weights.
A row is a *run*: consecutive weights that are added to consecutive units.  With channels last, all filters of all
positions along the last axis that a spike reaches lie side by side, in the target as in the table, so that runs are
long, and one loop over them serves convolutions of any number of axes, matrices, averages and selections.
"""

import dataclasses
import functools
import itertools
import math

import nengo
import numpy as np

from ..exceptions import ConversionError
from ..model.layers import window_offset, window_output


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


@dataclasses.dataclass(frozen=True, eq=False)
class Window:
    """A convolution (*axes, channels) -> (*outputs, filters), whose first window begins ``before`` the first entry."""

    kernel: np.ndarray
    shape: tuple
    strides: tuple
    before: tuple
    outputs: tuple


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


def of_matrix(matrix):
    """The table of a dense matrix (outputs, inputs)."""
    size_out, size_in = matrix.shape
    weights = np.ascontiguousarray(matrix.T, np.float32).ravel()
    first, runs = np.array([0, 1], np.int32), np.array([[0, 0, size_out]], np.int32)
    return Table(first, runs, weights, size_out, size_in, size_out)


def of_convolution(kernel, shape, strides, padding, groups):
    """The table of a convolution with the channels last.

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
    return _of_window(window) if groups == 1 else _of_grouped(window, groups)


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
    return Table(
        np.array(first, np.int32),
        np.array(runs, np.int32).reshape(-1, 3),
        weights.ravel(),
        math.prod(outputs) * filters,
        depth * groups,
        per_group,
        depth,
        per_group,
    )


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


def of_transform(connection):
    """The table of a connection's transform; None for the identity, and for a factor or one for each unit, the array.

    Raises
    ------
    ConversionError
        For a transform that has no table.
    """
    return _of_transform(connection.transform, connection)


@functools.singledispatch
def _of_transform(transform, connection):
    raise ConversionError(
        f"the fast simulator has no {type(transform).__name__} transform, which {connection} has: use "
        "nengo.Convolution, nengo.Dense or nengo.Sparse, or another simulator"
    )


@_of_transform.register
def _(transform: nengo.transforms.NoTransform, connection):
    return None


@_of_transform.register
def _(transform: nengo.Dense, connection):
    init = _array(transform.init, connection)
    return of_matrix(init) if init.ndim == 2 else np.broadcast_to(init, (connection.size_mid,)).astype(np.float32)


@_of_transform.register
def _(transform: nengo.Sparse, connection):
    matrix = transform.init
    if isinstance(matrix, nengo.transforms.SparseMatrix):
        (rows, columns), values = matrix.indices.T, _array(matrix.data, connection)
    else:
        matrix = matrix.tocoo()
        rows, columns, values = matrix.row, matrix.col, matrix.data
    return from_entries(rows, columns, values, transform.size_in, transform.size_out)


@_of_transform.register
def _(transform: nengo.Convolution, connection):
    if not transform.input_shape.channels_last:
        raise ConversionError(f"the fast simulator wants channels last: {connection} has them first")
    kernel = _array(transform.init, connection)
    return of_convolution(kernel, transform.input_shape.shape, transform.strides, transform.padding, transform.groups)


def _array(init, connection):
    if isinstance(init, nengo.dists.Distribution):
        raise ConversionError(
            f"the weights of {connection} are drawn from {init}: give them as an array, which is the same one in "
            "every simulator"
        )
    return np.asarray(init)
