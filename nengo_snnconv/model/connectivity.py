"""How the layers of a model are connected: fan-out, synaptic operations, and the windows of kernels."""

import functools
import math

import numpy as np

from . import layers as specs
from .layers import window_offset, window_output

# counts of paths through a model stop there instead of becoming infinite
LARGEST = float(np.finfo(np.float64).max)


def is_event_source(layer):
    """Whether what a layer emits are events of its own: neurons, and maxima of their spikes."""
    return isinstance(layer, specs.Rectifier | specs.MaxPool | specs.GlobalMaxPool)


def fan_out(model, name):
    """Number of synapses that a spike of each unit of layer ``name`` reaches, border effects included.

    A synapse is a weight of the next convolution or dense layer, counted once for each position at which the
    kernel covers the unit; positions that fall into the padding do not exist.  Averaging, flattening, adding
    and joining lie on the way and add none; maxima emit events of their own and end it, like neurons.  What
    reaches a synapse on several ways, through branches that are added, counts once for each of them.

    Parameters
    ----------
    model : Model
    name : str

    Returns
    -------
    ndarray of int64
        With the shape of the layer's output.  float64 where a number is too large for int64, as branches in a row
        make it exponentially large, and no larger than float64 holds.
    """
    return fan_outs(model, (name,))[name]


def fan_outs(model, names):
    """:func:`fan_out` of several layers, in one pass through the model.

    Parameters
    ----------
    model : Model
    names : iterable of str

    Returns
    -------
    dict of str to ndarray
    """
    names = set(names)
    # only the ways out of these layers, and no further than to the next events
    wanted = _read_before_events(model, names)
    found, waiting = {}, {}
    for name, layer in reversed(model.layers.items()):
        if name in wanted:
            own = waiting.pop(name, None)
            own = np.zeros(model.shapes[name], np.int64) if own is None else own
            if name in names:
                found[name] = own
        for place, source in enumerate(layer.inputs):
            if source in wanted:
                passed = _through(layer, model, place, own if name in wanted else None)
                waiting[source] = _sum(waiting[source], passed) if source in waiting else passed
    return {name: found[name] for name in model.layers if name in names}


def total(counts):
    """The sum of numbers from 0 up as an int, also where int64 does not hold it."""
    if counts.dtype == np.int64 and counts.max(initial=0) <= np.iinfo(np.int64).max // max(counts.size, 1):
        return int(counts.sum())
    return int(min(math.fsum(counts.ravel() / counts.size) * counts.size, LARGEST))


def _read_before_events(model, names):
    """The layers of ``names``, and those that events of theirs pass through without a weight."""
    wanted = set(names)
    for name, layer in model.layers.items():
        if not (is_event_source(layer) or _has_weights(layer)) and wanted.intersection(layer.inputs):
            wanted.add(name)
    return wanted


def _has_weights(layer):
    """Whether a layer has a weight for each pair of what it reads and what it gives, which are synapses."""
    return isinstance(layer, specs.Conv | specs.Dense)


def _sum(first, second):
    """The sum of numbers from 0 up: as float64 where int64 does not hold them."""
    if first.dtype == second.dtype == np.int64:
        total = first + second
        if (total >= 0).all():  # in two's complement, a sum of two such numbers that does not fit is negative
            return total
    with np.errstate(over="ignore"):
        return np.minimum(first.astype(np.float64) + second, LARGEST)


def _sums_of(counts, function, most):
    """``function`` of ``counts``, which adds up to ``most`` entries for one of its own; float64 beyond int64."""
    if counts.dtype == np.int64 and counts.max(initial=0) <= np.iinfo(np.int64).max // max(most, 1):
        return function(counts)
    with np.errstate(over="ignore"):
        return np.minimum(function(counts.astype(np.float64)), LARGEST)


def multiply_accumulates(model):
    """Multiply-accumulate operations of each weighted layer for one image, as an ANN: {name: int}."""
    return {
        layer.name: int(_through(layer, model, 0, None).sum()) for layer in model.layers.values() if _has_weights(layer)
    }


@functools.singledispatch
def _through(layer, model, place, counts):
    """Fan-out of the units at input ``place`` of ``layer``, through that layer alone.

    ``counts`` is that of the layer itself, of use where it has no synapses.
    """
    shape = model.shapes[layer.inputs[place]]
    if is_event_source(layer):
        return np.zeros(shape, np.int64)
    return counts.reshape(shape)  # Add, Affine, Dropout: the same entries


@_through.register
def _(layer: specs.Conv, model, place, counts):
    *spatial, channels = model.shapes[layer.inputs[place]]
    windows = zip(spatial, layer.kernel_size, layer.strides, layer.dilation, strict=True)
    covered = [cover(n, size, stride, layer.padding, step).sum(axis=0) for n, size, stride, step in windows]
    positions = functools.reduce(np.multiply.outer, covered)
    return np.repeat(positions[..., None] * (layer.filters // layer.groups), channels, axis=-1)


@_through.register
def _(layer: specs.Dense, model, place, counts):
    return np.full(model.shapes[layer.inputs[place]], layer.units, np.int64)


@_through.register
def _(layer: specs.AveragePool, model, place, counts):
    windows = zip(model.shapes[layer.inputs[place]], layer.pool_size, layer.strides, strict=False)
    for axis, (n, size, stride) in enumerate(windows):
        covered = cover(n, size, stride, layer.padding)

        def spread(counts, axis=axis, covered=covered):
            return np.moveaxis(np.tensordot(counts, covered, (axis, 0)), -1, axis)

        counts = _sums_of(counts, spread, int(covered.sum(axis=0).max()))
    return counts


@_through.register
def _(layer: specs.GlobalAveragePool, model, place, counts):
    shape = model.shapes[layer.inputs[place]]
    return np.broadcast_to(counts.reshape(shape[-1]), shape)


@_through.register
def _(layer: specs.Selection, model, place, counts):
    shapes = [model.shapes[name] for name in layer.inputs]
    entries = layer.entries(place, *shapes)
    read = entries >= 0

    def gathered(counts):
        total = np.zeros(model.size(layer.inputs[place]), counts.dtype)
        np.add.at(total, entries[read], counts.ravel()[read])
        return total.reshape(shapes[place])

    most = np.bincount(entries[read], minlength=1).max()
    return _sums_of(counts, gathered, int(most))


def cover(length, size, stride, padding, dilation=1):
    """Which input each window position covers along one axis: an int64 array (positions, length) of 0 and 1."""
    positions = window_output(length, size, stride, padding, dilation)
    extent = (size - 1) * dilation + 1
    before = window_offset(length, extent, stride, padding)
    cover = np.zeros((positions, length), np.int64)
    for position in range(positions):
        entries = position * stride - before + dilation * np.arange(size)
        cover[position, entries[(entries >= 0) & (entries < length)]] = 1
    return cover
