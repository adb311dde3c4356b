"""The report: one self-contained HTML file with the figures and pictures of a run."""

import dataclasses
import datetime
import importlib.metadata
import io
import pathlib
import platform

import jinja2
import matplotlib
import numpy as np

from ._version import __version__
from .atomic import atomic_write
from .build.first_spike import FirstSpikeSettings
from .build.network import reading_table
from .costs import efficiency
from .model.layers import Rectifier
from .plots import (
    plot_accuracy,
    plot_confusion,
    plot_history,
    plot_image_response,
    plot_operations,
    plot_spike_counts,
    plot_spike_times,
)
from .plots.evaluation import item_of
from .plots.events import plot_event_frames
from .plots.images import shows_frames

TEMPLATE = pathlib.Path(__file__).with_name("report.html.jinja")
MOST_FRAMES = 8


def write_report(
    path,
    network,
    evaluation,
    *,
    title="nengo_snnconv report",
    recording=None,
    class_names=None,
    run=None,
    diagnosis=None,
):
    """Write one HTML file, with every picture inside it, that shows how a network did.

    Parameters
    ----------
    path : str or path
    network : ConvNetwork
    evaluation : Evaluation
    title : str
    recording : Recording, optional
        Of the first images that were evaluated: their spikes and class scores are drawn.
    class_names : sequence of str, optional
    run : dict, optional
        Further facts about the run, for the table of settings.
    diagnosis : Diagnosis, optional
        Where accuracy goes, why, and what would help.
    """
    sections = []
    if diagnosis is not None:
        text = " ".join(f"{sentence}." for sentence in diagnosis.sentences())
        sections.append(_section("Diagnosis", text, diagnosis.plot()[0]))
    if network.history:
        text = f"Loss and accuracy of {_trained(network)}, which is what training sees."
        sections.append(_section("Training", text, plot_history(network.history)[0]))
    text = "Accuracy after each time step of the spiking network."
    if evaluation.ann_accuracy is not None:
        text += (
            " The dashed line is the same network with rates instead of spikes, in one step: the gap is what spiking "
            "costs."
        )
    sections.append(_section("Accuracy over time", text, plot_accuracy(evaluation)))
    sections.append(_section("Confusion", "", plot_confusion(evaluation, class_names)))
    if evaluation.layers:
        sections += _spike_sections(network, evaluation)
    if recording is not None:
        sections.append(_single_images(network, evaluation, recording, class_names))

    tables = _tables(network, evaluation, run or {})
    if diagnosis is not None:
        tables.insert(0, _table("Diagnosis, layer by layer", *diagnosis.rows(), n_text=1))
    template = jinja2.Environment(autoescape=True).from_string(TEMPLATE.read_text(encoding="utf-8"))
    html = template.render(
        title=title,
        subtitle=f"{len(evaluation.y):,} {item_of(evaluation)}s, {evaluation.n_steps} steps{_length(evaluation)}, "
        f"back end {evaluation.backend}",
        figures=_figures(evaluation),
        sections=sections,
        tables=tables,
    )
    with atomic_write(path, "w") as file:
        file.write(html)


def _section(heading, text, *axes, table=None):
    """A part of the report: heading, text, the pictures of matplotlib axes, and a table as ``_table`` makes it."""
    return heading, text, [_svg(each) for each in axes], table


def _trained(network):
    """What it is whose loss the history has."""
    return "the rate network" if network.settings.has_rates else "the network as it spikes, over all steps"


def _length(evaluation):
    """That of a time step; those of frames have none of their own."""
    return "" if evaluation.moving else f" of {1000 * evaluation.dt:g} ms"


def _single_images(network, evaluation, recording, class_names):
    """What a network did with images or recordings, one by one; of recordings some frames first."""
    item = item_of(evaluation)
    text = f"What the network did with single {item}s: a mark is a spike; the class scores are {_scores(network)}."
    events = shows_frames(recording) and recording.input.shape[-1] <= 2
    pictures = []
    for i in range(len(recording.images)):
        pictures += [_frames(recording.input[i])] if events else []
        pictures.append(plot_image_response(recording, i, int(evaluation.y[i]), class_names)[0])
    return _section(f"Single {item}s", text, *pictures)


def _frames(frames):
    """Axes of a picture of frames (steps, height, width, 1 or 2), some of many, evenly picked."""
    steps = np.unique(np.linspace(0, len(frames) - 1, MOST_FRAMES).round().astype(int))
    axes = plot_event_frames(frames[steps])
    for ax, step in zip(axes, steps, strict=True):
        ax.set_title(f"frame {step + 1}", fontsize=9)
    return axes[0]


def _spike_sections(network, evaluation):
    """What spikes there are, when they come, and what they cost."""
    sections = [_section("Spikes per layer", "", plot_spike_counts(evaluation)[0])]
    if isinstance(network.settings, FirstSpikeSettings):
        text = (
            "When neurons spike: each layer listens for a stage and spikes in the next one, once at most, and the "
            "sooner the larger the activation for which the spike stands."
        )
        sections.append(_section("Spike times", text, plot_spike_times(network, evaluation)[0]))
    found = efficiency(network, evaluation)
    text = (
        f"Floating-point operations of {_ann(network)}, two for each multiply-accumulate, beside additions that spikes "
        "cause. Energy is estimated from published costs of single operations. "
    )
    text += " ".join(found.remarks())
    columns, *rows = found.rows()
    table = _table("Efficiency", columns, *rows, n_text=1)
    sections.append(_section("Efficiency", text, plot_operations(found), table=table))
    return sections


