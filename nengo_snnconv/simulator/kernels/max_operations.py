"""Operations of maximum pooling: over values, and over sums of events."""

import math

import numpy as np

from .arguments import compiled, copy_numbers
from .event_operations import begin_of, events_of, set_count


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
    size, window = op.size, op.parameter
    totals = turn.state[op.state : op.state + size]
    largest = turn.state[op.state + op.state_stride : op.state + op.state_stride + size // window]
    before = work.outputs[: size // window]
    before[:] = np.nan
    for t in range(turn.begin, turn.end):
        begin, end = events_of(program, work, op.events_in, t)
        n_touched = _add_to_totals(begin, end, totals, largest, before, window, work)
        count = _emit_growth(n_touched, largest, before, window, work, begin_of(program, op.events_out, t))
        set_count(program, work, op.events_out, t, count)
        if op.trace >= 0:
            copy_numbers(totals, 0, work.arena, op.trace + t * op.trace_stride, size)


@compiled
def _add_to_totals(begin, end, totals, largest, before, window, work):
    """Add events to the sums of units; return the number of windows that are touched.

    ``before`` holds the previous maximum of the windows that are touched in this step, and NaN for the others.
    """
    n_touched = 0
    for k in range(begin, end):
        unit, x = work.units[k], work.values[k]
        number = unit // window
        if math.isnan(before[number]):
            before[number] = largest[number]
            work.touched[n_touched] = number
            n_touched += 1
        totals[unit] += x
        if x > 0:
            largest[number] = max(largest[number], totals[unit])
        else:
            most = totals[number * window]
            for n in range(number * window + 1, (number + 1) * window):
                most = max(most, totals[n])
            largest[number] = most
    return n_touched


@compiled
def _emit_growth(n_touched, largest, before, window, work, target):
    """Write an event for each window whose maximum changed; return their number."""
    count = 0
    for k in range(n_touched):
        number = work.touched[k]
        growth = largest[number] - before[number]
        before[number] = np.nan
        if growth != 0:
            work.units[target + count] = number * window
            work.values[target + count] = growth
            count += 1
    return count
