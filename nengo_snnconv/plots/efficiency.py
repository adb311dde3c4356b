"""plot_operations: operations of the ANN and of the spikes, layer by layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._util.validation import check_has
from .figures import BLUE, GREY, ORANGE, bounded, label_rows, scale_operations, short, single_axes
from .plot import Axes, Plot

# largest number of rows with a number beside each
NUMBERED = 60


def plot_operations(efficiency: Any, axes: Axes | None = None) -> Plot:
    """Draw the operations that each layer causes, those of the ANN and those of the spikes, on a logarithmic axis.

    Parameters
    ----------
    efficiency : Efficiency
        Efficiency of a spiking network of any kind.
    axes : matplotlib axes, optional

    Returns
    -------
    Plot
        Shown in a notebook; ``.savefig(path)`` writes it to a file.
        One row for each layer, and one for their sum.  The number on the right is the number of operations of the ANN
        divided by that of the spikes.
    """
    check_has("active_layers", "an Efficiency: make one with efficiency(network, evaluation)", efficiency=efficiency)
    rows = {name: (layer.flops, layer.operations) for name, layer in efficiency.active_layers().items()}
    rows["total"] = efficiency.flops, efficiency.operations
    ax, few = single_axes(axes, (7.5, bounded(1.3 + 0.3 * len(rows)))), len(rows) <= NUMBERED
    places = np.arange(len(rows))
    ann, spikes = (np.array(column, float) for column in zip(*rows.values(), strict=True))
    both = (ann > 0) & (spikes > 0)
    ax.hlines(places[both], np.minimum(ann, spikes)[both], np.maximum(ann, spikes)[both], color=GREY, lw=2, alpha=0.5)
    for values, color, label in ((ann, ORANGE, "ANN: floating-point operations"), (spikes, BLUE, "spikes: additions")):
        ax.plot(values[values > 0], places[values > 0], "o", ms=7 if few else 2, color=color, label=label)
    for place, more, less in zip(places, ann, spikes, strict=True):
        ax.annotate(
            _ratio_text(more / less) if less and more and few else "",
            (1.01, place),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=9,
        )
    if few:
        ax.annotate("ANN / spikes", (1.01, 1.0), xycoords="axes fraction", va="bottom", fontsize=9, color=GREY)
    ax.axhline(len(rows) - 1.5, color=GREY, lw=0.7)
    if few:
        ax.set_yticks(places, [short(name) for name in rows])
    else:
        label_rows(ax, list(rows))
    scale_operations(ax)
    ax.set(xlabel="operations per image", ylim=(len(rows) - 0.5, -0.5))
    ax.grid(axis="x", alpha=0.3)
    ax.set_title("Operations caused by each layer", pad=26)  # the legend is below it
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)
    return Plot(ax)


def _ratio_text(ratio):
    """Return a ratio as text with two significant digits."""
    return f"{ratio:,.0f} ×" if ratio >= 100 else f"{ratio:.1f} ×" if ratio >= 1 else f"{ratio:.2g} ×"
