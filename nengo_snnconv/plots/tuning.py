"""Plots of sweeps and of tuning: accuracy over time steps and over operations."""

from __future__ import annotations

import textwrap
from typing import Any

import matplotlib
import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator

from .._util.validation import check_has
from .figures import BLUE, GREY, ORANGE, Figure, check_axes, legend_name, scale_operations
from .plot import AxesSequence, Plot

ALLOWED_GREEN = "#38a169"
# largest number of trials with a color each
MOST_COLORS = 10
# distances from the ANN in percentage points that are labelled
POINTS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)


def plot_tuning(tuning: Any, axes: AxesSequence | None = None) -> Plot:
    """Draw accuracy over time steps and over operations, for all settings that were tried.

    Parameters
    ----------
    tuning : Tuning
    axes : two matplotlib axes, optional

    Returns
    -------
    Plot
        Shown in a notebook; ``.savefig(path)`` writes it to a file.
        A line is a setting; on the right, it leads from its first step to its last.  The axis of accuracies is
        logarithmic in the distance from the ANN, the dashed line.  The green band is the allowed loss, the dot the
        chosen number of steps.  The diamond is the loss on the report images, which had no part in the choice, with its
        95 % confidence interval.  Other settings are gray, lighter if they have seen fewer images, and their distance
        from the ANN is that on these images.  The dotted line on the right is the number of multiply-accumulates of the
        ANN.
    """
    check_has("trials", "a Tuning: make one with tune(network, x, y)", tuning=tuning)
    check_has("max_loss", "a Tuning: draw a Sweep with plot_sweep", tuning=tuning)
    axes = _two_axes(axes)
    ann, chosen = 100 * tuning.selection.ann_score, tuning.trial
    lines = []
    for trial in reversed(tuning.trials):
        share = trial.n_images / len(tuning.selection.y)
        gray: dict[str, Any] = {"color": GREY, "alpha": 0.2 + 0.4 * share, "lw": 0.8, "zorder": 1}
        lines += _draw_trial(
            axes, trial, ann, **(gray if trial is not chosen else {"color": BLUE, "lw": 2, "zorder": 3})
        )
    _draw_losses(axes, tuning, ann)
    finest = min(tuning.max_loss or np.inf, 100 / len(tuning.selection.y))
    _finish(axes, lines, tuning.selection.score_name, ann, finest, 1.6 * max(tuning.interval[1], tuning.max_loss, 10))
    for ax, x in zip(axes, (tuning.n_steps, tuning.synaptic_operations), strict=True):
        ax.axhspan(ann - tuning.max_loss, 200, color=ALLOWED_GREEN, alpha=0.13, lw=0, zorder=0)
        ax.axvline(x, color=BLUE, lw=0.8, zorder=2)
    axes[1].axvline(tuning.evaluation.ann_operations, color=ORANGE, ls=":", lw=1.4, zorder=2)
    steps = f"{tuning.n_steps} step{'s' if tuning.n_steps > 1 else ''}"
    losses = f"{tuning.loss_points + 0.0:.2f} points lost ({tuning.selection_loss_points + 0.0:.2f} when chosen)"
    lost = f"{losses} after {steps}, {tuning.max_loss:g} allowed"
    axes[0].set_title(lost, fontsize=10)
    axes[1].set_title(f"{tuning.synaptic_operations:,.0f} operations per image", fontsize=10)
    # the ANN has another accuracy on the images of the choice than on the report images, to which the summary refers
    n_chosen, n_report = len(tuning.selection.y), len(tuning.evaluation.y)
    chosen_on = f"ANN: {ann:.2f} % on the {n_chosen:,} images of the choice"
    report = f"{n_report:,} report images (ANN: {100 * tuning.evaluation.ann_score:.2f} %), 95 % interval"
    handles = [
        Line2D([], [], color=BLUE, lw=2, marker="o", ms=6, label=_whole_name(tuning.trial.grid_point.text)),
        Line2D([], [], color=BLUE, lw=1.2, marker="D", mfc="white", ms=6, label=report),
        Line2D([], [], color=GREY, lw=0.8, label=f"{len(tuning.trials) - 1} other settings"),
        matplotlib.patches.Patch(color=ALLOWED_GREEN, alpha=0.25, label="allowed loss"),
        Line2D([], [], color=ORANGE, lw=1.2, ls="--", label=chosen_on),
        Line2D([], [], color=ORANGE, lw=1.4, ls=":", label="ANN: multiply-accumulates"),
    ]
    axes[0].figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return Plot(axes)


def _whole_name(setting):
    """Return the text of a setting for a legend, in lines of some words."""
    return textwrap.fill(legend_name(setting, 180), 60)


def _draw_losses(axes, tuning, ann):
    """Draw the loss on the images that chose the settings, and on the report images with its confidence interval."""
    position: dict[str, Any] = {"color": BLUE, "ms": 8, "zorder": 4}
    low, high = tuning.interval
    for ax, x in zip(axes, (tuning.n_steps, tuning.synaptic_operations), strict=True):
        ax.plot(x, ann - tuning.selection_loss_points, "o", **position)
        ax.plot([x, x], [ann - high, ann - low], color=BLUE, lw=2, zorder=4)
        ax.plot(x, ann - tuning.loss_points, "D", mfc="white", mew=1.5, **{**position, "ms": 7, "zorder": 5})


