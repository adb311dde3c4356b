"""N-MNIST: time of reading and framing, position of the image on the sensor, and comparison with simulated recordings.

    NENGO_SNNCONV_DATA=DIR python benchmarks/event_files.py

needs N-MNIST, or a part of it, and MNIST in that folder; publishes the results and docs/results/event-files.png in a
minute.
"""

import functools
import os
import tempfile
import time

import numpy as np
from results import ROOT, publish

import nengo_snnconv as snc
from nengo_snnconv import events as ev
from nengo_snnconv._util.atomic import atomic_write
from nengo_snnconv.events.frames import SPLITS
from nengo_snnconv.events.saccades import SACCADES

STEP_US, LATEST_US = 5_000, 310_000
KNOT_US = 20_000
N_STEPS, BATCH = 16, 100


def seconds(function, repeats):
    """Return the median time of a function."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def speed(data):
    """Measure reading all recordings from files and from the cache, and framing a batch with each split, in seconds."""

    def read():
        ev.load_events(progress=False)

    with tempfile.TemporaryDirectory() as folder:
        caches = iter(range(5))

        def read_files():
            os.environ["XDG_CACHE_HOME"] = os.path.join(folder, str(next(caches)))
            read()

        times = {"files": seconds(read_files, 5), "cache": seconds(read, 5)}
    batch = data.train[np.random.default_rng(0).permutation(len(data.train))[:BATCH]]
    batch.frames(N_STEPS)  # compiles
    for split in SPLITS:
        window_us = LATEST_US / N_STEPS if split == "window" else None
        times[split] = seconds(functools.partial(batch.frames, N_STEPS, split=split, window_us=window_us), 20)
    return times


def camera_path(recordings, images):
    """Estimate positions of the images on the sensor, relative to its center, every 20 ms: time (µs), x, y (pixels).

    For each 5 ms, find the shift with the best correlation between the events of all recordings and the edges of their
    images; then fit straight lines between knots to these shifts, weighted by the number of events.
    """
    size = 64
    edges = np.zeros((len(images), size, size), np.float32)
    edges[:, : images.shape[1], : images.shape[2]] = np.hypot(*np.gradient(images, axis=(1, 2)))
    spectra = np.conj(np.fft.rfft2(edges - edges.mean(axis=(1, 2), keepdims=True)))
    sums, weights = 0, 0
    for events, spectrum in zip(recordings, spectra, strict=True):
        borders = np.searchsorted(events["t"], np.arange(0, LATEST_US + 1, STEP_US))
        counts = np.zeros((len(borders) - 1, size, size), np.float32)
        for step, (start, stop) in enumerate(zip(borders[:-1], borders[1:], strict=True)):
            np.add.at(counts[step], (events["y"][start:stop], events["x"][start:stop]), 1)
        sums = sums + np.fft.irfft2(np.fft.rfft2(counts) * spectrum)
        weights = weights + np.diff(borders)
    middles = (np.array(recordings.sensor) - images.shape[1:]) / 2
    shifts = np.array([peak(correlation) - middles for correlation in sums])
    times = np.arange(len(shifts)) * STEP_US + STEP_US / 2
    knots = np.arange(0, LATEST_US, KNOT_US)
    lines = np.stack([np.interp(times, knots, unit) for unit in np.eye(len(knots))], axis=1)
    root = np.sqrt(weights)[:, None]
    y, x = np.linalg.lstsq(lines * root, shifts * root, rcond=None)[0].T
    return np.stack([knots, x, y], axis=1)


def peak(correlation):
    """Return y and x of the maximum of a correlation with subpixel precision, from a parabola through its neighbors."""
    top = np.unravel_index(correlation.argmax(), correlation.shape)
    place = []
    for axis, centre in enumerate(top):
        line = np.take(correlation, top[1 - axis], axis=1 - axis)
        before, here, after = line[centre - 1], line[centre], line[(centre + 1) % len(line)]
        place.append(centre + (before - after) / (2 * (before - 2 * here + after)))
    return np.array(place)


def sharpness(recordings):
    """Return how often two events share a pixel, relative to evenly spread events, averaged over recordings."""
    pictures = recordings.frames(1, merge_polarities=True).reshape(len(recordings), -1)
    return float(np.mean((pictures**2).sum(axis=1) / pictures.sum(axis=1) ** 2) * pictures.shape[1])


def draw_beside_simulated(real, mnist):
    """Draw statistics of real and simulated recordings of the same images; return their differences as a dict."""
    images = mnist.x_train[real.numbers]
    simulated = snc.simulate_recordings(images, real.labels, numbers=real.numbers)
    axes = snc.plot_event_statistics({"real": real, "simulated": simulated})
    with atomic_write(ROOT / "docs" / "results" / "event-files.png") as file:
        axes["rate"].figure.figure.savefig(file, format="png", dpi=80)
    return snc.event_statistics(simulated).compare(snc.event_statistics(real))


def table(n, times, sharp, apart, differences):
    """Return the results as Markdown."""
    rows = [
        (f"reading {n:,} recordings from files", f"{times['files']:.2f} s"),
        ("reading them from the cache", f"{times['cache']:.3f} s"),
        *((f"{N_STEPS} frames of {BATCH} recordings, by {split}", f"{1000 * times[split]:.1f} ms") for split in SPLITS),
    ]
    lines = ["| | median |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows), ""]
    lines += ["| sharpness of the accumulated events | as recorded | stabilised |", "|---|---|---|"]
    lines += [f"| {part} | {before:.2f} | {after:.2f} |" for part, (before, after) in sharp.items()]
    lines += [
        "",
        "The position at which events correlate best with the edges of the images differs from the camera path that",
    ]
    median = f"median over points {KNOT_US // 1000} ms apart"
    lines += [f"`simulate_recordings` and `stabilise` use by {apart:.2f} pixels ({median})."]
    names = {
        "events_mean": "events of a recording",
        "events_sd": "their standard deviation",
        "on_share": "share of ON events (difference)",
        "parts": "events of a saccade and polarity (largest)",
        "interval_off": "median interval of a pixel, OFF",
        "interval_on": "median interval of a pixel, ON",
        "rate": "events at another time (bins of 5 ms)",
        "density": "events at another pixel, in another saccade or of another polarity",
    }
    lines += ["", "| simulated compared with real recordings of the same images | difference |", "|---|---|"]
    lines += [f"| {text} | {100 * differences[name]:.1f} % |" for name, text in names.items()]
    return "\n".join(lines)


def main():
    data, mnist = ev.load_events(), snc.load_dataset("mnist")
    train, test = data.train[:900], data.test[:100]
    path = camera_path(train, mnist.x_train[train.numbers, ..., 0])
    used = np.stack([np.interp(path[:, 0], SACCADES[:, 0], values) for values in SACCADES[:, 1:].T], axis=1)
    apart = float(np.median(np.hypot(*(path[:, 1:] - used).T)))
    sharp = {
        f"first {len(recordings)} of {part}": (sharpness(recordings), sharpness(recordings.transformed(ev.stabilise)))
        for part, recordings in (("Train", train), ("Test", test))
    }
    differences = draw_beside_simulated(train, mnist)
    times, n = speed(data), len(data.train) + len(data.test)
    publish(
        "event-files",
        table(n, times, sharp, apart, differences),
        {
            "recordings": n,
            "seconds": times,
            "sharpness": sharp,
            "path": path.tolist(),
            "pixels_apart": apart,
            "simulated": differences,
        },
    )


if __name__ == "__main__":
    main()
