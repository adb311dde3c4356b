"""write_graph: from a model and the neurons of its rectifiers to a NIR graph."""

from __future__ import annotations

import collections
import dataclasses
import functools
import math
import re
import typing

import numpy as np

from ...errors import ConversionError, listed
from ...model import Model
from ...model import layers as specs
from ...model.integers import integer_arrays, unit_of
from ...model.layers import window_offset, window_output
from .neurons import Neurons, filter_nodes, node_of

POOLS = ("AvgPool2d", "Conv2d")
MOST_DIAGONAL = 4096  # entries of a scale with a shift that becomes a square matrix
NOT_IN_NIR = "which NIR does not have"
ADVICE = {
    "MaxPool": f"is max pooling, {NOT_IN_NIR}: train the model with average pooling or with strides",
    "GlobalMaxPool": f"is max pooling, {NOT_IN_NIR}: train the model with global average pooling",
    "Concatenate": f"joins tensors, {NOT_IN_NIR}: train a model that adds them",
    "Permute": f"permutes axes, {NOT_IN_NIR}: convert a model with channels last",
    "Reshape": f"reshapes its input, {NOT_IN_NIR} except Flatten: train the model without it",
    "Upsample": f"repeats entries, {NOT_IN_NIR}: train the model without it",
}


@dataclasses.dataclass(frozen=True)
class Output:
    """The output of a layer in NIR.

    Attributes
    ----------
    nodes : tuple of str
        Nodes whose outputs are added.
    order : ndarray of int, optional
        Index in our order of each entry of a flat signal, if NIR has another order.
    pad : tuple of (int, int), optional
        Zeros before and after each spatial axis, which the next convolution adds.
    """

    nodes: tuple[str, ...]
    order: np.ndarray | None = None
    pad: tuple[tuple[int, int], ...] | None = None


def write_graph(
    model: Model, neurons: dict[str, Neurons], dt: float, average_pool: str = "AvgPool2d"
) -> dict[str, typing.Any]:
    """Return a NIR graph as a dict.

    Parameters
    ----------
    model : Model
    neurons : dict of str to Neurons
        Neurons of each rectifier.
    dt : float
        Length of a step in seconds.
    average_pool : "AvgPool2d" or "Conv2d"
        Node for average pooling; some simulators have only one of them.

    Raises
    ------
    ConversionError
        If NIR has nothing for a layer.
    """
    return GraphWriter(model, neurons, dt, average_pool).graph()


