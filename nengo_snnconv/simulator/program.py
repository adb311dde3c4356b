"""Programs of the fast simulator: what it computes for an image and a chunk of time, as arrays for compiled code.

A program is a list of operations on signals.  A *dense* signal is a row of the arena for each step.  A signal as
*events* is a list for each step: index and value of the units whose value is not zero.  A constant signal has a single
row or list.
"""

from __future__ import annotations

import dataclasses
import typing

import numpy as np

if typing.TYPE_CHECKING:
    from .kernels.arguments import ProgramArrays


def _record(*names):
    return np.dtype([(name, np.int64) for name in names])


# strides are from step to step, 0 for constant signals
OPERATION = _record(
    "code",  # see kernels.operations
    "once",  # 1 if it runs once per image, because everything that it reads is constant
    "begin",  # first step since the reset in which it is active
    "end",  # one behind the last step
    "size",  # number of units
    "source",  # where the dense signal that it reads begins
    "source_stride",
    "target",  # where the dense signal that it writes begins
    "target_stride",
    "events_in",  # number of the event lists that it reads
    "events_out",  # number of the event lists that it writes
    "table",  # number of its scatter, gather or window table
    "constant",  # where its constants begin
    "state",  # where its first state begins; the others follow, state_stride apart
    "state_stride",
    "trace",  # where the signal that keeps its states begins, state_stride apart; -1 without a probe
    "trace_stride",
    "parameter",  # another number: the size of pooling windows, the order of a filter, ...
)

# where the event lists of a signal begin, and the stride from step to step
EVENTS = _record("begin", "stride")

# a compile.scatter_tables.ScatterTable: where its arrays begin, and its numbers
SCATTER_TABLE = _record("first", "runs", "targets", "weights", "channels", "stride", "group", "shift", "single", "one")

# a compile.gather_tables.GatherTable: where its arrays begin, and its numbers
GATHER_TABLE = _record(
    *("first", "rows", "columns", "weights", "passes", "n_rows", "n_columns", "channels", "filters", "places"),
    # of its compile.tile_tables.TileTable
    *("padded", "lines", "n_lines", "line", "positions", "segments", "blocks", "n_blocks", "n_inputs", "window_rows"),
    "scatter",  # number of the ScatterTable of the same convolution; -1 if there is none
)

# a compile.window_tables.WindowTable: where its entries begin, and its numbers
WINDOW_TABLE = _record("entries", "window", "together", "units")

ALIGNMENT = 16  # numbers in 64 bytes, a cache line, to which rows are aligned

# the ``end`` of an operation that is always active
FOREVER = 2**62


@dataclasses.dataclass(frozen=True, eq=False)
class Program:
    """Arrays for compiled code, and the memory that it needs.

    Attributes
    ----------
    arrays : ProgramArrays
        Operations and the arrays that they read.
    owners : list
        For each operation, the Nengo object that it belongs to; None for probes and counters.
    weight_bytes : list of int
        For each operation, the size of its weights; those that several operations share count once.
    signal_bytes : list of int
        For each operation, the size of the signals that it writes, for a chunk of steps.
    states : list of (int or None)
        For each operation, where its first state begins; None if it has none.
    records : ndarray of int
        Numbers of the operations that record probes.
    arena_size, event_arena_size : int
        Numbers that all dense signals take, and entries that all event lists take.
    """

    arrays: ProgramArrays
    owners: list[typing.Any]
    weight_bytes: list[int]
    signal_bytes: list[int]
    states: list[int | None]
    records: np.ndarray
    arena_size: int
    event_arena_size: int


def padded(size):
    """Return the distance at which rows of ``size`` numbers are aligned."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def aligned_zeros(size):
    """Return float32 zeros that begin at a cache line."""
    raw = np.zeros(size + ALIGNMENT, np.float32)
    begin = -raw.ctypes.data // raw.itemsize % ALIGNMENT
    return raw[begin : begin + size]


def as_bfloat16(weights):
    """Round float32 numbers to the nearest bfloat16, ties to even; return the upper halves of their bits, uint16."""
    bits = weights.view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    halves = aligned_zeros((len(weights) + 1) // 2).view(np.uint16)[: len(weights)]
    halves[:] = rounded
    return halves
