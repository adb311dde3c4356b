"""Functions that read nodes, one for each class: ``reader(node, graph_reader)`` adds specs and returns a Signal."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from ...model import layers as specs
from ...model.layers import window_offset, window_output
from .neurons import read_delay_steps, read_leaky_integrator, read_neurons
from .refused import UnsupportedNode
from .signal import Signal


def read_node(node, reader):
    """Add the specs of a node, and return its output."""
    if node.kind not in NODE_READERS:
        raise UnsupportedNode(f"is of a class that is not supported; there are {', '.join(NODE_READERS)}")
    return NODE_READERS[node.kind](node, reader)


def read_input(node, reader):
    if node.inputs:  # of a nested graph
        return reader.source(node)
    shape = node.numbers("shape").ravel()
    if not 1 <= len(shape) <= 3 or (shape != np.floor(shape)).any() or shape.min() < 1 or shape.max() > 2**24:
        raise UnsupportedNode(f"must have a shape of 1 to 3 positive whole numbers, got {shape.tolist()}")
    channels, *spatial = (int(n) for n in shape)
    return Signal(reader.add_spec(specs.Input, node.name, shape=(*spatial, channels)))


def read_output(node, reader):
    signal = reader.source(node)
    if any(node.name in other.inputs for other in reader.nodes):  # of a nested graph
        return signal
    if signal.image is not None:
        # scores in NIR's order
        spec = reader.add_spec(specs.Reshape, f"{node.name}_image", signal.spec, shape=signal.image)
        rank = len(signal.image)
        spec = reader.add_spec(specs.Permute, f"{node.name}_order", spec, axes=(rank - 1, *range(rank - 1)))
        signal = Signal(reader.add_spec(specs.Flatten, f"{node.name}_flat", spec))
    reader.output = signal.spec
    return signal


def read_affine(node, reader):
    signal, weight = reader.source(node), node.numbers("weight")
    shape = reader.shape(signal)
    if len(shape) != 1 or weight.ndim != 2:
        raise UnsupportedNode(
            f"has weights of shape {weight.shape} for an input of shape {reader.nir_shape(signal)}; it needs two axes "
            "and one: put a Flatten node before it"
        )
    if weight.shape[1] != shape[0]:
        raise UnsupportedNode(f"has weights for {weight.shape[1]} inputs, but its input has {shape[0]}")
    if signal.image is not None:
        *spatial, channels = signal.image
        weight = np.moveaxis(weight.reshape(-1, channels, *spatial), 1, -1).reshape(weight.shape)
    arrays = {"kernel": weight.T}
    if node.kind == "Affine":
        arrays["bias"] = node.numbers("bias").ravel()
    use_bias = bool(np.any(arrays.get("bias", 0)))
    return Signal(reader.add_spec(specs.Dense, node.name, signal.spec, arrays, units=len(weight), use_bias=use_bias))


def read_scale(node, reader):
    return reader.add_scale(node.name, reader.source(node), node.numbers("scale"))


def read_conv(node, reader):
    signal, weight = reader.source(node), node.numbers("weight")
    rank = {"Conv1d": 1, "Conv2d": 2}[node.kind]
    shape = _image_shape(node, reader, signal, rank)
    if weight.ndim != rank + 2:
        raise UnsupportedNode(f"must have weights of {rank + 2} axes, got {weight.ndim}")
    strides, dilation = (node.whole(name, rank, 1) for name in ("stride", "dilation"))
    (groups,) = node.whole("groups", 1, 1)
    kernel = np.moveaxis(weight, (0, 1), (-1, -2))
    before, after = _conv_padding(node, kernel.shape[:rank], strides, dilation)
    if dilation == (1,) * rank:
        kernel, before = _without_zeros(kernel, before)
    size = kernel.shape[:rank]
    bias = node.numbers("bias").ravel() if node.fields.get("bias") is not None else np.zeros(kernel.shape[-1])
    arrays = {"kernel": kernel, "bias": bias}
    window = {"kernel_size": size, "strides": strides, "dilation": dilation}
    padding, signal = _padded(node, reader, signal, shape, before, after, size, strides, dilation)
    layer = {"filters": kernel.shape[-1], "groups": groups, "padding": padding, "use_bias": bool(bias.any())}
    return Signal(reader.add_spec(specs.Conv, node.name, signal.spec, arrays, **window, **layer))


def _conv_padding(node, size, strides, dilation):
    """Return zeros before and after the input on each axis."""
    padding, rank = node.text("padding"), len(size)
    if padding == "valid":
        return (0,) * rank, (0,) * rank
    if padding == "same":
        if set(strides) != {1}:
            raise UnsupportedNode(
                f"has padding 'same' with strides {strides}, which NIR does not define: write the padding as numbers"
            )
        total = [(k - 1) * d for k, d in zip(size, dilation, strict=True)]
        return tuple(n // 2 for n in total), tuple(n - n // 2 for n in total)
    if padding is not None:
        raise UnsupportedNode(f"has padding {padding!r}: it must be 'same', 'valid' or numbers")
    numbers = node.whole("padding", rank)
    return numbers, numbers


def _without_zeros(kernel, before):
    """Return a kernel and the padding before the input, without zeros at the start of the kernel that only shift it."""
    before = list(before)
    for axis in range(len(before)):
        while before[axis] > 0 and kernel.shape[axis] > 1 and not kernel.take(0, axis).any():
            kernel = kernel.take(range(1, kernel.shape[axis]), axis)
            before[axis] -= 1
    return kernel, tuple(before)


def _padded(node, reader, signal, shape, before, after, size, strides, dilation):
    """Return ("same" or "valid", signal): as TensorFlow pads, where it does, else with a Pad layer in front."""
    if not any((*before, *after)):
        return "valid", signal
    extents = [(k - 1) * d + 1 for k, d in zip(size, dilation, strict=True)]
    axes = list(zip(shape, extents, strides, before, after, strict=False))
    same = all(
        window_offset(n, k, s, "same") == b and (n + b + a - k) // s + 1 == window_output(n, k, s, "same")
        for n, k, s, b, a in axes
    )
    if same:
        return "same", signal
    pad = {"before": (*before, 0), "after": (*after, 0)}
    return "valid", dataclasses.replace(signal, spec=reader.add_spec(specs.Pad, f"{node.name}_pad", signal.spec, **pad))


def _image_shape(node, reader, signal, rank):
    shape = reader.shape(signal)
    if len(shape) != rank + 1:
        raise UnsupportedNode(f"needs an input of {rank + 1} axes, got {reader.nir_shape(signal)}")
    return shape


def read_pool(node, reader):
    signal = reader.source(node)
    shape = _image_shape(node, reader, signal, 2)
    size, strides = (node.whole(name, 2, 1) for name in ("kernel_size", "stride"))
    padding = node.whole("padding", 2) if "padding" in node.fields else (0, 0)
    if any(padding):
        pad = (*padding, 0)
        signal = Signal(reader.add_spec(specs.Pad, f"{node.name}_pad", signal.spec, before=pad, after=pad))
    if size == shape[:2] and not any(padding):
        signal = Signal(reader.add_spec(specs.GlobalAveragePool, node.name, signal.spec, keepdims=True))
    else:
        signal = Signal(reader.add_spec(specs.AveragePool, node.name, signal.spec, pool_size=size, strides=strides))
    return signal if node.kind == "AvgPool2d" else reader.add_scale(node.name, signal, float(math.prod(size)))


def read_flatten(node, reader):
    signal = reader.source(node)
    shape = reader.shape(signal)
    rank = len(shape)
    (start,), (end,) = (
        np.asarray(node.numbers(name) if name in node.fields else default, int).ravel()
        for name, default in (("start_dim", 1), ("end_dim", -1))
    )
    if rank == 1:
        return signal
    if start % rank != 0 or end % rank != rank - 1:
        raise UnsupportedNode(
            f"flattens axes {start} to {end} of {rank}, but only all axes can be flattened: use start_dim=0, end_dim=-1"
        )
    spec = reader.add_spec(specs.Flatten, node.name, signal.spec)
    in_another_order = shape[-1] > 1 and max(shape[:-1]) > 1
    return Signal(spec, shape if in_another_order else None)


def read_spiking(node, reader):
    signal = reader.source(node)
    neurons, gain, bias = read_neurons(node, 1.0 if node.kind == "Threshold" else reader.dt)
    signal = reader.add_scale(node.name, signal, gain, bias)
    spec = reader.add_spec(specs.Rectifier, node.name, signal.spec)
    reader.neurons[spec] = neurons
    return Signal(spec, signal.image)


def read_integrator(node, reader):
    """Read an integrator before the output: scores are summed over time anyway."""
    readers = [other for other in reader.nodes if node.name in other.inputs]
    if not all(other.kind == "Output" for other in readers):
        raise UnsupportedNode(
            "integrates without spikes, which is supported at the end only: put it before the Output node"
        )
    return reader.add_scale(node.name, reader.source(node), node.same("r") * reader.dt)


def read_leaky(node, reader):
    """Read a leaky integrator: its gain is before the filter, and its resting potential behind it."""
    gain, keeps, rest = read_leaky_integrator(node, reader.dt)
    signal = add_filter(reader, node, reader.add_scale(node.name, reader.source(node), gain), keeps=keeps)
    return reader.add_scale(f"{node.name}_rest", signal, np.ones(()), rest)


def read_delay(node, reader):
    delay = read_delay_steps(node, reader.dt) if np.any(node.numbers("delay")) else 0
    return add_filter(reader, node, reader.source(node), delay=delay)


def add_filter(reader, node, signal, **fields):
    """Add a Filter behind a signal, unless it would change nothing."""
    if not any(fields.values()):
        return signal
    return Signal(reader.add_spec(specs.Filter, node.name, signal.spec, **fields), signal.image)


NODE_READERS = {
    "Input": read_input,
    "Output": read_output,
    "Affine": read_affine,
    "Linear": read_affine,
    "Scale": read_scale,
    "Conv1d": read_conv,
    "Conv2d": read_conv,
    "SumPool2d": read_pool,
    "AvgPool2d": read_pool,
    "Flatten": read_flatten,
    **dict.fromkeys(("IF", "LIF", "CubaLIF", "Threshold"), read_spiking),
    "I": read_integrator,
    **dict.fromkeys(("LI", "CubaLI"), read_leaky),
    "Delay": read_delay,
}
