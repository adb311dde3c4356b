"""Repeated: values of groups of neurons."""

import numpy as np
import pytest
from nengo.exceptions import ValidationError

import nengo_snnconv as snc
from nengo_snnconv.neurons.repeated import Repeated


def test_samples():
    values = Repeated([0.25, 0.5, 1])
    assert values.sample(7).tolist() == [0.25, 0.5, 1, 0.25, 0.5, 1, 0.25]
    assert values.sample(2, 2).tolist() == [[0.25, 0.25], [0.5, 0.5]]


def test_equality():
    assert Repeated([0.25, 0.5]) == Repeated((0.25, 0.5)) != Repeated([0.5, 0.25])


@pytest.mark.parametrize("values", [[], [np.nan], [0, np.inf]])
def test_invalid_values(values):
    with pytest.raises(snc.errors.SettingsError, match="values"):
        Repeated(values)


@pytest.mark.parametrize("values", ["ab", [[1, 2]], 1, None])
def test_values_that_are_no_sequence_of_numbers(values):
    with pytest.raises(ValidationError):
        Repeated(values)
