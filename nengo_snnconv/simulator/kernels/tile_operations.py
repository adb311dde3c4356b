"""Convolutions of dense signals as products of matrices, tile by tile."""

import numpy as np

from .arguments import compiled, inlined
from .event_operations import events_of
from .tiles import tile_6x4, tile_12x1, tile_12x2
from .vectors import LANES
from .weight_sums import copy_weights


@compiled
def lay_out_values(op, table, turn, program, work):
    """Copy a dense signal to the padded copies of the steps of a turn."""
    numbers = program.integers
    _clear(work.padded, (turn.end - turn.begin) * table.padded)
    for t in range(turn.begin, turn.end):
        source, origin = op.source + t * op.source_stride, (t - turn.begin) * table.padded
        for line in range(table.n_lines):
            x = work.arena[source + line * table.line :]
            out = work.padded[origin + numbers[table.lines + line] :]
            for n in range(table.line):
                out[n] = x[n]


@compiled
def lay_out_events(events, table, turn, program, work):
    """Write the values of events, which are in the order of units, to the padded copies of the steps of a turn."""
    index, value, out, length = work.units, work.values, work.padded, np.int32(table.line)
    lines = program.integers[table.lines :]
    _clear(out, (turn.end - turn.begin) * table.padded)
    for t in range(turn.begin, turn.end):
        begin, end = events_of(program, work, events, t)
        line_end, k, origin = np.int32(0), np.uint64(begin), (t - turn.begin) * table.padded
        for line in range(table.n_lines):
            # where unit 0 would be if this line continued to there
            place = origin + lines[line] - line_end
            line_end += length
            while k < np.uint64(end) and index[k] < line_end:
                out[np.uint64(place + index[k])] = value[k]
                k += np.uint64(1)


@compiled
def _clear(numbers, size):
    for n in range(size):
        numbers[n] = 0


@compiled
def multiply(op, table, turn, program, work):
    """Compute a convolution of the padded copies; start from constants if ``op.parameter``, else add to the target.

    The weights of a block of inputs for up to 64 filters are packed, and then used for all positions of all steps.
    """
    filters, segments = table.filters, program.integers[table.segments :]
    done = np.int64(0)
    while done < filters:
        left, first = filters - done, np.int64(0)
        n_vectors = 4 if left > 3 * LANES else 2 if left > LANES else 1
        for block in range(table.n_blocks):
            begin = 2 * np.int64(program.integers[table.blocks + block])
            end = 2 * np.int64(program.integers[table.blocks + block + 1])
            n_inputs = np.int64(0)
            for k in range(begin + 1, end, 2):
                n_inputs += segments[k]
            _pack(table, first, n_inputs, done, n_vectors, program.weights, work.packed)
            first += n_inputs
            if block == 0 and op.parameter:
                _multiply_block(
                    op, table, turn, done, n_vectors, begin, end, program.constants, op.constant, program, work
                )
            else:
                _multiply_block(op, table, turn, done, n_vectors, begin, end, work.arena, np.int64(-1), program, work)
        done += n_vectors * LANES


@compiled
def _pack(table, first, n_inputs, done, n_vectors, weights, packed):
    """Copy the weights of the inputs from ``first`` on, for the filters from ``done`` on, as float32."""
    row = -(-table.filters // LANES)
    n_copied = min(n_vectors, row - done // LANES)  # sums of further vectors are not stored
    for k in range(n_inputs):
        source, target = table.weights + (first + k) * row * LANES + done, k * n_vectors * LANES
        for n in range(0, n_copied * LANES, LANES):
            copy_weights(packed, target + n, weights, source + n)


@compiled
def _multiply_block(op, table, turn, done, n_vectors, begin, end, before, before_at, program, work):
    """Add the products of a block of inputs to the sums of all positions and steps.

    The sums before are those of the target if ``before_at`` is negative, else the numbers from there on.
    """
    filters, n_positions, places = table.filters, table.n_rows * table.n_columns, work.places
    tile = 6 if n_vectors == 4 else 12
    # unsigned numbers, because Numba need not test whether they count from the end of an array
    positions, number, one = program.integers[table.positions :], np.uint64(0), np.uint64(1)
    outs, initials = places[tile:], places[2 * tile :]
    for t in range(turn.begin, turn.end):
        origin, target = (t - turn.begin) * table.padded, op.target + t * op.target_stride + done
        initial = before_at + done if before_at >= 0 else target
        for position in range(np.uint64(n_positions)):
            places[number] = origin + positions[position]
            outs[number], initials[number] = target, initial
            target += filters
            initial += filters
            number += one
            if number == np.uint64(tile):
                _multiply_tile(before, n_vectors, begin, end, table, filters - done, program, work)
                number = np.uint64(0)
    if number:
        # the same position several times gives the same sums
        filled = np.int64(number)
        for n in range(filled, tile):
            for row in range(3):
                places[row * tile + n] = places[row * tile + filled - 1]
        _multiply_tile(before, n_vectors, begin, end, table, filters - done, program, work)


@inlined
def _multiply_tile(before, n_vectors, begin, end, table, left, program, work):
    segments, out = program.integers[table.segments :], work.arena
    if n_vectors == 4:
        tile_6x4(out, before, work.places, work.packed, work.padded, segments, begin, end, left)
    elif n_vectors == 2:
        tile_12x2(out, before, work.places, work.packed, work.padded, segments, begin, end, left)
    else:
        tile_12x1(out, before, work.places, work.packed, work.padded, segments, begin, end, left)
