"""Layers on Speck, whose nine cores each compute a convolution, its neurons, and a sum over pooling windows."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching

from ...model import layers as specs
from ...model.layers import window_offset
from ...neurons.integrate_and_fire import IntegrateAndFire
from ...neurons.signed_integrate_and_fire import SignedIntegrateAndFire
from .neurons import neuron_problems, with_problem
from .result import LayerOnChip
from .stages import PASSING, synapses_of

KI = 1024
KERNEL_ENTRIES = tuple(KI * n for n in (16, 16, 16, 32, 32, 64, 64, 16, 16))  # weights, by core
NEURON_ENTRIES = tuple(KI * n for n in (64, 64, 64, 32, 32, 16, 16, 16, 16))  # neurons, by core
MOST_CHANNELS, LARGEST_INPUT, LARGEST_OUTPUT, LARGEST_KERNEL, MOST_PADDING = 1024, 128, 64, 16, 7
STRIDES, POOLS = (1, 2, 4, 8), (1, 2, 4)
SPIKING = "to_spiking(..., IntegrateAndFire())"
POOLING = (
    "pooling adds spikes instead of averaging them, so the weights behind it must be divided by the size of the window"
)
BIASES = "biases are added at the ticks of a clock, so the network must run at its rate"
FRAMES = "the input must be events: the network fits with frames of an event camera, not with images as constant input"


@dataclasses.dataclass(frozen=True)
class Window:
    """A convolution or dense layer as a core computes it: channels, kernel, strides and padding of one side."""

    size: tuple[int, int]
    channels: int
    filters: int
    strides: tuple[int, ...]
    padding: tuple[int, ...]

    @property
    def kernel_entries(self):
        """Number of entries of kernel memory: addresses of filters and of taps are whole numbers of bits."""
        return self.channels * 2 ** (_bits(math.prod(self.size)) + _bits(self.filters))


def on_speck(network, stages):
    """Return a LayerOnChip for each stage, problems of the whole network, and remarks."""
    model = network.model
    of_layers, problems = neuron_problems(network, _why_no_neurons, SPIKING, "IntegrateAndFire()")
    problems += _of_input(network.settings)
    found = [_layer(model, stage) for stage in stages]
    needs = [(kernel, neurons) for _, kernel, neurons in found]
    layers = [with_problem(layer, of_layers.get(layer.name)) for layer, _, _ in found]
    if len(layers) > len(KERNEL_ENTRIES):
        problems.append(
            f"{len(layers)} layers need a core each, Speck has {len(KERNEL_ENTRIES)}: train a network with fewer "
            "layers and larger strides"
        )
    elif all(layer.cores is not None for layer in layers) and not _assignment(needs):
        problems.append(
            "each layer fits on a core, but not all of them at the same time: two cores have 64 Ki entries of kernel "
            "memory and 16 Ki neurons, two 32 Ki and 32 Ki, three 16 Ki and 64 Ki, and two 16 Ki and 16 Ki; reduce the "
            "filters of some layers"
        )
    return layers, tuple(problems), _remarks(network, stages)


def _why_no_neurons(neuron_type, advice):
    """Return why a core has no neurons of a type, with a way out; empty if it has them."""
    if isinstance(neuron_type, IntegrateAndFire) and not isinstance(neuron_type, SignedIntegrateAndFire):
        return ""
    return f"neurons are integrate-and-fire, not {type(neuron_type).__name__}: {advice}"


def _of_input(settings):
    """Return the problem of a network of images as constant input."""
    if settings.input_spikes or not settings.has_rates:
        return []
    return ["the input must be events: to_spiking(..., input_coding='poisson'), or train on an event camera"]


def _remarks(network, stages):
    """Return what the chip does otherwise than the network."""
    layers, settings = [layer for stage in stages for layer in stage.layers], network.settings
    pools = any(isinstance(layer, specs.AveragePool | specs.GlobalAveragePool) for layer in layers)
    has_biases = any("bias" in network.model.arrays_of(layer.name) for layer in layers)
    unknown_input = not (settings.input_spikes or settings.has_rates)
    return (POOLING,) * pools + (BIASES,) * has_biases + (FRAMES,) * unknown_input


def _layer(model, stage):
    """Return the LayerOnChip of a stage, and its entries of kernel and neuron memory."""
    problems = [*_of_other_layers(stage), *_of_pooling(model, stage)]
    largest, weights = synapses_of(model, stage)
    if len(stage.weighted) != 1:
        problems.append(
            f"{len(stage.weighted)} layers with weights lead to it, a core computes one: put a ReLU behind each"
        )
        return LayerOnChip(stage.name, stage.neurons, largest, weights, None, "", tuple(problems)), 0, 0
    window, refusals = _window(model, stage.weighted[0])
    problems += refusals
    kernel = 0 if window is None else window.kernel_entries
    if window is not None:
        problems += [*_of_window(model, stage, window), *_of_memory(stage, window, kernel)]
    details = f"{_ki(kernel)} of kernel memory, {_ki(stage.neurons)} of neurons"
    cores = None if problems else 1
    return (
        LayerOnChip(stage.name, stage.neurons, largest, weights, cores, details, tuple(problems)),
        kernel,
        stage.neurons,
    )


def _window(model, layer):
    """Return the Window of a layer, or None, and what the chip does not support of it."""
    kernel = model.arrays_of(layer.name)["kernel"]
    if isinstance(layer, specs.Dense):
        shape = _shape_before_flatten(model, layer)
        return Window(shape[:2], shape[2], layer.units, (1, 1), (0, 0)), []
    if len(layer.kernel_size) != 2:
        return None, ["Speck computes convolutions of images: use Conv2D"]
    problems = []
    if layer.groups > 1:
        problems.append("grouped and depthwise convolutions are not supported: use an ordinary convolution")
    if layer.dilation != (1, 1):
        problems.append("dilation is not supported: use a larger kernel, or strides")
    axes = zip(model.shapes[layer.inputs[0]], layer.kernel_size, layer.strides, strict=False)
    padding = tuple(window_offset(*axis, layer.padding) for axis in axes)
    return Window(layer.kernel_size, kernel.shape[-2], layer.filters, layer.strides, padding), problems


def _shape_before_flatten(model, layer):
    """Return (rows, columns, channels) of the input of a dense layer, without what only rearranges it."""
    name = layer.inputs[0]
    while isinstance(model.layers[name], PASSING):
        name = model.layers[name].inputs[0]
    shape = model.shapes[name]
    return (1, 1, shape[-1]) if len(shape) == 1 else shape if len(shape) == 3 else (1, *shape)


def _of_window(model, stage, window):
    """Return which limits of sizes a layer exceeds."""
    problems, (rows, columns) = [], window.size
    if rows != columns or rows > LARGEST_KERNEL:
        problems.append(
            f"its kernel is {rows} x {columns}; kernels are square and at most {LARGEST_KERNEL} x {LARGEST_KERNEL}: "
            "use a smaller kernel, or pool before a dense layer"
        )
    if any(stride not in STRIDES for stride in window.strides):
        problems.append(f"its strides are {window.strides}; possible are {', '.join(map(str, STRIDES))}")
    if max(window.padding) > MOST_PADDING:
        problems.append(
            f"its padding is {max(window.padding)}, at most {MOST_PADDING} is possible: use a smaller kernel"
        )
    if max(window.channels, window.filters) > MOST_CHANNELS:
        problems.append(f"it has more than {MOST_CHANNELS:,} channels: use fewer, or pool before a dense layer")
    read = model.shapes[stage.weighted[0].inputs[0]]
    if len(read) == 3 and max(read[:2]) > LARGEST_INPUT:
        problems.append(f"its input is {read[0]} x {read[1]}, at most {LARGEST_INPUT} x {LARGEST_INPUT} is possible")
    if len(stage.shape) == 3 and max(stage.shape[:2]) > LARGEST_OUTPUT:
        problems.append(
            f"it has {stage.shape[0]} x {stage.shape[1]} positions, at most {LARGEST_OUTPUT} x {LARGEST_OUTPUT} are "
            "possible: use a stride of 2"
        )
    return problems


def _of_memory(stage, window, kernel):
    """Return which memories a layer exceeds, with the number of filters that would fit."""
    if any(kernel <= k and stage.neurons <= n for k, n in zip(KERNEL_ENTRIES, NEURON_ENTRIES, strict=True)):
        return []
    positions = stage.neurons // window.filters
    fitting = [
        filters
        for filters in range(1, window.filters)
        for k, n in zip(KERNEL_ENTRIES, NEURON_ENTRIES, strict=True)
        if dataclasses.replace(window, filters=filters).kernel_entries <= k and positions * filters <= n
    ]
    way_out = f"{max(fitting):,} filters would fit" if fitting else "let it read fewer channels, or pool before it"
    return [
        f"no core has {_ki(kernel)} entries of kernel memory and {_ki(stage.neurons)} neurons; the largest have 64 Ki "
        f"with 16 Ki neurons, or 16 Ki with 64 Ki neurons: {way_out}"
    ]


def _of_pooling(model, stage):
    """Return which pooling a core cannot do."""
    problems = []
    for layer in stage.layers:
        if isinstance(layer, specs.GlobalAveragePool):
            size = model.shapes[layer.inputs[0]][:-1]
        elif isinstance(layer, specs.AveragePool):
            size = layer.pool_size
            if layer.strides != size:
                problems.append(f"{layer.name}: pooling windows may not overlap, or leave gaps: use equal strides")
        else:
            continue
        if any(n not in POOLS for n in size):
            shown = " x ".join(map(str, size))
            problems.append(f"{layer.name}: pooling windows have 1, 2 or 4 entries on each side, not {shown}")
    return problems


def _of_other_layers(stage):
    """Return the layers that a core does not support."""
    problems = [
        f"{layer.name} takes maxima of spikes: train the model with average pooling or strides"
        for layer in stage.maxima
    ]
    known = specs.Conv | specs.Dense | specs.AveragePool | specs.GlobalAveragePool | specs.MaxPool | specs.GlobalMaxPool
    for layer in stage.layers:
        if isinstance(layer, specs.Add | specs.Concatenate):
            problems.append(
                f"{layer.name} joins branches, which this check does not support: use a network without them"
            )
        elif not isinstance(layer, known | PASSING):
            problems.append(f"{layer.name} ({type(layer).__name__}) is not supported on Speck")
    return problems


def _assignment(needs):
    """Return whether all layers can have a core each, for (kernel entries, neurons) of each layer."""
    memories = list(zip(KERNEL_ENTRIES, NEURON_ENTRIES, strict=True))
    possible = np.array([[kernel <= k and neurons <= n for k, n in memories] for kernel, neurons in needs])
    return bool((maximum_bipartite_matching(csr_matrix(possible), perm_type="column") >= 0).all())


def _bits(n):
    """Return the number of bits of an address of ``n`` entries."""
    return math.ceil(math.log2(n)) if n > 1 else 0


def _ki(entries):
    """Return a number of entries as text, in Ki if there are many."""
    if entries < KI:
        return f"{entries}"
    return f"{entries / KI:,.0f} Ki" if entries >= 100 * KI else f"{entries / KI:.3g} Ki"
