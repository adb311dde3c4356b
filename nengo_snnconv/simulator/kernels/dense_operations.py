"""Operations on dense signals, which have a row of the arena for each step."""

import numpy as np

from .arguments import compiled, copy_numbers, inlined


@inlined
def _rows(op, t):
    """Return where the source and the target of an operation begin in a step of the chunk."""
    return op.source + t * op.source_stride, op.target + t * op.target_stride


@compiled
def load(op, turn, program, run, counters, work):
    """Copy the data that a node is fed with."""
    feed = run.inputs[op.parameter]
    begin, step_stride = feed[0] + turn.image * feed[1], feed[2]
    for t in range(turn.begin, turn.end):
        source, target = begin + (turn.start + t) * step_stride, op.target + t * op.target_stride
        copy_numbers(run.data, source, work.arena, target, op.size)


@compiled
def fill(op, turn, program, run, counters, work):
    """Write constants."""
    for t in range(turn.begin, turn.end):
        copy_numbers(program.constants, op.constant, work.arena, op.target + t * op.target_stride, op.size)


@compiled
def copy(op, turn, program, run, counters, work):
    """Copy a signal."""
    for t in range(turn.begin, turn.end):
        source, target = _rows(op, t)
        copy_numbers(work.arena, source, work.arena, target, op.size)


@compiled
def add(op, turn, program, run, counters, work):
    """Add a signal to another one."""
    for t in range(turn.begin, turn.end):
        source, target = _rows(op, t)
        x, out = work.arena[source : source + op.size], work.arena[target : target + op.size]
        for n in range(len(x)):
            out[n] += x[n]


@compiled
def scale(op, turn, program, run, counters, work):
    """Multiply each unit by its factor and add its offset."""
    factor = program.constants[op.constant : op.constant + op.size]
    offset = program.constants[op.constant + op.size : op.constant + 2 * op.size]
    for t in range(turn.begin, turn.end):
        source, target = _rows(op, t)
        x, out = work.arena[source : source + op.size], work.arena[target : target + op.size]
        for n in range(len(x)):
            out[n] = factor[n] * x[n] + offset[n]


@compiled
def rectify(op, turn, program, run, counters, work):
    """Step neurons of nengo.RectifiedLinear."""
    amplitude = program.constants[op.constant]
    for t in range(turn.begin, turn.end):
        source, target = _rows(op, t)
        x, out = work.arena[source : source + op.size], work.arena[target : target + op.size]
        for n in range(len(x)):
            out[n] = max(x[n], np.float32(0)) * amplitude


@compiled
def quantize(op, turn, program, run, counters, work):
    """Step neurons of QuantizedRectifier."""
    amplitude, levels = program.constants[op.constant], program.constants[op.constant + 1]
    for t in range(turn.begin, turn.end):
        source, target = _rows(op, t)
        x, out = work.arena[source : source + op.size], work.arena[target : target + op.size]
        for n in range(len(x)):
            clipped = min(max(x[n] * amplitude, np.float32(0)), np.float32(1))
            out[n] = np.floor(clipped * levels + np.float32(0.5)) / levels


@compiled
def record(op, turn, program, run, counters, work):
    """Copy the steps that a probe samples to the results."""
    for t in range(turn.begin, turn.end):
        row = run.sample_rows[op.parameter, turn.start + t]
        if row >= 0:
            source, target = op.source + t * op.source_stride, op.target + row * op.size
            copy_numbers(work.arena, source, run.results[turn.image], target, op.size)


@compiled
def linear_filter(op, turn, program, run, counters, work):
    """Add a signal, filtered, to another one.

    The constants are: 1 for a filter in general state-space form and 0 otherwise, the feedthrough D, and the matrices
    A, B and C of ``op.parameter`` states.
    """
    size, order, begin = op.size, op.parameter, op.constant
    general, feedthrough = program.constants[begin] > 0, program.constants[begin + 1]
    a = program.constants[begin + 2 : begin + 2 + order * order].reshape(order, order)
    b = program.constants[begin + 2 + order * order :][:order]
    c = program.constants[begin + 2 + order * order + order :][:order]
    rows = 2 * order + 1
    state = turn.state[op.state : op.state + rows * op.state_stride].reshape(rows, op.state_stride)
    for t in range(turn.begin, turn.end):
        source, target = _rows(op, t)
        x, out = work.arena[source : source + size], work.arena[target : target + size]
        filter_step(x, state, a, b, c, feedthrough, general, out)


@compiled
def filter_step(x, state, a, b, c, feedthrough, general, out):
    """Compute one step of a linear filter for each unit.

    The output of the previous step is added to ``out``, because Nengo delays filters by a step.  ``state`` is
    (2 * order + 1, units): the states of the filter, its last output, and room for the next states.
    """
    order = len(b)
    size = len(x)
    for n in range(size):
        out[n] += state[order, n]
    if order == 1 and not general:
        decay, gain, row, last = a[0, 0], b[0] * c[0], state[0], state[1]
        for n in range(size):
            row[n] = row[n] * decay + x[n] * gain
            last[n] = row[n]
        return
    after = state[order + 1 :]
    for n in range(size):
        y = feedthrough * x[n]
        for i in range(order):
            total = b[i] * x[n]
            for j in range(order):
                total += a[i, j] * state[j, n]
            after[i, n] = total
        for i in range(order):
            y += c[i] * (state[i, n] if general else after[i, n])
        for i in range(order):
            state[i, n] = after[i, n]
        state[order, n] = y
