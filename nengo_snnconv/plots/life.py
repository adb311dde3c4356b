"""plot_life: the response of a network to one image, from layer to layer and from step to step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np

from .._util.validation import check_has, check_whole, shown
from ..errors import SettingsError, listed
from . import feature_maps, panels, score_panels
from .figures import CLASSES, RECORDING, Figure, class_labels, draw_input, evenly, short
from .panels import TRACED, Moving, moving_title
from .plot import Plot

# widths and heights in inches
MAPS, COLORBAR, TIMES = 4.1, 0.02, 3.2
ROW, SCORES, TOP, BOTTOM, LEFT, RIGHT = 1.4, 1.9, 0.8, 0.5, 0.9, 0.2
BETWEEN_ROWS, BETWEEN_COLUMNS = 0.46, 0.72
# largest numbers of layers and classes that are drawn by default
MOST_LAYERS, MOST_CLASSES = 12, 12


def plot_life(
    recording: Any,
    image: int = 0,
    true_class: int | None = None,
    class_names: Sequence[str] | None = None,
    step: int | None = None,
    layers: Sequence[str] | str | None = None,
    max_maps: int = 24,
    max_neurons: int = 30,
) -> Plot:
    """Draw the response of a network to one image up to a step: input, spiking layers, and class scores.

    The first row shows the image and the mean firing rate of each layer in each step; for networks with input spikes
    also the mean of the input spikes up to the step and their raster.  Each spiking layer has a row with its feature
    maps (firing rates up to the step), a raster of spikes, and, if they were recorded, the membrane potentials of three
    neurons, which have the same colors in all three panels; potentials beyond 3 thresholds are cut off.  Negative
    spikes, as of SignedIntegrateAndFire, are reddish purple, and subtracted in feature maps.  The last row shows the
    class scores after the step and over time, and the class with the highest score in each step.

    If no neuron spikes twice, as in networks of time to first spike, feature maps show the step in which each neuron
    spiked, and the picture beside the image shows the values that its spikes encode.

    Parameters
    ----------
    recording : Recording
        Result of ``record(network, x, potentials=True)``.  Without ``potentials``, their column is left out.
    image : int
        Index of the image in the recording.
    true_class : int, optional
        True class; the title says if the network is right, and the name of the class is bold.
    class_names : sequence of str, optional
        Names of the classes; by default their numbers.
    step : int, optional
        Time step (1-based); the last one by default.
    layers : sequence of str, optional
        Names of the spiking layers to draw; by default all, or 12 evenly spaced ones if there are more.
    max_maps : int
        Largest number of feature maps of a layer; those with the most spikes are drawn.
    max_neurons : int
        Largest number of neurons in a raster, evenly spaced among the neurons of the drawn maps that spiked.

    Returns
    -------
    Plot
        Shown in a notebook; ``.savefig(path)`` writes it to a file.
        Its panels are named "input", "input/mean", "input/raster", "activity"; "<layer>/maps", "<layer>/raster" and
        "<layer>/potentials" for each layer; "scores", "scores/now" and "scores/winner".  Panels that do not apply are
        missing.

    Raises
    ------
    SettingsError
        If the image, class, step or a layer does not exist.

    Examples
    --------
    >>> recording = nengo_snnconv.record(network, x[:1], n_steps=32, potentials=True)
    >>> plot = nengo_snnconv.plots.plot_life(recording)
    >>> plot["scores"].set_ylabel("logits")
    >>> plot.savefig("life.png")
    """
    life = Life(recording, image, true_class, class_names, layers, max_maps, max_neurons)
    life.show(life.check_step(life.n_steps if step is None else step))
    return Plot(life.axes)


class Life:
    """Picture of a network's response to one image that can show any step; parameters as for :func:`plot_life`.

    Attributes
    ----------
    figure : Figure
    axes : dict of str to matplotlib axes
    moving : list of Moving
        Parts that change from step to step.
    n_steps : int
        Number of time steps.
    """

    def __init__(self, recording, image, true_class, class_names, layers, max_maps, max_neurons):
        _check(recording, image, true_class, layers, max_maps, max_neurons)
        self.input_name, *spiking = recording.shapes
        self.dt, self.shapes, self.axes_of = recording.dt, recording.shapes, recording.axes_of
        self.image, self.emitted = picture_of(recording, image), emitted_by(recording, image)
        self.scores = recording.class_scores(image)
        self.has_classes = recording.head in ("classes", "binary")
        self.n_steps = len(self.scores)
        self.names = [short(label) for label in class_labels(self.scores.shape[1], class_names)]
        self.true_class = true_class
        self.spikes = {name: spikes[image] for name, spikes in recording.spikes.items()}
        most = max((np.abs(counts).sum(axis=0).max() for counts in self.spikes.values()), default=0)
        self.once = most == 1 < self.n_steps
        self.potentials = {name: potentials[image] for name, potentials in recording.potentials.items()}
        spiking = [str(name) for name in evenly(spiking, MOST_LAYERS)]
        self.layers = spiking if layers is None else [layers] if isinstance(layers, str) else list(layers)
        self.max_maps, self.max_neurons = max_maps, max_neurons
        self.figure, self.grid = _figure(len(self.layers), 2 + bool(self.potentials))
        self.axes, self.moving = {}, [self._headline()]
        self._draw_input()
        for row, name in enumerate(self.layers, start=1):
            self._draw_layer(row, name)
        for label, ax in self.axes.items():
            if label.endswith(("raster", "potentials", "activity")):
                ax.tick_params(labelbottom=label.split("/")[0] in self.layers[-1:])
        self._draw_scores()

    def check_step(self, step):
        """Return ``step``; raise SettingsError if it does not exist."""
        _check_number("step", step, 1, self.n_steps)
        return step

    def show(self, step):
        """Update the picture to the state after a step (1-based)."""
        for _, show in self.moving:
            show(step)

    def _headline(self):
        headline = self.figure.suptitle("", x=0.5 * LEFT / self.figure.get_figwidth(), ha="left", fontsize=14)
        winners = score_panels.winners_of(self.scores)

        def show(step):
            winner = winners[step - 1]
            text = f"Step {step} of {self.n_steps} ({1000 * self.dt * step:g} ms): "
            if not self.has_classes:
                headline.set_text(text[:-2])
                return
            text += self.names[winner] if winner >= 0 else "no class yet"
            if self.true_class is not None and winner >= 0:
                text += ", correct" if winner == self.true_class else f", wrong: it is {self.names[self.true_class]}"
            headline.set_text(text)

        return Moving(headline, show)

    def _place(self, cell, label):
        self.axes[label] = ax = self.figure.add_subplot(cell, label=label)
        return ax

    def _draw_input(self):
        spikes = self.spikes.get(self.input_name)
        left = self.grid[0, 0].subgridspec(1, 1 if spikes is None else 2, wspace=0.1)
        ax = self._place(left[0], "input")
        draw_input(ax, self.image)
        ax.set(xticks=[], yticks=[], anchor="W")
        ax.set_title("input", loc="left", fontsize=10, fontweight="bold")
        if spikes is not None:
            ax = self._place(left[1], "input/mean")
            draw = panels.draw_values if self.once else panels.draw_mean
            self.moving += draw(ax, self.image, self.emitted)
            ax.set(xticks=[], yticks=[], anchor="W")
            ax.set_title(
                "values of the spikes so far" if self.once else "mean of the spikes so far", loc="left", fontsize=10
            )
            active = np.flatnonzero(spikes.any(axis=0))
            self._draw_raster(self.grid[0, 2], self.input_name, "input/raster", evenly(active, self.max_neurons), {})
        column = 2 if spikes is None else 3
        if self.layers and column < self.grid.ncols:
            ax = self._place(self.grid[0, column:], "activity")
            self.moving += panels.draw_activity(ax, {name: self.spikes[name] for name in self.layers}, self.dt)
            ax.set_title("mean firing rate of each layer in each step", loc="left", fontsize=10)

    def _draw_layer(self, row, name):
        spikes = self.spikes[name]
        maps = feature_maps.maps_of(self.shapes[name], self.axes_of(name))
        busiest = np.argsort(-_map_counts(maps, spikes), kind="stable")[: self.max_maps]
        shown = maps[np.sort(busiest)]
        inside = shown[shown >= 0]
        active = inside[spikes[:, inside].any(axis=0)]
        neurons = evenly(active if len(active) else inside, self.max_neurons)
        traced = _traced(neurons, spikes)

        ax = self._place(self.grid[row, 0], f"{name}/maps")
        grid = feature_maps.mosaic(shown, MAPS / ROW)
        if self.once:
            self.moving += feature_maps.draw_times(ax, spikes, grid, traced)
        else:
            self.moving += feature_maps.draw_maps(ax, spikes, grid, self.dt, traced)
        ax.set_title(
            _map_title(name, [self.shapes[name][axis] for axis in self.axes_of(name)], len(shown)),
            loc="left",
            fontsize=10,
            fontweight="bold",
        )
        self._draw_raster(self.grid[row, 2], name, f"{name}/raster", neurons, traced)
        if self.potentials:
            ax = self._place(self.grid[row, 3], f"{name}/potentials")
            self.moving += panels.draw_potentials(ax, self.potentials[name], spikes, traced)
            if row == 1:
                ax.set_title("membrane potentials (dots: spikes)", loc="left", fontsize=10)

    def _draw_raster(self, cell, name, label, neurons, traced):
        ax, spikes = self._place(cell, label), self.spikes[name]
        ax.set_ylabel(f"{len(neurons)} {'inputs' if name == self.input_name else 'neurons'}", fontsize=9)
        self.moving += panels.draw_raster(ax, spikes, neurons, traced)

        def text(step):
            so_far = spikes[:step]
            active, rate = np.count_nonzero(so_far.any(axis=0)), np.abs(so_far).mean() / self.dt
            title = f"{active:,} of {spikes.shape[1]:,} have spiked"
            return title if self.once else f"{title}, {rate:.0f} Hz on average"

        self.moving.append(moving_title(ax, text))

    def _draw_scores(self):
        colors = _class_colors(len(self.names))
        classes = _classes_to_draw(self.scores, self.true_class)
        row = self.grid.nrows - 1
        bars = self._place(self.grid[row, 0], "scores/now")
        self.moving += score_panels.draw_bars(bars, self.scores, classes, self.names, colors, self.true_class)
        bars.set_title("class scores" if self.has_classes else "outputs", loc="left", fontsize=10, fontweight="bold")
        ribbon, lines = self.grid[row, 2:].subgridspec(2, 1, height_ratios=(1, 8), hspace=0.06)
        ax = self._place(ribbon, "scores/winner")
        if self.has_classes:
            self.moving += score_panels.draw_winners(ax, self.scores, self.names, colors)
        else:
            ax.set_axis_off()
        title = "class with the highest score, and all scores" if self.has_classes else "all outputs"
        ax.set_title(title, loc="left", fontsize=10)
        ax = self._place(lines, "scores")
        self.moving += score_panels.draw_scores(ax, self.scores, classes, colors)
        ax.set_xlabel(f"time step ({1000 * self.dt:g} ms)", fontsize=9)


def picture_of(recording, image):
    """Return an image of a recording, channel last."""
    return recording.images[image].transpose(recording.axes_of(next(iter(recording.shapes))))


def emitted_by(recording, image):
    """Return the output of the input layer for an image, (steps, ...), channel last."""
    axes = recording.axes_of(next(iter(recording.shapes)))
    return recording.input[image].transpose(0, *(1 + axis for axis in axes))


def _figure(n_layers, n_columns):
    """Return a figure and its grid.

    Rows are the input, the layers and the scores; columns are feature maps, room for color bars, and panels over time.
    """
    widths = [MAPS, COLORBAR, *[TIMES] * (n_columns - 1)]
    heights = [ROW] * (1 + n_layers) + [SCORES]
    width = LEFT + sum(widths) + BETWEEN_COLUMNS * (len(widths) - 1) + RIGHT
    height = TOP + sum(heights) + BETWEEN_ROWS * (len(heights) - 1) + BOTTOM
    figure = Figure(figsize=(width, height))
    grid = figure.add_gridspec(
        len(heights),
        len(widths),
        width_ratios=widths,
        height_ratios=heights,
        left=LEFT / width,
        right=1 - RIGHT / width,
        top=1 - TOP / height,
        bottom=BOTTOM / height,
        wspace=BETWEEN_COLUMNS / np.mean(widths),
        hspace=BETWEEN_ROWS / np.mean(heights),
    )
    return figure, grid


def _map_counts(maps, spikes):
    """Return the number of spikes of each map over the whole run."""
    totals = np.append(np.abs(spikes).sum(axis=0), 0)  # index -1, for places without a neuron, gives 0
    return totals[maps].sum(axis=(1, 2))


def _map_title(name, shape, n_shown):
    """Return the title of a layer's feature maps."""
    name = short(name, 20)
    if len(shape) == 1:
        return f"{name}: {shape[0]:,} neurons"
    size = "×".join(map(str, shape[:-1]))
    of = f"{n_shown} of {shape[-1]}" if n_shown < shape[-1] else f"{n_shown}"
    return f"{name}: {of} maps of {size}" + (", middle slice" if len(shape) == 4 else "")


