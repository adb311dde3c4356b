"""JSON from files that may be damaged or hostile."""

import json
import math


def parse_json(text):
    """Parse JSON as its standard has it: no NaN or infinity, no name twice in an object.

    Parameters
    ----------
    text : str or bytes

    Raises
    ------
    ValueError
        If it is no such JSON, or is nested too deeply.
    """
    try:
        return json.loads(
            text, parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_object, parse_int=_integer
        )
    except RecursionError as error:
        raise ValueError("its JSON is nested too deeply") from error


def _refuse(text):
    raise ValueError(f"{text} is no number in JSON")


def _finite(text):
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is too large a number")
    return value


def _integer(text):
    if len(text) > 20:  # more than 64 bits
        raise ValueError(f"{text[:20]}... is too large a number")
    return int(text)


def _object(pairs):
    found = dict(pairs)
    if len(found) < len(pairs):
        seen = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))
        raise ValueError(f"it has {twice!r} twice")
    return found
