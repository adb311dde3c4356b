"""Fixtures that the tests of the command line share."""

import pytest
from models import small_digits_cnn

import nengo_snnconv as snc


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A file with a small model for images of the digits."""
    path = tmp_path_factory.mktemp("small") / "model.npz"
    snc.save(small_digits_cnn(), path)
    return path
