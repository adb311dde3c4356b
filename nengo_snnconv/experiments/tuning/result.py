"""Tuning: the result of tune."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..._util.display import Displayed
from ..._util.text_tables import counted, percent, points, summary_line, text_table
from ...evaluation.metrics import interval_of_change
from ...evaluation.result import Evaluation
from ...evaluation.summary import EQUAL, balanced_accuracy_of
from ...networks.network import ConvNetwork
from ..sweeps.grid import format_value
from ..sweeps.trial import Trial

if TYPE_CHECKING:
    from ...plots import Plot
    from ...plots.plot import AxesSequence

# with fewer later steps than this, it is uncertain that the loss stays within the limit
FEW_STEPS = 4
# share of the operations at which another trial is mentioned although it takes more steps
CHEAPER = 2 / 3
# text of a value that does not exist
NONE = "–"


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Tuning(Displayed):
    """Result of :func:`tune`.

    Attributes
    ----------
    network : ConvNetwork
        Spiking network with the chosen settings; ``evaluate`` runs it for ``n_steps`` by default.
    settings : dict
        Chosen parameter values, by name.
    n_steps : int
        Smallest number of time steps that keeps the loss within ``max_loss`` on the images that chose the settings.
    evaluation : Evaluation
        Evaluation of a run of ``n_steps`` on the report images, which had no part in the choice.
    selection : Evaluation
        Evaluation of a run of ``n_steps`` on the images that chose the settings.
    trial : Trial
        Trial of the chosen settings on the images that chose them, for ``max_steps``, or for the number of steps for
        which the network is calibrated.
    trials : list of Trial
        All trials, the chosen one first; most of them have seen only some of the images.
    max_loss : float
        Allowed loss of accuracy in percentage points.
    max_steps : int
        Largest number of time steps that was tried.
    kept : bool
        True if the loss is within ``max_loss`` after every step from ``n_steps`` to ``max_steps``, on the images that
        chose the settings.
    own_calibration : bool
        True if calibration images were taken from the images to tune on.
    report_images : ndarray of int, or None
        Indices of the report images in ``x``, in the order of ``evaluation``; None if they were ``report_data``.
    """

    network: ConvNetwork
    settings: dict[str, Any]
    n_steps: int
    evaluation: Evaluation
    selection: Evaluation
    trial: Trial
    trials: list[Trial]
    max_loss: float
    max_steps: int
    kept: bool
    own_calibration: bool
    report_images: np.ndarray | None = None

    @property
    def loss_points(self) -> float:
        """Accuracy lost after ``n_steps`` on the report images, in percentage points."""
        loss = self.evaluation.loss_points
        assert loss is not None  # networks that are tuned have an ANN
        return loss

    @property
    def selection_loss_points(self) -> float:
        """Accuracy lost after ``n_steps`` on the images that chose the settings, in percentage points."""
        loss = self.selection.loss_points
        assert loss is not None
        return loss

    @property
    def synaptic_operations(self) -> float:
        """Additions caused by spikes in ``n_steps``, per report image."""
        operations = self.evaluation.synaptic_operations
        assert operations is not None  # networks that are tuned spike
        return operations

    @property
    def options(self) -> dict[str, Any]:
        """Arguments of ``evaluate``: the number of steps, and options of the read-out if they were varied."""
        return {"n_steps": self.n_steps, **self.trial.options}

    @property
    def interval(self) -> tuple[float, float]:
        """95 % confidence interval of the loss on new images, in percentage points.

        It is that of a paired difference of accuracies (Tango 1998) on the report images, or, of other scores, that of
        a normal distribution.  It holds for the chosen
        settings, however many were tried, because the report images did not choose them.
        """
        ann_scores = self.evaluation.task.ann_scores()
        assert ann_scores is not None  # networks that are tuned have an ANN
        low, high = interval_of_change(ann_scores, self.evaluation.image_scores())
        return 100 * float(low), 100 * float(high)

    @property
    def image_steps(self) -> tuple[int, int]:
        """Simulated time steps over all images, without the final runs; and those of a full grid, for comparison."""
        simulated = sum(trial.n_images * trial.evaluation.n_steps for trial in self.trials)
        return simulated, sum(len(self.selection.y) * trial.evaluation.n_steps for trial in self.trials)

    def remarks(self) -> list[str]:
        """Return the limits of the result, as a list of sentences."""
        n_images, n_report, (low, high), remarks = len(self.selection.y), len(self.evaluation.y), self.interval, []
        one_image = 100 / n_images
        if one_image > self.max_loss > 0:
            remarks.append(
                f"one image of {n_images:,} is {one_image:.2g} points, so max_loss={self.max_loss:g} allows no net "
                f"loss; {math.ceil(100 / self.max_loss):,} or more images are needed to resolve it"
            )
        allowed = self.max_loss + 1e-9  # losses are rounded
        if self.kept and low > allowed:
            remarks.append("the loss on new images is larger than allowed: choose the settings on more images")
        elif self.kept and self.loss_points > allowed:
            remarks.append(
                f"on other images the loss is larger than allowed: {self.loss_points:.2f} points instead of at most "
                f"{self.max_loss:g}; more images to choose from make this less likely"
            )
        elif self.kept and high > allowed:
            remarks.append(
                f"with {n_report:,} report images, a loss of up to {high:.2f} points on new images cannot be excluded; "
                "more of them narrow the interval"
            )
        remarks += self._cheaper()
        calibrated = self.trial.grid_point.calibration is not None
        later = self.max_steps - self.n_steps
        if self.kept and later < FEW_STEPS and not calibrated:
            confirmed = f"only {counted(later, 'later step')}" if later else "no later step"
            remarks.append(f"{confirmed} could confirm the result: increase max_steps")
        if calibrated:
            remarks.append(
                f"the network is calibrated for {counted(self.n_steps, 'step')}: run it for just this number"
            )
        if options := ", ".join(f"{name}={format_value(value)}" for name, value in self.trial.options.items()):
            remarks.append(f"the result holds for evaluate(..., {options}), which the network does not contain")
        if (self.evaluation.ann_score or 0.0) < self.evaluation.near_chance:
            values = self.evaluation.head == "values"
            than, how = ("the mean of the targets", "targets") if values else ("chance", "number classes")
            remarks.append(f"the ANN itself is hardly better than {than}: scale images and {how} as in training")
        if self.own_calibration:
            remarks.append(
                "some of the images calibrated the network and had no other use: give training images as x_calibration"
            )
        return remarks

    def _cheaper(self):
        """Return a sentence on the trial that keeps the loss with the fewest operations, if it has clearly fewer."""
        costs = {}
        for trial in self.trials:
            steps = trial.steps_within(self.max_loss)
            if steps is not None and trial.n_images == len(self.selection.y):
                costs[steps, trial.grid_point.text] = trial.operations[steps - 1]
        own = self.trial.operations[self.n_steps - 1]
        if not self.kept or min(costs.values(), default=own) >= CHEAPER * own:
            return []
        steps, text = min(costs, key=costs.__getitem__)
        need = f"{counted(steps, 'step')} would need {costs[steps, text]:,.0f} operations"
        return [f"{need} instead of {own:,.0f}: {text}"]

    def summary(self) -> str:
        """Return the result as text, one line for each quantity."""
        return "\n".join(summary_line(*row) for row in self._summary_rows())

    def _headline(self):
        lost = f"{points(self.loss_points)} lost on {counted(len(self.evaluation.y), 'image')}"
        return (
            f"{self.trial.grid_point.text}; {counted(self.n_steps, 'step')}, {lost}{'' if self.kept else ' (too many)'}"
        )

    def _tables(self):
        return [[(), *self._summary_rows()], self.rows()]

    def _summary_rows(self):
        """Return the result as pairs of a name and a value."""
        evaluation, (low, high), (simulated, grid) = self.evaluation, self.interval, self.image_steps
        label = "chosen settings" if self.kept else "loss too large; best found"
        allowed, n_chosen, n_report = f"{self.max_loss:g} allowed", len(self.selection.y), len(evaluation.y)
        of = "" if evaluation.score_name == "accuracy" else f" of {evaluation.score_name}"
        rows, ratio = [(label, self.trial.grid_point.text)], evaluation.operations_ratio
        rows += [
            ("steps", f"{self.n_steps} (tried up to {self.max_steps})"),
            (
                "loss when chosen",
                f"{points(self.selection_loss_points)}{of} ({allowed}) on {counted(n_chosen, 'image')}",
            ),
            ("loss on other images", f"{points(self.loss_points)}{of} on {counted(n_report, 'image')}"),
            ("loss on new images", f"between {low:.2f} and {high:.2f} points (95 % interval)"),
            *self._rows_of_scores(),
            ("spikes per neuron", f"{evaluation.spikes_per_neuron:.3f}"),
            ("synaptic operations", f"{self.synaptic_operations:,.0f} per image"),
            ("multiply-accumulates, ANN", f"{evaluation.ann_operations:,} per image"),
            ("operations, ANN / spikes", NONE if ratio is None else f"{ratio:.2f}"),
            ("tried", f"{counted(len(self.trials), 'setting')} on up to {counted(n_chosen, 'image')}"),
            ("simulated", f"{100 * simulated / grid:.0f} % of the steps of a full grid"),
        ]
        return rows + [("note", remark) for remark in self.remarks()]

    def _rows_of_scores(self):
        """Return the rows of the summary with the score of the ANN, unless it is compared with, and with spikes."""
        evaluation = self.evaluation
        name, spikes = evaluation.score_name, percent(evaluation.score[-1])
        if not evaluation.labelled:
            return [(name, spikes)]
        ann = percent(evaluation.ann_score or 0.0)
        if name != "accuracy":  # longer names do not fit into the column
            in_units = [each for each in evaluation.measures if not (each.percent or each.compares)]
            return [(name, f"{spikes} with spikes, {ann} with rates (ANN)"), *map(_row_of, in_units)]
        rows = [(f"{name} with rates (ANN)", ann), (f"{name} with spikes", spikes)]
        balanced = balanced_accuracy_of(evaluation)
        if balanced is not None and abs(balanced.steps[-1] - evaluation.score[-1]) >= EQUAL:
            rows.append(_row_of(balanced))
        return rows

    def rows(self) -> list[tuple[str, ...]]:
        """Return a table of all trials, the chosen one first: a header, then parameter values and results as text."""
        names = list(dict.fromkeys(name for trial in self.trials for name in trial.setting))
        rows = [(*names, "images", "steps", "points lost then", "operations then", "points lost at the end")]
        for trial in self.trials:
            steps = trial.steps_within(self.max_loss)
            values = [format_value(trial.setting[name]) if name in trial.setting else "" for name in names]
            at_steps = ("", "", "")
            losses = np.asarray(trial.loss_points)
            if steps is not None:
                lost, operations = losses[steps - 1], trial.operations[steps - 1]
                at_steps = (f"{steps}", f"{lost + 0.0:.2f}", f"{operations:,.0f}")
            rows.append((*values, f"{trial.n_images:,}", *at_steps, f"{losses[-1] + 0.0:.2f}"))
        return rows

    def table(self) -> str:
        """Return the table of :meth:`rows` as text, with the parameter values of a trial in the last column.

        "steps" is the number of steps that keeps the loss; "–" if there is none.  Values that all trials have in common
        are in a line of their own.
        """
        (*names, _, _, _, _, _), *rows = self.rows()
        n = len(names)
        columns = list(zip(*(row[:n] for row in rows), strict=True))
        shared = {i for i, column in enumerate(columns) if len(rows) > 1 and len(set(column)) == 1}
        table: list[tuple[str, ...]] = [("images", "steps", "points lost", "operations", "lost at the end", "setting")]
        for row in rows:
            setting = ", ".join(f"{names[i]} {row[i]}" for i in range(n) if row[i] and i not in shared)
            table.append((*(cell or NONE for cell in row[n:]), setting))
        common = [f"all with {', '.join(f'{names[i]} {rows[0][i]}' for i in sorted(shared))}"] if shared else []
        lines = [*common, text_table(table)]
        if any(NONE in row for row in table):
            lines.append(f"{NONE}  the loss is larger than allowed up to the last step")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return the results as JSON-serializable values."""
        chosen = self.trial.to_dict()
        return {
            "kept": self.kept,
            "settings": chosen["setting"],
            "n_steps": self.n_steps,
            "max_loss": self.max_loss,
            "max_steps": self.max_steps,
            "loss_points": self.loss_points,
            "interval": list(self.interval),
            "selection_loss_points": self.selection_loss_points,
            "synaptic_operations": self.synaptic_operations,
            "remarks": self.remarks(),
            "evaluation": self.evaluation.to_dict(),
            "selection": self.selection.to_dict(),
            "trials": [{**trial.to_dict(), "n_steps": trial.steps_within(self.max_loss)} for trial in self.trials],
        }

    def plot(self, axes: AxesSequence | None = None) -> Plot:
        """Draw the accuracy of all trials over time steps and over operations; see :func:`plot_tuning`.

        Returns
        -------
        Plot
            Shown in a notebook; ``.savefig(path)`` writes it to a file.
        """
        from ...plots import plot_tuning

        return plot_tuning(self, axes)


def _row_of(measure):
    """Return the row of the summary of a measure of spikes and of the ANN."""
    spikes, ann = measure.text(measure.steps[-1]), measure.text(measure.ann)
    return measure.title, f"{spikes} with spikes, {ann} with rates (ANN)"
