"""Compiled counting of events."""

from .._util.numba_cache import kept_njit


@kept_njit(nogil=True)
def add_events(x, y, polarity, borders, frames):
    """Count events into ``frames``, (recordings, steps, height, width, channel).

    Returns the index of the first event outside of the sensor, or -1.
    """
    n_recordings, n_steps, height, width, n_channels = frames.shape
    for i in range(n_recordings):
        for step in range(n_steps):
            for event in range(borders[i, step], borders[i, step + 1]):
                if not (0 <= x[event] < width and 0 <= y[event] < height):
                    return event
                channel = 1 if n_channels == 2 and polarity[event] > 0 else 0
                frames[i, step, y[event], x[event], channel] += 1
    return -1
