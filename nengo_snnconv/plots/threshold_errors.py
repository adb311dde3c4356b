"""plot_threshold_errors: the error of a layer's activations over its threshold."""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np

from .._util.validation import check_has
from .figures import GREY, evenly, short, single_axes
from .plot import Axes, Plot

# largest number of curves in a legend
MOST_CURVES = 12


def plot_threshold_errors(errors: Any, axes: Axes | None = None) -> Plot:
    """Draw the error of a layer's activations over the threshold, one curve for each number of steps.

    This is figure 2 of Lopez-Randulfe, Reeb & Knoll 2022 for a layer of any network.

    Parameters
    ----------
    errors : ThresholdErrors
    axes : matplotlib axes, optional

    Returns
    -------
    Plot
        Shown in a notebook; ``.savefig(path)`` writes it to a file.
        A dot is the best threshold for a number of steps; a cross is the error with the largest activation that the
        weights allow, the threshold of the paper.
    """
    check_has("best_errors", "ThresholdErrors: make them with threshold_errors(network, x)", errors=errors)
    ax = single_axes(axes, (7, 4))
    colors = matplotlib.colormaps["viridis"](np.linspace(0, 0.85, len(errors.n_steps)))
    best = zip(errors.best, errors.best_errors, strict=True)
    bounds = errors.upper_bound_errors
    named = {int(n) for n in evenly(errors.n_steps, MOST_CURVES)}
    for color, n, curve, point, bound in zip(colors, errors.n_steps, errors.errors, best, bounds, strict=True):
        ax.plot(
            errors.thresholds, 100 * curve, color=color, label=f"{n} step{'s' if n > 1 else ''}" if n in named else None
        )
        ax.plot(point[0], 100 * point[1], "o", ms=6, color=color)
        ax.plot(errors.upper_bound, 100 * bound, "x", ms=6, color=color)
    ax.axvline(errors.largest, color=GREY, ls=":", lw=1.2, label="largest activation")
    ax.axvline(errors.upper_bound, color=GREY, ls="--", lw=1.2, label="largest possible activation")
    ax.set(
        xscale="log", yscale="log", xlabel="threshold (in units of the activation)", ylabel="error (% of the activity)"
    )
    ax.xaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_major_formatter("{x:g}")
    ax.grid(alpha=0.3, which="both")
    ax.set_title(f"{short(errors.layer)}: root-mean-square error of rounding and clipping", fontsize=11)
    ax.legend(fontsize=8, loc="lower left")
    return Plot(ax)
