"""Panels of the picture of one image's life: each draws what stays, and returns what changes from step to step."""

import math
import typing

import matplotlib
import numpy as np
from matplotlib.ticker import MaxNLocator

from .figures import BLUE, GREEN, GREY, ORANGE, draw_input, legend_name

TRACED = (BLUE, ORANGE, GREEN)  # of neurons that are followed through maps, raster and potentials


class Moving(typing.NamedTuple):
    """An artist, and the function that makes it show the state after a step, counted from 1."""

    artist: object
    show: typing.Callable = lambda step: None


def maps_of(shape, axes=None):
    """Numbers of the neurons of each feature map: an int array (maps, height, width), -1 where there is none.

    ``axes`` are those of the shape in the order of a picture, its channel last, where it has another one.

    A channel is a map: of a volume its middle slice, of a time series one row.  A vector is one map, a strip, and if it
    is long, a strip folded into rows.
    """
    numbers = np.arange(math.prod(shape))
    if len(shape) == 1:
        rows = 1 if len(numbers) <= 64 else math.ceil(math.sqrt(len(numbers) / 3))
        columns = math.ceil(len(numbers) / rows)
        return np.pad(numbers, (0, rows * columns - len(numbers)), constant_values=-1).reshape(1, rows, columns)
    numbers = numbers.reshape(shape)
    if axes is not None:
        numbers = numbers.transpose(axes)
    if len(shape) == 4:
        numbers = numbers[len(numbers) // 2]
    return np.moveaxis(numbers[None] if len(shape) == 2 else numbers, -1, 0)


def mosaic(maps, ratio):
    """Lay maps (maps, height, width) side by side, with gaps of -1, to fill a box of width / height ``ratio``.

    Returns
    -------
    ndarray of int, (height, width)
    """
    n_maps, height, width = maps.shape
    gap = max(1, round(0.06 * width)) if n_maps > 1 else 0

    def merit(rows):
        columns = math.ceil(n_maps / rows)
        scale = min(ratio / (columns * (width + gap)), 1 / (rows * (height + gap)))
        return scale * math.sqrt(n_maps / (rows * columns))  # rather full rows than a little more size

    rows = max(range(1, n_maps + 1), key=merit)
    columns = math.ceil(n_maps / rows)
    tiles = np.full((rows * columns, height + gap, width + gap), -1)
    tiles[:n_maps, :height, :width] = maps
    grid = tiles.reshape(rows, columns, height + gap, width + gap).swapaxes(1, 2).reshape(rows * (height + gap), -1)
    return grid[: len(grid) - gap, : grid.shape[1] - gap]


def draw_maps(ax, counts, grid, dt, traced):
    """Firing rates so far, in Hz, of the neurons in ``grid``; ``counts`` are spikes (steps, neurons)."""
    final = counts.mean(axis=0)[grid[grid >= 0]] / dt
    # the busiest neurons saturate, so that the others are told apart
    highest = np.percentile(final[final > 0], 99) if final.any() else 1 / dt
    shown = ax.imshow(
        np.ma.masked_all(grid.shape),
        cmap="magma",
        vmin=0,
        vmax=highest,
        interpolation="nearest",
        aspect="auto" if len(grid) < 3 else "equal",
    )
    ax.set_anchor("W")
    ax.axis("off")
    colorbar = ax.figure.colorbar(
        shown,
        cax=ax.inset_axes((1.025, 0, 0.02, 1)),
        extend="max" if (final > highest).any() else "neither",
        ticks=MaxNLocator(3),
    )
    colorbar.ax.tick_params(labelsize=8, length=2, pad=2)
    colorbar.ax.set_title("Hz", fontsize=8, loc="left", pad=3)

    def show(step):
        rates = counts[:step].mean(axis=0) / dt
        shown.set_data(np.ma.masked_where(grid < 0, rates[grid]))

    return [Moving(shown, show), *_mark(ax, grid, traced)]


def _mark(ax, grid, traced):
    """Rings around the neurons that are followed."""
    moving = []
    for neuron, color in traced.items():
        row, column = np.argwhere(grid == neuron)[0]
        for width, edge in ((2.4, "white"), (1.4, color)):
            (ring,) = ax.plot(column, row, "o", ms=7, mfc="none", mec=edge, mew=width, clip_on=False)
            moving.append(Moving(ring))
    return moving


def draw_times(ax, counts, grid, traced):
    """The steps in which the neurons in ``grid`` have spiked so far, early ones bright; ``counts`` has one at most."""
    spiked, times = counts.any(axis=0), counts.argmax(axis=0) + 1
    first, last = (times[spiked].min(), times[spiked].max()) if spiked.any() else (1, len(counts))
    # a little more than the last step, so that its spikes are not black
    limits = {"vmin": first, "vmax": last + 0.3 * (last - first + 1)}
    shown = ax.imshow(
        np.ma.masked_all(grid.shape),
        cmap=matplotlib.colormaps["magma_r"].with_extremes(bad="white"),
        interpolation="nearest",
        aspect="auto" if len(grid) < 3 else "equal",
        **limits,
    )
    ax.set_anchor("W")
    ax.axis("off")
    colorbar = ax.figure.colorbar(
        shown, cax=ax.inset_axes((1.025, 0, 0.02, 1)), ticks=MaxNLocator(3, integer=True, min_n_ticks=1)
    )
    colorbar.ax.set_ylim(last, first)
    colorbar.ax.tick_params(labelsize=8, length=2, pad=2)
    colorbar.ax.set_title("step", fontsize=8, loc="left", pad=3)

    def show(step):
        seen = np.where(spiked & (times <= step), times, limits["vmax"])  # as dark as those that never do
        shown.set_data(np.ma.masked_where(grid < 0, seen[grid]))

    return [Moving(shown, show), *_mark(ax, grid, traced)]


def draw_raster(ax, counts, neurons, traced):
    """Spikes of ``neurons``, a row for each; ``counts`` are spikes (steps, neurons)."""
    n_steps = len(counts)
    height, width = (72 * inches for inches in _size(ax)[::-1])
    style = {
        "marker": "|",
        "linestyle": "",
        "markersize": np.clip(0.85 * height / max(len(neurons), 1), 1.2, 8),
        "markeredgewidth": np.clip(0.5 * width / n_steps, 0.4, 1.2),
    }
    moving = [_spike_marks(ax, counts[:, neurons], [i for i, n in enumerate(neurons) if n not in traced], GREY, style)]
    style["markersize"] = max(5, style["markersize"])
    for neuron, color in traced.items():
        moving.append(_spike_marks(ax, counts[:, neurons], [list(neurons).index(neuron)], color, style))
    ax.set(ylim=(len(neurons) - 0.2, -0.8), yticks=[])
    return [*moving, *draw_time(ax, n_steps)]


def _spike_marks(ax, counts, rows, color, style):
    steps, places = np.nonzero(counts[:, rows])
    heights = np.asarray(rows, float)[places]
    (line,) = ax.plot([], [], color=color, **style)

    def show(step):
        so_far = np.searchsorted(steps, step)
        line.set_data(steps[:so_far] + 1, heights[:so_far])

    return Moving(line, show)


def draw_potentials(ax, potentials, counts, traced):
    """Membrane potentials of the neurons that are followed, in thresholds, with a mark where one spiked."""
    n_steps = len(potentials)
    moving = []
    for neuron, color in traced.items():
        moving.append(_growing_line(ax, potentials[:, neuron], color=color, lw=1.3))
        fired = np.where(counts[:, neuron] > 0, 1.0, np.nan)
        moving.append(_growing_line(ax, fired, color=color, ls="", marker=".", ms=4, markevery=1))
    ax.axhline(1, color="black", ls="--", lw=0.8)
    shown = potentials[:, list(traced)]
    low, high = max(shown.min(initial=0), -3), min(shown.max(initial=1), 3)
    ax.set_ylim(low - 0.15, high + 0.25)
    ax.set_ylabel("thresholds", fontsize=9)
    return [*moving, *draw_time(ax, n_steps)]


def draw_activity(ax, layers, dt):
    """Mean firing rate of each layer in each step; ``layers`` are {name: spikes (steps, neurons)}."""
    colors = matplotlib.colormaps["viridis"](np.linspace(0, 0.8, len(layers)))
    n_steps = len(next(iter(layers.values())))
    moving, highest = [], 1
    for color, (name, counts) in zip(colors, layers.items(), strict=True):
        rates = counts.mean(axis=1) / dt
        highest = max(highest, rates.max())
        moving.append(_growing_line(ax, rates, color=color, lw=1.3, label=legend_name(name, 16)))
    ax.set_ylim(0, 1.5 * highest)  # room for the legend
    ax.set_ylabel("Hz", fontsize=9)
    ax.legend(fontsize=8, loc="upper left", ncols=4, frameon=False, borderaxespad=0.1)
    return [*moving, *draw_time(ax, n_steps)]


def winners_of(scores):
    """The class that wins in each step, (steps,), from class scores (steps, classes); -1 where all are equal."""
    return np.where(np.ptp(scores, axis=1) > 0, scores.argmax(axis=1), -1)


def draw_scores(ax, scores, classes, colors):
    """Class scores (steps, classes) as lines; that of the class that wins is bold."""
    winners = winners_of(scores)
    moving = []
    for label in classes:
        line, grow = _growing_line(ax, scores[:, label], color=colors[label])

        def show(step, line=line, grow=grow, label=label):
            grow(step)
            line.set_linewidth(2.6 if winners[step - 1] == label else 1)

        moving.append(Moving(line, show))
    ax.set_ylim(*_range(scores[:, classes]))
    ax.grid(alpha=0.3)
    return [*moving, *draw_time(ax, len(scores))]


def draw_bars(ax, scores, classes, names, colors, true_class):
    """Class scores after the step as bars."""
    bars = ax.barh(range(len(classes)), np.zeros(len(classes)), color=[colors[label] for label in classes])
    winners = winners_of(scores)
    moving = []
    for bar, label in zip(bars, classes, strict=True):

        def show(step, bar=bar, label=label):
            bar.set_width(scores[step - 1, label])
            bar.set_alpha(1 if winners[step - 1] == label else 0.35)

        moving.append(Moving(bar, show))
    ax.set_yticks(range(len(classes)), [names[label] for label in classes])
    longest = max(len(names[label]) for label in classes)
    ax.tick_params(labelsize=min(9, 120 / max(longest, 1)))  # they have less than an inch
    for tick, label in zip(ax.get_yticklabels(), classes, strict=True):
        tick.set_fontweight("bold" if label == true_class else "normal")
    ax.axvline(0, color="black", lw=0.8)
    ax.set_xlim(*_range(scores[:, classes]))
    ax.invert_yaxis()
    ax.spines[["top", "right"]].set_visible(False)
    return moving


def draw_winners(ax, scores, names, colors):
    """A ribbon with the colour and, where there is room, the name of the class that wins in each step."""
    n_steps, winners = len(scores), winners_of(scores)
    ribbon = ax.imshow(np.ones((1, n_steps, 3)), extent=(0.5, n_steps + 0.5, 0, 1), aspect="auto")
    colored = np.array([matplotlib.colors.to_rgb(colors[label] if label >= 0 else "white") for label in winners])[None]

    def show(step):
        visible = np.arange(n_steps)[None, :, None] < step
        ribbon.set_data(np.where(visible, colored, 1.0))

    ax.set(xlim=(0.5, n_steps + 0.5), xticks=[], yticks=[])
    return [Moving(ribbon, show), *_winner_names(ax, winners, names, colors)]


def _winner_names(ax, winners, names, colors):
    """Each name at the middle of its run of steps, from the step on at which there is room."""
    n_steps = len(winners)
    points_per_step = 72 * _size(ax)[0] / n_steps
    starts = np.flatnonzero(np.diff(winners, prepend=-2))
    moving = []
    for start, end in zip(starts, [*starts[1:], n_steps], strict=True):
        if winners[start] < 0:
            continue
        name = names[winners[start]]
        needed = (6.2 * len(name) + 3) / points_per_step  # steps, for letters of 9 points
        if end - start < needed:
            continue
        text = ax.text(0, 0.45, name, ha="center", va="center", fontsize=9, fontweight="bold")
        text.set_color(_readable_on(colors[winners[start]]))

        def show(step, text=text, start=start, end=end, needed=needed):
            last = min(step, end)
            text.set_visible(last - start >= needed)
            text.set_x((start + 1 + last) / 2)

        moving.append(Moving(text, show))
    return moving


def _readable_on(color):
    """Black or white, whichever is easier to read on a colour (contrast as WCAG 2.1 defines it)."""
    channels = np.array(matplotlib.colors.to_rgb(color))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return "black" if linear @ (0.2126, 0.7152, 0.0722) > 0.179 else "white"


def draw_mean(ax, image, emitted):
    """The mean so far of what the input layer ``emitted`` (steps, ...), on the scale of the image."""
    return _draw_so_far(ax, image, lambda step: emitted[:step].mean(axis=0))


def draw_values(ax, image, emitted):
    """What single spikes (steps, ...) stand for, on the scale of the image: in the first step their height, less later.

    It is the image, if the last of the spikes came in the last step of their stage.
    """
    n_steps = np.flatnonzero(emitted.reshape(len(emitted), -1).any(axis=1)).max(initial=0) + 1
    values = np.maximum(n_steps - np.arange(len(emitted)), 0) / n_steps
    return _draw_so_far(ax, image, lambda step: np.tensordot(values[:step], emitted[:step], 1))


def _draw_so_far(ax, image, so_far):
    """The picture that a function makes of each step, on the scale of the image."""
    replace = draw_input(ax, image)
    first, *others = [*ax.images, *ax.lines]
    return [Moving(first, lambda step: replace(so_far(step))), *map(Moving, others)]


def draw_time(ax, n_steps):
    """The axis of time steps, with a cursor at the step."""
    ax.set_xlim(0.5, n_steps + 0.5)
    ax.xaxis.set_major_locator(MaxNLocator(8, integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
    ax.tick_params(labelsize=9)
    ax.spines[["top", "right"]].set_visible(False)
    cursor = ax.axvline(1, color=GREY, lw=0.8, alpha=0.6)
    return [Moving(cursor, lambda step: cursor.set_xdata([step, step]))]


def moving_title(ax, text_of, **style):
    """A title that tells the text of each step."""
    title = ax.set_title("", loc="left", fontsize=10, **style)
    return Moving(title, lambda step: title.set_text(text_of(step)))


def _growing_line(ax, values, **style):
    steps = np.arange(1, len(values) + 1)
    (line,) = ax.plot([], [], **{"marker": "o", "ms": 3, "markevery": [-1], **style})
    return Moving(line, lambda step: line.set_data(steps[:step], values[:step]))


def _range(values):
    """Limits that leave a margin around values and zero."""
    low, high = min(values.min(), 0), max(values.max(), 0)
    margin = 0.06 * (high - low) or 1
    return low - (margin if low else 0), high + margin


def _size(ax):
    """Width and height of axes in inches."""
    box = ax.get_position()
    figure = ax.figure
    return box.width * figure.get_figwidth(), box.height * figure.get_figheight()
