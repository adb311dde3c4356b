"""Simulated recordings: any image set as an event camera would see it on a screen, moved as N-MNIST's camera was."""

import collections
import concurrent.futures
import dataclasses

import numpy as np

from .._util.progress import progress_bar
from .._util.system_info import n_cores
from .._util.validation import (
    as_array,
    as_float32,
    check_flags,
    check_not_negative,
    check_positive,
    check_progress,
    check_seed,
    check_workers_count,
)
from ..errors import SettingsError
from .event import EVENT, checked_sensor
from .recordings import Recordings
from .saccades import SACCADES

BATCH = 64  # images that a thread simulates at a time
LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)  # of red, green and blue, ITU-R BT.709
FARTHEST = 4  # largest offset, in standard deviations
FINENESS = 3  # points per pixel, in each direction, at which light is computed
STEP_US = 1000  # what pixels see is interpolated linearly within a step


def simulate_recordings(
    images,
    labels,
    *,
    seed=0,
    sensor=(34, 34),
    inverted=True,
    numbers=None,
    path=SACCADES,
    offset_px=0.13,
    blur_px=0.56,
    black_level=0.175,
    threshold_off=0.208,
    threshold_on=0.218,
    threshold_spread=0.13,
    threshold_jitter=0.25,
    refractory_us=1080,
    noise_off_hz=0.01,
    noise_on_hz=0.4,
    n_jobs=None,
    progress=None,
):
    """Simulate what an event camera records of images on a screen while it moves, as N-MNIST was made.

    Each pixel sees the image blurred by the optics, and sends an event when the logarithm of that has changed by its
    threshold.  The model is that of simulators of event cameras (Hu et al. 2021, v2e, arXiv 2006.07722).  The motion
    was measured, and the defaults were fitted, on 900 recordings of N-MNIST (Orchard et al. 2015,
    doi 10.3389/fnins.2015.00437) and the MNIST images that they show: the fit is that of frames, pixel by pixel, of the
    rate over time, of the intervals between a pixel's events, and of the number of events in each recording.

    Parameters
    ----------
    images : array_like, (images, height, width) or (images, height, width, channel)
        In [0, 1]; of three channels the luminance counts, of others the mean.  A pixel of the image is as large as one
        of the sensor, and the two have one middle.  Around the image the screen shows 0.
    labels : array_like of int, (images,)
    seed : int
        Draws the thresholds of the sensor's pixels and, with its number, all else in a recording, which does not depend
        on the other images.
    sensor : tuple of int
        Height and width in pixels, at most 255.
    inverted : bool
        The screen shows 1 as black and 0 as white, as N-MNIST's did: its ON events are where a stroke leaves.
    numbers : array_like of int, (images,), optional
        Which image of its data set each one is, from 0; by default 0, 1, 2 and so on.  A part of a data set gives the
        recordings that the whole would give.
    path : array_like, (knots, 3)
        Where the middle of the image is: microseconds from 0 on, x and y in pixels to the right of the sensor's middle
        and below it, with straight lines between.
    offset_px : float
        Standard deviation of the place of single recordings, in both directions.
    blur_px : float
        Standard deviation of the blur.
    black_level : float
        Light of black, where white has 1 more; the lower, the higher is the contrast.
    threshold_off, threshold_on : float
        Mean change of the natural logarithm that causes an event.
    threshold_spread, threshold_jitter : float
        Relative standard deviation of thresholds from pixel to pixel, and of a pixel's from event to event.
    refractory_us : float
        Time after an event during which a pixel sends none, in microseconds.
    noise_off_hz, noise_on_hz : float
        Rate of events of each pixel that have no cause.
    n_jobs : int, optional
        Number of threads; by default as many as there are cores.  The result does not depend on it.
    progress : bool, optional
        Show a progress bar; by default on a terminal or in a notebook.

    Returns
    -------
    Recordings

    Raises
    ------
    SettingsError
        If an argument cannot work.
    """
    images, labels, numbers = _checked_images(images, labels, numbers)
    check_seed(seed, largest=2**128 - 1)
    check_positive(black_level=black_level, threshold_off=threshold_off, threshold_on=threshold_on)
    check_not_negative(offset_px=offset_px, blur_px=blur_px, refractory_us=refractory_us)
    check_not_negative(threshold_spread=threshold_spread, threshold_jitter=threshold_jitter)
    check_not_negative(noise_off_hz=noise_off_hz, noise_on_hz=noise_on_hz)
    check_flags(inverted=inverted)
    check_progress(progress)
    check_workers_count(n_jobs=n_jobs)
    n_jobs = n_cores() if n_jobs is None else n_jobs
    sensor = _checked_sensor(sensor)
    camera = _Camera(
        seed=seed,
        positions=_positions(path),
        offset_px=offset_px,
        blur_px=blur_px,
        inverted=inverted,
        black_level=black_level,
        thresholds=_thresholds(seed, sensor, (threshold_off, threshold_on), threshold_spread),
        threshold_jitter=threshold_jitter,
        refractory_us=refractory_us,
        noise_hz=(noise_off_hz, noise_on_hz),
    )
    events, lengths = _Growing(EVENT), []
    with progress_bar(len(images), "simulating", "recording", progress) as bar:
        for batch in _in_order(camera.record, images, numbers, n_jobs):
            for recording in batch:
                events.append(recording)
                lengths.append(len(recording))
            bar.update(len(batch))
    stops = np.cumsum(lengths, dtype=np.int64)
    return Recordings(events.array(), stops - lengths, stops, labels, sensor, numbers)


