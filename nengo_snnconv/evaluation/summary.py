"""summary_rows: the main results of an evaluation as text."""

from __future__ import annotations

import itertools
import typing
from collections.abc import Mapping, Sequence

from .._util.text_tables import counted, points
from .heads import Classes

if typing.TYPE_CHECKING:
    from .measures import Measure
    from .result import Evaluation


BALANCED, EQUAL = "balanced accuracy", 0.005


def summary_rows(evaluation: Evaluation, names: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    """Return the main results as pairs of a name and a value.

    Parameters
    ----------
    evaluation : Evaluation
    names : dict of str to sequence of str
        Names of the values of each output, by the name of the output, "" if there is one; others are numbered.
    """
    item, picture = ("recording", "frame") if evaluation.moving else ("image", "image")
    rows = [(f"{item}s", f"{len(evaluation.y):,}")]
    if evaluation.stop:
        rows.append(("mean steps", f"{evaluation.mean_steps:.2f} of {evaluation.n_steps}"))
    rows += _rows_of_measures(evaluation)
    for output, part in (evaluation.heads or {"": evaluation}).items():
        prefix = f"{output}: " if output else ""
        if isinstance(part.task.head, Classes) and part.task.head.assumed:
            rows.append((f"{prefix}note", "taken as class scores: give y for a regression"))
        for value in part.listed_values(names.get(output)):
            rows.append((f"{prefix}{value.name}", str(value)))
    rows += [("hint", hint) for hint in evaluation.hints]
    if evaluation.layers:
        rows.append(("spikes per neuron", f"{evaluation.spikes_per_neuron:.3f}"))
        if evaluation.signed and evaluation.negative_spikes_share is not None:
            rows.append(("negative spikes", f"{100 * evaluation.negative_spikes_share:.1f} % of all"))
        rows += [
            ("synaptic operations", f"{evaluation.synaptic_operations:,.0f} per {item}"),
            (
                "multiply-accumulates, ANN",
                f"{evaluation.ann_operations:,} per {picture}, {evaluation.input_operations:,} for its input",
            ),
        ]
        ratio = None if evaluation.moving else evaluation.operations_ratio
        if ratio is not None:
            hint = ": spikes cost more; fewer steps cost less" if ratio < 1 else ""
            rows.append(("operations, ANN / spikes", f"{ratio:.2f}{hint}"))
    else:
        rows.append(("neurons", "compute rates: use to_spiking for a spiking network"))
    if evaluation.input_layer:
        rows.append(("spikes per input", f"{evaluation.input_layer.spikes_per_neuron:.3f}"))
    rows.append(("simulation", f"{evaluation.seconds:.1f} s (back end: {evaluation.backend})"))
    return rows


def _rows_of_measures(evaluation):
    """Return rows of the summary: the main measure, those that add to it, and the loss."""
    main = evaluation.measure
    after = "stopping" if evaluation.stop else counted(evaluation.n_steps, "step")
    rows = []
    if main.name == "accuracy":
        rows = [] if main.ann is None else [("accuracy with rates (ANN)", main.text(main.ann))]
        rows.append((f"accuracy after {after}", main.text(main.steps[-1])))
    else:
        ann = "" if main.ann is None else f", {main.text(main.ann)} with rates (ANN)"
        rows.append((main.name, f"{main.text(main.steps[-1])} after {after}{ann}"))
    if main.percent and not main.compares and evaluation.ann_score is not None:
        rows.append(("loss from spiking", points(evaluation.loss_points)))
    for before, measure in itertools.pairwise(evaluation.measures):
        if measure.name == BALANCED and abs(measure.steps[-1] - before.steps[-1]) < EQUAL:
            continue  # classes are equally frequent
        ann = "" if measure.ann is None else f" ({measure.text(measure.ann)} with rates)"
        rows.append((measure.title, f"{measure.text(measure.steps[-1])}{ann}"))
    return rows


def balanced_accuracy_of(evaluation: Evaluation) -> Measure | None:
    """Return the balanced accuracy of a network with one output; None if that is not a measure of it."""
    measures = evaluation.measures if evaluation.ann_score is not None else []
    return next((each for each in measures if each.name == BALANCED and not each.output), None)
