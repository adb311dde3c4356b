"""Loops on vectors of sixteen numbers, which LLVM makes the best of on each processor.

Numba's own vectors are of half that width on processors with AVX-512, its loops ask first whether their arrays overlap,
and it knows no way of appending the entries that a mask chooses, which is without branches that nobody could foresee.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16
_I8, _I16, _I32, _I64, _F32 = ir.IntType(8), ir.IntType(16), ir.IntType(32), ir.IntType(64), ir.FloatType()


def _vector(kind):
    return ir.VectorType(kind, LANES)


def _splat(builder, x, kind):
    """A vector of one number."""
    undefined = ir.Constant(_vector(kind), ir.Undefined)
    single = builder.insert_element(undefined, x, ir.Constant(_I32, 0))
    return builder.shuffle_vector(single, undefined, ir.Constant(_vector(_I32), [0] * LANES))


def _at(context, builder, kind, array, place):
    """Where entry ``place`` of an array is."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.gep(data, [place])


def _load(builder, pointer, kind, align):
    loaded = builder.load(builder.bitcast(pointer, _vector(kind).as_pointer()))
    loaded.align = align
    return loaded


def _units(builder, first):
    """first, first + 1, ..."""
    unit = builder.trunc(first, _I32)
    return builder.add(_splat(builder, unit, _I32), ir.Constant(_vector(_I32), list(range(LANES))))


def _compress(builder, values, kind, pointer, mask):
    """Store the values that the mask chooses, one after another."""
    target = pointer.type
    name = f"llvm.masked.compressstore.v{LANES}{'i32' if kind == _I32 else 'f32'}"
    function = builder.module.declare_intrinsic(
        name, fnty=ir.FunctionType(ir.VoidType(), [_vector(kind), target, _vector(ir.IntType(1))])
    )
    builder.call(function, [values, pointer, mask])


def _number(builder, mask):
    """How many are chosen."""
    return builder.zext(builder.ctpop(builder.bitcast(mask, _I16)), _I64)


@intrinsic
def append_flagged(typingctx, flags, at, first, height, index, value, place):
    """Append units ``first + n`` for which ``flags[at + n]``, n below 16, with the value ``height``; how many they are.

    Sixteen entries of ``value`` are written, however many are counted.
    """
    signature = types.int64(flags, types.int64, types.int64, types.float32, index, value, types.int64)

    def generate(context, builder, signature, arguments):
        flags, at, first, height, index, value, place = arguments
        kinds = signature.args
        loaded = _load(builder, _at(context, builder, kinds[0], flags, at), _I8, 1)
        mask = builder.icmp_unsigned("!=", loaded, ir.Constant(_vector(_I8), [0] * LANES))
        _compress(builder, _units(builder, first), _I32, _at(context, builder, kinds[4], index, place), mask)
        target = _at(context, builder, kinds[5], value, place)
        stored = builder.store(_splat(builder, height, _F32), builder.bitcast(target, _vector(_F32).as_pointer()))
        stored.align = 4
        return _number(builder, mask)

    return signature, generate


@intrinsic
def append_nonzero(typingctx, values, at, first, index, value, place):
    """Append units ``first + n`` for which ``values[at + n]``, n below 16, is not zero, and it; how many they are."""
    signature = types.int64(values, types.int64, types.int64, index, value, types.int64)

    def generate(context, builder, signature, arguments):
        values, at, first, index, value, place = arguments
        kinds = signature.args
        loaded = _load(builder, _at(context, builder, kinds[0], values, at), _F32, 4)
        mask = builder.fcmp_unordered("!=", loaded, ir.Constant(_vector(_F32), [0.0] * LANES))
        _compress(builder, _units(builder, first), _I32, _at(context, builder, kinds[3], index, place), mask)
        _compress(builder, loaded, _F32, _at(context, builder, kinds[4], value, place), mask)
        return _number(builder, mask)

    return signature, generate


def _weights(builder, pointer, kind):
    """Sixteen weights as float32, which may be stored as the upper halves of theirs: bfloat16."""
    if kind.dtype == types.float32:
        return _load(builder, pointer, _F32, 4)
    wide = builder.zext(_load(builder, pointer, _I16, 2), _vector(_I32))
    return builder.bitcast(builder.shl(wide, ir.Constant(_vector(_I32), [16] * LANES)), _vector(_F32))


@intrinsic
def weight_at(typingctx, weights, place):
    """A single weight as float32."""
    signature = types.float32(weights, types.int64)

    def generate(context, builder, signature, arguments):
        kind = signature.args[0]
        stored = builder.load(_at(context, builder, kind, *arguments))
        if kind.dtype == types.float32:
            return stored
        return builder.bitcast(builder.shl(builder.zext(stored, _I32), ir.Constant(_I32, 16)), _F32)

    return signature, generate


@intrinsic
def add_rows(typingctx, out, at, weights, length, begins, factors):
    """Add ``factors[i] * weights[begins[i] + n]``, for all i, to ``out[at + n]``; returns the first n that is left.

    Of ``length`` numbers, all but the last 15 at most are done.  ``begins`` and ``factors`` are tuples.
    """
    signature = types.int64(out, types.int64, weights, types.int64, begins, factors)

    def generate(context, builder, signature, arguments):
        out, at, weights, length, begins, factors = arguments
        kinds = signature.args
        target = _at(context, builder, kinds[0], out, at)
        sources = [_at(context, builder, kinds[2], weights, b) for b in cgutils.unpack_tuple(builder, begins)]
        spread = [_splat(builder, x, _F32) for x in cgutils.unpack_tuple(builder, factors)]
        before = builder.basic_block
        loop, body, end = (builder.append_basic_block(name) for name in ("rows", "rows.body", "rows.end"))
        whole = builder.and_(length, ir.Constant(_I64, -LANES))
        builder.branch(loop)
        builder.position_at_end(loop)
        n = builder.phi(_I64)
        n.add_incoming(ir.Constant(_I64, 0), before)
        builder.cbranch(builder.icmp_signed("<", n, whole), body, end)
        builder.position_at_end(body)
        place = builder.gep(target, [n])
        total = _load(builder, place, _F32, 4)
        for source, factor in zip(sources, spread, strict=True):
            # a product that is fused with the sum rounds once in the place of twice
            row = _weights(builder, builder.gep(source, [n]), kinds[2])
            product = builder.fmul(factor, row, flags=("contract",))
            total = builder.fadd(total, product, flags=("contract",))
        stored = builder.store(total, builder.bitcast(place, _vector(_F32).as_pointer()))
        stored.align = 4
        n.add_incoming(builder.add(n, ir.Constant(_I64, LANES)), body)
        builder.branch(loop)
        builder.position_at_end(end)
        return whole

    return signature, generate
