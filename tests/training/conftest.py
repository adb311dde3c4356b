"""Fixtures of the tests of training."""

import pytest
from corner_images import corner_images


@pytest.fixture
def problem(rng):
    """Images of four classes; the class is the bright corner."""
    return corner_images(rng)
