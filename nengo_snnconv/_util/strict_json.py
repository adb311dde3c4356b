"""Parsing of JSON from files that may be damaged or hostile."""

from __future__ import annotations

import json
import math
from typing import Any


def parse_json(text: str | bytes) -> Any:
    """Parse JSON strictly: no NaN or infinity, and no repeated names in an object.

    Parameters
    ----------
    text : str or bytes

    Raises
    ------
    ValueError
        If the text is not valid JSON, is nested too deeply, or holds a number of more than 64 bits.
    """
    try:
        return json.loads(
            text, parse_constant=_constant, parse_float=_float, parse_int=_integer, object_pairs_hook=_object
        )
    except RecursionError as error:
        raise ValueError("its JSON is nested too deeply") from error


def _constant(text):
    raise ValueError(f"{text} is not a number in JSON")


def _float(text):
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is too large a number")
    return value


def _integer(text):
    if len(text) > 20:  # more than 64 bits
        raise ValueError(f"{text[:20]}... is too large a number")
    return int(text)


def _object(pairs):
    by_name = dict(pairs)
    if len(by_name) < len(pairs):
        seen = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))
        raise ValueError(f"it has {twice!r} twice")
    return by_name
