"""Sections of a report: a heading each, with texts, lists, pictures, tables and code."""

import dataclasses

import numpy as np

from .._util.text_tables import counted, percent, quantization_table, reading_table
from ..errors import SettingsError
from ..evaluation.heads import Classes
from ..evaluation.of_values import HEADER
from ..networks.ttfs import TTFSConfig
from ..plots import (
    plot_accuracy,
    plot_confusion,
    plot_diagnosis,
    plot_history,
    plot_operations,
    plot_spike_counts,
    plot_spike_times,
)
from ..plots.diagnosis import layers_to_draw
from ..plots.evaluation import capitalized
from ..plots.figures import bounded
from .pictures import MOST_PANELS, Picture, described, figures_of, panel
from .python_code import python_code, trained_network
from .run import magnitude
from .single_items import single_items
from .statistics import network_checksum
from .tables import Table, activity_table, layer_rows, measures_table, settings_rows


@dataclasses.dataclass(frozen=True)
class Section:
    """A heading, and blocks (kind, content).

    Kinds are "text" and "heading" (str), "list" (list of str), "pictures" and "small" (list of Picture), "table"
    (Table) and "code" (str).
    """

    heading: str
    blocks: list


def all_sections(run, further):
    """Return all sections of a report; the sections of the user come after the results."""
    makers = (_diagnosis, _accuracy, _spike_counts_and_times, _efficiency, _single_items)
    sections = [maker(run) for maker in makers] + further
    sections += [_training(run), _network(run), _settings_and_code(run)]
    return [section for section in sections if section is not None]


def user_section(entry):
    """Return a section of the user, ``(heading, text, ...)``, where the rest are pictures and rows of text."""
    if isinstance(entry, str) or not isinstance(entry, list | tuple) or len(entry) < 2:
        raise SettingsError(
            f"each of the sections must be (heading, text, pictures or rows ...), got {type(entry).__name__}",
            argument="sections",
        )
    heading, text, *contents = entry
    if not (isinstance(heading, str) and heading.strip() and isinstance(text, str)):
        raise SettingsError(
            f"heading and text of each of the sections must be str, got {heading!r} and {text!r}", argument="sections"
        )
    blocks = [("text", text)] if text.strip() else []
    for content in contents:
        if _is_rows(content):
            blocks.append(("table", _user_table(content, heading)))
        else:
            figures = figures_of(content)
            blocks.append(("pictures", [Picture(figure, f"{heading}: {described(figure)}") for figure in figures]))
    return Section(heading, blocks)


def _is_rows(content):
    """Return True for a table: rows of text, such as the methods ``rows`` return."""
    if not (isinstance(content, list | tuple) and content):
        return False
    return all(isinstance(row, list | tuple) and row and all(isinstance(cell, str) for cell in row) for row in content)


def _user_table(rows, heading):
    """Return the Table of a user's rows; raise SettingsError if their lengths differ."""
    if len({len(row) for row in rows}) > 1:
        raise SettingsError(
            f"sections: all rows of the table under {heading!r} must have the same number of cells as its header",
            argument="sections",
        )
    return Table.of(rows, n_text=1, caption=heading)


def _diagnosis(run):
    """Return the section of a Diagnosis."""
    diagnosis = run.diagnosis
    if diagnosis is None:
        return None
    axes = [panel(4, bounded(max(2.4, 0.3 * len(diagnosis.layers) + 1.4))) for _ in range(2)]
    drawn = layers_to_draw(diagnosis)
    layers = [panel(2.2, 2.35) for _ in drawn]
    plot_diagnosis(diagnosis, [*axes, *layers])
    axes[1].get_legend().remove()
    axes[1].legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.25), ncols=3, frameon=False)
    name = capitalized(diagnosis.evaluation.score_name)
    alt = f"{name} with spikes up to each layer and as an ANN after it, from {percent(diagnosis.ann_accuracy)} to "
    alt += f"{percent(diagnosis.accuracy)} with spikes."
    causes = "Root-mean-square error that arises in each layer, by cause, in % of its activity: "
    causes += "; ".join(f"{layer.name} {100 * layer.error:.0f}" for layer in diagnosis.layers.values()) + " in total."
    pairs = [
        Picture(
            ax.figure, f"Firing rates over activations of the ANN in {layer.name}: {100 * layer.error:.0f} % error."
        )
        for ax, layer in zip(layers, drawn, strict=True)
    ]
    remark = (
        "Each dot is one neuron and one image: the firing rate over the activation of the ANN, which are equal on the "
        "diagonal. The orange band is the quantization error expected in theory, the dotted line the largest output "
        "of the neurons."
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
                "Errors are root mean squares in % of the ANN's activity. Their effect on the "
                f"{diagnosis.evaluation.score_name}, in points, is in brackets.",
            ),
        ],
    )


