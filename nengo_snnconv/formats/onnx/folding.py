"""Nodes whose inputs are all constants, such as those that compute the shape of a Reshape, evaluated with NumPy."""

import math

import numpy as np

from ..shared.refusals import UnsupportedLayer
from .files.arrays import TYPES

MAX_ENTRIES = 2**26  # of a result
# types of ONNX as types of NumPy; bfloat16 is computed in float32
_DTYPES = {number: np.dtype(dtype).newbyteorder("=") for number, (name, dtype, _) in TYPES.items()}
_DTYPES |= {9: np.dtype(bool), 16: np.dtype(np.float32)}


def fold(call, read_array):
    """Return the outputs of a node whose inputs are constants.

    Parameters
    ----------
    call : NodeCall
    read_array : callable
        Function that reads a TensorProto.

    Returns
    -------
    list of ndarray

    Raises
    ------
    UnsupportedLayer
        If the operator is not one of ``FOLDED``, or the result would be too large.
    """
    if call.kind == "Constant":
        return [_constant(call, read_array)]
    if call.kind == "ConstantOfShape":
        return [_constant_of_shape(call, read_array)]
    if call.kind not in FOLDED:
        raise UnsupportedLayer("computes with constants only: simplify the model before the export")
    # every operator but these makes at most as many entries as its inputs have together, or is checked by itself
    inputs = [None if value is None else np.asarray(value) for value in call.operands]
    try:
        with np.errstate(all="ignore"):
            result = FOLDED[call.kind](call, *inputs)
    except (ValueError, TypeError, IndexError, OverflowError, ZeroDivisionError) as error:
        raise UnsupportedLayer(
            f"computes with constants that do not fit ({str(error)[:80]}): export it again"
        ) from error
    return [np.asarray(value) for value in (result if isinstance(result, list) else [result])]


def _limited(*shape):
    """Return a shape as integers, after a check of its size."""
    shape = tuple(int(n) for n in shape)
    if min(shape, default=0) < 0 or len(shape) > 32 or math.prod(shape) > MAX_ENTRIES:
        raise UnsupportedLayer(f"would make a constant of more than {MAX_ENTRIES:,} entries: make the model smaller")
    return shape


def _constant(call, read_array):
    attributes = call.attributes
    if "value" in attributes:
        return read_array(attributes.tensor("value"))
    for name, read, dtype in (
        ("value_float", attributes.number, np.float32),
        ("value_floats", attributes.numbers, np.float32),
        ("value_int", attributes.integer, np.int64),
        ("value_ints", attributes.integers, np.int64),
    ):
        if name in attributes:
            return np.array(read(name), dtype)
    raise UnsupportedLayer("holds a constant that is not an array of numbers: export the model again")


def _constant_of_shape(call, read_array):
    tensor = call.attributes.tensor("value")
    value = np.zeros(1, np.float32) if tensor is None else read_array(tensor)
    if value.size != 1:
        raise UnsupportedLayer(f"has a value of {value.size} entries: give one")
    return np.full(_limited(*call.integers(0, "shape")), value.ravel()[0])


def _elementwise(function):
    def compute(call, *inputs):
        _limited(*np.broadcast_shapes(*(value.shape for value in inputs)))
        result = function(*inputs)
        same = all(value.dtype == inputs[0].dtype for value in inputs)
        return result.astype(inputs[0].dtype) if same and result.dtype != bool else result

    return compute


