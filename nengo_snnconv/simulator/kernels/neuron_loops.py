"""Loops that step neurons, sixteen at a time: new potentials, and the neurons that spike appended to a list, in one go.

Each is in the order of the neuron type's own TensorFlow step, operation by operation, in float32.  Written for LLVM, as
:mod:`.vectors` says why.
"""

import contextlib

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .vectors import F32, I32, I64, LANES, append, at_place, load, splat, store, tail, vector


class Lanes:
    """Sixteen numbers in an expression; a product and a sum of ``fused`` ones may round once."""

    def __init__(self, builder, value, fused=False):
        self.builder, self.value, self.fused = builder, value, fused

    def _made(self, value):
        return Lanes(self.builder, value, self.fused)

    def _with(self, method, other):
        flags = ("contract",) if self.fused else ()
        return self._made(getattr(self.builder, method)(self.value, other.value, flags=flags))

    def __add__(self, other):
        return self._with("fadd", other)

    def __sub__(self, other):
        return self._with("fsub", other)

    def __mul__(self, other):
        return self._with("fmul", other)

    def __truediv__(self, other):
        return self._with("fdiv", other)

    def compare(self, sign, other):
        """The mask of where the comparison holds; not where either is NaN."""
        return self.builder.fcmp_ordered(sign, self.value, other.value)

    def where(self, mask, other):
        """These where the mask says so, the ``other`` ones elsewhere."""
        return self._made(self.builder.select(mask, self.value, other.value))

    def at_least(self, floor):
        """The larger one of each; NaN stays NaN."""
        return floor.where(self.compare("<", floor), self)

    def at_most(self, ceiling):
        return ceiling.where(self.compare(">", ceiling), self)

    def full(self, number):
        return self._made(ir.Constant(vector(F32), [float(number)] * LANES))

    def fusing(self):
        """The same, for arithmetic in which products and sums may round once."""
        return Lanes(self.builder, self.value, True)

    def exactly(self):
        """The same, for arithmetic in which each operation rounds."""
        return Lanes(self.builder, self.value)


def _loop(step, late=None):
    """A loop over neurons, as an intrinsic.

    ``step(x, states, numbers)`` gives the mask of those that spike, and the new states.  ``late(x, states, numbers)``
    gives those of neurons that spike, where they are costly to find: it does sixteen spikes at a time, not neurons.

    The intrinsic takes the input (an array, and where it begins in it), the states (an array, and a tuple of where each
    begins), how many neurons there are, the number of the first one, the height of a spike, the list (index, value, and
    where its end is), a tuple of numbers, and memory to work in: a row for the input and for each state, and how long
    they are.  Entries behind the last neuron, up to a multiple of sixteen, are written to.  Returns where the list now
    ends, behind which sixteen entries may be written to.
    """

    def loop(typingctx, x, at, memory, begins, size, first, height, index, value, end, numbers, rows, length):
        signature = types.int64(
            x,
            types.int64,
            memory,
            begins,
            types.int64,
            types.int64,
            types.float32,
            index,
            value,
            types.int64,
            numbers,
            rows,
            types.int64,
        )

        def generate(context, builder, signature, arguments):
            x, at, memory, begins, size, first, height, index, value, end, numbers, rows, length = arguments
            kinds = signature.args
            source = at_place(context, builder, kinds[0], x, at)
            places = [at_place(context, builder, kinds[2], memory, b) for b in cgutils.unpack_tuple(builder, begins)]
            numbers = [Lanes(builder, splat(builder, number, F32)) for number in cgutils.unpack_tuple(builder, numbers)]
            index, value = (at_place(context, builder, kinds[7 + k], a, end) for k, a in enumerate((index, value)))
            zero, sixteen = ir.Constant(I64, 0), ir.Constant(I64, LANES)
            kept_rows = [
                at_place(context, builder, kinds[11], rows, builder.mul(length, ir.Constant(I64, row)))
                for row in range(len(places) + 1)
            ]
            count = cgutils.alloca_once_value(builder, zero)
            with cgutils.for_range_slice(builder, zero, size, sixteen) as (n, _):
                entries = [builder.gep(place, [n]) for place in places]
                current = Lanes(builder, load(builder, builder.gep(source, [n]), F32, 4))
                states = [Lanes(builder, load(builder, entry, F32, 4)) for entry in entries]
                fires, states = step(current, states, numbers)
                for entry, state in zip(entries, states, strict=True):
                    store(builder, state.value, entry)
                fires = builder.and_(fires, tail(builder, builder.trunc(builder.sub(size, n), I32)))
                done = builder.load(count)
                targets = [builder.gep(pointer, [done]) for pointer in (index, value)]
                found = append(builder, fires, builder.add(first, n), height, *targets)
                builder.store(builder.add(done, found), count)
            found = builder.load(count)
            if late:
                # of those that spike: the input, and the states; then the states anew
                copied = list(zip([source, *places], kept_rows, strict=True))
                with _each(builder, found, index, first) as (k, unit):
                    for origin, row in copied:
                        builder.store(builder.load(builder.gep(origin, [unit])), builder.gep(row, [k]))
                with cgutils.for_range_slice(builder, zero, found, sixteen) as (k, _):
                    entries = [builder.gep(row, [k]) for row in kept_rows]
                    current, *states = (Lanes(builder, load(builder, entry, F32, 4)) for entry in entries)
                    for entry, state in zip(entries[1:], late(current, states, numbers), strict=True):
                        store(builder, state.value, entry)
                with _each(builder, found, index, first) as (k, unit):
                    for origin, row in copied[1:]:
                        builder.store(builder.load(builder.gep(row, [k])), builder.gep(origin, [unit]))
            return builder.add(end, found)

        return signature, generate

    return intrinsic(loop)


