"""round_weights: weights and biases rounded to integers with scales, as chips store them."""

from __future__ import annotations

import numpy as np

from ..model import Model
from ..model import layers as specs
from ..model.integers import BIAS_FRACTION_BITS, LARGEST_BIAS, from_integers, unit_of
from .untie_shortcuts import WEIGHTED


def round_weights(model: Model, bits: int, per: str = "channel") -> Model:
    """Round weights and biases to multiples of a scale.

    Given    any model.
    Result   the same layers.  Weights are integers from -(2^(bits - 1) - 1) to 2^(bits - 1) - 1 times a scale of their
             output channel, or of their layer; biases are integers times 1/64 of it.  Layers that a sum adds have the
             same scales, as the weights of one neuron have.  ``metadata["quantization"]`` holds the scales and the
             relative error of the weights of each layer, and ``ann_arrays`` the arrays before.
    """
    largest = 2 ** (bits - 1) - 1
    groups = groups_of_scales(model)
    scales_of: dict[int, np.ndarray] = {}
    for name, group in groups.items():
        scales = _smallest_scales(model.arrays_of(name), largest)
        scales_of[group] = np.maximum(scales, scales_of.get(group, 0))
    arrays, declared, errors = {}, {}, {}
    for name, group in groups.items():
        scales = scales_of[group] if per == "channel" else scales_of[group].max(keepdims=True)
        scales = np.where(scales > 0, scales, np.float32(1))  # of weights that are all zero
        declared[name] = scales.tolist()
        for key in model.array_names(name):
            arrays[key] = rounded(key, model.arrays[key], scales, largest)
            if not key.endswith("/bias"):
                errors[name] = {"weights": relative_error(arrays[key], model.arrays[key])}
    changed = {key: model.arrays[key] for key in arrays if not np.array_equal(arrays[key], model.arrays[key])}
    description = {"bits": bits, "per": per, "scales": declared, "errors": errors}
    return model.replace(
        arrays=arrays,
        metadata={**model.metadata, "quantization": description},
        ann_arrays={**changed, **model.ann_arrays},
    )


def rounded(key: str, array: np.ndarray, scales: np.ndarray, largest: int) -> np.ndarray:
    """Return the array of a name, such as "conv1/kernel", rounded to the nearest multiples of its unit."""
    limit = LARGEST_BIAS if key.endswith("/bias") else largest
    integers = np.clip(np.rint(array / unit_of(key, scales)), -limit, limit).astype(np.int32)
    return from_integers(key, integers, scales)


def relative_error(values: np.ndarray, exact: np.ndarray) -> float:
    """Return the Euclidean norm of an error relative to that of the exact values; 0 if these are all zero."""
    norm = np.linalg.norm(np.asarray(exact, np.float64))
    return float(np.linalg.norm(np.asarray(values, np.float64) - exact) / norm) if norm else 0.0


def _smallest_scales(arrays, largest):
    """Return the smallest scale of each channel with which its weights and its bias are within their ranges."""
    weights = arrays["scale" if "scale" in arrays else "kernel"]
    scales = np.abs(weights).reshape(-1, weights.shape[-1]).max(axis=0) / np.float32(largest)
    if "bias" in arrays:
        scales = np.maximum(scales, np.abs(arrays["bias"]) * np.float32(2**BIAS_FRACTION_BITS / LARGEST_BIAS))
    return scales


def groups_of_scales(model: Model) -> dict[str, int]:
    """Return the number of the group of each layer with weights: sums read all layers of a group directly."""
    groups = {name: i for i, (name, layer) in enumerate(model.layers.items()) if isinstance(layer, WEIGHTED)}
    members: dict[str, list[str]] = {name: [name] for name in groups}
    for name, layer in model.layers.items():
        if isinstance(layer, specs.Add):
            members[name] = [member for source in dict.fromkeys(layer.inputs) for member in members.get(source, ())]
            joined = {groups[member] for member in members[name]}
            groups = {key: min(joined) if group in joined else group for key, group in groups.items()}
    return groups
