"""Statistics of recordings: number, times, positions and intervals of events."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from .._util.json_values import to_python
from .._util.validation import as_float32, check_counts, check_flags, check_memory, invalid
from ..errors import SettingsError
from .files import LATEST_US
from .recordings import Recordings
from .saccades import SACCADE_ENDS_US

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
MOST_BINS = 10_000_000  # limit of the bins of the rate, because of memory
INTERVAL_US, LONGEST_US = 100, 50_000  # bin width of the histogram of intervals; longer intervals share the last bin


@dataclasses.dataclass(frozen=True, eq=False)
class EventStatistics:
    """Statistics of a set of recordings, averaged over recordings unless stated otherwise.

    Attributes
    ----------
    n_recordings : int
        Number of recordings.
    events_mean, events_sd : float
        Mean and standard deviation of the number of events of a recording.
    events_quantiles : ndarray, (5,)
        5, 25, 50, 75 and 95 % quantiles of the number of events of a recording.
    on_share : float
        Fraction of ON events.
    part_ends_us : tuple of float
        Ends of all parts of a recording except the last, in microseconds.
    density : ndarray, (parts, height, width, 2)
        Number of OFF and ON events of each pixel in each part.
    bin_us : int
        Length of the bins of ``rate`` in microseconds.
    rate : ndarray, (bins, 2)
        Number of OFF and ON events of all pixels in each bin, from the beginning of a recording.
    intervals_us : ndarray, (5, 2)
        5, 25, 50, 75 and 95 % quantiles of the interval between successive events of a pixel, if both are OFF or both
        are ON, with a resolution of 100 microseconds, up to 50 ms.
    from_first_event : bool
        Whether time begins with the first event of each recording instead of 0.
    """

    n_recordings: int
    events_mean: float
    events_sd: float
    events_quantiles: np.ndarray
    on_share: float
    part_ends_us: tuple[float, ...]
    density: np.ndarray
    bin_us: int
    rate: np.ndarray
    intervals_us: np.ndarray
    from_first_event: bool = False

    @property
    def parts(self) -> np.ndarray:
        """Number of OFF and ON events of a recording in each part, (parts, 2)."""
        return self.density.sum(axis=(1, 2))

    def to_dict(self) -> dict[str, Any]:
        """Return all statistics as numbers and lists, for JSON."""
        values = dataclasses.asdict(self) | {"parts": self.parts}
        return to_python(values)

    def compare(self, other: EventStatistics) -> dict[str, float]:
        """Return differences from other statistics.

        Parameters
        ----------
        other : EventStatistics
            Statistics with the same sensor, parts and bins.

        Returns
        -------
        dict of str to float
            ``events_mean``, ``events_sd`` and the median intervals ``interval_off`` and ``interval_on``: relative
            differences, self / other - 1.  ``on_share``: difference, self - other.  ``parts``: largest relative
            difference of the number of events of a part and polarity.  ``rate`` and ``density``: total variation
            distance, 0 to 1, the fraction of events to move to other bins, or other pixels, parts and polarities.

        Raises
        ------
        SettingsError
            If sensor, parts or bins differ, or there are no events.
        """
        if not isinstance(other, EventStatistics):
            raise SettingsError(f"other must be EventStatistics, got {type(other).__name__}", argument="other")
        mine, others = (
            (each.density.shape, each.part_ends_us, each.bin_us, each.events_mean > 0) for each in (self, other)
        )
        if mine != others or not mine[-1]:
            raise SettingsError(
                "statistics can be compared if sensor, parts and bins are equal and there are events; got (parts, "
                f"height, width, 2), ends of parts, bin_us, any events: {mine} and {others}",
                argument="other",
            )
        median = QUANTILES.index(0.5)
        off, on = _relative(self.intervals_us[median], other.intervals_us[median])
        return {
            "events_mean": float(_relative(self.events_mean, other.events_mean)),
            "events_sd": float(_relative(self.events_sd, other.events_sd)),
            "on_share": self.on_share - other.on_share,
            "parts": float(np.abs(_relative(self.parts, other.parts)).max()),
            "rate": _distance(self.rate, other.rate),
            "density": _distance(self.density, other.density),
            "interval_off": float(off),
            "interval_on": float(on),
        }


def _relative(a, b):
    """Return a / b - 1; 0 if both are 0, infinity if only b is 0."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((a == 0) & (b == 0), 0.0, a / b - 1)


def _distance(a, b):
    """Return the total variation distance of two histograms, of which one may be longer."""
    length = max(len(a), len(b))
    a, b = (np.pad(h / h.sum(), [(0, length - len(h))] + [(0, 0)] * (h.ndim - 1)) for h in (a, b))
    return float(np.abs(a - b).sum() / 2)


