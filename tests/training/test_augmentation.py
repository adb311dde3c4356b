"""random_affine and random_flip_and_shift: identity, shift, scale, rotation and mirror images."""

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


class TestFlipAndShift:
    def test_none_is_the_identity(self, problem, rng):
        assert np.array_equal(snc.random_flip_and_shift(flip=False, shift=0)(problem[0], rng), problem[0])

    def test_mirrors_half_of_the_images(self, rng):
        images = rng.random((1000, 4, 4, 3), dtype=np.float32)
        augmented = snc.random_flip_and_shift(shift=0)(images, rng)
        mirrored = np.all(augmented == images[:, :, ::-1], axis=(1, 2, 3))
        same = np.all(augmented == images, axis=(1, 2, 3))
        assert np.array_equal(mirrored, ~same)
        assert 400 < mirrored.sum() < 600

    def test_shifts(self, rng):
        images = np.zeros((500, 9, 9, 1), np.float32)
        images[:, 4, 4] = 1
        rows = np.argwhere(snc.random_flip_and_shift(shift=2)(images, rng))[:, 1]
        assert set(rows) == {2, 3, 4, 5, 6}

    def test_refused(self):
        with pytest.raises(snc.SettingsError, match="shift must be"):
            snc.random_flip_and_shift(shift=-1)
