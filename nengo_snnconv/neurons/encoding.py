"""Images as spikes: seeded random numbers that every back end draws alike, and Poisson spike trains from them."""

import numpy as np

from .._util.validation import as_float32, check_counts, check_memory, check_positive, check_seed
from ..errors import SettingsError

# (shift, odd factor) of each round of a 32-bit mixing function, after Wellons, "Prospecting for hash functions" (2018)
ROUNDS = ((16, 0x7FEB352D), (15, 0x846CA68B))
LAST_SHIFT = 16


def mix(x):
    """Scramble 32-bit integers: a bijection whose output looks random, for ndarrays of uint32."""
    for shift, factor in ROUNDS:
        x = (x ^ (x >> np.uint32(shift))) * np.uint32(factor)
    return x ^ (x >> np.uint32(LAST_SHIFT))


def uniform(seed, item, unit, step):
    """Random numbers in [0, 1) that depend on the four numbers alone, so that any back end can draw them.

    Parameters
    ----------
    seed, item, unit, step : int or ndarray of int
        Of the network, the place in the minibatch, the neuron and the time step; they broadcast.

    Returns
    -------
    ndarray of float32
        Multiples of 2**-24.
    """
    state = np.uint32(0)
    for number in (seed, item, step, unit):
        state = mix(np.atleast_1d(np.asarray(number, np.int64).astype(np.uint32)) ^ state) + np.uint32(0x9E3779B9)
    return (mix(state) >> np.uint32(8)).astype(np.float32) * np.float32(2**-24)


def poisson_spikes(x, n_steps, threshold=1.0, seed=0):
    """Poisson spike trains of images (Diehl et al. 2015): in each step, ``|x| / threshold`` is the probability.

    These are the very spikes of a network with ``input_coding="poisson"`` on the same minibatch.

    Parameters
    ----------
    x : ndarray, (images, ...)
        Negative values give negative spikes.
    n_steps : int
    threshold : float
        At which the probability reaches 1; what is above is clipped.
    seed : int

    Returns
    -------
    ndarray of int8, (images, steps, ...)
        -1, 0 or 1.

    Raises
    ------
    SettingsError
        If ``x`` has no axis of images or holds NaN; if ``n_steps`` or ``threshold`` cannot work.
    """
    x = as_float32(x, "x")
    if x.ndim < 2 or not x.size:
        raise SettingsError(f"x must hold finite numbers, (images, ...), got shape {x.shape}; one image is x[None]")
    check_counts(n_steps=n_steps)
    check_positive(threshold=threshold)
    check_seed(seed)
    check_memory(3 * x.size * n_steps, f"spikes in n_steps={n_steps} steps", "take fewer steps or fewer images")
    flat = x.reshape(len(x), -1)
    item, unit = np.arange(len(x))[:, None], np.arange(flat.shape[1])
    fire = [uniform(seed, item, unit, step) < np.abs(flat) / np.float32(threshold) for step in range(n_steps)]
    spikes = np.stack(fire, axis=1) * np.sign(flat).astype(np.int8)[:, None]
    return spikes.reshape(len(x), n_steps, *x.shape[1:])