def _checked_images(images, labels, numbers):
    """The three as arrays; SettingsError where they cannot be simulated."""
    images, labels = as_array(images, "images"), as_array(labels, "labels")
    numbers = np.arange(labels.size) if numbers is None else as_array(numbers, "numbers")
    if images.ndim not in (3, 4) or not images.size:
        raise SettingsError(
            f"images must have shape (images, height, width) or (images, height, width, channel), got {images.shape}"
        )
    for name, values in {"labels": labels, "numbers": numbers}.items():
        if values.shape != images.shape[:1] or not np.issubdtype(values.dtype, np.integer):
            raise SettingsError(
                f"{name} must be {len(images)} integers, one for each image, got {values.dtype} {values.shape}"
            )
    if numbers.min() < 0:
        raise SettingsError(f"numbers must not be negative, got {numbers.min()}")
    if not (images.min() >= 0 and images.max() <= 1):
        raise SettingsError(
            f"images must lie in [0, 1], got values from {images.min()} to {images.max()}: divide bytes by 255"
        )
    return images, labels, numbers


def _checked_sensor(sensor):
    """The sensor's shape; SettingsError where its pixels have no place in an event."""
    sensor = checked_sensor(sensor)
    if max(sensor) > 255:
        raise SettingsError(f"sensor must be height and width in pixels, each from 1 to 255, got {sensor!r}")
    return sensor


def _positions(path):
    """Where the image is at the end of each step: y and x in pixels, (steps + 1, 2)."""
    as_float32(path, "path")
    path = np.asarray(path, float)
    if path.ndim != 2 or path.shape[1] != 3 or len(path) < 2 or not np.isfinite(path).all():
        raise SettingsError(f"path must be two or more rows of microseconds, x and y; got shape {path.shape}")
    knots_us, x, y = path.T
    if knots_us[0] != 0 or np.any(np.diff(knots_us) <= 0):
        raise SettingsError("the times of path must begin at 0 microseconds, and grow")
    if not STEP_US <= knots_us[-1] < 2**32:
        raise SettingsError(f"path must end between {STEP_US} and 2**32 microseconds, got {knots_us[-1]:g}")
    times_us = np.arange(0, knots_us[-1] + 1, STEP_US)
    return np.stack([np.interp(times_us, knots_us, y), np.interp(times_us, knots_us, x)], axis=1)


def _thresholds(seed, sensor, means, spread):
    """The thresholds of the sensor that a seed stands for, for OFF and ON events, (height, width, 2)."""
    from .pixels import LOWEST

    factors = 1 + spread * np.random.default_rng(seed).standard_normal((*sensor, 2))
    return (np.maximum(factors, LOWEST) * means).astype(np.float32)


