"""Use: one call of a Keras layer, as the functions see it that make specs of it."""

import dataclasses

from .builder import Builder, Refused, Tensor

# they say how training starts or goes on, or repeat what the graph says
IGNORED = {"name", "trainable", "dtype", "batch_input_shape", "batch_shape", "function", "quantization_config"}
IGNORED_ENDS = ("_initializer", "_regularizer", "_constraint")


class Options:
    """A layer's configuration, which notes what was read: an option that nobody heeds must not pass in silence."""

    def __init__(self, values):
        self._values = values
        self._unread = {key for key in values if key not in IGNORED and not key.endswith(IGNORED_ENDS)}

    def __getitem__(self, key):
        self._unread.discard(key)
        return self._values[key]

    def get(self, key, default=None):
        return self[key] if key in self._values else default

    def ignore(self, *keys):
        """Note that ``keys`` change nothing that matters; all that are left, without an argument."""
        self._unread -= set(keys or self._unread)

    def unheeded(self):
        """The options that were not read and are not off: {key: value}."""
        return {key: self._values[key] for key in sorted(self._unread) if self._values[key] not in (None, False)}


@dataclasses.dataclass
class Use:
    """One call of a Keras layer.

    Attributes
    ----------
    build : Builder
    name : str
        The layer's name, behind the names of the models that it is nested in; its specs are called after it.
    config : Options
    operands : list of Tensor or ndarray
        What it is called with.
    weights : list of ndarray
    activation : object
        The live layer's own activation function, where it has one.
    role : str
        "end" of a layer that gives the output of the model, "gate" of one that is multiplied by another; it matters for
        what is advised.
    """

    build: Builder
    name: str
    config: Options
    operands: list
    weights: list
    activation: object = None
    role: str = ""

    @property
    def tensor(self):
        """The one tensor that it reads."""
        if len(self.operands) != 1 or not isinstance(self.operands[0], Tensor):
            raise Refused(f"is called with {len(self.operands)} arguments, expected one tensor")
        return self.operands[0]

    @property
    def pair(self):
        """The two operands."""
        if len(self.operands) != 2:
            raise Refused(f"is called with {len(self.operands)} arguments, expected two")
        return self.operands

    @property
    def shape(self):
        """Shape of :attr:`tensor` in Keras, the batch not counted."""
        return self.build.shape(self.tensor)

    def axis(self, axis, rank=None):
        """A Keras axis, which counts the batch, as an axis that does not."""
        rank = len(self.tensor.axes) if rank is None else rank
        axis = axis if axis >= 0 else axis + rank + 1
        if not 1 <= axis <= rank:
            raise Refused(f"works along axis {axis}, the batch, which holds one item here: use another axis")
        return axis - 1

    def arrays(self, *names):
        """The layer's weights, which must be as many as there are ``names``."""
        if len(self.weights) != len(names):
            raise Refused(f"has {len(self.weights)} arrays in Keras, expected {', '.join(names)}")
        return self.weights

    def put(self, spec, inputs=(), suffix="", **fields):
        """Add a spec named after the layer; see :meth:`Builder.put`."""
        return self.build.put(spec, self.name + suffix, inputs, **fields)
