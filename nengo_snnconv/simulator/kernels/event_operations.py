"""Operations on events: lists of the units whose value is not zero, and of these values, one list a step."""

import numpy as np

from .appending import append_flagged, append_nonzero
from .arguments import compiled, inlined
from .vectors import LANES


@inlined
def events_of(program, work, number, t):
    """Return the begin and the end of an event list in a step of the chunk."""
    events = program.events[number]
    begin = events.begin + t * events.stride
    return begin, begin + work.counts[number, t if events.stride else 0]


@inlined
def begin_of(program, number, t):
    """Return where an event list begins in a step of the chunk."""
    events = program.events[number]
    return events.begin + t * events.stride


@inlined
def set_count(program, work, number, t, count):
    """Set the number of events in a step of the chunk; constant signals have a single list."""
    work.counts[number, t if program.events[number].stride else 0] = count


@compiled
def append_values(values, size, first, work, end):
    """Append the units, numbered from ``first``, whose value is not zero, to a list; return where it ends then."""
    whole = size - size % LANES
    for n in range(0, whole, LANES):
        end += append_nonzero(values, n, first + n, work.units, work.values, end)
    for n in range(whole, size):
        if values[n] != 0:
            work.units[end] = first + n
            work.values[end] = values[n]
            end += 1
    return end


@compiled
def append_spikes(flags, size, first, height, work, end):
    """Append the units, numbered from ``first``, that are flagged, to a list; return where it ends then."""
    whole = size - size % LANES
    for n in range(0, whole, LANES):
        end += append_flagged(flags, n, first + n, height, work.units, work.values, end)
    for n in range(whole, size):
        if flags[n]:
            work.units[end] = first + n
            work.values[end] = height
            end += 1
    return end


@compiled
def find_starts(index, begin, end, channels, places, starts):
    """Write where the events of each place begin in a list in the order of units, and where the last ones end."""
    if places == 1:
        starts[0], starts[1] = begin, end
        return
    for place in range(places + 1):
        starts[place] = 0
    # a division takes three times as long; the product of a number of 31 bits with the inverse is at most 1 too large
    width, inverse = np.uint64(channels), np.uint64((1 << 32) // channels + 1)
    for k in range(begin, end):
        unit = np.uint64(index[k])
        place = unit * inverse >> np.uint64(32)
        place -= np.uint64(place * width > unit)
        starts[place + np.uint64(1)] += 1
    total = np.int32(begin)
    for place in range(places + 1):
        total += starts[place]
        starts[place] = total


@compiled
def compact(op, turn, program, run, counters, work):
    """Make events of a dense signal."""
    for t in range(turn.begin, turn.end):
        source, begin = op.source + t * op.source_stride, begin_of(program, op.events_out, t)
        end = append_values(work.arena[source : source + op.size], op.size, np.int64(0), work, begin)
        set_count(program, work, op.events_out, t, end - begin)


@compiled
def expand(op, turn, program, run, counters, work):
    """Make a dense signal of events."""
    for t in range(turn.begin, turn.end):
        begin, end = events_of(program, work, op.events_in, t)
        target = op.target + t * op.target_stride
        work.arena[target : target + op.size] = 0
        for k in range(begin, end):
            work.arena[target + work.units[k]] += work.values[k]


@compiled
def remap(op, turn, program, run, counters, work):
    """Append the events of a list to another one, with the units to which a table that only selects sends them."""
    table, units, values = program.scatter_tables[op.table], work.units, work.values
    first, targets = program.integers[table.first :], program.integers[table.targets :]
    for t in range(turn.begin, turn.end):
        begin, end = events_of(program, work, op.events_in, t)
        target, target_end = events_of(program, work, op.events_out, t)
        if op.parameter == 0:  # the first list that is appended
            target_end = target
        for k in range(begin, end):
            unit, x = np.uint64(units[k]), values[k]
            for number in range(np.uint64(first[unit]), np.uint64(first[unit + np.uint64(1)])):
                units[target_end] = targets[number]
                values[target_end] = x
                target_end += 1
        set_count(program, work, op.events_out, t, target_end - target)


@compiled
def count(op, turn, program, run, counters, work):
    """Count events: their magnitude times a constant, or each as one where the constant is 0."""
    weight, units, values = program.constants[op.constant], work.units, work.values
    per_unit = counters.per_unit[op.target :]
    for t in range(turn.begin, turn.end):
        begin, end = events_of(program, work, op.events_in, t)
        total = 0.0
        if weight > 0:
            for k in range(begin, end):
                number = np.rint(abs(values[k]) * weight)
                per_unit[np.uint64(units[k])] += number
                total += number
        else:
            for k in range(begin, end):
                per_unit[np.uint64(units[k])] += 1
            total += end - begin
        counters.per_step[op.parameter, turn.start + t] += total


@compiled
def count_negative(op, turn, program, run, counters, work):
    """Count negative events of a whole layer: their magnitude times a constant."""
    weight = program.constants[op.constant]
    for t in range(turn.begin, turn.end):
        begin, end = events_of(program, work, op.events_in, t)
        total = 0.0
        for k in range(begin, end):
            total -= np.rint(min(work.values[k], np.float32(0)) * weight)  # no branch, which would be unpredictable
        counters.per_step[op.parameter, turn.start + t] += total
