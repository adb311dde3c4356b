"""Passes: functions that turn a model into another one that computes the same."""

from .drop_dropout import drop_dropout
from .fold_affine import fold_affine
from .rectify_before_max import rectify_before_max
from .rectify_sums_before_max import rectify_sums_before_max
from .rescale import Units, find_units, rescale, with_own_output

# in this order: without dropout in between, scales find the convolution that they belong to; the last one asks what
# reads a maximum, and is to see the graph that the others leave
CONVERSION = (drop_dropout, fold_affine, rectify_before_max)
# for neurons with a memory, which a maximum cannot be moved past
FOLDING = (drop_dropout, fold_affine)


def simplify(model, passes=CONVERSION):
    """The model after all passes of a conversion."""
    for one_pass in passes:
        model = one_pass(model)
    return model


__all__ = [
    "CONVERSION",
    "FOLDING",
    "Units",
    "drop_dropout",
    "find_units",
    "fold_affine",
    "rectify_before_max",
    "rectify_sums_before_max",
    "rescale",
    "simplify",
    "with_own_output",
]
