"""UnsupportedNode, and advice on nodes of NIR that cannot be read."""

import numpy as np

ADVICE = {
    "Delay": "delays its input, which layers here cannot: train the network without delays",
    "I": "integrates without spikes, which is supported at the end only: put it before the Output node",
    "LI": "integrates without spikes, which is not supported: remove it; scores are summed over time here",
    "CubaLI": "integrates without spikes, which is not supported: remove it; scores are summed over time here",
}


class UnsupportedNode(Exception):
    """Raised if a node cannot be read.

    The message continues a sentence that begins with the node's name and class.  It says why, and what to do instead.
    """


def shown_values(values):
    """Return the range of numbers for messages."""
    values = np.asarray(values)
    return f"from {values.min():g} to {values.max():g}"
