"""Convolutions as products of matrices: where each output position finds its inputs in a padded copy of the input.

In the padded copy all windows are complete, so the products of any positions, and of any steps, are computed together:
see ``kernels/tile_operations.py``.
"""

import dataclasses
import itertools
import math

import numpy as np

from ..kernels.arguments import BLOCK_INPUTS


@dataclasses.dataclass(frozen=True, eq=False)
class TileTable:
    """Where the outputs of a convolution find their inputs in a padded copy of the input.

    Output position p reads, for each segment (offset, length), the ``length`` numbers from ``positions[p] + offset``
    on.  Segments one after another are the inputs in the order of the kernel's weights, (*taps, channels).

    Attributes
    ----------
    padded : int
        Size of the padded copy.
    lines : ndarray of int32, (lines,)
        Where each line of the input, (last axis, channels), begins in the padded copy.
    line : int
        Length of a line.
    positions : ndarray of int32, (positions,)
    segments : ndarray of int32, (any, 2)
    blocks : ndarray of int32, (blocks + 1,)
        Block b has the segments from ``blocks[b]`` to ``blocks[b + 1]``, with at most BLOCK_INPUTS inputs.
    n_inputs : int
        Number of inputs that a position reads.
    window_rows : int
        Number of lines on which they lie.
    """

    padded: int
    lines: np.ndarray
    line: int
    positions: np.ndarray
    segments: np.ndarray
    blocks: np.ndarray
    n_inputs: int
    window_rows: int


def tile_table_of(convolution):
    """Return the TileTable of a ConvolutionMap in which each filter reads all channels."""
    channels = convolution.shape[-1]
    # length of each axis with its padding, which may be more than the windows need
    lengths = [
        max(before + length, (outputs - 1) * stride + size)
        for length, size, stride, before, outputs in convolution.axes
    ]
    strides = np.cumprod([1, *lengths[:0:-1]])[::-1] * channels

    def places(*of_axes):
        """Return the places of all combinations of indices along the axes, in order."""
        indices = itertools.product(*of_axes)
        return np.array([np.dot(index, strides[: len(index)]) for index in indices], np.int64)

    axes = convolution.axes
    lines = places(*(range(before, before + length) for length, _, _, before, _ in axes[:-1]))
    positions = places(*(range(0, outputs * stride, stride) for _, _, stride, _, outputs in axes))
    segments, blocks, filled = [], [0], 0
    for offset in places(*(range(size) for _, size, *_ in axes[:-1])):
        for begin, length in _pieces(axes[-1][1] * channels):
            if filled + length > BLOCK_INPUTS:
                blocks.append(len(segments))
                filled = 0
            segments.append((offset + begin, length))
            filled += length
    return TileTable(
        math.prod(lengths) * channels,
        (lines + axes[-1][3] * channels).astype(np.int32),
        axes[-1][0] * channels,
        positions.astype(np.int32),
        np.array(segments, np.int32),
        np.array([*blocks, len(segments)], np.int32),
        math.prod(convolution.kernel.shape[:-1]),
        math.prod(convolution.kernel.shape[:-3]),
    )


def _pieces(length):
    """Return (begin, length) of pieces of at most BLOCK_INPUTS numbers, as equal as possible."""
    ends = np.linspace(0, length, math.ceil(length / BLOCK_INPUTS) + 1).astype(int)
    return [(begin, end - begin) for begin, end in itertools.pairwise(ends)]
