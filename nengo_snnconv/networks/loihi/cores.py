"""Cores: how layers of neurons are spread over the cores of a Loihi chip, none of which may be asked for too much.

A core takes so many neurons, so many axons that come and go, and so much memory for weights.  nengo_loihi splits what
is too large, but for convolutions not well enough by itself: a core's share of an image decides how many weights it can
use again.  So what each share would take is counted here, by the same rules, and the fewest cores that do are chosen.
"""

import dataclasses
import functools
import itertools
import math

import numpy as np

from ... import compat
from ...errors import ConversionError


@dataclasses.dataclass(frozen=True, eq=False)
class ChipLayer:
    """Neurons on the chip.

    Attributes
    ----------
    name : str
    shape : tuple of int
        (rows, columns, channels).
    maps : list of LinearMap
        What reaches them.
    """

    name: str
    shape: tuple
    maps: list


def as_image(shape):
    """Any shape of a layer as (rows, columns, channels); entries keep their order."""
    if len(shape) == 1:
        return (1, 1, *shape)
    if len(shape) == 2:
        return (shape[0], 1, shape[1])
    return (math.prod(shape[:-2]), *shape[-2:])


def spread(layers):
    """Which share of each layer goes to one core.

    Parameters
    ----------
    layers : list of ChipLayer
        In an order in which each comes after those that it reads.

    Returns
    -------
    dict of str to tuple of int
        (rows, columns, channels) of a share; shares at the end may be smaller.

    Raises
    ------
    ConversionError
        If a layer fits in no way.
    """
    shares = {}
    for layer in reversed(layers):
        # the layers that read it have their shares by now
        readers = [
            (each.shape, shares[each.name], reached)
            for each in layers
            for reached in each.maps
            if reached.source == layer.name
        ]
        shares[layer.name] = _share(layer, readers)
    return shares


def cores(shape, share):
    """The number of cores that a layer takes."""
    return math.prod(math.ceil(n / size) for n, size in zip(shape, share, strict=True))


def _share(layer, readers):
    """The largest share of a layer that fits on a core."""
    limits = _limits()
    sizes = [sorted({math.ceil(n / parts) for parts in range(1, n + 1)}) for n in layer.shape]
    candidates = [share for share in itertools.product(*sizes) if math.prod(share) <= limits["neurons"]]
    # of those with as many cores, the one that keeps planes whole, whose weights are used again the most
    for share in sorted(candidates, key=lambda share: (cores(layer.shape, share), -math.prod(share[:2]))):
        if all(need[what] <= limits[what] for need in needs(layer, share, readers) for what in limits):
            return share
    single = list(needs(layer, (1, 1, 1), readers))
    short = {what: max(need[what] for need in single) for what in limits}
    excess = ", ".join(f"{short[what]:,} {what} of {limits[what]:,}" for what in limits if short[what] > limits[what])
    raise ConversionError(
        f"{layer.name}: a core of Loihi cannot hold even one of its neurons, which needs {excess}: let it read fewer "
        "neurons, by strides, by average pooling behind a convolution instead of a dense layer, or by fewer channels"
    )


def _limits():
    """What a core has."""
    block = compat.nengo_loihi.block
    return {
        "neurons": block.MAX_COMPARTMENTS,
        "input axons": block.MAX_IN_AXONS,
        "output axons": block.MAX_OUT_AXONS,
        "bits of weights": block.MAX_SYNAPSE_BITS,
    }


def needs(layer, share, readers):
    """What each share of a layer takes of a core, a dict like that of the limits."""
    split = cores(layer.shape, share) > 1
    for part in _parts(layer.shape, share):
        inputs = [_synapses(reached, layer.shape, part, split) for reached in layer.maps]
        yield {
            "neurons": math.prod(len(places) for places in part),
            "input axons": sum(axons for axons, _ in inputs),
            "output axons": sum(_output_axons(layer.shape, part, *reader) for reader in readers),
            "bits of weights": sum(bits for _, bits in inputs),
        }


def _parts(shape, share):
    """The shares of a layer: a range of rows, of columns and of channels each."""
    axes = [
        [range(first, min(first + size, n)) for first in range(0, n, size)]
        for n, size in zip(shape, share, strict=True)
    ]
    return itertools.product(*axes)


