"""The graph of a Keras model: the calls of its layers in the order of computation, read from a configuration.

Keras 2 and Keras 3 write configurations in different forms; both are read here.
"""

import dataclasses
import numbers
from typing import NamedTuple

import numpy as np

from ...errors import ConversionError, listed
from .config_entries import constant, layer_name

SLICING_CLASSES = ("SlicingOpLambda", "GetItem")
# image layers of Keras 3 whose ``call`` has training=True as its default, as have those named Random...
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
_NUMBERS = object()


class TensorRef(NamedTuple):
    """Reference to a tensor of the Keras model: output number ``output`` of call number ``call`` of a layer."""

    layer: str
    call: int
    output: int


@dataclasses.dataclass(frozen=True)
class Node:
    """One call of a layer.

    Attributes
    ----------
    name : str
        Name of the layer.
    call : int
        Number of the call, among those of the layer.
    entry : dict
        Entry of the layer in the configuration.
    operands : list of TensorRef, ndarray or object
        Positional arguments, and all tensors among the keyword arguments.
    keywords : dict
        Other arguments of the call, for example ``training``.
    """

    name: str
    call: int
    entry: dict
    operands: list
    keywords: dict


def read_graph(config):
    """Read the graph of a model.

    Parameters
    ----------
    config : dict
        Configuration of a Sequential or functional model.

    Returns
    -------
    nodes : list of Node
        Calls of layers, each after the calls whose outputs it takes.
    inputs : dict of str to str
        Name of the input layer of each input, by the name of the input, in order.  In a model that takes a dict, the
        names are its keys, else those of the layers.
    outputs : dict of str to TensorRef

    Raises
    ------
    ConversionError
        If the input shape is unknown, or the calls depend on each other in a circle.
    """
    if "output_layers" not in config:
        return _read_sequence(config)
    calls_of_layers = [
        (layer_name(entry), entry, [_arguments(call, entry["class_name"]) for call in _calls(entry)])
        for entry in config["layers"]
    ]
    outputs = _named(config["output_layers"])
    all_operands = [o for *_, calls in calls_of_layers for operands, _ in calls for o in operands]
    used_calls = {}
    for ref in list(outputs.values()) + [operand for operand in all_operands if isinstance(operand, TensorRef)]:
        used_calls.setdefault(ref.layer, set()).add(ref.call)
    # Keras 2 also counts calls outside of this model, so only the order of the numbers is meaningful
    numbering = {(layer, call): i for layer, calls in used_calls.items() for i, call in enumerate(sorted(calls))}

    def renumbered(operand):
        return operand._replace(call=numbering[operand[:2]]) if isinstance(operand, TensorRef) else operand

    nodes = [
        Node(name, i, entry, [renumbered(operand) for operand in operands], keywords)
        for name, entry, calls in calls_of_layers
        for i, (operands, keywords) in enumerate(calls)
    ]
    inputs = {name: ref.layer for name, ref in _named(config["input_layers"]).items()}
    return _in_order(nodes), inputs, {name: renumbered(ref) for name, ref in outputs.items()}


def _named(value):
    """Return the references in ``input_layers`` or ``output_layers`` by name: the key in a dict, or that of the layer.

    A layer that has several outputs of the model gives the names "dense", "dense_1" and so on.
    """
    references = _operands(value)
    if isinstance(value, dict) and len(value) == len(references):
        return dict(zip(sorted(value), references, strict=True))
    named = {}
    for ref in references:
        name, n = ref.layer, 0
        while name in named:
            n += 1
            name = f"{ref.layer}_{n}"
        named[name] = ref
    return named


def _in_order(nodes):
    """Sort nodes so that each follows its inputs.

    Keras lists all calls of a layer at the place of the first.  The result is the order in which nodes are taken if one
    goes through the list repeatedly and takes each node whose inputs were taken before.
    """
    position = {(node.name, node.call): i for i, node in enumerate(nodes)}
    inputs = [{o[:2] for o in node.operands if isinstance(o, TensorRef)} for node in nodes]
    n_missing = [len(keys) for keys in inputs]
    consumers = [[] for _ in nodes]
    for i, keys in enumerate(inputs):
        for key in keys & position.keys():
            consumers[position[key]].append(i)
    ready, rounds = [i for i, n in enumerate(n_missing) if n == 0], [0] * len(nodes)
    for i in ready:  # grows during the loop
        for consumer in consumers[i]:
            rounds[consumer] = max(rounds[consumer], rounds[i] + (consumer < i))
            n_missing[consumer] -= 1
            if n_missing[consumer] == 0:
                ready.append(consumer)
    if len(ready) < len(nodes):
        blocked = [node.name for node, n in zip(nodes, n_missing, strict=True) if n]
        raise ConversionError(f"the inputs of the layers {listed(blocked)} are unknown", layer=blocked[0])
    return [nodes[i] for i in sorted(ready, key=lambda i: (rounds[i], i))]