class GraphWriter:
    """Adds a node for each layer, one after another."""

    def __init__(self, model, neurons, dt, average_pool):
        self.model, self.neurons, self.dt, self.average_pool = model, neurons, dt, average_pool
        self.nodes, self.edges, self.outputs = {}, [], {}

    def graph(self):
        if len(self.model.inputs) > 1:
            raise ConversionError(
                f"the model has the inputs {listed(self.model.inputs, 8)}, and NIR has no node that takes a part of a "
                "vector: write the network of a model with one input"
            )
        integers = integer_arrays(self.model)
        for name, layer in self.model.layers.items():
            self.outputs[name] = add_layer(layer, self)
            if integers.keys() & self.model.array_names(name):
                self.nodes[self.outputs[name].nodes[-1]]["metadata"] = self.scales_of(name)
        output = self.outputs[self.model.output]
        if output.order is not None or output.pad is not None:
            raise self.refused(
                self.model.layers[self.model.output], "is the output, whose order NIR would change: end with Dense"
            )
        self.add("output", output, {"type": "Output", "shape": np.array(self.nir_shape(self.model.output))})
        return {"type": "NIRGraph", "nodes": self.nodes, "edges": self.edges, "metadata": {"dt": self.dt}}

    def scales_of(self, name):
        """Return the scales of a layer's integer weights, for the metadata of its node."""
        quantization = self.model.metadata["quantization"]
        scales, bits = quantization["scales"][name], int(quantization["bits"])
        return {"bits": bits, "weight_scale": unit_of("weight", scales), "bias_scale": unit_of(f"{name}/bias", scales)}

    def source(self, layer):
        """Return the input of a layer that adds no padding; raise ConversionError if the padding is not done."""
        output = self.outputs[layer.inputs[0]]
        if output.pad is not None:
            raise self.refused(
                layer, "reads a padded input, which only convolutions can in NIR: pad in the convolution"
            )
        return output

    def nir_shape(self, name):
        """Return the shape of a layer's output in NIR: with the channel first."""
        *spatial, channels = self.model.shapes[name]
        return (channels, *spatial)

    def add(self, name, source, node):
        """Add a node that reads ``source``, and return its output; entries stay in order."""
        name = self._unique(name)
        self.nodes[name] = node
        if source is not None:
            self.edges += [(before, name) for before in source.nodes]
        return Output((name,), None if source is None else source.order)

    def refused(self, layer, reason):
        return ConversionError(f"{layer} {reason}", layer=layer.name)

    def convolution(self, name, source, kernel, bias, shape, strides=1, padding=0, groups=1, dilation=1):
        """Add a convolution with a kernel in our order of axes; ``shape`` is that of the input in our order."""
        rank = kernel.ndim - 2
        spatial = tuple(int(n) for n in shape[:-1])
        several = {"stride": strides, "padding": padding, "dilation": dilation}
        values = {key: np.broadcast_to(value, rank).astype(int) for key, value in several.items()}
        node = {
            "type": f"Conv{rank}d",
            "input_shape": spatial if rank > 1 else spatial[0],
            "weight": np.ascontiguousarray(np.moveaxis(kernel, (-1, -2), (0, 1)), dtype=np.float32),
            "bias": np.array(bias, np.float32),
            "groups": int(groups),
            **{key: tuple(map(int, v)) if rank > 1 else int(v[0]) for key, v in values.items()},
        }
        return self.add(name, source, node)

    def _unique(self, name):
        name = re.sub(r"\W", "_", name, flags=re.ASCII) or "node"
        name = f"layer_{name}" if name[0].isdigit() or (name in ("input", "output") and name in self.nodes) else name
        unique, number = name, 1
        while unique in self.nodes:
            number += 1
            unique = f"{name}_{number}"
        return unique


@functools.singledispatch
def add_layer(layer, writer):
    """Add the nodes of a layer, and return its output."""
    raise writer.refused(layer, ADVICE.get(type(layer).__name__, f"is a layer {NOT_IN_NIR}"))


@add_layer.register
def _(layer: specs.Input, writer):
    shape = writer.nir_shape(layer.name)
    if len(shape) > 3:
        raise writer.refused(layer, f"has {len(shape)} axes, and NIR has layers for up to 3: use a 2-D network")
    return writer.add("input", None, {"type": "Input", "shape": np.array(shape)})


@add_layer.register
def _(layer: specs.Conv, writer):
    source, shape = writer.outputs[layer.inputs[0]], writer.model.shapes[layer.inputs[0]]
    if len(layer.kernel_size) > 2:
        raise writer.refused(layer, "is a 3-D convolution, which NIR does not have: use a 2-D network")
    arrays = writer.model.arrays_of(layer.name)
    kernel, dilation = arrays["kernel"], layer.dilation
    pads = [(0, 0)] * len(layer.kernel_size) if source.pad is None else source.pad
    before, after = [], []
    for n, k, d, stride, (first, last) in zip(shape, layer.kernel_size, dilation, layer.strides, pads, strict=False):
        extent = (k - 1) * d + 1
        start = window_offset(n, extent, stride, layer.padding)
        total = (window_output(n, extent, stride, layer.padding) - 1) * stride + extent - n
        before.append(start + first)
        after.append((max(total, 0) - start if layer.padding == "same" else 0) + last)
    kernel, padding, dilation = symmetric(kernel, before, after, dilation)
    bias = arrays.get("bias", np.zeros(layer.filters))
    shape = writer.model.shapes[unpadded(layer, writer)]
    return writer.convolution(layer.name, source, kernel, bias, shape, layer.strides, padding, layer.groups, dilation)


