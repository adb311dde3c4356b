"""Operations of spiking neurons.

Arithmetic is in float32 and in the order of the neuron types' TensorFlow steps, so that spikes are the same.  The
input of a neuron is gain * x + bias.

A neuron type is a *step*, ``step(block, numbers, state, work)``: it steps the neurons of a block once, appends their
spikes to a list and returns where it ends then.  ``numbers`` are the eight constants of the operation: height of a
spike, gain, bias, and those of the type.
"""

import math
from typing import NamedTuple

import numpy as np

from . import neuron_loops
from .arguments import BLOCK, CHOSEN, ROW, compiled, copy_numbers, inlined
from .event_operations import append_spikes, append_values


class Block(NamedTuple):
    """Neurons that are stepped together, in one step.

    Attributes
    ----------
    first, size : int
        Number of the first neuron, and of neurons.
    source : int
        Where their inputs begin in the arena.
    state, second_state : int
        Where their first and second states begin in the state of the image.
    end : int
        Where the list of events ends.
    """

    first: int
    size: int
    source: int
    state: int
    second_state: int
    end: int


def _operation(step, n_states):
    """Return the operation of a neuron type with ``n_states`` states: blocks of neurons, each through all steps."""

    @compiled
    def operation(op, turn, program, run, counters, work):
        events, counts, c = program.events[op.events_out], work.counts[op.events_out], program.constants[op.constant :]
        numbers = c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]
        for t in range(turn.begin, turn.end):
            counts[t] = 0
        for first in range(0, op.size, BLOCK):
            size = min(BLOCK, op.size - first)
            state = op.state + first
            for t in range(turn.begin, turn.end):
                source, target = op.source + t * op.source_stride + first, events.begin + t * events.stride
                block = Block(first, size, source, state, state + op.state_stride, target + counts[t])
                counts[t] = step(block, numbers, turn.state, work) - target
                if op.trace >= 0:
                    trace_states(op, t, first, size, turn.state, work.arena, np.int64(n_states))

    return operation


@compiled
def trace_states(op, t, first, size, state, arena, n_states):
    """Copy the states of a block of neurons to the signal that keeps them for probes."""
    for k in range(n_states):
        source = op.state + k * op.state_stride + first
        target = op.trace + t * op.trace_stride + k * op.state_stride + first
        copy_numbers(state, source, arena, target, size)


# types whose neurons spike at most once a step; the vector loops find the spikes themselves


@inlined
def _integrate_and_fire(block, numbers, state, work):
    height, gain, bias, growth, threshold, residue, floor, _ = numbers
    numbers = (gain, bias, growth, threshold, residue, floor)
    return neuron_loops.integrate_and_fire(block, (block.state,), height, numbers, state, work)


@inlined
def _plain_integrate_and_fire(block, numbers, state, work):
    height, threshold = numbers[0], numbers[4]
    return neuron_loops.plain_integrate_and_fire(block, (block.state,), height, (threshold,), state, work)


@inlined
def _surrogate_lif(block, numbers, state, work):
    height, gain, bias, decay, threshold, reset_potential, drop, subtracts = numbers
    numbers = (gain, bias, decay, threshold, reset_potential, drop, subtracts)
    return neuron_loops.surrogate_lif(block, (block.state,), height, numbers, state, work)


@inlined
def _lif(block, numbers, state, work):
    height, gain, bias, dt, growth, tau_rc, tau_ref, floor = numbers
    numbers = (gain, bias, dt, growth, np.float32(1) / tau_rc, floor, tau_rc, tau_ref)
    return neuron_loops.lif(block, (block.state, block.second_state), height, numbers, state, work)


@inlined
def _coarse_lif(block, numbers, state, work):
    """Step LIF neurons if steps are long for the membrane, or if potentials may begin above the threshold."""
    height, gain, bias, dt, growth, tau_rc, tau_ref, floor = numbers
    x = work.arena[block.source : block.source + block.size]
    v = state[block.state : block.state + block.size]
    refractory = state[block.second_state : block.second_state + block.size]
    for n in range(len(x)):
        current = gain * x[n] + bias
        remaining = refractory[n] - dt
        refractory[n] = remaining
        part = growth
        if remaining > 0:
            part = np.float32(-math.expm1(-max(dt - remaining, np.float32(0)) / tau_rc))
        after = v[n] + (current - v[n]) * part
        work.flags[n] = after > 1
        v[n] = np.float32(0) if work.flags[n] else max(after, floor)
        if work.flags[n]:
            since_spike = math.log1p(-(float(after) - 1) / (float(current) - 1))
            refractory[n] = np.float32(tau_ref + dt + tau_rc * since_spike)
    return append_spikes(work.flags, block.size, block.first, height, work, block.end)


# types whose neurons may spike several times a step


