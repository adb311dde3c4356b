"""Fixtures that the tests of sweeps share: a network, images and classes."""

import numpy as np
import pytest
from models import small_cnn

import nengo_snnconv as snc


@pytest.fixture
def network(rng):
    return snc.convert(small_cnn())


@pytest.fixture
def x(network, rng):
    return rng.random((23, *network.model.shapes[network.model.input]), dtype=np.float32)


@pytest.fixture
def y(rng):
    return rng.integers(0, 4, 23)
