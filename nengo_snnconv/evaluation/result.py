"""Evaluation: the result of :func:`evaluate`, and how it is computed from the counts of a run."""

from __future__ import annotations

import dataclasses
import typing

import numpy as np

from .._util.text_tables import summary_line
from .._util.validation import check_whole
from ..model import connectivity
from . import metrics
from .margin_stop import MarginStop, stopped, tradeoff
from .synaptic_operations import operations_by_layer, relay_operations

if typing.TYPE_CHECKING:
    from ..networks.network import ConvNetwork
    from .run_counts import RunCounts


@dataclasses.dataclass(frozen=True, eq=False)
class LayerActivity:
    """Spikes of one layer, over all images of an evaluation.

    Attributes
    ----------
    name : str
    n_neurons : int
    spikes_per_neuron : float
        Mean number of spikes of a neuron per image, over the whole run.
    rates_hz : ndarray, (neurons,)
        Mean firing rate of each neuron.
    spikes_per_step : ndarray, (steps,)
        Number of spikes of the whole layer in each step, per image.
    synaptic_operations : float
        Additions that the layer's spikes cause in the next layers, per image.
    """

    name: str
    n_neurons: int
    spikes_per_neuron: float
    rates_hz: np.ndarray
    spikes_per_step: np.ndarray
    synaptic_operations: float

    @property
    def rate_hz(self) -> float:
        """Mean firing rate of the layer's neurons."""
        return float(self.rates_hz.mean())

    @property
    def silent(self) -> float:
        """Fraction of the neurons that never spiked for any image."""
        return float((self.rates_hz == 0).mean())


