"""What an event is."""

import numpy as np

from ..exceptions import SettingsError

# x, y in pixels from the upper left corner, polarity (True: ON, brighter), t in microseconds; 8 bytes
EVENT = np.dtype([("x", "u1"), ("y", "u1"), ("polarity", "?"), ("t", "<u4")], align=True)


def check_fields(events):
    """Raise SettingsError where an array of events lacks fields."""
    fields = getattr(getattr(events, "dtype", None), "names", None) or ()
    missing = [name for name in EVENT.names if name not in fields]
    if missing:
        raise SettingsError(
            f"events must be a structured array with the fields {', '.join(EVENT.names)}; {', '.join(missing)} missing"
        )
    wrong = [name for name in EVENT.names if events.dtype[name].kind not in "biu"]
    if wrong:
        raise SettingsError(f"the fields of events must hold whole numbers, and {', '.join(wrong)} do not: round them")


def checked_sensor(sensor):
    """Height and width of a sensor as a tuple; SettingsError where they are none."""
    if np.shape(sensor) != (2,) or not all(isinstance(n, int | np.integer) and n >= 1 for n in sensor):
        raise SettingsError(f"sensor must be height and width in pixels, such as (34, 34), got {sensor!r}")
    return tuple(int(n) for n in sensor)
