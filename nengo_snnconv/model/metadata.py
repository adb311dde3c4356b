"""Validation of model metadata that come from a file, as far as the package itself reads them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from .._util.validation import shown
from ..errors import ModelError

# limit of the number of time steps that a file may prescribe
MOST_STEPS = 1_000_000
# functions at the end of a model that readers leave out, so that its scores are logits
HEADS = ("softmax", "sigmoid")
# what outputs were trained for, by the loss
TARGETS = ("values", "classes", "labels")
_METHODS = ("balance", "data", "model")
_ROW = {"layer": str, "class": str, "status": str, "became": list, "remark": str}
_TRAINING = ("schedule", "augmented", "images", "optimizer", "loss")


def check_metadata(metadata: Any, shapes: Mapping[str, tuple]) -> None:
    """Check the metadata that the package reads; other entries are not checked.

    Parameters
    ----------
    metadata : object
    shapes : mapping of str to tuple
        Output shapes of the model's layers.

    Raises
    ------
    ModelError
        If an entry is not as the package writes it.
    """
    if not isinstance(metadata, dict):
        raise ModelError(f"metadata must be a dict, got {type(metadata).__name__}")
    for name, check in _CHECKS.items():
        if name in metadata and not check(metadata[name]):
            raise ModelError(f"the metadata {name!r} were not written by nengo_snnconv: {shown(metadata[name])}")
    for name in ("inputs", "outputs"):
        declared = metadata.get(name, [])
        if len({port["name"] for port in declared}) < len(declared):
            raise ModelError(f"two of the {name} have the same name")
    for name, scales in metadata.get("scales", {}).items():
        if name in shapes and len(scales) not in (1, shapes[name][-1]):
            raise ModelError(f"layer {name!r} has {len(scales)} scales for {shapes[name][-1]} channels", layer=name)
    for name, scales in metadata.get("quantization", {}).get("scales", {}).items():
        if name not in shapes or len(scales) not in (1, shapes[name][-1]):
            raise ModelError(f"the scales of integer weights do not fit a layer {name!r}", layer=name)
    for name, n in metadata.get("split", {}).get("sources", {}).items():
        if name not in shapes or shapes[name][-1] % n:
            raise ModelError(f"neurons behind a layer {name!r} are not split into {n}")


def check_steps(n_steps: Any) -> None:
    """Check the number of time steps that a file prescribes."""
    if not _is_count(n_steps) or n_steps > MOST_STEPS:
        raise ModelError(f"n_steps must be from 1 to {MOST_STEPS:,}, got {shown(n_steps)}")


def _is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_count(value):
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _are_scales(value):
    return isinstance(value, dict) and all(
        isinstance(scales, list) and scales and all(_is_number(scale) and scale > 0 for scale in scales)
        for scales in value.values()
    )


def _is_history(value):
    if not isinstance(value, dict) or not all(isinstance(series, list) for series in value.values()):
        return False
    if value and "loss" not in value:
        return False
    same_length = len({len(series) for series in value.values()}) <= 1
    are_numbers = all(number is None or _is_number(number) for series in value.values() for number in series)
    return same_length and are_numbers and all(value.values())


def _are_trainings(value):
    return isinstance(value, list) and all(
        isinstance(run, dict)
        and run.keys() >= set(_TRAINING)
        and ("normalization" not in run or _is_normalization(run["normalization"]))
        for run in value
    )


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


def _is_quantization(value):
    if not isinstance(value, dict) or not _are_scales(value.get("scales")):
        return False
    errors = value.get("errors")
    return (
        _is_count(value.get("bits"))
        and isinstance(value.get("per"), str)
        and isinstance(errors, dict)
        and all(
            isinstance(of_layer, dict) and "weights" in of_layer and all(map(_is_number, of_layer.values()))
            for of_layer in errors.values()
        )
    )


def _is_split(value):
    return (
        isinstance(value, dict)
        and value.keys() == {"neurons", "sources", "readers"}
        and all(isinstance(parts, dict) and all(map(_is_count, parts.values())) for parts in value.values())
    )


def _are_names(value):
    return isinstance(value, dict) and all(isinstance(name, str) for name in value.values())


def _is_range(value):
    if value is None:  # unknown
        return True
    return _is_pair(value) and value[0] < value[1]


def _is_pair(value):
    return isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))


def _are_ports(value):
    return (
        isinstance(value, list)
        and len(value) > 1
        and all(
            isinstance(port, dict)
            and isinstance(port.get("name"), str)
            and port["name"]
            and isinstance(port.get("shape"), list)
            and port["shape"]
            and all(map(_is_count, port["shape"]))
            and port.get("function") in (None, *HEADS)
            and port.get("scaled") in (None, True, False)
            and port.get("targets") in (None, *TARGETS)
            and (port.get("loss_weight") is None or _is_number(port["loss_weight"]))
            for port in value
        )
    )


_CHECKS = {
    "scales": _are_scales,
    "history": _is_history,
    "training": _are_trainings,
    "reading": _is_reading,
    "normalization": _is_normalization,
    "quantization": _is_quantization,
    "split": _is_split,
    "n_steps": lambda value: _is_count(value) and value <= MOST_STEPS,
    "neurons before maxima": _are_names,
    "input_range": _is_range,
    "head": lambda value: value in HEADS,
    "targets": lambda value: value in TARGETS,
    "calibration_range": lambda value: isinstance(value, dict) and all(map(_is_pair, value.values())),
    "inputs": _are_ports,
    "outputs": _are_ports,
}
