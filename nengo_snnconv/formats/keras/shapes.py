"""Shapes of what refused layers give out, so that the layers behind them can be judged all the same."""

import numpy as np

from .builder import Tensor
from .calls import Ref

SAME = (
    *(f"{kind}Normalization" for kind in ("", "Batch", "Group", "Layer", "RMS", "Unit")),
    *("Activation", "ELU", "LeakyReLU", "PReLU", "ReLU", "Rescaling", "Softmax", "ThresholdedReLU"),
    *("AutoContrast", "ContrastLimitedAdaptiveHistogramEqualization", "Equalization"),
)
BROADCAST = ("Multiply", "Maximum", "Minimum", "Add", "Subtract", "Average")


def written_shapes(config):
    """Return the shapes that a model's configuration tells: {layer: shape of its one output, batch not counted}.

    Keras 3 writes them beside each tensor, and both Keras beside the layers that were built for them.
    """
    found = {}
    before = None
    for entry in config["layers"]:
        nodes = entry.get("inbound_nodes") or []
        _collect(nodes, found)
        shape = (entry.get("build_config") or {}).get("input_shape")
        readers = [before] if "output_layers" not in config else _layers_read(nodes)
        if _is_shape(shape) and len(readers) == 1:
            found.setdefault(readers[0], set()).add(tuple(shape)[1:])
        before = entry.get("name") or entry["config"].get("name")
    return {layer: shapes.pop() for layer, shapes in found.items() if len(shapes) == 1}


def _layers_read(nodes):
    """Return the layers that the first call of a layer of Keras 2 reads."""
    places = nodes[0] if nodes and isinstance(nodes[0], list) else []
    places = [places] if places and isinstance(places[0], str) else places
    return [place[0] for place in places if isinstance(place, list) and place]


def _is_shape(value):
    return isinstance(value, list | tuple) and len(value) > 1 and all(n is None or type(n) is int for n in value)


def _collect(value, found):
    if isinstance(value, dict):
        inner = value.get("config", value)
        if isinstance(inner, dict) and "keras_history" in inner and isinstance(inner.get("shape"), list | tuple):
            found.setdefault(inner["keras_history"][0], set()).add(tuple(inner["shape"])[1:])
        else:
            for child in value.values():
                _collect(child, found)
    elif isinstance(value, list | tuple):
        for child in value:
            _collect(child, found)


def shape_behind(call, operands, layer, written, build):
    """Return the shape that a refused call of a layer gives out, the batch not counted; None where it is not known.

    Parameters
    ----------
    call : Call
    operands : list
        What it is called with: Tensors, constants, and anything else where that is not known.
    layer : object
        The live layer, if there is one.
    written : dict
        What :func:`written_shapes` returns.
    build : Builder
    """
    shapes = [written.get(call.name), _live_shape(layer), _by_kind(call, operands, build)]
    return next((shape for shape in shapes if shape and all(type(n) is int and n > 0 for n in shape)), None)


def _live_shape(layer):
    try:
        return tuple(layer.output.shape)[1:]
    except (AttributeError, RuntimeError, TypeError, ValueError):  # no layer, not called, or called more than once
        return None


def _by_kind(call, operands, build):
    kind, config = call.entry["class_name"], call.entry["config"]
    if kind == "InputLayer":
        return tuple(config.get("batch_shape") or config.get("batch_input_shape") or ())[1:]
    shapes = [build.shape(operand) for operand in operands if isinstance(operand, Tensor)]
    if not shapes or len(shapes) < sum(isinstance(operand, Ref) for operand in call.operands):
        return None
    if kind in SAME:
        return shapes[0]
    if kind in BROADCAST:
        try:
            return np.broadcast_shapes(*shapes)
        except ValueError:
            return None
    if kind in ("LSTM", "GRU", "SimpleRNN"):
        return (*(shapes[0][:1] if config.get("return_sequences") else ()), config.get("units"))
    if kind == "Embedding":
        return (*shapes[0], config.get("output_dim"))
    return None
