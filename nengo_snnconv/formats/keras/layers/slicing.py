"""Readers of slices, stacks and flips of tensors: operations such as ``x[..., ::-1]``, ``stack`` and ``flip``."""

from ....model import layers as specs
from ..spec_builder import Tensor
from ..unsupported import UnsupportedLayer

MAX_PIECES = 64  # entries of an axis that are cut out one by one and joined in another order


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
    result = _select(call, [list(pick) if isinstance(pick, range) else [pick] for pick in picks if pick is not None])
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
    return _select(call, [list(range(n))[:: -1 if axis in axes else 1] for axis, n in enumerate(call.shape)])


def _select(call, indices):
    """Return the tensor with the entries ``indices[axis]`` of each axis, in that order.

    Contiguous entries are cropped, and every n-th entry is taken by pooling with windows of one entry.  The others are
    cut out one by one.
    """
    spec = call.builder.spec_in_order(call.tensor)
    shape = call.builder.shapes[spec]
    before, after, strides, reordered = [0] * len(shape), [0] * len(shape), [1] * len(shape), {}
    for axis, (selected, n) in enumerate(zip(indices, shape, strict=True)):
        step = selected[1] - selected[0] if len(selected) > 1 else 1
        if step < 1 or (step > 1 and (axis == len(shape) - 1 or len(shape) > 4)):
            reordered[axis] = selected
        else:
            before[axis], after[axis], strides[axis] = -selected[0], selected[-1] + 1 - n, step
    if any(before) or any(after):
        spec = call.add_spec(specs.Pad, spec, "_cut", before=before, after=after).spec
    if max(strides) > 1:
        pool_size = (1,) * (len(shape) - 1)
        spec = call.add_spec(specs.AveragePool, spec, "_every", pool_size=pool_size, strides=strides[:-1]).spec
    for axis, selected in reordered.items():
        spec = _reorder(call, spec, axis, selected)
    return _output_of(call, spec)


def _reorder(call, spec, axis, indices):
    """Return a spec with the entries ``indices`` of one axis, each of which is cut out by itself."""
    shape = call.builder.shapes[spec]
    if len(indices) > MAX_PIECES:
        raise UnsupportedLayer(
            f"takes {len(indices)} entries of an axis in another order, and at most {MAX_PIECES} are supported: "
            "reorder them before they enter the model"
        )
    pieces = []
    for index in indices:
        before, after = [0] * len(shape), [0] * len(shape)
        before[axis], after[axis] = -index, index + 1 - shape[axis]
        pieces.append(call.add_spec(specs.Pad, spec, f"_{axis}_{index}", before=before, after=after).spec)
    return call.add_spec(specs.Concatenate, pieces, f"_axis{axis}", axis=axis).spec


def _reshaped(call, tensor, shape):
    if not shape:
        raise UnsupportedLayer("takes out a single number: keep its axis, as in x[:, 0:1]")
    if tuple(shape) == call.builder.shape(tensor):
        return tensor
    return call.add_spec(specs.Reshape, tensor.spec, shape=shape)
