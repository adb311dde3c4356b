"""The metadata that this package itself keeps with a model, checked where they come from a file."""

import math

from .._util.validation import shown
from ..errors import ModelError

# steps of a run that a network asks for by itself
MOST_STEPS = 1_000_000
_METHODS = ("balance", "data", "model")
_ROW = {"layer": str, "class": str, "status": str, "became": list, "remark": str}
_TRAINING = ("schedule", "augmented", "images", "optimizer", "loss")


def check_metadata(metadata, shapes):
    """Raise ModelError where metadata that the package reads are not what it writes; others may be anything.

    Parameters
    ----------
    metadata : object
    shapes : mapping of str to tuple
        Of the outputs of the model's layers.
    """
    if not isinstance(metadata, dict):
        raise ModelError(f"metadata must be a dict, got {type(metadata).__name__}")
    for name, check in _CHECKS.items():
        if name in metadata and not check(metadata[name]):
            raise ModelError(f"the metadata {name!r} are not what nengo_snnconv writes: {shown(metadata[name])}")
    for name, scales in metadata.get("scales", {}).items():
        if name in shapes and len(scales) not in (1, shapes[name][-1]):
            raise ModelError(f"layer {name!r} has {len(scales)} scales for {shapes[name][-1]} channels")


def check_steps(n_steps):
    """Raise ModelError for a number of steps that no run has."""
    if not _is_count(n_steps) or n_steps > MOST_STEPS:
        raise ModelError(f"n_steps must be from 1 to {MOST_STEPS:,}, got {shown(n_steps)}")


def _is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_count(value):
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _are_scales(value):
    return isinstance(value, dict) and all(
        isinstance(each, list) and each and all(_is_number(number) and number > 0 for number in each)
        for each in value.values()
    )


def _is_history(value):
    if not isinstance(value, dict) or not all(isinstance(each, list) for each in value.values()):
        return False
    if value and "loss" not in value:
        return False
    same_length = len({len(each) for each in value.values()}) <= 1
    figures = all(number is None or _is_number(number) for each in value.values() for number in each)
    return same_length and figures and all(value.values())


def _are_trainings(value):
    return isinstance(value, list) and all(isinstance(how, dict) and how.keys() >= set(_TRAINING) for how in value)


def _is_reading(value):
    return isinstance(value, list) and all(
        isinstance(row, dict)
        and all(isinstance(row.get(key), kind) for key, kind in _ROW.items())
        and all(isinstance(name, str) for name in row["became"])
        for row in value
    )


def _is_normalization(value):
    if not isinstance(value, dict) or value.get("method") not in _METHODS:
        return False
    return all(_is_number(value[key]) for key in ("percentile", "images") if value.get(key) is not None)


def _are_names(value):
    return isinstance(value, dict) and all(isinstance(each, str) for each in value.values())


def _is_range(value):
    if value is None:  # it cannot be told
        return True
    return isinstance(value, list) and len(value) == 2 and all(map(_is_number, value)) and value[0] < value[1]


_CHECKS = {
    "scales": _are_scales,
    "history": _is_history,
    "training": _are_trainings,
    "reading": _is_reading,
    "normalization": _is_normalization,
    "n_steps": lambda value: _is_count(value) and value <= MOST_STEPS,
    "neurons before maxima": _are_names,
    "input_range": _is_range,
}
