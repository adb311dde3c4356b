"""Diagnosis: the result of ``diagnose``."""

from __future__ import annotations

import collections
import dataclasses
import functools
import itertools
import typing
from collections.abc import Sequence

import numpy as np

from ..._util.display import Displayed
from ..._util.text_tables import counted, percent, points, text_table
from ...evaluation.result import Evaluation
from ...networks.network import ConvNetwork
from ...networks.trainable_settings import TrainableConfig
from ...neurons.integrate_and_fire import IntegrateAndFire
from .findings import OF_STEPS, Finding, find
from .layer_diagnosis import LayerDiagnosis
from .remedies import Remedy

if typing.TYPE_CHECKING:
    from ...plots import Plot

CAUSES = ("clipping", "response", "quantisation", "transient", "unevenness", "reset", "synapse", "maxima")
# 99.9th percentile of activations below which the scale of a layer counts as too large because it is shared
LOW_LEVEL = 0.8


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Diagnosis(Displayed):
    """Result of :func:`nengo_snnconv.diagnose`.

    Attributes
    ----------
    network : ConvNetwork
    evaluation : Evaluation
        Evaluation of the network in the same run.
    max_loss : float
        Acceptable loss of accuracy in percentage points.
    layers : dict of str to LayerDiagnosis
        Layers of neurons, in order.
    input_points, readout_points : float
        Loss of accuracy, in percentage points, by the spikes of the input and by the read-out of output spikes.
    input_error : float
        Root mean square error of Poisson input, relative to that of the image; 0 for constant current.
    largest_input : float
        Largest absolute pixel value.
    output_level : float
        99.9th percentile of the ANN's positive outputs.
    predicted_accuracy : dict of int or str to float
        Predicted accuracy for numbers of steps, and for an initial potential of half the threshold with the present
        number of steps ("half"); estimated from 200 images, as if the input of each layer were constant in time.
        Empty for neurons other than integrate-and-fire.
    late_accuracy : float
        Accuracy of the class scores of the second half of the steps.
    starts : (float, float) or None
        Lowest and highest initial membrane potential of integrate-and-fire neurons, in thresholds.
    skip_steps : int
        Number of first steps that class scores leave out.
    shared_scales : dict of str to tuple of str
        For layers that share a scale because a shortcut has none of its own, the names of the other layers.
    other_calibration : bool
        True if there are calibration images other than those of the diagnosis.
    tried : tuple of Remedy
        Remedies that were tried, with the accuracy of each.
    """

    network: ConvNetwork
    evaluation: Evaluation
    max_loss: float
    layers: dict[str, LayerDiagnosis]
    input_points: float
    readout_points: float
    input_error: float
    largest_input: float
    output_level: float
    predicted_accuracy: dict[int | str, float]
    late_accuracy: float
    starts: tuple[float, float] | None
    skip_steps: int
    shared_scales: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    other_calibration: bool = False
    tried: tuple[Remedy, ...] = ()

    @property
    def foreseen(self) -> dict[int | str, float]:
        """Alias of ``predicted_accuracy``, for programs written for earlier versions."""
        return self.predicted_accuracy

    @property
    def n_steps(self) -> int:
        """Number of time steps."""
        return self.evaluation.n_steps

    @property
    def ann_accuracy(self) -> float:
        """Accuracy of the ANN; or its score, which is F1 for labels and R² for a regression."""
        accuracy = self.evaluation.ann_score
        assert accuracy is not None  # networks of to_spiking have an ANN
        return accuracy

    @property
    def accuracy(self) -> float:
        """Accuracy, or score, with spikes after the last step."""
        return float(self.evaluation.score[-1])

    @property
    def loss_points(self) -> float:
        """Loss of accuracy by spikes, in percentage points."""
        return 100 * (self.ann_accuracy - self.accuracy)

    @property
    def chance(self) -> float:
        """Accuracy of random guessing; 0 for scores of other heads than classes."""
        return self.evaluation.task.head.chance

    @property
    def near_chance(self) -> float:
        """Accuracy below which an ANN counts as guessing."""
        return self.evaluation.near_chance

    @property
    def trained(self) -> bool:
        """True for networks of ``build_trainable`` and ``from_nengo``, whose ANN has the firing rates of neurons."""
        return isinstance(self.network.settings, TrainableConfig)

    @property
    def keeps_charge(self) -> bool:
        """True if neurons integrate their input without any loss of charge."""
        types = self.network.settings.of_types
        return all(
            isinstance(each, IntegrateAndFire) and each.reset == "subtract" and each.min_potential == -np.inf
            for each in types
        )

    @functools.cached_property
    def findings(self) -> list[Finding]:
        """Problems, the most important first."""
        return find(self)

    @property
    def healthy(self) -> bool:
        """True if there are no findings."""
        return not self.findings

    @property
    def remedy(self) -> Remedy | None:
        """Most helpful of the changes that were tried; None if none helps, or none was tried.

        That is, among those that restore the accuracy up to ``max_loss``, one that needs no more steps if there is one;
        and of these the one with the highest accuracy.
        """
        helpful = [remedy for finding in self.findings for remedy in finding.remedies if remedy.helps]
        return max(helpful, key=self._rank, default=None)

    def _rank(self, remedy):
        enough = remedy.accuracy >= self.ann_accuracy - self.max_loss / 100 - 1e-9
        return enough, enough and remedy.options.get("n_steps", 0) <= self.n_steps, remedy.accuracy

    @property
    def first_failing(self) -> str | None:
        """Name of the first layer after which the loss always exceeds ``max_loss``; None if there is none."""
        allowed = self.ann_accuracy - self.max_loss / 100 - 1e-9
        accuracies = {self.network.model.input: self.ann_accuracy - self.input_points / 100}
        accuracies |= {name: layer.accuracy for name, layer in self.layers.items()}
        failing = list(itertools.takewhile(lambda name: accuracies[name] < allowed, reversed(accuracies)))
        return failing[-1] if failing else None

    def points(self, names: Sequence[str] | None = None) -> dict[str, float]:
        """Return the loss of accuracy by each cause in all layers together, in percentage points: {cause: points}.

        "steps" is the sum of the causes that vanish in longer runs: quantisation, transient and unevenness, which are
        apart in networks of ``build_trainable``; "shared scale" is the quantisation of layers whose scale is too large
        because they share it.  Poisson input makes spikes uneven; if neurons lose no charge, "input" therefore includes
        transient and unevenness.

        Parameters
        ----------
        names : sequence of str, optional
            Layers to include; input and read-out are always included.
        """
        return {cause: sum(lost for _, _, lost in parts) for cause, parts in self.parts(names).items()}

    def parts(self, names: Sequence[str] | None = None) -> dict[str, list[tuple[str, str, float]]]:
        """Return the terms of :meth:`points` by cause: layer, cause in this layer, and its points, in order."""
        parts: dict[str, list[tuple[str, str, float]]] = collections.defaultdict(list)
        for name in self.layers if names is None else names:
            for cause, lost in self.layers[name].points.items():
                from_input = self.evaluation.input_layer and self.keeps_charge and cause in ("transient", "unevenness")
                shared = cause == "quantisation" and self._is_held_back(name)
                of_steps = cause in OF_STEPS and not self.trained
                kind = "shared scale" if shared else "steps" if of_steps else cause
                parts["input" if from_input else kind].append((name, cause, lost))
        model = self.network.model
        parts["input"].append((model.input, "input", self.input_points))
        read_out = "synapse" if self.network.settings.synapse is not None else "readout"
        parts[read_out].append((model.output, read_out, self.readout_points))
        return dict(parts)

    def _is_held_back(self, name):
        """Return whether the scale of a layer is too large because it is shared."""
        return name in self.shared_scales and self.layers[name].level < LOW_LEVEL

    def error_of(self, cause: str) -> float:
        """Return the error by one cause, averaged over layers."""
        return float(np.mean([layer.causes.get(cause, 0) for layer in self.layers.values()]))

    def where(self, cause: str) -> str:
        """Return the name of the layer at fault for a cause.

        That is the layer with the largest loss by this cause; the first failing layer if the cause affects all layers.
        """
        if cause == "input":
            return self.network.model.input
        if cause == "readout":
            return self.network.model.output
        if cause == "shared scale":
            held_back = [layer for name, layer in self.layers.items() if self._is_held_back(name)]
            return max(held_back, key=lambda layer: layer.points.get("quantisation", 0)).name
        worst = max(self.layers.values(), key=lambda layer: (layer.points.get(cause, 0), layer.causes.get(cause, 0)))
        first_failing = self.first_failing
        if cause in ("clipping", "maxima") or first_failing is None or first_failing not in self.layers:
            return worst.name
        return first_failing

    def summary(self) -> str:
        """Return the findings and the table of layers as text."""
        remark = (
            "errors: root mean square in % of that of the ANN's activations; in brackets: change of "
            f"{self.evaluation.score_name} in percentage points"
        )
        return "\n".join([*self.sentences(), "", text_table(self.rows()), remark])

    def sentences(self) -> list[str]:
        """Return the findings as sentences."""
        ann, spikes, lost = percent(self.ann_accuracy), percent(self.accuracy), self.loss_points
        change = f"{points(lost)} lost" if lost >= 0 else f"{points(-lost)} gained"
        name = self.evaluation.score_name
        of = "" if name == "accuracy" else f"{name}: "
        lines = [
            f"{of}{ann} as an ANN, {spikes} with spikes after {counted(self.n_steps, 'step')}: {change} on "
            f"{counted(len(self.evaluation.y), 'image')}"
        ]
        for output, head in self.evaluation.heads.items():
            scores = f"{percent(head.ann_score or 0.0)} as an ANN, {percent(head.score[-1])} with spikes"
            lines.append(f"{output}: {head.score_name} {scores}")
        if self.healthy:
            largest = max(layer.error for layer in self.layers.values())
            allowed = f"{self.max_loss:g} point{'s' * (self.max_loss != 1)} of {name} (max_loss)"
            lines.append(f"healthy: the errors of the layers, up to {100 * largest:.1f} %, cost at most {allowed}")
        for finding in self.findings:
            lines.append(f"{finding.title}: {finding.text}")
        if any(finding.parts for finding in self.findings) and all(finding.parts for finding in self.findings):
            others = lost - sum(finding.points for finding in self.findings)
            change = points(others) if others > 0 else f"{points(-others)} gained"
            lines += [f"all other causes together: {change}"] * (abs(others) >= 0.005)
        if self.first_failing:
            lines.append(f"first failing layer: {self.first_failing}")
        measured = [(remedy.accuracy or 0.0, remedy.text) for remedy in self.tried]
        for accuracy, text in sorted(measured, key=lambda pair: -pair[0]):
            lines.append(f"tried: {percent(accuracy)} with this change: {text}")
        if self.remedy:
            lines.append(f"recommendation: {self.remedy.text}")
        elif self.tried:
            lines.append(f"none of these changes helps on these images, by more than chance ({spikes} without)")
        return lines

    def _headline(self):
        return self.sentences()[0]

    def _tables(self):
        return [[(), *((text,) for text in self.sentences()[1:])], self.rows()]

    def rows(self) -> list[tuple[str, ...]]:
        """Return the table of layers as rows of text, a header first."""
        causes = [c for c in CAUSES if any(c in layer.causes for layer in self.layers.values())]
        header = [
            "layer",
            self.evaluation.score_name,
            "error",
            *causes,
            "level",
            "dead",
            "saturated",
            "largest error",
            "bound",
        ]
        rows = [tuple(header)]
        if self.evaluation.input_layer:
            accuracy = percent(self.ann_accuracy - self.input_points / 100)
            name, error = self.network.model.input, f"{100 * self.input_error:.1f} %"
            rows.append((name, accuracy, error, *[""] * (len(header) - 3)))
        for layer in self.layers.values():
            errors = [f"{100 * layer.causes.get(c, 0):.1f} % ({-layer.points.get(c, 0) + 0.0:+.1f})" for c in causes]
            bound = "" if layer.bound is None else _rounded_up(layer.bound)
            rows.append(
                (
                    layer.name,
                    percent(layer.accuracy),
                    f"{100 * layer.error:.1f} %",
                    *errors,
                    f"{layer.level:.3g}",
                    f"{100 * layer.dead:.1f} %",
                    f"{100 * layer.saturated:.1f} %",
                    f"{layer.largest_error:.3g}",
                    bound,
                )
            )
        return rows

    def to_dict(self) -> dict:
        """Return the results as JSON-serializable values."""
        fields = ("n_neurons", "error", "causes", "points", "accuracy", "level", "silent", "dead", "saturated", "bound")
        return {
            "healthy": self.healthy,
            "first_failing": self.first_failing,
            "findings": [
                {
                    "layer": finding.layer,
                    "cause": finding.cause,
                    "points": finding.points,
                    "text": finding.text,
                    "remedy": finding.remedy and finding.remedy.text,
                    "code": finding.remedy and finding.remedy.code,
                    "tried": [
                        {"remedy": each.text, "code": each.code, "accuracy": each.accuracy, "helps": each.helps}
                        for each in finding.remedies
                        if each.accuracy is not None
                    ],
                }
                for finding in self.findings
            ],
            "layers": {
                name: {field: getattr(layer, field) for field in (*fields, "own_bound", "largest_error")}
                for name, layer in self.layers.items()
            },
            "points": self.points(),
            "foreseen": {str(key): value for key, value in self.predicted_accuracy.items()},
            "evaluation": self.evaluation.to_dict(),
        }

    def plot(self, axes: typing.Any = None) -> Plot:
        """Draw activations against firing rates and errors by cause for each layer.

        Returns
        -------
        Plot
            Shown in a notebook; ``.savefig(path)`` writes it to a file.
        """
        from ...plots import plot_diagnosis

        return plot_diagnosis(self, axes)


def _rounded_up(bound):
    """Return a bound with three digits, rounded up, so that no smaller value looks larger; not for float32 errors."""
    if not 0 < bound < np.inf:
        return f"{bound:.3g}"
    unit = 10.0 ** (np.floor(np.log10(bound)) - 2)
    return f"{np.ceil(bound / unit - 1e-3) * unit:.3g}"
