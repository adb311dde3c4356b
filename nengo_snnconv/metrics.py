"""Figures of merit from arrays: accuracy, confusion, spike counts, synaptic operations."""

import functools

import numpy as np

from .model import layers as specs
from .model.layers import window_offset, window_output


def accuracy(predictions, y):
    """Share of right predictions along the last axis: (..., n) and (n,) give (...)."""
    return (np.asarray(predictions) == np.asarray(y)).mean(axis=-1)


def first_lasting(holds):
    """The number, from 1, of the first step from which on something holds in all steps; None if not in the last."""
    failing = np.flatnonzero(~np.asarray(holds))
    first = failing[-1] + 2 if len(failing) else 1
    return int(first) if first <= len(holds) else None


def paired_interval(lost, gained, n, z=1.96):
    """Limits within which a change of accuracy lies in general, if it was seen on ``n`` images (95 % by default).

    The interval of Agresti & Min 2005 (doi 10.1002/sim.1781) for matched proportions: half an image more in each of the
    four cells, then the normal one.  It is not empty where no prediction changed.

    Parameters
    ----------
    lost, gained : int
        Images that were right before and wrong after, and the other way round.
    n : int
    z : float
        Quantile of the normal distribution.

    Returns
    -------
    (float, float)
        Of (lost - gained) / n.
    """
    total, difference = n + 2, lost - gained
    deviation = np.sqrt(lost + gained + 1 - difference**2 / total)
    return (difference - z * deviation) / total, (difference + z * deviation) / total


def confusion_matrix(y, predictions, n_classes):
    """How often class i was predicted as class j: an int array (classes, classes), rows true, columns predicted."""
    counts = np.bincount(np.asarray(y) * n_classes + np.asarray(predictions), minlength=n_classes**2)
    return counts.reshape(n_classes, n_classes)


def spike_counts(output, amplitude, dt):
    """Number of spikes per step from a spiking neuron's output, in which a spike has the height amplitude / dt.

    Parameters
    ----------
    output : ndarray
    amplitude : float
    dt : float
        In seconds.

    Returns
    -------
    ndarray of the same shape
        Whole numbers; a negative spike counts as a spike.
    """
    return np.rint(np.abs(output) * (dt / amplitude))


def is_event_source(layer):
    """Whether what a layer emits are events of its own: neurons, and maxima of their spikes."""
    return isinstance(layer, specs.Rectifier | specs.MaxPool | specs.GlobalMaxPool)


def fan_out(model, name):
    """Number of synapses that a spike of each unit of layer ``name`` reaches, border effects included.

    A synapse is a weight of the next convolution or dense layer, counted once for each position at which the
    kernel covers the unit; positions that fall into the padding do not exist.  Averaging, flattening, adding
    and joining lie on the way and add none; maxima emit events of their own and end it, like neurons.

    Parameters
    ----------
    model : Model
    name : str

    Returns
    -------
    ndarray of int64
        With the shape of the layer's output.
    """
    total = np.zeros(model.shapes[name], np.int64)
    for layer in model.consumers(name):
        for place in (i for i, source in enumerate(layer.inputs) if source == name):
            total += _through(layer, model, place)
    return total


def multiply_accumulates(model):
    """Multiply-accumulate operations of each weighted layer for one image, as an ANN: {name: int}."""
    weighted = [layer for layer in model.layers.values() if isinstance(layer, specs.Conv | specs.Dense)]
    return {layer.name: int(_through(layer, model, 0).sum()) for layer in weighted}


@functools.singledispatch
def _through(layer, model, place):
    """Fan-out of the units at input ``place`` of ``layer``, through that layer alone."""
    if is_event_source(layer):
        return np.int64(0)
    shape = model.shapes[layer.inputs[place]]
    return fan_out(model, layer.name).reshape(shape)  # Add, Affine, Dropout: the same entries


@_through.register
def _(layer: specs.Conv, model, place):
    *spatial, channels = model.shapes[layer.inputs[place]]
    windows = zip(spatial, layer.kernel_size, layer.strides, layer.dilation, strict=True)
    covered = [cover(n, size, stride, layer.padding, step).sum(axis=0) for n, size, stride, step in windows]
    positions = functools.reduce(np.multiply.outer, covered)
    return np.repeat(positions[..., None] * (layer.filters // layer.groups), channels, axis=-1)


@_through.register
def _(layer: specs.Dense, model, place):
    return np.full(model.shapes[layer.inputs[place]], layer.units, np.int64)


@_through.register
def _(layer: specs.AveragePool, model, place):
    counts = fan_out(model, layer.name)
    windows = zip(model.shapes[layer.inputs[place]], layer.pool_size, layer.strides, strict=False)
    for axis, (n, size, stride) in enumerate(windows):
        counts = np.moveaxis(np.tensordot(counts, cover(n, size, stride, layer.padding), (axis, 0)), -1, axis)
    return counts


@_through.register
def _(layer: specs.GlobalAveragePool, model, place):
    shape = model.shapes[layer.inputs[place]]
    return np.broadcast_to(fan_out(model, layer.name).reshape(shape[-1]), shape)


@_through.register
def _(layer: specs.Selection, model, place):
    shapes = [model.shapes[name] for name in layer.inputs]
    entries = layer.entries(place, *shapes)
    counts = np.zeros(model.size(layer.inputs[place]), np.int64)
    np.add.at(counts, entries[entries >= 0], fan_out(model, layer.name).ravel()[entries >= 0])
    return counts.reshape(shapes[place])


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
