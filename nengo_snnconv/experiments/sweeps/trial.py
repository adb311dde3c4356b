"""Trial: how one setting did."""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from ...evaluation.metrics import first_lasting
from ...evaluation.result import Evaluation
from ...networks.network import ConvNetwork
from .grid import Setting, text_of


@dataclasses.dataclass(frozen=True, eq=False)
class Trial:
    """How one setting did, on all images or on a part of them.

    Attributes
    ----------
    made_by : Setting
    evaluation : Evaluation
    operations : ndarray, (steps,)
        Synaptic operations per image from the first step to each; exact for the last, estimated before (a layer's
        operations are taken to come when its spikes do).
    make : callable
        Makes the network of a Setting.
    """

    made_by: Setting
    evaluation: Evaluation
    operations: np.ndarray
    make: Callable = dataclasses.field(repr=False)

    @property
    def setting(self):
        """The values that were varied, by name."""
        return self.made_by.values

    @functools.cached_property
    def network(self) -> ConvNetwork:
        """The network that the setting makes."""
        return self.make(self.made_by)

    @property
    def options(self):
        """Arguments of ``evaluate`` that belong to the setting."""
        return dict(self.made_by.reading)

    @property
    def n_images(self):
        return len(self.evaluation.y)

    @property
    def loss_points(self):
        """Accuracy lost after each step, in percentage points, (steps,); None for networks without an ANN."""
        if self.evaluation.ann_accuracy is None:
            return None
        return 100 * (self.evaluation.ann_accuracy - self.evaluation.accuracy)

    def steps_within(self, max_loss):
        """The fewest steps after which no more than ``max_loss`` points are lost, in all later steps too; or None.

        A number, or one for each step.
        """
        first = None if self.loss_points is None else first_lasting(self.loss_points <= max_loss + 1e-9)
        # what is left out of the scores comes before any step that counts
        least = self.made_by.reading.get("skip_steps", 0) + 1
        return None if first is None else max(first, least)

    def to_dict(self):
        """The figures as JSON-serialisable values."""
        evaluation = self.evaluation
        return {
            "setting": {name: _plain(value) for name, value in self.setting.items()},
            "images": self.n_images,
            "accuracy": evaluation.accuracy.tolist(),
            "ann_accuracy": evaluation.ann_accuracy,
            "spikes_per_neuron": evaluation.spikes_per_neuron,
            "synaptic_operations": evaluation.synaptic_operations,
            "operations": self.operations.tolist(),
        }


def trial_of(bench, setting, tallies, shards=None):
    """The Trial of a setting from tallies, {number of the shard: tally}, of all shards or of these."""
    evaluation, operations = bench.evaluation(setting, tallies, shards)
    return Trial(setting, evaluation, operations, bench.network_of)


def _plain(value):
    return value if value is None or isinstance(value, bool | int | float | str) else text_of(value)
