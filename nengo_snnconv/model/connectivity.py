"""Connectivity of a model's layers: fan-out, synaptic operations, and kernel windows."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from . import layers as specs
from .layers import window_offset, window_output

if TYPE_CHECKING:
    from .graph import Model

# limit of path counts, which would otherwise become infinite
LARGEST = float(np.finfo(np.float64).max)


def is_event_source(layer: specs.Layer) -> bool:
    """Return whether a layer emits spikes of its own: a layer of neurons, or of maxima of their spikes."""
    return isinstance(layer, specs.Rectifier | specs.MaxPool | specs.GlobalMaxPool)


def maxima_over(model: Model, name: str) -> list[str]:
    """Return the names of the layers of maxima that read layer ``name``."""
    maxima = specs.MaxPool | specs.GlobalMaxPool
    return [reader.name for reader in model.consumers(name) if isinstance(reader, maxima)]


def read_at(model: Model, name: str) -> str:
    """Return the layer of maxima if it alone reads layer ``name``, else ``name``.

    Rounding and clipping do not change which entry of a window is the largest, so only errors of maxima matter.
    """
    maxima = maxima_over(model, name)
    return maxima[0] if maxima and len(model.consumers(name)) == 1 else name


def fan_out(model: Model, name: str) -> np.ndarray:
    """Return the number of synapses that a spike of each unit of layer ``name`` reaches, exact at borders.

    A synapse is a weight of the next convolution or dense layer, counted once for each position at which the kernel
    covers the unit; positions in the padding do not count.  Averaging, flattening, adding and concatenating pass
    spikes on and have no synapses; maxima emit spikes of their own and end the path, as neurons do.  A synapse that is
    reached on several paths, through branches that are added, counts once for each path.

    Parameters
    ----------
    model : Model
    name : str

    Returns
    -------
    ndarray of int64
        Fan-out, in the shape of the layer's output.  float64 if it exceeds int64, since branches in sequence multiply
        the number of paths; limited to the largest float64.
    """
    return fan_outs(model, (name,))[name]


def fan_outs(model: Model, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Return the :func:`fan_out` of several layers, computed in one pass through the model."""
    names = set(names)
    relevant = _passing_spikes_of(model, names)
    by_name: dict[str, np.ndarray] = {}
    partial_sums: dict[str, np.ndarray] = {}
    for name, layer in reversed(list(model.layers.items())):
        if name in relevant:
            own = partial_sums.pop(name, None)
            own = np.zeros(model.shapes[name], np.int64) if own is None else own
            if name in names:
                by_name[name] = own
        for place, source in enumerate(layer.inputs):
            if source in relevant:
                through = _fan_out_through(layer, model, place, own if name in relevant else None)
                partial_sums[source] = _sum(partial_sums[source], through) if source in partial_sums else through
    return {name: by_name[name] for name in model.layers if name in names}


def total(counts: np.ndarray) -> int:
    """Return the sum of non-negative numbers as an int, also if it exceeds int64."""
    if counts.dtype == np.int64 and counts.max(initial=0) <= np.iinfo(np.int64).max // max(counts.size, 1):
        return int(counts.sum())
    return int(min(math.fsum(counts.ravel() / counts.size) * counts.size, LARGEST))


def _passing_spikes_of(model, names):
    """Return ``names`` and the layers that pass the spikes of these on without a synapse."""
    relevant = set(names)
    for name, layer in model.layers.items():
        if not (is_event_source(layer) or _has_synapses(layer)) and relevant.intersection(layer.inputs):
            relevant.add(name)
    return relevant


def _has_synapses(layer):
    """Return whether the weights of a layer are synapses, which connect inputs with outputs."""
    return isinstance(layer, specs.Conv | specs.Dense)


def _sum(first, second):
    """Return the sum of two arrays of non-negative numbers, as float64 if it exceeds int64."""
    if first.dtype == second.dtype == np.int64:
        total = first + second
        if (total >= 0).all():  # a sum that overflows is negative in two's complement
            return total
    with np.errstate(over="ignore"):
        return np.minimum(first.astype(np.float64) + second, LARGEST)


