"""InputNode: the input of a network, which simulators can feed and to which other objects can be connected."""

from __future__ import annotations

import nengo
import numpy as np

from ..errors import SettingsError


class InputNode(nengo.Node):
    """Node with an output of its own, which passes on its input instead as soon as something is connected to it.

    Nengo has nodes without input, which NengoDL feeds with data and whose ``output`` can be set, and pass-through
    nodes, which can be connected to.  This node is one without input until the first ``nengo.Connection`` to it.

    Parameters
    ----------
    size : int
    label : str
    """

    def __init__(self, size, label):
        super().__init__(np.zeros(size), label=label)

    def _str(self, include_id):
        # NengoDL tells the outputs of nodes from constants by this text
        return super()._str(include_id).replace(type(self).__name__, "Node", 1)

    def pass_on_input(self):
        """Become a pass-through node; raise SettingsError if the node has been given an output."""
        if self.size_in:
            return
        if not isinstance(self.output, np.ndarray) or self.output.any():
            raise SettingsError(
                f"{self} has an output of its own, {self.output}, so nothing can be connected to it: connect a "
                "nengo.Node with this output to a network without it, which network.rebuild() returns",
                argument="post",
            )
        size, self.size_out = self.size_out, None
        self.size_in, self.output = size, None


def _prepared(coerce):
    """Return the check of a connection's target, which first makes input nodes pass on their input."""

    def coerce_target(connection, target):
        node = getattr(target, "obj", target)
        if isinstance(node, InputNode):
            node.pass_on_input()
            if target is not node:  # a view of entries, which were counted when the node had no input
                target.size_in = np.arange(node.size_in)[target.slice].size
        return coerce(connection, target)

    return coerce_target


# Nengo checks the size of the target when a connection is made, and has no other place to prepare a node for it
nengo.Connection.post.coerce = _prepared(nengo.Connection.post.coerce)
