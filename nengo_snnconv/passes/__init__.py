"""Passes: functions from a model to an equivalent model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..model import Model
from .drop_dropout import drop_dropout
from .fix_statistics import fix_statistics
from .fold_affine import fold_affine
from .quantize import quantize
from .rectify_before_max import rectify_before_max
from .rectify_sums_before_max import rectify_sums_before_max
from .rescale import Units, find_units, rescale, restore_output_scale
from .round_weights import round_weights
from .split_rectifiers import split_rectifiers
from .spread_affine import spread_affine
from .untie_shortcuts import insert_scales, untie_shortcuts

# The order matters: fold_affine needs scales next to their convolutions, without dropout in between, and
# rectify_before_max inspects the consumers of a maximum in the simplified graph.  spread_affine moves only the scales
# that could not be folded where they were.
# for neurons with state, which cannot be exchanged with a maximum
FOLDING = (fix_statistics, drop_dropout, fold_affine, spread_affine, fold_affine)
CONVERSION = (*FOLDING, rectify_before_max)


def simplify(model: Model, passes: Sequence[Callable[[Model], Model]] = CONVERSION) -> Model:
    """Return the model after all ``passes``, in order."""
    for apply in passes:
        model = apply(model)
    return model


__all__ = [
    "CONVERSION",
    "FOLDING",
    "Units",
    "drop_dropout",
    "find_units",
    "fix_statistics",
    "fold_affine",
    "insert_scales",
    "quantize",
    "rectify_before_max",
    "rectify_sums_before_max",
    "rescale",
    "simplify",
    "restore_output_scale",
    "round_weights",
    "split_rectifiers",
    "spread_affine",
    "untie_shortcuts",
]
