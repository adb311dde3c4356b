"""Readers of slices, stacks and flips of tensors: operations such as ``x[..., ::-1]``, ``stack`` and ``flip``."""

from ....model import layers as specs
from ...shared.refusals import UnsupportedLayer
from ...shared.selecting import select
from ...shared.spec_builder import Tensor


def getitem(call):
    """Read ``x[key]``."""
    key = call.options["slice_spec"]["config"]["key"]
    items = [_key_item(value) for value in (key if isinstance(key, list | tuple) else [key])]
    shape = call.shape
    n_axes = sum(item is not None and item is not Ellipsis for item in items)
    if Ellipsis not in items:
        items.append(Ellipsis)
    position = items.index(Ellipsis)
    items[position : position + 1] = [slice(None)] * (1 + len(shape) - n_axes)
    batch, *items = items
    if batch != slice(None):
        raise UnsupportedLayer("takes items out of the batch: keep that axis whole, as in x[:, 0:1]")
    sizes = iter(shape)
    picks = [None if item is None else _picked(item, next(sizes)) for item in items]
    indices = [list(pick) if isinstance(pick, range) else [pick] for pick in picks if pick is not None]
    result = select(call, call.tensor, indices)
    final_shape = [1 if pick is None else len(pick) for pick in picks if not isinstance(pick, int)]
    return _reshaped(call, result, final_shape)


def _key_item(value):
    """Return an item of a key in the configuration as a Python object: int, slice, None or Ellipsis."""
    if value is Ellipsis or value == "Ellipsis":
        return Ellipsis
    if isinstance(value, dict):
        if value.get("class_name") == "__ellipsis__":
            return Ellipsis
        parts = value.get("config", value)
        value = slice(*(parts.get(part) for part in ("start", "stop", "step")))
    if isinstance(value, slice) and all(v is None or type(v) is int for v in (value.start, value.stop, value.step)):
        return value
    if value is None or type(value) is int:
        return value
    raise UnsupportedLayer(f"is sliced by {value!r}: use constant integers")


def _picked(item, n):
    """Return the indices that an int (as an int) or a slice (as a range) selects on an axis of ``n`` entries."""
    if isinstance(item, int):
        if not -n <= item < n:
            raise UnsupportedLayer(f"takes entry {item} of an axis of {n}")
        return item % n
    picked = range(n)[item]
    if not picked:
        raise UnsupportedLayer(f"takes nothing out of an axis of {n}")
    return picked


def stack(call):
    """Read ``stack``, which joins tensors along a new axis."""
    if not all(isinstance(operand, Tensor) for operand in call.operands):
        raise UnsupportedLayer("stacks a constant: stack tensors only")
    shape = (*call.builder.shape(call.operands[0]), 1)
    axis = call.axis_without_batch(call.options.get("axis", 0), len(shape))
    expanded = [*shape[:axis], 1, *shape[axis:-1]]
    parts = [
        call.add_spec(specs.Reshape, call.builder.spec_in_order(operand), f"_part{i}", shape=expanded).spec
        for i, operand in enumerate(call.operands)
    ]
    return call.add_spec(specs.Concatenate, parts, axis=axis) if len(parts) > 1 else _output_of(call, parts[0])


def _output_of(call, spec):
    """Return the output of a spec, with its axes in Keras' order."""
    return Tensor(spec, tuple(range(len(call.builder.shapes[spec]))))


def flip(call):
    """Read ``flip``, which reverses the order along some axes."""
    axes = call.options["axis"]
    axes = [call.axis_without_batch(axis) for axis in ([axes] if isinstance(axes, int) else axes)]
    indices = [list(range(n))[:: -1 if axis in axes else 1] for axis, n in enumerate(call.shape)]
    return select(call, call.tensor, indices)


def _reshaped(call, tensor, shape):
    if not shape:
        raise UnsupportedLayer("takes out a single number: keep its axis, as in x[:, 0:1]")
    if tuple(shape) == call.builder.shape(tensor):
        return tensor
    return call.add_spec(specs.Reshape, tensor.spec, shape=shape)
