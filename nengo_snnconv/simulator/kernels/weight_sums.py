"""Sums of the weights of events: for one event after another, or for one output after another."""

import contextlib
import functools

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .appending import instructions
from .arguments import inlined
from .vectors import (
    F32,
    I16,
    I32,
    I64,
    LANES,
    at_place,
    integer_at,
    load,
    masked_load,
    masked_store,
    plus_product,
    splat,
    store,
    tail,
    vector,
)


def load_weights(builder, pointer, kind, mask):
    """Load sixteen weights, or those in the lanes of a mask, as float32.

    They are stored as float32, or as bfloat16: the upper halves of float32 numbers, as uint16.
    """
    stored, align = (F32, 4) if kind.dtype == types.float32 else (I16, 2)
    if mask is None:
        loaded = load(builder, pointer, stored, align)
    else:
        loaded = masked_load(builder, pointer, stored, mask, align)
    if stored == F32:
        return loaded
    wide = builder.zext(loaded, vector(I32))
    return builder.bitcast(builder.shl(wide, ir.Constant(vector(I32), [16] * LANES)), vector(F32))


@intrinsic
def weight_at(typingctx, weights, place):
    """Return a single weight as float32."""
    signature = types.float32(weights, types.int64)

    def generate(context, builder, signature, arguments):
        kind = signature.args[0]
        stored = builder.load(at_place(context, builder, kind, *arguments))
        if kind.dtype == types.float32:
            return stored
        return builder.bitcast(builder.shl(builder.zext(stored, I32), ir.Constant(I32, 16)), F32)

    return signature, generate


@intrinsic
def copy_weights(typingctx, out, at, weights, place):
    """Copy sixteen weights from ``place`` on to ``out[at]`` and the following entries, as float32."""
    signature = types.void(out, types.int64, weights, types.int64)

    def generate(context, builder, signature, arguments):
        out, at, weights, place = arguments
        kind = signature.args[2]
        copied = load_weights(builder, at_place(context, builder, kind, weights, place), kind, None)
        store(builder, copied, at_place(context, builder, signature.args[0], out, at))
        return context.get_dummy_value()

    return signature, generate


def _row_addition(short):
    """Return an intrinsic that adds ``factors[i] * weights[begins[i] + n]`` for all i to ``out[at + n]``.

    It does so for n below ``length``; ``begins`` and ``factors`` are tuples.  Rows that are short, at most 64 numbers,
    are added in masked vectors, because the end of a loop would take longer.
    """

    def add_rows(typingctx, out, at, weights, length, begins, factors):
        signature = types.void(out, types.int64, weights, types.int64, begins, factors)

        def generate(context, builder, signature, arguments):
            out, at, weights, length, begins, factors = arguments
            kinds = signature.args
            target = at_place(context, builder, kinds[0], out, at)
            sources = [at_place(context, builder, kinds[2], weights, b) for b in cgutils.unpack_tuple(builder, begins)]
            spread = [splat(builder, x, F32) for x in cgutils.unpack_tuple(builder, factors)]

            def add(n, mask=None):
                place = builder.gep(target, [n])
                total = load(builder, place, F32, 4) if mask is None else masked_load(builder, place, F32, mask, 4)
                for source, factor in zip(sources, spread, strict=True):
                    row = load_weights(builder, builder.gep(source, [n]), kinds[2], mask)
                    total = plus_product(builder, total, factor, row)
                if mask is None:
                    store(builder, total, place)
                else:
                    masked_store(builder, total, place, mask)

            def number(value):
                return ir.Constant(I64, value)

            if short and instructions() == "avx512":
                with cgutils.for_range_slice(builder, number(0), length, number(4 * LANES)) as (done, _):
                    for v in range(4):
                        n = builder.add(done, number(v * LANES))
                        add(n, tail(builder, builder.trunc(builder.sub(length, n), I32)))
                return context.get_dummy_value()
            whole = builder.and_(length, number(-LANES))
            with cgutils.for_range_slice(builder, number(0), whole, number(LANES)) as (n, _):
                add(n)
            left = builder.sub(length, whole)
            with builder.if_then(builder.icmp_signed(">", left, number(0))):
                add(whole, tail(builder, builder.trunc(left, I32)))
            return context.get_dummy_value()

        return signature, generate

    return intrinsic(add_rows)


add_rows, add_short_rows = _row_addition(False), _row_addition(True)


