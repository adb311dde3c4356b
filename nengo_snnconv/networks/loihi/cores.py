"""Distribution of layers of neurons over the cores of a Loihi chip.

A core has a limited number of neurons, input axons and output axons, and limited memory for weights.  A layer that is
too large is split into equal blocks of (rows, columns, channels), one on each core.  nengo_loihi can split layers by
itself, but not well for convolutions, where the shape of the blocks determines how many weights a core can share.  This
module computes the resources that blocks of each shape need, by nengo_loihi's rules, and chooses the shape that needs
the fewest cores.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import typing

import numpy as np

from ... import compat
from ...errors import ConversionError
from .linear_maps import LinearMap


@dataclasses.dataclass(frozen=True, eq=False)
class ChipLayer:
    """A layer of neurons on the chip.

    Attributes
    ----------
    name : str
    shape : tuple of int
        (rows, columns, channels).
    maps : list of LinearMap
        Input from each source.
    """

    name: str
    shape: tuple[int, ...]
    maps: list[LinearMap]


class Reader(typing.NamedTuple):
    """A layer on the chip that reads another one.

    Attributes
    ----------
    shape : tuple of int
        (rows, columns, channels).
    block_shape : tuple of int
        (rows, columns, channels) of a block.
    linear_map : LinearMap
        Its weights.
    """

    shape: tuple[int, ...]
    block_shape: tuple[int, ...]
    linear_map: LinearMap


def as_image(shape):
    """Return the shape of a layer as (rows, columns, channels), in the same order of entries."""
    if len(shape) == 1:
        return (1, 1, *shape)
    if len(shape) == 2:
        return (shape[0], 1, shape[1])
    return (math.prod(shape[:-2]), *shape[-2:])


def block_shapes(layers):
    """Choose the shape of the blocks of each layer.

    Parameters
    ----------
    layers : list of ChipLayer
        Layers in topological order.

    Returns
    -------
    dict of str to tuple of int
        (rows, columns, channels) of a block, by name of the layer; the last blocks may be smaller.

    Raises
    ------
    ConversionError
        If a core cannot hold even a single neuron of a layer.
    """
    shapes = {}
    for layer in reversed(layers):
        # the blocks of layers that read this one, which come later, are known
        readers = [
            Reader(each.shape, shapes[each.name], linear_map)
            for each in layers
            for linear_map in each.maps
            if linear_map.source == layer.name
        ]
        shapes[layer.name] = _block_shape(layer, readers)
    return shapes


def n_cores(shape, block_shape):
    """Return the number of cores of a layer."""
    return math.prod(math.ceil(n / size) for n, size in zip(shape, block_shape, strict=True))


def _block_shape(layer, readers):
    """Choose the blocks of a layer with the fewest cores."""
    limits = _limits()
    sizes = [sorted({math.ceil(n / blocks) for blocks in range(1, n + 1)}) for n in layer.shape]
    candidates = [shape for shape in itertools.product(*sizes) if math.prod(shape) <= limits["neurons"]]
    # for equal numbers of cores, large areas first: all positions of a channel share their weights
    for shape in sorted(candidates, key=lambda shape: (n_cores(layer.shape, shape), -math.prod(shape[:2]))):
        if all(usage[name] <= limits[name] for usage in core_usage(layer, shape, readers) for name in limits):
            return shape
    single = list(core_usage(layer, (1, 1, 1), readers))
    needed = {name: max(usage[name] for usage in single) for name in limits}
    excess = ", ".join(f"{needed[name]:,} {name} of {limits[name]:,}" for name in limits if needed[name] > limits[name])
    raise ConversionError(
        f"{layer.name}: a core of Loihi cannot hold even one neuron of this layer, which needs {excess}: let it read "
        "fewer neurons, with strides, with average pooling after a convolution instead of a dense layer, or with fewer "
        "channels",
        layer=layer.name,
    )


def _limits():
    """Return the resources of a core, by name."""
    block = compat.nengo_loihi.block
    return {
        "neurons": block.MAX_COMPARTMENTS,
        "input axons": block.MAX_IN_AXONS,
        "output axons": block.MAX_OUT_AXONS,
        "bits of weights": block.MAX_SYNAPSE_BITS,
    }


def core_usage(layer, block_shape, readers):
    """Yield the resources that each block of a layer needs, a dict with the keys of the limits.

    Parameters
    ----------
    layer : ChipLayer
    block_shape : tuple of int
        (rows, columns, channels) of a block.
    readers : list of Reader
        Layers that read this one.
    """
    split = n_cores(layer.shape, block_shape) > 1
    for block in _blocks(layer.shape, block_shape):
        inputs = [_synapses(linear_map, layer.shape, block, split) for linear_map in layer.maps]
        yield {
            "neurons": math.prod(len(indices) for indices in block),
            "input axons": sum(axons for axons, _ in inputs),
            "output axons": sum(_output_axons(layer.shape, block, reader) for reader in readers),
            "bits of weights": sum(bits for _, bits in inputs),
        }


def _blocks(shape, block_shape):
    """Return the blocks of a layer, as ranges of rows, of columns and of channels."""
    axes = [
        [range(first, min(first + size, n)) for first in range(0, n, size)]
        for n, size in zip(shape, block_shape, strict=True)
    ]
    return itertools.product(*axes)


def _entries(shape, block):
    """Return the indices of a block's neurons in the whole layer."""
    return np.ravel_multi_index(np.ix_(*block), shape).ravel()