def unpadded(layer, writer):
    """Return the name of the layer whose output a convolution reads, before padding."""
    before = writer.model.layers[layer.inputs[0]]
    while isinstance(before, specs.Pad | specs.Dropout) and writer.outputs[before.name].pad is not None:
        before = writer.model.layers[before.inputs[0]]
    return before.name


def symmetric(kernel, before, after, dilation):
    """Return (kernel, padding, dilation) of the same convolution with as many zeros before as after the input.

    Zeros in the kernel take the place of unequal padding, which NIR does not have.
    """
    rank = len(before)
    if list(before) != list(after) and set(dilation) != {1}:
        size = [(k - 1) * d + 1 for k, d in zip(kernel.shape, dilation, strict=False)]
        sparse = np.zeros((*size, *kernel.shape[rank:]), kernel.dtype)
        sparse[tuple(slice(None, None, d) for d in dilation)] = kernel
        kernel, dilation = sparse, (1,) * rank
    padding = [max(pair) for pair in zip(before, after, strict=True)]
    zeros = [(p - b, p - a) for p, b, a in zip(padding, before, after, strict=True)]
    return np.pad(kernel, [*zeros, (0, 0), (0, 0)]), padding, dilation


@add_layer.register
def _(layer: specs.Dense, writer):
    source, shape = writer.source(layer), writer.model.shapes[layer.inputs[0]]
    arrays = writer.model.arrays_of(layer.name)
    kernel, bias = arrays["kernel"], arrays.get("bias", np.zeros(layer.units))
    if len(shape) > 1:  # at each position: a convolution of size 1
        return writer.convolution(
            layer.name, source, kernel.reshape(*(1,) * (len(shape) - 1), *kernel.shape), bias, shape
        )
    kernel = kernel if source.order is None else kernel[source.order]
    node = {"type": "Affine", "weight": np.ascontiguousarray(kernel.T), "bias": np.array(bias, np.float32)}
    return dataclasses.replace(writer.add(layer.name, source, node), order=None)


@add_layer.register
def _(layer: specs.Affine, writer):
    source, shape = writer.source(layer), writer.model.shapes[layer.name]
    scale, bias = (writer.model.arrays[f"{layer.name}/{name}"] for name in ("scale", "bias"))
    if not bias.any():
        values = np.moveaxis(np.broadcast_to(scale, shape), -1, 0) if len(shape) > 1 else scale
        values = values if source.order is None else values[source.order]
        return writer.add(layer.name, source, {"type": "Scale", "scale": np.array(values, np.float32)})
    if len(shape) > 1:  # a convolution of each channel by itself
        kernel = scale.reshape(*(1,) * len(shape), -1)
        return writer.convolution(layer.name, source, kernel, bias, shape, groups=shape[-1])
    if len(scale) > MOST_DIAGONAL:
        raise writer.refused(layer, f"shifts more than {MOST_DIAGONAL:,} entries by themselves, {NOT_IN_NIR}")
    order = slice(None) if source.order is None else source.order
    node = {"type": "Affine", "weight": np.diag(scale[order]), "bias": np.array(bias[order], np.float32)}
    return writer.add(layer.name, source, node)


