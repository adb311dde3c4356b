"""Statistics of recordings: how many events there are, when, where, and how soon after another."""

import dataclasses

import numpy as np

from .._util.json_values import to_python
from .._util.validation import as_float32, check_counts, check_flags, check_memory, shown
from ..errors import SettingsError
from .files import LATEST_US
from .recordings import Recordings
from .saccades import SACCADE_ENDS_US

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
MOST_BINS = 10_000_000  # of the rate: more would say little, and take much memory
INTERVAL_US, LONGEST_US = 100, 50_000  # bins of intervals between events, and the longest one that is told from others


@dataclasses.dataclass(frozen=True, eq=False)
class EventStatistics:
    """Statistics of a set of recordings, as means over recordings if nothing else is said.

    Attributes
    ----------
    n_recordings : int
    events_mean, events_sd : float
        Events of a recording.
    events_quantiles : ndarray, (5,)
        5, 25, 50, 75 and 95 % of the recordings have at most so many events.
    on_share : float
        ON events as a part of all events.
    part_ends_us : tuple of float
        Where the parts end, but the last one.
    density : ndarray, (parts, height, width, 2)
        OFF and ON events of each pixel in each part.
    bin_us : int
    rate : ndarray, (bins, 2)
        OFF and ON events of all pixels in each ``bin_us`` microseconds from the beginning of a recording on.
    intervals_us : ndarray, (5, 2)
        Quantiles of the time between two OFF, or ON, events of a pixel that follow one another, to 100 microseconds;
        from 50 ms on they are not told apart.
    from_first_event : bool
        Whether a recording begins with its first event; else at time 0.
    """

    n_recordings: int
    events_mean: float
    events_sd: float
    events_quantiles: np.ndarray
    on_share: float
    part_ends_us: tuple
    density: np.ndarray
    bin_us: int
    rate: np.ndarray
    intervals_us: np.ndarray
    from_first_event: bool = False

    @property
    def parts(self):
        """OFF and ON events of a recording in each part, (parts, 2)."""
        return self.density.sum(axis=(1, 2))

    def to_dict(self):
        """All of it as numbers and lists, for JSON."""
        values = dataclasses.asdict(self) | {"parts": self.parts}
        return to_python(values)

    def compare(self, other):
        """How far this differs from other statistics.

        Parameters
        ----------
        other : EventStatistics
            Of a sensor of the same size, with the same parts and bins.

        Returns
        -------
        dict of str to float
            ``events_mean``, ``events_sd`` and ``interval_off``, ``interval_on`` (the median): this value over the
            other, less 1.  ``on_share``: this less the other.  ``parts``: the largest relative difference of the events
            of a part and polarity.  ``rate`` and ``density``: the share of events that would have to be moved to
            another bin, or pixel, part and polarity (total variation distance), 0 to 1.

        Raises
        ------
        SettingsError
            If the two cannot be compared.
        """
        if not isinstance(other, EventStatistics):
            raise SettingsError(f"other must be EventStatistics, got {type(other).__name__}")
        mine, others = (
            (found.density.shape, found.part_ends_us, found.bin_us, found.events_mean > 0) for found in (self, other)
        )
        if mine != others or not mine[-1]:
            raise SettingsError(
                "statistics can be compared if sensor, parts and bins are the same, and there are events; got (parts, "
                f"height, width, 2), ends of parts, bin_us, any events: {mine} and {others}"
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
    """Return a / b - 1: 0 where both are 0, infinity where b alone is."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((a == 0) & (b == 0), 0.0, a / b - 1)


def _distance(a, b):
    """Total variation distance of two histograms, of which one may be longer."""
    length = max(len(a), len(b))
    a, b = (np.pad(h / h.sum(), [(0, length - len(h))] + [(0, 0)] * (h.ndim - 1)) for h in (a, b))
    return float(np.abs(a - b).sum() / 2)


def event_statistics(recordings, *, part_ends_us=SACCADE_ENDS_US, bin_us=5000, from_first_event=None):
    """Count the events of recordings: how many, when, where, and how soon after another.

    Parameters
    ----------
    recordings : Recordings
    part_ends_us : sequence of float
        Where the parts of a recording end, but the last one, in microseconds; by default the saccades of N-MNIST.
    bin_us : int
        Length of the bins of the rate.
    from_first_event : bool, optional
        Count the time of each recording from its first event, not from 0.  By default where times are absolute: where
        a recording begins before 0, or later than 8.4 s, the latest time in the format of N-MNIST.

    Returns
    -------
    EventStatistics

    Raises
    ------
    SettingsError
        If there are no recordings, ``bin_us`` or ``part_ends_us`` cannot be, or a recording lasts so long that its rate
        would have more than ten million bins.
    """
    check_counts(bin_us=bin_us)
    if not isinstance(recordings, Recordings):
        raise SettingsError(f"recordings must be Recordings, got {type(recordings).__name__}: Recordings.of makes them")
    if not len(recordings):
        raise SettingsError("there are no recordings to count the events of")
    ends = as_float32(part_ends_us, "part_ends_us")
    if ends.ndim != 1 or np.any(np.diff(np.asarray(part_ends_us)) <= 0):
        raise SettingsError(f"part_ends_us must be numbers that grow, got {shown(part_ends_us)}")
    if from_first_event is not None:
        check_flags(from_first_event=from_first_event)
    first, last = _spans(recordings)
    if from_first_event is None:
        from_first_event = bool(first.max() > LATEST_US or first.min() < 0)
    origins = first if from_first_event else np.zeros_like(first)
    _check_spans(first - origins, last - origins, bin_us)
    height, width = recordings.sensor
    n_cells = 2 * (len(ends) + 1) * height * width
    parts = f"{len(ends) + 1} parts of {width} x {height} pixels"
    check_memory(24 * n_cells, f"density of {parts}", "take fewer parts, or crop or downsample the events")
    shape = (len(part_ends_us) + 1, height, width, 2)
    density, rate = np.zeros(np.prod(shape), np.int64), np.zeros((0, 2), np.int64)
    intervals = np.zeros((LONGEST_US // INTERVAL_US + 1, 2), np.int64)
    for i in range(len(recordings)):
        events = recordings[i]
        if len(events) and not (events["x"].max() < width and events["y"].max() < height):
            raise SettingsError(f"recording {i} has events outside of the sensor of {width} x {height} pixels")
        time = events["t"].astype(np.int64) - origins[i]
        part = np.searchsorted(part_ends_us, time, side="right")
        pixel = events["y"].astype(np.int64) * width + events["x"]
        polarity = (events["polarity"] > 0).astype(np.int64)
        density += np.bincount((part * height * width + pixel) * 2 + polarity, minlength=density.size)
        rate = _added(rate, np.bincount(time // bin_us * 2 + polarity))
        _count_intervals(time, pixel, polarity, intervals)
    lengths, on = recordings.lengths, density[1::2].sum()
    return EventStatistics(
        n_recordings=len(recordings),
        events_mean=float(lengths.mean()),
        events_sd=float(lengths.std()),
        events_quantiles=np.quantile(lengths, QUANTILES),
        on_share=float(on / max(lengths.sum(), 1)),
        part_ends_us=tuple(part_ends_us),
        density=density.reshape(shape) / len(recordings),
        bin_us=bin_us,
        rate=rate / len(recordings),
        intervals_us=np.stack([_quantiles(intervals[:, polarity]) for polarity in (0, 1)], axis=1),
        from_first_event=bool(from_first_event),
    )


def _spans(recordings):
    """Return the times of the first and of the last event of each recording; 0 where there is none."""
    first, last = np.zeros((2, len(recordings)), np.int64)
    filled = recordings.lengths > 0
    time = recordings.events["t"]
    first[filled] = time[recordings.starts[filled]]
    last[filled] = time[recordings.stops[filled] - 1]
    return first, last


def _check_spans(first, last, bin_us):
    """Raise SettingsError where a recording begins before 0, or has too many bins."""
    if first.min() < 0:
        raise SettingsError(
            f"recording {first.argmin()} begins before 0, at {first.min()} microseconds: leave from_first_event out"
        )
    if last.max() // bin_us >= MOST_BINS:
        raise SettingsError(
            f"recording {last.argmax()} ends at {last.max():,} microseconds, which is more than {MOST_BINS:,} bins: "
            f"use bin_us={last.max() // MOST_BINS + 1} or more, or from_first_event=True if times are absolute"
        )


def _added(rate, counts):
    """A rate (bins, 2) plus flat counts, as long as the longer one."""
    counts = np.pad(counts, (0, len(counts) % 2)).reshape(-1, 2)
    total = np.zeros((max(len(rate), len(counts)), 2), np.int64)
    total[: len(rate)] += rate
    total[: len(counts)] += counts
    return total


def _count_intervals(times, pixel, polarity, intervals):
    """Count times between events of one pixel and polarity without another event of the pixel between."""
    order = np.argsort(pixel, kind="stable")
    pixel, polarity = pixel[order], polarity[order]
    lasting = np.diff(times[order]) // INTERVAL_US
    alike = (np.diff(pixel) == 0) & (np.diff(polarity) == 0)
    np.add.at(intervals, (np.minimum(lasting[alike], len(intervals) - 1), polarity[1:][alike]), 1)


def _quantiles(counts):
    """The quantiles of intervals in microseconds, NaN where there is none."""
    if not counts.any():
        return np.full(len(QUANTILES), np.nan)
    return INTERVAL_US * (0.5 + np.searchsorted(counts.cumsum() / counts.sum(), QUANTILES))
