"""Operations of time-to-first-spike coding, which are active in the stages of their neurons only."""

import numpy as np

from .arguments import BLOCK, compiled
from .event_operations import append_spikes, begin_of, events_of
from .neuron_operations import trace_states


@compiled
def ttfs_input(op, turn, program, run, counters, work):
    """Step neurons of FirstSpikeInput: each unit spikes once, the sooner the larger its input."""
    n_steps = op.parameter
    constants = program.constants[op.constant :]
    per_unit, lowest, height = constants[0], constants[1], constants[2]
    for t in range(turn.length):
        work.counts[op.events_out, t] = 0
    for t in range(turn.begin, turn.end):
        begin, end = events_of(program, work, op.events_in, t)
        target = begin_of(program, op.events_out, t)
        target_end = target
        # a level of k spikes in the k-th step from the end of the stage
        level_now = np.float32(n_steps - (run.steps_before + turn.start + t - op.begin))
        for k in range(begin, end):
            x = work.values[k]
            level = min(np.floor(abs(x) * per_unit + np.float32(0.5)), np.float32(n_steps))
            sign = max(np.sign(x), lowest)
            if level > 0 and level == level_now and sign != 0:
                work.units[target_end] = work.units[k]
                work.values[target_end] = sign * height
                target_end += 1
        work.counts[op.events_out, t] = target_end - target


@compiled
def ttfs_current(op, turn, program, run, counters, work):
    """Step units of ConstantInput: impulses that switch on a current in the first step of the stage."""
    height = program.constants[op.constant]
    for t in range(turn.length):
        work.counts[op.events_out, t] = 0
    for t in range(turn.begin, turn.end):
        begin, end = events_of(program, work, op.events_in, t)
        target = begin_of(program, op.events_out, t)
        for k in range(begin, end):
            work.units[target + k - begin] = work.units[k]
            work.values[target + k - begin] = work.values[k] * height
        work.counts[op.events_out, t] = end - begin


@compiled
def ttfs_neurons(op, turn, program, run, counters, work):
    """Step neurons of TimeToFirstSpike: a silent stage that integrates, then a stage in which each spikes once."""
    size = op.size
    constants = program.constants[op.constant :]
    n_steps, weight, threshold, offset = constants[0], constants[1], constants[2], constants[3]
    firing_potential, height = constants[4], constants[5]
    current = turn.state[op.state : op.state + size]
    voltage = turn.state[op.state + op.state_stride : op.state + op.state_stride + size]
    spiked = turn.state[op.state + 2 * op.state_stride : op.state + 2 * op.state_stride + size]
    for t in range(turn.length):
        work.counts[op.events_out, t] = 0
        if turn.begin <= t < turn.end:
            step = run.steps_before + turn.start + t - op.begin  # of the two stages
            if step < n_steps:
                source = op.source + t * op.source_stride
                _charge(work.arena[source : source + size], current, voltage, weight)
            else:
                charge = threshold * offset if step == n_steps else threshold
                begin = begin_of(program, op.events_out, t)
                end = begin
                for first in range(0, size, BLOCK):
                    block = slice(first, min(first + BLOCK, size))
                    _fire(voltage[block], spiked[block], work.flags, charge, firing_potential)
                    end = append_spikes(work.flags, len(voltage[block]), first, height, work, end)
                work.counts[op.events_out, t] = end - begin
        if op.trace >= 0:
            trace_states(op, t, np.int64(0), size, turn.state, work.arena, np.int64(3))


@compiled
def ttfs_readout(op, turn, program, run, counters, work):
    """Step neurons of FirstSpikeReadout: integrate during a stage; emit the potential over the number of steps."""
    size = op.size
    n_steps, weight = program.constants[op.constant], program.constants[op.constant + 1]
    current = turn.state[op.state : op.state + size]
    voltage = turn.state[op.state + op.state_stride : op.state + op.state_stride + size]
    for t in range(turn.length):
        if turn.begin <= t < turn.end:
            source = op.source + t * op.source_stride
            _charge(work.arena[source : source + size], current, voltage, weight)
        target = op.target + t * op.target_stride
        for n in range(size):
            work.arena[target + n] = voltage[n] / n_steps
        if op.trace >= 0:
            trace_states(op, t, np.int64(0), size, turn.state, work.arena, np.int64(2))


@compiled
def _charge(x, current, voltage, weight):
    """Integrate input to a current, and the current to a potential."""
    for n in range(len(x)):
        after = current[n] + x[n] * weight
        current[n] = after
        voltage[n] += after


@compiled
def _fire(voltage, spiked, flags, charge, firing_potential):
    """Charge the neurons that have not spiked yet; flag the neurons that reach the firing potential."""
    zero, one = np.float32(0), np.float32(1)
    for n in range(len(voltage)):
        charging = spiked[n] == zero
        charged = voltage[n] + charge if charging else voltage[n]
        fires = charging & (charged >= firing_potential)
        voltage[n] = zero if fires else charged
        spiked[n] = one if fires else spiked[n]
        flags[n] = fires