@inlined
def _integrate_and_fire_often(block, numbers, state, work):
    height, gain, bias, growth, threshold, residue, floor, max_spikes = numbers
    x = work.arena[block.source : block.source + block.size]
    v = state[block.state : block.state + block.size]
    for n in range(len(x)):
        charged = v[n] + (gain * x[n] + bias) * growth
        number = np.floor(charged / threshold)
        rest = charged - number * threshold
        # rounding may put the quotient on the wrong side of a whole number
        number += np.float32(rest >= threshold) - np.float32(rest < 0)
        number = min(max(number, np.float32(0)), max_spikes)
        rest = charged - number * threshold
        v[n] = max(residue * rest if number > 0 else charged, floor)
        work.outputs[n] = number * height
    return append_values(work.outputs, block.size, block.first, work, block.end)


@inlined
def _signed_integrate_and_fire(block, numbers, state, work):
    height, gain, bias, growth, threshold, max_spikes, _, _ = numbers
    x = work.arena[block.source : block.source + block.size]
    v = state[block.state : block.state + block.size]
    net = state[block.second_state : block.second_state + block.size]
    for n in range(len(x)):
        charged = v[n] + (gain * x[n] + bias) * growth
        number = np.floor(charged / threshold)
        rest = charged - number * threshold
        number += np.float32(rest >= threshold) - np.float32(rest < 0)
        number = max(min(max(number, -max_spikes), max_spikes), -net[n])
        v[n] = charged - number * threshold
        net[n] += number
        work.outputs[n] = number * height
    return append_values(work.outputs, block.size, block.first, work, block.end)


@inlined
def _spiking_rectify(block, numbers, state, work):
    height, gain, bias, dt, _, _, _, _ = numbers
    x = work.arena[block.source : block.source + block.size]
    v = state[block.state : block.state + block.size]
    for n in range(len(x)):
        charged = v[n] + max(gain * x[n] + bias, np.float32(0)) * dt
        number = np.floor(charged)
        v[n] = charged - number
        work.outputs[n] = number * height
    return append_values(work.outputs, block.size, block.first, work, block.end)


integrate_and_fire = _operation(_integrate_and_fire, 1)
plain_integrate_and_fire = _operation(_plain_integrate_and_fire, 1)
integrate_and_fire_often = _operation(_integrate_and_fire_often, 1)
signed_integrate_and_fire = _operation(_signed_integrate_and_fire, 2)
spiking_rectify = _operation(_spiking_rectify, 1)
lif = _operation(_lif, 2)
coarse_lif = _operation(_coarse_lif, 2)
surrogate_lif = _operation(_surrogate_lif, 1)


@inlined
def _step_chosen_lif(n_chosen, op, turn, program, work):
    """Step the neurons in ``work.chosen``, and copy their states back."""
    if n_chosen == 0:
        return
    events, counts, c = program.events[op.events_out], work.counts[op.events_out], program.constants[op.constant :]
    numbers = c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]
    chosen, units, first = work.chosen, work.units, len(work.arena) - 3 * ROW
    for t in range(turn.begin, turn.end):
        begin = events.begin + t * events.stride
        end = begin + counts[t]
        block = Block(0, n_chosen, first, first + ROW, first + 2 * ROW, end)
        counts[t] = _lif(block, numbers, work.arena, work) - begin
        for k in range(end, begin + counts[t]):
            units[k] = chosen[np.uint64(units[k])]
    rows, v, refractory = work.arena[first:], turn.state[op.state :], turn.state[op.state + op.state_stride :]
    for k in range(n_chosen):
        n = np.uint64(chosen[k])
        v[n], refractory[n] = rows[ROW + k], rows[2 * ROW + k]


@compiled
def lif_of_constant(op, turn, program, run, counters, work):
    """Step LIF neurons with a constant input: those that it cannot make spike only approach it.

    The others are stepped as always, but many together.
    """
    numbers = program.constants[op.constant :]
    gain, bias, dt, growth, floor = numbers[1], numbers[2], numbers[3], numbers[4], numbers[7]
    events, counts, n_steps = program.events[op.events_out], work.counts[op.events_out], turn.end - turn.begin
    chosen, units, rows = work.chosen, work.units, work.arena[len(work.arena) - 3 * ROW :]
    for t in range(turn.begin, turn.end):
        counts[t] = 0
    n_chosen = np.int64(0)
    for first in range(0, op.size, BLOCK):
        size, source, state = min(BLOCK, op.size - first), op.source + first, op.state + first
        second = state + op.state_stride
        x, v, refractory = work.arena[source:], turn.state[state:], turn.state[second:]
        # the numbers of neurons pass through the unused part of a list of spikes
        begin = events.begin + turn.begin * events.stride + counts[turn.begin]
        block = Block(0, size, source, state, second, begin)
        end = neuron_loops.lif_excitable(block, (state, second), dt, (gain, bias, dt), turn.state, work)
        for k in range(begin, end):
            n = np.uint64(units[k])
            rows[n_chosen], rows[ROW + n_chosen], rows[2 * ROW + n_chosen] = x[n], v[n], refractory[n]
            chosen[n_chosen] = first + units[k]
            n_chosen += 1
        constants = gain, bias, dt, growth, floor
        neuron_loops.lif_at_rest(block, (state, second), constants, turn.state, work, n_steps)
        if n_chosen > CHOSEN - BLOCK or first + BLOCK >= op.size:
            _step_chosen_lif(n_chosen, op, turn, program, work)
            n_chosen = np.int64(0)
