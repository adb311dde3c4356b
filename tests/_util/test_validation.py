"""Validation: each error names its argument, the valid values and the value received."""

import numpy as np
import pytest

from nengo_snnconv._util import validation
from nengo_snnconv.errors import SettingsError


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: validation.check_counts(n=0), "n must be a positive integer, got 0"),
        (lambda: validation.check_counts(n=2**31), "n must be a positive integer up to 2,147,483,647, got 2147483648"),
        (lambda: validation.check_workers_count(n=5000), "n must be at most 1,024, got 5000: use no more than"),
        (lambda: validation.check_whole(1, 3, n=4), "n must be a whole number from 1 to 3, got 4"),
        (lambda: validation.check_finite(n="a"), "n must be a finite number, got 'a'"),
        (lambda: validation.check_not_nan(n=np.nan), "n must be a number, got nan"),
        (lambda: validation.check_positive(n=0), "n must be above 0 and finite, got 0"),
        (lambda: validation.check_not_negative(n=-1), "n must be a finite number, 0 or more, got -1"),
        (lambda: validation.check_fraction(n=1), "n must be in [0, 1), got 1"),
        (lambda: validation.check_percentile(n=0), "n must be above 0 and at most 100, got 0"),
        (lambda: validation.check_choice(("a", None), n=1), "n must be one of 'a', None; got 1"),
        (lambda: validation.check_flags(n=1), "n must be True or False, got 1"),
        (lambda: validation.check_progress(1, "n"), "n must be True or False, got 1"),
        (lambda: validation.check_callable(n=1), "n must be a function or None, got 1"),
        (lambda: validation.check_paths(n=1), "n must be a path, as str or pathlib.Path, got 1"),
        (lambda: validation.check_names(2, names=["a"]), "names must hold 2 names, one for each score, got 1"),
        (
            lambda: validation.check_has("x", "a Point: make one with point()", n=1),
            "n: expected a Point, got int: make",
        ),
        (lambda: validation.as_array("a", "n"), "n must be numbers, integers or floats, got an array of <U1"),
        (lambda: validation.as_array([1, [2]], "n"), "n must be numbers, got list: "),
        (
            lambda: validation.as_array(1j, "n"),
            "n must be numbers, integers or floats, got an array of complex128; take",
        ),
        (lambda: validation.as_float32([np.inf], "n"), "n must be finite, but holds NaN or infinity"),
        (lambda: validation.as_float32([1e39], "n"), "n must be finite as float32, but holds numbers from 1e+39 to"),
    ],
)
def test_messages(check, message):
    with pytest.raises(SettingsError) as caught:
        check()
    assert str(caught.value).startswith(message)
    assert caught.value.argument == message.split()[0].rstrip(":")


def test_errors_name_the_argument_of_a_part():
    assert validation.argument_of("evaluations['a']") == "evaluations"
    assert validation.argument_of("n_steps") == "n_steps"
    assert validation.argument_of("array 'conv/kernel'") is None
    assert validation.argument_of("Own.batch") is None


def test_memory_that_no_machine_has():
    with pytest.raises(SettingsError, match="more than the memory of this machine: use less") as caught:
        validation.check_memory(1e18, "an array", "use less")
    assert caught.value.argument is None