def event_statistics(
    recordings: Recordings,
    *,
    part_ends_us: Sequence[float] = SACCADE_ENDS_US,
    bin_us: int = 5000,
    from_first_event: bool | None = None,
) -> EventStatistics:
    """Compute statistics of the number, times, positions and intervals of events.

    Parameters
    ----------
    recordings : Recordings
    part_ends_us : sequence of float
        Ends of all parts of a recording except the last, in microseconds; by default the saccades of N-MNIST.
    bin_us : int
        Length of the bins of the rate in microseconds.
    from_first_event : bool, optional
        Whether to measure the time of each recording from its first event instead of 0.  By default this is done if
        times are absolute, that is, if a recording begins before 0 or after 8.4 s, the latest time in N-MNIST's format.

    Returns
    -------
    EventStatistics

    Raises
    ------
    SettingsError
        If there are no recordings, an argument is invalid, or a recording is so long that its rate would have more than
        ten million bins.

    Examples
    --------
    >>> snc.event_statistics(recordings).events_mean
    """
    check_counts(bin_us=bin_us)
    if not isinstance(recordings, Recordings):
        raise SettingsError(
            f"recordings must be Recordings, got {type(recordings).__name__}: make them with Recordings.of",
            argument="recordings",
        )
    if not len(recordings):
        raise SettingsError("recordings must not be empty", argument="recordings")
    ends = as_float32(part_ends_us, "part_ends_us")
    if ends.ndim != 1 or np.any(np.diff(np.asarray(part_ends_us)) <= 0):
        raise invalid("part_ends_us", "be increasing numbers", part_ends_us)
    if from_first_event is not None:
        check_flags(from_first_event=from_first_event)
    first, last = _spans(recordings)
    if from_first_event is None:
        from_first_event = bool(first.max() > LATEST_US or first.min() < 0)
    origins = first if from_first_event else np.zeros_like(first)
    _check_spans(first - origins, last - origins, bin_us, from_first_event)
    height, width = recordings.sensor
    n_cells = 2 * (len(ends) + 1) * height * width
    parts = f"{len(ends) + 1} parts of {width} x {height} pixels"
    check_memory(24 * n_cells, f"density of {parts}", "take fewer parts, or crop or downsample the events")
    density, rate, intervals = _count(recordings, origins, part_ends_us, bin_us)
    lengths = recordings.lengths
    return EventStatistics(
        n_recordings=len(recordings),
        events_mean=float(lengths.mean()),
        events_sd=float(lengths.std()),
        events_quantiles=np.quantile(lengths, QUANTILES),
        on_share=float(density[..., 1].sum() / max(lengths.sum(), 1)),
        part_ends_us=tuple(part_ends_us),
        density=density / len(recordings),
        bin_us=bin_us,
        rate=rate / len(recordings),
        intervals_us=np.stack([_quantiles(intervals[:, polarity]) for polarity in (0, 1)], axis=1),
        from_first_event=bool(from_first_event),
    )


def _count(recordings, origins, part_ends_us, bin_us):
    """Return numbers of events: (parts, height, width, 2) and (bins, 2), and of intervals: (intervals, 2)."""
    height, width = recordings.sensor
    shape = (len(part_ends_us) + 1, height, width, 2)
    density, rate = np.zeros(np.prod(shape), np.int64), np.zeros((0, 2), np.int64)
    intervals = np.zeros((LONGEST_US // INTERVAL_US + 1, 2), np.int64)
    for i in range(len(recordings)):
        events = recordings[i]
        if len(events) and not (events["x"].max() < width and events["y"].max() < height):
            raise SettingsError(
                f"recording {i} has events outside of the sensor of {width} x {height} pixels", argument="recordings"
            )
        time = events["t"].astype(np.int64) - origins[i]
        part = np.searchsorted(part_ends_us, time, side="right")
        pixel = events["y"].astype(np.int64) * width + events["x"]
        polarity = (events["polarity"] > 0).astype(np.int64)
        density += np.bincount((part * height * width + pixel) * 2 + polarity, minlength=density.size)
        rate = _added(rate, np.bincount(time // bin_us * 2 + polarity))
        _count_intervals(time, pixel, polarity, intervals)
    return density.reshape(shape), rate, intervals


def _spans(recordings):
    """Return the times of the first and the last event of each recording; 0 for recordings without events."""
    first, last = np.zeros((2, len(recordings)), np.int64)
    filled = recordings.lengths > 0
    time = recordings.events["t"]
    first[filled] = time[recordings.starts[filled]]
    last[filled] = time[recordings.stops[filled] - 1]
    return first, last


def _check_spans(first, last, bin_us, from_first_event):
    """Check that recordings do not begin before 0 and do not need too many bins."""
    if first.min() < 0:
        raise SettingsError(
            f"recording {first.argmin()} begins before 0, at {first.min()} microseconds: omit from_first_event",
            argument="from_first_event",
        )
    if last.max() // bin_us >= MOST_BINS:
        absolute = "" if from_first_event else ", or from_first_event=True if times are absolute"
        raise SettingsError(
            f"recording {last.argmax()} lasts {last.max():,} microseconds, which is more than {MOST_BINS:,} bins: "
            f"use bin_us={last.max() // MOST_BINS + 1} or more{absolute}",
            argument="bin_us",
        )


def _added(rate, counts):
    """Return the sum of a rate (bins, 2) and flat counts, as long as the longer of them."""
    counts = np.pad(counts, (0, len(counts) % 2)).reshape(-1, 2)
    total = np.zeros((max(len(rate), len(counts)), 2), np.int64)
    total[: len(rate)] += rate
    total[: len(counts)] += counts
    return total


def _count_intervals(times, pixel, polarity, intervals):
    """Add the intervals between successive events of a pixel with the same polarity to the histogram."""
    order = np.argsort(pixel, kind="stable")
    pixel, polarity = pixel[order], polarity[order]
    lasting = np.diff(times[order]) // INTERVAL_US
    alike = (np.diff(pixel) == 0) & (np.diff(polarity) == 0)
    np.add.at(intervals, (np.minimum(lasting[alike], len(intervals) - 1), polarity[1:][alike]), 1)


def _quantiles(counts):
    """Return the quantiles of intervals in microseconds, or NaN without intervals."""
    if not counts.any():
        return np.full(len(QUANTILES), np.nan)
    return INTERVAL_US * (0.5 + np.searchsorted(counts.cumsum() / counts.sum(), QUANTILES))
