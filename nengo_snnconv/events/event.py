"""The data type of events, and the validation of events and sensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._util.validation import invalid, is_whole, shown
from ..errors import SettingsError

# x and y in pixels from the upper left corner, polarity (True: ON, brighter), t in microseconds; 8 bytes
EVENT = np.dtype([("x", "u1"), ("y", "u1"), ("polarity", "?"), ("t", "<u4")], align=True)
# names of the same fields in other packages (tonic, expelliarmus, metavision, aedat)
OTHER_NAMES = {
    "x": ("xs", "col", "column"),
    "y": ("ys", "row"),
    "polarity": ("p", "on", "pol", "polarities"),
    "t": ("ts", "time", "timestamp", "timestamps"),
}
# largest span of times in seconds, and smallest one in microseconds, if they are floats
_LONGEST_S, _SHORTEST_US = 1000, 1000
_CHUNK = 2**22  # events checked at a time, since memory-mapped events may not fit into memory


def as_events(events: Any, names: Sequence[str] = ("x", "y", "polarity", "t"), *, argument: str = "events") -> Any:
    """Return events with the integer fields ``names``, from the fields and units of other packages if they are clear.

    Coordinates and polarity may have other names, such as ``p`` or ``on``.  Times may be floats: with fractions and
    within 1,000 they are seconds, as in text files of v2e; whole numbers beyond are microseconds.

    Raises
    ------
    SettingsError
        If a field is missing or of another type, or times may be both.
    """
    fields = getattr(getattr(events, "dtype", None), "names", None) or ()
    renamed = {}
    for name in set(names) - set(fields) - {"t"}:  # other names of t may mean other units
        found = [other for other in OTHER_NAMES[name] if other in fields]
        if len(found) == 1:
            renamed[found[0]] = name
    if {*fields, *renamed.values()} >= set(names) and renamed:
        events = events.view(_dtype_of(events.dtype, renamed, {}))
    if "t" in names and "t" in fields and events.dtype["t"].kind == "f":
        events = _in_microseconds(events)
    check_fields(events, names, argument=argument)
    return events


def _dtype_of(dtype, names, formats):
    """Return a structured type with other names and formats of some fields."""
    fields = [(names.get(name, name), formats.get(name, dtype[name])) for name in dtype.names]
    if formats:
        return np.dtype(fields)
    offsets = [dtype.fields[name][1] for name in dtype.names]
    new, types = zip(*fields, strict=True)
    return np.dtype({"names": new, "formats": types, "offsets": offsets, "itemsize": dtype.itemsize})


def _in_microseconds(events):
    """Return events whose times are integers instead of floats, or unchanged if their unit is not clear."""
    time = np.asarray(events["t"], float)
    if not time.size or not np.isfinite(time).all():
        unit = None if time.size else 1
    else:
        span, whole = time.max() - time.min(), not np.any(time % 1)
        unit = 1e6 if not whole and span < _LONGEST_S else 1 if whole and span >= _SHORTEST_US else None
    if unit is None:
        return events
    changed = np.empty(events.shape, _dtype_of(events.dtype, {}, {"t": np.dtype(np.int64)}))
    for name in events.dtype.names:
        changed[name] = np.round(unit * time) if name == "t" else events[name]
    return changed


def check_fields(events: Any, names: Sequence[str] = ("x", "y", "polarity", "t"), *, argument: str = "events") -> None:
    """Check that ``events``, given as ``argument``, is a structured array with the integer fields ``names``."""
    fields = getattr(getattr(events, "dtype", None), "names", None) or ()
    missing = [name for name in names if name not in fields]
    if missing:
        others = {other: name for name in missing for other in OTHER_NAMES[name] if other in fields}
        way_out = f": rename them, numpy.lib.recfunctions.rename_fields(events, {others})" if others else ""
        received = "" if fields else f"; got {shown(events)}"
        raise SettingsError(
            f"events must be a structured array with the fields {', '.join(names)}; {', '.join(missing)} "
            f"missing{way_out}{received}",
            argument=argument,
        )
    if np.ndim(events) != 1:
        raise SettingsError(
            f"events must be a structured array (events,), got shape {np.shape(events)}", argument=argument
        )
    wrong = [name for name in names if events.dtype[name].kind not in "biu"]
    if "t" in wrong:
        raise SettingsError(
            "the field t of events must hold microseconds as integers, such as int64: round them with numpy.round(t), "
            "or seconds with numpy.round(1e6 * t)",
            argument=argument,
        )
    if wrong:
        raise SettingsError(
            f"the fields of events must hold integers, but {', '.join(wrong)} do not: round them", argument=argument
        )


def check_order(events: np.ndarray, starts: Any = (0,), stops: Any = None) -> None:
    """Check that the events of each recording are ordered by time, as all functions on events require.

    Parameters
    ----------
    events : structured ndarray, (all events,)
    starts, stops : array_like of int, optional
        Recording i is ``events[starts[i]:stops[i]]``; by default, all events are one recording.
    """
    starts = np.asarray(starts, np.int64)
    stops = np.array([len(events)]) if stops is None else np.asarray(stops, np.int64)
    time = events["t"]
    first, last = (int(starts.min()), int(stops.max())) if len(starts) else (0, 0)
    for begin in range(first, last, _CHUNK):
        part = time[begin : min(begin + _CHUNK + 1, last)]
        (backwards,) = np.nonzero(part[1:] < part[:-1])
        if not len(backwards):
            continue
        backwards += begin
        inside = np.searchsorted(backwards, starts) < np.searchsorted(backwards, stops - 1)
        if inside.any():
            number = int(inside.argmax())
            event = int(backwards[np.searchsorted(backwards, starts[number])])
            subject = f"recording {number}" if len(starts) > 1 else "the events"
            raise SettingsError(
                f"the time of {subject} runs backwards, from {time[event]} to {time[event + 1]} microseconds after "
                f"event {event - starts[number]}: sort them with events[numpy.argsort(events['t'], kind='stable')]",
                argument="events",
            )


def checked_sensor(sensor: Any, name: str = "sensor") -> tuple[int, int]:
    """Return the height and width of a sensor as a tuple, after validation of argument ``name``."""
    if not isinstance(sensor, tuple | list | np.ndarray) or len(sensor) != 2 or not all(map(_is_size, sensor)):
        raise invalid(name, "be height and width in pixels, such as (34, 34)", sensor)
    height, width = map(int, sensor)
    return height, width


def _is_size(number):
    return is_whole(number) and 1 <= number < 2**31
