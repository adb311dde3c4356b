"""Run: the subject of a report, and its main results in words: title, summary and headline cards."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any, NamedTuple

from .._util.text_tables import counted, points
from ..analysis.efficiency import Efficiency, efficiency
from ..evaluation.heads import Classes
from ..evaluation.metrics import same
from ..plots.evaluation import item_of

# names of neuron types in titles
NEURON_NAMES = {
    "IntegrateAndFire": "Integrate-and-fire",
    "SignedIntegrateAndFire": "Signed integrate-and-fire",
    "TimeToFirstSpike": "Time-to-first-spike",
    "SurrogateLIF": "Surrogate-gradient LIF",
    "RectifiedLinear": "Rectified linear",
    "SpikingRectifiedLinear": "Spiking rectified linear",
}


class Head(NamedTuple):
    """One output of a network, and what a report shows of it."""

    name: str
    evaluation: Any
    class_names: tuple[str, ...] | None
    recording: Any

    @property
    def prefix(self):
        """Name before a text about one of several outputs: "digit: "."""
        return f"{self.name}: " if self.name else ""


@dataclasses.dataclass(frozen=True)
class Run:
    """Everything that a report is about; the attributes are parameters of ``write_report``."""

    network: Any
    evaluation: Any
    data_name: str | None = None
    class_names: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    recording: Any = None
    diagnosis: Any = None
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    command: str | None = None
    images: Any = ()  # indices of the recorded images in the evaluation

    @functools.cached_property
    def efficiency(self) -> Efficiency | None:
        """Efficiency of the network; None for a network with rates."""
        return efficiency(self.network, self.evaluation) if self.evaluation.layers else None

    @functools.cached_property
    def heads(self):
        """A Head for each output; its name is empty if it is the only one."""
        evaluations, found = self.evaluation.heads or {"": self.evaluation}, []
        for name, evaluation in evaluations.items():
            recording = self.recording
            if recording is not None:
                recording = recording.heads.get(name) or next(iter(recording.heads.values()), recording)
                # the targets may tell more about the head than the model
                recording = dataclasses.replace(recording, head=evaluation.head)
            found.append(Head(name, evaluation, self.class_names.get(name), recording))
        return found

    @property
    def item(self):
        """Word for one item of the data: "image" or "recording"."""
        return item_of(self.evaluation)

    @property
    def items(self):
        """Number and source of the items: "1,000 images of digits"."""
        n = len(self.evaluation.y)
        of = f" of {self.data_name}" if self.data_name else ""
        return f"{counted(n, self.item)}{of}"

    @property
    def _kinds(self):
        """Names of the classes of neurons."""
        return list(dict.fromkeys(type(each).__name__ for each in self.network.settings.of_types))

    @property
    def neurons(self):
        """Number and type of the neurons: "11,008 IntegrateAndFire neurons in 2 layers"."""
        model = self.network.model
        n, n_layers = sum(map(model.size, model.neurons)), len(model.neurons)
        kind = " and ".join(self._kinds)
        return f"{n:,} {kind} neurons in {counted(n_layers, 'layer')}"

    @property
    def title(self):
        """Default title: "Integrate-and-fire network on digits"."""
        kind = " and ".join(NEURON_NAMES.get(kind, kind) for kind in self._kinds)
        return f"{kind} network{f' on {self.data_name}' if self.data_name else ''}"

    @property
    def length(self):
        """Duration of one item: "30 steps of 1 ms"; steps of event frames have no fixed length."""
        return self.n_steps if self.evaluation.moving else f"{self.n_steps} of {1000 * self.evaluation.dt:g} ms"

    @property
    def n_steps(self):
        """Number of steps: "30 steps", or "5.2 of 30 steps" on average, if images stop early."""
        evaluation = self.evaluation
        mean = f"{evaluation.mean_steps:.1f} of " if evaluation.stop else ""
        return f"{mean}{counted(evaluation.n_steps, 'step')}"

    @property
    def has_weights_of_ann(self):
        """True if the ANN has the weights of the spiking network, which calibration and training on spikes change."""
        return not self.network.model.ann_arrays

    @property
    def ann_name(self):
        """Name of the ANN that operations are compared with."""
        return "the ANN" if self.network.settings.has_rates else "an ANN with the same layers for one frame"


def wilson_interval(share, n, z=1.96):
    """Return the 95 % confidence interval (low, high) of a share of ``n`` items (Wilson 1927)."""
    center, spread = share + z**2 / (2 * n), z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    low, high = ((center + sign * spread) / (1 + z**2 / n) for sign in (-1, 1))
    return max(low, 0.0), min(high, 1.0)


def accuracy_interval(evaluation):
    """Return the 95 % confidence interval of the accuracy, or of the agreement; None if an image is not only right."""
    if isinstance(evaluation.task.head, Classes):
        return wilson_interval(float(evaluation.score[-1]), len(evaluation.y))
    return None


def summary(run):
    """Return the main result in one or two sentences."""
    evaluation, measure = run.evaluation, run.evaluation.measure
    value = measure.text(measure.steps[-1])
    if measure.name == "accuracy":
        text = f"{value} of {run.items} are classified correctly after {run.length}"
    else:
        text = f"The {measure.name} is {value} on {run.items} after {run.length}"
    if measure.ann is not None and measure.percent:
        lost = round(evaluation.loss_points, 2)
        difference = "the same as" if lost == 0 else f"{abs(lost):.2f} points {'less' if lost > 0 else 'more'} than"
        text += f", {difference} with the ANN"
    elif measure.ann is not None:
        text += f"; that of the ANN is {measure.text(measure.ann)}"
    if run.efficiency is None:
        return f"{text}."
    text += f". The network needs {evaluation.spikes_per_neuron:.2f} spikes per neuron"
    ratio = run.efficiency.ratio
    if math.isfinite(ratio):
        text += f" and {operations_ratio(ratio)} {run.ann_name}"
    return f"{text}."


def operations_ratio(ratio):
    """Return a ratio of operations, ANN divided by spikes, in words."""
    if ratio >= 1.05:
        return f"{ratio:.1f} times fewer operations than"
    return f"{1 / ratio:.1f} times as many operations as" if ratio < 0.95 else "as many operations as"


def cards(run):
    """Return the headline numbers as tuples (name, value, remark)."""
    evaluation, costs = run.evaluation, run.efficiency
    (main, *others), interval = evaluation.measures, accuracy_interval(evaluation)
    remark = f"95 % interval: {100 * interval[0]:.1f} to {100 * interval[1]:.1f} %" if interval else ""
    result = [(f"{main.name} after {run.n_steps}", main.text(main.steps[-1]), remark)]
    weights = "the same weights in one pass" if run.has_weights_of_ann else "the CNN that was converted, in one pass"
    if main.ann is not None:
        result.append((f"{main.name} with rates (ANN)", main.text(main.ann), weights))
    if main.ann is not None and main.percent:
        lost = points(evaluation.loss_points).removesuffix(" points").replace("-", "−")
        changed = int((~same(evaluation.predictions, evaluation.ann_predictions)).sum())
        kind = "class" if interval else "set of labels"
        remark = f"another {kind} than the ANN for {changed:,} of {len(evaluation.y):,} {run.item}s"
        if evaluation.heads:
            remark = f"mean of {len(evaluation.heads)} outputs"
        result.append(("loss from spiking, in points", lost, remark))
    if interval is None:
        ann = {measure.key: f"ANN: {measure.text(measure.ann)}" for measure in others if measure.ann is not None}
        result += [(each.title, each.text(each.steps[-1]), ann.get(each.key, "")) for each in others]
    if costs is None:
        return result
    source = evaluation.input_layer
    inputs = f"{source.spikes_per_neuron:.2f} per input" if source else "the input is a constant current"
    if evaluation.signed and evaluation.negative_spikes_share is not None:
        inputs = f"{100 * evaluation.negative_spikes_share:.1f} % of them are negative; {inputs}"
    energy = costs.energies[0]
    result += [
        (f"spikes per neuron and {run.item}", f"{evaluation.spikes_per_neuron:.2f}", inputs),
        (f"operations per {run.item}", magnitude(costs.operations), f"{run.ann_name}: {magnitude(costs.flops)}"),
        (
            f"energy per {run.item}, estimated",
            f"{1e6 * energy.snn:.3g} µJ",
            f"{run.ann_name}: {1e6 * energy.ann:.3g} µJ; arithmetic only, {energy.source}",
        ),
    ]
    return result


def magnitude(number):
    """Return a number with three digits and a unit prefix, such as "1.41 M"."""
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.3g}"
