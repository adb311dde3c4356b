"""Exceptions that report a layer which cannot be read, with advice on what to do instead."""


class UnsupportedLayer(Exception):
    """Raised if a layer cannot be read.

    The message continues a sentence that begins with the layer's name and class.  It says why, and what to do instead.
    """


class NotChecked(Exception):
    """Raised if a layer cannot be judged because the shape of its input is unknown; the message says why."""


# advice on what spiking neurons cannot compute
WITHOUT_GATES = "which spiking neurons cannot compute: train a model without gates and squeeze-and-excite blocks"
GATE = f"multiplies tensors, {WITHOUT_GATES}"
QUOTIENT = "divides by a tensor, which spiking neurons cannot: train a model that divides by constants only"
