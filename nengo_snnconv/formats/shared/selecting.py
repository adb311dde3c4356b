"""Specs that take some entries of each axis of a tensor, in any order."""

import itertools

from ...model import layers as specs
from .refusals import UnsupportedLayer
from .spec_builder import Tensor

MAX_PIECES = 64  # entries of an axis that are cut out one by one and joined in another order


def select(call, tensor, indices, suffix=""):
    """Return a tensor with the entries ``indices[axis]`` of each axis, in that order.

    Contiguous entries are cropped, and every n-th entry is taken by pooling with windows of one entry.  The others are
    cut out one by one.
    """
    spec = call.builder.spec_in_order(tensor)
    shape = call.builder.shapes[spec]
    before, after, strides, reordered = [0] * len(shape), [0] * len(shape), [1] * len(shape), {}
    for axis, (selected, n) in enumerate(zip(indices, shape, strict=True)):
        step = selected[1] - selected[0] if len(selected) > 1 else 1
        is_even = all(second - first == step for first, second in itertools.pairwise(selected))
        if not is_even or step < 1 or (step > 1 and (axis == len(shape) - 1 or len(shape) > 4)):
            reordered[axis] = selected
        else:
            before[axis], after[axis], strides[axis] = -selected[0], selected[-1] + 1 - n, step
    if any(before) or any(after):
        spec = call.add_spec(specs.Pad, spec, f"{suffix}_cut", before=before, after=after).spec
    if max(strides) > 1:
        pool_size = (1,) * (len(shape) - 1)
        spec = call.add_spec(specs.AveragePool, spec, f"{suffix}_every", pool_size=pool_size, strides=strides[:-1]).spec
    for axis, selected in reordered.items():
        spec = _reorder(call, spec, axis, selected, suffix)
    return Tensor(spec, tuple(range(len(shape))))


def _reorder(call, spec, axis, indices, suffix):
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
        pieces.append(call.add_spec(specs.Pad, spec, f"{suffix}_{axis}_{index}", before=before, after=after).spec)
    return call.add_spec(specs.Concatenate, pieces, f"{suffix}_axis{axis}", axis=axis).spec
