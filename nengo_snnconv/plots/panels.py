"""Panels of plot_life that show the spikes of a layer over time, and what all its panels share.

Each function draws the parts that do not change, and returns those that change from step to step, as Moving.
"""

import typing

import matplotlib
import numpy as np
from matplotlib.ticker import MaxNLocator

from .figures import BLUE, GREEN, GREY, NEGATIVE, ORANGE, draw_input, legend_name, name_negative_spikes

TRACED = (BLUE, ORANGE, GREEN)  # colors of the traced neurons, in feature maps, raster and potentials


class Moving(typing.NamedTuple):
    """An artist, and a function that updates it to the state after a step (1-based)."""

    artist: object
    show: typing.Callable = lambda step: None


def draw_raster(ax, counts, neurons, traced):
    """Draw the spikes of some neurons, one row each, in gray; traced neurons and negative spikes in their colors.

    Parameters
    ----------
    ax : matplotlib axes
    counts : ndarray of int, (steps, neurons)
        Spikes of all neurons of the layer.
    neurons : sequence of int
        Numbers of the neurons that are drawn.
    traced : dict of int to color
        Colors of the traced neurons.
    """
    n_steps = len(counts)
    height, width = (72 * inches for inches in size_in_inches(ax)[::-1])
    style = {
        "marker": "|",
        "linestyle": "",
        "markersize": np.clip(0.85 * height / max(len(neurons), 1), 1.2, 8),
        "markeredgewidth": np.clip(0.5 * width / n_steps, 0.4, 1.2),
    }
    drawn = counts[:, neurons]
    moving = [_spike_marks(ax, drawn > 0, [i for i, n in enumerate(neurons) if n not in traced], GREY, style)]
    style["markersize"] = max(5, style["markersize"])
    for neuron, color in traced.items():
        moving.append(_spike_marks(ax, drawn > 0, [list(neurons).index(neuron)], color, style))
    if (drawn < 0).any():
        moving.append(_spike_marks(ax, drawn < 0, range(len(neurons)), NEGATIVE, style))
        name_negative_spikes(ax, moving[-1].artist)
    ax.set(ylim=(len(neurons) - 0.2, -0.8), yticks=[])
    return [*moving, *draw_time(ax, n_steps)]


def _spike_marks(ax, spikes, rows, color, style):
    steps, places = np.nonzero(spikes[:, rows])
    heights = np.asarray(rows, float)[places]
    (line,) = ax.plot([], [], color=color, **style)

    def show(step):
        so_far = np.searchsorted(steps, step)
        line.set_data(steps[:so_far] + 1, heights[:so_far])

    return Moving(line, show)


def draw_potentials(ax, potentials, counts, traced):
    """Draw the membrane potentials of the traced neurons, in units of the threshold, with dots at their spikes.

    Dots at 1 are spikes, those at 0 negative spikes.
    """
    n_steps = len(potentials)
    moving = []
    for neuron, color in traced.items():
        moving.append(growing_line(ax, potentials[:, neuron], color=color, lw=1.3))
        fired = np.where(counts[:, neuron] > 0, 1.0, np.nan)
        moving.append(growing_line(ax, fired, color=color, ls="", marker=".", ms=4, markevery=1))
        if (counts[:, neuron] < 0).any():
            taken_back = np.where(counts[:, neuron] < 0, 0.0, np.nan)
            style = {"ls": "", "marker": "o", "ms": 4, "markevery": 1, "mfc": NEGATIVE}
            moving.append(growing_line(ax, taken_back, color=color, **style))
    ax.axhline(1, color="black", ls="--", lw=0.8)
    shown = potentials[:, list(traced)]
    low, high = max(shown.min(initial=0), -3), min(shown.max(initial=1), 3)
    ax.set_ylim(low - 0.15, high + 0.25)
    ax.set_ylabel("potential (thresholds)", fontsize=9)
    return [*moving, *draw_time(ax, n_steps)]


def draw_activity(ax, layers, dt):
    """Draw the mean firing rate of each layer in each step; ``layers`` is {name: spikes (steps, neurons)}."""
    colors = matplotlib.colormaps["viridis"](np.linspace(0, 0.8, len(layers)))
    n_steps = len(next(iter(layers.values())))
    moving, highest = [], 1
    for color, (name, counts) in zip(colors, layers.items(), strict=True):
        rates = np.abs(counts).mean(axis=1) / dt
        highest = max(highest, rates.max())
        moving.append(growing_line(ax, rates, color=color, lw=1.3, label=legend_name(name, 16)))
    ax.set_ylim(0, 1.5 * highest)  # room for the legend
    ax.set_ylabel("rate (Hz)", fontsize=9)
    ax.legend(fontsize=8, loc="upper left", ncols=4, frameon=False, borderaxespad=0.1)
    return [*moving, *draw_time(ax, n_steps)]


def draw_mean(ax, image, emitted):
    """Draw the mean up to the step of the input layer's output ``emitted`` (steps, ...), on the scale of the image."""
    return _draw_so_far(ax, image, lambda step: emitted[:step].mean(axis=0))


def draw_values(ax, image, emitted):
    """Draw the values that single spikes (steps, ...) encode: largest in the first step, smaller in later ones.

    The result is the image itself if the last spike came in the last step of the stage.
    """
    n_steps = np.flatnonzero(emitted.reshape(len(emitted), -1).any(axis=1)).max(initial=0) + 1
    values = np.maximum(n_steps - np.arange(len(emitted)), 0) / n_steps
    return _draw_so_far(ax, image, lambda step: np.tensordot(values[:step], emitted[:step], 1))


def _draw_so_far(ax, image, so_far):
    """Draw the picture that ``so_far(step)`` returns, on the scale of the image."""
    replace = draw_input(ax, image)
    artists = [*ax.images, *ax.lines]
    return [Moving(artists[0], lambda step: replace(so_far(step))), *map(Moving, artists[1:])]


def draw_time(ax, n_steps):
    """Set up the axis of time steps, with a cursor at the current step."""
    ax.set_xlim(0.5, n_steps + 0.5)
    ax.xaxis.set_major_locator(MaxNLocator(8, integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
    ax.tick_params(labelsize=9)
    ax.spines[["top", "right"]].set_visible(False)
    cursor = ax.axvline(1, color=GREY, lw=0.8, alpha=0.6)
    return [Moving(cursor, lambda step: cursor.set_xdata([step, step]))]


def moving_title(ax, text_of, **style):
    """Draw a title with the text that ``text_of(step)`` returns."""
    title = ax.set_title("", loc="left", fontsize=10, **style)
    return Moving(title, lambda step: title.set_text(text_of(step)))


def growing_line(ax, values, **style):
    """Draw a line through the values up to the current step."""
    steps = np.arange(1, len(values) + 1)
    (line,) = ax.plot([], [], **{"marker": "o", "ms": 3, "markevery": [-1], **style})
    return Moving(line, lambda step: line.set_data(steps[:step], values[:step]))


def size_in_inches(ax):
    """Return the width and height of axes in inches."""
    box = ax.get_position()
    figure = ax.figure
    return box.width * figure.get_figwidth(), box.height * figure.get_figheight()
