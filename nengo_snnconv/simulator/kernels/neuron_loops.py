"""Loops that step sixteen neurons at a time: they compute the potentials and append the spikes to a list.

Each follows the TensorFlow step of its neuron type, operation by operation, in float32.  They are written for LLVM, for
the reasons in :mod:`.vectors`.
"""

import contextlib
import functools

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .appending import append_lanes, units_from
from .arguments import CHOSEN
from .vectors import F32, I32, I64, LANES, at_place, load, splat, store, vector


class Lanes:
    """Sixteen float32 numbers, as operands of an expression.

    Parameters
    ----------
    builder : llvmlite.ir.IRBuilder
    value : llvmlite.ir.Value
        The vector.
    fused : bool
        Allow products and sums to round once together.
    """

    def __init__(self, builder, value, fused=False):
        self.builder, self.value, self.fused = builder, value, fused

    def _like(self, value):
        return Lanes(self.builder, value, self.fused)

    def _binary(self, method, other):
        flags = ("contract",) if self.fused else ()
        return self._like(getattr(self.builder, method)(self.value, other.value, flags=flags))

    def __add__(self, other):
        return self._binary("fadd", other)

    def __sub__(self, other):
        return self._binary("fsub", other)

    def __mul__(self, other):
        return self._binary("fmul", other)

    def __truediv__(self, other):
        return self._binary("fdiv", other)

    def compare(self, sign, other):
        """Return the mask of lanes in which the comparison holds; it never holds for NaN."""
        return self.builder.fcmp_ordered(sign, self.value, other.value)

    def where(self, mask, other):
        """Return these numbers in the lanes of the mask, and the ``other`` numbers elsewhere."""
        return self._like(self.builder.select(mask, self.value, other.value))

    def at_least(self, floor):
        """Return the maximum with ``floor``; NaN stays NaN."""
        return floor.where(self.compare("<", floor), self)

    def full(self, number):
        """Return sixteen times the same number."""
        return self._like(ir.Constant(vector(F32), [float(number)] * LANES))

    def fusing(self):
        """Return the same numbers for arithmetic in which products and sums may round once together."""
        return Lanes(self.builder, self.value, True)

    def exactly(self):
        """Return the same numbers for arithmetic in which each operation rounds."""
        return Lanes(self.builder, self.value)


def _loop(step, late=None):
    """Return an intrinsic that steps a block of neurons once and appends their spikes to a list.

    The intrinsic is called as ``loop(block, states, height, numbers, memory, work)``: a Block, a tuple of where its
    states begin in ``memory``, the height of a spike, a tuple of the constants of the type, the states of the image,
    and the Workspace.  It returns where the list ends then.  It also writes to the states behind the last neuron, up
    to a multiple of sixteen, and to sixteen entries behind the end of the list.

    Parameters
    ----------
    step : callable
        ``step(x, states, numbers)`` returns the mask of the neurons that spike, and the new states.
    late : callable, optional
        ``late(x, states, numbers)`` returns the states of neurons that spiked, if they are costly to compute.  It is
        applied to sixteen spikes at a time, not to sixteen neurons.
    """

    def loop(typingctx, block, states, height, numbers, memory, work):
        signature = types.int64(block, states, types.float32, numbers, memory, work)

        def generate(context, builder, signature, arguments):
            block, begins, height, numbers, memory, work = arguments
            block_kind, _, _, _, memory_kind, work_kind = signature.args

            def of_block(name):
                return builder.extract_value(block, block_kind.fields.index(name))

            def in_work(name, place):
                number = work_kind.fields.index(name)
                return at_place(context, builder, work_kind[number], builder.extract_value(work, number), place)

            first, size, end = of_block("first"), of_block("size"), of_block("end")
            source = in_work("arena", of_block("source"))
            places = [at_place(context, builder, memory_kind, memory, b) for b in cgutils.unpack_tuple(builder, begins)]
            numbers = [Lanes(builder, splat(builder, number, F32)) for number in cgutils.unpack_tuple(builder, numbers)]
            index, value = in_work("units", end), in_work("values", end)
            zero, sixteen = ir.Constant(I64, 0), ir.Constant(I64, LANES)
            count = cgutils.alloca_once_value(builder, zero)
            # advancing the units and comparing them with their end takes half the time of making both in each turn
            units = cgutils.alloca_once_value(builder, units_from(builder, first))
            units_end = splat(builder, builder.trunc(builder.add(first, size), I32), I32)
            with cgutils.for_range_slice(builder, zero, size, sixteen) as (n, _):
                entries = [builder.gep(place, [n]) for place in places]
                current = Lanes(builder, load(builder, builder.gep(source, [n]), F32, 4))
                states = [Lanes(builder, load(builder, entry, F32, 4)) for entry in entries]
                fires, states = step(current, states, numbers)
                for entry, state in zip(entries, states, strict=True):
                    store(builder, state.value, entry)
                done, unit = builder.load(count), builder.load(units)
                fires = builder.and_(fires, builder.icmp_signed("<", unit, units_end))
                appended = append_lanes(builder, fires, unit, builder.gep(index, [done]))
                builder.store(builder.add(done, appended), count)
                builder.store(builder.add(unit, ir.Constant(vector(I32), [LANES] * LANES)), units)
            n_spikes = builder.load(count)
            with cgutils.for_range_slice(builder, zero, n_spikes, sixteen) as (n, _):
                store(builder, splat(builder, height, F32), builder.gep(value, [n]))
            if late:
                # CHOSEN entries each: the inputs of the neurons that spiked, and their states
                rows = [in_work("outputs", ir.Constant(I64, row * CHOSEN)) for row in range(len(places) + 1)]
                spikes = functools.partial(_each, builder, n_spikes, index, first)
                _step_spikes(
                    builder, functools.partial(late, numbers=numbers), n_spikes, spikes, [source, *places], rows
                )
            return builder.add(end, n_spikes)

        return signature, generate

    return intrinsic(loop)