@contextlib.contextmanager
def _each(builder, found, index, first):
    """A loop over the spikes of a list: (number of the spike, number of the neuron from the ``first`` one on)."""
    with cgutils.for_range(builder, found) as loop:
        unit = builder.sext(builder.load(builder.gep(index, [loop.index])), I64)
        yield loop.index, builder.sub(unit, first)


def _integrated(x, states, numbers):
    """IntegrateAndFire of one spike a step: gain, bias, dt / tau, threshold, residue, min_potential."""
    (v,), (gain, bias, growth, threshold, residue, floor) = states, numbers
    charged = v + (gain * x + bias) * growth
    fires = charged.compare(">=", threshold)
    rest = residue * (charged - threshold)
    return fires, [rest.where(fires, charged).at_least(floor)]


def _surrogate(x, states, numbers):
    """SurrogateLIF: gain, bias, decay, threshold, reset potential, drop, and 1 where a spike subtracts that, else 0."""
    (v,), (gain, bias, decay, threshold, rest, drop, subtracts) = states, numbers
    charged = v + (gain * x + bias - (v - rest)) * decay
    fires = charged.compare(">=", threshold)
    after = (charged - drop).where(subtracts.compare(">", v.full(0)), rest)
    return fires, [after.where(fires, charged)]


def _risen(z):
    """1 - exp(-z) for z from 0 to 0.25, as far as float32 can tell."""
    z, total = z.fusing(), None
    for divisor in (720, 120, 24, 6, 2, 1):
        term = z.full(1 / divisor)
        total = term if total is None else term - z * total
    return (z * total).exactly()


def _lif(x, states, numbers):
    """nengo.LIF up to its spikes: gain, bias, dt, 1 - exp(-dt / tau_rc), 1 / tau_rc, min_voltage, tau_rc, tau_ref."""
    (v, refractory), (gain, bias, dt, growth, rate, floor, _, _) = states, numbers
    zero = v.full(0)
    remaining = refractory - dt
    part = _risen((dt - remaining).at_least(zero) * rate)
    part = part.where(remaining.compare(">", zero), growth)
    after = v + (gain * x + bias - v) * part
    return after.compare(">", v.full(1)), [after.at_least(floor), remaining]


def _lif_reset(x, states, numbers):
    """The refractory period of those that spike begins at the time of the spike within the step."""
    (v, _), (gain, bias, dt, _, _, _, tau_rc, tau_ref) = states, numbers
    # log(1 - z), z being how far above the threshold the potential got on its way to the current, below 0.25
    z = (v - v.full(1)) / (gain * x + bias - v.full(1))
    s = (z / (z - z.full(2))).fusing()
    square, total = s * s, s.full(1 / 9)
    for divisor in (7, 5, 3, 1):
        total = s.full(1 / divisor) + square * total
    since = (s.full(2) * s * total).exactly()
    return [v.full(0), tau_ref + (dt + tau_rc * since)]


integrate_and_fire = _loop(_integrated)
surrogate_lif = _loop(_surrogate)
lif = _loop(_lif, _lif_reset)
