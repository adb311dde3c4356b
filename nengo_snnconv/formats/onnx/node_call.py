"""NodeCall: one node of an ONNX graph, passed to the function that reads it."""

import dataclasses
import math

import numpy as np

from ..shared.refusals import UnsupportedLayer
from .attributes import Attributes
from .tensors import OnnxBuilder, OnnxTensor, is_item_constant

MAX_REPEATED = 2**28  # entries of arrays that several nodes use, all uses but the first added up


class Uses:
    """Counts the entries of constants that are used more than once, since a small file could ask for huge copies."""

    def __init__(self):
        self._seen, self._n_repeated = set(), 0

    def count(self, array):
        """Count one use of an array."""
        if id(array) in self._seen:
            self._n_repeated += array.size
            if self._n_repeated > MAX_REPEATED:
                raise UnsupportedLayer(
                    f"and other layers share more than {MAX_REPEATED:,} numbers: make the model smaller"
                )
        self._seen.add(id(array))


@dataclasses.dataclass
class NodeCall:
    """One node of an ONNX graph.

    Attributes
    ----------
    builder : OnnxBuilder
        Collects the specs.
    name : str
        Name of the node, and the prefix of its specs' names.
    kind : str
        Operator.
    opset : int
        Version of the operators.
    n_batch : int
        Number of items in the batch for which the shapes of the graph are read.
    attributes : Attributes
    operands : list of OnnxTensor, ndarray or None
        Inputs; None for one that is left out.
    n_outputs : int
    uses : Uses
    role : str
        "output" if the node computes the output of the model, else "".  Only advice depends on it.
    """

    builder: OnnxBuilder
    name: str
    kind: str
    opset: int
    n_batch: int
    attributes: Attributes
    operands: list
    n_outputs: int
    uses: Uses
    role: str = ""

    @property
    def tensor(self):
        """The first input, which must be a tensor."""
        if not self.operands or not isinstance(self.operands[0], OnnxTensor):
            raise UnsupportedLayer("takes a constant as its first input: compute it before the export")
        return self.operands[0]

    @property
    def shape(self):
        """Shape of :attr:`tensor` in ONNX, without the batch axis."""
        return self.builder.shape(self.tensor)

    def add_spec(self, spec_class, inputs=(), suffix="", **fields):
        """Add a spec whose name is that of the node and ``suffix``; see :meth:`.SpecBuilder.add_spec`."""
        return self.builder.add_spec(spec_class, self.name + suffix, inputs, **fields)

    def operand(self, index):
        """Return an input, or None if it is left out."""
        return self.operands[index] if index < len(self.operands) else None

    def constant(self, index, meaning):
        """Return an input that must be a constant, or None if it is left out.

        Raises
        ------
        UnsupportedLayer
            If it is computed from the image; ``meaning`` names it, as in "weights".
        """
        value = self.operand(index)
        if isinstance(value, OnnxTensor):
            raise UnsupportedLayer(
                f"computes its {meaning} from the image, which is not supported: use constant {meaning}"
            )
        return value

    def weights(self, index, meaning):
        """Return an input that must be a constant of finite numbers, or None if it is left out."""
        value = self.constant(index, meaning)
        if value is None:
            return None
        self.uses.count(value)
        if value.dtype.kind not in "fiu":
            raise UnsupportedLayer(f"has {meaning} of type {value.dtype}: use float")
        if not np.isfinite(value).all():
            raise UnsupportedLayer("holds NaN or infinity: its training diverged, so train the model again")
        return value

    def integers(self, index, name, default=None):
        """Return integers that are an attribute in older opsets and a constant input in newer ones, as a list."""
        value = self.constant(index, name)
        if value is None:
            return self.attributes.integers(name, default)
        if value.dtype.kind not in "iu" or value.ndim > 1 or value.size > 64:
            raise UnsupportedLayer(f"has {name} that are not a few integers: export the model again")
        return [int(n) for n in value.ravel()]

    def scalar(self, index, meaning):
        """Return a constant input of one number as a float, or None if it is left out."""
        value = self.constant(index, meaning)
        if value is None:
            return None
        if value.size != 1 or value.dtype.kind not in "fiub":
            raise UnsupportedLayer(f"has {meaning} of shape {value.shape}: give one number")
        return float(value.ravel()[0])

    def item_axis(self, axis, rank=None):
        """Convert an axis in ONNX' numbering, which includes the batch axis, to one from 0 to ``rank`` - 1."""
        rank = len(self.shape) if rank is None else rank
        position = axis if axis >= 0 else axis + rank + 1
        if position == 0:
            raise UnsupportedLayer(f"works along axis {axis}, the batch axis: use another axis")
        if not 1 <= position <= rank:
            raise UnsupportedLayer(f"works along axis {axis}, which a tensor of {rank + 1} axes lacks: export it again")
        return position - 1

    def item_shape(self, shape):
        """Return a shape without the batch axis, which must be the first."""
        if not shape or shape[0] != self.n_batch:
            raise UnsupportedLayer(
                f"makes the shape {tuple(shape)} of a batch of {self.n_batch}, so that it mixes the items of a batch: "
                "keep the batch as the first axis"
            )
        return tuple(shape[1:])

    def item_values(self, values, rank):
        """Return a constant that is combined with items of ``rank`` axes, in an array of as many axes.

        The result does not depend on the position in the batch.
        """
        values = np.asarray(values)
        if values.ndim > rank + 1:
            raise UnsupportedLayer(
                f"has a constant of shape {values.shape}, with more axes than the tensor: reshape it"
            )
        if values.ndim == rank + 1:
            if len(values) not in (1, self.n_batch) or not is_item_constant(values):
                raise UnsupportedLayer(
                    f"has a constant of shape {values.shape} that differs between items: use one for all"
                )
            values = values[0]
        return values.reshape((1,) * (rank - values.ndim) + values.shape)

    def n_entries(self):
        """Return the number of entries of :attr:`tensor`."""
        return math.prod(self.shape)