def _sums_of(counts, function, most):
    """Return ``function(counts)``, each entry of which sums at most ``most`` entries; as float64 beyond int64."""
    if counts.dtype == np.int64 and counts.max(initial=0) <= np.iinfo(np.int64).max // max(most, 1):
        return function(counts)
    with np.errstate(over="ignore"):
        return np.minimum(function(counts.astype(np.float64)), LARGEST)


def multiply_accumulates(model: Model) -> dict[str, int]:
    """Return the multiply-accumulate operations of the ANN for one image, by layer with weights.

    A neuron of the ANN that was split into several counts once.
    """
    readers = model.metadata.get("split", {}).get("readers", {})
    return {
        layer.name: int(_fan_out_through(layer, model, 0, None).sum()) // readers.get(layer.name, 1)
        for layer in model.layers.values()
        if _has_synapses(layer)
    }


def _parts(model, name):
    """Return the number of neurons into which each of those that a layer with weights drives was split.

    They share the current of the image, so its synapses count once.
    """
    return model.metadata.get("split", {}).get("sources", {}).get(name, 1)


def maxima_of_spikes(model: Model) -> dict[str, str]:
    """Return the maxima whose windows hold outputs of one layer of neurons, not their averages or sums, and the layer.

    Layers that only select or arrange entries, and other maxima, may be in between.
    """
    found: dict[str, str] = {}
    for name, layer in model.layers.items():
        source = layer.inputs[0] if len(layer.inputs) == 1 else ""
        if isinstance(layer, specs.Rectifier):
            found[name] = name
        elif source in found and isinstance(
            layer, specs.Selection | specs.Dropout | specs.MaxPool | specs.GlobalMaxPool
        ):
            found[name] = found[source]
    return {name: found[name] for name in found if isinstance(model.layers[name], specs.MaxPool | specs.GlobalMaxPool)}


@functools.singledispatch
def _fan_out_through(layer, model, place, counts):
    """Return the fan-out of the units at input ``place`` of ``layer`` through this layer alone.

    ``counts`` is the fan-out of the layer itself, which a layer without synapses passes on.
    """
    shape = model.shapes[layer.inputs[place]]
    if is_event_source(layer):
        return np.zeros(shape, np.int64)
    return counts.reshape(shape)  # Add, Affine, Dropout keep the entries


@_fan_out_through.register
def _(layer: specs.Conv, model, place, counts):
    *spatial, channels = model.shapes[layer.inputs[place]]
    windows = zip(spatial, layer.kernel_size, layer.strides, layer.dilation, strict=True)
    covered = [cover(n, size, stride, layer.padding, step).sum(axis=0) for n, size, stride, step in windows]
    positions = functools.reduce(np.multiply.outer, covered)
    return np.repeat(
        positions[..., None] * (layer.filters // layer.groups // _parts(model, layer.name)), channels, axis=-1
    )


@_fan_out_through.register
def _(layer: specs.Dense, model, place, counts):
    return np.full(model.shapes[layer.inputs[place]], layer.units // _parts(model, layer.name), np.int64)


@_fan_out_through.register
def _(layer: specs.AveragePool, model, place, counts):
    windows = zip(model.shapes[layer.inputs[place]], layer.pool_size, layer.strides, strict=False)
    for axis, (n, size, stride) in enumerate(windows):
        covered = cover(n, size, stride, layer.padding)

        def spread(counts, axis=axis, covered=covered):
            return np.moveaxis(np.tensordot(counts, covered, (axis, 0)), -1, axis)

        counts = _sums_of(counts, spread, int(covered.sum(axis=0).max()))
    return counts


@_fan_out_through.register
def _(layer: specs.GlobalAveragePool, model, place, counts):
    shape = model.shapes[layer.inputs[place]]
    return np.broadcast_to(counts.reshape(shape[-1]), shape)


@_fan_out_through.register
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


def cover(length: int, size: int, stride: int, padding: str, dilation: int = 1) -> np.ndarray:
    """Return the inputs that each window position covers along one axis: 0 or 1, int64 (positions, length)."""
    positions = window_output(length, size, stride, padding, dilation)
    extent = (size - 1) * dilation + 1
    before = window_offset(length, extent, stride, padding)
    cover = np.zeros((positions, length), np.int64)
    for position in range(positions):
        entries = position * stride - before + dilation * np.arange(size)
        cover[position, entries[(entries >= 0) & (entries < length)]] = 1
    return cover
