"""Appending events to a list, sixteen units at a time.

There are no branches, which a processor could not predict.  Entries behind the end of a list may be overwritten.
"""

import functools

from llvmlite import ir
from numba import types
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from .vectors import F32, I8, I16, I32, I64, LANES, SUFFIXES, at_place, load, splat, store, vector


def _units(builder, first):
    """Return the vector first, first + 1, ..."""
    unit = builder.trunc(first, I32)
    return builder.add(splat(builder, unit, I32), ir.Constant(vector(I32), list(range(LANES))))


@functools.cache
def _has_avx512():
    """Return whether the target of Numba's compiler has AVX-512."""
    _, _, features = cpu_target.target_context.codegen().magic_tuple()
    return "+avx512f" in features.split(",")


def _compress(builder, values, kind, pointer, mask):
    """Store the values in the lanes of the mask, one after another; the sixteen entries may all be overwritten.

    With AVX-512, they are compressed in a register, because AMD's Zen 4 runs the compressing store in microcode.
    """
    masks = vector(ir.IntType(1))
    if _has_avx512():
        function = builder.module.declare_intrinsic(
            f"llvm.x86.avx512.mask.compress.v{LANES}{SUFFIXES[kind]}",
            fnty=ir.FunctionType(vector(kind), [vector(kind), vector(kind), masks]),
        )
        store(builder, builder.call(function, [values, ir.Constant(vector(kind), ir.Undefined), mask]), pointer)
    else:
        function = builder.module.declare_intrinsic(
            f"llvm.masked.compressstore.v{LANES}{SUFFIXES[kind]}",
            fnty=ir.FunctionType(ir.VoidType(), [vector(kind), pointer.type, masks]),
        )
        builder.call(function, [values, pointer, mask])


def _lanes_in(builder, mask):
    """Return the number of lanes in a mask."""
    return builder.zext(builder.ctpop(builder.bitcast(mask, I16)), I64)


def append(builder, mask, first, height, index, value):
    """Write the units ``first + n`` of the lanes n of a mask to a list, all with the same value; return their number.

    Writes sixteen entries of ``value``, and up to sixteen of ``index``.
    """
    _compress(builder, _units(builder, first), I32, index, mask)
    store(builder, splat(builder, height, F32), value)
    return _lanes_in(builder, mask)


@intrinsic
def append_flagged(typingctx, flags, at, first, height, index, value, place):
    """Append units ``first + n`` for which ``flags[at + n]``, n below 16, with the value ``height``.

    Returns their number.  Writes sixteen entries of ``value``, and up to sixteen of ``index``.
    """
    signature = types.int64(flags, types.int64, types.int64, types.float32, index, value, types.int64)

    def generate(context, builder, signature, arguments):
        flags, at, first, height, index, value, place = arguments
        kinds = signature.args
        loaded = load(builder, at_place(context, builder, kinds[0], flags, at), I8, 1)
        mask = builder.icmp_unsigned("!=", loaded, ir.Constant(vector(I8), [0] * LANES))
        targets = [at_place(context, builder, kinds[4 + k], array, place) for k, array in enumerate((index, value))]
        return append(builder, mask, first, height, *targets)

    return signature, generate


@intrinsic
def append_nonzero(typingctx, values, at, first, index, value, place):
    """Append units ``first + n`` for which ``values[at + n]``, n below 16, is not zero, with this value.

    Returns their number.
    """
    signature = types.int64(values, types.int64, types.int64, index, value, types.int64)

    def generate(context, builder, signature, arguments):
        values, at, first, index, value, place = arguments
        kinds = signature.args
        loaded = load(builder, at_place(context, builder, kinds[0], values, at), F32, 4)
        mask = builder.fcmp_unordered("!=", loaded, ir.Constant(vector(F32), [0.0] * LANES))
        _compress(builder, _units(builder, first), I32, at_place(context, builder, kinds[3], index, place), mask)
        _compress(builder, loaded, F32, at_place(context, builder, kinds[4], value, place), mask)
        return _lanes_in(builder, mask)

    return signature, generate
