"""Tables of a report: rows of text, the first one the header."""

import dataclasses
import datetime

from .._util.system_info import machine, versions
from .._version import __version__
from ..networks.network import report_rows
from ..networks.neuron_types import types_in_words, types_of
from ..plots.evaluation import item_of


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes
    ----------
    rows : tuple of tuple of str
        Rows of cells; the first row is the header.
    n_text : int
        Number of columns with text; further columns hold numbers and are aligned to the right.
    caption : str
    """

    rows: tuple
    n_text: int
    caption: str = ""

    @classmethod
    def of(cls, rows, n_text=None, caption=""):
        """Make a table of any values; all columns are text by default."""
        rows = tuple(tuple(map(str, row)) for row in rows)
        return cls(rows, len(rows[0]) if n_text is None else n_text, caption)


def scale_range(scales):
    """Return the smallest and the largest scale of a layer as text."""
    low, high = f"{min(scales):.4g}", f"{max(scales):.4g}"
    return low if low == high else f"{low} to {high}"


def measures_table(run):
    """Return the Table of all measures after the last step, and of the ANN if it has one."""
    measures = run.evaluation.measures
    has_ann = any(measure.ann is not None for measure in measures)
    rows = [("measure", f"after {run.n_steps}", *["with rates (ANN)"] * has_ann)]
    for measure in measures:
        ann = "" if measure.ann is None else measure.text(measure.ann)
        rows.append((measure.title, measure.text(measure.steps[-1]), *[ann] * has_ann))
    return Table.of(rows, n_text=1, caption="Measures")


def layer_rows(network):
    """Return a table of the layers, with the Nengo objects that they became."""
    rows = [("layer", "type", "output shape", "became", "how exact", "remark")]
    for name, kind, shape, *became in report_rows(network):
        rows.append((name, kind, "" if kind == "read-out" else "×".join(map(str, shape)), *became))
    return rows


def activity_table(network, evaluation, caption):
    """Return the Table of the activity of each layer, the scale of its activations, and neuron types that differ."""
    rows = _activity_rows(network, evaluation)
    types = types_of(network.model, network.settings)
    if len(set(map(str, types.values()))) < 2:
        return Table.of(rows, n_text=1, caption=caption)
    column = ["type", *(_class_name(types.get(name)) for name, *_ in rows[1:])]
    rows = [(name, kind, *others) for (name, *others), kind in zip(rows, column, strict=True)]
    return Table.of(rows, n_text=2, caption=caption)


def _class_name(neuron_type):
    return "" if neuron_type is None else type(neuron_type).__name__


def _activity_rows(network, evaluation):
    """Return rows with the activity of each layer, and the scale of its activations.

    Constant input, and events that maxima or relay neurons pass on, have rows too, so that operations add up to those
    of the network.
    """
    scales = network.model.metadata.get("scales", {})
    activities = {**evaluation.layers, network.model.input: evaluation.input_layer}
    others = dict(evaluation.relay_operations)
    if evaluation.layers and evaluation.input_operations:
        others[network.model.input] = 2 * evaluation.input_operations
    rows = [("layer", "neurons", "scale", "spikes / neuron", "rate", "silent", "operations")]
    for name in network.model.layers:
        activity, scale = activities.get(name), scale_range(scales[name]) if name in scales else ""
        if activity:
            spikes, steps = f"{activity.spikes_per_neuron:.3f}", evaluation.mean_steps
            # steps of event frames have no fixed length, so there is no rate in Hz
            per_step = f"{activity.spikes_per_neuron / steps:.3f} / step"
            rate = per_step if evaluation.moving else f"{activity.rate_hz:.1f} Hz"
            silent, operations = f"{100 * activity.silent:.1f} %", f"{activity.synaptic_operations:,.0f}"
            rows.append((name, f"{activity.n_neurons:,}", scale, spikes, rate, silent, operations))
        elif scale or name in others:
            rows.append((name, "", scale, "", "", "", f"{others[name]:,.0f}" if name in others else ""))
        if (again := f"{name} again") in others:
            rows.append((again, "", "", "", "", "", f"{others[again]:,.0f}"))
    return rows


def settings_rows(network, evaluation, data_name, run):
    """Return a table of settings: data, facts given by the user, network, normalization, training and simulation."""
    rows = [("setting", "value")]
    if data_name:
        rows.append(("data", data_name))
    rows.append((f"{item_of(evaluation)}s", f"{len(evaluation.y):,}"))
    rows += [(key, str(value)) for key, value in run.items()]
    settings, metadata = network.settings, network.model.metadata
    values = {field.name: str(getattr(settings, field.name)) for field in dataclasses.fields(settings)}
    if getattr(settings, "neuron_types", ()):
        values["neuron_types"] = types_in_words(types_of(network.model, settings), arguments=True)
        if getattr(settings, "readout", "potential") == "potential":
            del values["neuron_type"]  # that of output neurons
    rows += values.items()
    for neuron_type, each in settings.of_types.items():
        if match := getattr(each, "match", None):
            fitted = f"gain {match.gain:.4g}, bias {match.bias:.4g}, amplitude {match.neuron_type.amplitude:.4g}"
            kind = f" {type(neuron_type).__name__}" if len(settings.of_types) > 1 else ""
            rows.append((f"fitted neurons{kind}", fitted))
    if how := metadata.get("normalization"):
        rows.append(("normalization", _one_line(how)))
    if how := metadata.get("calibration"):
        rows.append(("calibration", _one_line(how)))
    trainings = metadata.get("training", [])
    for i, how in enumerate(trainings, 1):
        rows.append((f"training{f' {i}' if len(trainings) > 1 else ''}", _one_line(_flat(how))))
    simulation = {**evaluation.arguments, "seconds": f"{evaluation.seconds:.3g}"}
    return [*rows, ("simulation", _one_line(simulation))]


def _flat(how):
    """Return the description of a training without the settings of its network, which are in the Python code."""
    return {name: value for name, value in how.items() if not isinstance(value, dict)}


def _one_line(values):
    """Return a dict in one line, without values that are None."""
    given = {name: f"{value:.6g}" if isinstance(value, float) else value for name, value in values.items()}
    return ", ".join(f"{name} {value}" for name, value in given.items() if value is not None)


def origin_rows():
    """Return a table of the date, the machine, and the versions of packages."""
    written = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    rows = [("written", written), ("machine", machine()), ("nengo_snnconv", __version__), *versions().items()]
    return [("item", "value"), *rows]