def _step_spikes(builder, late, n_spikes, spikes, places, rows):
    """Copy the inputs and states of the neurons that spiked to ``rows``, apply ``late``, and copy the states back."""
    with spikes() as (k, unit):
        for place, row in zip(places, rows, strict=True):
            builder.store(builder.load(builder.gep(place, [unit])), builder.gep(row, [k]))
    with cgutils.for_range_slice(builder, ir.Constant(I64, 0), n_spikes, ir.Constant(I64, LANES)) as (k, _):
        entries = [builder.gep(row, [k]) for row in rows]
        x, *states = (Lanes(builder, load(builder, entry, F32, 4)) for entry in entries)
        for entry, state in zip(entries[1:], late(x, states), strict=True):
            store(builder, state.value, entry)
    with spikes() as (k, unit):
        for place, row in zip(places[1:], rows[1:], strict=True):
            builder.store(builder.load(builder.gep(row, [k])), builder.gep(place, [unit]))


@contextlib.contextmanager
def _each(builder, n_spikes, index, first):
    """Loop over the spikes of a list: (number of the spike, number of the neuron in its block)."""
    with cgutils.for_range(builder, n_spikes) as loop:
        unit = builder.sext(builder.load(builder.gep(index, [loop.index])), I64)
        yield loop.index, builder.sub(unit, first)


def _integrate_and_fire(x, states, numbers):
    """Step IntegrateAndFire of at most one spike a step.

    Constants: gain, bias, dt / tau, threshold, residue, min_potential.
    """
    (v,), (gain, bias, growth, threshold, residue, floor) = states, numbers
    charged = v + (gain * x + bias) * growth
    fires = charged.compare(">=", threshold)
    rest = residue * (charged - threshold)
    return fires, [rest.where(fires, charged).at_least(floor)]


def _plain_integrate_and_fire(x, states, numbers):
    """Step IntegrateAndFire of at most one spike a step, without gain, bias, leak and bound: the constant is threshold.

    Multiplying by 1 and adding 0 would take half of the time of the loop.
    """
    (v,), (threshold,) = states, numbers
    charged = v + x
    fires = charged.compare(">=", threshold)
    return fires, [(charged - threshold).where(fires, charged)]


def _surrogate_lif(x, states, numbers):
    """Step SurrogateLIF.

    Constants: gain, bias, decay, threshold, reset potential, drop, and 1 if a spike subtracts the drop, 0 if it resets.
    """
    (v,), (gain, bias, decay, threshold, rest, drop, subtracts) = states, numbers
    charged = v + (gain * x + bias - (v - rest)) * decay
    fires = charged.compare(">=", threshold)
    after = (charged - drop).where(subtracts.compare(">", v.full(0)), rest)
    return fires, [after.where(fires, charged)]


def _one_minus_exp(z):
    """Return 1 - exp(-z) for z from 0 to 0.25, to the precision of float32."""
    z, total = z.fusing(), None
    for divisor in (720, 120, 24, 6, 2, 1):
        term = z.full(1 / divisor)
        total = term if total is None else term - z * total
    return (z * total).exactly()