@dataclasses.dataclass(frozen=True, eq=False)
class _Camera:
    """What does not differ between the recordings of a simulation."""

    seed: int
    positions: np.ndarray
    offset_px: float
    blur_px: float
    inverted: bool
    black_level: float
    thresholds: np.ndarray
    threshold_jitter: float
    refractory_us: float
    noise_hz: tuple

    def record(self, images, numbers):
        """The events of each of some images with their numbers."""
        margin = int(np.ceil(FINENESS * (np.abs(self.positions).max() + FARTHEST * self.offset_px))) + 1
        light = self._light(images, margin)
        return [self._record_one(number, seen, margin) for number, seen in zip(numbers, light, strict=True)]

    def _record_one(self, number, light, margin, capacity=2**14):
        from .pixels import pixel_events  # Numba compiles it, which few users of events need

        rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(int(number),)))
        offset = self.offset_px * np.clip(rng.standard_normal(2), -FARTHEST, FARTHEST)
        events = np.empty(capacity, EVENT)
        n = pixel_events(
            light,
            FINENESS,
            margin,
            (FINENESS * (self.positions + offset)).astype(np.float32),
            STEP_US,
            self.thresholds,
            self.threshold_jitter,
            self.refractory_us / STEP_US,
            self.noise_hz[0] * STEP_US / 1e6,
            self.noise_hz[1] * STEP_US / 1e6,
            rng,
            *(events[field] for field in EVENT.names),
        )
        if n > capacity:
            return self._record_one(number, light, margin, n)
        return events[:n][np.argsort(events["t"][:n], kind="stable")]

    def _light(self, images, margin):
        """What a pixel would see of images at rest at each point, float32 (images, rows, columns)."""
        shown = _grey(images)
        height, width = self.thresholds.shape[:2]
        vertical = _optics(height, margin, shown.shape[1], self.blur_px)
        horizontal = _optics(width, margin, shown.shape[2], self.blur_px)
        shown = np.clip(vertical @ shown @ horizontal.T, 0, 1)  # rounding could make black darker than black
        return np.float32(self.black_level) + (1 - shown if self.inverted else shown)


def _grey(images):
    """Images in one channel: the luminance of three, the mean of others."""
    images = images.astype(np.float32)
    if images.ndim == 3:
        return images
    if images.shape[-1] == 3:
        return images @ LUMINANCE
    return images.mean(axis=-1)


def _optics(n_sensor, margin, n_image, blur_px):
    """How much each pixel of a row of an image counts at each point of a row of the sensor, (points, pixels).

    The two have one middle; weights are the Gaussian's integral over the image's pixel.
    """
    from scipy.special import ndtr

    points = np.arange(-margin, FINENESS * (n_sensor - 1) + margin + 1) / FINENESS - (n_sensor - 1) / 2
    edges = np.arange(n_image + 1) - n_image / 2
    return np.diff(ndtr((edges - points[:, None]) / max(blur_px, 1e-6))).astype(np.float32)


def _in_order(record, images, numbers, n_jobs):
    """Results of ``record`` for batches of images, one after another, computed by threads that stay little ahead."""
    with concurrent.futures.ThreadPoolExecutor(n_jobs) as pool:
        pending = collections.deque()
        for start in range(0, len(images), BATCH):
            part = slice(start, start + BATCH)
            pending.append(pool.submit(record, images[part], numbers[part]))
            if len(pending) > 2 * n_jobs:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


class _Growing:
    """An array that grows in place, so that gigabytes of events are never in memory twice."""

    def __init__(self, dtype):
        self._array, self._length = np.empty(0, dtype), 0

    def append(self, values):
        needed = self._length + len(values)
        if needed > len(self._array):
            self._array.resize(max(needed, len(self._array) * 5 // 4), refcheck=False)
        self._array[self._length : needed] = values
        self._length = needed

    def array(self):
        self._array.resize(self._length, refcheck=False)
        return self._array
