"""Augmentation of photographs: flips that alternate between epochs, and shifts with reflection at the borders."""

from __future__ import annotations

import numpy as np


def flip_and_shift(
    images: np.ndarray, flipped: np.ndarray, shift: int, rng: np.random.Generator | None = None
) -> np.ndarray:
    """Return images, some of them mirrored, each moved by up to ``shift`` pixels along both axes.

    Parameters
    ----------
    images : ndarray, (images, height, width, channel)
    flipped : ndarray of bool, (images,)
        Images to mirror, left to right.
    shift : int
        Largest shift in pixels.  Images are continued beyond their borders by reflection.
    rng : numpy.random.Generator, optional
        Source of the shifts; required if ``shift`` is above 0.

    Returns
    -------
    ndarray
        Images of the same shape and type.
    """
    images = np.where(flipped[:, None, None, None], images[:, :, ::-1], images)
    if shift == 0:
        return images
    assert rng is not None  # required for shifts
    n, height, width = images.shape[:3]
    padded = np.pad(images, [(0, 0), (shift, shift), (shift, shift), (0, 0)], mode="reflect")
    rows, columns = rng.integers(0, 2 * shift + 1, (2, n, 1)) + np.arange(max(height, width))
    return padded[np.arange(n)[:, None, None], rows[:, :height, None], columns[:, None, :width]]


def alternating_flips(n_images: int, epoch: int, seed: int) -> np.ndarray:
    """Return which images to mirror in an epoch: a random half in even epochs, the other half in odd ones.

    In any two consecutive epochs, the network sees each image once as it is and once mirrored (Jordan 2024, arXiv
    2404.00498, section 3.6).

    Parameters
    ----------
    n_images : int
    epoch : int
        Number of the epoch, from 0.
    seed : int

    Returns
    -------
    ndarray of bool, (images,)
    """
    return (np.random.default_rng(seed).random(n_images) < 0.5) ^ (epoch % 2 == 1)