@intrinsic
def raise_to(typingctx, out, at, values, place, length):
    """Raise ``out[at + n]`` to ``values[place + n]`` where that is larger, for n below ``length``."""
    signature = types.void(out, types.int64, values, types.int64, types.int64)

    def generate(context, builder, signature, arguments):
        out, at, values, place, length = arguments
        kinds = signature.args
        target = at_place(context, builder, kinds[0], out, at)
        source = at_place(context, builder, kinds[2], values, place)
        whole = builder.and_(length, ir.Constant(I64, -LANES))
        with cgutils.for_range_slice(builder, ir.Constant(I64, 0), whole, ir.Constant(I64, LANES)) as (n, _):
            entry = builder.gep(target, [n])
            before, other = load(builder, entry, F32, 4), load(builder, builder.gep(source, [n]), F32, 4)
            larger = builder.fcmp_unordered(">", other, before)
            store(builder, builder.select(larger, other, before), entry)
        with cgutils.for_range_slice(builder, whole, length, ir.Constant(I64, 1)) as (n, _):
            entry = builder.gep(target, [n])
            before, other = builder.load(entry), builder.load(builder.gep(source, [n]))
            larger = builder.fcmp_unordered(">", other, before)
            builder.store(builder.select(larger, other, before), entry)
        return context.get_dummy_value()

    return signature, generate


# vectors of sums that fit the registers of a processor, by its instructions
REGISTERS = {"avx512": 16, "avx2": 4, "any": 2}


def _load_sums(builder, before, left, vectors, n_turns):
    """Return where vectors of up to ``left`` filters begin, their masks, and ``n_turns`` variables for each.

    The first sum begins with the numbers at ``before``.  With two sums, one addition need not wait for the last.
    """
    offsets = [ir.Constant(I64, LANES * n) for n in vectors]
    masks = [tail(builder, builder.trunc(builder.sub(left, offset), I32)) for offset in offsets]
    zeros, sums = ir.Constant(vector(F32), [0.0] * LANES), []
    for offset, mask in zip(offsets, masks, strict=True):
        loaded = masked_load(builder, builder.gep(before, [offset]), F32, mask, 4)
        begins = [loaded, *[zeros] * (n_turns - 1)]
        sums.append([cgutils.alloca_once_value(builder, begin) for begin in begins])
    return offsets, masks, sums


def _add_products(builder, row, kind, factor, offsets, totals):
    """Add a row of weights times a factor to a variable for each vector of filters."""
    factor = splat(builder, factor, F32)
    for offset, total in zip(offsets, totals, strict=True):
        loaded = load_weights(builder, builder.gep(row, [offset]), kind, None)
        builder.store(plus_product(builder, builder.load(total), factor, loaded), total)


def _store_sums(builder, target, offsets, masks, sums):
    """Store the totals of the sums of :func:`_load_sums`."""
    for offset, mask, totals in zip(offsets, masks, sums, strict=True):
        total = functools.reduce(builder.fadd, map(builder.load, totals))
        masked_store(builder, total, builder.gep(target, [offset]), mask)


def _event_pair(builder, units, values, first, last):
    """Return unit and value of an event and of the next one; beyond the last event, the value is 0."""
    second = builder.add(first, ir.Constant(I64, 1))
    exists = builder.icmp_signed("<", second, last)
    unit, next_unit = units(first), units(second)
    value, next_value = (builder.load(values(event)) for event in (first, second))
    next_value = builder.select(exists, next_value, ir.Constant(F32, 0.0))
    return (unit, value), (builder.select(exists, next_unit, unit), next_value)


@inlined
def rows_read(table, row, numbers):
    """Return where the entries of ``rows`` for a row of a gather table's output begin and end."""
    return table.rows + 2 * np.int64(numbers[row]), table.rows + 2 * np.int64(numbers[row + 1])


@inlined
def columns_read(column, numbers):
    """Return what a position reads in each row: (first column, one behind the last column, tap of the first column)."""
    return np.int64(numbers[column]), np.int64(numbers[column + 1]), np.int64(numbers[column + 2])


@contextlib.contextmanager
def events_in_window(builder, row_at, start_at, rows, span, filter_at, n_turns=1):
    """Generate a loop over the events in a window, ``n_turns`` at a time.

    ``row_at`` and ``start_at`` return entries of a table's rows and of ``starts``, see :func:`_gather_vectors`.
    ``rows`` is (begin, end) of the window's rows.  ``span`` is (first column, one behind the last column, tap of the
    first column, channels, distance between the weights of two channels).  The body is given the first event of a
    turn, the one behind the last event of the row, and where the weights of unit 0 would be, from ``filter_at`` on, if
    the taps of the row continued to there.
    """
    lowest, highest, tap, channels, width = span
    with cgutils.for_range_slice(builder, *rows, ir.Constant(I64, 2)) as (row, _):
        place = row_at(row)
        lower, upper = (builder.add(place, column) for column in (lowest, highest))
        first, last = start_at(lower), start_at(upper)
        skipped = builder.mul(builder.sub(tap, lower), channels)
        weight = row_at(builder.add(row, ir.Constant(I64, 1)))
        origin = builder.add(builder.add(weight, filter_at), builder.mul(skipped, width))
        with cgutils.for_range_slice(builder, first, last, ir.Constant(I64, n_turns)) as (event, _):
            yield event, last, origin


