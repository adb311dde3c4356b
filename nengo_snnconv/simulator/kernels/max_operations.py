"""Operations of maximum pooling: over values, and over sums of events."""

import numpy as np

from .arguments import compiled, copy_numbers
from .event_operations import append_values, begin_of, events_of, set_count


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
    """Step neurons of MaxGate over sums of events: emit the growth of the largest sum of each window.

    A table that only selects says which neurons an event reaches.
    """
    size, window = op.size, op.parameter
    n_windows = size // window
    totals = turn.state[op.state : op.state + size]
    largest = turn.state[op.state + op.state_stride : op.state + op.state_stride + n_windows]
    growth = work.outputs[:n_windows]
    for t in range(turn.begin, turn.end):
        begin, end = events_of(program, work, op.events_in, t)
        target = target_end = begin_of(program, op.events_out, t)
        if begin < end:
            for n in range(n_windows):
                growth[n] = -largest[n]
            _add_to_totals(program.scatter_tables[op.table], begin, end, totals, largest, window, program, work)
            for n in range(n_windows):
                growth[n] += largest[n]
            target_end = append_values(growth, n_windows, 0, work, target)
            for k in range(target, target_end):
                work.units[k] *= window
        set_count(program, work, op.events_out, t, target_end - target)
        if op.trace >= 0:
            copy_numbers(totals, 0, work.arena, op.trace + t * op.trace_stride, size)


@compiled
def _add_to_totals(table, begin, end, totals, largest, window, program, work):
    """Add events to the sums of the neurons that they reach, and update the largest sum of their windows."""
    first, targets = program.integers[table.first :], program.integers[table.targets :]
    for k in range(begin, end):
        unit, x = np.uint64(work.units[k]), work.values[k]
        for run in range(np.uint64(first[unit]), np.uint64(first[unit + np.uint64(1)])):
            neuron = np.uint32(targets[run])
            number = neuron // np.uint32(window)
            total = totals[neuron] + x
            totals[neuron] = total
            if x > 0:
                largest[number] = max(largest[number], total)
            else:
                entry = number * np.uint32(window)
                most = totals[entry]
                for _ in range(1, window):
                    entry += np.uint32(1)
                    most = max(most, totals[entry])
                largest[number] = most
