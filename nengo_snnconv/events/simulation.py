"""Simulated recordings: images on a screen, seen by an event camera that moves as in N-MNIST."""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
from typing import Any

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
    invalid,
)
from ..errors import SettingsError
from .event import EVENT, checked_sensor
from .recordings import Recordings
from .saccades import SACCADES

BATCH = 64  # images that a thread simulates at a time
LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)  # of red, green and blue, ITU-R BT.709
FARTHEST = 4  # limit of offsets, in standard deviations
FINENESS = 3  # points per pixel, in each direction, at which the light is computed
STEP_US = 1000  # the light is interpolated linearly within a step


def simulate_recordings(
    images: Any,
    labels: Any,
    *,
    seed: int = 0,
    sensor: tuple[int, int] = (34, 34),
    inverted: bool = True,
    numbers: Any = None,
    path: Any = SACCADES,
    offset_px: float = 0.13,
    blur_px: float = 0.56,
    black_level: float = 0.175,
    threshold_off: float = 0.208,
    threshold_on: float = 0.218,
    threshold_spread: float = 0.13,
    threshold_jitter: float = 0.25,
    refractory_us: float = 1080,
    noise_off_hz: float = 0.01,
    noise_on_hz: float = 0.4,
    n_jobs: int | None = None,
    progress: bool | None = None,
) -> Recordings:
    """Simulate recordings of images on a screen with a moving event camera, as in N-MNIST.

    Each pixel sees the image blurred by the optics, and emits an event when the logarithm of the light has changed by
    its threshold, as in other simulators of event cameras (Hu et al. 2021, v2e, arXiv 2006.07722).  The motion was
    measured, and the defaults were fitted, on 900 recordings of N-MNIST (Orchard et al. 2015,
    doi 10.3389/fnins.2015.00437) and their MNIST images.  The fit compares frames pixel by pixel, the event rate over
    time, the intervals between events of a pixel, and the number of events of each recording.

    Parameters
    ----------
    images : array_like, (images, height, width) or (images, height, width, channel)
        Images in [0, 1].  Three channels are converted to luminance, other numbers of channels to their mean.  The
        pixels are as large as those of the sensor, and the image is centered.  Around it, the screen shows 0.
    labels : array_like of int, (images,)
        Class numbers.
    seed : int
        Seed of the thresholds of the sensor and, together with its number, of each recording, which does not depend on
        the other images.
    sensor : tuple of int
        Height and width in pixels, at most 255.
    inverted : bool
        Whether the screen shows 1 as black and 0 as white, as for N-MNIST: ON events are where a stroke leaves.
    numbers : array_like of int, (images,), optional
        Number of each image in its data set, from 0; by default 0, 1, 2 and so on.  With these, a part of a data set
        gives the same recordings as the whole.
    path : array_like, (knots, 3)
        Position of the center of the image: microseconds from 0, x and y in pixels to the right of and below the center
        of the sensor, interpolated linearly.
    offset_px : float
        Standard deviation of the position of each recording, in both directions.
    blur_px : float
        Standard deviation of the blur.
    black_level : float
        Light of black, compared with white at ``black_level + 1``; lower values increase the contrast.
    threshold_off, threshold_on : float
        Mean change of the natural logarithm of the light that causes an event.
    threshold_spread, threshold_jitter : float
        Relative standard deviation of thresholds between pixels, and of a pixel's threshold between events.
    refractory_us : float
        Time after an event without events of the same pixel, in microseconds.
    noise_off_hz, noise_on_hz : float
        Rate of noise events of each pixel.
    n_jobs : int, optional
        Number of threads; by default the number of cores.  The result does not depend on it.
    progress : bool, optional
        Show a progress bar; by default on a terminal or in a notebook.

    Returns
    -------
    Recordings

    Raises
    ------
    SettingsError
        If an argument is invalid.

    Examples
    --------
    >>> data = snc.load_dataset("digits", test=100)
    >>> recordings = snc.simulate_recordings(data.x_test, data.y_test)
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
    events, lengths = _record_all(camera, images, numbers, n_jobs, progress)
    stops = np.cumsum(lengths, dtype=np.int64)
    return Recordings(events, stops - lengths, stops, labels, sensor, numbers)


def _record_all(camera, images, numbers, n_jobs, progress):
    """Return the events of all recordings, and the number of events of each."""
    events, lengths = _GrowingArray(EVENT), []
    with progress_bar(len(images), "simulating", "recording", progress) as bar:
        for batch in _in_order(camera.record, images, numbers, n_jobs):
            for recording in batch:
                events.append(recording)
                lengths.append(len(recording))
            bar.update(len(batch))
    return events.array(), lengths


def _checked_images(images, labels, numbers):
    """Return images, labels and numbers as arrays, after validation."""
    images, labels = as_array(images, "images"), as_array(labels, "labels")
    numbers = np.arange(labels.size) if numbers is None else as_array(numbers, "numbers")
    if images.ndim not in (3, 4) or not images.size:
        raise SettingsError(
            f"images must have shape (images, height, width) or (images, height, width, channel), got {images.shape}",
            argument="images",
        )
    for name, values in {"labels": labels, "numbers": numbers}.items():
        if values.shape != images.shape[:1] or not np.issubdtype(values.dtype, np.integer):
            raise SettingsError(
                f"{name} must be {len(images)} integers, one for each image, got {values.dtype} {values.shape}",
                argument=name,
            )
    if numbers.min() < 0:
        raise SettingsError(f"numbers must not be negative, got {numbers.min()}", argument="numbers")
    if not (images.min() >= 0 and images.max() <= 1):
        raise SettingsError(
            f"images must lie in [0, 1], got values from {images.min()} to {images.max()}: divide bytes by 255",
            argument="images",
        )
    return images, labels, numbers


def _checked_sensor(sensor):
    """Return the shape of the sensor, whose coordinates must fit into 8 bits."""
    sensor = checked_sensor(sensor)
    if max(sensor) > 255:
        raise invalid("sensor", "be height and width in pixels, each from 1 to 255", sensor)
    return sensor


def _positions(path):
    """Return the position of the image at the end of each step: y and x in pixels, (steps + 1, 2)."""
    as_float32(path, "path")
    path = np.asarray(path, float)
    if path.ndim != 2 or path.shape[1] != 3 or len(path) < 2 or not np.isfinite(path).all():
        raise SettingsError(
            f"path must be two or more rows of microseconds, x and y; got shape {path.shape}", argument="path"
        )
    knots_us, x, y = path.T
    if knots_us[0] != 0 or np.any(np.diff(knots_us) <= 0):
        raise SettingsError("the times of path must begin at 0 microseconds and increase", argument="path")
    if not STEP_US <= knots_us[-1] < 2**32:
        raise SettingsError(
            f"path must end between {STEP_US} and 2**32 microseconds, got {knots_us[-1]:g}", argument="path"
        )
    times_us = np.arange(0, knots_us[-1] + 1, STEP_US)
    return np.stack([np.interp(times_us, knots_us, y), np.interp(times_us, knots_us, x)], axis=1)


def _thresholds(seed, sensor, means, spread):
    """Draw the thresholds of the sensor for OFF and ON events, (height, width, 2)."""
    from .pixels import LOWEST

    factors = 1 + spread * np.random.default_rng(seed).standard_normal((*sensor, 2))
    return (np.maximum(factors, LOWEST) * means).astype(np.float32)


@dataclasses.dataclass(frozen=True, eq=False)
class _Camera:
    """Event camera with the settings that all recordings of a simulation share."""

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
        """Return the events of each image."""
        margin = int(np.ceil(FINENESS * (np.abs(self.positions).max() + FARTHEST * self.offset_px))) + 1
        light = self._light(images, margin)
        return [self._record_one(number, seen, margin) for number, seen in zip(numbers, light, strict=True)]

    def _record_one(self, number, light, margin, capacity=2**14):
        from .pixels import pixel_events  # compiled by Numba, which few users of events need

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
        """Return the light of images at rest at each point, float32 (images, rows, columns)."""
        gray = _grayscale(images)
        height, width = self.thresholds.shape[:2]
        vertical = _optics(height, margin, gray.shape[1], self.blur_px)
        horizontal = _optics(width, margin, gray.shape[2], self.blur_px)
        blurred = np.clip(vertical @ gray @ horizontal.T, 0, 1)  # rounding could exceed [0, 1]
        return np.float32(self.black_level) + (1 - blurred if self.inverted else blurred)


def _grayscale(images):
    """Return images with one channel: the luminance of three channels, the mean of other numbers."""
    images = images.astype(np.float32)
    if images.ndim == 3:
        return images
    if images.shape[-1] == 3:
        return images @ LUMINANCE
    return images.mean(axis=-1)


def _optics(n_sensor, margin, n_image, blur_px):
    """Return the weight of each pixel of a row of an image at each point of a row of the sensor, (points, pixels).

    The image is centered on the sensor; a weight is the integral of the Gaussian blur over the pixel.
    """
    from scipy.special import ndtr

    points = np.arange(-margin, FINENESS * (n_sensor - 1) + margin + 1) / FINENESS - (n_sensor - 1) / 2
    edges = np.arange(n_image + 1) - n_image / 2
    return np.diff(ndtr((edges - points[:, None]) / max(blur_px, 1e-6))).astype(np.float32)


def _in_order(record, images, numbers, n_jobs):
    """Yield the results of ``record`` for batches of images, in order, while threads compute a few batches ahead."""
    with concurrent.futures.ThreadPoolExecutor(n_jobs) as pool:
        pending = collections.deque()
        for start in range(0, len(images), BATCH):
            part = slice(start, start + BATCH)
            pending.append(pool.submit(record, images[part], numbers[part]))
            if len(pending) > 2 * n_jobs:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


class _GrowingArray:
    """Array that grows in place, to avoid a second copy of gigabytes of events."""

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
