"""The input of an ONNX graph: its shape, and which of its axes is the channel."""

import collections

from ...errors import ConversionError, listed
from ..shared.refusals import UnsupportedLayer
from .files.arrays import FLOATS, type_name

# operators that read images, with the channel as the axis after the batch
READ_IMAGES = {
    *("Conv", "ConvTranspose", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "BatchNormalization"),
    *("InstanceNormalization", "LRN", "DepthToSpace", "SpaceToDepth"),
}
# operators whose output has the axes of their input
KEEP_AXES = {
    *("Abs", "Add", "Cast", "Clip", "Concat", "Div", "Dropout", "Identity", "LeakyRelu", "Max", "Min", "Mul", "Neg"),
    *("PRelu", "Pad", "Relu", "Resize", "Sigmoid", "Slice", "Softmax", "Split", "Sub", "Sum"),
}


def find_inputs(graph, constants):
    """Return the inputs of a graph; initializers, which older files list as inputs, are none.

    Raises
    ------
    ConversionError
        If there is no input.
    """
    inputs = [value for value in graph.input if value.name not in constants]
    if not inputs:
        raise ConversionError("the ONNX model has no input: export the model again, with an input for the images")
    return inputs


def shapes_of_inputs(inputs, given):
    """Return the shape of an item of each input that was given as ``input_shape``, or None for each.

    Parameters
    ----------
    inputs : list of ValueInfoProto
    given : tuple of int, list or dict of them, or None
        One shape for a model with one input, else a shape for each, in order or by name.

    Raises
    ------
    ConversionError
        If there is not one for each input.
    """
    if given is None:
        return [None] * len(inputs)
    names = [value.name for value in inputs]
    if isinstance(given, dict):
        if unknown := [name for name in given if name not in names]:
            raise ConversionError(
                f"input_shape has {listed(unknown)}, but the inputs of the model are {listed(names, 8)}"
            )
        return [given.get(name) for name in names]
    shapes = [given] if isinstance(given[0], int) else given
    if len(shapes) != len(inputs):
        raise ConversionError(
            f"input_shape has {'one shape' if len(shapes) == 1 else f'{len(shapes)} shapes'}, but the model has "
            f"{len(inputs)} inputs, {listed(names, 8)}: give a shape for each, as in input_shape=[(3, 32, 32), (10,)]"
        )
    return list(shapes)


def batch_and_shape(value, input_shape=None):
    """Return (number of items in the batch, shape of an item) of an input.

    Parameters
    ----------
    value : ValueInfoProto
    input_shape : tuple of int, optional
        Shape of an item, for axes that the graph leaves open.
    """
    tensor = value.type.tensor_type
    declared = [size.dim_value if size.dim_value > 0 else None for size in tensor.shape.dim]
    if not tensor.HasField("shape"):
        declared = [None] * (1 + len(input_shape or ()))
    batch, *items = declared or [None]
    if input_shape is not None:
        fits = len(items) == len(input_shape) and all(n in (None, m) for n, m in zip(items, input_shape, strict=True))
        if not fits:
            raise ConversionError(
                f"input_shape={tuple(input_shape)} does not fit the input {value.name[:80]!r} of shape {tuple(items)}, "
                "without the batch: leave input_shape out, or export the model with this shape"
            )
        items = list(input_shape)
    if not items:
        raise UnsupportedLayer("has no axis besides the batch: export the model with a batch axis")
    if None in items:
        shape = tuple(n if n else "?" for n in items)
        raise UnsupportedLayer(
            f"has the shape {shape}, with an open axis: give it in Python, as in input_shape=(3, 32, 32), or export "
            "the model with a fixed size"
        )
    return batch or 1, tuple(items)


def check_type(value, nodes):
    """Refuse an input that does not hold floats, unless it is cast first."""
    kind = type_name(value.type.tensor_type.elem_type)
    readers = [node for node in nodes if value.name in node.input]
    if kind not in FLOATS and not all(node.op_type == "Cast" for node in readers):
        raise UnsupportedLayer(f"holds numbers of type {kind}: export the model with an input of floats")
    return kind


def channel_axis(graph, name, shape):
    """Return the axis of an item that is its channel, to be the last axis of the model's input.

    The first operator that reads images determines it.  Without one, an image of three axes has its channels where
    there are fewer of them, first or last.

    Parameters
    ----------
    graph : GraphProto
    name : str
        Name of the input.
    shape : tuple of int
        Shape of an item.
    """
    consumers = collections.defaultdict(list)
    for node in graph.node:
        for source in set(node.input):
            consumers[source].append(node)
    rank = len(shape)
    seen, waiting = {name}, collections.deque([(name, tuple(range(rank + 1)))])
    while waiting:
        source, axes = waiting.popleft()
        for node in consumers[source]:
            if node.op_type in READ_IMAGES and len(axes) > 1 and node.input[0] == source:
                return max(axes[1] - 1, 0)
            following = axes if node.op_type in KEEP_AXES else _transposed(node, axes)
            for output in node.output:
                if following is not None and output not in seen:
                    seen.add(output)
                    waiting.append((output, following))
    return 0 if rank >= 3 and shape[0] <= shape[-1] else rank - 1


def _transposed(node, axes):
    """Return the axes of the output of a Transpose node; None for other nodes."""
    order = next((list(a.ints) for a in node.attribute if a.name == "perm"), list(range(len(axes)))[::-1])
    if node.op_type != "Transpose" or sorted(order) != list(range(len(axes))):
        return None
    return tuple(axes[axis] for axis in order)
