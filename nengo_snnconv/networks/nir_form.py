"""Networks as models with descriptions of their neurons, in which NIR graphs are read and written, and back."""

from __future__ import annotations

import dataclasses
import math
import typing

import nengo
import numpy as np

from ..errors import ConversionError
from ..formats.nir.graph_reader import ReadGraph
from ..formats.nir.neurons import Neurons
from ..model import Model
from ..model import layers as specs
from ..model.integers import scaled_layer
from ..neurons.arguments import as_synapse, replaced
from ..neurons.integrate_and_fire import IntegrateAndFire
from ..neurons.surrogate_lif import SurrogateLIF
from ..passes import FOLDING, simplify
from ..passes.rewiring import free_name
from .edits import warn_of_added_connections
from .layerwise import LayerwiseConfig
from .native import INPUT_CODINGS, NativeConfig
from .network import ConvNetwork, describe_network
from .neuron_types import replacing, types_of
from .surrogate import SurrogateConfig
from .trainable import TrainableConfig, check_collected

DT = 0.001  # length of a step of networks here, in seconds
HEIGHT = 0.001  # amplitude of spikes of height 1 in steps of 1 ms, which are the spikes of NIR
NO_RESET = (
    "reset by subtraction: the reset of NIR is to v_reset, so a simulator that follows it loses the charge above the "
    "threshold; those whose neurons subtract, as sinabs, do not"
)
NO_START = "initial potential of {:g} thresholds: neurons of NIR start at their resting potential"
NO_CODING = "Poisson input: the graph begins with the spikes of the input, of height {:g}"


def extras_of(network: ConvNetwork) -> dict[str, typing.Any]:
    """Return the settings of a network that NIR has no place for, by which ``from_nir`` restores it."""
    settings = network.settings
    if not isinstance(settings, NativeConfig):
        return {}
    starts = {neuron_type.initial_potential for neuron_type in settings.of_types}
    return {
        **({"initial_potential": float(*starts)} if len(starts) == 1 else {}),
        "input_coding": settings.input_coding,
        "input_threshold": float(settings.input_threshold),
    }


def lost_in_nir(network: ConvNetwork) -> list[str]:
    """Return what a simulator that follows NIR does not do as the network: a text for each property."""
    settings = network.settings
    types = settings.of_types
    found = [NO_RESET] if any(neuron_type.reset == "subtract" for neuron_type in types) else []
    starts = {neuron_type.initial_potential for neuron_type in types if isinstance(neuron_type, IntegrateAndFire)}
    found += [NO_START.format(start) for start in sorted(starts - {0})]
    if isinstance(settings, NativeConfig) and settings.input_coding == "poisson":
        found.append(NO_CODING.format(settings.input_threshold))
    return found


def model_of(network: ConvNetwork) -> tuple[Model, dict[str, Neurons]]:
    """Return the model of a network and the neurons of its rectifiers; raise ConversionError for neurons NIR lacks."""
    settings, model = network.settings, network.model
    if "split" in model.metadata:
        raise ConversionError(
            "NIR has no initial potentials, which the groups of neurons of split_neurons need: use a network in which "
            "all neurons emit one spike in a step"
        )
    if isinstance(settings, TrainableConfig) and isinstance(settings.neuron_type, SurrogateLIF):
        check_collected(network)
        types = types_of(model, settings)
        model = _with_filters(simplify(model, FOLDING), settings.synapse, model.neurons)
    elif isinstance(settings, SurrogateConfig):
        types = dict.fromkeys(model.neurons, settings.neuron_type)
    elif isinstance(settings, LayerwiseConfig):
        types = types_of(model, settings)
    elif type(settings) is NativeConfig:
        model, types = _native(model, settings)
    else:
        raise ConversionError(
            f"NIR takes networks of IntegrateAndFire or SurrogateLIF neurons, got {describe_network(network)}: convert "
            "the model, and call to_spiking(network, IntegrateAndFire())"
        )
    warn_of_added_connections(network)
    keeps = getattr(settings, "keeps", (0.0,) * len(model.neurons))
    several = bool(getattr(settings, "neuron_types", ()))
    neurons = {}
    for name, keep in zip(model.neurons, keeps, strict=True):
        single = several and name in network.model.neurons  # output neurons can be replaced with all others only
        advice = replacing(name, "IntegrateAndFire()") if single else "to_spiking(network, IntegrateAndFire())"
        try:
            neurons[name] = _neurons(types[name], keep, advice)
        except ConversionError as error:
            raise ConversionError(f"{name}: {error}" if several else str(error), layer=name) from None
    return _in_units(model), neurons


def _native(model, settings):
    if not settings.neuron_type.spiking:
        raise ConversionError("NIR takes networks that spike, this one has rates: call to_spiking first")
    original = model
    model = _with_filters(model, settings.synapse, [*model.neurons, *[model.input] * settings.input_spikes])
    if settings.readout == "spikes" and not isinstance(model.layers[model.output], specs.Rectifier):
        neurons = specs.Rectifier("output_neurons", model.output)
        model = model.replace(layers=[*model.layers.values(), neurons], arrays=model.arrays, output=neurons.name)
    return model, {name: _in_thresholds(settings.of_layer(original, name)) for name in model.neurons}


