"""The inner loops of the fast simulator, compiled: adding what spikes bring, and stepping blocks of neurons.

All arithmetic on neurons is in float32 and in the order of the neuron types' own TensorFlow steps, so that spikes are
the same ones.  The current of a neuron is gain * x + bias.
"""

import math

import numba
import numpy as np

from .vectors import LANES, add_rows, append_flagged, append_nonzero, weight_at

BLOCK = 512  # neurons that are stepped through time together: their state stays in the first-level cache

compiled = numba.njit(nogil=True, error_model="numpy")
# products may be fused with sums, which rounds once in the place of twice
fused = numba.njit(nogil=True, error_model="numpy", fastmath={"contract"})


@fused
def add_run(target, at, weights, length, begins, factors):
    """Add rows of weights, each times a factor, to ``length`` units from ``at`` on."""
    for n in range(add_rows(target, at, weights, length, begins, factors), length):
        for row in range(len(begins)):
            target[at + n] += factors[row] * weight_at(weights, begins[row] + n)


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
                add_run(target, at + runs[run, 0], weights, np.int64(runs[run, 2]), begins, (x, y, z, w))
            begin += 4
        elif together == 3:
            two, y = base + (index[begin + 1] - origin) * stride, value[begin + 1]
            three, z = base + (index[begin + 2] - origin) * stride, value[begin + 2]
            for run in range(first[place], first[place + 1]):
                by = np.int64(runs[run, 1])
                begins = (one + by, two + by, three + by)
                add_run(target, at + runs[run, 0], weights, np.int64(runs[run, 2]), begins, (x, y, z))
            begin += 3
        elif together == 2:
            two, y = base + (index[begin + 1] - origin) * stride, value[begin + 1]
            for run in range(first[place], first[place + 1]):
                by = np.int64(runs[run, 1])
                begins = (one + by, two + by)
                add_run(target, at + runs[run, 0], weights, np.int64(runs[run, 2]), begins, (x, y))
            begin += 2
        else:
            moved = at + (unit - origin) // group * shift
            for run in range(first[place], first[place + 1]):
                begins = (one + np.int64(runs[run, 1]),)
                add_run(target, moved + runs[run, 0], weights, np.int64(runs[run, 2]), begins, (x,))
            begin += 1


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
def integrate_and_fire(x, v, flags, gain, bias, growth, threshold, residue, floor):
    """IntegrateAndFire of one spike a step."""
    for n in range(len(x)):
        charged = v[n] + (gain * x[n] + bias) * growth
        fires = charged >= threshold
        rest = residue * (charged - threshold)
        v[n] = max(rest if fires else charged, floor)
        flags[n] = fires


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
def surrogate_lif(x, v, flags, gain, bias, decay, threshold, rest, drop, subtracts):
    """SurrogateLIF."""
    for n in range(len(x)):
        charged = v[n] + (gain * x[n] + bias - (v[n] - rest)) * decay
        fires = charged >= threshold
        after = charged - drop if subtracts else rest
        v[n] = after if fires else charged
        flags[n] = fires


@fused
def _risen(z):
    """1 - exp(-z) for z from 0 to 0.25, as far as float32 can tell."""
    a, b, c = np.float32(1), np.float32(1 / 2), np.float32(1 / 6)
    d, e, f = np.float32(1 / 24), np.float32(1 / 120), np.float32(1 / 720)
    return z * (a - z * (b - z * (c - z * (d - z * (e - z * f)))))


@compiled
def find_waiting(refractory, flags, waiting, value):
    """Write the neurons that are in their refractory period to ``waiting``; returns how many."""
    for n in range(len(refractory)):
        flags[n] = refractory[n] > np.float32(0)
    return gather_flags(flags, len(refractory), 0, np.float32(0), waiting, value, 0, 0)


@compiled
def lif(x, v, refractory, flags, waiting, n_waiting, before, gain, bias, dt, growth, rate, floor):
    """nengo.LIF up to its spikes, which are flagged; :func:`lif_reset` does the rest.

    All neurons are charged for the whole step, which is right for all but the ``n_waiting`` that are in their
    refractory period; these are then done again.  Returns how many still are.  ``rate`` is 1 / tau_rc.
    """
    zero, one = np.float32(0), np.float32(1)
    for k in range(n_waiting):
        before[k] = v[waiting[k]]
    for n in range(len(x)):
        after = v[n] + (gain * x[n] + bias - v[n]) * growth
        flags[n] = after > one
        v[n] = after if after > floor else floor
    left = 0
    for k in range(n_waiting):
        n = waiting[k]
        remaining = refractory[n] - dt
        refractory[n] = remaining
        if remaining > zero:
            part = _risen(max(dt - remaining, zero) * rate)
            after = before[k] + (gain * x[n] + bias - before[k]) * part
            flags[n] = after > one
            v[n] = max(after, floor)
            waiting[left] = n
            left += not flags[n]  # those that fire come back from lif_reset
    return left


@compiled
def slow_lif(x, v, refractory, flags, gain, bias, dt, growth, rate, floor):
    """The same for membranes so fast that the series of :func:`lif` does not do, or where states are probed."""
    for n in range(len(x)):
        remaining = refractory[n] - dt
        refractory[n] = remaining
        part = growth
        if remaining > 0:
            part = np.float32(-math.expm1(-max(dt - remaining, np.float32(0)) * rate))
        after = v[n] + (gain * x[n] + bias - v[n]) * part
        flags[n] = after > 1
        v[n] = max(after, floor)


@compiled
def lif_reset(index, begin, end, first, x, v, refractory, waiting, n_waiting, gain, bias, dt, tau_rc, tau_ref):
    """Reset the neurons that fired; their refractory period begins at the time of the spike within the step.

    They are added to those that wait for its end; returns how many these are now.
    """
    for k in range(begin, end):
        n = index[k] - first
        # log(1 - z), z being how far above the threshold the potential got on its way to the current
        z = (float(v[n]) - 1) / (float(gain * x[n] + bias) - 1)
        if z < 0.25:
            s = z / (z - 2)
            q = s * s
            since = 2 * s * (1 + q * (1 / 3 + q * (1 / 5 + q * (1 / 7 + q / 9))))
        else:
            since = math.log1p(-z)
        refractory[n] = np.float32(tau_ref + dt + tau_rc * since)
        v[n] = 0
        waiting[n_waiting] = n
        n_waiting += 1
    return n_waiting


@compiled
def mixed(x):
    """:func:`nengo_snnconv.encoding.mix`."""
    x = np.uint32((x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D))
    x = np.uint32((x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B))
    return np.uint32(x ^ (x >> np.uint32(16)))


@compiled
def chained(state, number):
    """The state of :func:`nengo_snnconv.encoding.uniform` after one more number."""
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
