"""What an event is."""

import numpy as np

from .._util.validation import is_whole, shown
from ..errors import SettingsError

# x, y in pixels from the upper left corner, polarity (True: ON, brighter), t in microseconds; 8 bytes
EVENT = np.dtype([("x", "u1"), ("y", "u1"), ("polarity", "?"), ("t", "<u4")], align=True)


# names that other packages (tonic, expelliarmus, metavision, aedat) give to the same fields
OTHER_NAMES = {
    "x": ("xs", "col", "column"),
    "y": ("ys", "row"),
    "polarity": ("p", "on", "pol", "polarities"),
    "t": ("ts", "time", "timestamp", "timestamps"),
}
_CHUNK = 2**22  # events whose order is looked at together, so that mapped ones need not fit in memory


def check_fields(events, names=EVENT.names):
    """Raise SettingsError for anything but a structured array (events,) with the fields of an event, or these."""
    fields = getattr(getattr(events, "dtype", None), "names", None) or ()
    missing = [name for name in names if name not in fields]
    if missing:
        others = {other: name for name in missing for other in OTHER_NAMES[name] if other in fields}
        way_out = f": rename them, numpy.lib.recfunctions.rename_fields(events, {others})" if others else ""
        got = "" if fields else f"; got {shown(events)}"
        raise SettingsError(
            f"events must be a structured array with the fields {', '.join(names)}; {', '.join(missing)} "
            f"missing{way_out}{got}"
        )
    if np.ndim(events) != 1:
        raise SettingsError(f"events must be a structured array (events,), got shape {np.shape(events)}")
    wrong = [name for name in names if events.dtype[name].kind not in "biu"]
    if "t" in wrong:
        raise SettingsError(
            "the field t of events must hold whole microseconds, as integers such as int64: of seconds these are "
            "numpy.round(1e6 * t), of microseconds numpy.round(t)"
        )
    if wrong:
        raise SettingsError(f"the fields of events must hold whole numbers, and {', '.join(wrong)} do not: round them")


def check_order(events, starts=(0,), stops=None):
    """Raise SettingsError where time runs backwards within a recording.

    It is the rule of all that reads, splits and counts events: they are in the order of time, or refused.

    Parameters
    ----------
    events : structured ndarray, (all events,)
    starts, stops : sequence of int
        Recording i is ``events[starts[i]:stops[i]]``; by default there is one of all events.
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
            which = f"recording {number}" if len(starts) > 1 else "the events"
            raise SettingsError(
                f"the time of {which} runs backwards, from {time[event]} to {time[event + 1]} microseconds after event "
                f"{event - starts[number]}: sort them, events[numpy.argsort(events['t'], kind='stable')]"
            )


def checked_sensor(sensor, name="sensor"):
    """Return height and width of a sensor as a tuple; SettingsError where they are none."""
    if not isinstance(sensor, tuple | list | np.ndarray) or len(sensor) != 2 or not all(map(_is_size, sensor)):
        raise SettingsError(f"{name} must be height and width in pixels, such as (34, 34), got {shown(sensor)}")
    return tuple(int(n) for n in sensor)


def _is_size(number):
    return is_whole(number) and 1 <= number < 2**31
