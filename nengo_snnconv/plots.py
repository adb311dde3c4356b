"""Pictures of trainings, evaluations and single images, drawn with matplotlib."""

import numpy as np
from matplotlib.figure import Figure

from .exceptions import SettingsError

BLUE, ORANGE, GREY = "#2b6cb0", "#dd6b20", "#718096"


def _axes(axes, size=(6, 3.6)):
    return Figure(figsize=size, layout="constrained").add_subplot() if axes is None else axes


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
        ax.set(xlabel="epoch", ylabel=name + unit, title=f"{name.capitalize()} of the rate network")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.grid(alpha=0.3)
        ax.legend()
    return axes


def plot_accuracy(evaluation, axes=None):
    """Draw the accuracy after each step beside that of the ANN; returns the matplotlib axes."""
    ax = _axes(axes)
    steps = np.arange(1, evaluation.n_steps + 1)
    ax.plot(steps, 100 * evaluation.accuracy, "o-", ms=3, color=BLUE, label="with spikes")
    ax.axhline(100 * evaluation.ann_accuracy, color=ORANGE, ls="--", label="with rates (ANN)")
    ax.annotate(
        f"{100 * evaluation.accuracy[-1]:.2f} %  (ANN {100 * evaluation.ann_accuracy:.2f} %)",
        (steps[-1], 100 * evaluation.accuracy[-1]),
        xytext=(-4, -16),
        textcoords="offset points",
        ha="right",
    )
    ax.set(xlabel=f"time step ({1000 * evaluation.dt:g} ms)", ylabel="accuracy in %", ylim=(0, 102))
    ax.set_title(f"Accuracy over time, {len(evaluation.y):,} images")
    ax.grid(alpha=0.3)
    ax.legend(loc="center right")
    return ax


def plot_confusion(evaluation, class_names=None, step=-1, axes=None):
    """Draw the confusion matrix after a step (-1: the last): how many images of each class went where.

    Returns
    -------
    matplotlib axes
    """
    counts = evaluation.confusion(step)
    n_classes = len(counts)
    names = [str(i) for i in range(n_classes)] if class_names is None else list(class_names)
    ax = _axes(axes, (1.6 + 0.45 * n_classes, 1.2 + 0.45 * n_classes))
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
    ax.set(xlabel="predicted class", ylabel="true class", title=f"Confusion after {after} steps")
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
    names = [f"{layer.name}\n{layer.n_neurons:,} neurons" for layer in layers]
    spikes, silent = axes
    bars = spikes.barh(names, [layer.spikes_per_neuron for layer in layers], color=BLUE)
    spikes.bar_label(bars, [f"{layer.spikes_per_neuron:.2f}  ({layer.rate_hz:.0f} Hz)" for layer in layers], padding=3)
    spikes.set(xlabel=f"spikes per neuron and image in {evaluation.n_steps} steps", title="Spikes")
    spikes.margins(x=0.45)
    spikes.invert_yaxis()
    bars = silent.barh(names, [100 * layer.silent for layer in layers], color=GREY)
    silent.bar_label(bars, [f"{100 * layer.silent:.1f} %" for layer in layers], padding=3)
    silent.set(xlabel="% of neurons that never spiked", title="Silent neurons", xlim=(0, 115))
    return axes


def plot_image_response(recording, image=0, true_class=None, class_names=None, max_neurons=100, axes=None):
    """Draw what a network did with one image: the image, its spikes layer by layer, and the class scores.

    Parameters
    ----------
    recording : Recording
    image : int
        Which image of the recording.
    true_class : int, optional
    class_names : sequence of str, optional
    max_neurons : int
        Draw the raster of at most so many neurons of a layer, evenly picked from those that spiked.
    axes : sequence of matplotlib axes, optional
        Two more than there are spiking layers.

    Returns
    -------
    array of matplotlib axes
    """
    n_layers = len(recording.spikes)
    if axes is None:
        figure = Figure(figsize=(3 * (n_layers + 2), 3), layout="constrained")
        axes = figure.subplots(1, n_layers + 2)
    n_steps, n_classes = recording.filtered.shape[1:]
    times = 1000 * recording.dt * np.arange(1, n_steps + 1)
    names = [str(i) for i in range(n_classes)] if class_names is None else list(class_names)

    _draw_input(axes[0], recording.images[image])
    axes[0].set(title="input" if true_class is None else f"input: {names[true_class]}", xticks=[], yticks=[])

    for ax, (name, spikes) in zip(axes[1:-1], recording.spikes.items(), strict=True):
        active = np.flatnonzero(spikes[image].any(axis=0))
        shown = active[np.linspace(0, len(active) - 1, min(max_neurons, len(active))).astype(int)]
        trains = [times[spikes[image][:, neuron] > 0] for neuron in shown]
        if trains:
            ax.eventplot(trains, colors=BLUE, linewidths=1.5, linelengths=0.9)
        ax.set(title=f"{name}: {len(active):,} of {spikes.shape[2]:,} spiked", xlim=(0, times[-1]), xlabel="time in ms")
        ax.set_ylabel(f"neuron ({len(shown)} of those that spiked)")
        ax.title.set_fontsize(10)

    scores = recording.filtered[image]
    best = scores[-1].argmax()
    for label in range(n_classes):
        wide = label in (best, true_class) or n_classes <= 10
        axes[-1].plot(times, scores[:, label], lw=2.5 if label == best else 1, label=names[label] if wide else None)
    axes[-1].set(title=f"class scores: {names[best]}", xlabel="time in ms")
    axes[-1].legend(fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))
    return axes


def _draw_input(ax, picture):
    """Draw an input of any number of axes, the last one the channel: a picture if it is one, else curves."""
    if picture.ndim == 4:
        picture = picture[len(picture) // 2]  # the middle of a volume
    if picture.ndim < 3:
        ax.plot(picture, lw=1)
    elif picture.shape[-1] == 3:
        ax.imshow(np.clip(picture, 0, 1))
    else:
        ax.imshow(picture.mean(axis=-1), cmap="gray", vmin=min(0, picture.min()), vmax=max(1, picture.max()))
