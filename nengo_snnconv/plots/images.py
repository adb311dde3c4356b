"""Plots of single images: the response of a network to one image, and the Poisson spikes of one image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._util.validation import (
    as_float32,
    check_choice,
    check_counts,
    check_has,
    check_positive,
    check_whole,
    is_whole,
    shown,
)
from ..errors import SettingsError, listed
from .events import event_colors
from .figures import (
    BLUE,
    GREY,
    NEGATIVE,
    ORANGE,
    RECORDING,
    Figure,
    check_axes,
    class_labels,
    draw_input,
    draw_picture,
    evenly,
    name_negative_spikes,
    short,
)
from .life import picture_of
from .plot import AxesSequence, Plot

# largest number of class names beside a raster, and beside curves
NAMED, LABELLED = 20, 10
# largest number of layers, of curves of class scores, and of spikes that are drawn as lines
MOST_LAYERS, MOST_CURVES, MOST_MARKS = 22, 50, 20_000


def plot_image_response(
    recording: Any,
    image: int = 0,
    true_class: int | None = None,
    class_names: Sequence[str] | None = None,
    max_neurons: int = 100,
    axes: AxesSequence | None = None,
) -> Plot:
    """Draw the response of a network to one image: the image, its spikes layer by layer, and the class scores.

    If the input changes from step to step, its mean is drawn, with OFF events in blue and ON events in orange, and time
    is in steps.  Negative spikes, as of SignedIntegrateAndFire, are reddish purple.  Output neurons, whose spikes are
    the class scores, are all drawn, the one of the true class in orange.  The highest class score is blue, and the
    score of the true class orange if it is another one.

    Parameters
    ----------
    recording : Recording
        Result of ``record``.
    image : int
        Index of the image in the recording.
    true_class : int, optional
        True class.
    class_names : sequence of str, optional
        Names of the classes; by default their numbers.
    max_neurons : int
        Largest number of neurons of a layer that are drawn, evenly spaced among those that spiked.
    axes : sequence of matplotlib axes, optional
        Two more than there are layers in ``recording.spikes``; with fewer axes, evenly spaced layers are drawn.  By
        default all layers, or 22 if there are more.

    Returns
    -------
    Plot
        Shown in a notebook; ``.savefig(path)`` writes it to a file.

    Raises
    ------
    SettingsError
        If the image or class does not exist, or another argument is invalid.

    Examples
    --------
    >>> recording = nengo_snnconv.record(network, x[:1], n_steps=32)
    >>> plot = nengo_snnconv.plots.plot_image_response(recording, true_class=y[0])
    """
    check_has("filtered", RECORDING, recording=recording)
    n_images, n_classes = len(recording.filtered), recording.n_classes
    check_whole(-n_images, n_images - 1, image=image)
    if true_class is not None:
        check_whole(0, n_classes - 1, true_class=true_class)
    names = [short(label) for label in class_labels(n_classes, class_names)]
    check_counts(max_neurons=max_neurons)
    check_axes(axes, len(recording.spikes) + 2, least=2)
    layers = evenly(list(recording.spikes), MOST_LAYERS if axes is None else len(axes) - 2)
    if axes is None:
        axes = _square_axes(len(layers) + 2)
    n_steps = recording.filtered.shape[1]
    moving = shows_frames(recording)
    unit, step = ("time step", 1) if moving else ("time (ms)", 1000 * recording.dt)
    times = step * np.arange(1, n_steps + 1)
    time_axis = {"xlim": (times[0] / 2, times[-1] + times[0] / 2), "xlabel": unit}

    picture = picture_of(recording, image)
    if moving and picture.shape[2] <= 2:
        axes[0].imshow(event_colors(picture, picture.max() or 1))
    else:
        draw_input(axes[0], picture)
    title = "mean frame" if moving else "input"
    axes[0].set(title=title if true_class is None else f"{title}: {names[true_class]}", xticks=[], yticks=[])

    for ax, name in zip(axes[1:-1], map(str, layers), strict=True):
        spikes = recording.spikes[name]
        active = np.flatnonzero(spikes[image].any(axis=0))
        if recording.head == "classes" and _are_scores(spikes[image], recording.output[image]):
            _draw_raster(ax, spikes[image], range(spikes.shape[2]), times, true_class)
            _name_classes(ax, names, true_class)
        else:
            drawn = active[np.linspace(0, len(active) - 1, min(max_neurons, len(active))).astype(int)]
            _draw_raster(ax, spikes[image], drawn, times)
            ax.set_ylabel(f"{len(drawn)} of these neurons" if len(drawn) < len(active) else "neurons")
        ax.set(title=f"{short(name)}\n{len(active):,} of {spikes.shape[2]:,} spiked", **time_axis)
        ax.title.set_fontsize(10)

    scores = recording.class_scores(image)
    _draw_scores(axes[-1], scores, times, names, true_class)
    axes[-1].set(title=_title_of_scores(recording.head, scores[-1], names), **time_axis)
    axes[-1].title.set_fontsize(10)
    return Plot(axes)


def _title_of_scores(head, last, names):
    """Return the title of the panel of scores, from those after the last step, (outputs,)."""
    if head == "values":
        return "outputs"
    if head == "labels":
        found = [name for name, score in zip(names, last, strict=True) if score > 0]
        return f"logits\nprediction: {listed(found, 3) if found else 'none'}"
    return f"class scores\nprediction: {names[last.argmax()]}"


def shows_frames(recording):
    """Return True if a Recording is of frames that change from step to step, False for constant or Poisson input."""
    name, shape = next(iter(recording.shapes.items()))
    moves = bool((recording.input[:, 1:] != recording.input[:, :1]).any())
    return len(shape) == 3 and moves and name not in recording.spikes


def _are_scores(spikes, output):
    """Return True if the class scores are made of the spikes of a layer, (steps, neurons)."""
    return spikes.shape == output.shape and np.array_equal(spikes != 0, output != 0)


def _draw_raster(ax, spikes, neurons, times, marked=None):
    """Draw the spikes (steps, neurons) of some neurons, one row each; the neuron ``marked`` in orange."""
    colors = [ORANGE if neuron == marked else BLUE for neuron in neurons]
    _draw_trains(ax, [times[spikes[:, neuron] > 0] for neuron in neurons], colors)
    negative = [times[spikes[:, neuron] < 0] for neuron in neurons]
    if any(map(len, negative)):
        name_negative_spikes(ax, _draw_trains(ax, negative, NEGATIVE)[0])


def _draw_trains(ax, trains, colors):
    """Draw trains of spikes, one row each, and return the lines."""
    lines = ax.eventplot(trains, colors=colors, linewidths=1.5, linelengths=0.9) if trains else []
    for line in lines if sum(map(len, trains)) > MOST_MARKS else ():
        line.set_rasterized(True)
    return lines


def _name_classes(ax, names, true_class):
    """Label the rows of a raster of output neurons with class names."""
    named = range(len(names)) if len(names) <= NAMED else [] if true_class is None else [true_class]
    ax.set_yticks(named, [names[label] for label in named])
    for label, text in zip(named, ax.get_yticklabels(), strict=True):
        if label == true_class:
            text.set(color=ORANGE, fontweight="bold")
    ax.set(ylim=(len(names) - 0.5, -0.5), ylabel="class")


def _draw_scores(ax, scores, times, names, true_class):
    """Draw the class scores (steps, classes) as lines, with class names at their ends."""
    best, last = scores[-1].argmax(), scores[-1]
    marker = "." if len(times) <= 10 else ""  # a line through one step would be invisible
    # the classes with the highest scores if there are many
    drawn = np.sort(np.argsort(-last, kind="stable")[:MOST_CURVES])
    looks = {label: {"color": GREY, "lw": 0.9, "alpha": 0.7} for label in drawn.tolist()}
    if true_class is not None:
        looks[true_class] = {"color": ORANGE, "lw": 2, "zorder": 3}
    looks[best] = {"color": BLUE, "lw": 2.5, "zorder": 4}
    for label, look in looks.items():
        ax.plot(times, scores[:, label], marker=marker, **look)
    low, high = ax.get_ylim()
    ax.set_ylim(low, high)
    marked = {best, true_class}
    ends = {}  # text and color by height; labels of lines that end together are one text
    for label in sorted(looks, key=last.__getitem__):
        if label in marked:
            ends[label] = [names[label]]
        elif len(looks) <= LABELLED:
            same_end = next((other for other in ends if other not in marked and last[label] == last[other]), label)
            ends.setdefault(same_end, []).append(names[label])
    heights = (last[list(ends)] - low) / (high - low)
    for (label, together), height, position in zip(ends.items(), heights, _spread(heights, 0.095), strict=True):
        ax.annotate(
            ", ".join(together) if len(together) < 3 else f"{len(together)} others",
            (1, height),
            (1.08, position),
            xycoords="axes fraction",
            textcoords="axes fraction",
            arrowprops={"arrowstyle": "-", "color": GREY, "lw": 0.6, "shrinkA": 1, "shrinkB": 0},
            fontsize=8,
            va="center",
            color=looks[label]["color"],
            fontweight="bold" if label in marked else "normal",
        )


def _spread(positions, gap):
    """Return positions between 0 and 1, given in increasing order, moved so that they are at least ``gap`` apart.

    They stay inside if there is room.
    """
    spread = []
    for position in positions:
        spread.append(max(position, spread[-1] + gap) if spread else position)
    highest = max(1, gap * (len(spread) - 1))
    for i in reversed(range(len(spread))):
        spread[i] = min(spread[i], highest)
        highest = spread[i] - gap
    return spread


def _square_axes(n, columns=6):
    """Return ``n`` square axes, with as many in a row as fit on a page."""
    rows = -(-n // columns)
    columns = -(-n // rows)  # rows of about the same length
    figure = Figure(figsize=(2.5 * columns, 2.5 * rows), layout="constrained")
    return np.array([figure.add_subplot(rows, columns, i + 1) for i in range(n)])


def plot_input_spikes(
    x: np.ndarray,
    spikes: np.ndarray,
    steps: Sequence[int] | np.ndarray | None = None,
    threshold: float = 1.0,
    axes: AxesSequence | None = None,
    data_format: str = "channels_last",
) -> Plot:
    """Draw an image, its Poisson spikes in single steps, and their running mean, which approaches the image.

    This is the picture of the MATLAB example of Diehl et al. 2015 (doi 10.1109/IJCNN.2015.7280696).  All panels have
    the same gray or color scale.

    Parameters
    ----------
    x : ndarray, (height, width, channel)
        One image.
    spikes : ndarray, (steps, height, width, channel)
        Its spikes, -1, 0 or 1: ``poisson_spikes(x[None], n_steps)[0]``.
    steps : sequence of int, optional
        Time steps (1-based) to draw; by default the first, the last, and two between them.
    threshold : float
        Height of a spike, the ``threshold`` of ``poisson_spikes``.
    axes : sequence of matplotlib axes, optional
        One for the image, one for the spikes of each step, and one for the mean up to each step.
    data_format : "channels_last" or "channels_first"
        Position of the channel axis; "channels_first" for images (channel, height, width).

    Returns
    -------
    Plot
        Shown in a notebook; ``.savefig(path)`` writes it to a file.

    Raises
    ------
    SettingsError
        If the shapes do not fit, or a step does not exist.
    """
    x, spikes = as_float32(x, "x"), as_float32(spikes, "spikes")
    check_positive(threshold=threshold)
    if x.ndim != 3:
        raise SettingsError(f"x must be one image (height, width, channel), got shape {x.shape}", argument="x")
    if spikes.shape[1:] != x.shape or not len(spikes):
        raise SettingsError(
            f"spikes must have shape (steps, {', '.join(map(str, x.shape))}) to fit x, got {spikes.shape}: use "
            "poisson_spikes(x[None], n_steps)[0]",
            argument="spikes",
        )
    check_choice(("channels_last", "channels_first"), data_format=data_format)
    if data_format == "channels_first":
        x, spikes = np.moveaxis(x, 0, -1), np.moveaxis(spikes, 1, -1)
    if steps is None:
        steps = np.unique(np.geomspace(1, len(spikes), 4).round().astype(int))
    is_sequence = isinstance(steps, list | tuple | range | np.ndarray) and len(steps)
    if not is_sequence or not all(is_whole(step) and 1 <= step <= len(spikes) for step in steps):
        raise SettingsError(
            f"steps must be a sequence of time steps from 1 to {len(spikes)}, got {shown(steps)}", argument="steps"
        )
    check_axes(axes, 1 + 2 * len(steps))
    if axes is None:
        axes = _axes_around_image(len(steps))
    pictures = [("image", x)]
    pictures += [(f"spikes in step {step}", threshold * spikes[step - 1]) for step in steps]
    pictures += [
        (f"mean of {step} step{'s' if step > 1 else ''}", threshold * spikes[:step].mean(axis=0)) for step in steps
    ]
    limits = min(0, x.min(), threshold * spikes.min()), max(x.max(), threshold)
    for ax, (title, picture) in zip(axes, pictures, strict=True):
        draw_picture(ax, picture, *limits)
        ax.set(title=title, xticks=[], yticks=[])
        ax.title.set_fontsize(10)
    return Plot(axes)


def _axes_around_image(n_steps):
    """Return axes for one large picture on the left, and two rows of ``n_steps`` small ones beside it."""
    figure = Figure(figsize=(3.6 + 1.8 * n_steps, 3.8), layout="constrained")
    grid = figure.add_gridspec(2, 1 + n_steps, width_ratios=[2] + [1] * n_steps)
    small = [figure.add_subplot(grid[row, 1 + i]) for row in (0, 1) for i in range(n_steps)]
    return np.array([figure.add_subplot(grid[:, 0]), *small])
