"""Validation of arrays of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import SettingsError
from .values import argument_of

LARGEST_FLOAT = float(np.finfo(np.float32).max)
LARGEST_EXACT = 2**24  # float32 represents all integers up to this one


def as_array(values: Any, name: str, of: str = "numbers") -> np.ndarray:
    """Return ``values`` as an array of real numbers; booleans become 0 and 1.

    Parameters
    ----------
    values : array_like
    name : str
        Name of the argument.
    of : str
        Expected content, for error messages.

    Raises
    ------
    SettingsError
        If the array is ragged, masked or structured, or holds complex numbers, text, dates or objects.
    """
    argument = argument_of(name)
    if isinstance(values, np.ma.MaskedArray):
        raise SettingsError(
            f"{name} must not be a masked array: fill the masked entries, {name}.filled(0)", argument=argument
        )
    try:
        array = np.asarray(values)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        reason = " ".join(str(error).split())[:120]
        raise SettingsError(f"{name} must be {of}, got {type(values).__name__}: {reason}", argument=argument) from error
    if array.dtype.names or _holds_events(array):
        raise SettingsError(
            f"{name} must be {of}, got events; train, evaluate and record take events as Recordings: make them with "
            "Recordings.of(list, labels)",
            argument=argument,
        )
    if array.dtype.kind == "V" and np.can_cast(array.dtype, np.float32):
        return array.astype(np.float32)  # bfloat16 and other short floats of machine learning
    if array.dtype.kind not in "biuf":
        received = type(values).__name__ if array.dtype == object and not array.ndim else f"an array of {array.dtype}"
        way_out = "; take its real part or magnitude" if array.dtype.kind == "c" else ""
        if argument == "y" and array.ndim == 1 and all(isinstance(each, str | bytes) for each in array[:10]):
            way_out = f": number the classes in alphabetical order, np.unique({name}, return_inverse=True)[1]"
        raise SettingsError(f"{name} must be {of}, integers or floats, got {received}{way_out}", argument=argument)
    return array


def _holds_events(array: np.ndarray) -> bool:
    """Return whether an object array holds structured arrays."""
    return (
        array.dtype == object
        and array.ndim > 0
        and any(getattr(getattr(item, "dtype", None), "names", None) for item in array.flat[:1])
    )


def check_range(array: np.ndarray, name: str, exact: bool = False) -> None:
    """Check that the numbers of an array are finite, also as float32.

    With ``exact``, also check that float32 represents its integers exactly.
    """
    if not array.size or array.dtype.kind == "b":
        return
    argument = argument_of(name)
    low, high = array.min(), array.max()  # NaN if any entry is NaN
    if array.dtype.kind == "f":
        is_finite = np.isfinite(low) and np.isfinite(high)
        low, high = float(low), float(high)  # float16 cannot be compared with LARGEST_FLOAT
        if not is_finite:
            raise SettingsError(f"{name} must be finite, but holds NaN or infinity", argument=argument)
        if low < -LARGEST_FLOAT or high > LARGEST_FLOAT:
            raise SettingsError(
                f"{name} must be finite as float32, but holds numbers from {low:.3g} to {high:.3g}: scale them as for "
                "training",
                argument=argument,
            )
    elif exact and (low < -LARGEST_EXACT or high > LARGEST_EXACT):
        raise SettingsError(
            f"{name} holds whole numbers from {low} to {high}, but float32 is exact only up to {LARGEST_EXACT:,}: "
            "scale them as for training",
            argument=argument,
        )


def as_float32(values: Any, name: str) -> np.ndarray:
    """Return ``values`` as an array of finite float32; see :func:`as_array` and :func:`check_range`."""
    array = as_array(values, name)
    check_range(array, name)
    return np.asarray(array, np.float32)
