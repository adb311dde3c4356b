"""SpecBuilder: collects the specs that a foreign model is turned into, and tracks the order of axes."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from ...model import Model, limits
from ...model import layers as specs
from ...model.ports import as_metadata
from .left_out import LeftOut
from .refusals import UnsupportedLayer


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A tensor of the foreign model, without the batch axis.

    Specs of convolution and pooling take channels-last images only.  In a channels-first model, a tensor keeps their
    axis order until a layer needs the original one, so that no axes are permuted between two convolutions.

    Attributes
    ----------
    spec : str
        Name of the spec whose output holds the entries.
    axes : tuple of int
        Axis ``i`` of the tensor is axis ``axes[i]`` of the spec's output.
    left_out : LeftOut or None
        Softmax or sigmoid that was left out, if any: the tensor holds its logits.
    """

    spec: str
    axes: tuple[int, ...]
    left_out: LeftOut | None = None


def inverse_permutation(order):
    """Return the permutation that undoes ``order``."""
    return tuple(order.index(i) for i in range(len(order)))


class SpecBuilder:
    """Collects specs, their arrays and their output shapes.

    Attributes
    ----------
    layers : dict of str to spec
    arrays : dict of str to ndarray
        Keys are "spec/array".
    shapes : dict of str to tuple of int
        Output shape of each spec, without the batch axis.
    """

    def __init__(self):
        self.layers, self.arrays, self.shapes = {}, {}, {}
        self._permuted = {}
        self._n_repeated, self._last_numbers = 0, {}

    def add_spec(self, spec_class, name, inputs=(), order=None, arrays=(), **fields):
        """Add a spec and its arrays.

        Parameters
        ----------
        spec_class : type
            Class of the spec, which is created with ``fields``.
        name : str
            Name of the spec; _2, _3, ... is appended if it is taken.
        inputs : str or sequence of str
            Names of the input specs.
        order : tuple of int, optional
            ``axes`` of the returned tensor; the axes of the spec by default.
        arrays : sequence of ndarray
            Arrays, in the spec's order.

        Returns
        -------
        Tensor
            Output of the spec.
        """
        layer = spec_class(self._unique(name), inputs, **fields)
        input_shapes = [self.shapes[spec] for spec in layer.inputs]
        shape, array_shapes = layer.output_shape(*input_shapes), layer.array_shapes(*input_shapes)
        limits.check_rank(layer, shape)
        limits.check_entries(layer, "an output", *shape)
        self._count_repeated(arrays)
        for (array, expected), value in zip(array_shapes.items(), arrays, strict=True):
            if np.shape(value) != expected:
                raise UnsupportedLayer(f"has a {array} of shape {np.shape(value)}, expected {expected}")
            self.arrays[f"{layer.name}/{array}"] = value
        self.layers[layer.name], self.shapes[layer.name] = layer, shape
        return Tensor(layer.name, order or tuple(range(len(shape))))

    def _count_repeated(self, arrays):
        """Limit the size of arrays that repeat few stored numbers, since a small file could ask for huge ones."""
        self._n_repeated += sum(np.size(array) for array in arrays if 0 in np.asarray(array).strides)
        if self._n_repeated > limits.ENTRIES_OF_MODEL:
            raise UnsupportedLayer(
                f"repeats a few numbers more than {limits.ENTRIES_OF_MODEL:,} times: make the model smaller"
            )

    def shape(self, tensor):
        """Return the tensor's shape in the foreign model, without the batch axis."""
        return tuple(self.shapes[tensor.spec][axis] for axis in tensor.axes)

    def spec_in_order(self, tensor, order=None, name=None):
        """Return the name of a spec whose axis ``i`` is axis ``order[i]`` of the tensor; all in order by default.

        A Permute spec is added if necessary.
        """
        axes = tuple(tensor.axes[i] for i in order or range(len(tensor.axes)))
        if axes == tuple(range(len(axes))):
            return tensor.spec
        key = tensor.spec, axes
        if key not in self._permuted:
            permuted = self.add_spec(specs.Permute, name or f"{tensor.spec}_permuted", tensor.spec, axes=axes)
            self._permuted[key] = permuted.spec
        return self._permuted[key]

    def in_original_order(self, tensor):
        """Return the tensor with a spec whose axes are in the order of the tensor's own."""
        return Tensor(self.spec_in_order(tensor), tuple(range(len(tensor.axes))), tensor.left_out)

    def with_axis_last(self, tensor, axis):
        """Return the tensor with a spec whose last axis is ``axis`` of the tensor."""
        rank = len(tensor.axes)
        if tensor.axes[axis] == rank - 1:
            return tensor
        order = (*(i for i in range(rank) if i != axis % rank), axis % rank)
        return Tensor(self.spec_in_order(tensor, order), inverse_permutation(order), tensor.left_out)

    def in_common_order(self, tensors):
        """Return (spec names, axes) of tensors in one axis order: their own if all agree, else the original one."""
        if len({tensor.axes for tensor in tensors}) > 1:
            tensors = [self.in_original_order(tensor) for tensor in tensors]
        return [tensor.spec for tensor in tensors], tensors[0].axes

    def model(self, inputs, outputs, metadata):
        """Return the Model that computes tensors, without specs that they do not depend on.

        Parameters
        ----------
        inputs : dict of str to str
            Spec of each input, by name.  Several become one vector, of which a spec with the name of each input takes
            its entries.
        outputs : dict of str to Tensor
            Several become one vector, one after another.
        metadata : dict
            The names, shapes and functions of inputs and outputs are added.
        """
        metadata = dict(metadata)
        if len(outputs) == 1:
            (output,) = outputs.values()
            output = self.in_original_order(output)
            if output.left_out is not None:
                metadata["head"] = output.left_out.function
        else:
            output, metadata["outputs"] = self._joined(outputs)
        needed = {output.spec}
        for layer in reversed(self.layers.values()):
            needed |= set(layer.inputs) if layer.name in needed else set()
        layers = [layer for layer in self.layers.values() if layer.name in needed]
        if len(inputs) > 1:
            shapes = {name: self.shapes[spec] for name, spec in inputs.items()}
            metadata["inputs"] = as_metadata((name, shape, None) for name, shape in shapes.items())
            layers = self._with_one_input([layer for layer in layers if layer.name not in inputs.values()], inputs)
        arrays = {key: value for key, value in self.arrays.items() if key.rpartition("/")[0] in needed}
        return Model(layers, arrays, output.spec, metadata)

    def _joined(self, outputs):
        """Return the vector of several outputs, and the metadata on them."""
        ports, flat = [], []
        for name, tensor in outputs.items():
            tensor = self.in_original_order(tensor)
            function = None if tensor.left_out is None else tensor.left_out.function
            ports.append((name, self.shapes[tensor.spec], function))
            is_flat = len(tensor.axes) == 1
            flat.append(tensor if is_flat else self.add_spec(specs.Flatten, f"{tensor.spec}_flat", tensor.spec))
        return self.add_spec(specs.Concatenate, "outputs", [tensor.spec for tensor in flat]), as_metadata(ports)

    def _with_one_input(self, layers, inputs):
        """Return layers that begin with one input vector, from which the specs of ``inputs`` take their entries."""
        vector = self._unique("inputs")
        size, start, first = sum(math.prod(self.shapes[spec]) for spec in inputs.values()), 0, []
        for spec in inputs.values():
            shape = self.shapes[spec]
            end = start + math.prod(shape)
            taken = spec if len(shape) == 1 else self._unique(f"{spec}_entries")
            first.append(specs.Pad(taken, vector, before=(-start,), after=(end - size,)))
            if len(shape) > 1:
                first.append(specs.Reshape(spec, taken, shape=shape))
            start = end
        return [specs.Input(vector, shape=(size,)), *first, *layers]

    def _unique(self, name):
        n, unique = self._last_numbers.get(name, 1), name
        while unique in self.layers:
            n += 1
            unique = f"{name}_{n}"
        self._last_numbers[name] = n
        return unique