@add_layer.register(specs.AveragePool)
@add_layer.register(specs.GlobalAveragePool)
def _(layer, writer):
    source, shape = writer.source(layer), writer.model.shapes[layer.inputs[0]]
    every = isinstance(layer, specs.GlobalAveragePool)
    size, strides = (shape[:-1],) * 2 if every else (layer.pool_size, layer.strides)
    if len(size) > 2:
        raise writer.refused(layer, "is 3-D pooling, which NIR does not have: use a 2-D network")
    if not every and layer.padding == "same" and not _fits(shape, size, strides):
        raise writer.refused(
            layer, "averages over parts of windows at the border, which NIR does not: train it with padding 'valid'"
        )
    if len(size) == 2 and writer.average_pool == "AvgPool2d":
        node = {"kernel_size": np.array(size), "stride": np.array(strides), "padding": np.zeros(2, int)}
        output = writer.add(layer.name, source, {"type": "AvgPool2d", **node})
    else:
        channels = shape[-1]
        kernel = np.broadcast_to(np.eye(channels) / math.prod(size), (*size, channels, channels))
        output = writer.convolution(layer.name, source, kernel, np.zeros(channels), shape, strides)
    if every and not layer.keepdims:
        output = flatten(f"{layer.name}_flat", output, (shape[-1], *(1,) * len(size)), writer)
    return output


def _fits(shape, size, strides):
    """Return whether no window of "same" padding reaches over the border."""
    return all((window_output(n, k, s, "same") - 1) * s + k <= n for n, k, s in zip(shape, size, strides, strict=False))


@add_layer.register
def _(layer: specs.Flatten, writer):
    source, shape = writer.source(layer), writer.model.shapes[layer.inputs[0]]
    if len(shape) == 1:
        return source
    output = flatten(layer.name, source, writer.nir_shape(layer.inputs[0]), writer)
    order = np.moveaxis(np.arange(math.prod(shape)).reshape(shape), -1, 0).ravel()
    return dataclasses.replace(output, order=None if (np.diff(order) == 1).all() else order)


def flatten(name, source, nir_shape, writer):
    return writer.add(
        name, source, {"type": "Flatten", "start_dim": 0, "end_dim": -1, "input_type": np.array(nir_shape)}
    )


@add_layer.register
def _(layer: specs.Rectifier, writer):
    node = node_of(writer.neurons[layer.name], writer.nir_shape(layer.name), writer.dt)
    return writer.add(layer.name, writer.source(layer), node)


@add_layer.register
def _(layer: specs.Filter, writer):
    output = writer.source(layer)
    for node in filter_nodes(layer, writer.nir_shape(layer.name), writer.dt):
        output = writer.add(layer.name, output, node)
    return output


@add_layer.register
def _(layer: specs.Add, writer):
    sources = [writer.outputs[name] for name in layer.inputs]
    nodes = [name for source in sources for name in source.nodes]
    if any(source.pad is not None for source in sources) or len({_key(source.order) for source in sources}) > 1:
        raise writer.refused(layer, "adds tensors in different orders, which NIR cannot: add them before Flatten")
    if max(collections.Counter(nodes).values()) > 1:
        raise writer.refused(layer, "adds a tensor to itself, which edges of NIR cannot: scale its weights instead")
    return Output(tuple(nodes), sources[0].order)


def _key(order):
    return None if order is None else order.tobytes()


@add_layer.register
def _(layer: specs.Dropout, writer):
    return writer.outputs[layer.inputs[0]]


@add_layer.register
def _(layer: specs.Pad, writer):
    source = writer.outputs[layer.inputs[0]]
    pads = tuple(zip(layer.before, layer.after, strict=True))
    if any(layer.between or ()) or min(min(pair) for pair in pads) < 0 or pads[-1] != (0, 0):
        raise writer.refused(layer, "crops, or puts zeros between entries or channels, which NIR cannot: leave it out")
    if not all(isinstance(reader, specs.Conv) for reader in writer.model.consumers(layer.name)):
        raise writer.refused(
            layer, "pads the input of another layer than a convolution, which NIR cannot: leave it out"
        )
    inner = source.pad or ((0, 0),) * len(pads[:-1])
    pad = tuple((a + b, c + d) for (a, c), (b, d) in zip(inner, pads[:-1], strict=True))
    return dataclasses.replace(source, pad=pad)
