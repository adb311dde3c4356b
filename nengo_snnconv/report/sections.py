"""The sections of a report: each a heading, and under it texts, lists, pictures, tables and code."""

import dataclasses

import numpy as np

from .._util.text_tables import reading_table
from ..errors import SettingsError
from ..model.layers import Rectifier
from ..networks.ttfs import TTFSConfig
from ..plots import (
    plot_accuracy,
    plot_confusion,
    plot_diagnosis,
    plot_history,
    plot_image_response,
    plot_operations,
    plot_spike_counts,
    plot_spike_times,
)
from ..plots.diagnosis import layers_to_draw
from ..plots.events import plot_event_frames
from ..plots.figures import bounded
from ..plots.images import shows_frames
from ..plots.life import emitted_by
from .calls import calls, checksum
from .facts import magnitude, percent
from .pictures import Picture, described, figures_of, panel
from .tables import Table, activity_rows, layer_rows, settings_rows

# that are drawn of more: frames of events, and layers, each with a panel of its own
MOST_FRAMES, MOST_PANELS = 8, 21


@dataclasses.dataclass(frozen=True)
class Section:
    """A heading, and blocks of ("text", str), ("list", list of str), ("pictures" or "small", list of Picture),
    ("table", Table), ("code", str) or ("heading", str).
    """

    heading: str
    blocks: list


def sections_of(run, further):
    """All sections of a report, those of the user, ``further``, behind what came out."""
    makers = (_diagnosis, _accuracy, _spikes, _efficiency, _single_items)
    found = [maker(run) for maker in makers] + further
    found += [_training(run), _network(run), _settings(run)]
    return [section for section in found if section is not None]


def own_section(entry):
    """A section of the user's: ``(heading, text, ...)``, the rest pictures and rows of text."""
    if isinstance(entry, str) or not isinstance(entry, list | tuple) or len(entry) < 2:
        raise SettingsError(
            f"each of the sections must be (heading, text, pictures or rows ...), got {type(entry).__name__}"
        )
    heading, text, *contents = entry
    if not (isinstance(heading, str) and heading.strip() and isinstance(text, str)):
        raise SettingsError(f"the heading and the text of a section must be text, got {heading!r} and {text!r}")
    blocks = [("text", text)] if text.strip() else []
    for content in contents:
        if _is_rows(content):
            blocks.append(("table", _own_table(content, heading)))
        else:
            figures = figures_of(content)
            blocks.append(("pictures", [Picture(figure, f"{heading}: {described(figure)}") for figure in figures]))
    return Section(heading, blocks)


def _is_rows(content):
    """Whether it is a table: rows of text, as the methods ``rows`` give them."""
    if not (isinstance(content, list | tuple) and content):
        return False
    return all(isinstance(row, list | tuple) and row and all(isinstance(cell, str) for cell in row) for row in content)


def _own_table(rows, heading):
    if len({len(row) for row in rows}) > 1:
        raise SettingsError(f"all rows of the table under {heading!r} must have as many cells as its header")
    return Table.of(rows, n_text=1, caption=heading)


def _diagnosis(run):
    diagnosis = run.diagnosis
    if diagnosis is None:
        return None
    axes = [panel(4, bounded(max(2.4, 0.3 * len(diagnosis.layers) + 1.4))) for _ in range(2)]
    drawn = layers_to_draw(diagnosis)
    layers = [panel(2.2, 2.35) for _ in drawn]
    plot_diagnosis(diagnosis, [*axes, *layers])
    axes[1].get_legend().remove()
    axes[1].legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.25), ncols=3, frameon=False)
    alt = f"Accuracy if the ANN went on behind each layer, from {percent(diagnosis.ann_accuracy)} as an ANN to "
    alt += f"{percent(diagnosis.accuracy)} with spikes."
    causes = "Errors that arise in each layer, by cause, in % of its activity: "
    causes += "; ".join(f"{layer.name} {100 * layer.error:.0f}" for layer in diagnosis.layers.values()) + " in all."
    pairs = [
        Picture(ax.figure, f"Firing rates over activations of the ANN in {layer.name}: {100 * layer.error:.0f} % off.")
        for ax, layer in zip(layers, drawn, strict=True)
    ]
    remark = (
        "Each dot is a neuron and an image: to the right the activation of the ANN, upwards the firing rate. On the "
        "diagonal they are equal; an orange band is the rounding that theory allows, a dotted line the most that "
        "neurons can emit."
    )
    return Section(
        "Diagnosis",
        [
            ("list", [f"{text}." for text in diagnosis.sentences()]),
            ("pictures", [Picture(axes[0].figure, alt), Picture(axes[1].figure, causes)]),
            ("text", remark),
            ("small", pairs),
            ("table", Table.of(diagnosis.rows(), n_text=1, caption="Diagnosis, layer by layer")),
            (
                "text",
                "Errors are in % of the ANN's activity, root mean square; in brackets what they do to the accuracy, in "
                "points.",
            ),
        ],
    )