def plot_sweep(sweep: Any, axes: AxesSequence | None = None) -> Plot:
    """Draw accuracy over time steps and over operations, for each trial of a sweep.

    Parameters
    ----------
    sweep : Sweep
    axes : two matplotlib axes, optional

    Returns
    -------
    Plot
        Shown in a notebook; ``.savefig(path)`` writes it to a file.
        As for :func:`plot_tuning`.  If there are more than ten trials, all but the best one are gray.  For networks
        without an ANN, accuracies are drawn from 0 to 100 %.
    """
    check_has("trials", "a Sweep: make one with sweep(network, x, y, grid)", sweep=sweep)
    check_has("best", "a Sweep: draw a Tuning with plot_tuning", sweep=sweep)
    axes, best = _two_axes(axes), sweep.best()
    evaluation = best.evaluation
    colors = iter(matplotlib.color_sequences["tab10"])
    few, lines, handles = len(sweep.trials) <= MOST_COLORS, [], []
    ann = None if evaluation.ann_score is None else 100 * evaluation.ann_score
    for trial in sweep.trials:
        style = {"color": next(colors), "lw": 1.4} if few else {"color": GREY, "alpha": 0.4, "lw": 0.8}
        if trial is best and not few:
            style = {"color": BLUE, "lw": 2, "zorder": 3}
        drawn = _draw_trial(axes, trial, ann, **style)
        lines += drawn
        if few or trial is best:
            drawn[0].set_label(_whole_name(trial.grid_point.text))
            handles.append(drawn[0])
    worst = 0 if ann is None else max(float(trial.loss_points[-1]) for trial in sweep.trials)
    _finish(axes, lines, evaluation.score_name, ann, 100 / len(evaluation.y), 1.6 * max(worst, 10))
    if ann is not None:
        handles.append(Line2D([], [], color=ORANGE, ls="--", lw=1.2, label=f"ANN: {ann:.2f} %"))
    axes[0].figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    return Plot(axes)


def _two_axes(axes):
    check_axes(axes, 2)
    return Figure(figsize=(11, 4.6), layout="constrained").subplots(1, 2, sharey=True) if axes is None else axes


def _draw_trial(axes, trial, ann, **style):
    """Draw the accuracy of a trial over steps and over operations; return both lines."""
    evaluation = trial.evaluation
    accuracy = 100 * evaluation.score if ann is None else ann - trial.loss_points
    some = trial.operations > 0
    return [
        *axes[0].plot(np.arange(1, evaluation.n_steps + 1), accuracy, **style),
        *axes[1].plot(trial.operations[some], accuracy[some], **style),
    ]


def _finish(axes, lines, name, ann, finest, lowest):
    """Set scales, labels and limits; ``lines`` alternate between the two axes, ``name`` is that of the score.

    Accuracies are logarithmic in their distance from ``ann``, from ``finest`` to ``lowest`` points, or linear from 0 to
    100 if it is None.
    """
    axes[0].set_xscale("log", base=2)
    axes[0].xaxis.set_major_formatter("{x:g}")
    axes[0].set(xlabel="time steps", ylabel=f"{name} (%)")
    axes[1].set_xlabel("synaptic operations per image")
    low = 0 if ann is None else max(0, ann - lowest)
    for ax in axes:
        ax.grid(alpha=0.3)
        if ann is None:
            ax.set_ylim(0, 102)
        else:
            ax.axhline(ann, color=ORANGE, ls="--", lw=1.2, zorder=2)
            _scale_by_distance(ax, lines, name, ann, finest, low)
    operations = np.concatenate([line.get_xdata()[line.get_ydata() >= low] for line in lines[1::2]])
    if len(operations):
        axes[1].set_xlim(operations.min() / 1.2, operations.max() * 1.2)
    scale_operations(axes[1])
    axes[1].tick_params(labelleft=False)


def _scale_by_distance(ax, lines, name, ann, finest, low):
    """Scale an axis of scores in % by the logarithm of the distance from ``ann``, from ``finest`` points up."""
    most = max(0.0, *(line.get_ydata().max(initial=0) - ann for line in lines))

    def position(accuracy):
        points = np.asarray(accuracy, float) - ann
        return np.sign(points) * np.log1p(np.abs(points) / finest)

    def accuracy_at(position):
        return ann + np.sign(position) * finest * np.expm1(np.abs(position))

    def text(accuracy, _):
        return f"{accuracy:.2f}  ({accuracy - ann:+.4g})" if accuracy != ann else f"{ann:.2f}"

    below, above = ([each for each in POINTS if finest <= each <= end] for end in (ann - low, most))
    ax.set_yscale("function", functions=(position, accuracy_at))
    ax.yaxis.set_major_locator(FixedLocator(ann + np.array([*(-each for each in reversed(below)), 0, *above])))
    ax.yaxis.set_major_formatter(text)
    ax.set_ylim(low, max(ann, min(100, ann + 1.5 * max(most, finest))))
    ax.set_ylabel(f"{name} in % (distance from the ANN in points)" if ax.get_ylabel() else "")