def _entries(shape, part):
    """The numbers of a share's neurons in the whole layer."""
    return np.ravel_multi_index(np.ix_(*part), shape).ravel()


def _synapses(reached, shape, part, split):
    """(input axons, bits of weights) of the synapses of one map on one core."""
    if reached.window:
        return _window_synapses(reached.window, part[:2], len(part[2]), split)
    return _matrix_synapses(reached.matrix, _entries(shape, part), split)


@functools.lru_cache(maxsize=256)  # shares differ in their channels only
def _window_synapses(window, part, filters, split):
    """Those of a convolution: an axon for each pixel; pixels that meet the same weights share them."""
    names = window.equal_taps if split else [range(size) for size in window.kernel.shape[:2]]
    seen = [_seen(axis, outputs, names) for axis, outputs, names in zip(window.axes, part, names, strict=True)]
    columns = len(part[1])
    # the first neuron that an axon reaches is told in 8 bits, what is beyond them with the weights
    kinds = {
        (row_taps, column_taps, (row * columns + column) * filters // 256)
        for (row, row_taps), (column, column_taps) in itertools.product(*seen)
    }
    ends = [256 * far + ((len(rows) - 1) * columns + len(places)) * filters - 1 for rows, places, far in kinds]
    config = _synapse_config(compression=0, largest=max(ends, default=0))
    n_channels = window.kernel.shape[2]
    bits = sum(config.bits_per_axon(n_channels * len(rows) * len(places) * filters) for rows, places, _ in kinds)
    return math.prod(map(len, seen)) if split else math.prod(window.shape[:2]), bits


def _seen(axis, outputs, names):
    """For each entry of an axis that some of ``outputs`` see: which is the first of them, and by which taps they do."""
    length, size, stride, before, _ = axis
    seen = []
    for entry in range(length):
        taps = [(output, entry + before - output * stride) for output in outputs]
        taps = [(output, tap) for output, tap in taps if 0 <= tap < size]
        if taps:
            seen.append((taps[0][0] - outputs[0], tuple(names[tap] for _, tap in taps)))
    return seen


def _matrix_synapses(matrix, entries, split):
    """Those of a matrix: an axon for each neuron that is read; of a split layer, equal rows are stored once."""
    columns = matrix[entries].tocsc()
    columns.sort_indices()
    ends = itertools.pairwise(columns.indptr)
    rows = [(columns.indices[a:b].tobytes(), columns.data[a:b].tobytes(), b - a) for a, b in ends if b > a or not split]
    config = _synapse_config(compression=3)
    return len(rows), sum(config.bits_per_axon(int(n)) for _, _, n in (set(rows) if split else rows))


def _synapse_config(compression, largest=0):
    """The format in which nengo_loihi stores weights; ``largest`` is the largest number of a neuron beside them."""
    config = compat.nengo_loihi.block.SynapseConfig(
        compression=compression, fanout_type=1, n_synapses=63, weight_bits=7
    )
    config.idx_bits = next(i for i, bits in enumerate(config.INDEX_BITS_MAP) if 2**bits > largest)
    return config


def _output_axons(shape, part, reader_shape, reader_share, reached):
    """The axons that lead from a share to the shares of a layer that reads it."""
    split = cores(reader_shape, reader_share) > 1
    if reached.window is None:
        own = _entries(shape, part)
        if not split:
            return len(own)
        read = reached.matrix[:, own].tocsr()
        return sum(len(np.unique(read[_entries(reader_shape, p)].indices)) for p in _parts(reader_shape, reader_share))
    slots = 2  # of an axon that says to which channel a spike belongs
    rows, columns, _ = part
    if not split:
        return slots * len(rows) * len(columns)
    total, axes = 0, list(reached.window.axes)
    for reading in _parts(reader_shape, reader_share):
        met = [_met(axis, outputs, own) for axis, outputs, own in zip(axes, reading, part, strict=False)]
        total += slots * math.prod(met)
    return total


def _met(axis, outputs, own):
    """How many of the entries ``own`` of an axis some of ``outputs`` see."""
    _, size, stride, before, _ = axis
    return sum(any(0 <= entry + before - o * stride < size for o in outputs) for entry in own)
