"""Programs: what the fast simulator does for one image and a chunk of time, as arrays that compiled code goes through.

A program is a list of operations on *rows* of signals, one row a step.  A signal is dense, a row of an arena for each
step, or events, the indices and values of what is not zero; a constant one has a single row.
"""

import dataclasses

import numpy as np

# an operation: its code, and where what it reads and writes begins.  Strides are from step to step, 0 for constants.
OPERATION = np.dtype(
    [
        (name, np.int64)
        for name in (
            "code",
            "once",  # whether it is done once for each image, because all that it reads is constant
            "begin",  # the steps since the reset in which it is done, from begin to end
            "end",
            "size",
            "source",
            "source_stride",
            "target",
            "target_stride",
            "read",  # number of the events that it reads
            "written",  # number of those that it writes
            "table",  # number of its Table or Gathering
            "constant",  # where its numbers begin among the constants
            "state",  # where its first state begins; others follow, state_stride apart
            "state_stride",
            "trace",  # the signal that keeps its states, state_stride apart; -1 for none
            "trace_stride",
            "number",  # what else it needs: the window of maxima, the order of a filter, whether sums begin anew, ...
        )
    ]
)

# where events lie, from step to step
EVENTS = np.dtype([("begin", np.int64), ("stride", np.int64)])

# what a Table says beside its runs
TABLE = np.dtype(
    [
        (name, np.int64)
        for name in ("first", "runs", "targets", "weights", "channels", "stride", "group", "shift", "single")
    ]
)

# where the numbers of a Gathering begin, and how many there are
GATHERING = np.dtype(
    [
        (name, np.int64)
        for name in (
            "first",
            "rows",
            "columns",
            "weights",
            "passes",
            "n_rows",
            "n_columns",
            "channels",
            "filters",
            "places",
        )
    ]
)

ALIGNED = 16  # numbers in 64 bytes, to which rows are aligned

(
    LOAD,  # a row of the data
    FILL,  # constants
    COPY,
    ADD,
    SCALE,  # factors and offsets for each unit
    COMPACT,  # dense to events
    EXPAND,  # events to dense
    SCATTER,
    GATHER,
    REMAP,  # events to events, where a table only selects
    FILTER,
    RECTIFY,
    INTEGRATE,
    INTEGRATE_OFTEN,
    SPIKING_RECTIFY,
    LIF,
    SURROGATE,
    POISSON,
    FIRST_INPUT,
    FIRST_SPIKE,
    FIRST_READOUT,
    GATE,
    MAXIMA,
    RECORD,
    COUNT,
) = range(25)

FOREVER = 2**62


@dataclasses.dataclass(frozen=True, eq=False)
class Program:
    """What is needed to run: arrays for compiled code, and how much memory it works in.

    Attributes
    ----------
    operations : structured ndarray
    events : structured ndarray
    tables, gatherings : structured ndarray
    first, runs, weights, constants : ndarray
        Of all tables and operations, one after another; weights are float32, or bfloat16 as uint16.
    arena, event_arena : int
        Numbers that dense signals take, and events.
    """

    operations: np.ndarray
    events: np.ndarray
    tables: np.ndarray
    gatherings: np.ndarray
    first: np.ndarray
    runs: np.ndarray
    weights: np.ndarray
    constants: np.ndarray
    arena: int
    event_arena: int

    @property
    def arrays(self):
        """What the machine reads, in its order."""
        lists = (self.operations, self.events, self.tables, self.gatherings)
        return (*lists, self.first, self.runs, self.weights, self.constants)

    @property
    def records(self):
        """Which operations record."""
        return self.operations["code"] == RECORD


def padded(size):
    """The distance at which rows of ``size`` numbers are aligned."""
    return -(-size // ALIGNED) * ALIGNED


def aligned_zeros(size):
    """float32 zeros that begin at a line of the cache."""
    raw = np.zeros(size + ALIGNED, np.float32)
    begin = -raw.ctypes.data // raw.itemsize % ALIGNED
    return raw[begin : begin + size]


def as_bfloat16(weights):
    """float32 numbers, rounded to the nearest bfloat16: the upper halves of their bits, uint16, aligned likewise."""
    bits = weights.view(np.uint32)
    # to even where two are equally near
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    halves = aligned_zeros((len(weights) + 1) // 2).view(np.uint16)[: len(weights)]
    halves[:] = rounded
    return halves


class Pool:
    """Arrays that are collected one after another in a single one, each of them once.

    Parameters
    ----------
    dtype : dtype
    align : int
        Of the beginning of each, in entries.
    """

    def __init__(self, dtype, align=1, shape=()):
        self.dtype, self.align, self.shape = dtype, align, shape
        self.parts, self.size, self.places = [], 0, {}

    def add(self, array):
        """Where the array begins."""
        key = id(array)
        if key not in self.places:
            self.places[key] = self.size
            self.parts.append(array)
            self.size += len(array) + -len(array) % self.align
        return self.places[key]

    def array(self):
        """All of them, beginning at a line of the cache."""
        whole = aligned_zeros(self.size) if self.dtype == np.float32 else np.zeros((self.size, *self.shape), self.dtype)
        for array, begin in zip(self.parts, self.places.values(), strict=True):
            whole[begin : begin + len(array)] = array
        return whole
