"""plot_diagnosis: accuracy lost in each layer, causes of each layer's error, and activations against firing rates."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._util.validation import check_has
from .evaluation import capitalized
from .figures import BLUE, GREY, ORANGE, Figure, bounded, check_axes, ink, label_rows, short
from .plot import AxesSequence, Plot

RED = "#c53030"
# colors of Okabe & Ito (2008), distinct for all kinds of color vision
COLORS = {
    "clipping": "#d55e00",
    "response": "#f0e442",
    "quantisation": "#0072b2",
    "transient": "#009e73",
    "unevenness": "#e69f00",
    "reset": "#cc79a7",
    "synapse": "#56b4e9",
    "maxima": "#888888",
}
COLUMNS = 5
# largest number of layers with a panel, and of rows with a number beside each
MOST_LAYERS, NUMBERED = 20, 40


def plot_diagnosis(diagnosis: Any, axes: AxesSequence | None = None) -> Plot:
    """Draw the accuracy lost in each layer, the causes of its error, and activations against firing rates.

    Parameters
    ----------
    diagnosis : Diagnosis
    axes : sequence of matplotlib axes, optional
        Axes for accuracy, for causes, and for each of ``layers_to_draw(diagnosis)``: all layers of neurons, or the 20
        with the largest errors if there are more.

    Returns
    -------
    Plot
        Shown in a notebook; ``.savefig(path)`` writes it to a file.
        The first one shows the accuracy of a network that runs with spikes up to a layer, and as an ANN after it.  In
        the panels of layers, a dot is one neuron and one image; the band is the quantization error expected in theory,
        the dotted line the largest output of the neurons.
    """
    check_has("findings", "a Diagnosis: make one with diagnose(network, x, y)", diagnosis=diagnosis)
    layers = list(diagnosis.layers.values())
    drawn = layers_to_draw(diagnosis)
    check_axes(axes, len(drawn) + 2)
    if axes is None:
        axes = _diagnosis_axes(len(layers), len(drawn))
    _draw_accuracy(axes[0], diagnosis)
    _draw_causes(axes[1], layers)
    for ax, layer in zip(axes[2:], drawn, strict=True):
        _draw_pairs(ax, layer, layer.name in {finding.layer for finding in diagnosis.findings})
    return Plot(axes)


def layers_to_draw(diagnosis):
    """Return the layers whose activations are drawn, in order: all, or those with the largest errors."""
    layers = list(diagnosis.layers.values())
    worst = sorted(layers, key=lambda layer: -layer.error)[:MOST_LAYERS]
    return [layer for layer in layers if layer in worst]


def _diagnosis_axes(n_layers, n_drawn):
    rows = -(-n_drawn // COLUMNS)
    columns = max(3, -(-n_drawn // rows))
    top = bounded(max(2.4, 0.32 * n_layers + 1.2))
    width = 2.3 * max(columns, 4)
    figure = Figure(figsize=(width, top + 2.4 * rows), layout="constrained")
    upper, lower = figure.add_gridspec(2, 1, height_ratios=[top, 2.4 * rows])
    two, grid = upper.subgridspec(1, 2), lower.subgridspec(rows, columns)
    summary = [figure.add_subplot(part) for part in two]
    return np.array(summary + [figure.add_subplot(grid[divmod(i, columns)]) for i in range(n_drawn)])


def _draw_accuracy(ax, diagnosis):
    """Draw the accuracy from that of the ANN at the top to that with spikes at the bottom."""
    steps = [("ANN", diagnosis.ann_accuracy)]
    if diagnosis.evaluation.input_layer:
        steps.append((diagnosis.network.model.input, diagnosis.ann_accuracy - diagnosis.input_points / 100))
    steps += [(layer.name, layer.accuracy) for layer in diagnosis.layers.values()]
    if diagnosis.readout_points:
        steps.append(("output spikes", diagnosis.accuracy))
    names, values = zip(*steps, strict=True)
    places = range(len(names))
    colors = [ORANGE, *[BLUE] * (len(names) - 1)]
    few = len(names) <= NUMBERED
    bars = ax.barh(places, [100 * value for value in values], 0.8 if few else 1, color=colors)
    losses = [0, *(100 * (before - after) for before, after in zip(values, values[1:], strict=False))]
    labels = [
        f"{100 * value:.1f}" + (f"  ({-loss:+.1f})" if abs(loss) >= 0.05 else "")
        for value, loss in zip(values, losses, strict=True)
    ]
    if few:
        ax.bar_label(bars, labels, padding=3, fontsize=8)
    label_rows(ax, names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    name = diagnosis.evaluation.score_name
    ax.set(xlim=(0, 128), xticks=range(0, 101, 25), xlabel=f"{name} (%)")
    ax.set_title(f"{capitalized(name)} with spikes up to each layer, ANN after it", fontsize=10)


def _draw_causes(ax, layers):
    """Draw the error of each layer as a bar of its causes."""
    places = np.arange(len(layers))
    left = np.zeros(len(layers))
    for cause, color in COLORS.items():
        if any(cause in layer.causes for layer in layers):
            width = np.array([100 * layer.causes.get(cause, 0) for layer in layers])
            ax.barh(places, width, 0.8 if len(layers) <= NUMBERED else 1, left=left, color=color, label=cause)
            left += width
    marker = {"ls": "", "marker": "D", "ms": 5, "mew": 1.2, "mfc": "white", "mec": ink()}
    if len(layers) > NUMBERED:
        marker = {"color": ink(), "lw": 0.8}
    ax.plot([100 * layer.error for layer in layers], places, label="total error", **marker)
    label_rows(ax, [layer.name for layer in layers])
    ax.set_ylim(len(layers) - 0.5, -0.5)
    ax.set_xlim(left=0)
    ax.set_xlabel("root-mean-square error (% of the activity)")
    ax.set_title("Errors that arise in the layer", fontsize=10)
    ax.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))


def _draw_pairs(ax, layer, at_fault):
    """Draw firing rates over activations; equal ones are on the diagonal."""
    ann, rates = layer.pairs.T if len(layer.pairs) else np.zeros((2, 1))
    end = 1.08 * max(ann.max(), rates.max(), 1e-3)
    diagonal = np.array([0, min(end, layer.largest_output)])
    if layer.own_bound is not None:
        ax.fill_between(diagonal, diagonal - layer.own_bound, diagonal + layer.own_bound, color=ORANGE, alpha=0.3, lw=0)
    ax.plot([0, end], [0, end], color=GREY, lw=1)
    if layer.largest_output < end:
        ax.axhline(layer.largest_output, color=RED, ls=":", lw=1.2)
    ax.plot(ann, rates, ".", ms=2, alpha=0.35, color=BLUE, rasterized=True)
    ax.set(xlim=(-0.02 * end, end), ylim=(-0.02 * end, end), xlabel="activation (ANN)", ylabel="firing rate")
    ax.set_title(f"{short(layer.name)}\n{100 * layer.error:.0f} % error", fontsize=9)
    if at_fault:
        ax.title.set(color=RED, fontweight="bold")
    ax.tick_params(labelsize=7)
