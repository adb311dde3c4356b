"""Pictures of trainings and evaluations."""

import numpy as np

from .._util.validation import check_has, check_names, check_whole
from ..errors import SettingsError
from .figures import (
    BLUE,
    EVALUATION,
    GREY,
    ORANGE,
    Figure,
    bounded,
    check_axes,
    dots,
    label_rows,
    legend_name,
    series_style,
    short,
    single_axes,
)

# a matrix of more classes is drawn with fewer, larger squares
MOST_SQUARES = 250
# so many rows have room for two lines beside each, and names for a legend
NUMBERED, NAMED = 24, 60


def plot_history(history, axes=None):
    """Draw loss and accuracy over the epochs of a training.

    Parameters
    ----------
    history : dict of str to list
        ``network.history``.
    axes : pair of matplotlib axes, optional

    Returns
    -------
    pair of matplotlib axes
    """
    if not isinstance(history, dict):
        raise SettingsError(f"history must be that of a network, network.history, got {type(history).__name__}")
    if not history:
        raise SettingsError("the network has no training history: it was not trained")
    check_axes(axes, 2)
    if axes is None:
        axes = Figure(figsize=(9, 3.4), layout="constrained").subplots(1, 2)
    for ax, name, unit, factor in zip(axes, ("loss", "accuracy"), ("", " in %"), (1, 100), strict=True):
        for key, label, color in ((name, "training", BLUE), (f"val_{name}", "validation", ORANGE)):
            if key in history:
                values = factor * np.asarray(history[key], float)  # None, where it was not measured, is a gap
                style = {"marker": dots(len(values)), "ms": 3, "color": color, "label": label}
                ax.plot(np.arange(1, len(values) + 1), values, **style)
        ax.set(xlabel="epoch", ylabel=name + unit, title=f"{name.capitalize()} of the network as it trains")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.grid(alpha=0.3)
        ax.legend()
    return axes


def plot_accuracy(evaluation, axes=None):
    """Draw the accuracy after each step beside that of the ANN; returns the matplotlib axes.

    The legend tells the accuracy after the last step.
    """
    check_has("step_predictions", EVALUATION, evaluation=evaluation)
    ax = single_axes(axes)
    steps = np.arange(1, evaluation.n_steps + 1)
    spikes = 100 * evaluation.accuracy
    ax.plot(steps, spikes, marker=dots(len(steps)), ms=3, color=BLUE, label=f"with spikes: {spikes[-1]:.2f} %")
    if evaluation.ann_accuracy is not None:
        ann = 100 * evaluation.ann_accuracy
        ax.axhline(ann, color=ORANGE, ls="--", label=f"with rates (ANN): {ann:.2f} %")
    step = "time step, a frame each" if evaluation.moving else f"time step ({1000 * evaluation.dt:g} ms)"
    ax.set(xlabel=step, ylabel="accuracy in %", ylim=(0, 102))
    ax.set_title(f"Accuracy over time, {len(evaluation.y):,} {item_of(evaluation)}s", pad=26)  # the legend is below it
    ax.grid(alpha=0.3)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)
    return ax


def item_of(evaluation):
    """What accuracy counts, in a word."""
    return "recording" if evaluation.moving else "image"


