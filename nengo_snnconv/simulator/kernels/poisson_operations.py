"""The operation of PoissonInput: spikes from a counter-based random number generator."""

import numpy as np

from .arguments import BLOCK, compiled
from .event_operations import begin_of, events_of, set_count


@compiled
def poisson_input(op, turn, program, run, counters, work):
    """Step neurons of PoissonInput; only units whose input is not zero can spike."""
    threshold, item = program.constants[op.constant], int(turn.state[op.state]) + turn.image
    first_step = int(turn.state[op.state + op.state_stride]) + run.steps_before + turn.start
    for t in range(turn.begin, turn.end):
        generator = _next_state(_next_state(_next_state(np.uint32(0), op.parameter), item), first_step + t)
        begin, end = events_of(program, work, op.events_in, t)
        target = begin_of(program, op.events_out, t)
        target_end = _append_poisson(generator, begin, end, threshold, target, work)
        set_count(program, work, op.events_out, t, target_end - target)


@compiled
def _append_poisson(generator, begin, end, threshold, target, work):
    """Append the spikes of one step, from the inputs ``begin`` to ``end``, to a list; return where it ends then."""
    for block in range(begin, end, BLOCK):
        size = min(BLOCK, end - block)
        units, x = work.units[block : block + size], work.values[block : block + size]
        for n in range(size):
            bits = _mix(_next_state(generator, np.uint32(units[n])))
            random = np.float32(bits >> np.uint32(8)) * np.float32(2.0**-24)
            work.flags[n] = random < abs(x[n]) / threshold
        for n in range(size):
            if work.flags[n]:
                work.units[target] = units[n]
                work.values[target] = np.sign(x[n]) * threshold
                target += 1
    return target


@compiled
def _mix(x):
    """Scramble the bits of a number, as :func:`nengo_snnconv.neurons.encoding.mix` does."""
    x = np.uint32((x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D))
    x = np.uint32((x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B))
    return np.uint32(x ^ (x >> np.uint32(16)))


@compiled
def _next_state(state, number):
    """Return the state of :func:`nengo_snnconv.neurons.encoding.uniform` after one more number."""
    return np.uint32(_mix(np.uint32(number) ^ state) + np.uint32(0x9E3779B9))
