"""Pictures of trainings and evaluations."""

import numpy as np

from ..exceptions import SettingsError
from .figures import BLUE, GREY, ORANGE, Figure, legend_name, plain, series_style, single_axes


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
    if not history:
        raise SettingsError("the network has no training history: it was not trained")
    if axes is None:
        axes = Figure(figsize=(9, 3.4), layout="constrained").subplots(1, 2)
    for ax, name, unit, factor in zip(axes, ("loss", "accuracy"), ("", " in %"), (1, 100), strict=True):
        for key, label, color in ((name, "training", BLUE), (f"val_{name}", "validation", ORANGE)):
            if key in history:
                values = factor * np.asarray(history[key], float)  # None, where it was not measured, is a gap
                ax.plot(np.arange(1, len(values) + 1), values, "o-", ms=3, color=color, label=label)
        ax.set(xlabel="epoch", ylabel=name + unit, title=f"{name.capitalize()} of the network as it trains")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.grid(alpha=0.3)
        ax.legend()
    return axes


def plot_accuracy(evaluation, axes=None):
    """Draw the accuracy after each step beside that of the ANN; returns the matplotlib axes.

    The legend tells the accuracy after the last step.
    """
    ax = single_axes(axes)
    steps = np.arange(1, evaluation.n_steps + 1)
    spikes = 100 * evaluation.accuracy
    ax.plot(steps, spikes, "o-", ms=3, color=BLUE, label=f"with spikes: {spikes[-1]:.2f} %")
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
    if axes is None:
        axes = Figure(figsize=(11, 4), layout="constrained").subplots(1, 2)
    without = [name for name, evaluation in evaluations.items() if evaluation.ann_accuracy is None]
    if without:
        raise SettingsError(f"{', '.join(without)} has no ANN to compare with: draw each with evaluation.plot()")
    anns = {evaluation.ann_accuracy for evaluation in evaluations.values()}
    if len(anns) == 1:
        axes[0].axhline(100 * min(anns), color=GREY, ls="--", zorder=3, label="with rates (ANN)")
    for number, (name, evaluation) in enumerate(evaluations.items()):
        steps, style = np.arange(1, evaluation.n_steps + 1), series_style(number)
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
    axes[0].legend(loc="lower right")
    return axes


def plot_confusion(evaluation, class_names=None, step=-1, axes=None):
    """Draw the confusion matrix after a step (-1: the last): how many images of each class went where.

    Returns
    -------
    matplotlib axes
    """
    counts = evaluation.confusion(step)
    n_classes = len(counts)
    names = [plain(name) for name in (range(n_classes) if class_names is None else class_names)]
    ax = single_axes(axes, (1.6 + 0.45 * n_classes, 1.2 + 0.45 * n_classes))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    # the square root makes single mistakes visible beside hundreds of hits
    ax.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1)
    if n_classes <= 20:
        for row, column in np.argwhere(counts):
            color = "white" if shares[row, column] > 0.35 else "black"
            ax.text(column, row, counts[row, column], ha="center", va="center", color=color, fontsize=8)
    slanted = max(map(len, names)) > 3
    ax.set_xticks(range(n_classes), names, rotation=45 if slanted else 0, ha="right" if slanted else "center")
    ax.set_yticks(range(n_classes), names)
    after = range(evaluation.n_steps)[step] + 1
    ax.set(
        xlabel="predicted class", ylabel="true class", title=f"Confusion after {after} step{'s' if after > 1 else ''}"
    )
    return ax


def plot_spike_counts(evaluation, axes=None):
    """Draw spikes per neuron and share of silent neurons, layer by layer; returns a pair of matplotlib axes."""
    if not evaluation.layers:
        raise SettingsError("the network does not spike: there are no spikes to count")
    if axes is None:
        axes = Figure(figsize=(9, 1.4 + 0.45 * len(evaluation.layers)), layout="constrained").subplots(
            1, 2, sharey=True
        )
    layers = list(evaluation.layers.values())
    names = [f"{plain(layer.name)}\n{layer.n_neurons:,} neurons" for layer in layers]
    spikes, silent = axes
    bars = spikes.barh(names, [layer.spikes_per_neuron for layer in layers], color=BLUE)
    # the steps of frames are of no length of their own
    rates = ["" if evaluation.moving else f"  ({layer.rate_hz:.0f} Hz)" for layer in layers]
    labels = [f"{layer.spikes_per_neuron:.2f}{rate}" for layer, rate in zip(layers, rates, strict=True)]
    spikes.bar_label(bars, labels, padding=3)
    spikes.set(xlabel=f"spikes per neuron and {item_of(evaluation)} in {evaluation.n_steps} steps", title="Spikes")
    spikes.margins(x=0.65)
    bars = silent.barh(names, [100 * layer.silent for layer in layers], color=GREY)
    silent.bar_label(bars, [f"{100 * layer.silent:.1f} %" for layer in layers], padding=3)
    silent.set(xlabel="% of neurons that never spiked", title="Silent neurons", xlim=(0, 115))
    for ax in axes:
        ax.set_ylim(len(layers) - 0.5, -0.5)
    return axes
