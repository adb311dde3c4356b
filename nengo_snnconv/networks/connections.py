"""Connections of linear layers: convolutions, matrix products, averages and selections as Nengo transforms."""

import functools
import itertools
import math

import nengo
import numpy as np

from ..model import layers as specs
from ..model.connectivity import cover
from ..model.layers import window_offset, window_output


@functools.singledispatch
def connect(layer, model, sources, node, synapses):
    """Connect ``sources`` to ``node`` with the weights of a linear layer, without its bias.

    Parameters
    ----------
    layer : Layer
    model : Model
    sources : list of Nengo objects
        Objects that carry the layer's inputs.
    node : nengo.Node or nengo.ensemble.Neurons
        Target, of the size of the layer's output.
    synapses : list of nengo.synapses.Synapse or None
        Synapse of the connections from each source.
    """
    raise NotImplementedError(f"{layer} has no native connection")


@connect.register(specs.Add)
@connect.register(specs.Dropout)
def _(layer, model, sources, node, synapses):
    for source, synapse in zip(sources, synapses, strict=True):
        nengo.Connection(source, node, synapse=synapse)


@connect.register
def _(layer: specs.Selection, model, sources, node, synapses):
    shapes = [model.shapes[name] for name in layer.inputs]
    for place, (source, synapse) in enumerate(zip(sources, synapses, strict=True)):
        entries = layer.entries(place, *shapes)
        targets = np.flatnonzero(entries >= 0)
        nengo.Connection(source[entries[targets]], node[targets], synapse=synapse)


@connect.register
def _(layer: specs.Affine, model, sources, node, synapses):
    shape = model.shapes[layer.name]
    scale = np.broadcast_to(model.arrays[f"{layer.name}/scale"], shape).ravel()
    nengo.Connection(sources[0], node, transform=scale, synapse=synapses[0])


@connect.register
def _(layer: specs.Dense, model, sources, node, synapses):
    kernel, shape = model.arrays[f"{layer.name}/kernel"], model.shapes[layer.inputs[0]]
    if len(shape) == 1:
        transform = kernel.T
    else:  # the same weights at each position: a convolution of size 1
        transform = _convolution(kernel[None], (math.prod(shape[:-1]), shape[-1]), (1,), "valid", 1)
    nengo.Connection(sources[0], node, transform=transform, synapse=synapses[0])


@connect.register
def _(layer: specs.Conv, model, sources, node, synapses):
    kernel = dilated(model.arrays[f"{layer.name}/kernel"], layer.dilation)
    _connect_window(layer, kernel, layer.groups, model, sources[0], node, synapses[0])


@connect.register(specs.AveragePool)
@connect.register(specs.GlobalAveragePool)
def _(layer, model, sources, node, synapses):
    shape = model.shapes[layer.inputs[0]]
    if isinstance(layer, specs.GlobalAveragePool):
        layer = specs.AveragePool(layer.name, layer.inputs, pool_size=shape[:-1])
    size = layer.pool_size
    if layer.padding == "valid":
        kernel = np.full((*size, 1, shape[-1]), 1 / math.prod(size), np.float32)
        _connect_window(layer, kernel, shape[-1], model, sources[0], node, synapses[0])
        return
    # a mean over the entries inside the input only: a sum, divided by their number
    windows = zip(shape, size, layer.strides, strict=False)
    covered = functools.reduce(np.multiply.outer, [cover(n, k, s, "same").sum(axis=1) for n, k, s in windows])
    sums = nengo.Node(size_in=node.size_in, label=f"{layer.name}.sums")
    kernel = np.ones((*size, 1, shape[-1]), np.float32)
    _connect_window(layer, kernel, shape[-1], model, sources[0], sums, synapses[0])
    share = np.broadcast_to(1 / covered[..., None], model.shapes[layer.name]).ravel()
    nengo.Connection(sums, node, transform=share, synapse=None)


def bias_of(layer, model):
    """Return the bias of each unit of a layer, (size,); zeros for layers without bias."""
    bias = model.arrays.get(f"{layer.name}/bias", 0)
    return np.broadcast_to(bias, model.shapes[layer.name]).ravel().astype(float)


def dilated(kernel, dilation):
    """Return a kernel with zeros inserted between its entries, which has the effect of dilation."""
    size = [(n - 1) * d + 1 for n, d in zip(kernel.shape, dilation, strict=False)]
    sparse = np.zeros((*size, *kernel.shape[-2:]), kernel.dtype)
    sparse[tuple(slice(None, None, d) for d in dilation)] = kernel
    return sparse


def _connect_window(layer, kernel, groups, model, source, node, synapse):
    """Convolve ``source`` into ``node``; 3-D convolutions, which Nengo does not have, slice by slice."""
    shape = model.shapes[layer.inputs[0]]
    if len(shape) < 4:
        transform = _convolution(kernel, shape, layer.strides, layer.padding, groups)
        nengo.Connection(source, node, transform=transform, synapse=synapse)
        return
    depth, *plane, channels = shape
    filters, stride = kernel.shape[-1], layer.strides[0]
    entries = np.arange(math.prod(shape)).reshape(depth, *plane, groups, channels // groups)
    n_slices = window_output(depth, len(kernel), stride, layer.padding)
    targets = np.arange(node.size_in).reshape(n_slices, -1)
    before = window_offset(depth, len(kernel), stride, layer.padding)
    for target, first in zip(targets, itertools.count(-before, stride), strict=False):
        inside = [d for d in range(first, first + len(kernel)) if 0 <= d < depth]
        # a 2-D convolution whose channels are those of all slices under the kernel, group by group
        stack = np.stack([entries[d] for d in inside], axis=-2)
        flat_kernel = np.moveaxis(kernel[[d - first for d in inside]], 0, -3).reshape(*kernel.shape[1:3], -1, filters)
        transform = _convolution(
            flat_kernel, (*plane, len(inside) * channels), layer.strides[1:], layer.padding, groups
        )
        nengo.Connection(source[stack.ravel()], node[target], transform=transform, synapse=synapse)


def _convolution(kernel, shape, strides, padding, groups):
    *size, _, filters = kernel.shape
    return nengo.Convolution(
        filters, shape, kernel_size=size, strides=strides, padding=padding, groups=groups, init=kernel
    )
