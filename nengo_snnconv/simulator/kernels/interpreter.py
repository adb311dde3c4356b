"""The machine of the fast simulator: goes through a program, image after image, chunk after chunk of time."""

import pathlib
import zlib

import numpy as np

from ..._util.numba_cache import kept_njit
from ..compile import program
from ..compile.program import (
    ADD,
    COMPACT,
    COPY,
    COUNT,
    EXPAND,
    FILL,
    FILTER,
    FIRST_INPUT,
    FIRST_READOUT,
    FIRST_SPIKE,
    GATE,
    GATHER,
    INTEGRATE,
    INTEGRATE_OFTEN,
    LIF,
    LOAD,
    MAXIMA,
    POISSON,
    RECORD,
    RECTIFY,
    REMAP,
    SCALE,
    SCATTER,
    SPIKING_RECTIFY,
    SURROGATE,
)
from . import kernels, neuron_loops, sums, vectors
from .kernels import BLOCK, compiled

DENSE = 16  # one of so many units spikes in a step, at least, where convolutions take several passes


@compiled
def run(
    images,
    n_steps,
    chunk,
    done,
    operations,
    events,
    tables,
    gatherings,
    first,
    runs,
    weights,
    constants,
    data,
    inputs,
    state,
    results,
    places,
    totals,
    per_step,
    arena,
    index,
    value,
    counts,
    flags,
    spikes,
    touched,
    starts,
):
    """Run images through a program, each for all steps.

    Parameters
    ----------
    images : range
        As begin and end: numbers of the images, which are rows of ``state`` and ``results``.
    n_steps, chunk : int
        Steps, and how many of them an operation does before the next one has its turn.
    done : int
        Steps since the reset.
    operations, events, tables, gatherings, first, runs, weights, constants : ndarray
        Of the program.
    data : ndarray of float32, (numbers,)
        What nodes are fed with.
    inputs : ndarray of int64, (nodes, 3)
        Where the data of each begin, and the strides from image to image and from step to step.
    state : ndarray of float32, (images, numbers)
        States of neurons and filters, which are gone on from.
    results : ndarray of float32, (images, numbers)
        Filled with what is recorded.
    places : ndarray of int64, (records, n_steps)
        The row of the results in which a record keeps a step, or -1.
    totals, per_step : ndarray of float64, (units,) and (counted layers, n_steps)
        To which counts of spikes are added.
    arena, index, value, counts, flags, spikes, touched, starts : ndarray
        Memory to work in.
    """
    for image in range(images[0], images[1]):
        memory = state[image]
        for start in range(0, n_steps, chunk):
            length = min(chunk, n_steps - start)
            for number in range(len(operations)):
                op = operations[number]
                if op.once:
                    if start > 0:
                        continue
                    begin, end = 0, 1
                else:
                    begin = min(max(op.begin - done - start, 0), length)
                    end = min(max(op.end - done - start, 0), length)
                code, size = op.code, op.size
                if code == SCATTER:
                    table = tables[op.table]
                    source = events[op.read]
                    begins, rows = first[table.first :], runs[table.runs :]
                    for t in range(begin, end):
                        at, to = source.begin + t * source.stride, op.target + t * op.target_stride
                        last = at + counts[op.read, t if source.stride else 0]
                        if op.number:
                            for n in range(size):
                                arena[to + n] = constants[op.constant + n]
                        if table.single:
                            targets = first[table.targets :]
                            kernels.scatter_single(
                                index, value, at, last, begins, targets, weights, table.weights, arena, to
                            )
                        else:
                            kernels.scatter(
                                index,
                                value,
                                at,
                                last,
                                begins,
                                rows,
                                table.channels,
                                table.stride,
                                table.group,
                                table.shift,
                                weights,
                                table.weights,
                                arena,
                                to,
                            )
                elif code == GATHER:
                    gathered(
                        op,
                        begin,
                        end,
                        gatherings[op.table],
                        events,
                        first,
                        weights,
                        constants,
                        arena,
                        index,
                        value,
                        counts,
                        starts,
                    )
                elif code >= INTEGRATE and code <= SURROGATE:
                    step_neurons(op, begin, end, events, constants, memory, arena, index, value, counts, flags, spikes)
                elif code == REMAP:
                    table = tables[op.table]
                    source, target = events[op.read], events[op.written]
                    for t in range(begin, end):
                        at, to = source.begin + t * source.stride, target.begin + t * target.stride
                        count = counts[op.written, t if target.stride else 0] if op.number else 0
                        for k in range(at, at + counts[op.read, t if source.stride else 0]):
                            unit = index[k]
                            for run in range(first[table.first + unit], first[table.first + unit + 1]):
                                index[to + count] = runs[table.runs + run, 0]
                                value[to + count] = value[k]
                                count += 1
                        counts[op.written, t if target.stride else 0] = count
                elif code == COUNT:
                    source, weight = events[op.read], constants[op.constant]
                    for t in range(begin, end):
                        at = source.begin + t * source.stride
                        for k in range(at, at + counts[op.read, t if source.stride else 0]):
                            events_of = np.rint(abs(value[k]) * weight) if weight > 0 else np.float32(1)
                            totals[op.target + index[k]] += events_of
                            per_step[op.number, start + t] += events_of
                elif code == GATE:
                    source, target = events[op.read], events[op.written]
                    window = op.number
                    sums = memory[op.state : op.state + size]
                    largest = memory[op.state + op.state_stride : op.state + op.state_stride + size // window]
                    before = spikes[: size // window]
                    before[:] = np.nan
                    for t in range(begin, end):
                        at, to = source.begin + t * source.stride, target.begin + t * target.stride
                        counts[op.written, t] = kernels.gate(
                            index[at:],
                            value[at:],
                            counts[op.read, t if source.stride else 0],
                            sums,
                            largest,
                            before,
                            touched,
                            window,
                            index[to:],
                            value[to:],
                        )
                        if op.trace >= 0:
                            to = op.trace + t * op.trace_stride
                            arena[to : to + size] = sums
                elif code == POISSON:
                    source, target = events[op.read], events[op.written]
                    threshold, item = constants[op.constant], int(memory[op.state]) + image
                    for t in range(begin, end):
                        at, to = source.begin + t * source.stride, target.begin + t * target.stride
                        counts[op.written, t] = kernels.poisson(
                            op.number,
                            item,
                            int(memory[op.state + op.state_stride]) + done + start + t,
                            index[at:],
                            value[at:],
                            counts[op.read, t if source.stride else 0],
                            threshold,
                            flags,
                            index[to:],
                            value[to:],
                        )
                elif code == FIRST_INPUT:
                    source, target = events[op.read], events[op.written]
                    per_unit, lowest, height = constants[op.constant : op.constant + 3]
                    for t in range(length):
                        counts[op.written, t] = 0
                    for t in range(begin, end):
                        at, to = source.begin + t * source.stride, target.begin + t * target.stride
                        counts[op.written, t] = kernels.first_spike_input(
                            done + start + t - op.begin,
                            op.number,
                            per_unit,
                            lowest,
                            height,
                            index[at:],
                            value[at:],
                            counts[op.read, t if source.stride else 0],
                            index[to:],
                            value[to:],
                        )
                elif code in (FIRST_SPIKE, FIRST_READOUT):
                    first_spike(
                        op,
                        begin,
                        end,
                        length,
                        done + start,
                        events,
                        constants,
                        memory,
                        arena,
                        index,
                        value,
                        counts,
                        flags,
                    )
                elif code == COMPACT:
                    target = events[op.written]
                    for t in range(begin, end):
                        at, to = op.source + t * op.source_stride, target.begin + t * target.stride
                        counts[op.written, t if target.stride else 0] = kernels.gather_spikes(
                            arena[at : at + size], size, 0, index, value, to, 0
                        )
                elif code == LOAD:
                    feed = inputs[op.number]
                    for t in range(begin, end):
                        at, to = feed[0] + image * feed[1] + (start + t) * feed[2], op.target + t * op.target_stride
                        arena[to : to + size] = data[at : at + size]
                elif code == FILL:
                    for t in range(begin, end):
                        to = op.target + t * op.target_stride
                        for n in range(size):
                            arena[to + n] = constants[op.constant + n]
                elif code == EXPAND:
                    source = events[op.read]
                    for t in range(begin, end):
                        at, to = source.begin + t * source.stride, op.target + t * op.target_stride
                        arena[to : to + size] = 0
                        for k in range(at, at + counts[op.read, t if source.stride else 0]):
                            arena[to + index[k]] += value[k]
                elif code == FILTER:
                    filtered(op, begin, end, constants, memory, arena)
                elif code == MAXIMA:
                    for t in range(begin, end):
                        at, to = op.source + t * op.source_stride, op.target + t * op.target_stride
                        kernels.maxima(arena[at : at + size], op.number, arena[to : to + size])
                elif code == RECORD:
                    for t in range(begin, end):
                        row = places[op.number, start + t]
                        if row >= 0:
                            at, to = op.source + t * op.source_stride, op.target + row * size
                            results[image, to : to + size] = arena[at : at + size]
                else:
                    dense(op, begin, end, constants, arena)


@compiled
def gathered(op, begin, end, about, events, numbers, weights, constants, arena, index, value, counts, starts):
    """A convolution of spikes."""
    source, places, n_spikes = events[op.read], about.places + 1, 0
    for t in range(begin, end):
        at = source.begin + t * source.stride
        last = at + counts[op.read, t if source.stride else 0]
        kernels.find_starts(index, at, last, about.channels, about.places, starts[t * places : (t + 1) * places])
        n_spikes += last - at
    # where spikes are many, weights should stay in the first-level cache while all steps go through a pass
    passing, last_pass = 0, 0
    if n_spikes * DENSE > (end - begin) * about.places * about.channels:
        passing, last_pass = 1, about.passes
    while passing <= last_pass:
        rows = about.first + passing * (about.n_rows + 1)
        for t in range(begin, end):
            begins, to = starts[t * places : (t + 1) * places], op.target + t * op.target_stride
            before, origin = arena, to
            if op.number and passing <= 1:
                before, origin = constants, op.constant
            kernels.gather(index, value, about, rows, numbers, weights, begins, before, origin, arena, to)
        passing += 1


@compiled
def dense(op, begin, end, constants, arena):
    """COPY, ADD, SCALE and RECTIFY: what is done to each unit of a row for itself."""
    size = op.size
    for t in range(begin, end):
        at, to = op.source + t * op.source_stride, op.target + t * op.target_stride
        x, out = arena[at : at + size], arena[to : to + size]
        if op.code == COPY:
            out[:] = x
        elif op.code == ADD:
            for n in range(size):
                out[n] += x[n]
        elif op.code == SCALE:
            factor = constants[op.constant : op.constant + size]
            offset = constants[op.constant + size : op.constant + 2 * size]
            for n in range(size):
                out[n] = factor[n] * x[n] + offset[n]
        elif op.code == RECTIFY:
            amplitude = constants[op.constant]
            for n in range(size):
                out[n] = max(x[n], np.float32(0)) * amplitude


@compiled
def step_neurons(op, begin, end, events, constants, memory, arena, index, value, counts, flags, spikes):
    """Neurons that spike: blocks of them, each through all steps, so that their state stays at hand."""
    code, size, target = op.code, op.size, events[op.written]
    height, gain, bias = constants[op.constant], constants[op.constant + 1], constants[op.constant + 2]
    a, b, c = constants[op.constant + 3], constants[op.constant + 4], constants[op.constant + 5]
    d, e = constants[op.constant + 6], constants[op.constant + 7]
    row = len(spikes) // 3
    for t in range(begin, end):
        counts[op.written, t] = 0
    for block in range(0, size, BLOCK):
        width = min(BLOCK, size - block)
        one, two = op.state + block, op.state + op.state_stride + block
        for t in range(begin, end):
            at, to = op.source + t * op.source_stride + block, target.begin + t * target.stride
            last = to + counts[op.written, t]
            if code == INTEGRATE:
                numbers = (gain, bias, a, b, c, d)
                last = neuron_loops.integrate_and_fire(
                    arena, at, memory, (one,), width, block, height, index, value, last, numbers, spikes, row
                )
            elif code == LIF and op.number:
                numbers = (gain, bias, a, b, np.float32(1) / c, e, c, d)
                last = neuron_loops.lif(
                    arena, at, memory, (one, two), width, block, height, index, value, last, numbers, spikes, row
                )
            elif code == SURROGATE:
                numbers = (gain, bias, a, b, c, d, e)
                last = neuron_loops.surrogate_lif(
                    arena, at, memory, (one,), width, block, height, index, value, last, numbers, spikes, row
                )
            else:
                x, v, whole = arena[at : at + width], memory[one : one + width], code != LIF
                if code == INTEGRATE_OFTEN:
                    kernels.integrate_and_fire_often(x, v, spikes, gain, bias, height, a, b, c, d, e)
                elif code == SPIKING_RECTIFY:
                    kernels.spiking_rectified_linear(x, v, spikes, gain, bias, height, a)
                else:
                    kernels.coarse_lif(x, v, memory[two : two + width], flags, gain, bias, a, b, c, d, e)
                if whole:
                    last += kernels.gather_spikes(spikes, width, block, index, value, last, 0)
                else:
                    last += kernels.gather_flags(flags, width, block, height, index, value, last, 0)
            counts[op.written, t] = last - to
            if op.trace >= 0:
                keep(op, t, block, width, memory, arena, 2 if code == LIF else 1)


@compiled
def keep(op, t, block, width, memory, arena, n_states):
    """Copy the states of a block of neurons to where they are probed."""
    for k in range(n_states):
        at = op.state + k * op.state_stride + block
        to = op.trace + t * op.trace_stride + k * op.state_stride + block
        arena[to : to + width] = memory[at : at + width]


@compiled
def first_spike(op, begin, end, length, now, events, constants, memory, arena, index, value, counts, flags):
    """TimeToFirstSpike and FirstSpikeReadout, which are busy in their stages only, from op.begin to op.end."""
    size, n_steps = op.size, constants[op.constant]
    weight = constants[op.constant + 1]
    current = memory[op.state : op.state + size]
    voltage = memory[op.state + op.state_stride : op.state + op.state_stride + size]
    spiking = op.code == FIRST_SPIKE
    for t in range(length):
        if spiking:
            counts[op.written, t] = 0
        place = now + t - op.begin
        at = op.source + t * op.source_stride
        if begin <= t < end and place < n_steps:
            kernels.first_spike_charge(arena[at : at + size], current, voltage, weight)
        elif begin <= t < end and spiking:
            threshold, offset, firing_potential, height = constants[op.constant + 2 : op.constant + 6]
            charge = threshold * offset if place == n_steps else threshold
            third = op.state + 2 * op.state_stride
            target = events[op.written]
            to = target.begin + t * target.stride
            count = 0
            for block in range(0, size, BLOCK):
                width = min(BLOCK, size - block)
                spiked = memory[third + block : third + block + width]
                kernels.first_spike_fire(voltage[block : block + width], spiked, flags, charge, firing_potential)
                count = kernels.gather_flags(flags, width, block, height, index, value, to, count)
            counts[op.written, t] = count
        if not spiking:
            to = op.target + t * op.target_stride
            for n in range(size):
                arena[to + n] = voltage[n] / n_steps
        if op.trace >= 0:
            keep(op, t, 0, size, memory, arena, 3 if spiking else 2)


@compiled
def filtered(op, begin, end, constants, memory, arena):
    """A linear filter: its order, whether it is general, through, then matrix, gain_in and gain_out are constants."""
    size, order = op.size, op.number
    at = op.constant
    general, through = constants[at] > 0, constants[at + 1]
    matrix = constants[at + 2 : at + 2 + order * order].reshape(order, order)
    gain_in = constants[at + 2 + order * order :][:order]
    gain_out = constants[at + 2 + order * order + order :][:order]
    kept = memory[op.state : op.state + (order + 1) * op.state_stride].reshape(order + 1, op.state_stride)
    for t in range(begin, end):
        at, to = op.source + t * op.source_stride, op.target + t * op.target_stride
        kernels.filter_step(
            arena[at : at + size], kept, matrix, gain_in, gain_out, through, general, arena[to : to + size]
        )


def _cached(sources):
    """:func:`run`, compiled once and kept on disk.

    The cache would look at this file alone.  A variable of an enclosing function it looks at, too, so what is
    compiled belongs to these very ``sources``.
    """

    @kept_njit(nogil=True)
    def execute(*arguments):
        if sources:
            run(*arguments)

    return execute


MODULES = kernels, neuron_loops, program, sums, vectors
execute = _cached(
    sum(zlib.crc32(pathlib.Path(path).read_bytes()) for path in (__file__, *(module.__file__ for module in MODULES)))
)
