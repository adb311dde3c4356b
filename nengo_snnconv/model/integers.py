"""Integer weights: arrays of a model that are integers times scales.

``metadata["quantization"]["scales"]`` holds the scales of each layer, one for each output channel or one for all.  The
arrays themselves are float32, as those of any model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import ModelError
from .graph import Model

# a bias is added in an accumulator, with 6 bits after the point of a weight, as in Loihi, and 24 bits in total
BIAS_FRACTION_BITS = 6
ACCUMULATOR_BITS = 24
LARGEST_BIAS = 2 ** (ACCUMULATOR_BITS - 1) - 1


def unit_of(array: str, scales: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return the value of an integer of 1 in the array of a given name, such as "conv1/kernel", as float32."""
    unit = np.asarray(scales, np.float32)
    return unit / np.float32(2**BIAS_FRACTION_BITS) if array.endswith("/bias") else unit


def integer_arrays(model: Model) -> dict[str, np.ndarray]:
    """Return the arrays of a model that are integers times scales, as integers.

    Returns
    -------
    dict of str to ndarray
        Weights as int8, biases as int32.  Arrays that changed since they were quantized are left out.
    """
    found = {}
    for name, scales in model.metadata.get("quantization", {}).get("scales", {}).items():
        for array in model.array_names(name):
            dtype, limit = (np.int32, LARGEST_BIAS) if array.endswith("/bias") else (np.int8, 127)
            integers = np.clip(np.rint(model.arrays[array] / unit_of(array, scales)), -limit, limit).astype(dtype)
            if np.array_equal(from_integers(array, integers, scales), model.arrays[array]):
                found[array] = integers
    return found


def from_integers(array: str, integers: np.ndarray, scales: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return the float32 array of given integers: each is the integer times its unit, rounded once."""
    return np.asarray(integers, np.float32) * unit_of(array, scales)


def scaled_layer(model: Model, name: str, factor: float) -> Model:
    """Return the model with the arrays of a layer times a factor; integers stay the same, with other scales."""
    arrays = {array: model.arrays[array] * np.float32(factor) for array in model.array_names(name)}
    metadata, integers = model.metadata, integer_arrays(model)
    if arrays.keys() <= integers.keys():
        quantization = metadata["quantization"]
        scales = unit_of(name, quantization["scales"][name]) * np.float32(factor)
        arrays = {array: from_integers(array, integers[array], scales) for array in arrays}
        scales_of = {**quantization["scales"], name: scales.tolist()}
        metadata = {**metadata, "quantization": {**quantization, "scales": scales_of}}
    return model.replace(arrays=arrays, metadata=metadata)


def read_integers(integers: Mapping[str, np.ndarray], metadata: Any) -> dict[str, np.ndarray]:
    """Return the float32 arrays of the integers in a file; raise ModelError if their scales do not fit."""
    arrays = {}
    for array, values in integers.items():
        scales = np.asarray(metadata["quantization"]["scales"][array.rpartition("/")[0]], np.float64)
        if values.dtype.kind != "i" or scales.ndim != 1 or len(scales) not in (1, *values.shape[-1:]):
            raise ModelError(f"array {array!r} of {values.dtype}, {values.shape}, does not fit {scales.shape} scales")
        with np.errstate(over="ignore", invalid="ignore"):
            arrays[array] = from_integers(array, values, scales)
    return arrays
