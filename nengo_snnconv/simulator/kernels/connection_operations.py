"""Operations of connections: the weighted sums of events, as dense signals.

``scatter`` goes through the events and adds the weights of each to the units that it reaches.  ``gather`` goes through
the outputs of a convolution and adds up the events that each reads.
"""

import numpy as np

from .arguments import compiled, copy_numbers, inlined
from .event_operations import append_values, begin_of, events_of, find_starts, set_count
from .joint_steps import TOGETHER, convolve_together, count_in_sample, steps_computed, time_of_product
from .tile_operations import lay_out_events, lay_out_values, multiply
from .vectors import LANES
from .weight_sums import (
    add_rows,
    add_short_rows,
    add_window,
    columns_read,
    gather_1,
    gather_2,
    gather_4,
    gather_8,
    gather_16,
    rows_read,
    weight_at,
)

# convolutions take several passes if on average at least one unit in 16 has an event
PASSES_FROM = 16


@compiled
def scatter(op, turn, program, run, counters, work):
    """Add the weights of each event to the units that it reaches; first write constants if ``op.parameter``."""
    _scatter(program.scatter_tables[op.table], op, turn, program, work)


@compiled
def _scatter(table, op, turn, program, work):
    """Add the weights of the events that an operation reads, with a scatter table."""
    for t in range(turn.begin, turn.end):
        begin, end = events_of(program, work, op.events_in, t)
        target = op.target + t * op.target_stride
        if op.parameter:
            copy_numbers(program.constants, op.constant, work.arena, target, op.size)
        if table.single:
            _scatter_single(table, begin, end, target, program, work)
        elif table.channels == 1:
            _scatter_places(table, begin, end, target, program, work)
        else:
            _scatter_runs(table, begin, end, target, program, work)


