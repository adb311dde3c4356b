"""What a report says about a run in figures: in a sentence, on cards, and for machines."""

import dataclasses
import functools
import math

from .._util.json_values import to_json
from ..analysis.efficiency import Efficiency, efficiency
from ..networks.ttfs import FirstSpikeSettings
from ..plots.evaluation import item_of
from .calls import calls, checksum

# neuron types as people call them
KINDS = {
    "IntegrateAndFire": "Integrate-and-fire",
    "TimeToFirstSpike": "Time-to-first-spike",
    "SurrogateLIF": "Surrogate-gradient LIF",
    "RectifiedLinear": "Rectified linear",
    "SpikingRectifiedLinear": "Spiking rectified linear",
}


@dataclasses.dataclass(frozen=True)
class Run:
    """All that a report is about; most attributes are parameters of ``write_report``."""

    network: object
    evaluation: object
    data_name: str = None
    class_names: tuple = None
    recording: object = None
    diagnosis: object = None
    settings: dict = dataclasses.field(default_factory=dict)
    command: str = None

    @functools.cached_property
    def efficiency(self) -> Efficiency | None:
        """None for a network of rates."""
        return efficiency(self.network, self.evaluation) if self.evaluation.layers else None

    @property
    def item(self):
        """What accuracy counts, in a word."""
        return item_of(self.evaluation)

    @property
    def items(self):
        """How many of what: "1,000 images of digits"."""
        n = len(self.evaluation.y)
        of = f" of {self.data_name}" if self.data_name else ""
        return f"{n:,} {self.item}{'s' if n != 1 else ''}{of}"

    @property
    def neurons(self):
        """What spikes, or stands for spikes: "11,008 IntegrateAndFire neurons in 2 layers"."""
        model = self.network.model
        n, n_layers = sum(map(model.size, model.neurons)), len(model.neurons)
        kind = type(self.network.settings.neuron_type).__name__
        return f"{n:,} {kind} neurons in {n_layers} layer{'s' if n_layers != 1 else ''}"

    @property
    def title(self):
        """What network on which data, where the user has no better title."""
        kind = type(self.network.settings.neuron_type).__name__
        return f"{KINDS.get(kind, kind)} network{f' on {self.data_name}' if self.data_name else ''}"

    @property
    def length(self):
        """How long each item was shown: "30 steps of 1 ms"; the steps of frames are of no length of their own."""
        evaluation = self.evaluation
        one = "" if evaluation.moving else f" of {1000 * evaluation.dt:g} ms"
        return f"{evaluation.n_steps} step{'s' if evaluation.n_steps != 1 else ''}{one}"


def interval(share, n, z=1.96):
    """The 95 % interval of a share of ``n`` (Wilson 1927): (lowest, highest)."""
    center, spread = share + z**2 / (2 * n), z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    low, high = ((center + sign * spread) / (1 + z**2 / n) for sign in (-1, 1))
    return max(low, 0.0), min(high, 1.0)


def sentence(run):
    """What came out, in a sentence."""
    evaluation = run.evaluation
    says = f"{percent(evaluation.accuracy[-1])} of {run.items} are recognised after {run.length}"
    if evaluation.ann_accuracy is not None:
        lost = round(evaluation.loss_points, 2)
        compared = "just as many as" if lost == 0 else f"{abs(lost):.2f} points {'less' if lost > 0 else 'more'} than"
        says += f", {compared} with the ANN"
    if run.efficiency is None:
        return f"{says}."
    says += f". That takes {evaluation.spikes_per_neuron:.2f} spikes per neuron"
    ratio = run.efficiency.ratio
    if math.isfinite(ratio):
        of = "the ANN" if run.network.settings.has_rates else "an ANN of the same layers for one frame"
        says += f" and {times(ratio)} {of}"
    return f"{says}."


def times(ratio):
    """How many times fewer operations, or more where the ratio is below 1, in words."""
    if ratio >= 1.05:
        return f"{ratio:.1f} times fewer operations than"
    return f"{1 / ratio:.1f} times as many operations as" if ratio < 0.95 else "as many operations as"


def percent(share):
    return f"{100 * share:.2f} %"


def cards(run):
    """The headline figures: (what, value, remark) each."""
    evaluation, found = run.evaluation, run.efficiency
    low, high = interval(float(evaluation.accuracy[-1]), len(evaluation.y))
    remark = f"95 % interval: {100 * low:.1f} to {100 * high:.1f} %"
    shown = [(f"accuracy after {evaluation.n_steps} steps", percent(evaluation.accuracy[-1]), remark)]
    if evaluation.ann_accuracy is not None:
        changed = int((evaluation.predictions != evaluation.ann_predictions).sum())
        lost = evaluation.loss_points
        shown += [
            ("accuracy with rates (ANN)", percent(evaluation.ann_accuracy), "the same weights in one step"),
            (
                "loss from spiking, in points",
                f"{lost:.2f}".replace("-", "−"),
                f"{changed:,} of {len(evaluation.y):,} {run.item}s in another class",
            ),
        ]
    if found is None:
        return shown
    source = evaluation.input_layer
    inputs = f"{source.spikes_per_neuron:.2f} per input" if source else "the input is constant current"
    of = "the ANN" if run.network.settings.has_rates else "an ANN of these layers, for a frame"
    shown += [
        (f"spikes per neuron and {run.item}", f"{evaluation.spikes_per_neuron:.2f}", inputs),
        (f"operations per {run.item}", magnitude(found.operations), f"{magnitude(found.flops)} of {of}"),
    ]
    energy = found.energies[0]
    beside = f"{1e6 * energy.ann:.3g} µJ of {of}; arithmetic only, {energy.source}"
    shown.append((f"energy per {run.item}, estimated", f"{1e6 * energy.snn:.3g} µJ", beside))
    return shown


def magnitude(number):
    """A large number with three digits: 1.41 M."""
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.3g}"


def figures(run, title, origin):
    """All figures as JSON-serialisable values, as :func:`read_report` documents them."""
    network, evaluation = run.network, run.evaluation
    low, high = interval(float(evaluation.accuracy[-1]), len(evaluation.y))
    diagnosis = None if run.diagnosis is None else run.diagnosis.to_dict()
    if diagnosis:
        del diagnosis["evaluation"]  # the same one
    settings = {
        field.name: str(getattr(network.settings, field.name)) for field in dataclasses.fields(network.settings)
    }
    metadata = network.model.metadata
    first_spike = isinstance(network.settings, FirstSpikeSettings)
    return to_json(
        {
            "report": 1,
            "title": title,
            "summary": sentence(run),
            "data": run.data_name,
            "run": run.settings,
            "command": run.command,
            "calls": calls(network, evaluation),
            "network": {
                "checksum": checksum(network),
                "made_by": network.settings.made_by,
                "coding": "time to first spike" if first_spike else "rate" if network.settings.has_rates else "spikes",
                "settings": settings,
                "layers": {name: list(shape) for name, shape in network.model.shapes.items()},
                **{key: metadata[key] for key in ("scales", "normalization", "training", "history") if key in metadata},
            },
            "evaluation": {**evaluation.to_dict(), "accuracy_interval": [low, high]},
            "efficiency": None if run.efficiency is None else run.efficiency.to_dict(),
            "diagnosis": diagnosis,
            "origin": dict(origin[1:]),
        }
    )
