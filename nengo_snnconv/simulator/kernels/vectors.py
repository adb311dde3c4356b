"""Vectors of sixteen numbers in LLVM, which compiles them to the widest instructions of the processor.

Numba's own loops use half the width of AVX-512, and first test whether their arrays overlap.
"""

from llvmlite import ir

LANES = 16
I8, I16, I32, I64, F32 = ir.IntType(8), ir.IntType(16), ir.IntType(32), ir.IntType(64), ir.FloatType()
SUFFIXES = {I16: "i16", I32: "i32", F32: "f32"}  # of the names of LLVM's intrinsic functions


def vector(kind):
    """Return the type of a vector."""
    return ir.VectorType(kind, LANES)


def splat(builder, x, kind):
    """Return a vector of sixteen times the same number."""
    undefined = ir.Constant(vector(kind), ir.Undefined)
    single = builder.insert_element(undefined, x, ir.Constant(I32, 0))
    return builder.shuffle_vector(single, undefined, ir.Constant(vector(I32), [0] * LANES))


def at_place(context, builder, kind, array, place):
    """Return the pointer to entry ``place`` of an array."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.gep(data, [place])


def integer_at(context, builder, kind, array, place):
    """Return entry ``place`` of an array of integers, as int64."""
    return builder.sext(builder.load(at_place(context, builder, kind, array, place)), I64)


def plus_product(builder, total, x, factor):
    """Return ``total + x * factor``; product and sum may be fused, which rounds once instead of twice."""
    return builder.fadd(total, builder.fmul(x, factor, flags=("contract",)), flags=("contract",))


def load(builder, pointer, kind, align):
    """Return the vector at a pointer, which is a multiple of ``align`` bytes."""
    loaded = builder.load(builder.bitcast(pointer, vector(kind).as_pointer()))
    loaded.align = align
    return loaded


def store(builder, values, pointer):
    """Store a vector of numbers of four bytes."""
    stored = builder.store(values, builder.bitcast(pointer, values.type.as_pointer()))
    stored.align = 4


def tail(builder, left):
    """Return the mask of the first ``left`` lanes."""
    return builder.icmp_signed("<", ir.Constant(vector(I32), list(range(LANES))), splat(builder, left, I32))


def masked_load(builder, pointer, kind, mask, align):
    """Return the values in the lanes of the mask, zeros in the others, whose memory is not read."""
    values = vector(kind)
    pointer = builder.bitcast(pointer, values.as_pointer())
    function = builder.module.declare_intrinsic(
        f"llvm.masked.load.v{LANES}{SUFFIXES[kind]}.p0",
        fnty=ir.FunctionType(values, [pointer.type, I32, mask.type, values]),
    )
    zeros = ir.Constant(values, [0.0 if kind == F32 else 0] * LANES)
    return builder.call(function, [pointer, ir.Constant(I32, align), mask, zeros])


def masked_store(builder, values, pointer, mask):
    """Store the values in the lanes of the mask."""
    pointer = builder.bitcast(pointer, values.type.as_pointer())
    function = builder.module.declare_intrinsic(
        f"llvm.masked.store.v{LANES}f32.p0",
        fnty=ir.FunctionType(ir.VoidType(), [values.type, pointer.type, I32, mask.type]),
    )
    builder.call(function, [values, pointer, ir.Constant(I32, 4), mask])
