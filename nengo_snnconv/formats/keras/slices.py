"""Slices, stacks and flips of tensors, which Keras models hold as operations: ``x[..., ::-1]``, ``stack``, ``flip``."""

from ...model import layers as specs
from .builder import Refused, Tensor

SLICING = ("SlicingOpLambda", "GetItem")
MOST_PIECES = 64  # entries of an axis that are cut out one by one, to be put together in another order


def packed(node):
    """Return a call of a slicing operation with its key as one option, ``slice_spec``, which holds no operands.

    Keras 2 writes the key as an option that looks like the place of a tensor, Keras 3 as a second operand.
    """
    if isinstance(node, dict) and len(node.get("args", ())) == 2:
        tensor, key = node["args"]
        return {"args": [tensor], "kwargs": {**node["kwargs"], "slice_spec": _packed_key(key)}}
    if isinstance(node, list | tuple):
        return [packed(each) for each in node]
    if isinstance(node, dict) and "slice_spec" in node:
        return {**node, "slice_spec": _packed_key(node["slice_spec"])}
    return node


def _packed_key(key):
    return {"class_name": "slices", "config": {"key": key}}


def slicing(use):
    """Read ``x[key]``."""
    key = use.config["slice_spec"]["config"]["key"]
    items = [_item(each) for each in (key if isinstance(key, list | tuple) else [key])]
    shape = use.shape
    n_axes = sum(item is not None and item is not Ellipsis for item in items)
    if Ellipsis not in items:
        items.append(Ellipsis)
    place = items.index(Ellipsis)
    items[place : place + 1] = [slice(None)] * (1 + len(shape) - n_axes)
    batch, *items = items
    if batch != slice(None):
        raise Refused("takes items out of the batch: keep that axis whole, as in x[:, 0:1]")
    taken = iter(shape)
    picks = [None if item is None else _picked(item, next(taken)) for item in items]
    result = _select(use, [list(pick) if isinstance(pick, range) else [pick] for pick in picks if pick is not None])
    final = [1 if pick is None else len(pick) for pick in picks if not isinstance(pick, int)]
    return _reshaped(use, result, final)


def _item(value):
    """Return an entry of a key as Python has it."""
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
    raise Refused(f"is sliced by {value!r}: use whole numbers that are written in the model")


def _picked(item, n):
    """Return what an index (an int) or a slice (a range) takes out of ``n`` entries."""
    if isinstance(item, int):
        if not -n <= item < n:
            raise Refused(f"takes entry {item} of an axis of {n}")
        return item % n
    picked = range(n)[item]
    if not picked:
        raise Refused(f"takes nothing out of an axis of {n}")
    return picked


def stack(use):
    """Read ``stack``: tensors side by side along a new axis."""
    if not all(isinstance(operand, Tensor) for operand in use.operands):
        raise Refused("stacks a constant: stack tensors only")
    shape = (*use.build.shape(use.operands[0]), 1)
    axis = use.axis(use.config.get("axis", 0), len(shape))
    wide = [*shape[:axis], 1, *shape[axis:-1]]
    parts = [
        use.put(specs.Reshape, use.build.arranged(operand), f"_part{i}", shape=wide).end
        for i, operand in enumerate(use.operands)
    ]
    return use.put(specs.Concatenate, parts, axis=axis) if len(parts) > 1 else _tensor(use, parts[0])


def _tensor(use, end):
    """Return the output of a spec, with its axes as Keras has them."""
    return Tensor(end, tuple(range(len(use.build.shapes[end]))))


def flip(use):
    """Read ``flip``, which reverses the order along some axes."""
    axes = use.config["axis"]
    axes = [use.axis(axis) for axis in ([axes] if isinstance(axes, int) else axes)]
    return _select(use, [list(range(n))[:: -1 if axis in axes else 1] for axis, n in enumerate(use.shape)])


def _select(use, entries):
    """Return the tensor with ``entries[axis]`` of each axis only, in that order."""
    end = use.build.arranged(use.tensor)
    shape = use.build.shapes[end]
    before, after, strides, others = [0] * len(shape), [0] * len(shape), [1] * len(shape), {}
    for axis, (wanted, n) in enumerate(zip(entries, shape, strict=True)):
        step = wanted[1] - wanted[0] if len(wanted) > 1 else 1
        if step < 1 or (step > 1 and (axis == len(shape) - 1 or len(shape) > 4)):
            others[axis] = wanted
        else:
            before[axis], after[axis], strides[axis] = -wanted[0], wanted[-1] + 1 - n, step
    if any(before) or any(after):
        end = use.put(specs.Pad, end, "_cut", before=before, after=after).end
    if max(strides) > 1:  # windows of one entry
        end = use.put(specs.AveragePool, end, "_every", pool_size=(1,) * (len(shape) - 1), strides=strides[:-1]).end
    for axis, wanted in others.items():
        end = _in_order(use, end, axis, wanted)
    return _tensor(use, end)


def _in_order(use, end, axis, wanted):
    """Return a spec with the entries ``wanted`` of one axis, cut out one by one."""
    shape = use.build.shapes[end]
    if len(wanted) > MOST_PIECES:
        raise Refused(f"takes {len(wanted)} entries of an axis in another order: do that before they enter the model")
    pieces = []
    for entry in wanted:
        before, after = [0] * len(shape), [0] * len(shape)
        before[axis], after[axis] = -entry, entry + 1 - shape[axis]
        pieces.append(use.put(specs.Pad, end, f"_{axis}_{entry}", before=before, after=after).end)
    return use.put(specs.Concatenate, pieces, f"_axis{axis}", axis=axis).end


def _reshaped(use, tensor, shape):
    if not shape:
        raise Refused("takes out a single number: keep its axis, as in x[:, 0:1]")
    if tuple(shape) == use.build.shape(tensor):
        return tensor
    return use.put(specs.Reshape, tensor.end, shape=shape)