def _traced(neurons, spikes):
    """Return up to three neurons with a high, a medium and a low number of spikes, and their colors."""
    trains = np.abs(spikes[:, neurons])
    # most spikes first; among neurons with equally many spikes, the earliest first
    order = neurons[np.lexsort((trains.argmax(axis=0), -trains.sum(axis=0)))]
    chosen = order[(np.array([0.1, 0.4, 0.75]) * len(order)).astype(int)]
    return dict(zip(dict.fromkeys(chosen), TRACED, strict=False))


def _class_colors(n_classes):
    """Return a color for each class."""
    colors = CLASSES if n_classes <= len(CLASSES) else matplotlib.color_sequences["tab20"]
    return [colors[label % len(colors)] for label in range(n_classes)]


def _classes_to_draw(scores, true_class, n=MOST_CLASSES):
    """Return the classes to draw: all if they are few.

    Otherwise those with the highest scores after the last step, those that win most often, and the true one.
    """
    if scores.shape[1] <= n:
        return range(scores.shape[1])
    winners, steps = np.unique(scores.argmax(axis=1), return_counts=True)
    classes = {*winners[np.argsort(-steps, kind="stable")][:n].tolist(), *np.argsort(-scores[-1])[:n].tolist()}
    return sorted(classes if true_class is None else classes | {int(true_class)})


def _check(recording, image, true_class, layers, max_maps, max_neurons):
    """Raise SettingsError if an argument of :func:`plot_life` is invalid."""
    check_has("filtered", RECORDING, recording=recording)
    n_images, n_classes = len(recording.filtered), recording.n_classes
    _check_number("image", image, 0, n_images - 1)
    _check_number("true_class", 0 if true_class is None else true_class, 0, n_classes - 1)
    _, *spiking = recording.shapes
    layers = () if layers is None else [layers] if isinstance(layers, str) else layers
    if not isinstance(layers, list | tuple | dict):
        raise SettingsError(
            f"layers must be a list of spiking layers, among {spiking}, or None; got {shown(layers)}", argument="layers"
        )
    if unknown := [name for name in layers if name not in spiking]:
        raise SettingsError(
            f"layers: no spiking layer is called {unknown[0]!r}; the spiking layers are {listed(spiking, 8)}",
            argument="layers",
        )
    _check_number("max_maps", max_maps, 1, np.inf)
    _check_number("max_neurons", max_neurons, 1, np.inf)


def _check_number(name, value, low, high):
    check_whole(low, high, **{name: value})
