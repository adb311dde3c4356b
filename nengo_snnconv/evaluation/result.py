"""Evaluation: the result of :func:`evaluate`."""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections.abc import Sequence

import numpy as np

from .._util.display import Displayed
from .._util.text_tables import counted, summary_line
from .._util.validation import check_counts, check_whole
from ..errors import SettingsError
from . import metrics
from .heads import Classes
from .layer_activity import LayerActivity
from .margin_stop import MarginStop, stopped, tradeoff
from .of_values import MOST_LISTED, OfValue, errors_by_value, named_by_output
from .outcome import outcome
from .summary import summary_rows

if typing.TYPE_CHECKING:
    from ..plots import Plot
    from .measures import Measure
    from .task import Task


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Evaluation(Displayed):
    """Result of :func:`evaluate`.

    Attributes
    ----------
    head : str
        What the outputs mean: "classes"; "binary", one output, the logit of class 1; "labels", a logit for each label;
        "values", the numbers of a regression or the pixels of an image; or "heads", several outputs, see ``heads``.
        Predictions, ``y`` and the like then are structured arrays: ``predictions["digit"]``.
    labelled : bool
        True if ``y`` was given.  Otherwise the ANN's predictions take its place, so that all measures are those of the
        agreement with the ANN.
    accuracy : ndarray, (steps,), or None
        Fraction of correct predictions after each step; of labels, if an image has any number of them.  An image that
        has stopped keeps its prediction.  None for a regression.
    ann_accuracy : float or None
        Accuracy of the ANN, which computes firing rates in one pass and sees the mean of frames over time.  None for
        networks that were trained through time, which have no ANN, and for a regression.
    score : ndarray, (steps,)
        Accuracy; for labels F1, averaged over images; for a regression R², the explained share of the variance of
        ``y`` between images.  Of agreement with the ANN, if ``y`` was not given.  The mean of these over several
        outputs.
    ann_score : float or None
        Score of the ANN.
    measures : list of Measure
        All measures after each step, the main one first, with ``name``, ``steps``, ``ann`` and ``percent``: accuracy,
        balanced accuracy (the mean over classes) and agreement with the ANN; F1, accuracy of labels and agreement; or
        mean squared and mean absolute errors in the model's own units, R², and the differences from the ANN; see
        ``by_value`` for values in different units.  Of several outputs, the mean score comes first, and ``output``
        names the output of each of the others.
    step_predictions : ndarray, (steps, images), or bool (steps, images, labels), or None
        Class with the largest score after each step; the first one if scores are equal.  None for a regression.
    ann_predictions : ndarray, (images,), or None
        Classes that the ANN predicts; its labels, or its values.
    scores : ndarray, (images, outputs)
        Class scores after the last step of each image, or logits, or outputs of a regression, in the units of the model
        that was converted.
    y : ndarray, (images,)
        True classes; or labels, bool (images, labels), or values of the shape of the outputs, (images, ...).
    layers : dict of str to LayerActivity
        Activity of the spiking layers, in order; empty for a network of rates.
    input_layer : LayerActivity or None
        Activity of the input, if it spikes.  Pixels of frames count as a spike in each step in which they are not zero.
        None for constant current.
    relay_operations : dict of str to float
        Additions per image of events that are passed on, not generated.  Maxima pass on events of their inputs, under
        the name of the layer.  In networks with time to first spike, relay neurons repeat spikes in later stages, under
        "<name> again".
    ann_operations : int
        Multiply-accumulate operations of the ANN for one image.
    input_operations : int
        Those of ``ann_operations`` that multiply pixels.  Constant current needs them once in a spiking network too.  0
        if the input spikes or consists of frames, whose additions are synaptic operations.
    seconds, build_seconds : float
        Wall time of the simulation, and of building it.
    dt : float
        Seconds per step.
    backend : str
        Name of the back end that was used.
    moving : bool
        True if the input changed from step to step.
    arguments : dict
        Arguments of :func:`evaluate` that affect the results, apart from network, x and y, with the values used.
    signed : bool
        True if the neurons can emit negative spikes, as :class:`SignedIntegrateAndFire` does.
    negative_spikes_share : float or None
        Fraction of the neurons' spikes that are negative; 0 for neurons that emit none.  None if it is not known, and
        for a network of rates.
    margins : ndarray of float32, (steps, images), or None
        Largest score minus second largest after each step, or smallest distance of a logit from 0; NaN after an image
        has stopped.  None for a regression, and in results of ``sweep``, ``tune`` and ``compare``.
    stop_steps : ndarray of int, (images,), or None
        Number of steps after which each image stopped; None without a rule.
    stop : MarginStop or None
        Rule by which images stopped.
    hints : tuple of str
        What to change in the network, if it loses many points and its settings tell.
    """

    accuracy: np.ndarray | None
    ann_accuracy: float | None
    step_predictions: np.ndarray | None
    ann_predictions: np.ndarray | None
    scores: np.ndarray
    y: np.ndarray
    layers: dict[str, LayerActivity]
    input_layer: LayerActivity | None
    relay_operations: dict[str, float]
    ann_operations: int
    input_operations: int
    seconds: float
    build_seconds: float
    dt: float
    backend: str
    moving: bool = False
    arguments: dict[str, typing.Any] = dataclasses.field(default_factory=dict)
    signed: bool = False
    negative_spikes_share: float | None = None
    margins: np.ndarray | None = None
    stop_steps: np.ndarray | None = None
    stop: MarginStop | None = None
    head: str = "classes"
    labelled: bool = True
    hints: tuple[str, ...] = ()
    score: np.ndarray = dataclasses.field(kw_only=True)
    ann_score: float | None = dataclasses.field(kw_only=True)
    measures: list[Measure] = dataclasses.field(kw_only=True)
    records: np.ndarray = dataclasses.field(kw_only=True, repr=False)
    task: Task = dataclasses.field(kw_only=True, repr=False)

    @property
    def n_steps(self) -> int:
        """Number of time steps of images that do not stop before."""
        return len(self.score)

    @property
    def mean_steps(self) -> float:
        """Mean number of steps of an image."""
        return float(self.n_steps if self.stop_steps is None else self.stop_steps.mean())

    @property
    def predictions(self) -> np.ndarray:
        """Classes or labels predicted after the last step, (images,) or (images, labels); values, (images, ...)."""
        if self.step_predictions is not None:
            return self.step_predictions[-1]
        return self.task.head.shaped(self.task.head.predict(self.scores))

    @functools.cached_property
    def heads(self) -> dict[str, Evaluation]:
        """Evaluation of each of several outputs, by name: its own accuracy, measures and so on; empty for one output.

        Spikes, operations and times are those of the whole network.
        """
        entries = self.task.head.entries
        return {
            name: dataclasses.replace(
                self, **outcome(task, self.records[name]), scores=self.scores[:, entries[name]], margins=None
            )
            for name, task in self.task.parts.items()
        }

    @property
    def score_name(self) -> str:
        """Name of the score: "accuracy", "F1", "R²" or "agreement with the ANN"."""
        return self.task.score_name

    @property
    def measure(self) -> Measure:
        """Main measure."""
        return self.measures[0]

    @property
    def near_chance(self) -> float:
        """Score below which an ANN counts as guessing."""
        chance = self.task.head.chance
        return chance + 0.1 * (1 - chance)

    @property
    def deviation(self) -> np.ndarray:
        """Fraction of predictions that differ from those of the ANN, or mean squared difference, (steps,).

        The mean over several outputs, of which differences of values are in units of the variance of their targets.
        """
        if self.heads:
            parts = self.heads.values()
            units = [1.0 if part.task.head.decides else part.task.variance for part in parts]
            return np.mean([part.deviation / unit for part, unit in zip(parts, units, strict=True)], axis=0)
        measure = next(measure for measure in self.measures if measure.compares)
        return 1 - measure.steps if measure.percent else measure.steps

    @property
    def losses(self) -> np.ndarray | None:
        """Score of the ANN minus score after each step, in percentage points, (steps,); None without an ANN."""
        return None if self.ann_score is None else 100 * (self.ann_score - self.score)

    @property
    def loss_points(self) -> float | None:
        """Score of the ANN minus score after the last step, in percentage points; None without an ANN."""
        return None if self.losses is None else float(self.losses[-1])

    def image_scores(self, step: int = -1) -> np.ndarray:
        """Return the score of each image after a step, (images,): 1 if a prediction is correct, and 0 if not."""
        return self.task.image_scores(self.records[step])

    def examples(self, n: int = 4) -> np.ndarray:
        """Return the indices of images to look at: the first ones, and one with a wrong prediction.

        If the first ``n`` are right, the image with the lowest score takes the place of the last one: a wrongly
        classified image, if possible one that the ANN classifies correctly; of a regression, the image with the largest
        error.

        Parameters
        ----------
        n : int
            Number of images; all if there are fewer.

        Returns
        -------
        ndarray of int, (n,)

        Examples
        --------
        >>> shown = evaluation.examples()
        >>> recording = snc.record(network, x[shown], n_steps=evaluation.n_steps)
        >>> snc.write_report("report.html", network, evaluation, recording=recording, images=shown)
        """
        check_counts(n=n)
        scores, ann_scores = self.image_scores(), self.task.ann_scores()
        chosen = np.arange(min(n, len(scores)))
        if scores[chosen].min() > scores.min():
            by_score = scores if ann_scores is None else np.lexsort((-ann_scores, scores)).argsort()
            chosen[-1] = by_score.argmin()
        return chosen

    @property
    def spikes_per_neuron(self) -> float | None:
        """Mean number of spikes of a neuron per image over the whole run; None for a network of rates.

        The mean is over all neurons, without those of the input and the output.
        """
        n_neurons = sum(layer.n_neurons for layer in self.layers.values())
        spikes = sum(layer.spikes_per_neuron * layer.n_neurons for layer in self.layers.values())
        return spikes / n_neurons if n_neurons else None

    @property
    def passed_operations(self) -> dict[str, float]:
        """The same as ``relay_operations``, under its former name."""
        return self.relay_operations

    @property
    def other_operations(self) -> float:
        """Additions per image of events that are passed on, not generated: the sum of ``relay_operations``."""
        return sum(self.relay_operations.values())

    @property
    def synaptic_operations(self) -> float | None:
        """Additions that spikes cause, per image; None for a network of rates."""
        if not self.layers:
            return None
        layers = [*self.layers.values(), *([self.input_layer] if self.input_layer else [])]
        return self.other_operations + sum(layer.synaptic_operations for layer in layers)

    @property
    def operations_ratio(self) -> float | None:
        """Operations of the ANN divided by those with spikes, as in :func:`efficiency`; None without any.

        Additions of spikes count once, multiply-accumulates of the ANN and of a constant input twice.  Below 1, spikes
        cost more than the ANN.
        """
        operations = (self.synaptic_operations or 0) + 2 * self.input_operations
        return 2 * self.ann_operations / operations if self.synaptic_operations and operations else None

    def confusion(self, step: int = -1) -> np.ndarray:
        """Return the confusion matrix after a step.

        Parameters
        ----------
        step : int
            Index of the step; -1 is the last one.

        Returns
        -------
        ndarray of int, (classes, classes)
            Rows are true classes, columns predicted ones.

        Raises
        ------
        SettingsError
            If the network does not predict one of several classes.
        """
        check_whole(-self.n_steps, self.n_steps - 1, step=step)
        if self.heads:
            raise SettingsError(
                f"each output has a confusion matrix of its own: use evaluation.heads[{next(iter(self.heads))!r}]"
                ".confusion()",
                argument="evaluation",
            )
        if self.step_predictions is None or not isinstance(self.task.head, Classes):
            raise SettingsError(
                f"there is no confusion matrix of {self.head}, only of classes: use evaluation.measures",
                argument="evaluation",
            )
        return metrics.confusion_matrix(self.y, self.step_predictions[step], self.task.head.n_classes)

    def by_value(self, class_names: Sequence[str] | None = None) -> list[OfValue]:
        """Return the errors of each value of a regression after the last step, which may have different units.

        Parameters
        ----------
        class_names : sequence of str, optional
            Names of the values; by default "value 0" and so on.

        Returns
        -------
        list of OfValue
            The ``name`` of each, its mean absolute ``error``, its ``score`` R², and ``ann_error`` and ``ann_score``.

        Raises
        ------
        SettingsError
            If the network does not predict values, or there are not as many names.

        Examples
        --------
        >>> for value in evaluation.by_value(["brightness", "angle"]):
        ...     print(value.name, value.error, value.score)
        """
        return errors_by_value(self.task, self.scores, class_names)

    def stop_tradeoff(self, power: float = 1, n_points: int = 100) -> tuple[np.ndarray, np.ndarray]:
        """Return mean steps and accuracy for rules from the laxest to the strictest, without another simulation.

        Parameters
        ----------
        power : float
            The margins of the rules are c t**-power after t steps; the points differ in c.
        n_points : int
            Number of rules.

        Returns
        -------
        mean_steps, accuracy : ndarray, (n_points,)

        Raises
        ------
        SettingsError
            If the evaluation has no margins, or its images stopped early.
        """
        return tradeoff(self, power, n_points)

    def stopped(self, stop: MarginStop) -> tuple[float, float]:
        """Return the mean steps and the accuracy that a rule would give, without another simulation."""
        return stopped(self, stop)

    def to_dict(self) -> dict[str, typing.Any]:
        """Return the results as JSON-serializable values."""
        layers = {
            name: {
                "neurons": layer.n_neurons,
                "spikes_per_neuron": layer.spikes_per_neuron,
                "rate_hz": layer.rate_hz,
                "silent": layer.silent,
                "synaptic_operations": layer.synaptic_operations,
            }
            for name, layer in self.layers.items()
        }
        confusion = {"confusion": self.confusion().tolist()} if isinstance(self.task.head, Classes) else {}
        stopped = {"mean_steps": self.mean_steps, "stop": self.stop.to_dict()} if self.stop else {}
        signed = {"negative_spikes_share": self.negative_spikes_share} if self.signed else {}
        return {
            "images": len(self.y),
            "moving": self.moving,
            "n_steps": self.n_steps,
            **stopped,
            "dt": self.dt,
            "backend": self.backend,
            "head": self.head,
            **({"heads": {name: part.head for name, part in self.heads.items()}} if self.heads else {}),
            **self.measures_to_dict(),
            "loss_points": self.loss_points,
            **confusion,
            **self._values_to_dict(),
            "spikes_per_neuron": self.spikes_per_neuron,
            **signed,
            "synaptic_operations": self.synaptic_operations,
            "ann_operations": self.ann_operations,
            "input_operations": self.input_operations,
            "input_spikes_per_neuron": self.input_layer.spikes_per_neuron if self.input_layer else None,
            "seconds": self.seconds,
            "build_seconds": self.build_seconds,
            "layers": layers,
        }

    def measures_to_dict(self) -> dict[str, typing.Any]:
        """Return all measures after each step, and those of the ANN, as JSON-serializable values."""
        steps = {measure.key: measure.steps.tolist() for measure in self.measures}
        of_ann = {f"ann_{measure.key}": measure.ann for measure in self.measures if not measure.compares}
        score = {"score": self.score.tolist(), "score_name": self.score_name, "ann_score": self.ann_score}
        return {**steps, **of_ann, **score}

    def _values_to_dict(self):
        """Return the errors of each value as JSON-serializable values, if there are several and not too many."""
        values = {name: [each.to_dict() for each in part.listed_values()] for name, part in self.heads.items()}
        values = {name: rows for name, rows in values.items() if rows}
        listed = values or [each.to_dict() for each in self.listed_values()]
        return {"by_value": listed} if listed else {}

    def listed_values(self, class_names: Sequence[str] | None = None) -> list[OfValue]:
        """Return the errors of each value if there are two to ten of them, to be listed; else an empty list."""
        n_values = 0 if self.task.head.decides else self.task.head.n_names
        return self.by_value(class_names) if 1 < n_values <= MOST_LISTED else []

    def summary(self, class_names: Sequence[str] | dict[str, Sequence[str]] | None = None) -> str:
        """Return the main results as text, one per line.

        Parameters
        ----------
        class_names : sequence of str, or dict of them, optional
            Names of the values of a regression, whose errors are listed one by one; of several outputs, a dict by
            output.
        """
        names = named_by_output(self, class_names)
        rows = summary_rows(self, names)
        width = max(len(name) for name, _ in rows)
        return "\n".join(summary_line(name, value, width) for name, value in rows)

    def _headline(self):
        item, main = "recording" if self.moving else "image", self.measure
        ann = "" if main.ann is None else f", {main.text(main.ann)} with rates"
        spikes = "" if self.spikes_per_neuron is None else f", {self.spikes_per_neuron:.3g} spikes per neuron"
        result = f"{main.name} {main.text(main.steps[-1])} after {counted(self.n_steps, 'step')}{ann}"
        return f"{counted(len(self.y), item)}, {result}{spikes}"

    def _tables(self):
        return [[(), *summary_rows(self, {})]]

    def plot(self, axes: typing.Any = None) -> Plot:
        """Plot the accuracy after each step beside that of the ANN; or the main measure of another head.

        Parameters
        ----------
        axes : matplotlib axes, optional

        Returns
        -------
        Plot
            Shown in a notebook; ``.savefig(path)`` writes it to a file.
        """
        from ..plots import plot_accuracy

        return plot_accuracy(self, axes)
