"""Collects the specs that a Keras model becomes, and keeps account of the order of axes."""

import dataclasses

import numpy as np

from ...model import Model, limits
from ...model import layers as specs


class Refused(Exception):
    """A layer cannot be read; the text goes behind its name and says why, and what to do instead."""


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A tensor of the Keras model.

    Our windows move over channels-last images only.  A tensor of a channels-first model stays in our order until
    a layer needs Keras' order, so that no axes are moved between two convolutions.

    Attributes
    ----------
    end : str
        The spec that holds the entries.
    axes : tuple of int
        Axis i of the tensor is axis ``axes[i]`` of the spec's output, the batch not counted.
    logits_of : str or None
        The layer whose softmax was left out.
    """

    end: str
    axes: tuple
    logits_of: str = None


def inverse(order):
    """The permutation that undoes ``order``."""
    return tuple(order.index(i) for i in range(len(order)))


class Builder:
    """Specs, arrays and shapes as they come; every name is unique."""

    def __init__(self):
        self.layers, self.arrays, self.shapes = {}, {}, {}
        self._arranged = {}
        self._n_repeated, self._last = 0, {}

    def put(self, spec, name, inputs=(), order=None, arrays=(), **fields):
        """Add a spec and its arrays.

        Parameters
        ----------
        spec : type
            A class of spec, made with ``fields``.
        name : str
            Followed by _2, _3, ... where it is taken.
        inputs : str or sequence of str
            Names of the specs that it reads.
        order : tuple of int, optional
            ``axes`` of the tensor that comes out; Keras' own by default.
        arrays : sequence of ndarray
            In the spec's order.

        Returns
        -------
        Tensor
        """
        layer = spec(self._unique(name), inputs, **fields)
        shapes_in = [self.shapes[end] for end in layer.inputs]
        shape, array_shapes = layer.output_shape(*shapes_in), layer.array_shapes(*shapes_in)
        limits.check_rank(layer, shape)
        limits.check_entries(layer, "an output", *shape)
        self._count_repeated(arrays)
        for (array, expected), value in zip(array_shapes.items(), arrays, strict=True):
            if np.shape(value) != expected:
                raise Refused(f"has a {array} of shape {np.shape(value)}, expected {expected}")
            self.arrays[f"{layer.name}/{array}"] = value
        self.layers[layer.name], self.shapes[layer.name] = layer, shape
        return Tensor(layer.name, order or tuple(range(len(shape))))

    def _count_repeated(self, arrays):
        """Refuse arrays that a few bytes of a file can make huge: repeated along an axis, not stored with the model."""
        self._n_repeated += sum(np.size(array) for array in arrays if 0 in np.asarray(array).strides)
        if self._n_repeated > limits.ENTRIES_OF_MODEL:
            raise Refused(f"makes more than {limits.ENTRIES_OF_MODEL:,} numbers of a few: make the model smaller")

    def shape(self, tensor):
        """The tensor's shape as Keras sees it, the batch not counted."""
        return tuple(self.shapes[tensor.end][axis] for axis in tensor.axes)

    def arranged(self, tensor, order=None, name=None):
        """Name of a spec whose axis i is axis ``order[i]`` of the tensor; Keras' own order by default."""
        axes = tuple(tensor.axes[i] for i in order or range(len(tensor.axes)))
        if axes == tuple(range(len(axes))):
            return tensor.end
        key = tensor.end, axes
        if key not in self._arranged:
            self._arranged[key] = self.put(specs.Permute, name or f"{tensor.end}_permuted", tensor.end, axes=axes).end
        return self._arranged[key]

    def keras_order(self, tensor):
        """The same tensor, its axes in a spec as they are in Keras."""
        return Tensor(self.arranged(tensor), tuple(range(len(tensor.axes))), tensor.logits_of)

    def with_last(self, tensor, axis):
        """The same tensor, with ``axis`` of it as the last axis of the spec."""
        rank = len(tensor.axes)
        if tensor.axes[axis] == rank - 1:
            return tensor
        order = (*(i for i in range(rank) if i != axis % rank), axis % rank)
        return Tensor(self.arranged(tensor, order), inverse(order), tensor.logits_of)

    def in_one_order(self, tensors):
        """(ends, order): specs that hold the tensors' entries with the axes in one order, if need be Keras' own."""
        if len({tensor.axes for tensor in tensors}) > 1:
            tensors = [self.keras_order(tensor) for tensor in tensors]
        return [tensor.end for tensor in tensors], tensors[0].axes

    def model(self, output, metadata):
        """The Model of all that leads to tensor ``output``."""
        output = self.keras_order(output)
        needed = {output.end}
        for layer in reversed(self.layers.values()):
            needed |= set(layer.inputs) if layer.name in needed else set()
        layers = [layer for layer in self.layers.values() if layer.name in needed]
        arrays = {key: value for key, value in self.arrays.items() if key.rpartition("/")[0] in needed}
        return Model(layers, arrays, output.end, metadata)

    def _unique(self, name):
        n, unique = self._last.get(name, 1), name
        while unique in self.layers:
            n += 1
            unique = f"{name}_{n}"
        self._last[name] = n
        return unique