@compiled
def _scatter_runs(table, begin, end, at, program, work):
    """Add the runs of weights of the events ``begin`` to ``end`` to the units from ``at`` on.

    Events of one place that follow one another reach the same units, so up to four of them are added together.
    """
    channels, stride, group, shift = table.channels, table.stride, table.group, table.shift
    base, weights, index, value, target = table.weights, program.weights, work.units, work.values, work.arena
    first, runs = program.integers[table.first :], program.runs[table.runs :]
    while begin < end:
        unit = np.int64(index[begin])
        place = np.int64(np.uint32(unit) // np.uint32(channels))
        origin = place * channels
        one = base + (unit - origin) * stride
        x = value[begin]
        together = 1
        if shift == 0:
            while together < 4 and begin + together < end and 0 <= index[begin + together] - origin < channels:
                together += 1
        if together == 4:
            two, y = base + (index[begin + 1] - origin) * stride, value[begin + 1]
            three, z = base + (index[begin + 2] - origin) * stride, value[begin + 2]
            four, w = base + (index[begin + 3] - origin) * stride, value[begin + 3]
            for run in range(first[place], first[place + 1]):
                by = np.int64(runs[run, 1])
                begins = (one + by, two + by, three + by, four + by)
                add_rows(target, at + runs[run, 0], weights, np.int64(runs[run, 2]), begins, (x, y, z, w))
            begin += 4
        elif together == 3:
            two, y = base + (index[begin + 1] - origin) * stride, value[begin + 1]
            three, z = base + (index[begin + 2] - origin) * stride, value[begin + 2]
            for run in range(first[place], first[place + 1]):
                by = np.int64(runs[run, 1])
                begins = (one + by, two + by, three + by)
                add_rows(target, at + runs[run, 0], weights, np.int64(runs[run, 2]), begins, (x, y, z))
            begin += 3
        elif together == 2:
            two, y = base + (index[begin + 1] - origin) * stride, value[begin + 1]
            for run in range(first[place], first[place + 1]):
                by = np.int64(runs[run, 1])
                begins = (one + by, two + by)
                add_rows(target, at + runs[run, 0], weights, np.int64(runs[run, 2]), begins, (x, y))
            begin += 2
        else:
            shifted = at + (unit - origin) // group * shift
            for run in range(first[place], first[place + 1]):
                begins = (one + np.int64(runs[run, 1]),)
                add_rows(target, shifted + runs[run, 0], weights, np.int64(runs[run, 2]), begins, (x,))
            begin += 1


@compiled
def _scatter_places(table, begin, end, at, program, work):
    """Add the runs of weights of events of an input with one channel to the units from ``at`` on."""
    first, runs, weights = program.integers[table.first :], program.runs[table.runs :], program.weights
    index, value, target = work.units, work.values, work.arena
    for k in range(begin, end):
        unit, x = np.uint64(index[k]), value[k]
        for run in range(np.uint64(first[unit]), np.uint64(first[unit + np.uint64(1)])):
            to, place, length = np.int64(runs[run, 0]), np.int64(runs[run, 1]), np.int64(runs[run, 2])
            add_short_rows(target, at + to, weights, length, (table.weights + place,), (x,))


@compiled
def _scatter_single(table, begin, end, at, program, work):
    """Add the weights of events to the units from ``at`` on, for a table whose runs are single weights.

    Unsigned numbers take less than half the time: Numba need not test whether they count from the end of an array.
    """
    at, base, begin, end = np.uint64(at), np.uint64(table.weights), np.uint64(begin), np.uint64(end)
    first, targets = program.integers[table.first :], program.integers[table.targets :]
    weights, index, value, target = program.weights, work.units, work.values, work.arena
    if table.one:  # as of averages whose windows do not overlap
        for k in range(begin, end):
            unit, x = np.uint64(index[k]), value[k]
            target[at + np.uint64(targets[unit])] += x * weight_at(weights, np.int64(base + unit))
        return
    for k in range(begin, end):
        unit, x = np.uint64(index[k]), value[k]
        for run in range(np.uint64(first[unit]), np.uint64(first[unit + np.uint64(1)])):
            target[at + np.uint64(targets[run])] += x * weight_at(weights, np.int64(base + run))


@compiled
def gather(op, turn, program, run, counters, work):
    """Compute a convolution of events; start from constants if ``op.parameter``, else add to the target.

    If there are so many events that products with all inputs are faster, it computes these.
    """
    table, n_events = program.gather_tables[op.table], np.int64(0)
    for t in range(turn.begin, turn.end):
        begin, end = events_of(program, work, op.events_in, t)
        n_events += end - begin
    n_events_of_step = n_events / (turn.end - turn.begin)
    by_runs = table.scatter >= 0  # adds in the order of units, as the products do, so that both round alike
    sparse = _time_of_runs(table, n_events_of_step) if by_runs else _time_of_events(table, n_events_of_step)
    if table.n_blocks > 0 and sparse >= _time_of_products(table):
        lay_out_events(op.events_in, table, turn, program, work)
        multiply(op, table, turn, program, work)
    elif by_runs:
        _scatter(program.scatter_tables[table.scatter], op, turn, program, work)
    else:
        _gather(op, op.events_in, n_events, turn, program, work)


@compiled
def convolve(op, turn, program, run, counters, work):
    """Compute a convolution of a dense signal; start from constants if ``op.parameter``, else add to the target.

    It takes the way that is estimated to be the fastest: products of all values, of those that are not zero, or of
    units that are active in any of four steps.
    """
    table, n_steps = program.gather_tables[op.table], turn.end - turn.begin
    size = table.places * table.channels
    n_nonzero, n_active = count_in_sample(op, size, turn, work)
    sparse, dense = _time_of_events(table, n_nonzero), _time_of_products(table)
    if _time_together(table, n_active, n_steps) < min(sparse, dense):
        convolve_together(op, turn, program, work)
    elif sparse < dense:
        n_events = np.int64(0)
        for t in range(turn.begin, turn.end):
            source, begin = op.source + t * op.source_stride, begin_of(program, op.events_out, t)
            end = append_values(work.arena[source : source + size], size, np.int64(0), work, begin)
            set_count(program, work, op.events_out, t, end - begin)
            n_events += end - begin
        _gather(op, op.events_out, n_events, turn, program, work)
    else:
        lay_out_values(op, table, turn, program, work)
        multiply(op, table, turn, program, work)


@inlined
def _sizes(table):
    """Return the numbers of positions, of units of the input and of vectors of filters, as float32."""
    units, n_vectors = table.places * table.channels, -(-table.filters // LANES)
    return np.float32(table.n_rows * table.n_columns), np.float32(units), np.float32(n_vectors)


# The times of a step are rough nanoseconds, fitted to layers of many shapes on a Xeon with AVX-512.


@compiled
def _time_of_events(table, n_events):
    """Return the time of a convolution that goes through its events."""
    positions, units, n_vectors = _sizes(table)
    events_read = positions * table.n_inputs / units * n_events
    # what a branch costs that the processor cannot predict: whether there are events in a row of a window
    surprises = min(np.float32(6) * positions * table.window_rows, np.float32(6) * events_read)
    # a single position, as of a dense layer, reads its weights from a slower cache in each step
    of_event = np.float32(0.6) + n_vectors * (np.float32(0.4) + np.float32(0.7) / positions)
    return np.float32(10) * positions + surprises + events_read * of_event


@compiled
def _time_of_runs(table, n_events):
    """Return the time of a convolution that adds the weights of each event to all positions that it reaches."""
    positions, units, _ = _sizes(table)
    rows = np.float32(table.places * table.channels) / table.line
    runs = table.window_rows * table.n_rows / rows  # of an event
    length = positions * table.n_inputs / units / runs * table.filters
    of_run = np.float32(2) + np.float32(7.6) * np.ceil(length / np.float32(64))
    return np.float32(0.05) * positions * table.filters + n_events * runs * of_run


@compiled
def _time_of_products(table):
    """Return the time of the products of all inputs of a convolution."""
    positions, units, n_vectors = _sizes(table)
    reads = positions * table.n_inputs  # numbers of the input that all windows read
    return n_vectors * (np.float32(0.22) * reads + np.float32(5) * positions) + np.float32(0.5) * units


@compiled
def _time_together(table, n_active, n_steps):
    """Return the time of a convolution of several steps together that goes through the units active in any of them."""
    positions, units, n_vectors = _sizes(table)
    units_read = positions * table.n_inputs / units * n_active
    once = np.float32(10) * positions + np.float32(6) * positions * table.window_rows
    of_step = n_vectors * (time_of_product() * units_read + np.float32(5) * positions)
    computed = np.float32(steps_computed(n_steps)) / np.float32(max(n_steps, 1))  # for each step that is needed
    return computed * (once / TOGETHER + of_step) + np.float32(0.5) * units


@compiled
def _gather(op, events, n_events, turn, program, work):
    """Compute a convolution of the event lists with this number, which hold ``n_events`` together."""
    table = program.gather_tables[op.table]
    n_starts = table.places + 1
    for t in range(turn.begin, turn.end):
        begin, end = events_of(program, work, events, t)
        starts = work.starts[t * n_starts : (t + 1) * n_starts]
        find_starts(work.units, begin, end, table.channels, table.places, starts)
    # with many events, the weights of a pass should stay in the first-level cache while all steps go through it
    first_pass, last_pass = 0, 0
    if n_events * PASSES_FROM > (turn.end - turn.begin) * table.places * table.channels:
        first_pass, last_pass = 1, table.passes
    for number in range(first_pass, last_pass + 1):
        rows = table.first + number * (table.n_rows + 1)
        for t in range(turn.begin, turn.end):
            starts, target = work.starts[t * n_starts : (t + 1) * n_starts], op.target + t * op.target_stride
            if op.parameter and number <= 1:
                _gather_step(table, rows, starts, program.constants, op.constant, target, program, work)
            else:
                _gather_step(table, rows, starts, work.arena, target, target, program, work)


@compiled
def _gather_step(table, first, starts, before, before_at, at, program, work):
    """Compute one pass of a convolution in one step, from ``starts`` of :func:`find_starts`.

    The sums are added to ``before``, and those of up to 256 filters stay in registers.  ``first`` is where the rows of
    the pass begin.
    """
    index, value, target, numbers, weights = work.units, work.values, work.arena, program.integers, program.weights
    filters, channels = table.filters, table.channels
    width = -(-filters // LANES) * LANES
    columns_end = table.columns + 3 * (table.n_columns - 1) + 1
    lowest, highest = numbers[table.columns], numbers[columns_end]
    for row in range(table.n_rows):
        one, two = rows_read(table, first + row, numbers)
        n_events = 0
        for k in range(one, two, 2):
            n_events += starts[numbers[k] + highest] - starts[numbers[k] + lowest]
        if n_events == 0:
            for n in range(table.n_columns * filters):
                target[at + n] = before[before_at + n]
            at += table.n_columns * filters
            before_at += table.n_columns * filters
            continue
        for column in range(table.columns, columns_end, 3):
            span = columns_read(column, numbers)
            done = 0
            while done < width:
                rest = (*span, channels, width, filters - done)
                to, begin, weight = at + done, before_at + done, table.weights + done
                if width - done >= 256:
                    gather_16(target, to, before, begin, weights, weight, index, value, starts, numbers, one, two, rest)
                    done += 256
                elif width - done >= 128:
                    gather_8(target, to, before, begin, weights, weight, index, value, starts, numbers, one, two, rest)
                    done += 128
                elif width - done >= 64:
                    gather_4(target, to, before, begin, weights, weight, index, value, starts, numbers, one, two, rest)
                    done += 64
                elif width - done >= 32:
                    gather_2(target, to, before, begin, weights, weight, index, value, starts, numbers, one, two, rest)
                    done += 32
                else:
                    gather_1(target, to, before, begin, weights, weight, index, value, starts, numbers, one, two, rest)
                    done += 16
            at += filters
            before_at += filters


@compiled
def depthwise(op, turn, program, run, counters, work):
    """Compute a depthwise convolution; start from constants if ``op.parameter``, else add to the target.

    There are few weights for each value, so passing over zeros would take longer than the products.
    """
    table = program.gather_tables[op.table]
    for t in range(turn.begin, turn.end):
        source, target = op.source + t * op.source_stride, op.target + t * op.target_stride
        if op.parameter:
            _depthwise_step(table, source, program.constants, op.constant, target, program, work)
        else:
            _depthwise_step(table, source, work.arena, target, target, program, work)


@compiled
def _depthwise_step(table, source, before, before_at, at, program, work):
    """Compute a depthwise convolution in one step, added to ``before``; its table has one channel and all filters."""
    target, numbers, weights = work.arena, program.integers, program.weights
    channels = table.filters
    width = -(-channels // LANES) * LANES
    for row in range(table.n_rows):
        one, two = rows_read(table, table.first + row, numbers)
        for column in range(table.columns, table.columns + 3 * table.n_columns, 3):
            span = columns_read(column, numbers)
            for done in range(0, channels, LANES):
                rest = (*span, channels, width, channels - done)
                to, origin, weight, value = at + done, before_at + done, table.weights + done, source + done
                add_window(target, to, before, origin, weights, weight, target, value, numbers, one, two, rest)
            at += channels
            before_at += channels
