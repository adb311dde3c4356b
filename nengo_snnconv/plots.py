"""Pictures of trainings, evaluations and single images, drawn with matplotlib."""

import io

import matplotlib
import matplotlib.figure
import numpy as np

from .exceptions import SettingsError

BLUE, ORANGE, GREY = "#2b6cb0", "#dd6b20", "#718096"


class Figure(matplotlib.figure.Figure):
    """A figure that notebooks show; they show matplotlib's own only after pyplot has made one."""

    def _repr_png_(self):
        png = io.BytesIO()
        self.savefig(png, format="png")
        return png.getvalue()


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
    colors = matplotlib.color_sequences["tab10"]
    anns = {evaluation.ann_accuracy for evaluation in evaluations.values()}
    if len(anns) == 1:
        axes[0].axhline(100 * min(anns), color=GREY, ls="--", zorder=3, label="with rates (ANN)")
    for number, (name, evaluation) in enumerate(evaluations.items()):
        steps, color = np.arange(1, evaluation.n_steps + 1), colors[number % len(colors)]
        axes[0].plot(steps, 100 * evaluation.accuracy, "o-", ms=3, color=color, label=name)
        if len(anns) > 1:
            axes[0].axhline(100 * evaluation.ann_accuracy, color=color, ls="--")
        loss = 100 * (evaluation.ann_accuracy - evaluation.accuracy)
        axes[1].plot(steps, loss, "o-", ms=3, color=color, label=name)
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
        Two more than there are layers in ``recording.spikes``.

    Returns
    -------
    array of matplotlib axes
    """
    if axes is None:
        axes = _axes_in_rows(len(recording.spikes) + 2)
    n_steps, n_classes = recording.filtered.shape[1:]
    times = 1000 * recording.dt * np.arange(1, n_steps + 1)
    limits = times[0] / 2, times[-1] + times[0] / 2
    names = [str(i) for i in range(n_classes)] if class_names is None else list(class_names)

    _draw_input(axes[0], recording.images[image])
    axes[0].set(title="input" if true_class is None else f"input: {names[true_class]}", xticks=[], yticks=[])

    for ax, (name, spikes) in zip(axes[1:-1], recording.spikes.items(), strict=True):
        active = np.flatnonzero(spikes[image].any(axis=0))
        shown = active[np.linspace(0, len(active) - 1, min(max_neurons, len(active))).astype(int)]
        trains = [times[spikes[image][:, neuron] > 0] for neuron in shown]
        if trains:
            ax.eventplot(trains, colors=BLUE, linewidths=1.5, linelengths=0.9)
        ax.set(title=f"{name}: {len(active):,} of {spikes.shape[2]:,} spiked", xlim=limits, xlabel="time in ms")
        ax.set_ylabel(f"neuron ({len(shown)} of those that spiked)")
        ax.title.set_fontsize(10)

    scores = recording.filtered[image]
    best = scores[-1].argmax()
    marker = "." if n_steps <= 10 else ""  # a line through one step would not be seen
    for label in range(n_classes):
        wide = label in (best, true_class) or n_classes <= 10
        width = 2.5 if label == best else 1
        axes[-1].plot(times, scores[:, label], marker=marker, lw=width, label=names[label] if wide else None)
    axes[-1].set(title=f"class scores: {names[best]}", xlim=limits, xlabel="time in ms")
    axes[-1].legend(fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))
    return axes


def _axes_in_rows(n, columns=6):
    """``n`` square axes, as many in a row as fit a page."""
    columns, rows = min(n, columns), -(-n // columns)
    figure = Figure(figsize=(3 * columns, 3 * rows), layout="constrained")
    return np.array([figure.add_subplot(rows, columns, i + 1) for i in range(n)])


def plot_input_spikes(x, spikes, steps=None, threshold=1.0, axes=None):
    """Draw an image, the Poisson spikes made of it in single steps, and their running mean, which nears the image.

    The picture is that of the MATLAB example of Diehl et al. 2015 (doi 10.1109/IJCNN.2015.7280696).  All of it has one
    scale of grey or colour.

    Parameters
    ----------
    x : ndarray, (height, width, channel)
        One image.
    spikes : ndarray, (steps, height, width, channel)
        Its spikes, -1, 0 or 1: ``poisson_spikes(x[None], n_steps)[0]``.
    steps : sequence of int, optional
        Steps that are drawn, counted from 1; by default the first, the last, and two between.
    threshold : float
        Height of a spike: the ``threshold`` of ``poisson_spikes``.
    axes : sequence of matplotlib axes, optional
        One for the image, one for the spikes of each step, and one for the mean up to each step.

    Returns
    -------
    array of matplotlib axes

    Raises
    ------
    SettingsError
        If the shapes do not fit, or there is no such step.
    """
    x, spikes = np.asarray(x), np.asarray(spikes)
    if x.ndim != 3:
        raise SettingsError(f"x must be one image (height, width, channel), got shape {x.shape}")
    if spikes.shape[1:] != x.shape or not len(spikes):
        raise SettingsError(
            f"spikes must have shape (steps, {', '.join(map(str, x.shape))}), as x has it, got {spikes.shape}: take "
            "poisson_spikes(x[None], n_steps)[0]"
        )
    if steps is None:
        steps = np.unique(np.geomspace(1, len(spikes), 4).round().astype(int))
    if not all(step in range(1, len(spikes) + 1) for step in steps):
        raise SettingsError(f"steps must lie between 1 and {len(spikes)}, the steps there are, got {list(steps)}")
    if axes is None:
        axes = _axes_around_image(len(steps))
    pictures = [("image", x)]
    pictures += [(f"spikes in step {step}", threshold * spikes[step - 1]) for step in steps]
    pictures += [
        (f"mean of {step} step{'s' if step > 1 else ''}", threshold * spikes[:step].mean(axis=0)) for step in steps
    ]
    limits = min(0, x.min(), threshold * spikes.min()), max(x.max(), threshold)
    for ax, (title, picture) in zip(axes, pictures, strict=True):
        _draw_picture(ax, picture, *limits)
        ax.set(title=title, xticks=[], yticks=[])
        ax.title.set_fontsize(10)
    return axes


def _axes_around_image(n_steps):
    """Axes for one large picture on the left, and two rows of ``n_steps`` small ones beside it."""
    figure = Figure(figsize=(3.6 + 1.8 * n_steps, 3.8), layout="constrained")
    grid = figure.add_gridspec(2, 1 + n_steps, width_ratios=[2] + [1] * n_steps)
    small = [figure.add_subplot(grid[row, 1 + i]) for row in (0, 1) for i in range(n_steps)]
    return np.array([figure.add_subplot(grid[:, 0]), *small])


def _draw_input(ax, picture):
    """Draw an input of any number of axes, the last one the channel: a picture if it is one, else curves."""
    if picture.ndim == 4:
        picture = picture[len(picture) // 2]  # the middle of a volume
    if picture.ndim < 3:
        ax.plot(picture, lw=1)
    else:
        _draw_picture(ax, picture, min(0, picture.min()), max(1, picture.max()))


def _draw_picture(ax, picture, low, high):
    """Draw (height, width, channel), in colours where there are three channels; ``low`` is black."""
    if picture.shape[-1] == 3:
        ax.imshow(np.clip((picture - low) / (high - low), 0, 1))
    else:
        ax.imshow(picture.mean(axis=-1), cmap="gray", vmin=low, vmax=high)
