"""Files of recordings in the format of N-MNIST.

An event has 5 bytes; with the highest bits first: x (8 bits), y (8), polarity (1; ON is 1), t in microseconds (23).
"""

from __future__ import annotations

import os

import numpy as np

from .._util.atomic import atomic_write
from .._util.ordinary_files import open_ordinary
from .._util.validation import check_paths
from ..errors import DatasetError, SettingsError
from .event import EVENT, as_events, check_order, checked_sensor

_PACKED = np.dtype([("x", "u1"), ("y", "u1"), ("high", "u1"), ("low", ">u2")])
EVENT_BYTES = _PACKED.itemsize
LATEST_US = 2**23 - 1
# The ATIS camera has 240 rows; readers such as event-Python and tonic take row 240 for an overflow of its clock.  We
# have not seen one in N-MNIST.
OVERFLOW_ROW, OVERFLOW_US = 240, 2**13


def read_events(path: str | os.PathLike, sensor: tuple[int, int] | None = None) -> np.ndarray:
    """Read a recording in the format of N-MNIST.

    Events in row 240, which is outside of the sensor, mark overflows of the camera's clock: they are removed, and each
    of them delays the following events by 8,192 microseconds.  An empty file is a recording without events.

    Parameters
    ----------
    path : str or path
    sensor : tuple of int, optional
        Height and width in pixels, to check that all events are inside.

    Returns
    -------
    structured ndarray of EVENT, (events,)
        Events, ordered by time.

    Raises
    ------
    DatasetError
        If the file is truncated or not an ordinary file, time runs backwards, or events are outside of the sensor.
    FileNotFoundError
        If there is no such file.

    Examples
    --------
    >>> events = snc.read_events("N-MNIST/Train/5/00001.bin", sensor=(34, 34))
    """
    check_paths(path=path)
    sensor = None if sensor is None else checked_sensor(sensor)
    with open_ordinary(path, DatasetError) as file:
        return decode(file.read(), path, sensor)


def decode(data: bytes, path: str | os.PathLike, sensor: tuple[int, int] | None = None) -> np.ndarray:
    """Return the events in the bytes of the file ``path``; see :func:`read_events`."""
    if len(data) % EVENT_BYTES:
        raise DatasetError(
            f"{path} is truncated or not a recording of N-MNIST: it has {len(data):,} bytes, not a multiple of 5; "
            "get it again"
        )
    packed = np.frombuffer(data, _PACKED)
    events = np.zeros(len(packed), EVENT)
    events["x"], events["y"], events["polarity"] = packed["x"], packed["y"], packed["high"] >> 7
    events["t"] = (packed["high"] & 127).astype(np.uint32) << 16 | packed["low"]
    overflow = events["y"] == OVERFLOW_ROW
    if overflow.any():
        events["t"] += np.cumsum(overflow, dtype=np.uint32) * np.uint32(OVERFLOW_US)
        events = events[~overflow]
    _check_decoded(events, path, sensor)
    return events


def _check_decoded(events, path, sensor):
    """Check that events that were read are ordered by time and inside of the sensor."""
    backwards = np.flatnonzero(events["t"][1:] < events["t"][:-1])
    if len(backwards):
        first = backwards[0]
        raise DatasetError(
            f"{path} is damaged or not a recording of N-MNIST: time runs backwards after event {first}, from "
            f"{events['t'][first]:,} to {events['t'][first + 1]:,} microseconds; get the file again"
        )
    if sensor is None:
        return
    outside = np.flatnonzero((events["y"] >= sensor[0]) | (events["x"] >= sensor[1]))
    if len(outside):
        event = events[outside[0]]
        raise DatasetError(
            f"{path} has {len(outside):,} events outside of a sensor of {sensor[1]} x {sensor[0]} pixels, the first at "
            f"x={event['x']}, y={event['y']}: give the sensor's shape (height, width), or get the file again"
        )


def write_events(path: str | os.PathLike, events: np.ndarray) -> None:
    """Write a recording in the format of N-MNIST, which :func:`read_events` reads.

    Parameters
    ----------
    path : str or path
    events : structured ndarray, (events,)
        Events with the fields x, y, t in microseconds and polarity, ordered by time.  Absolute times, which the format
        cannot hold, are written as times since the first event.

    Raises
    ------
    DatasetError
        If fields are missing, or the format cannot hold the events: coordinates above 255, row 240, times above
        2**23 - 1 microseconds, or times that run backwards.
    """
    check_paths(path=path)
    data = encode(events, path)
    with atomic_write(path) as file:
        file.write(data)


def encode(events: np.ndarray, path: str | os.PathLike) -> bytes:
    """Return events as bytes in the format of N-MNIST; ``path`` names the file in error messages."""
    events = _encodable(events, path)
    packed = np.empty(len(events), _PACKED)
    packed["x"], packed["y"] = events["x"], events["y"]
    time = events["t"].astype(np.uint32)
    packed["high"] = (events["polarity"] > 0).astype(np.uint8) << 7 | (time >> 16).astype(np.uint8)
    packed["low"] = time & 0xFFFF
    return packed.tobytes()


def _encodable(events, path):
    """Return the events in a form that the format can hold, or raise DatasetError."""
    try:
        events = as_events(events)
    except SettingsError as error:
        raise DatasetError(f"{path} cannot be written: {error}") from error
    time = events["t"].astype(np.int64)
    if len(time) and time.max() > LATEST_US >= time.max() - time.min():  # absolute times
        events = events.copy()
        events["t"] = time - time.min()
    for name, largest, way_out in (
        ("x", 255, "crop or downsample the events"),
        ("y", 255, "crop or downsample the events"),
        ("t", LATEST_US, "remove the late ones"),
    ):
        values = events[name]
        if np.any(values < 0) or np.any(values > largest):
            raise DatasetError(
                f"{path} cannot be written: the format holds {name} from 0 to {largest:,}, but the events have "
                f"{values.min():,} to {values.max():,}: {way_out}"
            )
    if np.any(events["y"] == OVERFLOW_ROW):
        raise DatasetError(
            f"{path} cannot be written: row {OVERFLOW_ROW} marks an overflow of the camera's clock in the format: "
            "crop or downsample the events"
        )
    try:
        check_order(events)
    except SettingsError as error:
        raise DatasetError(f"{path} cannot be written: {error}") from error
    return events