def _with_filters(model, synapse, spiking):
    """Return a model with a Filter between each layer of ``spiking`` and its readers, in place of a synapse."""
    if synapse is None:
        return model
    added = {name: _filter_of(synapse, free_name(f"{name}_synapse", model.layers), name) for name in spiking}
    layers = []
    for layer in model.layers.values():
        names = [added[name].name if name in added else name for name in layer.inputs]
        layers.append(dataclasses.replace(layer, inputs=tuple(names)))
        if layer.name in added and model.consumers(layer.name):
            layers.append(added[layer.name])
    return model.replace(layers=layers, arrays=model.arrays, output=model.output)


def _filter_of(synapse, name, source):
    """Return the Filter that does what a low-pass synapse of Nengo does in steps of 1 ms, which delays by a step."""
    synapse = as_synapse(synapse)
    if not isinstance(synapse, nengo.Lowpass):
        raise ConversionError(
            f"NIR has low-pass filters of spikes only, this network has {synapse}: call rebuild(synapse=...) with a "
            "time constant or None first"
        )
    shape = (1,)
    step = synapse.make_step(shape, shape, DT, None, synapse.make_state(shape, shape, DT))
    return specs.Filter(name, (source,), keeps=tuple(step.A.ravel()), delay=1)


def _in_thresholds(settings):
    """Return the neuron type with potentials in units of the threshold, which is the gain of integrate-and-fire."""
    if type(settings.neuron_type) is not IntegrateAndFire:
        return settings.neuron_type
    return replaced(settings.match.neuron_type, threshold=1.0)


def _in_units(model):
    """Return a model whose output has the units of the original model, if its last layer has weights."""
    if model.output_scale == 1 or not isinstance(model.layers[model.output], specs.Dense | specs.Conv):
        return model
    if model.consumers(model.output):
        return model
    return scaled_layer(model, model.output, model.output_scale)


def _neurons(neuron_type, keep, advice):
    """Return the Neurons of a neuron type; ``advice`` is the call that replaces neurons that NIR does not have."""
    if isinstance(neuron_type, SurrogateLIF):
        found = Neurons(
            1 / neuron_type.tau, neuron_type.threshold, neuron_type.reset, neuron_type.reset_potential, keep
        )
    elif type(neuron_type) is IntegrateAndFire:
        usual = {"min_potential": -np.inf, "max_spikes": 1, "tau": HEIGHT}
        for name, value in usual.items():
            if getattr(neuron_type, name) != value:
                raise ConversionError(
                    f"IntegrateAndFire has {name}={getattr(neuron_type, name):g}, which neurons of NIR do not: leave "
                    "it out in to_spiking"
                )
        reset = "subtract" if neuron_type.reset == "subtract" else "value"
        found = Neurons(None, neuron_type.threshold, reset, keep=keep)
    else:
        raise ConversionError(
            f"NIR has no neurons like {type(neuron_type).__name__}, with all its properties: use {advice}, or train a "
            "network of SurrogateLIF neurons"
        )
    if found.keep and found.leak is None:
        raise ConversionError("NIR has no IF neurons with a filtered current: use SurrogateLIF neurons")
    if neuron_type.amplitude != HEIGHT:
        raise ConversionError(
            f"spikes in NIR have the height 1, these have {neuron_type.amplitude / HEIGHT:g}: leave amplitude and "
            "max_rate out"
        )
    if neuron_type.initial_state:
        raise ConversionError("NIR has no initial state: leave initial_state out of the neuron type")
    return found


def network_of(read: ReadGraph, seed: int | None) -> ConvNetwork:
    """Return the network of a model and its neurons."""
    model = simplify(read.model, FOLDING)
    neurons = {name: read.neurons[name] for name in model.neurons}
    kinds, metadata = set(neurons.values()), read.metadata
    types = tuple(_neuron_type(each, metadata) for each in neurons.values())
    if all(kind.leak is None and kind.threshold == 1 for kind in kinds) and len(kinds) <= 1:
        neuron_type = types[0] if types else IntegrateAndFire()
        return ConvNetwork(model, NativeConfig(neuron_type, seed, **_input_options(metadata)))
    if len(kinds) == 1 and all(kind.leak is not None and not kind.keep for kind in kinds):
        return ConvNetwork(model, SurrogateConfig(types[0], seed))
    keeps = tuple(each.keep for each in neurons.values())
    return ConvNetwork(model, LayerwiseConfig(types[0], seed, neuron_types=types, keeps=keeps))


def _neuron_type(neurons, metadata):
    """Return the Nengo neuron type of neurons."""
    if neurons.leak is not None:
        return SurrogateLIF(
            tau=neurons.tau_steps,
            threshold=neurons.threshold,
            reset=neurons.reset,
            reset_potential=neurons.rest,
        )
    reset = "zero" if neurons.reset == "value" else "subtract"
    start = _number(metadata, "initial_potential", 0.0)
    return IntegrateAndFire(neurons.threshold, reset, start)


def _input_options(metadata):
    coding = metadata.get("input_coding")
    if coding not in INPUT_CODINGS:
        return {}
    return {"input_coding": coding, "input_threshold": _number(metadata, "input_threshold", 1.0)}


def _number(metadata, name, default):
    """Return a finite number in the metadata of a graph, or the default."""
    try:
        value = float(np.asarray(metadata.get(name)).item())
    except (TypeError, ValueError):
        return default
    return value if math.isfinite(value) else default