def _synapses(linear_map, shape, block, split):
    """Return (input axons, bits of weights) of the synapses of one map on one core."""
    if linear_map.convolution:
        return _convolution_synapses(linear_map.convolution, block[:2], len(block[2]), split)
    return _matrix_synapses(linear_map.matrix, _entries(shape, block), split)


@functools.lru_cache(maxsize=256)  # many blocks differ in their channels only
def _convolution_synapses(convolution, area, filters, split):
    """Return (input axons, bits of weights) of a convolution.

    Each pixel has an axon, and pixels with the same weights share them.
    """
    tap_ids = convolution.equal_taps if split else [range(size) for size in convolution.kernel.shape[:2]]
    seen = [_seen(axis, outputs, ids) for axis, outputs, ids in zip(convolution.axes, area, tap_ids, strict=True)]
    columns = len(area[1])
    # an axon stores the index of its first neuron in 8 bits; larger offsets are stored with the weights
    weight_sets = {
        (row_taps, column_taps, (row * columns + column) * filters // 256)
        for (row, row_taps), (column, column_taps) in itertools.product(*seen)
    }
    last_indices = [
        256 * offset + ((len(row_taps) - 1) * columns + len(column_taps)) * filters - 1
        for row_taps, column_taps, offset in weight_sets
    ]
    config = _synapse_config(compression=0, largest=max(last_indices, default=0))
    n_channels = convolution.kernel.shape[2]
    bits = sum(
        config.bits_per_axon(n_channels * len(row_taps) * len(column_taps) * filters)
        for row_taps, column_taps, _ in weight_sets
    )
    return math.prod(map(len, seen)) if split else math.prod(convolution.shape[:2]), bits


def _seen(axis, outputs, tap_ids):
    """Return, for each entry of an axis under the kernel of some of ``outputs``: (index of the first one, tap ids)."""
    length, size, stride, before, _ = axis
    seen = []
    for entry in range(length):
        taps = [(output, entry + before - output * stride) for output in outputs]
        taps = [(output, tap) for output, tap in taps if 0 <= tap < size]
        if taps:
            seen.append((taps[0][0] - outputs[0], tuple(tap_ids[tap] for _, tap in taps)))
    return seen


def _matrix_synapses(matrix, entries, split):
    """Return (input axons, bits of weights) of a matrix.

    Each source neuron has an axon; if the layer is split, axons with equal weights share them.
    """
    columns = matrix[entries].tocsc()
    columns.sort_indices()
    ends = itertools.pairwise(columns.indptr)
    axons = [
        (columns.indices[a:b].tobytes(), columns.data[a:b].tobytes(), b - a) for a, b in ends if b > a or not split
    ]
    config = _synapse_config(compression=3)
    return len(axons), sum(config.bits_per_axon(int(n)) for _, _, n in (set(axons) if split else axons))


def _synapse_config(compression, largest=0):
    """Return the format in which nengo_loihi stores weights with indices of neurons up to ``largest``."""
    config = compat.nengo_loihi.block.SynapseConfig(
        compression=compression, fanout_type=1, n_synapses=63, weight_bits=7
    )
    config.idx_bits = next(i for i, bits in enumerate(config.INDEX_BITS_MAP) if 2**bits > largest)
    return config


def _output_axons(shape, block, reader):
    """Return the number of axons from a block to the blocks of a layer that reads it."""
    split = n_cores(reader.shape, reader.block_shape) > 1
    reader_blocks = _blocks(reader.shape, reader.block_shape)
    if reader.linear_map.convolution is None:
        own = _entries(shape, block)
        if not split:
            return len(own)
        weights = reader.linear_map.matrix[:, own].tocsr()
        return sum(len(np.unique(weights[_entries(reader.shape, each)].indices)) for each in reader_blocks)
    slots = 2  # taken by an axon whose spikes carry the index of their channel
    rows, columns, _ = block
    if not split:
        return slots * len(rows) * len(columns)
    total, axes = 0, list(reader.linear_map.convolution.axes)
    for reader_block in reader_blocks:
        n_seen = [_n_seen(axis, outputs, own) for axis, outputs, own in zip(axes, reader_block, block, strict=False)]
        total += slots * math.prod(n_seen)
    return total


def _n_seen(axis, outputs, own):
    """Return the number of entries ``own`` of an axis that are under the kernel of some of ``outputs``."""
    _, size, stride, before, _ = axis
    return sum(any(0 <= entry + before - o * stride < size for o in outputs) for entry in own)