def _lif(x, states, numbers):
    """Step nengo.LIF, except for the reset of neurons that spike.

    Constants: gain, bias, dt, 1 - exp(-dt / tau_rc), 1 / tau_rc, min_voltage, tau_rc, tau_ref.
    """
    (v, refractory), (gain, bias, dt, growth, rate, floor, _, _) = states, numbers
    zero = v.full(0)
    remaining = refractory - dt
    part = _one_minus_exp((dt - remaining).at_least(zero) * rate)
    part = part.where(remaining.compare(">", zero), growth)
    after = v + (gain * x + bias - v) * part
    return after.compare(">", v.full(1)), [after.at_least(floor), remaining]


def _lif_reset(x, states, numbers):
    """Reset LIF neurons that spiked; the refractory period begins at the time of the spike within the step."""
    (v, _), (gain, bias, dt, _, _, _, tau_rc, tau_ref) = states, numbers
    # log(1 - z), where z < 0.25 is the overshoot of the potential as a fraction of the current's
    z = (v - v.full(1)) / (gain * x + bias - v.full(1))
    s = (z / (z - z.full(2))).fusing()
    square, total = s * s, s.full(1 / 9)
    for divisor in (7, 5, 3, 1):
        total = s.full(1 / divisor) + square * total
    since = (s.full(2) * s * total).exactly()
    return [v.full(0), tau_ref + (dt + tau_rc * since)]


def _lif_excitable(x, states, numbers):
    """Find LIF neurons that a constant input may make spike, or that are refractory; states stay as they are.

    Constants: gain, bias, dt.
    """
    (v, refractory), (gain, bias, dt) = states, numbers
    one = v.full(1)
    excited = v.builder.or_((gain * x + bias).compare(">", one), v.compare(">", one))
    return v.builder.or_(excited, refractory.compare(">", dt)), states


# vectors of neurons whose steps are computed side by side, because each step waits for the one before it
_ABREAST = 6


@intrinsic
def lif_at_rest(typingctx, block, states, numbers, memory, work, n_steps):
    """Step LIF neurons that do not spike, and are not refractory, for several steps with the same input.

    The arguments are those of :func:`_loop`.  It also writes to the states behind the last neuron, up to a multiple of
    sixteen.
    """
    signature = types.void(block, states, numbers, memory, work, types.int64)

    def generate(context, builder, signature, arguments):
        block, begins, numbers, memory, work, n_steps = arguments
        block_kind, _, _, memory_kind, work_kind, _ = signature.args
        first_input, size = (builder.extract_value(block, block_kind.fields.index(name)) for name in ("source", "size"))
        number = work_kind.fields.index("arena")
        source = at_place(context, builder, work_kind[number], builder.extract_value(work, number), first_input)
        places = [at_place(context, builder, memory_kind, memory, b) for b in cgutils.unpack_tuple(builder, begins)]
        numbers = [Lanes(builder, splat(builder, number, F32)) for number in cgutils.unpack_tuple(builder, numbers)]
        gain, bias, dt, growth, floor = numbers
        time = Lanes(builder, splat(builder, builder.sitofp(n_steps, F32), F32)) * dt
        zero, sixteen = ir.Constant(I64, 0), ir.Constant(I64, LANES)
        last = builder.mul(builder.sdiv(builder.sub(size, ir.Constant(I64, 1)), sixteen), sixteen)
        with cgutils.for_range_slice(builder, zero, size, ir.Constant(I64, _ABREAST * LANES)) as (n, _):
            group = []
            for k in range(_ABREAST):
                # the last vector may be computed several times
                at = builder.add(n, ir.Constant(I64, k * LANES))
                at = builder.select(builder.icmp_signed("<", at, last), at, last)
                x = Lanes(builder, load(builder, builder.gep(source, [at]), F32, 4))
                entry, end = (builder.gep(place, [at]) for place in places)
                v = cgutils.alloca_once(builder, vector(F32))
                builder.store(load(builder, entry, F32, 4), v)
                remaining = Lanes(builder, load(builder, end, F32, 4)) - time
                group.append((gain * x + bias, v, entry, remaining, end))
            with cgutils.for_range(builder, n_steps):
                for current, variable, *_ in group:
                    v = Lanes(builder, builder.load(variable))
                    builder.store((v + (current - v) * growth).at_least(floor).value, variable)
            for _, variable, entry, remaining, end in group:
                store(builder, builder.load(variable), entry)
                store(builder, remaining.value, end)
        return context.get_dummy_value()

    return signature, generate


integrate_and_fire = _loop(_integrate_and_fire)
plain_integrate_and_fire = _loop(_plain_integrate_and_fire)
surrogate_lif = _loop(_surrogate_lif)
lif = _loop(_lif, _lif_reset)
lif_excitable = _loop(_lif_excitable)