@dataclasses.dataclass(frozen=True, eq=False)
class Evaluation:
    """Result of :func:`evaluate`.

    Attributes
    ----------
    accuracy : ndarray, (steps,)
        Fraction of correct predictions after each step.  An image that has stopped keeps its prediction.
    ann_accuracy : float or None
        Accuracy of the ANN, which computes firing rates in one pass and sees the mean of frames over time.  None for
        networks that were trained through time, which have no ANN.
    step_predictions : ndarray, (steps, images)
        Class with the largest score after each step; the first one if scores are equal.
    ann_predictions : ndarray, (images,), or None
        Classes that the ANN predicts.
    scores : ndarray, (images, classes)
        Class scores after the last step of each image, or outputs of a regression, in the units of the model that was
        converted.
    y : ndarray, (images,)
        True classes.
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
        Largest score minus second largest after each step; NaN after an image has stopped.  None in results of
        ``sweep``, ``tune`` and ``compare``.
    stop_steps : ndarray of int, (images,), or None
        Number of steps after which each image stopped; None without a rule.
    stop : MarginStop or None
        Rule by which images stopped.
    """

    accuracy: np.ndarray
    ann_accuracy: float | None
    step_predictions: np.ndarray
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

    @property
    def n_steps(self) -> int:
        """Number of time steps of images that do not stop before."""
        return len(self.accuracy)

    @property
    def mean_steps(self) -> float:
        """Mean number of steps of an image."""
        return float(self.n_steps if self.stop_steps is None else self.stop_steps.mean())

    @property
    def predictions(self) -> np.ndarray:
        """Classes predicted after the last step, (images,)."""
        return self.step_predictions[-1]

    @property
    def loss_points(self) -> float | None:
        """Accuracy of the ANN minus accuracy after the last step, in percentage points; None without an ANN."""
        if self.ann_accuracy is None:
            return None
        return 100 * float(self.ann_accuracy - self.accuracy[-1])

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
        """
        check_whole(-self.n_steps, self.n_steps - 1, step=step)
        return metrics.confusion_matrix(self.y, self.step_predictions[step], self.scores.shape[1])

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
        stopped = {"mean_steps": self.mean_steps, "stop": self.stop.to_dict()} if self.stop else {}
        signed = {"negative_spikes_share": self.negative_spikes_share} if self.signed else {}
        return {
            "images": len(self.y),
            "moving": self.moving,
            "n_steps": self.n_steps,
            **stopped,
            "dt": self.dt,
            "backend": self.backend,
            "accuracy": [float(value) for value in self.accuracy],
            "ann_accuracy": self.ann_accuracy,
            "loss_points": self.loss_points,
            "confusion": self.confusion().tolist(),
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

    def summary(self) -> str:
        """Return the main results as text, one per line."""
        item, picture = ("recording", "frame") if self.moving else ("image", "image")
        rows = [
            (f"{item}s", f"{len(self.y):,}"),
            (
                f"accuracy after {'stopping' if self.stop else f'{self.n_steps} steps'}",
                f"{100 * self.accuracy[-1]:.2f} %",
            ),
        ]
        if self.stop:
            rows.insert(1, ("mean steps", f"{self.mean_steps:.2f} of {self.n_steps}"))
        if self.ann_accuracy is not None:
            rows.insert(1, ("accuracy with rates (ANN)", f"{100 * self.ann_accuracy:.2f} %"))
            rows.append(("loss from spiking", f"{self.loss_points:.2f} points"))
        if self.layers:
            rows.append(("spikes per neuron", f"{self.spikes_per_neuron:.3f}"))
            if self.signed and self.negative_spikes_share is not None:
                rows.append(("negative spikes", f"{100 * self.negative_spikes_share:.1f} % of all"))
            rows += [
                ("synaptic operations", f"{self.synaptic_operations:,.0f} per {item}"),
                (
                    "multiply-accumulates, ANN",
                    f"{self.ann_operations:,} per {picture}, {self.input_operations:,} for its input",
                ),
            ]
        else:
            rows.append(("neurons", "compute rates: use to_spiking for a spiking network"))
        if self.input_layer:
            rows.append(("spikes per input", f"{self.input_layer.spikes_per_neuron:.3f}"))
        rows.append(("simulation", f"{self.seconds:.1f} s (back end: {self.backend})"))
        return "\n".join(summary_line(*row) for row in rows)

    def plot(self, axes: typing.Any = None) -> typing.Any:
        """Plot the accuracy after each step beside that of the ANN.

        Parameters
        ----------
        axes : matplotlib axes, optional

        Returns
        -------
        matplotlib axes
        """
        from ..plots import plot_accuracy

        return plot_accuracy(self, axes)


def evaluation_from_counts(
    network: ConvNetwork,
    counts: RunCounts,
    y: np.ndarray,
    ann_predictions: np.ndarray | None,
    *,
    dt: float,
    arguments: dict[str, typing.Any],
    moving: bool = False,
    stop: MarginStop | None = None,
) -> Evaluation:
    """Return the Evaluation that follows from the counts of a run.

    Counts are whole numbers, so it is the same for counts that were merged from runs of parts of the images.

    Parameters
    ----------
    network : ConvNetwork
        Or any object with its ``model`` and ``settings``; weights are not used.
    counts : RunCounts
        Counts of all images.
    y : ndarray of int, (images,)
    ann_predictions : ndarray, (images,), or None
    dt : float
    arguments : dict
        Further arguments of ``evaluate`` that affect the results.
    moving : bool
    stop : MarginStop or None
    """
    model, n_images, n_steps = network.model, len(y), len(counts.step_predictions)
    operations = operations_by_layer(model, counts)
    steps_of_all = n_images * n_steps if counts.stop_steps is None else int(counts.stop_steps.sum())
    layers = {
        name: LayerActivity(
            name,
            model.size(name),
            float(total.mean()) / n_images,
            total / (steps_of_all * dt),
            counts.per_step[name] / n_images,
            operations[name],
        )
        for name, total in counts.totals.items()
    }
    return Evaluation(
        accuracy=metrics.accuracy(counts.step_predictions, y),
        ann_accuracy=None if ann_predictions is None else float(metrics.accuracy(ann_predictions, y)),
        step_predictions=counts.step_predictions,
        ann_predictions=ann_predictions,
        scores=counts.scores,
        y=y,
        layers={name: layers[name] for name in model.neurons if name in layers},
        input_layer=layers.get(model.input),
        relay_operations=relay_operations(network, counts, operations),
        ann_operations=sum(connectivity.multiply_accumulates(model).values()),
        input_operations=0 if model.input in layers else connectivity.total(connectivity.fan_out(model, model.input)),
        seconds=counts.seconds,
        build_seconds=counts.build_seconds,
        dt=dt,
        backend=counts.backend,
        moving=moving,
        arguments={"n_steps": n_steps, "backend": counts.backend, **arguments, "dt": dt},
        signed=any(each.spiking and each.negative for each in network.settings.of_types),
        negative_spikes_share=_negative_share(network, counts),
        margins=counts.margins,
        stop_steps=counts.stop_steps,
        stop=stop,
    )


def _negative_share(network, counts):
    """Return the fraction of negative spikes among those of all neurons; None without spikes, or if it is unknown."""
    model, settings = network.model, network.settings
    if not settings.neuron_type.spiking:
        return None
    layers = [name for name in model.neurons if name in counts.totals]
    signed = [name for name in layers if settings.of_layer(model, name).neuron_type.negative]
    if any(name not in counts.negative for name in signed):
        return None
    n_spikes = sum(float(counts.totals[name].sum()) for name in layers)
    return sum(counts.negative[name] for name in signed) / n_spikes if n_spikes else 0.0
