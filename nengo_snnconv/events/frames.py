"""Frames: the events of a recording in groups, each summed into a picture for each polarity."""

import numpy as np

from .._util.validation import check_choice, check_counts, check_flags, check_memory, check_positive
from ..errors import SettingsError
from .event import check_fields, check_order, checked_sensor

SPLITS = ("count", "time", "window")


def event_frames(events, n_steps, shape, *, split="count", window_us=None, merge_polarities=False):
    """Sum the events of a recording into frames.

    Parameters
    ----------
    events : structured ndarray, (events,)
        With the fields x, y, t in microseconds and polarity, in the order of time.
    n_steps : int
        Number of frames.
    shape : tuple of int
        Height and width of the sensor.
    split : "count", "time" or "window"
        Frames of equally many events, so that event k of n is in frame floor(k n_steps / n); of equally long parts of
        the time from the first event to the last; or of ``window_us`` each from the first event on, which leaves out
        what comes later.
    window_us : float, optional
        Length of a frame in microseconds, for ``split="window"``.
    merge_polarities : bool
        Count OFF and ON events together, in a single channel.

    Returns
    -------
    ndarray of float32, (steps, height, width, 2), or (steps, height, width, 1) of merged polarities
        Number of events at each pixel; channel 0 counts OFF events, 1 ON events.

    Raises
    ------
    SettingsError
        If an argument cannot work, an event lies outside of the sensor, or time runs backwards.
    """
    check_fields(events)
    check_split(n_steps, split, window_us)
    shape = checked_sensor(shape, "shape")
    check_flags(merge_polarities=merge_polarities)
    check_frames(1, n_steps, shape)
    check_order(events)
    borders = frame_borders(events, n_steps, split, window_us)
    return count_events(events, borders[None], shape, merge_polarities)[0]


def check_split(n_steps, split, window_us):
    """Raise SettingsError where events cannot be split so."""
    check_counts(n_steps=n_steps)
    check_choice(SPLITS, split=split)
    if (split == "window") != (window_us is not None):
        raise SettingsError("window_us, the length of a frame, is for split='window', which needs it")
    if window_us is not None:
        check_positive(window_us=window_us)


def check_frames(n_recordings, n_steps, sensor):
    """Raise SettingsError where the frames of recordings would not fit in memory."""
    height, width = sensor
    check_memory(
        8 * n_recordings * n_steps * height * width,
        f"n_steps={n_steps} frames of {n_recordings:,} recordings of {width} x {height} pixels",
        "take fewer steps, make the frames of fewer recordings at a time, or crop or downsample them",
    )


def frame_borders(events, n_steps, split, window_us):
    """Return the borders of frames, int64 (steps + 1,): frame k holds the events from border k up to border k + 1.

    The events are in the order of time.
    """
    steps = np.arange(n_steps + 1)
    if split == "count":
        return -(-steps * len(events) // n_steps)  # rounded up
    time = events["t"].astype(np.int64)
    time -= time[:1]
    if split == "time":  # the last event ends the last frame
        window_us = (time.max(initial=0) + 1) / n_steps
    return np.searchsorted(time, steps * window_us)


def count_events(events, borders, shape, merge_polarities=False):
    """The frames of several recordings.

    Parameters
    ----------
    events : structured ndarray, (all events,)
    borders : ndarray of int64, (recordings, steps + 1)
        Frame k of recording i counts the events from borders[i, k] up to borders[i, k + 1].
    shape : tuple of int
        Height and width of the sensor.
    merge_polarities : bool

    Returns
    -------
    ndarray of float32, (recordings, steps, height, width, 1 or 2)

    Raises
    ------
    SettingsError
        If an event lies outside of the sensor.
    """
    from .kernel import add_events

    frames = np.zeros((len(borders), borders.shape[1] - 1, *shape, 1 if merge_polarities else 2), np.float32)
    outside = add_events(*(_read_only(events[name]) for name in ("x", "y", "polarity")), borders, frames)
    if outside >= 0:
        raise SettingsError(
            f"an event is at x={events['x'][outside]}, y={events['y'][outside]}, outside of a sensor of {shape[1]} x "
            f"{shape[0]} pixels: crop or downsample the events, or give the sensor's shape (height, width)"
        )
    return frames


def _read_only(array):
    """A view that cannot be written, of a plain ndarray, so that the kernel is compiled once for all."""
    array = np.asarray(array)
    view = array.astype(array.dtype.newbyteorder("="), copy=False).view()
    view.flags.writeable = False
    return view
