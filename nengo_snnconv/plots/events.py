"""Plots of event recordings: frames, events in space and time, and statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib
import matplotlib.colors
import matplotlib.patches
import numpy as np

from .._util.validation import as_float32, check_counts, check_positive
from ..errors import SettingsError
from ..events.event import as_events, checked_sensor
from ..events.statistics import event_statistics
from .figures import BLUE, GREY, ORANGE, Figure, bounded, check_axes, evenly, legend_name, short
from .plot import AxesSequence, Plot

if TYPE_CHECKING:
    from mpl_toolkits.mplot3d import Axes3D

    from ..events import Recordings

OFF, ON = BLUE, ORANGE
# largest number of frames drawn by default
MOST_FRAMES = 64


def plot_event_frames(
    frames: np.ndarray, max_count: float | None = None, columns: int = 8, axes: AxesSequence | None = None
) -> Plot:
    """Draw the frames of one recording: OFF events in blue, ON events in orange, both in dark brown.

    Parameters
    ----------
    frames : ndarray, (steps, height, width, 2) or (steps, height, width, 1)
        Numbers of OFF and ON events, or of both together, drawn in blue: ``recordings.frames(8)[0]``.
    max_count : float, optional
        Number of events with the full color; by default the 99th percentile of the pixels with events.
    columns : int
        Number of frames in a row.
    axes : sequence of matplotlib axes, optional
        One for each frame; with fewer axes, evenly spaced frames are drawn.  By default all frames, or 64 if there are
        more.

    Returns
    -------
    Plot
        Shown in a notebook; ``.savefig(path)`` writes it to a file.

    Raises
    ------
    SettingsError
        If ``frames`` has another shape, or another argument is invalid.
    """
    frames = as_float32(frames, "frames")
    if frames.ndim != 4 or frames.shape[-1] not in (1, 2) or not frames.size:
        raise SettingsError(
            f"frames must have shape (steps, height, width, 2), those of one recording, got {frames.shape}: use "
            "recordings.frames(8)[0]",
            argument="frames",
        )
    if max_count is None:
        max_count = _full_color_count(frames)
    check_positive(max_count=max_count)
    check_counts(columns=columns)
    check_axes(axes, len(frames), least=1)
    numbers = evenly(range(len(frames)), MOST_FRAMES if axes is None else len(axes))
    if axes is None:
        axes = _frame_axes(len(numbers), columns, frames.shape[2] / frames.shape[1])
        _add_polarity_legend(axes[0].figure, frames.shape[-1])
    for ax, number in zip(axes, numbers, strict=True):
        ax.imshow(event_colors(frames[number], max_count))
        ax.set(xticks=[], yticks=[], title=f"frame {number + 1}: {frames[number].sum():,.0f} events")
        ax.title.set_fontsize(9)
    return Plot(axes)


def event_colors(frame, max_count):
    """Return colors (height, width, 3) from 0 to 1 of event counts (height, width, 1 or 2); 0 is white."""
    shares = np.clip(frame / max_count, 0, 1)
    colors = np.array([matplotlib.colors.to_rgb(color) for color in (OFF, ON)])[: frame.shape[-1]]
    return np.prod(1 - shares[..., None] * (1 - colors), axis=-2)


def _full_color_count(counts):
    """Return the 99th percentile of the counts that are not 0."""
    counts = counts[counts > 0]
    return np.quantile(counts, 0.99) if len(counts) else 1


def _frame_axes(n, columns, ratio):
    """Return ``n`` axes, ``columns`` in a row, for pictures of width / height ``ratio``."""
    ratio = min(max(ratio, 0.5), 8)
    columns = max(1, min(n, columns, int(16 / (1.5 * ratio))))
    rows = -(-n // columns)
    figure = Figure(figsize=(1.5 * columns * ratio, bounded(1.75 * rows + 0.3, 24)), layout="constrained")
    return np.array([figure.add_subplot(rows, columns, i + 1) for i in range(n)])


def _add_polarity_legend(figure, n_polarities):
    """Add a legend with the colors of OFF and ON events."""
    if n_polarities == 2:
        handles = [matplotlib.patches.Patch(color=color) for color in (OFF, ON)]
        figure.legend(handles, ["OFF", "ON"], loc="outside lower center", ncols=2, fontsize=8, frameon=False)


def plot_events(events: np.ndarray, sensor: tuple[int, int] = (34, 34), axes: Axes3D | None = None) -> Plot:
    """Draw the events of one recording as points in time and the two axes of the sensor.

    Parameters
    ----------
    events : structured ndarray, (events,)
        Events with fields x, y, t (in microseconds) and polarity: ``recordings[0]``.
    sensor : tuple of int
        Height and width of the sensor in pixels.
    axes : matplotlib axes with ``projection="3d"``, optional

    Returns
    -------
    Plot
        Shown in a notebook; ``.savefig(path)`` writes it to a file.

    Raises
    ------
    SettingsError
        If a field of the events is missing, or the axes are not three-dimensional.
    """
    events = as_events(events)
    height, width = checked_sensor(sensor)
    if axes is None:
        axes = _new_3d_axes()
    if getattr(axes, "name", None) != "3d":
        raise SettingsError('axes must be three-dimensional: figure.add_subplot(projection="3d")', argument="axes")
    for polarity, color, label in ((False, OFF, "OFF"), (True, ON, "ON")):
        chosen = events[events["polarity"].astype(bool) == polarity]
        times_ms = chosen["t"] / 1000
        axes.scatter(
            times_ms, chosen["x"], chosen["y"], s=4, color=color, lw=0, alpha=0.8, label=f"{label}: {len(chosen):,}"
        )
    # y points downwards, as in images
    axes.set(xlabel="time (ms)", ylabel="x (pixels)", zlabel="y (pixels)", ylim=(0, width - 1), zlim=(height - 1, 0))
    axes.set_box_aspect((3, width / height, 1), zoom=1.5)
    axes.view_init(elev=15, azim=-75)
    for axis, n_ticks in ((axes.yaxis, 2), (axes.zaxis, 4)):
        axis.get_major_locator().set_params(nbins=n_ticks)
        axis.set_tick_params(pad=-1)
    axes.xaxis.labelpad = 14
    axes.legend(markerscale=4, loc="upper center", ncols=2, title=f"{len(events):,} events", frameon=False)
    return Plot(axes)


def _new_3d_axes():
    return Figure(figsize=(9, 4.2)).add_axes((-0.05, -0.04, 1.03, 1.04), projection="3d")


def plot_event_statistics(recordings: dict[str, Recordings], axes: dict[str, Any] | None = None) -> Plot:
    """Draw statistics of several sets of recordings for comparison.

    Parameters
    ----------
    recordings : dict of str to Recordings
        Sets by name, for the legend: ``{"real": recordings, "simulated": others}``.
    axes : dict of str to matplotlib axes, optional
        "counts": histogram of the number of events in a recording; "parts": events of each saccade and polarity;
        "rate": events in each millisecond, with the ends of saccades; "density": a list with one for each saccade of
        each set, for its mean picture.

    Returns
    -------
    Plot
        Shown in a notebook; ``.savefig(path)`` writes it to a file.
        With panels that have the names above; ``plot["density"]`` is a list.

    Raises
    ------
    SettingsError
        If there are no recordings, or axes are missing.
    """
    if not (isinstance(recordings, dict) and recordings):
        raise SettingsError(
            'recordings must be a dict with at least one set: {"real": recordings, ...}', argument="recordings"
        )
    statistics_of = {name: event_statistics(some) for name, some in recordings.items()}
    n_parts = len(next(iter(statistics_of.values())).density)
    if axes is None:
        axes = _statistics_axes(len(statistics_of), n_parts)
    elif not isinstance(axes, dict) or not {"counts", "parts", "rate", "density"} <= set(axes):
        raise SettingsError(
            'axes must be a dict with "counts", "parts", "rate" and a list, "density", or None', argument="axes"
        )
    check_axes([axes[name] for name in ("counts", "parts", "rate")], 3, 'axes "counts", "parts" and "rate"')
    check_axes(axes["density"], n_parts * len(statistics_of), 'axes["density"]')
    # other colors than those of OFF and ON events
    colors = dict(zip(statistics_of, matplotlib.color_sequences["Dark2"][::2] * len(statistics_of), strict=False))
    _draw_counts(axes["counts"], {name: some.lengths for name, some in recordings.items()}, colors)
    _draw_parts(axes["parts"], statistics_of, colors)
    _draw_rate(axes["rate"], statistics_of, colors)
    full = max(_full_color_count(statistics.density) for statistics in statistics_of.values())
    pictures = [
        (name, part, picture) for name in statistics_of for part, picture in enumerate(statistics_of[name].density, 1)
    ]
    for ax, (name, part, picture) in zip(axes["density"], pictures, strict=True):
        ax.imshow(event_colors(picture, full))
        ax.set(xticks=[], yticks=[], title=f"saccade {part}")
        if part == 1:
            ax.set_ylabel(short(name), color=colors[name])
    return Plot(axes)


def _statistics_axes(n_sets, n_parts):
    """Return axes: two plots side by side, one below them, and a row of pictures for each set."""
    figure = Figure(figsize=(10, 5.6 + 2.6 * n_sets), layout="constrained")
    curves, pictures = figure.subfigures(2, 1, height_ratios=[5.6, 2.6 * n_sets])
    grid = curves.add_gridspec(2, 2)
    _add_polarity_legend(pictures, 2)
    return {
        "counts": curves.add_subplot(grid[0, 0]),
        "parts": curves.add_subplot(grid[0, 1]),
        "rate": curves.add_subplot(grid[1, :]),
        "density": list(pictures.subplots(n_sets, n_parts, squeeze=False).flat),
    }


def _draw_counts(ax, lengths, colors):
    """Draw histograms of the number of events in a recording."""
    bins = np.histogram_bin_edges(np.concatenate(list(lengths.values())), 40)
    for name, values in lengths.items():
        label = f"{legend_name(name)}: {values.mean():,.0f} ± {values.std():,.0f}"
        # in percent, because sets may have different sizes
        weights = np.full(len(values), 100 / len(values))
        ax.hist(values, bins, weights=weights, histtype="stepfilled", alpha=0.25, color=colors[name])
        ax.hist(values, bins, weights=weights, histtype="step", lw=1.5, color=colors[name], label=label)
    ax.set(xlabel="events", ylabel="recordings (%)", title="Events per recording")
    ax.margins(y=0.3)
    ax.legend(fontsize=8, loc="upper left")


def _draw_parts(ax, statistics_of, colors):
    """Draw bars for the OFF and ON events of each part, the sets side by side."""
    width = 0.8 / len(statistics_of)
    for number, (name, statistics) in enumerate(statistics_of.items()):
        values = statistics.parts.ravel()
        ax.bar(
            np.arange(len(values)) + (number + 0.5) * width - 0.4,
            values,
            width,
            color=colors[name],
            label=legend_name(name),
        )
    labels = [f"{part} {polarity}" for part in range(1, len(values) // 2 + 1) for polarity in ("OFF", "ON")]
    ax.set_xticks(range(len(values)), labels)
    ax.set(xlabel="saccade and polarity", ylabel="events per recording", title="Events per saccade")
    ax.margins(y=0.3)
    ax.legend(fontsize=8, loc="upper right")


def _draw_rate(ax, statistics_of, colors):
    """Draw the rate of ON events upwards and of OFF events downwards."""
    for name, statistics in statistics_of.items():
        bin_ms = statistics.bin_us / 1000
        times = bin_ms * (np.arange(len(statistics.rate)) + 0.5)
        for polarity, sign in enumerate((-1, 1)):
            rate = sign * statistics.rate[:, polarity] / bin_ms
            ax.plot(times, rate, color=colors[name], lw=1.5, label=legend_name(name) if polarity else None)
    for end in next(iter(statistics_of.values())).part_ends_us:
        ax.axvline(end / 1000, color=GREY, ls="--", lw=1)
    ax.axhline(0, color=GREY, lw=1)
    ax.yaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
    ax.set(xlabel="time (ms)", ylabel="OFF     events per ms     ON", title="Event rate over time")
    ax.legend(fontsize=8)
    ax.grid(alpha=0.3)
