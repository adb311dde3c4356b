"""Output shapes of layers that cannot be read, so that the layers after them can be checked all the same."""

import numpy as np

from ..shared.spec_builder import Tensor
from .graph import TensorRef
from .live_layers import output_shape

# classes whose output has the shape of their input
SAME_SHAPE = (
    *(f"{kind}Normalization" for kind in ("", "Batch", "Group", "Layer", "RMS", "Unit")),
    *("Activation", "ELU", "LeakyReLU", "PReLU", "ReLU", "Rescaling", "Softmax", "ThresholdedReLU"),
    *("AutoContrast", "ContrastLimitedAdaptiveHistogramEqualization", "Equalization"),
)
# classes whose inputs are broadcast
BROADCAST = ("Multiply", "Maximum", "Minimum", "Add", "Subtract", "Average")


def recorded_shapes(config):
    """Return the output shapes that a model's configuration records, without the batch axis.

    Keras 3 writes a shape beside each reference to a tensor, and both Keras 2 and 3 write the input shape of layers
    that were built.

    Parameters
    ----------
    config : dict

    Returns
    -------
    dict of str to tuple
        Layer name -> shape, for layers with one known output shape.
    """
    shapes = {}
    previous = None
    for entry in config["layers"]:
        calls = entry.get("inbound_nodes") or []
        _collect_shapes(calls, shapes)
        shape = (entry.get("build_config") or {}).get("input_shape")
        inputs = [previous] if "output_layers" not in config else _input_layers(calls)
        if _is_shape(shape) and len(inputs) == 1:
            shapes.setdefault(inputs[0], set()).add(tuple(shape)[1:])
        previous = entry.get("name") or entry["config"].get("name")
    return {layer: candidates.pop() for layer, candidates in shapes.items() if len(candidates) == 1}


def _input_layers(calls):
    """Return the names of the layers whose outputs the first call takes, as Keras 2 writes them."""
    references = calls[0] if calls and isinstance(calls[0], list) else []
    references = [references] if references and isinstance(references[0], str) else references
    return [reference[0] for reference in references if isinstance(reference, list) and reference]


def _is_shape(value):
    return isinstance(value, list | tuple) and len(value) > 1 and all(n is None or type(n) is int for n in value)


def _collect_shapes(value, shapes):
    """Add the shapes beside all references to tensors in a value to ``shapes``: {layer name: set of shapes}."""
    if isinstance(value, dict):
        inner = value.get("config", value)
        if isinstance(inner, dict) and "keras_history" in inner and isinstance(inner.get("shape"), list | tuple):
            shapes.setdefault(inner["keras_history"][0], set()).add(tuple(inner["shape"])[1:])
        else:
            for child in value.values():
                _collect_shapes(child, shapes)
    elif isinstance(value, list | tuple):
        for child in value:
            _collect_shapes(child, shapes)


def infer_output_shape(node, operands, layer, recorded, builder):
    """Return the output shape of a call that cannot be read, without the batch axis; None if it is unknown.

    Parameters
    ----------
    node : Node
    operands : list
        Operands of the call: Tensors, constants, and other objects for unknown tensors.
    layer : object or None
        Live layer, if there is one.
    recorded : dict
        Result of :func:`recorded_shapes`.
    builder : SpecBuilder
    """
    shapes = [recorded.get(node.name), output_shape(layer), _shape_by_class(node, operands, builder)]
    return next((shape for shape in shapes if shape and all(type(n) is int and n > 0 for n in shape)), None)


def _shape_by_class(node, operands, builder):
    kind, config = node.entry["class_name"], node.entry["config"]
    if kind == "InputLayer":
        return tuple(config.get("batch_shape") or config.get("batch_input_shape") or ())[1:]
    shapes = [builder.shape(operand) for operand in operands if isinstance(operand, Tensor)]
    if not shapes or len(shapes) < sum(isinstance(operand, TensorRef) for operand in node.operands):
        return None
    if kind in SAME_SHAPE:
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
