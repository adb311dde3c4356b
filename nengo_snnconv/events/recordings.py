"""Recordings: many recordings of an event camera with their classes, in one array of events."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from .._util.digests import crc32
from .._util.validation import as_array, check_flags
from ..errors import SettingsError
from .event import EVENT, as_events, check_order, checked_sensor
from .frames import check_frames, check_split, count_events, frame_borders


class Recordings:
    """Sequence of recordings of an event camera.

    ``recordings[i]`` is the structured array of one recording; slices, index lists and masks select recordings that
    share the same events.

    Parameters
    ----------
    events : structured ndarray, (all events,)
        Events of all recordings, with the fields of ``EVENT``, ordered by time within each recording.  They may be
        memory-mapped from a file.  Polarity may be called ``p`` or ``on``, as in tonic and aedat, and times may be
        floats in seconds.
    starts, stops : array_like of int, (recordings,)
        Recording i is ``events[starts[i]:stops[i]]``.
    labels : array_like of int, (recordings,)
        Class numbers.
    sensor : tuple of int
        Height and width in pixels.
    numbers : array_like of int, (recordings,), optional
        Image of the data set that each recording shows, counted from 0; by default 0, 1, 2 and so on.

    Attributes
    ----------
    class_names : tuple of str
        Names of the classes, if a folder from which they were read has some.

    Raises
    ------
    SettingsError
        If fields are missing, lengths do not fit, or time runs backwards within a recording.

    Examples
    --------
    >>> recordings = snc.Recordings.of([events], labels=[5])
    >>> recordings.frames(n_steps=10).shape
    (1, 10, 34, 34, 2)
    """

    events: np.ndarray
    starts: np.ndarray
    stops: np.ndarray
    labels: np.ndarray
    numbers: np.ndarray
    sensor: tuple[int, int]
    class_names: tuple[str, ...] = ()

    def __init__(
        self,
        events: np.ndarray,
        starts: Any,
        stops: Any,
        labels: Any,
        sensor: tuple[int, int] = (34, 34),
        numbers: Any = None,
    ) -> None:
        self.events = events = as_events(events)
        self.labels = _integers(labels, "labels", "class numbers, ")
        self.starts, self.stops = _integers(starts, "starts"), _integers(stops, "stops")
        self.sensor = checked_sensor(sensor)
        self.numbers = np.arange(len(self.labels)) if numbers is None else _integers(numbers, "numbers")
        if not len(self.starts) == len(self.stops) == len(self.labels) == len(self.numbers):
            raise SettingsError(
                f"starts, stops, labels and numbers must be equally long, got {len(self.starts)}, {len(self.stops)}, "
                f"{len(self.labels)} and {len(self.numbers)}"
            )
        if len(self.starts) and not (self.starts.min() >= 0 and self.stops.max() <= len(events)):
            raise SettingsError(f"starts and stops must lie between 0 and {len(events)}, the number of events")
        if np.any(self.stops < self.starts):
            raise SettingsError("stops must not be below starts", argument="stops")
        check_order(events, self.starts, self.stops)

    @classmethod
    def in_order(
        cls,
        events: np.ndarray,
        starts: np.ndarray,
        stops: np.ndarray,
        labels: np.ndarray,
        sensor: tuple[int, int],
        numbers: np.ndarray,
        class_names: tuple[str, ...] = (),
    ) -> Recordings:
        """Return recordings without validation, which would read all events."""
        recordings = cls.__new__(cls)
        recordings.events, recordings.sensor = events, sensor
        recordings.starts, recordings.stops, recordings.labels, recordings.numbers = starts, stops, labels, numbers
        recordings.class_names = class_names
        return recordings

    @classmethod
    def of(
        cls, recordings: Iterable[np.ndarray], labels: Any, sensor: tuple[int, int] = (34, 34), numbers: Any = None
    ) -> Recordings:
        """Return recordings with copies of the events of a sequence of structured arrays."""
        is_sequence = isinstance(recordings, Recordings) or hasattr(recordings, "__iter__")
        if not is_sequence or isinstance(recordings, str) or getattr(getattr(recordings, "dtype", None), "names", None):
            raise SettingsError(
                f"recordings must be a sequence of structured arrays, such as [events], got "
                f"{type(recordings).__name__}",
                argument="recordings",
            )
        recordings = [as_events(events, argument="recordings") for events in recordings]
        lengths = np.array([len(events) for events in recordings], np.int64)
        stops = np.cumsum(lengths)
        fields = ["x", "y", "polarity", "t"]
        events = np.concatenate([np.empty(0, EVENT), *(events[fields] for events in recordings)])
        try:
            return cls(events, stops - lengths, stops, labels, sensor, numbers)
        except SettingsError as error:
            if error.argument == "events":
                error.argument = "recordings"
            raise

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: Any) -> Any:
        if np.ndim(index) == 0 and not isinstance(index, slice):
            index = operator.index(index)
            return self.events[self.starts[index] : self.stops[index]]
        starts, stops, labels = (array[index] for array in (self.starts, self.stops, self.labels))
        return Recordings.in_order(
            self.events, starts, stops, labels, self.sensor, self.numbers[index], self.class_names
        )

    def __reduce__(self):
        # pickle only the events of these recordings, not those of others in the same array
        own = Recordings.of([self[i] for i in range(len(self))], self.labels, self.sensor, self.numbers)
        arguments = own.events, own.starts, own.stops, own.labels, own.sensor, own.numbers
        return Recordings, arguments, {"class_names": self.class_names}

    def __repr__(self):
        height, width = self.sensor
        return f"<Recordings: {len(self):,} of {width} x {height} pixels, {self.lengths.sum():,} events>"

    @property
    def lengths(self) -> np.ndarray:
        """Number of events of each recording, (recordings,)."""
        return self.stops - self.starts

    def frames(
        self,
        n_steps: int,
        *,
        split: str = "count",
        window_us: float | None = None,
        merge_polarities: bool = False,
    ) -> np.ndarray:
        """Return the frames of all recordings, float32 (recordings, steps, height, width, 2).

        See :func:`event_frames`.
        """
        check_split(n_steps, split, window_us)
        check_flags(merge_polarities=merge_polarities)
        check_frames(len(self), n_steps, self.sensor)
        borders = np.empty((len(self), n_steps + 1), np.int64)
        for i in range(len(self)):
            borders[i] = self.starts[i] + frame_borders(self[i], n_steps, split, window_us)
        return count_events(self.events, borders, self.sensor, merge_polarities)

    def transformed(
        self, function: Callable[[np.ndarray], np.ndarray], sensor: tuple[int, int] | None = None
    ) -> Recordings:
        """Return new recordings of ``function(events)`` for the events of each recording.

        Parameters
        ----------
        function : callable
            Function of a structured array, such as :func:`stabilise` or
            ``lambda events: crop(events, (28, 28), (3, 3))``.
        sensor : tuple of int, optional
            New height and width of the sensor, if they change.

        Returns
        -------
        Recordings
        """
        if not callable(function):
            raise SettingsError(
                f"function must be a function of the events of a recording, such as stabilise, got {function!r}",
                argument="function",
            )
        events = [function(self[i]) for i in range(len(self))]
        changed = Recordings.of(events, self.labels, self.sensor if sensor is None else sensor, self.numbers)
        changed.class_names = self.class_names
        return changed

    def checksum(self) -> int:
        """Return the CRC-32 of the labels and all events, in order."""
        crc = crc32(self.labels)
        for i in range(len(self)):
            for name in ("x", "y", "polarity", "t"):  # field by field, since padding bytes are arbitrary
                crc = crc32(self[i][name], start=crc)
        return crc


def _integers(values, name, kind=""):
    """Return a sequence of integers as int64 (recordings,); ``kind`` describes them in error messages."""
    array = as_array(values, name)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer) and len(array):
        raise SettingsError(
            f"{name} must be {kind}integers (recordings,), got {array.dtype} {array.shape}", argument=name
        )
    if len(array) and array.max() >= 2**63:
        raise SettingsError(f"{name} must be {kind}integers below 2**63, got {array.max()}", argument=name)
    return array.astype(np.int64, copy=False)


def check_recordings(recordings):
    """Check that an argument is Recordings; raise SettingsError otherwise."""
    if not isinstance(recordings, Recordings):
        raise SettingsError(f"recordings must be Recordings, got {type(recordings).__name__}", argument="recordings")
