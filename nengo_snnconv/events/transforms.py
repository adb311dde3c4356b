"""Events to events: parts of the sensor, coarser pixels, and motion of the camera undone."""

import numpy as np

from .._util.validation import as_float32, check_counts, is_whole, shown
from ..errors import SettingsError
from .event import check_fields, checked_sensor
from .saccades import SACCADES


def crop(events, shape, corner=(0, 0)):
    """The events in a part of the sensor.

    Parameters
    ----------
    events : structured ndarray, (events,)
    shape : tuple of int
        Height and width of the part.
    corner : tuple of int
        y and x of its upper left pixel, from which coordinates are counted afterwards.

    Returns
    -------
    structured ndarray, (fewer events,)

    Raises
    ------
    SettingsError
        If the part has no pixels, or its corner a negative coordinate.
    """
    check_fields(events, ("x", "y"))
    shape = checked_sensor(shape, "shape")
    if not isinstance(corner, tuple | list | np.ndarray) or len(corner) != 2 or not all(map(_is_place, corner)):
        raise SettingsError(f"corner must be (y, x) of a pixel, from 0, got {shown(corner)}")
    return _moved(events, events["x"].astype(np.int64) - corner[1], events["y"].astype(np.int64) - corner[0], shape)


def downsample(events, factor):
    """Events of coarser pixels, each in the place of ``factor`` x ``factor`` ones.

    Parameters
    ----------
    events : structured ndarray, (events,)
    factor : int

    Returns
    -------
    structured ndarray, (events,)
        On a sensor with 1 / factor of the height and width, rounded up.

    Raises
    ------
    SettingsError
        If ``factor`` is no positive integer.
    """
    check_fields(events, ("x", "y"))
    check_counts(factor=factor)
    coarser = events.copy()
    for name in ("x", "y"):
        coarser[name] = events[name] // np.int64(factor)
    return coarser


def stabilise(events, path=SACCADES, sensor=(34, 34)):
    """Undo the motion of the camera, so that the events of an edge fall on the same pixels.

    Parameters
    ----------
    events : structured ndarray, (events,)
    path : array_like, (knots, 3)
        Where the image is at a time: microseconds, x and y in pixels, with straight lines between; by default that of
        N-MNIST, after which the 28 x 28 pixels of the MNIST image begin at row 3 and column 3, or one row higher in the
        recordings for testing, for which the camera stood a little differently.
    sensor : tuple of int
        Height and width; events that the image's motion carries off the sensor are left out.

    Returns
    -------
    structured ndarray, (events,)

    Raises
    ------
    SettingsError
        If ``path`` has another shape or no increasing times, or all events come after it.

    References
    ----------
    Orchard et al. (2015), Converting static image datasets to spiking neuromorphic datasets using saccades,
    doi:10.3389/fnins.2015.00437.
    """
    check_fields(events, ("x", "y", "t"))
    sensor = checked_sensor(sensor)
    as_float32(path, "path")
    path = np.asarray(path, float)
    if path.ndim != 2 or path.shape[1] != 3 or len(path) == 0 or np.any(np.diff(path[:, 0]) <= 0):
        raise SettingsError(f"path must be rows of microseconds, x, y with increasing times; got shape {path.shape}")
    if len(path) > 1 and len(events) and events["t"].min() > path[-1, 0]:
        raise SettingsError(
            f"the events begin at {events['t'].min()} microseconds, after path ends: its times are counted from the "
            "beginning of the recording, so subtract that of the first event from t"
        )
    x, y = (np.rint(events[name] - np.interp(events["t"], path[:, 0], path[:, k])) for k, name in ((1, "x"), (2, "y")))
    return _moved(events, x, y, sensor)


def _is_place(number):
    return is_whole(number) and number >= 0


def _moved(events, x, y, shape):
    """Copies of the events at new places, without those outside of ``shape``."""
    inside = (x >= 0) & (x < shape[1]) & (y >= 0) & (y < shape[0])
    moved = events[inside]
    moved["x"], moved["y"] = x[inside], y[inside]
    return moved
