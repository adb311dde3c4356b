"""Compiled simulation of the pixels of an event camera, from a moving image to events."""

import numba
import numpy as np

from .._util.numba_cache import kept_njit

LOWEST = 0.2  # smallest threshold relative to the mean: no pixel fires without a change


@kept_njit(nogil=True)
def pixel_events(
    light, fineness, margin, path, step_us, thresholds, jitter, refractory, off_rate, on_rate, rng, x, y, on, t
):
    """Write the events of one recording, pixel by pixel, and return their number.

    All times except those of events are in steps.  One long function with arrays as parameters, since Numba compiles
    it.

    Parameters
    ----------
    light : ndarray of float32, (rows, columns)
        Light of the image at rest, above 0, at ``fineness`` points per pixel, with linear interpolation.
    fineness, margin : int
        Pixel (row, column) of the sensor is at point (margin + fineness row, margin + fineness column).
    path : ndarray of float32, (steps + 1, 2)
        Position of the image, y and x in points; the light at a pixel changes linearly within a step.
    step_us : float
        Duration of a step in microseconds.
    thresholds : ndarray of float32, (height, width, 2)
        Change of the logarithm of the light that causes an OFF and an ON event.
    jitter : float
        Relative standard deviation of a threshold from event to event.
    refractory : float
        Time after an event during which a pixel is inactive; the light at its end is the next reference.
    off_rate, on_rate : float
        Rate of noise events.
    rng : numpy.random.Generator
    x, y, on, t : ndarray, (capacity,)
        Output arrays; events beyond their length are only counted.
    """
    height, width = thresholds.shape[:2]
    whole = np.floor(path).astype(np.int64)
    part = (path - whole).astype(np.float32)
    top, bottom = whole[:, 0].max() + 1, whole[:, 0].min()
    left, right = whole[:, 1].max() + 1, whole[:, 1].min()
    trace = np.empty(len(path), np.float32)
    pause = 1 / (off_rate + on_rate) if off_rate + on_rate > 0 else np.inf
    end = len(path) - 1
    n = 0
    for row in range(height):
        for column in range(width):
            i, j = margin + fineness * row, margin + fineness * column
            off, up = thresholds[row, column]
            seen = light[i - top : i - bottom + 1, j - left : j - right + 1]
            # most pixels of most images see no contrast, and have only noise events
            still = seen.max() < seen.min() * np.exp(LOWEST * min(off, up))
            if not still:
                _light_trace(light, i, j, whole, part, trace)
            # the pixel has seen the image for a long time: its reference is random between the thresholds
            reference = trace[0] + off - rng.random() * (off + up)
            noise, now = pause * rng.exponential(), 0.0
            low, high = reference - off, reference + up
            while True:
                at, upwards = (np.inf, False) if still else _next_crossing(trace, now, low, high)
                if noise < at:
                    at, upwards = noise, rng.random() * (off_rate + on_rate) >= off_rate
                if at >= end:
                    break
                if n < len(t):
                    x[n], y[n], on[n], t[n] = column, row, upwards, at * step_us
                n += 1
                now = at + refractory
                if now >= end:
                    break
                while noise <= now:
                    noise += pause * rng.exponential()
                step = int(now)
                reference = trace[step] + (trace[step + 1] - trace[step]) * (now - step)
                low = reference - off * max(LOWEST, 1 + jitter * rng.standard_normal())
                high = reference + up * max(LOWEST, 1 + jitter * rng.standard_normal())
    return n


@numba.njit(nogil=True)
def _light_trace(light, i, j, whole, part, trace):
    """Write the logarithm of the light at point (i, j) at the end of each step to ``trace``."""
    one = np.float32(1)
    for step in range(len(trace)):
        v, u = part[step, 0], part[step, 1]
        row, column = i - whole[step, 0], j - whole[step, 1]
        lower = (one - u) * light[row, column] + u * light[row, column - 1]
        upper = (one - u) * light[row - 1, column] + u * light[row - 1, column - 1]
        trace[step] = np.log((one - v) * lower + v * upper)


@numba.njit(nogil=True)
def _next_crossing(trace, now, low, high):
    """Return the time from ``now`` on when the trace leaves [low, high], or infinity, and whether it goes up."""
    for step in range(int(now), len(trace) - 1):
        level, after = trace[step], trace[step + 1]
        if after > max(high, level):
            return max(now, step + (high - level) / (after - level)), True
        if after < min(low, level):
            return max(now, step + (low - level) / (after - level)), False
    return np.inf, False
