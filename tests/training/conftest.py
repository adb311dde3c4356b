"""Fixtures of the tests of training."""

import numpy as np
import pytest
from corner_images import corner_images


@pytest.fixture(scope="session")
def problem():
    """Images of four classes; the class is the bright corner."""
    return corner_images(np.random.default_rng(0))
