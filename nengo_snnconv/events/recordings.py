"""Recordings: many recordings of an event camera with their classes, in one array of events."""

import operator

import numpy as np

from .._util.digests import crc32
from .._util.validation import as_array, check_flags
from ..errors import SettingsError
from .event import EVENT, check_fields, check_order, checked_sensor
from .frames import check_frames, check_split, count_events, frame_borders


class Recordings:
    """Recordings of an event camera, which behave like a sequence.

    ``recordings[i]`` is the structured array of one; slices, lists of numbers and masks give fewer recordings, which
    share the same events.

    Parameters
    ----------
    events : structured ndarray, (all events,)
        Of all recordings; fields as those of ``EVENT``, in the order of time within each recording.  It may be mapped
        from a file, so that it need not fit in memory.
    starts, stops : array_like of int, (recordings,)
        Recording i is ``events[starts[i]:stops[i]]``.
    labels : array_like of int, (recordings,)
        Class numbers.
    sensor : tuple of int
        Height and width in pixels.
    numbers : array_like of int, (recordings,), optional
        Which image of its data set each recording shows, from 0; by default 0, 1, 2 and so on.

    Raises
    ------
    SettingsError
        If fields are missing, lengths do not fit, or time runs backwards within a recording.
    """

    def __init__(self, events, starts, stops, labels, sensor=(34, 34), numbers=None):
        check_fields(events)
        self.events = events
        self.labels = _whole_numbers(labels, "labels", "class numbers, ")
        self.starts, self.stops = _whole_numbers(starts, "starts"), _whole_numbers(stops, "stops")
        self.sensor = checked_sensor(sensor)
        self.numbers = np.arange(len(self.labels)) if numbers is None else _whole_numbers(numbers, "numbers")
        if not len(self.starts) == len(self.stops) == len(self.labels) == len(self.numbers):
            raise SettingsError(
                f"starts, stops, labels and numbers must be equally long, got {len(self.starts)}, {len(self.stops)}, "
                f"{len(self.labels)} and {len(self.numbers)}"
            )
        if len(self.starts) and not (self.starts.min() >= 0 and self.stops.max() <= len(events)):
            raise SettingsError(f"starts and stops must lie between 0 and {len(events)}, the number of events")
        if np.any(self.stops < self.starts):
            raise SettingsError("stops must not be below starts")
        check_order(events, self.starts, self.stops)

    @classmethod
    def in_order(cls, events, starts, stops, labels, sensor, numbers):
        """Return recordings whose arguments are known to be right, without reading all events to see their order."""
        recordings = cls.__new__(cls)
        recordings.events, recordings.sensor = events, sensor
        recordings.starts, recordings.stops, recordings.labels, recordings.numbers = starts, stops, labels, numbers
        return recordings

    @classmethod
    def of(cls, recordings, labels, sensor=(34, 34), numbers=None):
        """Recordings from a sequence of structured arrays, which are copied into one."""
        sequence = isinstance(recordings, Recordings) or hasattr(recordings, "__iter__")
        if not sequence or isinstance(recordings, str) or getattr(getattr(recordings, "dtype", None), "names", None):
            raise SettingsError(
                f"recordings must be a sequence of structured arrays, such as [events], got {type(recordings).__name__}"
            )
        recordings = list(recordings)
        for events in recordings:
            check_fields(events)
        lengths = np.array([len(events) for events in recordings], np.int64)
        stops = np.cumsum(lengths)
        events = np.concatenate([np.empty(0, EVENT), *(events[list(EVENT.names)] for events in recordings)])
        return cls(events, stops - lengths, stops, labels, sensor, numbers)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        if np.ndim(index) == 0 and not isinstance(index, slice):
            index = operator.index(index)
            return self.events[self.starts[index] : self.stops[index]]
        parts = (array[index] for array in (self.starts, self.stops, self.labels))
        return Recordings.in_order(self.events, *parts, self.sensor, self.numbers[index])

    def __reduce__(self):
        # the events of others, which a slice shares, do not travel with it
        own = Recordings.of([self[i] for i in range(len(self))], self.labels, self.sensor, self.numbers)
        return Recordings, (own.events, own.starts, own.stops, own.labels, own.sensor, own.numbers)

    def __repr__(self):
        height, width = self.sensor
        return f"<Recordings: {len(self):,} of {width} x {height} pixels, {self.lengths.sum():,} events>"

    @property
    def lengths(self):
        """Number of events of each recording, (recordings,)."""
        return self.stops - self.starts

    def frames(self, n_steps, *, split="count", window_us=None, merge_polarities=False):
        """The frames of all recordings, float32 (recordings, steps, height, width, 2); see :func:`event_frames`."""
        check_split(n_steps, split, window_us)
        check_flags(merge_polarities=merge_polarities)
        check_frames(len(self), n_steps, self.sensor)
        borders = np.empty((len(self), n_steps + 1), np.int64)
        for i in range(len(self)):
            borders[i] = self.starts[i] + frame_borders(self[i], n_steps, split, window_us)
        return count_events(self.events, borders, self.sensor, merge_polarities)

    def transformed(self, function, sensor=None):
        """New recordings of ``function(events)`` for the structured array of each.

        Parameters
        ----------
        function : callable
            Such as :func:`stabilise`, or ``lambda events: crop(events, (28, 28), (3, 3))``.
        sensor : tuple of int, optional
            Height and width afterwards, if they differ.

        Returns
        -------
        Recordings
        """
        if not callable(function):
            raise SettingsError(f"function must take the events of a recording, such as stabilise; got {function!r}")
        events = [function(self[i]) for i in range(len(self))]
        return Recordings.of(events, self.labels, self.sensor if sensor is None else sensor, self.numbers)

    def checksum(self):
        """A CRC-32 of all events, in order, and of the labels."""
        crc = crc32(self.labels)
        for i in range(len(self)):
            for name in EVENT.names:  # one by one, for the bytes between them mean nothing
                crc = crc32(self[i][name], start=crc)
        return crc


def _whole_numbers(values, name, of=""):
    """Return a sequence of whole numbers as int64 (recordings,); SettingsError where it is none."""
    array = as_array(values, name)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer) and len(array):
        raise SettingsError(f"{name} must be {of}integers (recordings,), got {array.dtype} {array.shape}")
    if len(array) and array.max() >= 2**63:
        raise SettingsError(f"{name} must be {of}integers below 2**63, got {array.max()}")
    return array.astype(np.int64, copy=False)