def _accuracy(run):
    evaluation = run.evaluation
    text = "Accuracy after each time step of the spiking network."
    alt = f"Accuracy over {evaluation.n_steps} steps, from {percent(evaluation.accuracy[0])} after the first to "
    alt += f"{percent(evaluation.accuracy[-1])} after the last."
    if evaluation.ann_accuracy is not None:
        text += (
            " The dashed line is the same network with rates instead of spikes, in one step: the gap is what spiking "
            "costs."
        )
        alt += f" The ANN has {percent(evaluation.ann_accuracy)}."
    text += (
        f" The matrix has the {run.item}s of each class in a row, and the class that they were taken for in columns."
    )
    n_classes = evaluation.scores.shape[1]
    size = float(np.clip(0.9 + 0.32 * n_classes, 3.2, 9))
    confusion = plot_confusion(evaluation, run.class_names, axes=panel(size, size))
    counts = evaluation.confusion()
    right = int(np.trace(counts))
    worst = np.unravel_index((counts - np.diag(np.diag(counts))).argmax(), counts.shape)
    names = run.class_names or list(map(str, range(n_classes)))
    other = f"Confusion matrix: {right:,} of {counts.sum():,} on the diagonal"
    if right < counts.sum():
        other += f"; most often, {counts[worst]} times, {names[worst[0]]} was taken for {names[worst[1]]}"
    curve = plot_accuracy(evaluation, panel())
    return Section(
        "Accuracy",
        [("text", text), ("pictures", [Picture(curve.figure, alt), Picture(confusion.figure, f"{other}.")])],
    )


def _spikes(run):
    evaluation, network = run.evaluation, run.network
    if not evaluation.layers:
        return None
    axes = [panel(4, bounded(1.2 + 0.42 * len(evaluation.layers))) for _ in range(2)]
    plot_spike_counts(evaluation, axes)
    layers = evaluation.layers.values()
    alts = (
        "Spikes per neuron: " + ", ".join(f"{layer.name} {layer.spikes_per_neuron:.2f}" for layer in layers),
        "Neurons that never spiked, in %: " + ", ".join(f"{layer.name} {100 * layer.silent:.1f}" for layer in layers),
    )
    pictures = [Picture(ax.figure, f"{alt}.") for ax, alt in zip(axes, alts, strict=True)]
    text = f"How often a neuron spikes for {'an' if run.item == 'image' else 'a'} {run.item}, and how many never do."
    blocks = [("text", text), ("pictures", pictures)]
    if isinstance(network.settings, TTFSConfig):
        text = (
            "When neurons spike: each layer listens for a stage (grey) and spikes in the next one (blue), once at "
            "most, and the sooner the larger the activation for which the spike stands."
        )
        n_drawn = min(1 + len(evaluation.layers), MOST_PANELS)
        figure = panel(4.4, 0.6 + 0.95 * n_drawn).figure
        figure.clear()
        axes = figure.subplots(n_drawn, 1, sharex=True)
        plot_spike_times(network, evaluation, axes)
        blocks += [("heading", "Spike times"), ("text", text), ("pictures", [Picture(figure, described(figure))])]
    blocks.append(("table", Table.of(activity_rows(network, evaluation), n_text=1, caption="Neurons")))
    return Section("Spikes", blocks)


def _efficiency(run):
    found = run.efficiency
    if found is None:
        return None
    of = "the ANN" if run.network.settings.has_rates else "an ANN of the same layers, for a single frame"
    text = (
        f"Floating-point operations of {of}, two for each multiply-accumulate, beside additions that spikes cause. "
        "Energy is estimated from published costs of single operations. "
    )
    axes = plot_operations(found, panel(4.2, bounded(1.5 + 0.3 * len(found.active_layers()))))
    layers = ", ".join(
        f"{name} {magnitude(layer.flops)} and {magnitude(layer.operations)}"
        for name, layer in found.active_layers().items()
    )
    alt = f"Operations caused by each layer, ANN and spikes: {layers}; all together {magnitude(found.flops)} and "
    alt += f"{magnitude(found.operations)}."
    return Section(
        "Efficiency",
        [
            ("text", text + " ".join(found.remarks())),
            ("pictures", [Picture(axes.figure, alt)]),
            ("table", Table.of(found.rows(), n_text=1, caption="Operations, spikes and energy")),
        ],
    )