def _accuracy(run):
    """Return the section with accuracy over time and the confusion matrix."""
    evaluation, measure = run.evaluation, run.evaluation.measure
    name = capitalized(measure.name)
    text = f"{name} after each time step of the spiking network."
    alt = (
        f"{name} over {counted(evaluation.n_steps, 'step')}, from {measure.text(measure.steps[0])} after the first to "
    )
    alt += f"{measure.text(measure.steps[-1])} after the last."
    if measure.ann is not None:
        ann = (
            "the same network with rates instead of spikes (the ANN): the gap is the loss from spiking"
            if run.has_weights_of_ann
            else "the CNN that was converted (the ANN); the weights of the spiking network have changed since then"
        )
        text += f" The dashed line is {ann}."
        alt += f" The ANN has {measure.text(measure.ann)}."
    pictures = [Picture(plot_accuracy(evaluation, panel()).figure, alt)]
    pictures += [_confusion(head) for head in run.heads if isinstance(head.evaluation.task.head, Classes)]
    if len(pictures) > 1:
        true = "true classes" if evaluation.labelled else "classes by the ANN"
        text += f" In the matrix, rows are the {true} of the {run.item}s, columns the predicted ones."
    blocks = [("text", text), ("pictures", pictures)]
    if len(evaluation.measures) > 1:
        blocks.append(("table", measures_table(run)))
    for head in run.heads:
        if rows := [value.to_row() for value in head.evaluation.listed_values(head.class_names)]:
            caption = capitalized(f"{head.prefix}errors of each value, in its own units")
            blocks.append(("table", Table.of([HEADER, *rows], n_text=1, caption=caption)))
    return Section(name, blocks)


def _confusion(head):
    """Return the picture of the confusion matrix of an output."""
    n_classes = head.evaluation.task.head.n_classes
    size = float(np.clip(0.9 + 0.32 * n_classes, 3.2, 9))
    ax = plot_confusion(head.evaluation, head.class_names, axes=panel(size, size))
    ax.set_title(f"{head.prefix}{ax.get_title()}")
    counts = head.evaluation.confusion()
    correct = int(np.trace(counts))
    worst = np.unravel_index((counts - np.diag(np.diag(counts))).argmax(), counts.shape)
    names = head.class_names or list(map(str, range(n_classes)))
    matrix_alt = f"{head.prefix}confusion matrix: {correct:,} of {counts.sum():,} on the diagonal"
    if correct < counts.sum():
        matrix_alt += f"; most often, {counts[worst]} times, {names[worst[0]]} was classified as {names[worst[1]]}"
    return Picture(ax.figure, f"{capitalized(matrix_alt)}.")


def _spike_counts_and_times(run):
    """Return the section with spikes per neuron, silent neurons, and spike times."""
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
    text = f"Spikes per neuron and {run.item}, and the share of neurons that never spike."
    blocks = [("text", text), ("pictures", pictures)]
    if isinstance(network.settings, TTFSConfig):
        text = (
            "When neurons spike: each layer integrates its input in one stage (gray), and its neurons spike at most "
            "once in the next one (blue). Earlier spikes encode larger activations."
        )
        n_drawn = min(bool(evaluation.input_layer) + len(evaluation.layers), MOST_PANELS)
        figure = panel(4.4, 0.6 + 0.95 * n_drawn).figure
        figure.clear()
        axes = figure.subplots(n_drawn, 1, sharex=True)
        plot_spike_times(network, evaluation, axes)
        blocks += [("heading", "Spike times"), ("text", text), ("pictures", [Picture(figure, described(figure))])]
    blocks.append(("table", activity_table(network, evaluation, "Neurons")))
    if remarks := _operations_without_neurons(network, evaluation):
        blocks.append(("text", f"Operations in rows without neurons: {'; '.join(remarks)}."))
    return Section("Spikes", blocks)


def _operations_without_neurons(network, evaluation):
    """Return remarks on the operations that the table of neurons has besides those of their spikes."""
    passed = evaluation.relay_operations
    maxima = [name for name in passed if name in network.model.layers]
    remarks = []
    if evaluation.input_operations:
        remarks.append(f"{network.model.input}, multiply-accumulates of the constant input, two operations each")
    if maxima:
        remarks.append(f"{', '.join(maxima)}, spikes that maximum pooling passes on from the layer before")
    if len(passed) > len(maxima):
        remarks.append("again, spikes that relay neurons repeat in later stages")
    return remarks


