"""Poisson spike trains of images, from seeded random numbers that are the same on every back end."""

from __future__ import annotations

import typing

import numpy as np

from .._util.validation import as_float32, check_counts, check_memory, check_positive, check_seed
from ..errors import SettingsError

if typing.TYPE_CHECKING:
    import numpy.typing as npt

# (shift, odd factor) of each round of a 32-bit mixing function, after Wellons, "Prospecting for hash functions" (2018)
ROUNDS = ((16, 0x7FEB352D), (15, 0x846CA68B))
LAST_SHIFT = 16


def mix(x):
    """Scramble an ndarray of uint32 by a bijection whose output looks random."""
    for shift, factor in ROUNDS:
        x = (x ^ (x >> np.uint32(shift))) * np.uint32(factor)
    return x ^ (x >> np.uint32(LAST_SHIFT))


def uniform(seed, item, unit, step):
    """Return random numbers in [0, 1) that depend on four integers only, so that all back ends draw the same ones.

    Parameters
    ----------
    seed, item, unit, step : int or ndarray of int
        Seed of the network, index in the minibatch, index of the neuron, and time step; they are broadcast.

    Returns
    -------
    ndarray of float32
        Multiples of 2**-24.
    """
    state = np.uint32(0)
    for number in (seed, item, step, unit):
        state = mix(np.atleast_1d(np.asarray(number, np.int64).astype(np.uint32)) ^ state) + np.uint32(0x9E3779B9)
    return (mix(state) >> np.uint32(8)).astype(np.float32) * np.float32(2**-24)


def poisson_spikes(x: npt.ArrayLike, n_steps: int, threshold: float = 1.0, seed: int = 0) -> np.ndarray:
    """Return Poisson spike trains of images.

    In each step, a pixel spikes with probability ``|x| / threshold`` (Diehl et al. 2015, doi
    10.1109/IJCNN.2015.7280696).  The spikes are those of a network with ``input_coding="poisson"`` and the same seed on
    the same minibatch.

    Parameters
    ----------
    x : ndarray, (images, ...)
        Images.  Negative values give negative spikes.
    n_steps : int
        Number of time steps.
    threshold : float
        Value that spikes in each step; larger values are clipped.
    seed : int

    Returns
    -------
    ndarray of int8, (images, steps, ...)
        Spikes: -1, 0 or 1.

    Raises
    ------
    SettingsError
        If ``x`` has no axis of images or contains NaN, or if another argument is invalid.

    Examples
    --------
    >>> spikes = poisson_spikes(data.x_test[:10], n_steps=100)
    >>> spikes.mean(axis=1)  # close to the images
    """
    images = as_float32(x, "x")
    if images.ndim < 2 or not images.size:
        raise SettingsError(
            f"x must hold finite numbers, (images, ...), got shape {images.shape}; one image is x[None]", argument="x"
        )
    check_counts(n_steps=n_steps)
    check_positive(threshold=threshold)
    check_seed(seed)
    check_memory(3 * images.size * n_steps, f"spikes in n_steps={n_steps} steps", "take fewer steps or fewer images")
    flat = images.reshape(len(images), -1)
    item, unit = np.arange(len(images))[:, None], np.arange(flat.shape[1])
    fires = [uniform(seed, item, unit, step) < np.abs(flat) / np.float32(threshold) for step in range(n_steps)]
    spikes = np.stack(fires, axis=1) * np.sign(flat).astype(np.int8)[:, None]
    return spikes.reshape(len(images), n_steps, *images.shape[1:])
