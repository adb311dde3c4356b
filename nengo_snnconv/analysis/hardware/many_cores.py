"""Layers on chips of many equal cores with a memory each, Loihi 2 and SpiNNaker2: lower bounds of cores."""

from __future__ import annotations

import itertools
import math

from ...model import layers as specs
from .result import LayerOnChip
from .stages import n_weights, synapses_of

LOWER_BOUND = (
    "numbers of cores are lower bounds: code, routing tables and buffers of spikes take memory that is not published, "
    "and real-time operation may allow fewer neurons on a core"
)


def on_many_cores(model, stages, chip):
    """Return a LayerOnChip for each stage, and remarks."""
    return [_layer(model, stage, chip) for stage in stages], (LOWER_BOUND,)


def _layer(model, stage, chip):
    problems = [
        f"{each.name} takes maxima of spikes, for which {chip.title.partition(',')[0]} has no neurons in its published "
        "tools: train the model with average pooling or strides"
        for each in stage.maxima
    ]
    largest, weights = synapses_of(model, stage)
    cores = least_cores(model, stage, chip)
    if cores is None:
        needed = math.ceil(largest * chip.weight_bits / 8) + chip.state_bytes
        problems.append(
            f"the weights of one neuron take {needed:,} bytes, a core has {chip.bytes_per_core:,}: let it read fewer "
            "neurons, with strides or average pooling in front of it"
        )
    kilobytes = math.ceil(weights * chip.weight_bits / 8 / 1000)
    return LayerOnChip(
        stage.name, stage.neurons, largest, weights, cores, f"{kilobytes:,} kB of weights", tuple(problems)
    )


def least_cores(model, stage, chip):
    """Return the smallest number of cores for a stage; None if not even one neuron fits on a core.

    A layer is split into groups of channels and into areas.  The cores of an area hold the same weights, since the
    positions of a convolution share them; a dense layer has a single position.
    """
    *area, channels = stage.shape
    best = None
    for parts in _parts(channels):
        of_group = math.ceil(channels / parts)
        weight_bytes = _weight_bytes(model, stage, of_group / channels, chip)
        room = chip.bytes_per_core - weight_bytes
        if room < chip.state_bytes * of_group:
            continue
        positions = math.prod(area)
        fitting = positions if not chip.state_bytes else min(positions, room // (chip.state_bytes * of_group))
        if chip.neurons_per_core is not None:
            fitting = min(fitting, chip.neurons_per_core // of_group)
        if fitting < 1:
            continue
        cores = parts * math.ceil(positions / fitting)
        best = cores if best is None else min(best, cores)
    return best


def _parts(channels):
    """Return the numbers of groups into which channels can be split, without those that make no group smaller."""
    sizes = (math.ceil(channels / parts) for parts in range(1, channels + 1))
    return [math.ceil(channels / size) for size, _ in itertools.groupby(sizes)]


def _weight_bytes(model, stage, share, chip):
    """Return the bytes of weights on a core that has a share of the channels.

    A dense layer, or a convolution that is the last layer with weights, is split with its neurons; weights of layers
    before it are needed whole.
    """
    total = 0
    for layer in stage.weighted:
        is_last = layer is stage.weighted[-1]
        splits = is_last and not (isinstance(layer, specs.Conv) and layer.groups > 1)
        total += n_weights(model, layer) * (share if splits else 1)
    return math.ceil(total * chip.weight_bits / 8)
