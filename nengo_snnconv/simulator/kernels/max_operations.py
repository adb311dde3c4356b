"""Operations of maximum pooling: over values, and over sums of events."""

import numpy as np

from .arguments import compiled, copy_numbers
from .event_operations import append_values, begin_of, events_of, set_count
from .weight_sums import raise_to


@compiled
def max_pool(op, turn, program, run, counters, work):
    """Write the largest value of each window at the window's first unit, and zeros at the others."""
    for t in range(turn.begin, turn.end):
        source, target = op.source + t * op.source_stride, op.target + t * op.target_stride
        _window_maxima(work.arena[source : source + op.size], op.parameter, work.arena[target : target + op.size])


@compiled
def _window_maxima(x, window, out):
    for number in range(len(x) // window):
        begin = number * window
        largest = x[begin]
        out[begin] = 0
        for n in range(begin + 1, begin + window):
            largest = max(largest, x[n])
            out[n] = 0
        out[begin] = largest


@compiled
def max_gate(op, turn, program, run, counters, work):
    """Step neurons of MaxGate over sums of events: emit the growth of the largest sum of each window."""
    table = program.window_tables[op.table]
    totals, largest, growth = _states(op, table, turn, work)
    for t in range(turn.begin, turn.end):
        begin, end = events_of(program, work, op.events_in, t)
        target = target_end = begin_of(program, op.events_out, t)
        if begin < end:
            for k in range(begin, end):
                totals[np.uint64(work.units[k])] += work.values[k]
            target_end = _emit_growth(table, totals, largest, growth, program, work, target)
        set_count(program, work, op.events_out, t, target_end - target)
        if op.trace >= 0:
            copy_numbers(totals, np.int64(0), work.arena, op.trace + t * op.trace_stride, op.size)


@compiled
def max_gate_dense(op, turn, program, run, counters, work):
    """Step neurons of MaxGate over sums of a dense signal."""
    table = program.window_tables[op.table]
    totals, largest, growth = _states(op, table, turn, work)
    for t in range(turn.begin, turn.end):
        source = op.source + t * op.source_stride
        x = work.arena[source : source + table.units]
        for n in range(len(x)):
            totals[n] += x[n]
        target = begin_of(program, op.events_out, t)
        target_end = _emit_growth(table, totals, largest, growth, program, work, target)
        set_count(program, work, op.events_out, t, target_end - target)
        if op.trace >= 0:
            copy_numbers(totals, np.int64(0), work.arena, op.trace + t * op.trace_stride, op.size)


@compiled
def _states(op, table, turn, work):
    """Return the sums of units, the largest sum of each window, and room for its growth."""
    n_windows, second = op.size // table.window, op.state + op.state_stride
    return (
        turn.state[op.state : op.state + table.units],
        turn.state[second : second + n_windows],
        work.outputs[:n_windows],
    )


@compiled
def _emit_growth(table, totals, largest, growth, program, work, target):
    """Append an event for each window whose largest sum has changed; return where the list ends then."""
    window, together = table.window, table.together
    for first in range(0, len(largest), together):
        entry = table.entries + first // together * window
        copy_numbers(totals, np.int64(program.integers[entry]), growth, first, together)
        for k in range(entry + 1, entry + window):
            raise_to(growth, first, totals, np.int64(program.integers[k]), together)
    for n in range(len(largest)):
        most = growth[n]
        growth[n] = most - largest[n]
        largest[n] = most
    end = append_values(growth, len(largest), np.int64(0), work, target)
    for k in range(target, end):
        work.units[k] *= np.int32(window)
    return end
