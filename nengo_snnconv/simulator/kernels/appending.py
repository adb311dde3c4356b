"""Appending events to a list, sixteen units at a time.

There are no branches, which a processor could not predict.  Entries behind the end of a list may be overwritten.
"""

import functools

from llvmlite import ir
from numba import types
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from .vectors import F32, I8, I16, I32, I64, LANES, SUFFIXES, at_place, load, splat, store, vector


def units_from(builder, first):
    """Return the vector first, first + 1, ..."""
    unit = builder.trunc(first, I32)
    return builder.add(splat(builder, unit, I32), ir.Constant(vector(I32), list(range(LANES))))


@functools.cache
def instructions():
    """Return by which instructions lists are appended to on the target of Numba's compiler: a key of COMPRESS."""
    _, _, features = cpu_target.target_context.codegen().magic_tuple()
    has = features.split(",")
    return "avx512" if "+avx512f" in has else "avx2" if "+avx2" in has else "any"


def _compress_avx512(builder, values, kind, pointer, mask):
    """Compress in a register, because AMD's Zen 4 runs the compressing store in microcode."""
    function = builder.module.declare_intrinsic(
        f"llvm.x86.avx512.mask.compress.v{LANES}{SUFFIXES[kind]}",
        fnty=ir.FunctionType(vector(kind), [vector(kind), vector(kind), mask.type]),
    )
    store(builder, builder.call(function, [values, ir.Constant(vector(kind), ir.Undefined), mask]), pointer)


def _compress_avx2(builder, values, kind, pointer, mask):
    """Permute each half by a table that has the lanes of each mask in order."""
    half = LANES // 2
    permute = builder.module.declare_intrinsic(
        "llvm.x86.avx2.permd", fnty=ir.FunctionType(ir.VectorType(I32, half), [ir.VectorType(I32, half)] * 2)
    )
    table, bits, whole = _lane_table(builder.module, half), builder.bitcast(mask, I16), vector(I32)
    values = builder.bitcast(values, whole)
    for number in range(2):
        lanes = ir.Constant(ir.VectorType(I32, half), list(range(number * half, (number + 1) * half)))
        part = builder.shuffle_vector(values, ir.Constant(whole, ir.Undefined), lanes)
        chosen = builder.trunc(builder.lshr(bits, ir.Constant(I16, number * half)), I8)
        entry = builder.gep(table, [ir.Constant(I64, 0), builder.zext(chosen, I64)])
        order = builder.zext(builder.load(entry), ir.VectorType(I32, half))
        compressed = builder.bitcast(builder.call(permute, [part, order]), ir.VectorType(kind, half))
        store(builder, compressed, pointer)
        pointer = builder.gep(pointer, [builder.zext(builder.ctpop(chosen), I64)])


def _lane_table(module, half):
    """Return the global array with the lanes of each mask of ``half`` lanes in order, then zeros."""
    name, kind = "nengo_snnconv.lanes_of_masks", ir.VectorType(I8, half)
    if name in module.globals:
        return module.globals[name]
    rows = []
    for mask in range(2**half):
        lanes = [lane for lane in range(half) if mask >> lane & 1]
        rows.append(ir.Constant(kind, lanes + [0] * (half - len(lanes))))
    table = ir.GlobalVariable(module, ir.ArrayType(kind, len(rows)), name)
    table.initializer = ir.Constant(table.value_type, rows)
    table.global_constant, table.linkage = True, "internal"
    return table


def _compress_any(builder, values, kind, pointer, mask):
    """Store lane by lane, as LLVM does on processors without an instruction for it."""
    function = builder.module.declare_intrinsic(
        f"llvm.masked.compressstore.v{LANES}{SUFFIXES[kind]}",
        fnty=ir.FunctionType(ir.VoidType(), [vector(kind), pointer.type, mask.type]),
    )
    builder.call(function, [values, pointer, mask])


COMPRESS = {"avx512": _compress_avx512, "avx2": _compress_avx2, "any": _compress_any}


def _compress(builder, values, kind, pointer, mask):
    """Store the values in the lanes of the mask, one after another; the sixteen entries may all be overwritten."""
    COMPRESS[instructions()](builder, values, kind, pointer, mask)


def _lanes_in(builder, mask):
    """Return the number of lanes in a mask."""
    return builder.zext(builder.ctpop(builder.bitcast(mask, I16)), I64)


def append_lanes(builder, mask, units, index):
    """Write the units in the lanes of a mask to a list, up to sixteen entries; return their number."""
    _compress(builder, units, I32, index, mask)
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
        store(builder, splat(builder, height, F32), targets[1])
        return append_lanes(builder, mask, units_from(builder, first), targets[0])

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
        _compress(builder, units_from(builder, first), I32, at_place(context, builder, kinds[3], index, place), mask)
        _compress(builder, loaded, F32, at_place(context, builder, kinds[4], value, place), mask)
        return _lanes_in(builder, mask)

    return signature, generate
