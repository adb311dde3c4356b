"""LayerCall: one call of a Keras layer, passed to the function that reads the layer."""

import dataclasses

from ..shared.refusals import UnsupportedLayer
from ..shared.spec_builder import SpecBuilder, Tensor

# options that only matter for training, or repeat the graph
IGNORED = {"name", "trainable", "dtype", "batch_input_shape", "batch_shape", "function", "quantization_config"}
IGNORED_ENDINGS = ("_initializer", "_regularizer", "_constraint")


class LayerOptions:
    """Configuration of a layer, which notes the options that were read.

    An option that no reader looks at, such as one of a later Keras version, must not be ignored silently.

    Parameters
    ----------
    values : dict
    """

    def __init__(self, values):
        self._values = values
        self._unread = {key for key in values if key not in IGNORED and not key.endswith(IGNORED_ENDINGS)}

    def __getitem__(self, key):
        self._unread.discard(key)
        return self._values[key]

    def get(self, key, default=None):
        """Return an option, or ``default`` if the configuration lacks it."""
        return self[key] if key in self._values else default

    def ignore(self, *keys):
        """Mark options as read because they do not affect the output; all remaining ones if no key is given."""
        self._unread -= set(keys or self._unread)

    def unread(self):
        """Return the options that were not read and are neither None nor False, as a dict."""
        return {key: self._values[key] for key in sorted(self._unread) if self._values[key] not in (None, False)}


@dataclasses.dataclass
class LayerCall:
    """One call of a Keras layer.

    Attributes
    ----------
    builder : SpecBuilder
        Collects the specs.
    name : str
        Path of the layer: the names of the nested models that contain it, and its own; the prefix of its specs' names.
    options : LayerOptions
        Configuration of the layer and keyword arguments of the call.
    operands : list of Tensor or ndarray
        Positional arguments of the call.
    weights : list of ndarray
        Arrays of the layer, in Keras' order.
    activation : callable or None
        Activation function of the live layer; None for a layer of a file.
    role : str
        "output" if the layer computes the output of the model, "scaled output" if others only scale and shift it
        afterwards, "gate" if its output is multiplied by another tensor, else "".  Advice in error messages depends on
        it, and whether a sigmoid can be left out.
    """

    builder: SpecBuilder
    name: str
    options: LayerOptions
    operands: list
    weights: list
    activation: object = None
    role: str = ""

    @property
    def tensor(self):
        """The only operand, which must be a tensor."""
        if len(self.operands) != 1 or not isinstance(self.operands[0], Tensor):
            raise UnsupportedLayer(f"is called with {len(self.operands)} arguments, expected one tensor")
        return self.operands[0]

    @property
    def pair(self):
        """The two operands."""
        if len(self.operands) != 2:
            raise UnsupportedLayer(f"is called with {len(self.operands)} arguments, expected two")
        return self.operands

    @property
    def shape(self):
        """Shape of :attr:`tensor` in Keras, without the batch axis."""
        return self.builder.shape(self.tensor)

    def axis_without_batch(self, axis, rank=None):
        """Convert an axis in Keras' numbering, which includes the batch axis, to one from 0 to ``rank`` - 1."""
        rank = len(self.tensor.axes) if rank is None else rank
        axis = axis if axis >= 0 else axis + rank + 1
        if not 1 <= axis <= rank:
            raise UnsupportedLayer(f"works along axis {axis}, the batch axis: use another axis")
        return axis - 1

    def arrays(self, *names):
        """Return the weights of the layer, after checking that there is one for each of ``names``."""
        if len(self.weights) != len(names):
            raise UnsupportedLayer(f"has {len(self.weights)} arrays in Keras, expected {', '.join(names)}")
        return self.weights

    def add_spec(self, spec_class, inputs=(), suffix="", **fields):
        """Add a spec whose name is that of the layer and ``suffix``; see :meth:`.SpecBuilder.add_spec`."""
        return self.builder.add_spec(spec_class, self.name + suffix, inputs, **fields)