def _read_sequence(config):
    entries = config["layers"]
    if not entries or entries[0]["class_name"] != "InputLayer":
        first = entries[0]["config"] if entries else {}
        shape = config.get("build_input_shape") or first.get("batch_input_shape") or first.get("batch_shape")
        if shape is None:
            raise ConversionError("the model's input shape is not known: begin it with an Input layer")
        entries = [{"class_name": "InputLayer", "config": {"name": "input", "batch_shape": shape}}, *entries]
    names = [layer_name(entry) for entry in entries]
    operands = [[], *([TensorRef(name, 0, 0)] for name in names)]
    nodes = [Node(name, 0, *parts, {}) for name, *parts in zip(names, entries, operands, strict=False)]
    return nodes, {names[0]: names[0]}, {names[-1]: operands[-1][0]}


def _calls(entry):
    """Return the calls of a layer as they are written in the configuration."""
    calls = entry.get("inbound_nodes") or [[]]  # an input layer has none, and is used once
    return [_with_packed_key(call) for call in calls] if entry["class_name"] in SLICING_CLASSES else calls


def _with_packed_key(call):
    """Return a call of a slicing operation with its key in one keyword argument, ``slice_spec``, without operands.

    Keras 2 writes the key as a keyword argument that looks like a reference to a tensor, Keras 3 as a second operand.
    """
    if isinstance(call, dict) and len(call.get("args", ())) == 2:
        tensor, key = call["args"]
        return {"args": [tensor], "kwargs": {**call["kwargs"], "slice_spec": _packed_key(key)}}
    if isinstance(call, list | tuple):
        return [_with_packed_key(part) for part in call]
    if isinstance(call, dict) and "slice_spec" in call:
        return {**call, "slice_spec": _packed_key(call["slice_spec"])}
    return call


def _packed_key(key):
    return {"class_name": "slices", "config": {"key": key}}


def _arguments(call, class_name):
    """Return (operands, keyword arguments) of one call of a layer."""
    if isinstance(call, dict) and "args" in call:
        operands, keywords = _operands(call["args"]), call["kwargs"]
        if class_name in TRAINING_BY_DEFAULT or class_name.startswith("Random"):
            # Keras 3 writes the default, which inference overrides
            keywords = {key: value for key, value in keywords.items() if (key, value) != ("training", True)}
    else:  # Keras 2, where each reference to a tensor comes with the keyword arguments of the whole call
        references = _references(call)
        operands = [operand for reference in references for operand in _operands(reference)]
        keywords = references[0][3] if references and len(references[0]) > 3 else {}
    others = {}
    for key, value in keywords.items():
        parsed = _operands(value)
        # "y" is the second operand of an operator, as in x + 2
        if key == "y" or any(isinstance(operand, TensorRef) for operand in parsed):
            operands = operands + parsed
        elif value is not None:
            others[key] = value
    return operands, others


def _is_reference(value):
    """Return whether a value is Keras 2's [layer, call, output, ...] or ["_CONSTANT_VALUE", -1, constant, ...]."""
    return isinstance(value, list | tuple) and len(value) >= 3 and isinstance(value[0], str) and type(value[1]) is int


def _references(call):
    if _is_reference(call):
        return [call]
    return [reference for child in _children(call) for reference in _references(child)]


def _children(value):
    return [value[key] for key in sorted(value)] if isinstance(value, dict) else value


def _operands(value):
    """Return the tensors and constants in a value of the configuration, nested in any way; keep other objects."""
    parsed = _parse(value)
    return [constant(value)] if parsed is _NUMBERS else parsed


def _parse(value):
    """Return the operands in a value; _NUMBERS for a number or an array, which may be written as nested lists."""
    if isinstance(value, dict) and "keras_history" in value.get("config", value):
        return [TensorRef(*value.get("config", value)["keras_history"][:3])]
    if isinstance(value, dict) and value.get("class_name") in ("__numpy__", "__tensor__"):
        return [constant(value)]
    if _is_reference(value):
        return _operands(value[2]) if value[0] == "_CONSTANT_VALUE" else [TensorRef(*value[:3])]
    if isinstance(value, numbers.Real | np.ndarray) and not isinstance(value, bool):
        return _NUMBERS
    if isinstance(value, list | tuple) or (isinstance(value, dict) and "class_name" not in value):
        children = list(_children(value))
        parsed = [_parse(child) for child in children]
        if isinstance(value, list | tuple) and parsed and all(part is _NUMBERS for part in parsed):
            return _NUMBERS
        parts = zip(children, parsed, strict=True)
        return [o for child, part in parts for o in ([constant(child)] if part is _NUMBERS else part)]
    return [] if value is None else [value]
