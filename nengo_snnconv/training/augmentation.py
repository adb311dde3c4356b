"""Augmentation: random transformations of training images."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .._util.validation import check_choice, check_flags, check_fraction, check_not_negative, check_whole
from ..compat import tf
from .cnn.augmentation import flip_and_shift
from .cnn.options import LARGEST_SHIFT


def random_affine(
    rotation_deg: float = 8.0, scale: float = 0.08, shift: float = 1.0, data_format: str = "channels_last"
) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    """Return a function that rotates, scales and shifts images randomly.

    Parameters
    ----------
    rotation_deg : float
        Largest rotation in either direction, in degrees.
    scale : float
        Largest relative change of size; 0.1 draws factors from 0.9 to 1.1.
    shift : float
        Largest shift along each axis, in pixels.
    data_format : "channels_last" or "channels_first"
        Order of the axes of the images: (n, height, width, channel) or (n, channel, height, width).

    Returns
    -------
    callable
        Function ``augment(images, rng)`` of float32 images and a ``numpy.random.Generator`` that returns transformed
        images of the same shape (bilinear interpolation, zero outside the image).

    Raises
    ------
    SettingsError
        If an argument is invalid.

    Examples
    --------
    >>> network = snc.train(network, x, y, augment=snc.random_affine(rotation_deg=10))
    """
    check_fraction(scale=scale)
    check_not_negative(rotation_deg=rotation_deg, shift=shift)
    check_choice(("channels_last", "channels_first"), data_format=data_format)

    def augment(images, rng):
        if data_format == "channels_first":
            return np.moveaxis(transform(np.moveaxis(images, 1, -1), rng), -1, 1)
        return transform(images, rng)

    def transform(images, rng):
        n, height, width = images.shape[:3]
        angle = np.deg2rad(rng.uniform(-rotation_deg, rotation_deg, n))
        factor = 1 / rng.uniform(1 - scale, 1 + scale, n)
        cos, sin = factor * np.cos(angle), factor * np.sin(angle)
        x, y = (width - 1) / 2, (height - 1) / 2
        shift_x, shift_y = rng.uniform(-shift, shift, (2, n))
        zero = np.zeros(n)
        # TensorFlow takes the inverse map, from target pixels to source pixels
        rows = [cos, -sin, x - cos * x + sin * y + shift_x, sin, cos, y - sin * x - cos * y + shift_y, zero, zero]
        return tf.raw_ops.ImageProjectiveTransformV3(
            images=images,
            transforms=np.stack(rows, axis=1).astype(np.float32),
            output_shape=(height, width),
            interpolation="BILINEAR",
            fill_mode="CONSTANT",
            fill_value=0.0,
        ).numpy()

    return augment


def random_flip_and_shift(flip: bool = True, shift: int = 4) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    """Return a function that mirrors and shifts photographs randomly.

    Parameters
    ----------
    flip : bool
        Mirror a random half of the images, left to right.
    shift : int
        Largest shift along either axis, in pixels.  Images are continued beyond their borders by reflection.

    Returns
    -------
    callable
        Function ``augment(images, rng)`` of images (n, height, width, channel) and a ``numpy.random.Generator`` that
        returns transformed images of the same shape.

    Raises
    ------
    SettingsError
        If an argument is invalid.

    Examples
    --------
    >>> snn = snc.train(snn, x, n_steps=4, augment=snc.random_flip_and_shift())
    """
    check_flags(flip=flip)
    check_whole(0, LARGEST_SHIFT, shift=shift)

    def augment(images, rng):
        return flip_and_shift(images, (rng.random(len(images)) < 0.5) & flip, shift, rng)

    return augment