def _ann(network):
    """The ANN that spikes are compared with."""
    return "the ANN" if network.settings.has_rates else "an ANN of the same layers, for a single frame"


def _scores(network):
    """What the class scores of single steps are."""
    if isinstance(network.model.layers[network.model.output], Rectifier) and network.settings.accumulates:
        return "firing rates of the output neurons from the first step on"
    if isinstance(network.settings, FirstSpikeSettings):
        return "membrane potentials, which are zero before the last stage"
    return "averaged from the first step on" if network.settings.accumulates else "filtered"


def _tables(network, evaluation, run):
    """The tables: each a heading, its columns, its rows, and from which column on there are numbers."""
    reading = network.model.metadata.get("reading")
    activity = _activity_table(network, evaluation)
    return [
        *([_table("Reading", *reading_table(reading))] if reading else []),
        _table("Layers", *_layer_table(network)),
        *([_table("Neurons", *activity, n_text=1)] if len(activity) > 1 else []),
        _table("Settings", *_settings_table(network, run)),
    ]


def _table(heading, columns, *rows, n_text=None):
    return heading, columns, rows, len(columns) if n_text is None else n_text


def scale_range(scales):
    """The smallest and the largest of a layer's scales as text."""
    low, high = f"{min(scales):.4g}", f"{max(scales):.4g}"
    return low if low == high else f"{low} to {high}"


def _svg(axes):
    """The figure of matplotlib axes as an SVG element, its text drawn as text."""
    text = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "font.family": "sans-serif", "svg.hashsalt": "snnconv"}):
        axes.figure.savefig(text, format="svg", metadata={"Date": None})
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    # on a phone, wide pictures scroll instead of shrinking
    return svg.replace("<svg", '<svg class="wide"', 1) if axes.figure.get_figwidth() > 8 else svg


def _figures(evaluation):
    item = item_of(evaluation)
    figures = [
        (f"accuracy after {evaluation.n_steps} steps", f"{100 * evaluation.accuracy[-1]:.2f} %"),
    ]
    ann = "of an ANN of these layers, for a frame"
    if evaluation.ann_accuracy is not None:
        ann = "of the ANN"
        figures += [
            ("accuracy with rates (ANN)", f"{100 * evaluation.ann_accuracy:.2f} %"),
            ("loss from spiking, in points", f"{evaluation.loss_points:.2f}"),
        ]
    if evaluation.layers:
        figures += [
            (f"spikes per neuron and {item}", f"{evaluation.spikes_per_neuron:.2f}"),
            (f"synaptic operations per {item}", f"{evaluation.synaptic_operations:,.0f}"),
            (f"multiply-accumulates {ann}", f"{evaluation.ann_operations:,}"),
        ]
    if evaluation.input_layer:
        figures.append((f"spikes per input and {item}", f"{evaluation.input_layer.spikes_per_neuron:.2f}"))
    return figures


def _layer_table(network):
    """What each layer became, as rows; the first one is the header."""
    rows = [("layer", "type", "output shape", "became", "", "remark")]
    for name, layer in network.model.layers.items():
        shape = "×".join(map(str, network.model.shapes[name]))
        rows.append((name, type(layer).__name__, shape, *network.settings.report_row(layer, network.model)))
    if read_out := network.settings.read_out_row():
        rows.append(("output", "read-out", "", *read_out))
    return rows


def _activity_table(network, evaluation):
    """What the neurons of each layer did, and the scale of their activations, as rows; the first one is the header."""
    scales = network.model.metadata.get("scales", {})
    activities = {**evaluation.layers, network.model.input: evaluation.input_layer}
    rows = [("layer", "neurons", "scale", "spikes / neuron", "rate", "silent", "operations")]
    for name in network.model.layers:
        activity, scale = activities.get(name), scale_range(scales[name]) if name in scales else ""
        if activity:
            spikes, steps = f"{activity.spikes_per_neuron:.3f}", evaluation.n_steps
            # the steps of frames are of no length of their own
            per_step = f"{activity.spikes_per_neuron / steps:.3f} / step"
            rate = per_step if evaluation.moving else f"{activity.rate_hz:.1f} Hz"
            silent, operations = f"{100 * activity.silent:.1f} %", f"{activity.synaptic_operations:,.0f}"
            rows.append((name, f"{activity.n_neurons:,}", scale, spikes, rate, silent, operations))
        elif scale:
            rows.append((name, "", scale, "", "", "", ""))
    return rows


def _settings_table(network, run):
    rows = [("setting", "value"), *((key, str(value)) for key, value in run.items())]
    rows += [(field.name, str(getattr(network.settings, field.name))) for field in dataclasses.fields(network.settings)]
    match = getattr(network.settings, "match", None)
    if match:
        fitted = f"gain {match.gain:.4g}, bias {match.bias:.4g}, amplitude {match.neuron_type.amplitude:.4g}"
        rows.append(("neurons as fitted", fitted))
    packages = ("tensorflow", "tf-keras", "nengo", "nengo-dl", "numpy")
    rows.append(("nengo_snnconv", __version__))
    rows += [(package, importlib.metadata.version(package)) for package in packages]
    rows.append(("Python", f"{platform.python_version()} on {platform.machine()} {platform.system()}"))
    rows.append(("written", datetime.datetime.now().astimezone().isoformat(timespec="seconds")))
    return rows
