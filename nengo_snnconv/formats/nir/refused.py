"""UnsupportedNode: why a node of NIR cannot be read."""

import numpy as np


class UnsupportedNode(Exception):
    """Raised if a node cannot be read.

    The message continues a sentence that begins with the node's name and class.  It says why, and what to do instead.
    """


def shown_values(values):
    """Return the range of numbers for messages."""
    values = np.asarray(values)
    return f"from {values.min():g} to {values.max():g}"
