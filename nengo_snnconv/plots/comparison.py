"""plot_comparison: losses and accuracies of a CNN on images and SNNs on event recordings."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.ticker import LogFormatter

from .._util.validation import check_has
from .figures import Figure, check_axes, ink, legend_name, series_style, use_integer_ticks
from .plot import AxesSequence, Plot

TICKS = np.array([0, 20, 50, 80, 90, 95, 98, 99, 99.5, 99.8, 99.9, 100])


def plot_comparison(comparison: Any, axes: AxesSequence | None = None) -> Plot:
    """Draw loss and accuracy of each network over the epochs.

    Parameters
    ----------
    comparison : Comparison
    axes : three matplotlib axes, optional

    Returns
    -------
    Plot
        Shown in a notebook; ``.savefig(path)`` writes it to a file.
        Losses of the CNN; losses of the SNNs, which use another loss function; accuracies in %, on an axis that is
        logarithmic in the error rate.  Solid lines are test data, dashed lines training data.
    """
    check_has("trained", "a Comparison: make one with compare(images)", comparison=comparison)
    check_axes(axes, 3)
    if axes is None:
        axes = Figure(figsize=(13, 4), layout="constrained").subplots(1, 3)
    for number, network in enumerate(comparison.trained.values()):
        look = {**series_style(number), "ms": 3, "lw": 1.2}
        loss = axes[0] if network.n_steps is None else axes[1]
        for ax, name, factor in ((loss, "loss", 1), (axes[2], "accuracy", 100)):
            for key, style, label in ((name, "--", None), (f"val_{name}", "-", network.name)):
                values = factor * np.asarray(network.history[key], float)
                epochs = np.arange(1, len(values) + 1)
                ax.plot(
                    epochs,
                    values,
                    style,
                    label=label and legend_name(label),
                    markevery=max(1, len(values) // 50),
                    **look,
                )
    for ax, title, unit in zip(
        axes[:2], ("CNN", "SNNs"), ("cross-entropy", "squared error of firing rates"), strict=True
    ):
        ax.set(title=f"Loss of {title}", ylabel=unit, yscale="log")
        ax.yaxis.set_major_formatter(_PlainLogFormatter())
        ax.yaxis.set_minor_formatter(_PlainLogFormatter(minor_thresholds=(1, 0.4)))
    axes[2].set(title="Accuracy", ylabel="accuracy (%)")
    _scale_by_error_rate(axes[2], 100 / max(each.n_test for each in comparison.trained.values()))
    for ax in axes:
        ax.set_xlabel("epoch")
        use_integer_ticks(ax.xaxis)
        ax.grid(alpha=0.3)
    axes[2].plot([], [], "--", color=ink(), lw=1.2, label="training")
    axes[2].legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return Plot(axes)


class _PlainLogFormatter(LogFormatter):
    """Labels the ticks of a logarithmic axis that matplotlib would label, but without powers of ten."""

    def __call__(self, x, pos=None):
        return f"{x:g}" if super().__call__(x, pos) else ""


def _scale_by_error_rate(ax, smallest):
    """Scale an axis of accuracies in % by the logarithm of the error rate, down to the error rate ``smallest``."""
    values = np.concatenate([line.get_ydata() for line in ax.lines])
    worst, best = 100 - values.min(), 100 - values.max()
    ax.set_yscale(
        "function",
        functions=(
            lambda accuracy: -np.log(np.maximum(100 - accuracy, 0) + smallest),
            lambda place: 100 + smallest - np.exp(-place),
        ),
    )
    ax.set_yticks([tick for tick in TICKS if tick == 100 or 100 - tick >= smallest])
    ax.yaxis.set_major_formatter("{x:g}")
    ax.set_ylim(max(0, 100 - 1.2 * max(worst, smallest)), 100 - best / 1.5)