def _divide(x, y):
    if x.dtype.kind in "iu" and y.dtype.kind in "iu":
        if (y == 0).any():
            raise ZeroDivisionError("division by zero")
        return (np.sign(x) * np.sign(y) * (np.abs(x) // np.abs(y))).astype(x.dtype)  # towards zero, as in C
    return x / y


def _power(x, y):
    return np.power(x, y).astype(x.dtype)


def _cast(call, value):
    number = call.attributes.integer("to")
    call.attributes.ignore("saturate", "round_mode")
    if number not in _DTYPES:
        raise UnsupportedLayer("casts a constant to a type that is not read: use float")
    return value.astype(_DTYPES[number])


def _shape(call, value):
    start, end = call.attributes.integer("start", 0), call.attributes.integer("end")
    return np.array(value.shape[start:end], np.int64)


def _gather(call, value, indices):
    axis = call.attributes.integer("axis", 0)
    _limited(value.size, max(indices.size, 1))
    return np.take(value, indices, axis)


def _concat(call, *values):
    return np.concatenate(values, call.attributes.integer("axis"))


def _reshape(call, value, shape):
    return value.reshape(resolved_shape(value.shape, shape.tolist(), call.attributes.flag("allowzero")))


def resolved_shape(before, shape, allow_zero):
    """Return the shape that Reshape makes: 0 keeps an axis, -1 stands for what remains.

    Parameters
    ----------
    before : tuple of int
        Shape of the input.
    shape : sequence of int
    allow_zero : bool
        Whether 0 means an axis without entries.
    """
    shape = list(shape)
    if not allow_zero:
        shape = [before[i] if n == 0 and i < len(before) else n for i, n in enumerate(shape)]
    known = math.prod(n for n in shape if n != -1)
    if shape.count(-1) == 1 and known > 0 and math.prod(before) % known == 0:
        shape = [math.prod(before) // known if n == -1 else n for n in shape]
    if min(shape, default=0) < 0 or math.prod(shape) != math.prod(before):
        raise UnsupportedLayer(f"cannot reshape {before} to {tuple(shape)}: export the model again")
    return tuple(shape)


def _flatten(call, value):
    axis = call.attributes.integer("axis", 1)
    return value.reshape(math.prod(value.shape[:axis]), -1)


def _transpose(call, value):
    return value.transpose(call.attributes.integers("perm"))


def _unsqueeze(call, value, axes=None):
    return np.expand_dims(value, tuple(call.integers(1, "axes")))


def _squeeze(call, value, axes=None):
    axes = call.integers(1, "axes")
    return value.squeeze(None if axes is None else tuple(axes))


def _slice(call, value, *_):
    return value[slices(call, value.shape)]


def slices(call, shape):
    """Return the slices, one for each axis of an input of ``shape``, that a Slice node takes.

    Parameters
    ----------
    call : NodeCall
    shape : tuple of int
        With the batch axis.
    """
    starts, ends = call.integers(1, "starts"), call.integers(2, "ends")
    axes = call.integers(3, "axes", list(range(len(starts))))
    steps = call.integers(4, "steps", [1] * len(starts))
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        raise UnsupportedLayer("has starts, ends, axes and steps that do not fit: export the model again")
    taken = [slice(None)] * len(shape)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if not -len(shape) <= axis < len(shape):
            raise UnsupportedLayer(f"slices axis {axis}, which a tensor of {len(shape)} axes lacks: export it again")
        n = shape[axis]
        # with a negative step, an end before the first entry, which NumPy would count from the other side
        stop = None if step < 0 and end < -n else end
        start = min(start, n - 1) if step < 0 else start
        taken[axis] = slice(start, stop, step)
    return tuple(taken)


def _range(call, start, limit, delta):
    if delta.ravel()[0] == 0:
        raise ZeroDivisionError("a step of zero")
    n_entries = (float(limit.ravel()[0]) - float(start.ravel()[0])) / float(delta.ravel()[0])
    _limited(max(math.ceil(n_entries), 0))
    return np.arange(start.ravel()[0], limit.ravel()[0], delta.ravel()[0], dtype=start.dtype)


def _expand(call, value, shape):
    return np.broadcast_to(value, _limited(*np.broadcast_shapes(value.shape, tuple(shape.tolist())))).copy()


def _tile(call, value, repeats):
    _limited(*(n * m for n, m in zip(value.shape, repeats.tolist(), strict=True)))
    return np.tile(value, repeats)


def _where(call, condition, x, y):
    _limited(*np.broadcast_shapes(condition.shape, x.shape, y.shape))
    return np.where(condition, x, y)


def _split(call, value, sizes=None):
    axis = call.attributes.integer("axis", 0)
    return list(np.split(value, np.cumsum(split_sizes(call, value.shape[axis]))[:-1], axis))


def split_sizes(call, n):
    """Return the sizes of the parts into which a Split node splits an axis of ``n`` entries."""
    sizes, n_parts = call.integers(1, "split"), call.n_outputs
    if call.attributes.integer("num_outputs", n_parts) != n_parts:
        raise UnsupportedLayer(f"has another num_outputs than its {n_parts} outputs: export the model again")
    if sizes is None:
        part = -(-n // max(n_parts, 1))
        sizes = [min(part, n - i * part) for i in range(n_parts)]
    if min(sizes, default=0) <= 0 or sum(sizes) != n or len(sizes) != call.n_outputs:
        raise UnsupportedLayer(f"splits an axis of {n} entries into parts of {sizes}: export the model again")
    return sizes


def _reduce(function):
    def compute(call, value, axes=None):
        axes, keep = call.integers(1, "axes"), call.attributes.flag("keepdims", True)
        if call.attributes.flag("noop_with_empty_axes") and not axes:
            return value
        return function(value, axis=tuple(axes) if axes else None, keepdims=keep).astype(value.dtype)

    return compute


def _identity(call, value, *_):
    call.attributes.ignore("ratio", "seed")
    return value


FOLDED = {
    "Abs": _elementwise(np.abs),
    "Add": _elementwise(np.add),
    "And": _elementwise(np.logical_and),
    "Cast": _cast,
    "Ceil": _elementwise(np.ceil),
    "Concat": _concat,
    "Div": _elementwise(_divide),
    "Equal": _elementwise(np.equal),
    "Exp": _elementwise(np.exp),
    "Expand": _expand,
    "Flatten": _flatten,
    "Floor": _elementwise(np.floor),
    "Gather": _gather,
    "Greater": _elementwise(np.greater),
    "Identity": _identity,
    "Less": _elementwise(np.less),
    "Log": _elementwise(np.log),
    "Max": _elementwise(lambda *values: np.maximum.reduce(np.broadcast_arrays(*values))),
    "Min": _elementwise(lambda *values: np.minimum.reduce(np.broadcast_arrays(*values))),
    "Mul": _elementwise(np.multiply),
    "Neg": _elementwise(np.negative),
    "Not": _elementwise(np.logical_not),
    "Or": _elementwise(np.logical_or),
    "Pow": _elementwise(_power),
    "Range": _range,
    "Reciprocal": _elementwise(np.reciprocal),
    "ReduceMax": _reduce(np.max),
    "ReduceMean": _reduce(np.mean),
    "ReduceMin": _reduce(np.min),
    "ReduceProd": _reduce(np.prod),
    "ReduceSum": _reduce(np.sum),
    "Reshape": _reshape,
    "Shape": _shape,
    "Size": lambda call, value: np.array(value.size, np.int64),
    "Slice": _slice,
    "Split": _split,
    "Sqrt": _elementwise(np.sqrt),
    "Squeeze": _squeeze,
    "Sub": _elementwise(np.subtract),
    "Tile": _tile,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    "Where": _where,
}
