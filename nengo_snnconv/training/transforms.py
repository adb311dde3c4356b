"""Random transformations of images that make a small training set go further."""

import numpy as np

from .._util.validation import check_choice, check_fraction, check_not_negative
from ..compat import tf


def random_affine(rotation_deg=8.0, scale=0.08, shift=1.0, data_format="channels_last"):
    """Random rotation, scaling and shifting of images, for ``train(..., augment=random_affine())``.

    Parameters
    ----------
    rotation_deg : float
        Largest rotation either way, in degrees.
    scale : float
        Largest change of size; 0.1 draws factors from 0.9 to 1.1.
    shift : float
        Largest shift along each axis, in pixels.
    data_format : "channels_last" or "channels_first"
        Where the channel of the images is: (n, channel, height, width) if first.

    Returns
    -------
    callable
        ``augment(images, rng)``, from float32 images (n, height, width, channel) and a
        ``numpy.random.Generator`` to as many transformed ones (bilinear, zero outside the image).
    """
    check_fraction(scale=scale)
    check_not_negative(rotation_deg=rotation_deg, shift=shift)

    check_choice(("channels_last", "channels_first"), data_format=data_format)

    def augment(images, rng):
        if data_format == "channels_first":
            return np.moveaxis(changed(np.moveaxis(images, 1, -1), rng), -1, 1)
        return changed(images, rng)

    def changed(images, rng):
        n, height, width = images.shape[:3]
        angle = np.deg2rad(rng.uniform(-rotation_deg, rotation_deg, n))
        factor = 1 / rng.uniform(1 - scale, 1 + scale, n)
        cos, sin = factor * np.cos(angle), factor * np.sin(angle)
        x, y = (width - 1) / 2, (height - 1) / 2
        shift_x, shift_y = rng.uniform(-shift, shift, (2, n))
        zero = np.zeros(n)
        # rows of the inverse map: where in the source image each target pixel comes from
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
