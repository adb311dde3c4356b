"""Whitening: filters of a first convolution whose outputs are uncorrelated on training images."""

from __future__ import annotations

import numpy as np

# added to the variances along the principal axes, so that noise along the smallest is not amplified
REGULARIZATION = 5e-4
MOST_IMAGES = 5000


def whitening_filters(images: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the kernel and bias of a convolution that whitens patches of images, followed by their negatives.

    The filters are the principal axes of patches of standardized images, divided by the standard deviation along the
    axis.  With the negatives, a rectifier loses nothing (Jordan 2024, arXiv 2404.00498, section 3.2).

    Parameters
    ----------
    images : ndarray, (images, height, width, channel)
    size : tuple of int
        Height and width of a patch.

    Returns
    -------
    kernel : ndarray of float32, (height, width, channel, 2 * height * width * channel)
    bias : ndarray of float32, (2 * height * width * channel,)
        Biases that subtract the mean of each channel.
    """
    images = images[:MOST_IMAGES]
    mean, deviation = images.mean((0, 1, 2), np.float64), images.std((0, 1, 2), np.float64)
    deviation = np.where(deviation > 0, deviation, 1)
    windows = np.lib.stride_tricks.sliding_window_view(images, size, axis=(1, 2))  # channel before the patch
    patches = np.moveaxis(windows, 3, -1).reshape(-1, *size, images.shape[-1])
    covariance = np.zeros((patches[0].size,) * 2)
    for part in np.array_split(patches, max(1, len(patches) // 2**16)):
        part = ((part - mean) / deviation).reshape(len(part), -1)
        covariance += part.T @ part / len(patches)
    variances, axes = np.linalg.eigh(covariance)
    axes = (axes / np.sqrt(np.maximum(variances, 0) + REGULARIZATION))[:, ::-1]  # the largest variance first
    kernel = axes.reshape(*size, images.shape[-1], -1) / deviation[:, None]
    bias = -(kernel * mean[:, None]).sum((0, 1, 2))
    return np.concatenate([kernel, -kernel], -1).astype(np.float32), np.concatenate([bias, -bias]).astype(np.float32)


def is_whitening(kernel: np.ndarray) -> bool:
    """Return whether a kernel consists of filters and their negatives, as :func:`whitening_filters` makes them."""
    half = kernel.shape[-1] // 2
    return bool(kernel.any()) and np.array_equal(kernel[..., :half], -kernel[..., half:])
