"""Transforms of events: cropping, downsampling, and compensation of the motion of the camera."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._util.validation import as_float32, check_counts, invalid, is_whole
from ..errors import SettingsError
from .event import as_events, check_fields, checked_sensor
from .saccades import SACCADES


def crop(events: np.ndarray, shape: tuple[int, int], corner: tuple[int, int] = (0, 0)) -> np.ndarray:
    """Return the events in a rectangle of the sensor.

    Parameters
    ----------
    events : structured ndarray, (events,)
    shape : tuple of int
        Height and width of the rectangle.
    corner : tuple of int
        y and x of its upper left pixel, the origin of the new coordinates.

    Returns
    -------
    structured ndarray, (fewer events,)

    Raises
    ------
    SettingsError
        If ``shape`` or ``corner`` is invalid.
    """
    check_fields(events, ("x", "y"))
    shape = checked_sensor(shape, "shape")
    if not isinstance(corner, tuple | list | np.ndarray) or len(corner) != 2 or not all(map(_is_coordinate, corner)):
        raise invalid("corner", "be (y, x) of a pixel, from 0", corner)
    return _moved(events, events["x"].astype(np.int64) - corner[1], events["y"].astype(np.int64) - corner[0], shape)


def downsample(events: np.ndarray, factor: int) -> np.ndarray:
    """Return events of coarser pixels, each of ``factor`` x ``factor`` pixels.

    Parameters
    ----------
    events : structured ndarray, (events,)
    factor : int
        Ratio of the old and the new resolution.

    Returns
    -------
    structured ndarray, (events,)
        Events on a sensor with 1 / factor of the height and width, rounded up.

    Raises
    ------
    SettingsError
        If ``factor`` is not a positive integer.
    """
    check_fields(events, ("x", "y"))
    check_counts(factor=factor)
    coarser = events.copy()
    for name in ("x", "y"):
        coarser[name] = events[name] // np.int64(factor)
    return coarser


def stabilise(events: np.ndarray, path: Any = SACCADES, sensor: tuple[int, int] = (34, 34)) -> np.ndarray:
    """Compensate the motion of the camera, so that all events of an edge have the same pixels.

    Parameters
    ----------
    events : structured ndarray, (events,)
        Events, whose times count from the beginning of the motion; from the first event, if all come after its end.
    path : array_like, (knots, 3)
        Position of the image: microseconds, x and y in pixels, interpolated linearly; by default the motion in N-MNIST.
        After it, the 28 x 28 pixels of the MNIST image begin at row 3 and column 3, or one row higher in the test set,
        for which the camera had a slightly different position.
    sensor : tuple of int
        Height and width in pixels; events that leave the sensor are removed.

    Returns
    -------
    structured ndarray, (events,)
        Events with new coordinates.

    Raises
    ------
    SettingsError
        If ``path`` has another shape, or its times do not increase.

    References
    ----------
    Orchard et al. (2015), Converting static image datasets to spiking neuromorphic datasets using saccades,
    doi:10.3389/fnins.2015.00437.
    """
    events = as_events(events, ("x", "y", "t"))
    sensor = checked_sensor(sensor)
    as_float32(path, "path")
    path = np.asarray(path, float)
    if path.ndim != 2 or path.shape[1] != 3 or len(path) == 0 or np.any(np.diff(path[:, 0]) <= 0):
        raise SettingsError(
            f"path must be rows of microseconds, x, y with increasing times; got shape {path.shape}", argument="path"
        )
    time = events["t"].astype(np.int64)
    if len(path) > 1 and len(events) and time.min() > path[-1, 0]:
        time -= time.min()  # of a clock that did not start with the recording
    x, y = (np.rint(events[name] - np.interp(time, path[:, 0], path[:, k])) for k, name in ((1, "x"), (2, "y")))
    return _moved(events, x, y, sensor)


def _is_coordinate(number):
    return is_whole(number) and number >= 0


def _moved(events, x, y, shape):
    """Return copies of the events with new coordinates, without those outside of ``shape``."""
    inside = (x >= 0) & (x < shape[1]) & (y >= 0) & (y < shape[0])
    moved = events[inside]
    moved["x"], moved["y"] = x[inside], y[inside]
    return moved
