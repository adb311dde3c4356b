"""Products of matrices whose sums stay in registers: several positions of a convolution times several filters."""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .appending import instructions
from .vectors import (
    F32,
    I32,
    I64,
    LANES,
    at_place,
    integer_at,
    load,
    masked_load,
    masked_store,
    plus_product,
    splat,
    tail,
)

# positions and vectors of filters whose sums fit the registers of a processor, by its instructions
REGISTERS = {"avx512": (12, 4), "avx2": (6, 1), "any": (2, 1)}


def _tile(n_positions, n_vectors):
    """Return an intrinsic that adds the products of a block of inputs to the sums of a tile.

    It writes ``before[before_at[p] + f]`` plus the sum of ``weights[k, f] * inputs[p, k]`` over k to
    ``out[out_at[p] + f]``, for positions p and the first ``filters`` filters f.  The inputs of a position are
    ``values[values_at[p] + offset]`` and the following ``length`` numbers for each (offset, length) in ``segments``
    from ``begin`` to ``end``.  ``weights`` begins with rows of ``n_vectors`` vectors of filters.  ``places`` holds
    values_at, out_at and before_at one after another.
    """

    def tile(typingctx, out, before, places, weights, values, segments, begin, end, filters):
        i64 = types.int64
        signature = types.void(out, before, places, weights, values, segments, i64, i64, i64)

        def generate(context, builder, signature, arguments):
            most_positions, most_vectors = REGISTERS[instructions()]
            for p in range(0, n_positions, most_positions):
                for v in range(0, n_vectors, most_vectors):
                    part = range(p, min(p + most_positions, n_positions)), range(v, min(v + most_vectors, n_vectors))
                    _part_of_tile(context, builder, signature.args, arguments, n_positions, n_vectors, *part)
            return context.get_dummy_value()

        return signature, generate

    return intrinsic(tile)


def _part_of_tile(context, builder, kinds, arguments, n_positions, n_vectors, positions, vectors):
    """Generate the code for some positions and vectors of a tile."""
    out, before, places, weights, values, segments, begin, end, filters = arguments

    def pointer(array, number, place):
        return at_place(context, builder, kinds[number], array, place)

    def integer(array, number, place):
        return integer_at(context, builder, kinds[number], array, place)

    def places_from(column, array, number):
        rows = [ir.Constant(I64, column * n_positions + p) for p in positions]
        return [pointer(array, number, builder.load(pointer(places, 2, row))) for row in rows]

    offsets = [ir.Constant(I64, LANES * v) for v in vectors]
    masks = [tail(builder, builder.trunc(builder.sub(filters, offset), I32)) for offset in offsets]
    sums = [
        [
            cgutils.alloca_once_value(builder, masked_load(builder, builder.gep(row, [offset]), F32, mask, 4))
            for offset, mask in zip(offsets, masks, strict=True)
        ]
        for row in places_from(2, before, 1)
    ]
    inputs = places_from(0, values, 4)
    weight = cgutils.alloca_once_value(builder, pointer(weights, 3, offsets[0]))
    with cgutils.for_range_slice(builder, begin, end, ir.Constant(I64, 2)) as (segment, _):
        first, length = (integer(segments, 5, builder.add(segment, ir.Constant(I64, n))) for n in range(2))
        with cgutils.for_range_slice(builder, first, builder.add(first, length), ir.Constant(I64, 1)) as (n, _):
            row = builder.load(weight)
            factors = [
                load(builder, builder.gep(row, [ir.Constant(I64, LANES * v)]), F32, 4) for v in range(len(vectors))
            ]
            for source, totals in zip(inputs, sums, strict=True):
                x = splat(builder, builder.load(builder.gep(source, [n])), F32)
                for factor, total in zip(factors, totals, strict=True):
                    builder.store(plus_product(builder, builder.load(total), x, factor), total)
            builder.store(builder.gep(row, [ir.Constant(I64, LANES * n_vectors)]), weight)
    for target, totals in zip(places_from(1, out, 0), sums, strict=True):
        for offset, mask, total in zip(offsets, masks, totals, strict=True):
            masked_store(builder, builder.load(total), builder.gep(target, [offset]), mask)


tile_12x1, tile_12x2, tile_6x4 = _tile(12, 1), _tile(12, 2), _tile(6, 4)