def plot_accuracies(evaluations, axes=None):
    """Draw the accuracy of several networks after each step, and what each of them loses against its ANN.

    Parameters
    ----------
    evaluations : dict of str to Evaluation
        By the names that the legend shows.
    axes : pair of matplotlib axes, optional
        For accuracy, and for the loss in percentage points: accuracy of the ANN less that with spikes.

    Returns
    -------
    pair of matplotlib axes
        Accuracies of ANNs are dashed lines, one where they are equal.  The axis of losses is logarithmic down to one
        image, and linear below, because a network may lose nothing, or be better than its ANN.

    Raises
    ------
    SettingsError
        If there is no evaluation.
    """
    if not (isinstance(evaluations, dict) and evaluations):
        raise SettingsError('evaluations must be a dict with at least one evaluation: {"name": evaluate(...), ...}')
    for name, evaluation in evaluations.items():
        check_has("ann_accuracy", EVALUATION, **{f"evaluations[{name!r}]": evaluation})
    check_axes(axes, 2)
    below = axes is None and len(evaluations) > 12  # where the legend is
    if axes is None:
        height = 4 + 0.13 * (min(len(evaluations), NAMED) // 3 if below else 0)
        axes = Figure(figsize=(11, height), layout="constrained").subplots(1, 2)
    without = [name for name, evaluation in evaluations.items() if evaluation.ann_accuracy is None]
    if without:
        raise SettingsError(f"{', '.join(without)} has no ANN to compare with: draw each with evaluation.plot()")
    anns = {evaluation.ann_accuracy for evaluation in evaluations.values()}
    if len(anns) == 1:
        axes[0].axhline(100 * min(anns), color=GREY, ls="--", zorder=3, label="with rates (ANN)")
    for number, (name, evaluation) in enumerate(evaluations.items()):
        steps, style = np.arange(1, evaluation.n_steps + 1), series_style(number)
        style["markevery"] = max(1, len(steps) // 50)
        axes[0].plot(steps, 100 * evaluation.accuracy, label=legend_name(name), **style)
        if len(anns) > 1:
            axes[0].axhline(100 * evaluation.ann_accuracy, color=style["color"], ls="--")
        loss = 100 * (evaluation.ann_accuracy - evaluation.accuracy)
        axes[1].plot(steps, loss, label=legend_name(name), **style)
    one_image = 100 / max(len(evaluation.y) for evaluation in evaluations.values())
    axes[1].set_yscale("symlog", linthresh=one_image)
    axes[1].yaxis.set_major_formatter("{x:g}")
    axes[1].axhline(0, color=GREY, lw=1)
    axes[0].set(ylabel="accuracy in %", title="Accuracy over time", ylim=(0, 102))
    axes[1].set(ylabel="points below the ANN", title="Loss from spiking, logarithmic")
    for ax in axes:
        ax.set_xlabel("time step")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.grid(alpha=0.3)
    if below:
        handles, labels = (each[: NAMED + 1] for each in axes[0].get_legend_handles_labels())
        axes[0].figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=7)
    else:
        axes[0].legend(loc="lower right")
    return axes


def plot_confusion(evaluation, class_names=None, step=-1, axes=None):
    """Draw the confusion matrix after a step (-1: the last): how many images of each class went where.

    Up to 20 classes, each square holds its number, and up to 40 each class its name.  Of more than 250, several classes
    in a row share a square, which has the darkest color that any of theirs would have, so that nothing is lost.

    Returns
    -------
    matplotlib axes
    """
    check_has("step_predictions", EVALUATION, evaluation=evaluation)
    check_whole(-evaluation.n_steps, evaluation.n_steps - 1, step=step)
    counts = evaluation.confusion(step)
    n_classes = len(counts)
    check_names(n_classes, class_names=class_names)
    names = [str(i) for i in range(n_classes)] if class_names is None else list(class_names)
    ax = single_axes(axes, (bounded(1.6 + 0.45 * n_classes, 10.4), bounded(1.2 + 0.45 * n_classes, 10)))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    squares, together = _together(shares, MOST_SQUARES)
    edges = (-0.5, len(squares) * together - 0.5)
    # the square root makes single mistakes visible beside hundreds of hits
    ax.imshow(np.sqrt(squares), cmap="Blues", vmin=0, vmax=1, extent=(*edges, *edges[::-1]))
    ax.set(xlim=(-0.5, n_classes - 0.5), ylim=(n_classes - 0.5, -0.5))
    if n_classes <= 20:
        for row, column in np.argwhere(counts):
            color = "white" if shares[row, column] > 0.35 else "black"
            ax.text(column, row, counts[row, column], ha="center", va="center", color=color, fontsize=8)
    label_rows(ax, names, axis="x")
    label_rows(ax, names)
    if max(map(len, names)) > 3 or n_classes > 20:
        for label in ax.get_xticklabels():
            label.set(rotation=45, ha="right", rotation_mode="anchor")
    after = range(evaluation.n_steps)[step] + 1
    ax.set(
        xlabel="predicted class", ylabel="true class", title=f"Confusion after {after} step{'s' if after > 1 else ''}"
    )
    if together > 1:
        ax.set_title(
            f"{ax.get_title()}, {n_classes:,} classes\na square is the most of {together} × {together} of them"
        )
    return ax


def _together(shares, most):
    """A square matrix as one of no more than ``most`` rows, of the largest entries of blocks; and their length."""
    length = -(-len(shares) // most) or 1
    room = -len(shares) % length
    blocks = np.pad(shares, (0, room)).reshape(-(-len(shares) // length), length, -1, length)
    return blocks.max(axis=(1, 3)), length


def plot_spike_counts(evaluation, axes=None):
    """Draw spikes per neuron and share of silent neurons, layer by layer; returns a pair of matplotlib axes."""
    check_has("step_predictions", EVALUATION, evaluation=evaluation)
    check_axes(axes, 2)
    if not evaluation.layers:
        raise SettingsError("the network does not spike: there are no spikes to count")
    if axes is None:
        height = bounded(1.4 + 0.45 * len(evaluation.layers))
        axes = Figure(figsize=(9, height), layout="constrained").subplots(1, 2, sharey=True)
    layers, places = list(evaluation.layers.values()), range(len(evaluation.layers))
    few = len(layers) <= NUMBERED
    names = [f"{short(layer.name)}\n{layer.n_neurons:,} neurons" if few else layer.name for layer in layers]
    spikes, silent = axes
    width = 0.8 if few else 1
    bars = spikes.barh(places, [layer.spikes_per_neuron for layer in layers], width, color=BLUE)
    # the steps of frames are of no length of their own
    rates = ["" if evaluation.moving else f"  ({layer.rate_hz:.0f} Hz)" for layer in layers]
    labels = [f"{layer.spikes_per_neuron:.2f}{rate}" for layer, rate in zip(layers, rates, strict=True)]
    if few:
        spikes.bar_label(bars, labels, padding=3)
    spikes.set(xlabel=f"spikes per neuron and {item_of(evaluation)} in {evaluation.n_steps} steps", title="Spikes")
    spikes.margins(x=0.65 if few else 0.05)
    bars = silent.barh(places, [100 * layer.silent for layer in layers], width, color=GREY)
    if few:
        silent.bar_label(bars, [f"{100 * layer.silent:.1f} %" for layer in layers], padding=3)
    silent.set(xlabel="% of neurons that never spiked", title="Silent neurons", xlim=(0, 115))
    for ax in axes:
        if few:
            ax.set_yticks(places, names)
        else:
            label_rows(ax, names)
        ax.set_ylim(len(layers) - 0.5, -0.5)
    return axes
