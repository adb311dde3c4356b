"""Frames: sums of successive groups of events, an image for each polarity."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._util.validation import check_choice, check_counts, check_flags, check_memory, check_positive
from ..errors import SettingsError
from .event import as_events, check_order, checked_sensor

SPLITS = ("count", "time", "window")


def event_frames(
    events: np.ndarray,
    n_steps: int,
    shape: tuple[int, int],
    *,
    split: str = "count",
    window_us: float | None = None,
    merge_polarities: bool = False,
) -> np.ndarray:
    """Sum the events of a recording into frames.

    Parameters
    ----------
    events : structured ndarray, (events,)
        Events with the fields x, y, t in microseconds and polarity, ordered by time.
    n_steps : int
        Number of frames.
    shape : tuple of int
        Height and width of the sensor.
    split : "count", "time" or "window"
        Frames with the same number of events ("count": event k of n is in frame floor(k n_steps / n)), of the same
        duration from the first event to the last ("time"), or of ``window_us`` each from the first event on, without
        the events after the last frame ("window").
    window_us : float, optional
        Duration of a frame in microseconds, for ``split="window"``.
    merge_polarities : bool
        Whether to count OFF and ON events together, in a single channel.

    Returns
    -------
    ndarray of float32, (steps, height, width, 2), or (steps, height, width, 1) for merged polarities
        Number of events at each pixel; channel 0 counts OFF events, channel 1 ON events.

    Raises
    ------
    SettingsError
        If an argument is invalid, an event lies outside of the sensor, or time runs backwards.

    Examples
    --------
    >>> frames = snc.event_frames(events, n_steps=10, shape=(34, 34))
    """
    events = as_events(events)
    check_split(n_steps, split, window_us)
    shape = checked_sensor(shape, "shape")
    check_flags(merge_polarities=merge_polarities)
    check_frames(1, n_steps, shape)
    check_order(events)
    borders = frame_borders(events, n_steps, split, window_us)
    return count_events(events, borders[None], shape, merge_polarities)[0]


def check_split(n_steps: Any, split: Any, window_us: Any) -> None:
    """Check the arguments that determine the frames of a recording."""
    check_counts(n_steps=n_steps)
    check_choice(SPLITS, split=split)
    if (split == "window") != (window_us is not None):
        raise SettingsError(
            "window_us, the duration of a frame, is needed for split='window', and only for it", argument="window_us"
        )
    if window_us is not None:
        check_positive(window_us=window_us)


def check_frames(n_recordings: int, n_steps: int, sensor: tuple[int, int]) -> None:
    """Check that the frames of recordings fit into memory."""
    height, width = sensor
    check_memory(
        8 * n_recordings * n_steps * height * width,
        f"n_steps={n_steps} frames of {n_recordings:,} recordings of {width} x {height} pixels",
        "take fewer steps, make the frames of fewer recordings at a time, or crop or downsample them",
    )


def frame_borders(events: np.ndarray, n_steps: int, split: str, window_us: float | None) -> np.ndarray:
    """Return the borders of frames, int64 (steps + 1,): frame k is ``events[borders[k]:borders[k + 1]]``.

    The events must be ordered by time.
    """
    steps = np.arange(n_steps + 1)
    if split == "count":
        return -(-steps * len(events) // n_steps)  # rounded up
    time = events["t"].astype(np.int64)
    time -= time[:1]
    if split == "time":  # the last frame ends with the last event
        window_us = (time.max(initial=0) + 1) / n_steps
    assert window_us is not None
    return np.searchsorted(time, steps * window_us)


def count_events(
    events: np.ndarray, borders: np.ndarray, shape: tuple[int, int], merge_polarities: bool = False
) -> np.ndarray:
    """Return the frames of several recordings.

    Parameters
    ----------
    events : structured ndarray, (all events,)
    borders : ndarray of int64, (recordings, steps + 1)
        Frame k of recording i counts ``events[borders[i, k]:borders[i, k + 1]]``.
    shape : tuple of int
        Height and width of the sensor.
    merge_polarities : bool
        Whether to count OFF and ON events in a single channel.

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
            f"{shape[0]} pixels: crop or downsample the events, or give the sensor's shape (height, width)",
            argument="events",
        )
    return frames


def _read_only(array):
    """Return a read-only view as a plain ndarray, since the kernel is compiled for each type of array."""
    array = np.asarray(array)
    view = array.astype(array.dtype.newbyteorder("="), copy=False).view()
    view.flags.writeable = False
    return view
