"""Loops on vectors of sixteen numbers, which LLVM makes the best of on each processor.

Numba's own vectors are of half that width on processors with AVX-512, its loops ask first whether their arrays overlap,
and it knows no way of appending the entries that a mask chooses, which is without branches that nobody could foresee.
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

LANES = 16
I8, I16, I32, I64, F32 = ir.IntType(8), ir.IntType(16), ir.IntType(32), ir.IntType(64), ir.FloatType()
_NAMES = {I16: "i16", I32: "i32", F32: "f32"}  # in the names of LLVM's own functions


def vector(kind):
    return ir.VectorType(kind, LANES)


def splat(builder, x, kind):
    """A vector of one number."""
    undefined = ir.Constant(vector(kind), ir.Undefined)
    single = builder.insert_element(undefined, x, ir.Constant(I32, 0))
    return builder.shuffle_vector(single, undefined, ir.Constant(vector(I32), [0] * LANES))


def at_place(context, builder, kind, array, place):
    """Where entry ``place`` of an array is."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.gep(data, [place])


def load(builder, pointer, kind, align):
    loaded = builder.load(builder.bitcast(pointer, vector(kind).as_pointer()))
    loaded.align = align
    return loaded


def store(builder, values, pointer):
    stored = builder.store(values, builder.bitcast(pointer, values.type.as_pointer()))
    stored.align = 4


def _units(builder, first):
    """first, first + 1, ..."""
    unit = builder.trunc(first, I32)
    return builder.add(splat(builder, unit, I32), ir.Constant(vector(I32), list(range(LANES))))


def compress(builder, values, kind, pointer, mask):
    """Store the values that the mask chooses, one after another."""
    target = pointer.type
    name = f"llvm.masked.compressstore.v{LANES}{_NAMES[kind]}"
    function = builder.module.declare_intrinsic(
        name, fnty=ir.FunctionType(ir.VoidType(), [vector(kind), target, vector(ir.IntType(1))])
    )
    builder.call(function, [values, pointer, mask])


def number_of(builder, mask):
    """How many are chosen."""
    return builder.zext(builder.ctpop(builder.bitcast(mask, I16)), I64)


def append(builder, mask, first, height, index, value):
    """Write the units ``first + n`` that the mask chooses to a list, each with the same value; how many they are.

    Sixteen entries of ``value`` are written, however many are counted.
    """
    compress(builder, _units(builder, first), I32, index, mask)
    store(builder, splat(builder, height, F32), value)
    return number_of(builder, mask)


@intrinsic
def append_flagged(typingctx, flags, at, first, height, index, value, place):
    """Append units ``first + n`` for which ``flags[at + n]``, n below 16, with the value ``height``; how many they are.

    Sixteen entries of ``value`` are written, however many are counted.
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
    """Append units ``first + n`` for which ``values[at + n]``, n below 16, is not zero, and it; how many they are."""
    signature = types.int64(values, types.int64, types.int64, index, value, types.int64)

    def generate(context, builder, signature, arguments):
        values, at, first, index, value, place = arguments
        kinds = signature.args
        loaded = load(builder, at_place(context, builder, kinds[0], values, at), F32, 4)
        mask = builder.fcmp_unordered("!=", loaded, ir.Constant(vector(F32), [0.0] * LANES))
        compress(builder, _units(builder, first), I32, at_place(context, builder, kinds[3], index, place), mask)
        compress(builder, loaded, F32, at_place(context, builder, kinds[4], value, place), mask)
        return number_of(builder, mask)

    return signature, generate


def tail(builder, left):
    """The mask of the first ``left`` lanes."""
    return builder.icmp_signed("<", ir.Constant(vector(I32), list(range(LANES))), splat(builder, left, I32))


def masked_load(builder, pointer, kind, mask, align):
    """The values that the mask chooses, zeros for the others, whose memory is left alone."""
    values = vector(kind)
    pointer = builder.bitcast(pointer, values.as_pointer())
    function = builder.module.declare_intrinsic(
        f"llvm.masked.load.v{LANES}{_NAMES[kind]}.p0",
        fnty=ir.FunctionType(values, [pointer.type, I32, mask.type, values]),
    )
    zeros = ir.Constant(values, [0.0 if kind == F32 else 0] * LANES)
    return builder.call(function, [pointer, ir.Constant(I32, align), mask, zeros])


def masked_store(builder, values, pointer, mask):
    pointer = builder.bitcast(pointer, values.type.as_pointer())
    function = builder.module.declare_intrinsic(
        f"llvm.masked.store.v{LANES}f32.p0",
        fnty=ir.FunctionType(ir.VoidType(), [values.type, pointer.type, I32, mask.type]),
    )
    builder.call(function, [values, pointer, ir.Constant(I32, 4), mask])