def _efficiency(run):
    """Return the section with operations and energy."""
    efficiency = run.efficiency
    if efficiency is None:
        return None
    text = (
        f"Floating-point operations of {run.ann_name}, two for each multiply-accumulate, and additions caused by "
        "spikes. Energy is estimated from published costs of single operations. "
    )
    axes = plot_operations(efficiency, panel(4.2, bounded(1.5 + 0.3 * len(efficiency.active_layers()))))
    layers = ", ".join(
        f"{name} {magnitude(layer.flops)} and {magnitude(layer.operations)}"
        for name, layer in efficiency.active_layers().items()
    )
    alt = f"Operations caused by each layer, ANN and spikes: {layers}; in total {magnitude(efficiency.flops)} and "
    alt += f"{magnitude(efficiency.operations)}."
    return Section(
        "Efficiency",
        [
            ("text", text + " ".join(efficiency.remarks())),
            ("pictures", [Picture(axes.figure, alt)]),
            ("table", Table.of(efficiency.rows(), n_text=1, caption="Operations, spikes and energy")),
        ],
    )


def _single_items(run):
    """Return the section of single images or recordings."""
    return None if run.recording is None else Section(f"Single {run.item}s", single_items(run))


def _training(run):
    """Return the section of the training history."""
    history = run.network.history
    if not history:
        return None
    axes = plot_history(history, [panel(), panel()])
    ends = [
        f"{name} {history[name][-1]:.4g}"
        for name in ("loss", "accuracy", "error")
        if history.get(name, [None])[-1] is not None
    ]
    measure = "Error" if "error" in history else "Accuracy"
    alts = (f"{name} over {len(history['loss'])} epochs; at the end: {', '.join(ends)}." for name in ("Loss", measure))
    pictures = [Picture(ax.figure, alt) for ax, alt in zip(axes, alts, strict=True)]
    text = f"Loss and {measure.lower()} of {_trained(run.network)} during training."
    return Section("Training", [("text", text), ("pictures", pictures)])


def _trained(network):
    """Return in words what was trained, in the order of the trainings."""
    settings, kinds = network.settings, []
    for how in network.model.metadata.get("training", [{}]):
        on_spikes = trained_network(settings, how) == "to_spiking"
        if on_spikes and settings.has_rates:
            kinds.append(f"the spiking network in {how.get('n_steps')} step{'s' if how.get('n_steps') != 1 else ''}")
        else:
            kinds.append("the network with rates" if settings.has_rates else "the spiking network over all steps")
    return ", then of ".join(dict.fromkeys(kinds))


def _network(run):
    """Return the section of the layers."""
    model = run.network.model
    n_parameters = sum(array.size for array in model.arrays.values())
    text = f"{run.neurons}, {n_parameters:,} parameters. Nengo objects of each layer, and how exact they are:"
    blocks = [("text", text), ("table", Table.of(layer_rows(run.network), caption="Layers of Nengo"))]
    if reading := model.metadata.get("reading"):
        blocks += [
            ("text", "How each layer of the given model was read:"),
            ("table", Table.of(reading_table(reading), caption="Layers of the model")),
        ]
    if quantization := model.metadata.get("quantization"):
        blocks += [
            ("text", "Relative errors that integer weights cause:"),
            ("table", Table.of(quantization_table(quantization), n_text=1, caption="Integer weights")),
        ]
    scales = activity_table(run.network, run.evaluation, "Scales")
    if not run.evaluation.layers and len(scales.rows) > 1:
        blocks.append(("table", scales))
    return Section("Network", blocks)


def _settings_and_code(run):
    """Return the section of settings, and how to run it again."""
    network, evaluation = run.network, run.evaluation
    rows = settings_rows(network, evaluation, run.data_name, run.settings)
    blocks = [("table", Table.of(rows, caption="Settings of the run")), ("heading", "Run it again")]
    if run.command:
        blocks.append(("code", run.command))
    blocks += [
        (
            "text",
            f"{'The same' if run.command else 'The run'} in Python, as far as the network recorded it. "
            f"The checksum of the network is {network_checksum(network)}.",
        ),
        ("code", python_code(network, evaluation)),
    ]
    return Section("Settings", blocks)
