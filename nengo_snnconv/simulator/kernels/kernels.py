"""The inner loops of the fast simulator, compiled: adding what spikes bring, and stepping neurons of the rarer types.

All arithmetic on neurons is in float32 and in the order of the neuron types' own TensorFlow steps, so that spikes are
the same ones.  The current of a neuron is gain * x + bias.
"""

import math

import numba
import numpy as np

from .sums import add_rows, gather_1, gather_2, gather_4, gather_8, weight_at
from .vectors import LANES, append_flagged, append_nonzero

BLOCK = 512  # neurons that are stepped through time together: their state stays in the first-level cache

compiled = numba.njit(nogil=True, error_model="numpy")


@compiled
def scatter(index, value, begin, end, first, runs, channels, stride, group, shift, weights, base, target, at):
    """Add what each of the spikes ``begin`` to ``end`` brings to the units from ``at`` on, as a Table says.

    Spikes of one place that follow one another reach the same units, so up to four of them are added at once.
    """
    while begin < end:
        unit = np.int64(index[begin])
        place = np.int64(np.uint32(unit) // np.uint32(channels))
        origin = place * channels
        one = base + (unit - origin) * stride
        x = value[begin]
        together = 1
        if shift == 0:
            while together < 4 and begin + together < end and 0 <= index[begin + together] - origin < channels:
                together += 1
        if together == 4:
            two, y = base + (index[begin + 1] - origin) * stride, value[begin + 1]
            three, z = base + (index[begin + 2] - origin) * stride, value[begin + 2]
            four, w = base + (index[begin + 3] - origin) * stride, value[begin + 3]
            for run in range(first[place], first[place + 1]):
                by = np.int64(runs[run, 1])
                begins = (one + by, two + by, three + by, four + by)
                add_rows(target, at + runs[run, 0], weights, np.int64(runs[run, 2]), begins, (x, y, z, w))
            begin += 4
        elif together == 3:
            two, y = base + (index[begin + 1] - origin) * stride, value[begin + 1]
            three, z = base + (index[begin + 2] - origin) * stride, value[begin + 2]
            for run in range(first[place], first[place + 1]):
                by = np.int64(runs[run, 1])
                begins = (one + by, two + by, three + by)
                add_rows(target, at + runs[run, 0], weights, np.int64(runs[run, 2]), begins, (x, y, z))
            begin += 3
        elif together == 2:
            two, y = base + (index[begin + 1] - origin) * stride, value[begin + 1]
            for run in range(first[place], first[place + 1]):
                by = np.int64(runs[run, 1])
                begins = (one + by, two + by)
                add_rows(target, at + runs[run, 0], weights, np.int64(runs[run, 2]), begins, (x, y))
            begin += 2
        else:
            moved = at + (unit - origin) // group * shift
            for run in range(first[place], first[place + 1]):
                begins = (one + np.int64(runs[run, 1]),)
                add_rows(target, moved + runs[run, 0], weights, np.int64(runs[run, 2]), begins, (x,))
            begin += 1


@compiled
def scatter_single(index, value, begin, end, first, targets, weights, base, target, at):
    """The same for a table of single weights.

    Numbers without a sign take less than half the time: Numba need not ask whether they count from the end.
    """
    at, base = np.uint64(at), np.uint64(base)
    for k in range(begin, end):
        unit, x = np.uint64(index[k]), value[k]
        for run in range(np.uint64(first[unit]), np.uint64(first[unit + np.uint64(1)])):
            target[at + np.uint64(targets[run])] += x * weight_at(weights, np.int64(base + run))


@compiled
def find_starts(index, begin, end, channels, places, starts):
    """Write where the spikes of each place begin in a list in the order of units, and where the last ones end."""
    for place in range(places + 1):
        starts[place] = 0
    for k in range(begin, end):
        starts[np.uint64(np.uint32(index[k]) // np.uint32(channels)) + np.uint64(1)] += 1
    total = np.int32(begin)
    for place in range(places + 1):
        total += starts[place]
        starts[place] = total


@compiled
def gather(index, value, about, first, numbers, weights, starts, before, before_at, target, at):
    """Compute the output of a convolution, or a part of it, from spikes that :func:`find_starts` has found.

    It is added to ``before``.  Sums of up to 128 filters stay in registers.  ``first`` is where the rows of a pass are.
    """
    filters, channels = about.filters, about.channels
    width = -(-filters // LANES) * LANES
    reach = about.columns + 3 * (about.n_columns - 1) + 1
    lowest, highest = numbers[about.columns], numbers[reach]
    for row in range(about.n_rows):
        one = about.rows + 2 * np.int64(numbers[first + row])
        two = about.rows + 2 * np.int64(numbers[first + row + 1])
        spikes = 0
        for k in range(one, two, 2):
            spikes += starts[numbers[k] + highest] - starts[numbers[k] + lowest]
        if spikes == 0:
            for n in range(about.n_columns * filters):
                target[at + n] = before[before_at + n]
            at += about.n_columns * filters
            before_at += about.n_columns * filters
            continue
        for column in range(about.columns, reach, 3):
            span = np.int64(numbers[column]), np.int64(numbers[column + 1]), np.int64(numbers[column + 2])
            done = 0
            while done < width:
                rest = (*span, channels, width, filters - done)
                to, origin, weight = at + done, before_at + done, about.weights + done
                if width - done >= 128:
                    gather_8(target, to, before, origin, weights, weight, index, value, starts, numbers, one, two, rest)
                    done += 128
                elif width - done >= 64:
                    gather_4(target, to, before, origin, weights, weight, index, value, starts, numbers, one, two, rest)
                    done += 64
                elif width - done >= 32:
                    gather_2(target, to, before, origin, weights, weight, index, value, starts, numbers, one, two, rest)
                    done += 32
                else:
                    gather_1(target, to, before, origin, weights, weight, index, value, starts, numbers, one, two, rest)
                    done += 16
            at += filters
            before_at += filters


@compiled
def gather_spikes(values, size, first, index, value, begin, count):
    """Append what is not zero among values, the first of which is unit ``first``; returns the new count."""
    whole = size - size % LANES
    for n in range(0, whole, LANES):
        count += append_nonzero(values, n, first + n, index, value, begin + count)
    for n in range(whole, size):
        if values[n] != 0:
            index[begin + count] = first + n
            value[begin + count] = values[n]
            count += 1
    return count


@compiled
def gather_flags(flags, size, first, height, index, value, begin, count):
    """Append a spike for each flag; returns the new count."""
    whole = size - size % LANES
    for n in range(0, whole, LANES):
        count += append_flagged(flags, n, first + n, height, index, value, begin + count)
    for n in range(whole, size):
        if flags[n]:
            index[begin + count] = first + n
            value[begin + count] = height
            count += 1
    return count


@compiled
def integrate_and_fire_often(x, v, spikes, gain, bias, height, growth, threshold, residue, floor, most):
    """IntegrateAndFire of several spikes a step."""
    for n in range(len(x)):
        charged = v[n] + (gain * x[n] + bias) * growth
        number = np.floor(charged / threshold)
        rest = charged - number * threshold
        # the quotient may miss a whole number by one rounding
        number += np.float32(rest >= threshold) - np.float32(rest < 0)
        number = min(max(number, np.float32(0)), most)
        rest = charged - number * threshold
        v[n] = max(residue * rest if number > 0 else charged, floor)
        spikes[n] = number * height


@compiled
def spiking_rectified_linear(x, v, spikes, gain, bias, height, dt):
    """nengo.SpikingRectifiedLinear."""
    for n in range(len(x)):
        charged = v[n] + max(gain * x[n] + bias, np.float32(0)) * dt
        number = np.floor(charged)
        v[n] = charged - number
        spikes[n] = number * height


@compiled
def coarse_lif(x, v, refractory, flags, gain, bias, dt, growth, tau_rc, tau_ref, floor):
    """nengo.LIF where steps are long for its membrane, or where potentials begin above the threshold."""
    for n in range(len(x)):
        current = gain * x[n] + bias
        remaining = refractory[n] - dt
        refractory[n] = remaining
        part = growth
        if remaining > 0:
            part = np.float32(-math.expm1(-max(dt - remaining, np.float32(0)) / tau_rc))
        after = v[n] + (current - v[n]) * part
        flags[n] = after > 1
        v[n] = np.float32(0) if flags[n] else max(after, floor)
        if flags[n]:
            since = math.log1p(-(float(after) - 1) / (float(current) - 1))
            refractory[n] = np.float32(tau_ref + dt + tau_rc * since)


@compiled
def mixed(x):
    """:func:`nengo_snnconv.neurons.encoding.mix`."""
    x = np.uint32((x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D))
    x = np.uint32((x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B))
    return np.uint32(x ^ (x >> np.uint32(16)))


@compiled
def chained(state, number):
    """The state of :func:`nengo_snnconv.neurons.encoding.uniform` after one more number."""
    return np.uint32(mixed(np.uint32(number) ^ state) + np.uint32(0x9E3779B9))


@compiled
def poisson(seed, item, step, units, x, n_units, threshold, flags, index, value):
    """Spikes of PoissonInput in one step, from the inputs ``x`` of ``units``; returns how many."""
    state = chained(chained(chained(np.uint32(0), seed), item), step)
    count = 0
    for begin in range(0, n_units, BLOCK):
        size = min(BLOCK, n_units - begin)
        for n in range(size):
            bits = mixed(chained(state, np.uint32(units[begin + n])))
            random = np.float32(bits >> np.uint32(8)) * np.float32(2.0**-24)
            flags[n] = random < abs(x[begin + n]) / threshold
        for n in range(size):
            if flags[n]:
                index[count] = units[begin + n]
                value[count] = np.sign(x[begin + n]) * threshold
                count += 1
    return count


@compiled
def first_spike_input(place, n_steps, per_unit, lowest, height, units, x, n_units, index, value):
    """Spikes of FirstSpikeInput in step ``place`` of its stage; returns how many."""
    count = 0
    wanted = np.float32(n_steps - place)
    for n in range(n_units):
        level = min(np.floor(abs(x[n]) * per_unit + np.float32(0.5)), np.float32(n_steps))
        sign = max(np.sign(x[n]), lowest)
        if level > 0 and level == wanted and sign != 0:
            index[count] = units[n]
            value[count] = sign * height
            count += 1
    return count


@compiled
def first_spike_charge(x, current, voltage, weight):
    """A step of the silent stage of TimeToFirstSpike, or of FirstSpikeReadout."""
    for n in range(len(x)):
        arrived = current[n] + x[n] * weight
        current[n] = arrived
        voltage[n] += arrived


@compiled
def first_spike_fire(voltage, spiked, flags, charge, firing_potential):
    """A step of the spiking stage of TimeToFirstSpike."""
    zero, one = np.float32(0), np.float32(1)
    for n in range(len(voltage)):
        charging = spiked[n] == zero
        charged = voltage[n] + charge if charging else voltage[n]
        fires = charging & (charged >= firing_potential)
        voltage[n] = zero if fires else charged
        spiked[n] = one if fires else spiked[n]
        flags[n] = fires


@compiled
def gate(index, value, count, totals, largest, before, touched, window, out_index, out_value):
    """A step of MaxGate over sums: the growth of the largest one of each window that is touched; returns how many.

    ``before`` holds NaN but for windows that were touched in this step.
    """
    n_touched = 0
    for at in range(count):
        unit, x = index[at], value[at]
        number = unit // window
        if math.isnan(before[number]):
            before[number] = largest[number]
            touched[n_touched] = number
            n_touched += 1
        totals[unit] += x
        if x > 0:
            largest[number] = max(largest[number], totals[unit])
        else:
            most = totals[number * window]
            for n in range(number * window + 1, (number + 1) * window):
                most = max(most, totals[n])
            largest[number] = most
    emitted = 0
    for at in range(n_touched):
        number = touched[at]
        growth = largest[number] - before[number]
        before[number] = np.nan
        if growth != 0:
            out_index[emitted] = number * window
            out_value[emitted] = growth
            emitted += 1
    return emitted


@compiled
def maxima(x, window, out):
    """The largest entry of each window, at its first place; zeros at the others."""
    for number in range(len(x) // window):
        begin = number * window
        most = x[begin]
        out[begin] = 0
        for n in range(begin + 1, begin + window):
            most = max(most, x[n])
            out[n] = 0
        out[begin] = most


@compiled
def filter_step(x, state, matrix, gain_in, gain_out, through, general, out):
    """One step of a linear filter on each unit: adds what it had before the step to ``out``, as Nengo delays it.

    ``state`` is (order + 1, units): that of the filter, and its last output.
    """
    order = len(gain_in)
    size = len(x)
    for n in range(size):
        out[n] += state[order, n]
    if order == 1 and not general:
        a, b, row, last = matrix[0, 0], gain_in[0] * gain_out[0], state[0], state[1]
        for n in range(size):
            row[n] = row[n] * a + x[n] * b
            last[n] = row[n]
        return
    after = np.empty(order, np.float32)
    for n in range(size):
        y = through * x[n]
        for i in range(order):
            total = gain_in[i] * x[n]
            for j in range(order):
                total += matrix[i, j] * state[j, n]
            after[i] = total
        for i in range(order):
            y += gain_out[i] * (state[i, n] if general else after[i])
        for i in range(order):
            state[i, n] = after[i]
        state[order, n] = y
