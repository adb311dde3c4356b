"""Types of command-line arguments: functions that convert text to a value, and raise an error that argparse reports."""

import argparse
import math

# the same limits as in .._util.validation, which loads NumPy
LARGEST_COUNT, LARGEST_SEED, MOST_WORKERS = 2**31 - 1, 2**32 - 1, 1024


def _whole(text, low, high):
    value = int(text)
    if value < low:
        raise argparse.ArgumentTypeError(f"must be {low} or more, got {value}")
    if value > high:
        raise argparse.ArgumentTypeError(f"must be {high} or less, got {value}")
    return value


def _real(text, is_valid, requirement):
    value = float(text)
    if not is_valid(value):
        raise argparse.ArgumentTypeError(f"must be {requirement}, got {text}")
    return value


def names(text):
    """Convert text to the names that it holds, separated by commas."""
    found = tuple(name.strip() for name in text.split(","))
    if not all(found):
        raise argparse.ArgumentTypeError(f"must hold names, separated by commas, got {text!r}")
    return found


def positive(text):
    """Convert text to a whole number, 1 or more."""
    return _whole(text, 1, LARGEST_COUNT)


def natural(text):
    """Convert text to a whole number, 0 or more."""
    return _whole(text, 0, LARGEST_COUNT)


def seed_number(text):
    """Convert text to a seed."""
    return _whole(text, 0, LARGEST_SEED)


def n_workers(text):
    """Convert text to a number of processes."""
    return _whole(text, 1, MOST_WORKERS)


def positive_or_infinite(text):
    """Convert text to a whole number, 1 or more, or to infinity."""
    return math.inf if text == "inf" else positive(text)


def finite(text):
    """Convert text to a finite number."""
    return _real(text, math.isfinite, "a finite number")


def above_zero(text):
    """Convert text to a finite number above 0."""
    return _real(text, lambda value: 0 < value < math.inf, "above 0")


def at_least_zero(text):
    """Convert text to a finite number, 0 or more."""
    return _real(text, lambda value: 0 <= value < math.inf, "0 or more")


def fraction(text):
    """Convert text to a number from 0 up to, but not including, 1."""
    return _real(text, lambda value: 0 <= value < 1, "0 or more and below 1")


def share(text):
    """Convert text to a number between 0 and 1, both excluded."""
    return _real(text, lambda value: 0 < value < 1, "above 0 and below 1")


def percentage(text):
    """Convert text to a number above 0, up to 100."""
    return _real(text, lambda value: 0 < value <= 100, "above 0 and at most 100")
