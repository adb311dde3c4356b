"""Plots of evaluations: accuracy over time, confusion matrix, and spikes per neuron."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, to_rgb

from .._util.text_tables import counted, percent
from .._util.validation import check_has, check_whole
from ..errors import SettingsError
from .figures import (
    BLUE,
    EVALUATION,
    GREY,
    ORANGE,
    Figure,
    bounded,
    check_axes,
    class_labels,
    dots,
    ink,
    label_rows,
    legend_name,
    series_style,
    short,
    single_axes,
    use_integer_ticks,
)
from .plot import Axes, AxesSequence, Plot

# largest number of rows of a confusion matrix; more classes share squares
MOST_SQUARES = 250
# from transparent to blue, for light and dark pages, and the share from which squares need white text
SHADES = LinearSegmentedColormap.from_list("shades", [(*to_rgb(BLUE), 0), (*to_rgb(BLUE), 1)])
DARK = 0.55
# largest number of rows with two lines of text each, and of names in a legend
NUMBERED, NAMED = 24, 60


def plot_accuracy(evaluation: Any, axes: Axes | None = None) -> Plot:
    """Draw the accuracy after each step beside that of the ANN, or the main measure of another head than classes.

    That is F1 for labels, the mean squared error for a regression, and the agreement with the ANN if there are no
    targets.  Of several outputs, the score of each is drawn: accuracy, F1 or R².  The legend gives the value after the
    last step.

    Parameters
    ----------
    evaluation : Evaluation
    axes : matplotlib axes, optional

    Returns
    -------
    Plot
        Shown in a notebook; ``.savefig(path)`` writes it to a file.
    """
    check_has("step_predictions", EVALUATION, evaluation=evaluation)
    ax = single_axes(axes)
    steps = np.arange(1, evaluation.n_steps + 1)
    measure = evaluation.measure
    factor, last = 100 if measure.percent else 1, measure.text(measure.steps[-1])
    if evaluation.heads:
        _draw_heads(evaluation.heads, steps, ax)
    else:
        ax.plot(steps, factor * measure.steps, marker=dots(len(steps)), ms=3, color=BLUE, label=f"spikes: {last}")
    if measure.ann is not None and not evaluation.heads:
        ann = measure.text(measure.ann)
        ax.axhline(factor * measure.ann, color=ORANGE, ls="--", label=f"rates (ANN): {ann}")
    step = "time step (one frame)" if evaluation.moving else f"time step ({1000 * evaluation.dt:g} ms)"
    label = "score (%)" if evaluation.heads else f"{measure.name} (%)" if measure.percent else measure.name
    ax.set(xlabel=step, ylabel=label)
    lowest = min((100 * head.score[-1] for head in evaluation.heads.values()), default=0)  # R² may be below 0
    ax.set_ylim(min(0, 1.1 * lowest), 102 if measure.percent else None)
    n_heads = len(evaluation.heads)  # each has a row in the legend, which is below the title
    title = "Scores" if n_heads else capitalized(measure.name)
    pad = 26 if not n_heads else 12 + 15 * n_heads
    ax.set_title(f"{title} over time, {len(evaluation.y):,} {item_of(evaluation)}s", pad=pad)
    ax.grid(alpha=0.3)
    use_integer_ticks(ax.xaxis)
    ncols = 1 if n_heads else 2
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=ncols, frameon=False)
    return Plot(ax)


def _draw_heads(heads, steps, ax):
    """Draw the score of each of several outputs, in %, and that of the ANN as a dashed line."""
    for number, (name, head) in enumerate(heads.items()):
        color = f"C{number % 10}"
        text = f"{short(name)}, {head.score_name}: {percent(head.score[-1])}"
        if head.ann_score is not None:
            text += f" (ANN {percent(head.ann_score)})"
            ax.axhline(100 * head.ann_score, color=color, ls="--", lw=1)
        ax.plot(steps, 100 * head.score, marker=dots(len(steps)), ms=3, color=color, label=text)


def plot_stop(evaluation: Any, rules: dict[str, Any] | None = None, axes: Axes | None = None) -> Plot:
    """Draw the accuracy against the mean number of steps if images stop early, without another simulation.

    Beside it is the accuracy if all images stop after the same number of steps.

    Parameters
    ----------
    evaluation : Evaluation
        Evaluation without a rule.
    rules : dict of str to MarginStop, optional
        Rules to mark, by name, such as those of :func:`choose_stop` for several losses.  The lines are for all rules
        with margins that decrease like those of the first one, by default as 1 / t.
    axes : matplotlib axes, optional

    Returns
    -------
    Plot
        Shown in a notebook; ``.savefig(path)`` writes it to a file.

    Raises
    ------
    SettingsError
        If the images of the evaluation stopped early, or a rule is for another number of steps.
    """
    check_has("step_predictions", EVALUATION, evaluation=evaluation)
    rules = {} if rules is None else rules
    if not isinstance(rules, dict) or not all(hasattr(rule, "margins") for rule in rules.values()):
        raise SettingsError('rules must be a dict of MarginStop: {"name": choose_stop(...), ...}', argument="rules")
    power = next(iter(rules.values())).calibration.get("power", 1) if rules else 1
    steps, accuracy = evaluation.stop_tradeoff(power)
    points = {name: evaluation.stopped(rule) for name, rule in rules.items()}
    ax = single_axes(axes)
    every = np.arange(1, evaluation.n_steps + 1)
    ax.plot(every, 100 * evaluation.score, color=GREY, marker=dots(len(every)), ms=3, label="same number of steps")
    ax.plot(steps, 100 * accuracy, color=BLUE, label="stopping early")
    for number, (name, (mean, correct)) in enumerate(points.items()):
        color = series_style(number + 1)["color"]
        label = f"{legend_name(name)}: {100 * correct:.2f} % in {mean:.2f} steps"
        ax.plot([mean], [100 * correct], ls="", marker="o", ms=7, color=color, label=label)
    ax.set(
        xlabel="mean number of time steps", ylabel=f"{evaluation.score_name} (%)", xlim=(0.5, evaluation.n_steps + 0.5)
    )
    ax.set_title(f"Early stopping, {len(evaluation.y):,} {item_of(evaluation)}s")
    ax.grid(alpha=0.3)
    ax.legend(loc="lower right")
    return Plot(ax)


def capitalized(name):
    """Return the name of a measure with a capital letter at the beginning."""
    return name[:1].upper() + name[1:]


def item_of(evaluation):
    """Return the word for one item of the data: "image" or "recording"."""
    return "recording" if evaluation.moving else "image"


def plot_accuracies(evaluations: dict[str, Any], axes: AxesSequence | None = None) -> Plot:
    """Draw the accuracy of several networks after each step, and their loss compared with their ANNs.

    Parameters
    ----------
    evaluations : dict of str to Evaluation
        Evaluations by name, for the legend.
    axes : pair of matplotlib axes, optional
        Axes for the accuracy, and for the loss in percentage points: accuracy of the ANN minus accuracy with spikes.

    Returns
    -------
    Plot
        Shown in a notebook; ``.savefig(path)`` writes it to a file.
        Accuracies of ANNs are dashed lines; one line if they are equal.  The axis of losses is logarithmic down to one
        image, and linear below, because a loss may be zero or negative.

    Raises
    ------
    SettingsError
        If there is no evaluation, or one without an ANN.
    """
    if not (isinstance(evaluations, dict) and evaluations):
        raise SettingsError(
            'evaluations must be a dict with at least one evaluation: {"name": evaluate(...), ...}',
            argument="evaluations",
        )
    for name, evaluation in evaluations.items():
        check_has("ann_score", EVALUATION, **{f"evaluations[{name!r}]": evaluation})
    check_axes(axes, 2)
    below = axes is None and len(evaluations) > 12  # place of the legend
    if axes is None:
        height = 4 + 0.13 * (min(len(evaluations), NAMED) // 3 if below else 0)
        axes = Figure(figsize=(11, height), layout="constrained").subplots(1, 2)
    without = [name for name, evaluation in evaluations.items() if evaluation.ann_score is None]
    if without:
        raise SettingsError(
            f"evaluations: {', '.join(without)} has no ANN to compare with; draw each one with evaluation.plot()",
            argument="evaluations",
        )
    anns = {evaluation.ann_score for evaluation in evaluations.values()}
    if len(anns) == 1:
        axes[0].axhline(100 * min(anns), color=GREY, ls="--", zorder=3, label="rates (ANN)")
    for number, (name, evaluation) in enumerate(evaluations.items()):
        steps, style = np.arange(1, evaluation.n_steps + 1), series_style(number)
        style["markevery"] = max(1, len(steps) // 50)
        axes[0].plot(steps, 100 * evaluation.score, label=legend_name(name), **style)
        if len(anns) > 1:
            axes[0].axhline(100 * evaluation.ann_score, color=style["color"], ls="--")
        axes[1].plot(steps, 100 * (evaluation.ann_score - evaluation.score), label=legend_name(name), **style)
    one_image = 100 / max(len(evaluation.y) for evaluation in evaluations.values())
    axes[1].set_yscale("symlog", linthresh=one_image)
    axes[1].yaxis.set_major_formatter("{x:g}")
    axes[1].axhline(0, color=GREY, lw=1)
    name = " or ".join(dict.fromkeys(evaluation.score_name for evaluation in evaluations.values()))
    axes[0].set(ylabel=f"{name} (%)", title=f"{capitalized(name)} over time", ylim=(0, 102))
    axes[1].set(ylabel="loss (percentage points, log scale)", title=f"{capitalized(name)} below the ANN")
    for ax in axes:
        ax.set_xlabel("time step")
        use_integer_ticks(ax.xaxis)
        ax.grid(alpha=0.3)
    if below:
        handles, labels = axes[0].get_legend_handles_labels()
        axes[0].figure.legend(
            handles[: NAMED + 1], labels[: NAMED + 1], loc="outside lower center", ncols=3, fontsize=7
        )
    else:
        axes[0].legend(loc="lower right")
    return Plot(axes)


def plot_confusion(
    evaluation: Any, class_names: Sequence[str] | None = None, step: int = -1, axes: Axes | None = None
) -> Plot:
    """Draw the confusion matrix after a step: the number of images of each true class predicted as each class.

    Squares hold their numbers for up to 20 classes, and classes their names for up to 40.  With more than 250 classes,
    neighboring classes share a square, which has the darkest color that one of them would have, so no mistake is lost.

    Parameters
    ----------
    evaluation : Evaluation
    class_names : sequence of str, optional
        Names of the classes; by default their numbers.
    step : int
        Index of the time step; -1 is the last one.
    axes : matplotlib axes, optional

    Returns
    -------
    Plot
        Shown in a notebook; ``.savefig(path)`` writes it to a file.
    """
    check_has("step_predictions", EVALUATION, evaluation=evaluation)
    check_whole(-evaluation.n_steps, evaluation.n_steps - 1, step=step)
    counts = evaluation.confusion(step)
    n_classes = len(counts)
    names = class_labels(n_classes, class_names)
    ax = single_axes(axes, (bounded(1.6 + 0.45 * n_classes, 10.4), bounded(1.2 + 0.45 * n_classes, 10)))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    squares, block = _block_maxima(shares, MOST_SQUARES)
    edges = (-0.5, len(squares) * block - 0.5)
    # the square root makes single mistakes visible beside hundreds of correct predictions
    ax.imshow(np.sqrt(squares), cmap=SHADES, vmin=0, vmax=1, extent=(*edges, *edges[::-1]))
    ax.set(xlim=(-0.5, n_classes - 0.5), ylim=(n_classes - 0.5, -0.5))
    if n_classes <= 20:
        for row, column in np.argwhere(counts):
            color = "white" if shares[row, column] > DARK else ink()
            ax.text(column, row, counts[row, column], ha="center", va="center", color=color, fontsize=8)
    label_rows(ax, names, axis="x")
    label_rows(ax, names)
    if max(map(len, names)) > 3 or n_classes > 20:
        for label in ax.get_xticklabels():
            label.set(rotation=45, ha="right", rotation_mode="anchor")
    after = range(evaluation.n_steps)[step] + 1
    ax.set(
        xlabel="predicted class",
        ylabel="true class" if evaluation.labelled else "class by the ANN",
        title=f"Confusion after {counted(after, 'step')}",
    )
    if block > 1:
        ax.set_title(
            f"{ax.get_title()}, {n_classes:,} classes\n(squares show the maximum of {block} × {block} classes)"
        )
    return Plot(ax)


def _block_maxima(shares, most):
    """Reduce a square matrix to at most ``most`` rows by taking the maximum of blocks.

    Returns the reduced matrix, and the number of rows of a block.
    """
    length = -(-len(shares) // most) or 1
    room = -len(shares) % length
    blocks = np.pad(shares, (0, room)).reshape(-(-len(shares) // length), length, -1, length)
    return blocks.max(axis=(1, 3)), length


def plot_spike_counts(evaluation: Any, axes: AxesSequence | None = None) -> Plot:
    """Draw the spikes per neuron and the share of silent neurons of each layer.

    Parameters
    ----------
    evaluation : Evaluation
    axes : pair of matplotlib axes, optional

    Returns
    -------
    Plot
        Shown in a notebook; ``.savefig(path)`` writes it to a file.

    Raises
    ------
    SettingsError
        If the network does not spike.
    """
    check_has("step_predictions", EVALUATION, evaluation=evaluation)
    check_axes(axes, 2)
    if not evaluation.layers:
        raise SettingsError("the network does not spike: there are no spikes to count", argument="evaluation")
    if axes is None:
        height = bounded(1.4 + 0.45 * len(evaluation.layers))
        axes = Figure(figsize=(9, height), layout="constrained").subplots(1, 2, sharey=True)
    layers, places = list(evaluation.layers.values()), range(len(evaluation.layers))
    few = len(layers) <= NUMBERED
    names = [f"{short(layer.name)}\n{layer.n_neurons:,} neurons" if few else layer.name for layer in layers]
    spikes, silent = axes
    width = 0.8 if few else 1
    bars = spikes.barh(places, [layer.spikes_per_neuron for layer in layers], width, color=BLUE)
    # steps of event frames have no fixed length, so there is no rate in Hz
    rates = ["" if evaluation.moving else f"  ({layer.rate_hz:.0f} Hz)" for layer in layers]
    labels = [f"{layer.spikes_per_neuron:.2f}{rate}" for layer, rate in zip(layers, rates, strict=True)]
    if few:
        spikes.bar_label(bars, labels, padding=3)
    spikes.set(
        xlabel=f"spikes per neuron and {item_of(evaluation)} ({counted(evaluation.n_steps, 'step')})", title="Spikes"
    )
    spikes.margins(x=0.65 if few else 0.05)
    bars = silent.barh(places, [100 * layer.silent for layer in layers], width, color=GREY)
    if few:
        silent.bar_label(bars, [f"{100 * layer.silent:.1f} %" for layer in layers], padding=3)
    silent.set(xlabel="neurons that never spiked (%)", title="Silent neurons", xlim=(0, 115))
    for ax in axes:
        if few:
            ax.set_yticks(places, names)
        else:
            label_rows(ax, names)
        ax.set_ylim(len(layers) - 0.5, -0.5)
    return Plot(axes)
