"""Convolutions of a dense signal for four steps together, which pass over units that are zero in all of them.

While an image is shown, mostly the same units are active from step to step, such as averages of spikes.  So the weights
of a unit are loaded once for four steps, for which all products are computed, even if some of the values are zero.
"""

import functools

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .appending import instructions
from .arguments import BLOCK, compiled, inlined
from .event_operations import append_spikes, begin_of, find_starts
from .vectors import F32, I32, I64, LANES, at_place, integer_at, masked_load, masked_store, plus_product, splat, tail
from .weight_sums import columns_read, events_in_window, load_weights, rows_read

TOGETHER = 4  # steps
HALF = TOGETHER // 2  # of them are computed if the last steps of a turn are no more
SAMPLED = 4  # groups of steps, of which one is counted to choose how to compute a convolution
# steps and vectors of filters whose sums fit the registers of a processor, by its instructions
REGISTERS = {"avx512": (4, 4), "avx2": (4, 1), "any": (2, 1)}

# nanoseconds of a vector of products in the estimates of connection_operations, fitted on an AMD EPYC (Zen 5) beside
# those of the other ways; without AVX-512, it takes longer to compute products than to load weights
TIMES = {"avx512": 0.28, "avx2": 0.42, "any": 0.42}


@intrinsic
def time_of_product(typingctx):
    """Return the time of a vector of products, float32."""

    def generate(context, builder, signature, arguments):
        return ir.Constant(F32, TIMES[instructions()])

    return types.float32(), generate


@compiled
def count_in_sample(op, size, turn, work):
    """Return how many values of a step are not zero, and how many units in any of four steps, in a sample of a turn.

    The sample is the last four of each sixteen steps.
    """
    n_nonzero, n_active, n_counted = 0, 0, 0
    if turn.begin == turn.end:
        return 0.0, 0.0
    for t in range(max(turn.begin, turn.end - TOGETHER), turn.begin - 1, -SAMPLED * TOGETHER):
        one, two, three, four = _rows_of_steps(op, t, size, turn, work)
        nonzero, active = np.int32(0), np.int32(0)
        for n in range(size):
            a, b, c, d = one[n] != 0, two[n] != 0, three[n] != 0, four[n] != 0
            nonzero += np.int32(a) + np.int32(b) + np.int32(c) + np.int32(d)
            active += np.int32(a | b | c | d)
        n_nonzero, n_active, n_counted = n_nonzero + nonzero, n_active + active, n_counted + 1
    return n_nonzero / (n_counted * TOGETHER), n_active / n_counted


@inlined
def _rows_of_steps(op, t, size, turn, work):
    """Return the values of a dense signal in four steps from ``t`` on; the last step of a turn may be repeated."""
    begin, last = op.source, turn.end - 1
    one = begin + t * op.source_stride
    two, three = begin + min(t + 1, last) * op.source_stride, begin + min(t + 2, last) * op.source_stride
    four = begin + min(t + 3, last) * op.source_stride
    x = work.arena
    return x[one : one + size], x[two : two + size], x[three : three + size], x[four : four + size]


@inlined
def steps_computed(n_steps):
    """Return for how many steps products are computed in a turn of ``n_steps`` steps."""
    left = n_steps % TOGETHER
    return n_steps - left + (TOGETHER if left > HALF else HALF if left else 0)


@compiled
def convolve_together(op, turn, program, work):
    """Compute a convolution of a dense signal; start from constants if ``op.parameter``, else add to the target."""
    table = program.gather_tables[op.table]
    size, starts = table.places * table.channels, work.starts[: table.places + 1]
    for t in range(turn.begin, turn.end, TOGETHER):
        n_steps, begin = min(TOGETHER, turn.end - t), begin_of(program, op.events_out, t)
        end = _list_active(op, t, size, begin, turn, work)
        for step in range(n_steps):  # the values of a unit in all steps side by side
            source = op.source + (t + step) * op.source_stride
            for k in range(begin, end):
                work.values[begin + (k - begin) * n_steps + step] = work.arena[source + work.units[k]]
        find_starts(work.units, begin, end, table.channels, table.places, starts)
        steps = begin, n_steps, op.target + t * op.target_stride, op.target_stride
        if op.parameter:
            _convolve_steps(table, steps, program.constants, op.constant, np.int64(0), program, work)
        else:
            _convolve_steps(table, steps, work.arena, steps[2], op.target_stride, program, work)


@compiled
def _list_active(op, t, size, begin, turn, work):
    """List the units that are not zero in any of four steps from ``begin`` on; return where the list ends."""
    one, two, three, four = _rows_of_steps(op, t, size, turn, work)
    end, flags = begin, work.flags
    for first in range(0, size, BLOCK):
        length = min(BLOCK, size - first)
        a, b, c, d = one[first:], two[first:], three[first:], four[first:]
        for n in range(length):
            flags[n] = (a[n] != 0) | (b[n] != 0) | (c[n] != 0) | (d[n] != 0)
        end = append_spikes(flags, length, first, np.float32(0), work, end)
    return end


