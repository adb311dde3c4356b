"""Neuron types by layer, as users give them and as the settings of a network keep them."""

from __future__ import annotations

import typing
from collections.abc import Mapping

import nengo

from ..errors import SettingsError, listed
from ..model import layers as specs

if typing.TYPE_CHECKING:
    from ..model import Model

OTHERS = "*"


def by_layer(
    given: typing.Any,
    model: Model,
    default: nengo.neurons.NeuronType,
    types: tuple[nengo.neurons.NeuronType, ...] = (),
) -> tuple[nengo.neurons.NeuronType, tuple[nengo.neurons.NeuronType, ...]]:
    """Return the default neuron type, and the type of each layer of neurons in order; empty if all have the default.

    Parameters
    ----------
    given : NeuronType, or dict of str to NeuronType
        A type for all layers, or types by the name of a rectifier, or of the layer with weights that it follows; "*" is
        the type of all other layers.
    model : Model
    default : NeuronType
        Type of layers that are not given, if there is no "*"; if all are given, that of the first one is the default.
    types : tuple of NeuronType
        Types of layers that are not given, if they differ.

    Raises
    ------
    SettingsError
        If a name is not that of a layer, or a value is not a neuron type.
    """
    if not isinstance(given, Mapping):
        return given, ()
    names = model.neurons
    wrong = [each for each in given.items() if not isinstance(each[1], nengo.neurons.NeuronType)]
    if wrong or not given:
        raise SettingsError(
            "neuron_type must map names of layers to Nengo neuron types, such as {'*': IntegrateAndFire()}; got "
            f"{dict(wrong[:1])}",
            argument="neuron_type",
        )
    found = list(types) or [default] * len(names)
    if OTHERS in given:
        default = given[OTHERS]
        found = [default] * len(names)
    places = places_by_name(model)
    chosen = [name for name in given if name != OTHERS]
    unknown = [name for name in chosen if name not in places]
    if unknown:
        raise SettingsError(
            f"neuron_type: there are no neurons of {listed(unknown)} in this network; its layers of neurons are "
            f"{listed(names, 8)}, and '*' stands for all others",
            argument="neuron_type",
        )
    for name in sorted(chosen, key=lambda name: name in names):  # a rectifier's own name overrides others
        for place in places[name]:
            found[place] = given[name]
    if OTHERS not in given and found and default not in found:
        default = found[0]
    return default, () if all(each == default for each in found) else tuple(found)


def types_of(model: Model, settings: typing.Any) -> dict[str, nengo.neurons.NeuronType]:
    """Return the neuron type of each layer of neurons."""
    return {name: settings.of_layer(model, name).neuron_type for name in model.neurons}


def types_in_words(types: Mapping[str, nengo.neurons.NeuronType], arguments: bool = False) -> str:
    """Return neuron types by layer as text, such as "LIF in conv1, IntegrateAndFire elsewhere".

    Arguments of types are left out if classes tell them apart, unless ``arguments`` is True.
    """
    layers: dict[str, list[str]] = {}
    arguments = arguments or len({type(each) for each in types.values()}) < len(set(map(str, types.values())))
    for name, each in types.items():
        layers.setdefault(str(each) if arguments else type(each).__name__, []).append(name)
    if len(layers) < 2:
        return "".join(layers)
    # of two types with equally many layers, the last one is elsewhere
    most = max(reversed(layers), key=lambda kind: len(layers[kind]))
    parts = [f"{kind} in {', '.join(names)}" for kind, names in layers.items() if kind != most]
    return f"{', '.join(parts)}, {most} elsewhere"


def replacing(name: str, neuron_type: str) -> str:
    """Return the call that replaces the neurons of one layer, for messages."""
    return f"network.rebuild(neuron_type={{{name!r}: {neuron_type}}})"


def places_by_name(model: Model) -> dict[str, list[int]]:
    """Return the places of rectifiers among all, by their names and by those of the layers with weights they follow."""
    places: dict[str, list[int]] = {}
    for place, name in enumerate(model.neurons):
        places.setdefault(name, []).append(place)
        layer = model.layers[model.layers[name].inputs[0]]
        while len(layer.inputs) == 1 and not isinstance(layer, specs.Rectifier):
            places.setdefault(layer.name, []).append(place)
            if isinstance(layer, specs.Conv | specs.Dense):
                break
            layer = model.layers[layer.inputs[0]]
    return places


def check_neuron_types(types: typing.Any) -> None:
    """Check the type of ``neuron_types`` in settings."""
    if not isinstance(types, tuple) or not all(isinstance(each, nengo.neurons.NeuronType) for each in types):
        raise SettingsError(
            f"neuron_types must be a tuple with a neuron type for each layer, got {types!r}", argument="neuron_types"
        )


def check_all_spike_or_none(settings: typing.Any) -> None:
    """Check that the neurons of all layers spike, or those of none.

    Settings for each neuron type are made, which checks that it can be used.
    """
    first, *others = {settings.neuron_type, *settings.of_types}
    for other in others:
        if other.spiking != first.spiking:
            raise SettingsError(
                f"neuron_type: all layers must spike or none, got {first} and {other}", argument="neuron_type"
            )


def check_one_for_each_layer(model: Model, **values: tuple) -> None:
    """Check that settings have an entry for each layer of neurons."""
    for name, entries in values.items():
        if len(entries) != len(model.neurons):
            raise SettingsError(
                f"{name} must have {len(model.neurons)} entries, one for each layer of neurons, got {len(entries)}",
                argument=name,
            )
