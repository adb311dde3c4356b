"""Tensors of an ONNX model, and the builder that keeps them channels-last."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from ...model import layers as specs
from ..shared.refusals import UnsupportedLayer
from ..shared.spec_builder import SpecBuilder, Tensor, inverse_permutation


@dataclasses.dataclass(frozen=True)
class OnnxTensor(Tensor):
    """A tensor of an ONNX model, without the batch axis.

    Attributes
    ----------
    flattened : tuple or None
        For a vector that was flattened in the order of the spec: (shape, axes) of the tensor before.  In ONNX, its
        entries are in the order of the axes ``axes`` of an array of ``shape``.  The weights behind it are rearranged
        instead of its entries.
    """

    flattened: tuple | None = None


def as_plain(tensor):
    """Return the tensor without ``flattened`` and ``left_out``, for specs that treat all entries alike."""
    return Tensor(tensor.spec, tensor.axes)


def like(tensor, result):
    """Return the result of specs that treat all entries of ``tensor`` alike, in the order of its entries."""
    return OnnxTensor(result.spec, result.axes, flattened=tensor.flattened)


def spec_order(values, tensor):
    """Rearrange values of an array in the tensor's shape so that they are in the order of the spec's entries."""
    if tensor.flattened is not None:
        shape, axes = tensor.flattened
        values = values.reshape([shape[axis] for axis in axes]).transpose(inverse_permutation(axes)).reshape(-1)
    return values.transpose(inverse_permutation(tensor.axes))


class OnnxBuilder(SpecBuilder):
    """SpecBuilder for tensors whose reshaping is delayed or avoided, so that images stay channels-last."""

    def add_spec(self, *arguments, **fields):
        """Add a spec and return its output as an OnnxTensor; see :meth:`.SpecBuilder.add_spec`."""
        tensor = super().add_spec(*arguments, **fields)
        return OnnxTensor(tensor.spec, tensor.axes)

    def unflattened(self, tensor, name):
        """Return the tensor with its entries in the order of ONNX, which specs rearrange if it is flattened."""
        if tensor.flattened is None:
            return tensor
        shape, axes = tensor.flattened
        image = self.add_spec(specs.Reshape, f"{name}_unflattened", tensor.spec, shape=shape)
        ordered = self.spec_in_order(OnnxTensor(image.spec, axes))
        return self.add_spec(specs.Flatten, f"{name}_ordered", ordered)

    def reshape(self, tensor, shape, name):
        """Return a tensor with another shape, whose entries are in the same order in ONNX.

        Axes of an image are only reordered if axes that are apart are merged.
        """
        if shape == self.shape(tensor):
            return tensor
        if not shape:
            raise UnsupportedLayer("makes a single number of each item: keep one axis, as in (n, 1)")
        if tensor.flattened is not None:
            before, axes = tensor.flattened
            image = self.add_spec(specs.Reshape, f"{name}_unflattened", tensor.spec, shape=before)
            return self.reshape(OnnxTensor(image.spec, axes), shape, name)
        if len(shape) == 1 and (pooled := self._without_kept_axes(tensor, name)):
            return pooled
        kept = self._reshaped_in_place(tensor, shape, name)
        if kept is not None:
            return kept
        if len(shape) == 1:
            flat = self.add_spec(specs.Flatten, name, tensor.spec)
            return dataclasses.replace(flat, flattened=(self.shapes[tensor.spec], tensor.axes))
        return self.add_spec(specs.Reshape, name, self.spec_in_order(tensor), shape=shape)

    def _without_kept_axes(self, tensor, name):
        """Return the output of global pooling without the axes that it keeps; None if the tensor is of another spec."""
        layer = self.layers[tensor.spec]
        if isinstance(layer, specs.GlobalAveragePool | specs.GlobalMaxPool) and layer.keepdims:
            return self.add_spec(type(layer), name, layer.inputs, keepdims=False)
        return None

    def _reshaped_in_place(self, tensor, shape, name):
        """Return the reshaped tensor, with merged or split axes where the spec has them; None if they are apart."""
        spec_shape, before = self.shapes[tensor.spec], self.shape(tensor)
        groups = _groups(before, shape)
        position = {axis: tensor.axes[axis] for axis, n in enumerate(before) if n > 1}
        ordered = sorted(position.values())
        for old, _ in groups:
            places = [ordered.index(position[axis]) for axis in old]
            if places != list(range(places[0], places[0] + len(places))):
                return None
        groups.sort(key=lambda group: position[group[0][0]])
        ones = [axis for axis, n in enumerate(shape) if n == 1]
        # a channel axis of one entry is last, as in an image
        last = ones[:1] if ones[:1] == [0] and len(ones) < len(shape) else []
        new_axes = [*(axis for axis in ones if axis not in last), *(axis for _, new in groups for axis in new), *last]
        axes = inverse_permutation(new_axes)
        new_shape = tuple(shape[axis] for axis in new_axes)
        if new_shape == spec_shape:
            return OnnxTensor(tensor.spec, axes)
        if len(shape) == 1:
            return self.add_spec(specs.Flatten, name, tensor.spec)
        return self.add_spec(specs.Reshape, name, tensor.spec, order=axes, shape=new_shape)

    def broadcast(self, tensor, shape, name):
        """Return the tensor with entries repeated along axes of one entry, so that it has the given shape."""
        own = self.shape(tensor)
        if own == shape:
            return tensor
        if len(own) < len(shape):
            return self.broadcast(
                self.reshape(tensor, (1,) * (len(shape) - len(own)) + own, f"{name}_axes"), shape, name
            )
        if len(own) > len(shape) or any(n not in (1, m) for n, m in zip(own, shape, strict=True)):
            raise UnsupportedLayer(f"combines shapes that do not fit, {own} and {shape}: export the model again")
        tensor = self.unflattened(tensor, name)
        size = [1] * len(own)
        for axis, (n, m) in enumerate(zip(own, shape, strict=True)):
            size[tensor.axes[axis]] = m // n
        return self.add_spec(specs.Upsample, f"{name}_repeated", tensor.spec, order=tensor.axes, size=size)

    def output(self, tensor, name):
        """Return the output of the model: images channels-last, everything else in the order of ONNX."""
        tensor = self.unflattened(tensor, name)
        rank = len(tensor.axes)
        if rank > 1 and tensor.axes == (rank - 1, *range(rank - 1)):
            return Tensor(tensor.spec, tuple(range(rank)), tensor.left_out)
        return tensor


def _groups(before, after):
    """Split the axes of two shapes with the same number of entries into the smallest groups of the same size.

    Returns
    -------
    list of (axes before, axes after)
        Axes of one entry are left out.
    """
    old, new = ([axis for axis, n in enumerate(shape) if n > 1] for shape in (before, after))
    groups, i, j = [], 0, 0
    while i < len(old):
        first_i, first_j, size_i, size_j = i, j, 1, 1
        while True:
            if size_i <= size_j and i < len(old):
                size_i, i = size_i * before[old[i]], i + 1
            else:
                size_j, j = size_j * after[new[j]], j + 1
            if size_i == size_j:
                break
        groups.append((old[first_i:i], new[first_j:j]))
    return groups


def check_same_size(before, after):
    """Refuse a reshaping that does not keep the number of entries."""
    if math.prod(before) != math.prod(after):
        raise UnsupportedLayer(f"cannot reshape {before} to {after}: export the model again")


def is_item_constant(values):
    """Return whether an array has the same values for each item of the batch, its first axis."""
    return len(values) == 1 or bool(np.all(values == values[:1]))
