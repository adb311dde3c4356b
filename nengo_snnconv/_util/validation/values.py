"""Validation of numbers, names, paths and other single values."""

from __future__ import annotations

import os
import re
import reprlib
from typing import Any

import numpy as np

from ...errors import SettingsError

LARGEST_COUNT = 2**31 - 1  # TensorFlow and the compiled kernels count with 32 bits
MOST_WORKERS = 1024
LARGEST_SEED = 2**32 - 1
SHORTEST_DT, LONGEST_DT = 1e-9, 1e3  # in seconds


def shown(value: object) -> str:
    """Return the ``repr`` of a value, shortened to one line, for error messages."""
    text = " ".join(repr(value).split()) if not isinstance(value, list | tuple | dict) else reprlib.repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def is_whole(value: object) -> bool:
    """Return whether a value is an integer; booleans are not."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    """Return whether a value is a real number, possibly NaN or infinite; booleans are not."""
    return is_whole(value) or isinstance(value, float | np.floating)


def invalid(name: str, requirement: str, value: object) -> SettingsError:
    """Return the error for an argument with an invalid value.

    Parameters
    ----------
    name : str
        Argument, or a part of one, such as ``"limits['energy']"``.
    requirement : str
        Phrase that follows "must", such as "be a positive integer".
    value : object
        Value received.
    """
    return SettingsError(f"{name} must {requirement}, got {shown(value)}", argument=argument_of(name))


def argument_of(name: str) -> str | None:
    """Return the argument that ``name`` is, or of which it is an entry (``name[...]``), or None for other names."""
    match = re.fullmatch(r"([^\W\d]\w*)(\[.*\])?", name, re.DOTALL)
    return match[1] if match else None


def check_counts(**values: Any) -> None:
    """Check that each value is a positive integer that fits into 32 bits."""
    for name, value in values.items():
        if not is_whole(value) or value < 1:
            raise invalid(name, "be a positive integer", value)
        if value > LARGEST_COUNT:
            raise invalid(name, f"be a positive integer up to {LARGEST_COUNT:,}", value)


def check_optional_counts(**values: Any) -> None:
    """Check that each value is a positive integer or None."""
    check_counts(**{name: value for name, value in values.items() if value is not None})


def check_workers_count(**values: Any) -> None:
    """Check that each value is a number of threads or processes that a machine can start, or None."""
    check_optional_counts(**values)
    for name, value in values.items():
        if value is not None and value > MOST_WORKERS:
            raise SettingsError(
                f"{name} must be at most {MOST_WORKERS:,}, got {value}: use no more than the machine has cores",
                argument=argument_of(name),
            )


def check_whole(low: int, high: int, **values: Any) -> None:
    """Check that each value is an integer from ``low`` to ``high``."""
    for name, value in values.items():
        if not is_whole(value) or not low <= value <= high:
            raise invalid(name, f"be a whole number from {low} to {high}", value)


def check_finite(**values: Any) -> None:
    """Check that each value is a finite number."""
    for name, value in values.items():
        if not is_number(value) or not np.isfinite(float(value)):
            raise invalid(name, "be a finite number", value)


def check_not_nan(**values: Any) -> None:
    """Check that each value is a number, possibly infinite, but not NaN."""
    for name, value in values.items():
        if not is_number(value) or np.isnan(value):
            raise invalid(name, "be a number", value)


def check_positive(**values: Any) -> None:
    """Check that each value is a finite number above 0."""
    for name, value in values.items():
        if not is_number(value) or not 0 < value < np.inf:
            raise invalid(name, "be above 0 and finite", value)


def check_not_negative(**values: Any) -> None:
    """Check that each value is a finite number of at least 0."""
    for name, value in values.items():
        if not is_number(value) or not 0 <= value < np.inf:
            raise invalid(name, "be a finite number, 0 or more", value)


def check_fraction(**values: Any) -> None:
    """Check that each value is a number in [0, 1)."""
    for name, value in values.items():
        if not is_number(value) or not 0 <= value < 1:
            raise invalid(name, "be in [0, 1)", value)


def check_percentile(**values: Any) -> None:
    """Check that each value is a number above 0 and at most 100."""
    for name, value in values.items():
        if not is_number(value) or not 0 < value <= 100:
            raise invalid(name, "be above 0 and at most 100", value)


def check_choice(choices: Any, **values: Any) -> None:
    """Check that each value is one of the ``choices``, which are str or None."""
    for name, value in values.items():
        if not (value is None or isinstance(value, str)) or value not in choices:
            known = ", ".join(repr(choice) for choice in choices)
            raise SettingsError(f"{name} must be one of {known}; got {shown(value)}", argument=argument_of(name))


def check_flags(**values: Any) -> None:
    """Check that each value is True or False."""
    for name, value in values.items():
        if not isinstance(value, bool | np.bool_):
            raise invalid(name, "be True or False", value)


def check_progress(progress: Any, name: str = "progress") -> None:
    """Check that ``progress`` is True, False or None."""
    if progress is not None:
        check_flags(**{name: progress})


def check_seed(seed: Any, *, optional: bool = False, largest: int = LARGEST_SEED) -> None:
    """Check that ``seed`` is an integer from 0 to ``largest``, or, if ``optional``, None."""
    if seed is None and optional:
        return
    if not is_whole(seed) or not 0 <= seed <= largest:
        raise invalid("seed", f"be a whole number from 0 to 2**{largest.bit_length()} - 1", seed)


def check_callable(**values: Any) -> None:
    """Check that each value is a function or None."""
    for name, value in values.items():
        if value is not None and not callable(value):
            raise invalid(name, "be a function or None", value)


def check_paths(**values: Any) -> None:
    """Check that each value is a path: str or pathlib.Path."""
    for name, value in values.items():
        text = os.fspath(value) if isinstance(value, os.PathLike) else value
        if not isinstance(text, str) or not text or "\0" in text:
            raise invalid(name, "be a path, as str or pathlib.Path", value)


def check_names(n: int, each: str = "score", **values: Any) -> None:
    """Check that each value is a sequence of ``n`` names, one for ``each`` of something, or None.

    A str counts as the sequence of its letters.
    """
    for name, value in values.items():
        if value is None:
            continue
        is_sequence = hasattr(value, "__len__") and hasattr(value, "__iter__") and not isinstance(value, bytes)
        if not is_sequence or len(value) != n:
            received = f"{len(value)}" if is_sequence else shown(value)
            raise SettingsError(
                f"{name} must hold {n} names, one for each {each}, got {received}", argument=argument_of(name)
            )


def check_has(attribute: str, kind: str, **values: Any) -> None:
    """Check that each value has an ``attribute`` that identifies objects of a ``kind``.

    Parameters
    ----------
    attribute : str
    kind : str
        Expected object and a way to make one, such as "an Evaluation: make one with evaluate(...)".
    """
    for name, value in values.items():
        if not hasattr(value, attribute):
            expected, _, way_out = kind.partition(": ")
            raise SettingsError(
                f"{name}: expected {expected}, got {type(value).__name__}: {way_out}", argument=argument_of(name)
            )


def check_memory(n_bytes: float, content: str, way_out: str) -> None:
    """Check that an array fits into the memory of this machine.

    Parameters
    ----------
    n_bytes : int
        Size of the array.
    content : str
        Description of the array, such as "predictions of 5 images for n_steps=1000000000".
    way_out : str
        Advice for the user.
    """
    if n_bytes > _total_memory():
        raise SettingsError(
            f"{content} would take {n_bytes / 1e9:,.0f} GB, more than the memory of this machine: {way_out}"
        )


def _total_memory() -> float:
    """Return the memory limit of this process in bytes; infinity if the system does not report it."""
    try:
        import resource  # not available on Windows

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return total if limit == resource.RLIM_INFINITY else min(total, limit)
    except (ImportError, AttributeError, ValueError, OSError):
        return np.inf


def check_dt(dt: Any) -> None:
    """Check that ``dt`` is a time step in seconds that float32 can represent."""
    if not is_number(dt) or not SHORTEST_DT <= dt <= LONGEST_DT:
        raise invalid("dt", f"be from {SHORTEST_DT:g} to {LONGEST_DT:g} seconds", dt)


def check_run(n_steps: Any, skip_steps: Any, dt: Any) -> None:
    """Check ``n_steps``, ``skip_steps`` and ``dt``."""
    check_counts(n_steps=n_steps)
    if not is_whole(skip_steps) or not 0 <= skip_steps < n_steps:
        raise invalid("skip_steps", "be a whole number from 0 to n_steps - 1", skip_steps)
    check_dt(dt)