def _gather_vectors(n_vectors):
    """Return an intrinsic that computes one position of a convolution for up to ``n_vectors`` vectors of filters.

    It writes the numbers of ``initial`` from ``initial_at`` on, plus the weights of all events in the window times
    their values, to ``out`` from ``at`` on.  ``rows`` holds, from ``begin`` to ``end``, the place and the weights of
    each row that the window reads.  ``span`` is (first column, one behind the last column, tap of the first column,
    channels, distance between the weights of two channels, number of filters).  ``starts`` holds where the events of
    each place begin in the list (units, values).  There are many parameters, because each is a plain value for LLVM.
    """

    def gather(
        typingctx, out, at, initial, initial_at, weights, filter_at, index, value, starts, rows, begin, end, span
    ):
        i64 = types.int64
        signature = types.void(out, i64, initial, i64, weights, i64, index, value, starts, rows, i64, i64, span)

        def generate(context, builder, signature, arguments):
            most = min(n_vectors, REGISTERS[instructions()])
            for v in range(0, n_vectors, most):
                _gather_part(context, builder, signature.args, arguments, range(v, v + most))
            return context.get_dummy_value()

        return signature, generate

    return intrinsic(gather)


def _gather_part(context, builder, kinds, arguments, vectors):
    """Generate the code for some vectors of filters; the innermost loops of convolutions as LLVM instructions."""
    out, at, initial, initial_at, weights, filter_at, index, value, starts, rows, begin, end, span = arguments
    target = at_place(context, builder, kinds[0], out, at)
    before = at_place(context, builder, kinds[2], initial, initial_at)
    *span, left = cgutils.unpack_tuple(builder, span)
    width = span[-1]
    n_turns = 2 if 2 * len(vectors) <= REGISTERS[instructions()] else 1
    offsets, masks, sums = _load_sums(builder, before, left, vectors, n_turns)
    units = functools.partial(integer_at, context, builder, kinds[6], index)
    values = functools.partial(at_place, context, builder, kinds[7], value)
    row_at = functools.partial(integer_at, context, builder, kinds[9], rows)
    start_at = functools.partial(integer_at, context, builder, kinds[8], starts)
    window = (begin, end)
    with events_in_window(builder, row_at, start_at, window, span, filter_at, n_turns) as (event, last, origin):
        if n_turns == 2:
            events = _event_pair(builder, units, values, event, last)
        else:
            events = [(units(event), builder.load(values(event)))]
        for which, (unit, factor) in enumerate(events):
            at_unit = builder.add(origin, builder.mul(unit, width))
            row_of_unit = at_place(context, builder, kinds[4], weights, at_unit)
            _add_products(builder, row_of_unit, kinds[4], factor, offsets, [each[which] for each in sums])
    _store_sums(builder, target, offsets, masks, sums)


gather_1, gather_2, gather_4, gather_8, gather_16 = map(_gather_vectors, (1, 2, 4, 8, 16))


@intrinsic
def add_window(typingctx, out, at, initial, initial_at, weights, weights_at, values, values_at, rows, begin, end, span):
    """Compute up to sixteen channels of one position of a depthwise convolution.

    It writes the numbers of ``initial`` from ``initial_at`` on, plus the products of weights and values in the window,
    to ``out`` from ``at`` on.  ``rows``, ``begin`` and ``end`` are as in :func:`_gather_vectors`.  ``span`` is (first
    column, one behind the last column, tap of the first column, number of channels, distance between the weights of two
    taps, number of channels from the first of the sixteen on).
    """
    i64 = types.int64
    signature = types.void(out, i64, initial, i64, weights, i64, values, i64, rows, i64, i64, span)

    def generate(context, builder, signature, arguments):
        out, at, initial, initial_at, weights, weights_at, values, values_at, rows, begin, end, span = arguments
        kinds = signature.args
        lowest, highest, tap, channels, width, left = cgutils.unpack_tuple(builder, span)
        mask = tail(builder, builder.trunc(left, I32))
        before = at_place(context, builder, kinds[2], initial, initial_at)
        total = cgutils.alloca_once_value(builder, masked_load(builder, before, F32, mask, 4))

        number = functools.partial(integer_at, context, builder, kinds[8], rows)
        with cgutils.for_range_slice(builder, begin, end, ir.Constant(I64, 2)) as (row, _):
            place = builder.mul(builder.add(number(row), lowest), channels)
            source = at_place(context, builder, kinds[6], values, builder.add(values_at, place))
            first = builder.add(number(builder.add(row, ir.Constant(I64, 1))), builder.mul(tap, width))
            factor = at_place(context, builder, kinds[4], weights, builder.add(weights_at, first))
            with cgutils.for_range(builder, builder.sub(highest, lowest)) as loop:
                value = builder.gep(source, [builder.mul(loop.index, channels)])
                weight = builder.gep(factor, [builder.mul(loop.index, width)])
                x = masked_load(builder, value, F32, mask, 4)
                loaded = load_weights(builder, weight, kinds[4], None)
                builder.store(plus_product(builder, builder.load(total), x, loaded), total)
        masked_store(builder, builder.load(total), at_place(context, builder, kinds[0], out, at), mask)
        return context.get_dummy_value()

    return signature, generate
