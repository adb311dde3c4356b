"""Measured limits of one core: bytes from its first-level cache, and products of matrices."""

import time

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from nengo_snnconv.compat import tf
from nengo_snnconv.simulator.kernels.vectors import F32, I64, LANES, at_place, load, splat, store, vector

SUMS = 8  # enough vectors to hide the time that an addition takes
SIZE = 4096  # float32 numbers: a third to a half of a first-level cache


@intrinsic
def add_up(typingctx, values):
    """Return the sum of as many numbers as are a multiple of sixteen times SUMS."""

    def generate(context, builder, signature, arguments):
        sums = [cgutils.alloca_once_value(builder, ir.Constant(vector(F32), [0.0] * LANES)) for _ in range(SUMS)]
        for row, n in rows(builder, SUMS):
            pointer = at_place(context, builder, signature.args[0], arguments[0], n)
            total = sums[row]
            value = load(builder, pointer, F32, 4)
            builder.store(builder.fadd(builder.load(total), value), total)
        whole = builder.load(sums[0])
        for total in sums[1:]:
            whole = builder.fadd(whole, builder.load(total))
        return builder.extract_element(whole, ir.Constant(ir.IntType(32), 0))

    return types.float32(values), generate


@intrinsic
def update(typingctx, states, inputs):
    """Multiply states by a half and add inputs, sixteen times SUMS at a time."""

    def generate(context, builder, signature, arguments):
        half = splat(builder, ir.Constant(F32, 0.5), F32)
        for _, n in rows(builder, SUMS):
            state, value = (
                at_place(context, builder, *each, n) for each in zip(signature.args, arguments, strict=True)
            )
            new = builder.fmul(load(builder, state, F32, 4), half, flags=("contract",))
            store(builder, builder.fadd(new, load(builder, value, F32, 4), flags=("contract",)), state)
        return context.get_dummy_value()

    return types.void(states, inputs), generate


def rows(builder, n_rows):
    """Loop over SIZE numbers, and yield the rows of a pass one by one: number of the row, place of its first number."""
    step = ir.Constant(I64, n_rows * LANES)
    with cgutils.for_range_slice(builder, ir.Constant(I64, 0), ir.Constant(I64, SIZE), step) as (n, _):
        for row in range(n_rows):
            yield row, builder.add(n, ir.Constant(I64, LANES * row))


@numba.njit
def add_up_often(values, repeats):
    total = np.float32(0)
    for n in range(repeats):
        values[n % SIZE] = total  # so that no compiler adds up once only
        total = add_up(values) * np.float32(0.5)
    return total


@numba.njit
def update_often(states, inputs, repeats):
    for _ in range(repeats):
        update(states, inputs)


def aligned():
    """Return SIZE zeros that begin with a line of the cache."""
    memory = np.zeros(SIZE + LANES, np.float32)
    first = -memory.ctypes.data % 64 // 4
    return memory[first : first + SIZE]


def bytes_added_up(repeats=40_000):
    """Return the bytes of numbers in the first-level cache that a core adds up in a second."""
    return 4 * SIZE * repeats / seconds(add_up_often, aligned(), repeats)


def bytes_updated(repeats=40_000):
    """Return the bytes of states and inputs in the first-level cache that a core reads and writes in a second."""
    return 12 * SIZE * repeats / seconds(update_often, aligned(), aligned(), repeats)


def products(size=1024):
    """Return the multiply-accumulates of products of matrices that a core computes in a second, in TensorFlow."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    matrix = tf.zeros((size, size))
    return size**3 / seconds(lambda: tf.linalg.matmul(matrix, matrix).numpy())


def seconds(function, *arguments):
    """Return the seconds that a call takes."""
    started = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - started


def core_limits(repeats=9):
    """Return the largest of several measurements of each limit, the first of which includes compilation."""
    measures = {"added": bytes_added_up, "updated": bytes_updated, "products": products}
    return {name: max(measure() for _ in range(repeats)) for name, measure in measures.items()}
