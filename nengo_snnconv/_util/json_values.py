"""Conversion of NumPy values to values that JSON can hold."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def python_number(value: Any) -> Any:
    """Return a NumPy number as a Python number, and any other value unchanged."""
    is_number = isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0)
    return value.item() if is_number else value


def to_python(value: Any) -> Any:
    """Return ``value`` with the NumPy arrays and numbers in it as Python lists and numbers.

    Dictionaries, lists and tuples are converted item by item; other objects are kept.
    """
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, dict):
        return {key: to_python(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        items = (to_python(item) for item in value)
        return list(items) if isinstance(value, list) else tuple(items)
    return value


def to_json(value: Any, *, nan_as_none: bool = False) -> Any:
    """Return ``value`` as dictionaries, lists, numbers, text and None.

    Parameters
    ----------
    value : object
        Objects that JSON does not know are replaced by their ``str``.
    nan_as_none : bool
        Whether to replace NaN and infinity, which JSON lacks, by None.
    """
    value = to_python(value)
    if isinstance(value, dict):
        return {str(key): to_json(item, nan_as_none=nan_as_none) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item, nan_as_none=nan_as_none) for item in value]
    if nan_as_none and isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
