"""Trial: the evaluation of one point of a grid."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ...evaluation.metrics import first_lasting
from ...evaluation.result import Evaluation
from ...evaluation.summary import balanced_accuracy_of
from ...networks.network import ConvNetwork
from .grid import GridPoint, format_value


@dataclasses.dataclass(frozen=True, eq=False)
class Trial:
    """Evaluation of one point of a grid, on all images or some of them.

    Attributes
    ----------
    grid_point : GridPoint
        Parameter values, and what they change.
    evaluation : Evaluation
    operations : ndarray, (steps,)
        Synaptic operations per image up to each step.  The last value is exact; the others are estimated from the
        spikes of each layer in each step.
    make : callable
        Function that returns the network of a GridPoint.
    """

    grid_point: GridPoint
    evaluation: Evaluation
    operations: np.ndarray
    make: Callable[[GridPoint], ConvNetwork] = dataclasses.field(repr=False)

    @property
    def made_by(self) -> GridPoint:
        """Same as ``grid_point``."""
        return self.grid_point

    @property
    def setting(self) -> dict[str, Any]:
        """Values of the parameters that were varied, by name."""
        return self.grid_point.values

    @functools.cached_property
    def network(self) -> ConvNetwork:
        """Network with these parameter values."""
        return self.make(self.grid_point)

    @property
    def options(self) -> dict[str, Any]:
        """Arguments of ``evaluate`` that belong to these parameter values."""
        return dict(self.grid_point.evaluate_options)

    @property
    def n_images(self) -> int:
        """Number of images."""
        return len(self.evaluation.y)

    @property
    def loss_points(self) -> np.ndarray | None:
        """Accuracy, or score, lost after each step, in percentage points, (steps,); None without an ANN."""
        return self.evaluation.losses

    @functools.cached_property
    def judged_losses(self) -> np.ndarray | None:
        """Loss after each step by which a setting is judged, in percentage points, (steps,); None without an ANN.

        If the score is accuracy, it is that of balanced accuracy less its standard deviation, where this is larger: a
        network that always predicts the most frequent class may have a high accuracy.
        """
        evaluation, losses = self.evaluation, self.loss_points
        if losses is None or balanced_accuracy_of(evaluation) is None:
            return losses
        classes, counts = np.unique(evaluation.y, return_counts=True)
        weights = (len(evaluation.y) / len(classes) / counts)[np.searchsorted(classes, evaluation.y)]
        changes = weights * (evaluation.task.ann_scores() - evaluation.task.image_scores(evaluation.records))
        deviation = np.sqrt(np.square(changes).sum(axis=1)) / len(weights)
        return np.maximum(losses, 100 * (changes.mean(axis=1) - deviation))

    def steps_within(self, max_loss: float | np.ndarray) -> int | None:
        """Return the smallest number of steps with which the loss stays within a limit, then and in all later steps.

        The loss is that of ``judged_losses``.

        Parameters
        ----------
        max_loss : float, or ndarray (steps,)
            Limit in percentage points, or a limit for each step.

        Returns
        -------
        int or None
            None if the loss after the last step is larger, or the network has no ANN.  A network that is calibrated for
            a number of steps is judged by this number alone, which is that of its last step.
        """
        losses = self.judged_losses
        if self.grid_point.calibration is not None and losses is not None:
            n_steps = len(losses)
            return n_steps if losses[-1] <= np.broadcast_to(max_loss, n_steps)[-1] + 1e-9 else None
        first = None if losses is None else first_lasting(losses <= max_loss + 1e-9)
        # steps that are left out of the scores cannot count
        least = self.grid_point.evaluate_options.get("skip_steps", 0) + 1
        return None if first is None else max(first, least)

    def to_dict(self) -> dict[str, Any]:
        """Return the results as JSON-serializable values."""
        evaluation = self.evaluation
        return {
            "setting": {name: _json_value(value) for name, value in self.setting.items()},
            "images": self.n_images,
            **evaluation.measures_to_dict(),
            "spikes_per_neuron": evaluation.spikes_per_neuron,
            "synaptic_operations": evaluation.synaptic_operations,
            "operations": self.operations.tolist(),
        }


def _json_value(value):
    """Return a parameter value as JSON can hold it: a synapse as text."""
    return value if value is None or isinstance(value, bool | int | float | str) else format_value(value)
