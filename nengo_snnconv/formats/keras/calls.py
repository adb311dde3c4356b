"""How the layers of a Keras model are wired: its configuration as a list of calls, in the forms of Keras 2 and 3."""

import dataclasses
import numbers
from typing import NamedTuple

import numpy as np

from ...errors import ConversionError, listed
from .slices import SLICING, packed

NESTED = ("Functional", "Model", "Sequential")
NUMBERS = object()
# layers of Keras 3 beside Random..., whose ``call`` has training=True as its default
TRAINING_BY_DEFAULT = {
    "AugMix",
    "AutoContrast",
    "CenterCrop",
    "ContrastLimitedAdaptiveHistogramEqualization",
    "CutMix",
    "Equalization",
    "MaxNumBoundingBoxes",
    "MixUp",
    "Pipeline",
    "RandAugment",
    "Resizing",
    "Solarization",
}
OPERATION_MODULES = ("keras.src.ops", "keras.src.activations")


class Ref(NamedTuple):
    """A tensor of the Keras model: output ``tensor`` of call ``node`` of a layer."""

    layer: str
    node: int
    tensor: int


@dataclasses.dataclass(frozen=True)
class Call:
    """One use of a layer.

    Attributes
    ----------
    name, node : str, int
        The layer, and which use of it this is.
    entry : dict
        The layer's entry in the configuration: class, module, configuration.
    operands : list
        What it is called with, in order: ``Ref`` for a tensor, ndarray for a constant.
    options : dict
        The other arguments of the call, for example ``training``.
    """

    name: str
    node: int
    entry: dict
    operands: list
    options: dict


def read_calls(config):
    """What a model's configuration says.

    Returns
    -------
    calls : list of Call
        Each behind those that it reads.
    inputs : list of str
        Names of the input layers, in order.
    outputs : list of Ref
    """
    if "output_layers" not in config:
        return _sequence(config)
    nodes = [
        (_name(entry), entry, [_arguments(node, entry["class_name"]) for node in _nodes(entry)])
        for entry in config["layers"]
    ]
    outputs = _operands(config["output_layers"])
    used = {}
    for ref in outputs + [o for *_, uses in nodes for operands, _ in uses for o in operands if isinstance(o, Ref)]:
        used.setdefault(ref.layer, set()).add(ref.node)
    # Keras 2 counts uses outside of this model too, so a number tells the order of the uses, not their place
    place = {(layer, node): i for layer, nodes in used.items() for i, node in enumerate(sorted(nodes))}

    def renumber(operand):
        return operand._replace(node=place[operand[:2]]) if isinstance(operand, Ref) else operand

    calls = [
        Call(name, i, entry, [renumber(operand) for operand in operands], options)
        for name, entry, uses in nodes
        for i, (operands, options) in enumerate(uses)
    ]
    inputs = [ref.layer for ref in _operands(config["input_layers"])]
    return _in_order(calls), inputs, [renumber(ref) for ref in outputs]


def _in_order(calls):
    """The calls, each behind those that it reads; Keras lists a layer with all its calls where the first stands.

    They are in the order of going through the list again and again, each time taking what has become ready.
    """
    place = {(call.name, call.node): i for i, call in enumerate(calls)}
    reads = [{place[o[:2]] for o in call.operands if isinstance(o, Ref) and o[:2] in place} for call in calls]
    missing = [len({o[:2] for o in call.operands if isinstance(o, Ref)}) for call in calls]
    readers = [[] for _ in calls]
    for i, found in enumerate(reads):
        for j in found:
            readers[j].append(i)
    ready, rounds = [i for i, n in enumerate(missing) if n == 0], [0] * len(calls)
    for i in ready:  # grows while it is gone through
        for reader in readers[i]:
            rounds[reader] = max(rounds[reader], rounds[i] + (reader < i))
            missing[reader] -= 1
            if missing[reader] == 0:
                ready.append(reader)
    if len(ready) < len(calls):
        lost = [call.name for call, n in zip(calls, missing, strict=True) if n]
        raise ConversionError(f"it cannot be told what the layers {listed(lost)} read")
    return [calls[i] for i in sorted(ready, key=lambda i: (rounds[i], i))]


def _sequence(config):
    entries = config["layers"]
    if not entries or entries[0]["class_name"] != "InputLayer":
        first = entries[0]["config"] if entries else {}
        shape = config.get("build_input_shape") or first.get("batch_input_shape") or first.get("batch_shape")
        if shape is None:
            raise ConversionError("the model's input shape is not known: begin it with an Input layer")
        entries = [{"class_name": "InputLayer", "config": {"name": "input", "batch_shape": shape}}, *entries]
    names = [_name(entry) for entry in entries]
    before = [[], *([Ref(name, 0, 0)] for name in names)]
    calls = [Call(name, 0, *parts, {}) for name, *parts in zip(names, entries, before, strict=False)]
    return calls, names[:1], before[-1]