def _single_items(run):
    """What a network did with images or recordings, one by one; of recordings some frames first."""
    recording = run.recording
    if recording is None:
        return None
    blocks = [
        (
            "text",
            f"What the network did with single {run.item}s: a mark is a spike; the class scores are {_scores(run)}.",
        )
    ]
    events = shows_frames(recording) and emitted_by(recording, 0).shape[-1] <= 2
    names = run.class_names or list(map(str, range(recording.filtered.shape[-1])))
    for i, label in enumerate(map(int, run.evaluation.y[: len(recording.images)])):
        predicted = int(recording.filtered[i, -1].argmax())
        verdict = "right" if predicted == label else "wrong"
        blocks.append(("heading", f"{names[label]}, recognised as {names[predicted]}: {verdict}"))
        if events:
            figure = _frames(emitted_by(recording, i))
            blocks.append(("pictures", [Picture(figure, f"Frames of events of recording {i + 1}, a {names[label]}.")]))
        axes = [panel(2.2, 2.1) for _ in range(min(len(recording.spikes) + 2, MOST_PANELS))]
        plot_image_response(recording, i, label, run.class_names, axes=axes)
        blocks.append(("small", [Picture(ax.figure, f"{run.item} {i + 1}: {described(ax.figure)}") for ax in axes]))
    return Section(f"Single {run.item}s", blocks)


def _frames(frames):
    """The figure of frames (steps, height, width, 1 or 2), some of many, evenly picked."""
    steps = np.unique(np.linspace(0, len(frames) - 1, MOST_FRAMES).round().astype(int))
    columns = min(4, len(steps))
    rows = -(-len(steps) // columns)
    figure = panel(4, 1.25 * rows).figure
    figure.clear()
    axes = [figure.add_subplot(rows, columns, 1 + i) for i in range(len(steps))]
    for ax, step in zip(plot_event_frames(frames[steps], axes=axes), steps, strict=True):
        ax.set_title(f"frame {step + 1}", fontsize=8)
    return figure


def _scores(run):
    """What the class scores of single steps are."""
    model, settings = run.network.model, run.network.settings
    if isinstance(model.layers[model.output], Rectifier) and settings.accumulates:
        return "firing rates of the output neurons from the first step on"
    if isinstance(settings, TTFSConfig):
        return "membrane potentials, which are zero before the last stage"
    return "averaged from the first step on" if settings.accumulates else "filtered"


def _training(run):
    history = run.network.history
    if not history:
        return None
    of = "the rate network" if run.network.settings.has_rates else "the network as it spikes, over all steps"
    axes = plot_history(history, [panel(), panel()])
    ends = [
        f"{name} {history[name][-1]:.4g}" for name in ("loss", "accuracy") if history.get(name, [None])[-1] is not None
    ]
    alts = (
        f"{what} over {len(history['loss'])} epochs; at the end: {', '.join(ends)}." for what in ("Loss", "Accuracy")
    )
    pictures = [Picture(ax.figure, alt) for ax, alt in zip(axes, alts, strict=True)]
    return Section(
        "Training", [("text", f"Loss and accuracy of {of}, which is what training sees."), ("pictures", pictures)]
    )


def _network(run):
    model = run.network.model
    n_parameters = sum(array.size for array in model.arrays.values())
    text = f"{run.neurons}, {n_parameters:,} parameters. What each layer became in Nengo, and whether exactly:"
    blocks = [("text", text), ("table", Table.of(layer_rows(run.network), caption="Layers of Nengo"))]
    if reading := model.metadata.get("reading"):
        blocks += [
            ("text", "What was read of each layer of the Keras model:"),
            ("table", Table.of(reading_table(reading), caption="Layers of Keras")),
        ]
    rows = activity_rows(run.network, run.evaluation)
    if not run.evaluation.layers and len(rows) > 1:
        blocks.append(("table", Table.of(rows, n_text=1, caption="Scales")))
    return Section("Network", blocks)


def _settings(run):
    network, evaluation = run.network, run.evaluation
    rows = settings_rows(network, evaluation, run.data_name, run.settings)
    blocks = [("table", Table.of(rows, caption="Settings of the run")), ("heading", "Run it again")]
    if run.command:
        blocks.append(("code", run.command))
    blocks += [
        (
            "text",
            ("The same in Python, as far as" if run.command else "As far as")
            + f" the network remembers how it was made. Its checksum is {checksum(network)}.",
        ),
        ("code", calls(network, evaluation)),
    ]
    return Section("Settings", blocks)
