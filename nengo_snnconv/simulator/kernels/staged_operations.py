"""Operations of networks that run in stages: each is active in the stages of its neurons only."""

import numpy as np

from .arguments import BLOCK, compiled
from .event_operations import append_spikes, begin_of, events_of
from .neuron_operations import trace_states


@compiled
def stage_gate(op, turn, program, run, counters, work):
    """Step neurons of StageGate: pass events on in their stage."""
    for t in range(turn.length):
        work.counts[op.events_out, t] = 0
    for t in range(turn.begin, turn.end):
        begin, end = events_of(program, work, op.events_in, t)
        target = begin_of(program, op.events_out, t)
        for k in range(end - begin):
            work.units[target + k] = work.units[begin + k]
            work.values[target + k] = work.values[begin + k]
        work.counts[op.events_out, t] = end - begin


@compiled
def staged_integrate_and_fire(op, turn, program, run, counters, work):
    """Step neurons of StagedIntegrateAndFire: integrate until the spiking stage, which is the last active one."""
    size = op.size
    weight, height = program.constants[op.constant], program.constants[op.constant + 1]
    voltage = turn.state[op.state : op.state + size]
    for t in range(turn.length):
        work.counts[op.events_out, t] = 0
        if turn.begin <= t < turn.end:
            if run.steps_before + turn.start + t < op.parameter:
                source = op.source + t * op.source_stride
                _integrate(work.arena[source : source + size], voltage, weight)
            else:
                begin = begin_of(program, op.events_out, t)
                end = begin
                for first in range(0, size, BLOCK):
                    block = voltage[first : min(first + BLOCK, size)]
                    _fire(block, work.flags)
                    end = append_spikes(work.flags, len(block), first, height, work, end)
                work.counts[op.events_out, t] = end - begin
        if op.trace >= 0:
            trace_states(op, t, np.int64(0), size, turn.state, work.arena, np.int64(1))


@compiled
def staged_readout(op, turn, program, run, counters, work):
    """Step neurons of StagedReadout: emit the sum of the input so far, divided by the steps of a stage."""
    size = op.size
    n_steps, weight = program.constants[op.constant], program.constants[op.constant + 1]
    voltage = turn.state[op.state : op.state + size]
    for t in range(turn.length):
        if turn.begin <= t < turn.end:
            source = op.source + t * op.source_stride
            _integrate(work.arena[source : source + size], voltage, weight)
        target = op.target + t * op.target_stride
        for n in range(size):
            work.arena[target + n] = voltage[n] / n_steps
        if op.trace >= 0:
            trace_states(op, t, np.int64(0), size, turn.state, work.arena, np.int64(1))


@compiled
def _integrate(x, voltage, weight):
    for n in range(len(x)):
        voltage[n] += x[n] * weight


@compiled
def _fire(voltage, flags):
    """Flag the neurons with a potential of at least 1, and subtract 1 from it."""
    one = np.float32(1)
    for n in range(len(voltage)):
        fires = voltage[n] >= one
        flags[n] = fires
        voltage[n] -= np.float32(fires)
