"""LeftOut: a softmax or sigmoid that is left out at the end of a model, whose scores are then logits."""

import dataclasses
import typing

# for each function that can be left out, what the scores are without it
REMARKS = {
    "softmax": "read out as logits: the class with the largest score stays the same",
    "sigmoid": "read out as its input, the logits: a score above 0 is a probability above 0.5",
}


class LeftOut(typing.NamedTuple):
    """A function that is left out.

    Attributes
    ----------
    layer : str
        Path of the layer that computes it.
    function : str
        "softmax" or "sigmoid".
    """

    layer: str
    function: str


def without(operand):
    """Return an operand without the mark of a function that was left out; others than tensors are unchanged."""
    return dataclasses.replace(operand, left_out=None) if hasattr(operand, "left_out") else operand


def pass_on(report, layer, operands, tensor, rearranges):
    """Return the output of a layer, marked if a function was left out there or in a layer before it.

    A layer that returns its input passes the mark on, and so does one that only rearranges the entries if the function
    is the sigmoid of each entry.  Other layers need the function itself, so the layer that computes it is refused.

    Parameters
    ----------
    report : ReadingReport
    layer : str
        Path of the layer.
    operands : list
        Inputs of the layer.
    tensor : Tensor
        Output of the layer.
    rearranges : bool
        True if the layer keeps all entries.
    """
    own = tensor.left_out
    for operand in operands:
        before = getattr(operand, "left_out", None)
        if before is None:
            continue
        same = tensor.spec == operand.spec
        if own is None and (same or (rearranges and before.function == "sigmoid")):
            return dataclasses.replace(tensor, left_out=before)
        if own is None or own.function != "softmax":  # a softmax of a monotonic function keeps the order
            reason = f"has a {before.function} in the middle of the model, before {layer!r}: it can only be at the end"
            report.set_status(before.layer, "refused", reason)
    if own is not None and own.layer == layer:
        report.set_status(layer, "approximated", REMARKS[own.function])
    return tensor
