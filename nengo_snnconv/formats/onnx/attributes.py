"""Attributes of a node, which notes those that were read."""

import reprlib

from ..shared.refusals import UnsupportedLayer

# numbers of the types of attributes in ONNX -> (kind, field of the message)
_FIELDS = {1: ("float", "f"), 2: ("int", "i"), 3: ("str", "s"), 4: ("tensor", "t"), 6: ("float list", "floats")}
_FIELDS |= {7: ("int list", "ints")}


class Attributes:
    """Attributes of a node.

    An attribute that no reader looks at, such as one of a later version of ONNX, must not be ignored silently.

    Parameters
    ----------
    messages : sequence of AttributeProto
    """

    def __init__(self, messages):
        self._messages = {message.name: message for message in messages}
        self._unread = set(self._messages)

    def __contains__(self, name):
        return name in self._messages

    def _get(self, name, kind, default):
        self._unread.discard(name)
        message = self._messages.get(name)
        if message is None:
            return default
        actual, field = _FIELDS.get(message.type, ("unknown", ""))
        if actual != kind or message.ref_attr_name:
            raise UnsupportedLayer(f"has {name!r}, which must be of type {kind}: export the model again")
        return getattr(message, field)

    def integer(self, name, default=None):
        """Return an integer."""
        return self._get(name, "int", default)

    def flag(self, name, default=False):
        """Return an integer as a bool."""
        return bool(self._get(name, "int", default))

    def number(self, name, default=None):
        """Return a number."""
        return self._get(name, "float", default)

    def numbers(self, name, default=None):
        """Return a list of numbers."""
        value = self._get(name, "float list", default)
        return None if value is None else list(value)

    def integers(self, name, default=None):
        """Return a list of integers."""
        value = self._get(name, "int list", default)
        return None if value is None else list(value)

    def text(self, name, default=""):
        """Return a text."""
        value = self._get(name, "str", default)
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else value

    def tensor(self, name):
        """Return a TensorProto, or None."""
        return self._get(name, "tensor", None)

    def ignore(self, *names):
        """Mark attributes as read because they do not affect the output."""
        self._unread -= set(names)

    def check_all_read(self):
        """Raise UnsupportedLayer if an attribute was not read."""
        if self._unread:
            names = reprlib.repr(sorted(self._unread))
            raise UnsupportedLayer(f"has the attributes {names}, which are not supported: leave them out")