def _name(entry):
    return entry.get("name") or entry["config"]["name"]


def _nodes(entry):
    nodes = entry.get("inbound_nodes") or [[]]  # an input layer has none, and is used once
    return [packed(node) for node in nodes] if entry["class_name"] in SLICING else nodes


def _arguments(node, kind):
    """Return (operands, options) of one call of a layer of class ``kind``."""
    if isinstance(node, dict) and "args" in node:
        operands, keywords = _operands(node["args"]), node["kwargs"]
        if kind in TRAINING_BY_DEFAULT or kind.startswith("Random"):
            # Keras 3 writes the default of these layers, which it does not heed at inference
            keywords = {key: value for key, value in keywords.items() if (key, value) != ("training", True)}
    else:  # Keras 2, where each place has the keywords of the whole call
        places = _places(node)
        operands = [operand for place in places for operand in _operands(place)]
        keywords = places[0][3] if places and len(places[0]) > 3 else {}
    options = {}
    for key, value in keywords.items():
        found = _operands(value)
        # "y" is the second operand of an operator, as in x + 2
        if key == "y" or any(isinstance(operand, Ref) for operand in found):
            operands = operands + found
        elif value is not None:
            options[key] = value
    return operands, options


def _is_place(value):
    """Whether it is Keras 2's [layer, node, tensor, ...], or ["_CONSTANT_VALUE", -1, constant, ...]."""
    return isinstance(value, list | tuple) and len(value) >= 3 and isinstance(value[0], str) and type(value[1]) is int


def _places(node):
    if _is_place(node):
        return [node]
    return [place for child in _children(node) for place in _places(child)]


def _children(value):
    return [value[key] for key in sorted(value)] if isinstance(value, dict) else value


def _operands(value):
    """Tensors and constants in Keras' ways to write them, in any nesting; anything else stays as it is."""
    found = _found(value)
    return [constant(value)] if found is NUMBERS else found


def _found(value):
    """The operands in a value; NUMBERS where it is a number or an array, which may be written as lists of lists."""
    if isinstance(value, dict) and "keras_history" in value.get("config", value):
        return [Ref(*value.get("config", value)["keras_history"][:3])]
    if isinstance(value, dict) and value.get("class_name") in ("__numpy__", "__tensor__"):
        return [constant(value)]
    if _is_place(value):
        return _operands(value[2]) if value[0] == "_CONSTANT_VALUE" else [Ref(*value[:3])]
    if isinstance(value, numbers.Real | np.ndarray) and not isinstance(value, bool):
        return NUMBERS
    if isinstance(value, list | tuple) or (isinstance(value, dict) and "class_name" not in value):
        children = list(_children(value))
        found = [_found(child) for child in children]
        if isinstance(value, list | tuple) and found and all(part is NUMBERS for part in found):
            return NUMBERS
        parts = zip(children, found, strict=True)
        return [o for child, part in parts for o in ([constant(child)] if part is NUMBERS else part)]
    return [] if value is None else [value]


def constant(value):
    """A number or an array, as Keras writes them, as an array."""
    return np.array(value["config"]["value"] if isinstance(value, dict) else value, dtype=float)


# layers that keras.applications defines for itself: the class, and the module of the application
APPLICATION_LAYERS = {
    "CustomScaleLayer": "inception_resnet_v2",
    "LayerScale": "convnext",
    "StochasticDepth": "convnext",
}


def is_layer_of_applications(entry):
    """Return whether an entry of a configuration is of a class that keras.applications defines for itself."""
    module = APPLICATION_LAYERS.get(entry.get("class_name"))
    return entry.get("module") in [f"{root}.src.applications.{module}" for root in ("keras", "tf_keras")]


def is_own_class(entry):
    """Return whether an object of a configuration is of a class, or a function, that is not one of Keras."""
    if is_layer_of_applications(entry):
        return False
    root = (entry.get("module") or "keras").partition(".")[0]
    registered = entry.get("registered_name") or ""
    # Keras names no module for a class that it knows only from custom_objects
    nameless = "module" in entry and entry["module"] is None and bool(registered)
    own = root not in ("keras", "tf_keras", "builtins") or nameless
    return own or ">" in registered or ">" in str(entry.get("class_name"))


def is_operation(entry):
    """Return whether an entry of a configuration is an operation of Keras 3, which is no layer."""
    return (entry.get("module") or "").startswith(OPERATION_MODULES)
