"""random_affine: identity, shift, scale and rotation of images."""

import numpy as np
import pytest

import nengo_snnconv as snc


def test_zero_is_the_identity(problem, rng):
    images = problem[0]
    assert np.allclose(snc.random_affine(0, 0, 0)(images, rng), images, atol=1e-6)


def test_shift_moves_the_centre(rng):
    images = np.zeros((500, 28, 28, 1), np.float32)
    images[:, 12:16, 12:16] = 1
    moved = snc.random_affine(0, 0, 3)(images, rng)
    grid = np.arange(28)
    rows = (moved[..., 0].sum(axis=2) * grid).sum(axis=1) / moved.sum(axis=(1, 2, 3))
    assert rows.min() < 11
    assert rows.max() > 16
    assert abs(rows.mean() - 13.5) < 0.3
    assert np.abs(rows - 13.5).max() < 3.01


def test_scale_and_rotation_keep_the_centre(rng):
    images = np.zeros((200, 28, 28, 1), np.float32)
    images[:, 8:20, 12:16] = 1
    moved = snc.random_affine(20, 0.2, 0)(images, rng)
    sizes = moved.sum(axis=(1, 2, 3)) / images[0].sum()
    assert 0.6 < sizes.min() < 0.8
    assert 1.2 < sizes.max() < 1.5
    rows = (moved[..., 0].sum(axis=2) * np.arange(28)).sum(axis=1) / moved.sum(axis=(1, 2, 3))
    assert np.abs(rows - 13.5).max() < 0.1


def test_refused():
    with pytest.raises(snc.SettingsError, match="scale must be"):
        snc.random_affine(scale=1.5)