@compiled
def _convolve_steps(table, steps, before, before_at, before_stride, program, work):
    """Compute a convolution for the units listed, added to ``before``, whose steps are ``before_stride`` apart.

    ``steps`` is (where the list begins, number of steps, where the target of the first begins, stride of the target).
    """
    units, values, numbers, weights = work.units, work.values, program.integers, program.weights
    starts, out = work.starts, work.arena
    begin, n_steps, at, stride = steps
    filters = table.filters
    width = -(-filters // LANES) * LANES
    for row in range(table.n_rows):
        one, two = rows_read(table, table.first + row, numbers)
        for column in range(table.columns, table.columns + 3 * table.n_columns, 3):
            done = 0
            while done < width:
                left = width - done
                span = (one, two, *columns_read(column, numbers), table.channels, width)
                active = (begin, n_steps, table.weights + done, filters - done)
                places = (at + done, stride, before_at + done, before_stride)
                if left >= 4 * LANES:
                    add_active_4(out, before, places, weights, units, values, active, starts, numbers, span)
                    done += 4 * LANES
                elif left >= 2 * LANES:
                    add_active_2(out, before, places, weights, units, values, active, starts, numbers, span)
                    done += 2 * LANES
                else:
                    add_active_1(out, before, places, weights, units, values, active, starts, numbers, span)
                    done += LANES
            at += filters
            before_at += filters


def _add_active(n_vectors):
    """Return an intrinsic that computes one position in up to four steps for up to ``n_vectors`` vectors of filters.

    It writes the numbers of ``before``, plus the weights of all units in the window times their values, to ``out``.
    ``places`` is (at, stride, before_at, before_stride), strides from step to step.  ``active`` is (where the list of
    units begins, number of steps, where the weights of the filters begin, number of filters).  ``starts`` holds where
    the units of each place begin in the list.  ``span`` is (begin, end) of the window's entries in ``rows``, followed
    by the span of :func:`.weight_sums.events_in_window`.
    """

    def add_active(typingctx, out, before, places, weights, units, values, active, starts, rows, span):
        signature = types.void(out, before, places, weights, units, values, active, starts, rows, span)

        def generate(context, builder, signature, arguments):
            most_steps, most_vectors = REGISTERS[instructions()]

            def add(n_steps):
                for step in range(0, n_steps, most_steps):
                    for v in range(0, n_vectors, most_vectors):
                        steps = range(step, min(step + most_steps, n_steps))
                        vectors = range(v, min(v + most_vectors, n_vectors))
                        _part_of_sums(context, builder, signature.args, arguments, steps, vectors)

            n_steps = builder.extract_value(arguments[6], 1)
            with builder.if_else(builder.icmp_signed("<=", n_steps, ir.Constant(I64, HALF))) as (half, whole):
                with half:
                    add(HALF)
                with whole:
                    add(TOGETHER)
            return context.get_dummy_value()

        return signature, generate

    return intrinsic(add_active)


def _part_of_sums(context, builder, kinds, arguments, steps, vectors):
    """Generate the code for some steps and vectors of filters."""
    out, before, places, weights, units, values, active, starts, rows, span = arguments
    at, stride, before_at, before_stride = cgutils.unpack_tuple(builder, places)
    begin, n_steps, filter_at, filters = cgutils.unpack_tuple(builder, active)
    first_row, rows_end, *span = cgutils.unpack_tuple(builder, span)
    width = span[-1]
    unit_at = functools.partial(integer_at, context, builder, kinds[4], units)
    start_at = functools.partial(integer_at, context, builder, kinds[7], starts)
    row_at = functools.partial(integer_at, context, builder, kinds[8], rows)

    def row_of(step, array, kind, first, distance):
        place = builder.add(first, builder.mul(distance, ir.Constant(I64, step)))
        return at_place(context, builder, kind, array, place)

    offsets = [ir.Constant(I64, LANES * v) for v in vectors]
    masks = [tail(builder, builder.trunc(builder.sub(filters, offset), I32)) for offset in offsets]
    none = ir.Constant(masks[0].type, [0] * LANES)
    masks_of, sums = [], []
    for step in steps:
        exists = builder.icmp_signed("<", ir.Constant(I64, step), n_steps)
        masks_of.append([builder.select(exists, mask, none) for mask in masks])
        row = row_of(step, before, kinds[1], before_at, before_stride)
        sums.append([])
        for offset, mask in zip(offsets, masks_of[-1], strict=True):
            loaded = masked_load(builder, builder.gep(row, [offset]), F32, mask, 4)
            sums[-1].append(cgutils.alloca_once_value(builder, loaded))
    with events_in_window(builder, row_at, start_at, (first_row, rows_end), span, filter_at) as (event, _, origin):
        at_unit = builder.add(origin, builder.mul(unit_at(event), width))
        source = at_place(context, builder, kinds[3], weights, at_unit)
        loaded = [load_weights(builder, builder.gep(source, [offset]), kinds[3], None) for offset in offsets]
        event_at = builder.add(begin, builder.mul(builder.sub(event, begin), n_steps))
        value = at_place(context, builder, kinds[5], values, event_at)
        for step, totals in zip(steps, sums, strict=True):
            x = splat(builder, builder.load(builder.gep(value, [ir.Constant(I64, step)])), F32)
            for factor, total in zip(loaded, totals, strict=True):
                builder.store(plus_product(builder, builder.load(total), x, factor), total)
    for step, masks, totals in zip(steps, masks_of, sums, strict=True):
        target = row_of(step, out, kinds[0], at, stride)
        for offset, mask, total in zip(offsets, masks, totals, strict=True):
            masked_store(builder, builder.load(total), builder.gep(target, [offset]), mask)


add_active_1, add_active_2, add_active_4 = map(_add_active, (1, 2, 4))
