"""Arguments of the operations: named tuples of arrays, and the decorator that compiles an operation.

Every operation is a function ``operation(op, turn, program, run, counters, work)``:

- ``op`` is its row of the program's operations, see :data:`nengo_snnconv.simulator.program.OPERATION`;
- ``turn`` says which image and which steps it computes;
- the other four hold the arrays that all operations share.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numba import types

from ..program import EVENTS, GATHER_TABLE, OPERATION, SCATTER_TABLE, WINDOW_TABLE, Program, aligned_zeros
from .vectors import LANES

# inputs whose weights for the filters of a tile (24 kB) stay in the first-level cache while all positions use them
BLOCK_INPUTS = 96
# filters and positions of the largest tiles of a convolution
TILE_FILTERS, TILE_POSITIONS = 64, 12
# neurons that are stepped through time together, so that their state stays in the first-level cache
BLOCK = 512
# neurons of several blocks that are stepped together because the others cannot spike
CHOSEN = 2 * BLOCK
# distance of their rows: not a multiple of 4,096 bytes, so that rows do not compete for the same part of the cache
ROW = CHOSEN + 12 * LANES

# arguments such as 0 would compile a function once more, for this number; np.int64(0) does not
# compiled functions call one another only; wrappers for calls from Python would take half of the time of compilation;
# they allocate no arrays, so references need not be counted, which takes an atomic operation for each use of an array
OPTIONS = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True, "_nrt": False}
compiled = numba.njit(no_cpython_wrapper=True, **OPTIONS)
# for small functions inside loops
inlined = numba.njit(no_cpython_wrapper=True, forceinline=True, **OPTIONS)


@inlined
def copy_numbers(source, begin, target, target_begin, size):
    """Copy a part of an array; assigning slices would compile a message about their shapes, which takes seconds."""
    x, out = source[begin : begin + size], target[target_begin : target_begin + size]
    for n in range(size):
        out[n] = x[n]


class ProgramArrays(NamedTuple):
    """Arrays of a :class:`~nengo_snnconv.simulator.program.Program`, whose module has the columns of its tables.

    Attributes
    ----------
    operations : structured ndarray of OPERATION
        In the order in which they run.
    events : structured ndarray of EVENTS
    scatter_tables : structured ndarray of SCATTER_TABLE
    gather_tables : structured ndarray of GATHER_TABLE
    window_tables : structured ndarray of WINDOW_TABLE
    integers, runs, weights, constants : ndarray
        Arrays of all tables and operations, one after another; weights are float32, or bfloat16 as uint16.
    """

    operations: np.ndarray
    events: np.ndarray
    scatter_tables: np.ndarray
    gather_tables: np.ndarray
    window_tables: np.ndarray
    integers: np.ndarray
    runs: np.ndarray
    weights: np.ndarray
    constants: np.ndarray


class Run(NamedTuple):
    """One run of a minibatch.

    Attributes
    ----------
    n_steps : int
        Number of steps of the run.
    chunk : int
        Number of steps that an operation computes before the next operation has its turn.
    steps_before : int
        Number of steps since the reset before this run.
    data : ndarray of float32, (numbers,)
        Data of all nodes that are fed, one node after another.
    inputs : ndarray of int64, (fed nodes, 3)
        For each node: where its data begin, and the strides from image to image and from step to step.
    state : ndarray of float32, (images, numbers)
        States of neurons and filters; updated.
    results : ndarray of float32, (images, numbers)
        Filled with the samples of all probes.
    sample_rows : ndarray of int64, (probes, n_steps)
        Row of the results for each step that a probe samples, -1 for the other steps.
    """

    n_steps: int
    chunk: int
    steps_before: int
    data: np.ndarray
    inputs: np.ndarray
    state: np.ndarray
    results: np.ndarray
    sample_rows: np.ndarray


class Counters(NamedTuple):
    """Numbers of events, to which operations add.

    Attributes
    ----------
    per_unit : ndarray of float64, (units of all counted layers,)
    per_step : ndarray of float64, (counted layers, n_steps)
        Further rows count the negative events of layers whose neurons can emit them.
    """

    per_unit: np.ndarray
    per_step: np.ndarray


class Workspace(NamedTuple):
    """Memory of one thread.

    Attributes
    ----------
    arena : ndarray of float32
        Dense signals.
    units, values : ndarray of int32, of float32
        The unit and the value of each event.
    counts : ndarray of int64, (event lists, chunk)
        Number of events of each list in each step.
    flags : ndarray of uint8, (BLOCK,)
        Which neurons of a block spike.
    outputs : ndarray of float32
        Outputs of neurons that may spike several times in a step; also temporary results.
    starts : ndarray of int32
        For each step and each place of a convolution's input: where its events begin.
    padded : ndarray of float32
        For each step, a padded copy of a convolution's input.
    packed : ndarray of float32
        Weights of a block of a convolution.
    places : ndarray of int64
        Where the positions of a tile read and write.
    chosen : ndarray of int32, (CHOSEN + LANES,)
        Numbers of some neurons, whose inputs and states are in the last ``3 * ROW`` numbers of the arena.
    """

    arena: np.ndarray
    units: np.ndarray
    values: np.ndarray
    counts: np.ndarray
    flags: np.ndarray
    outputs: np.ndarray
    starts: np.ndarray
    padded: np.ndarray
    packed: np.ndarray
    places: np.ndarray
    chosen: np.ndarray


class Turn(NamedTuple):
    """The image and the steps that an operation computes before the next operation has its turn.

    Attributes
    ----------
    image : int
        Row of the image in ``Run.state`` and ``Run.results``.
    state : ndarray of float32, (numbers,)
        States of this image.
    start : int
        First step of the chunk, counted from the beginning of the run.
    length : int
        Number of steps of the chunk.
    begin, end : int
        Steps of the chunk in which the operation is active.
    """

    image: int
    state: np.ndarray
    start: int
    length: int
    begin: int
    end: int


def kinds_of(weight):
    """Return the Numba types of the arguments of an operation, for weights of this Numba type."""
    f32, i32, i64 = types.float32, types.int32, types.int64

    def tables(dtype):
        return numba.from_dtype(dtype)[::1]

    return (
        numba.from_dtype(OPERATION),
        types.NamedTuple((i64, f32[::1], i64, i64, i64, i64), Turn),
        types.NamedTuple(
            (
                *map(tables, (OPERATION, EVENTS, SCATTER_TABLE, GATHER_TABLE, WINDOW_TABLE)),
                i32[::1],
                i32[:, ::1],
                weight[::1],
                f32[::1],
            ),
            ProgramArrays,
        ),
        types.NamedTuple((i64, i64, i64, f32[::1], i64[:, ::1], f32[:, ::1], f32[:, ::1], i64[:, ::1]), Run),
        types.NamedTuple((types.float64[::1], types.float64[:, ::1]), Counters),
        types.NamedTuple(
            (
                *(f32[::1], i32[::1], f32[::1], i64[:, ::1], types.uint8[::1], f32[::1], i32[::1]),
                *(f32[::1], f32[::1], i64[::1], i32[::1]),
            ),
            Workspace,
        ),
    )


def new_workspace(program: Program, chunk: int) -> Workspace:
    """Return the memory in which a thread runs a program, ``chunk`` steps at a time."""
    arrays = program.arrays
    # three rows for the late resets of neuron_loops, and a vector that ends behind each
    widest = max(3 * CHOSEN, int(arrays.operations["size"].max(initial=0))) + 3 * LANES
    return Workspace(
        arena=aligned_zeros((program.arena_size // LANES + 1) * LANES + 3 * ROW),
        units=np.empty(program.event_arena_size + 1, np.int32),
        values=np.empty(program.event_arena_size + 1, np.float32),
        counts=np.zeros((len(arrays.events), chunk), np.int64),
        flags=np.zeros(BLOCK, np.uint8),
        outputs=np.zeros(widest, np.float32),
        starts=np.zeros(chunk * (int(arrays.gather_tables["places"].max(initial=0)) + 1), np.int32),
        padded=aligned_zeros(chunk * int(arrays.gather_tables["padded"].max(initial=0)) + 1),
        packed=aligned_zeros(BLOCK_INPUTS * TILE_FILTERS),
        places=np.zeros(3 * TILE_POSITIONS, np.int64),
        chosen=np.zeros(CHOSEN + LANES, np.int32),
    )
