"""diagnose: runs a network once, and says where its accuracy goes."""

import collections
import dataclasses
import functools
import itertools

import numpy as np

from ..._util.text_tables import text_table
from ..._util.validation import check_data, check_progress, check_run, is_number, shown
from ...errors import ConversionError, SettingsError
from ...evaluation.evaluate import Evaluation, evaluate
from ...evaluation.runner import check_running
from ...model.layers import Rectifier
from ...model.memory import MEMORY_MB
from ...networks.edits import check_unedited
from ...networks.native import NativeSettings
from ...networks.network import ConvNetwork, described
from ...neurons.integrate_and_fire import IntegrateAndFire
from ..error_bounds import activity_bounds, quantization_bound, why_unbounded
from .decomposition import Decomposition
from .findings import OF_STEPS, find
from .responses import ChargeResponse

MORE_STEPS = (1, 2, 4, 8)


@dataclasses.dataclass(frozen=True, eq=False)
class LayerDiagnosis:
    """What one layer of neurons makes of its activations.

    Errors are root mean squares over all neurons and images, as a share of that of the ANN's activations.

    Attributes
    ----------
    name : str
    n_neurons : int
    error : float
        Of the firing rates against the ANN's activations.
    causes : dict of str to float
        The part of it that arises in this layer, cause by cause: the change from the rectifier, applied to what really
        drove the neurons, to what they emitted.  "clipping": more than a neuron can emit; "response": a type whose
        response is not the rectifier; "quantisation": whole spikes in a number of steps; "transient": an input that was
        another one in the first half of the run; and the rest, which is "unevenness": spikes that came in bursts, or
        "reset": charge that a reset to zero threw away, or "synapse": spikes that were held back between layers.
    points : dict of str to float
        Accuracy in percentage points that is lost by each cause, if the ANN went on behind it without error.
    accuracy : float
        What is left when the ANN goes on with the firing rates of this layer.
    level : float
        The 99.9th percentile of the ANN's positive activations; about 1 in a layer that was normalised.
    largest_output : float
        The most that its neurons can emit, in activations.
    silent, dead, saturated : float
        Share of neurons that are not active in the ANN for any image; of those that are, but never spike; share of
        activations that are as large as neurons can emit.
    bound : float or None
        The largest error that theory allows any of its neurons, against activations clipped at ``largest_output``
        (:func:`nengo_snnconv.error_bounds`); None where it does not hold.
    own_bound : float or None
        The part of it that the layer adds by itself: quantisation.
    largest_error : float
        The largest one that was measured.
    pairs : ndarray, (n, 2)
        Activations in the ANN and firing rates, in the same unit, of randomly chosen neurons and images.
    """

    name: str
    n_neurons: int
    error: float
    causes: dict
    points: dict
    accuracy: float
    level: float
    largest_output: float
    silent: float
    dead: float
    saturated: float
    bound: float
    own_bound: float
    largest_error: float
    pairs: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Diagnosis:
    """What :func:`diagnose` found.

    Attributes
    ----------
    network : ConvNetwork
    evaluation : Evaluation
    max_loss : float
        Percentage points that may be lost.
    layers : dict of str to LayerDiagnosis
        In order.
    input_points, readout_points : float
        Accuracy in percentage points that the spikes of the input cost, and the read-out by output spikes.
    input_error : float
        Root mean square of the error of Poisson input, as a share of that of the image; 0 for constant current.
    largest_input : float
        The largest pixel.
    output_level : float
        The 99.9th percentile of the ANN's positive outputs.
    foreseen : dict
        Accuracy after numbers of steps (int) if no layer's input changed over time, and so after as many steps as now
        with a start at half the threshold ("half"), where neurons are integrate-and-fire; estimated from 200 images.
    late_accuracy : float
        That of the class scores of the second half of the steps alone.
    starts : (float, float) or None
        Lowest and highest membrane potential at the start, in thresholds, of integrate-and-fire neurons.
    skip_steps : int
    """

    network: ConvNetwork
    evaluation: Evaluation
    max_loss: float
    layers: dict
    input_points: float
    readout_points: float
    input_error: float
    largest_input: float
    output_level: float
    foreseen: dict
    late_accuracy: float
    starts: tuple
    skip_steps: int

    @property
    def n_steps(self):
        return self.evaluation.n_steps

    @property
    def ann_accuracy(self):
        return self.evaluation.ann_accuracy

    @property
    def accuracy(self):
        """After the last step."""
        return float(self.evaluation.accuracy[-1])

    @property
    def loss_points(self):
        """Accuracy lost by spiking, in percentage points."""
        return self.evaluation.loss_points

    @property
    def chance(self):
        """Accuracy of guessing one class of those in the network's output."""
        return 1 / self.network.model.size(self.network.model.output)

    @property
    def near_chance(self):
        """Accuracy below which an ANN is taken to guess."""
        return self.chance + 0.1 * (1 - self.chance)

    @property
    def keeps_charge(self):
        """Whether neurons integrate all of their input, and lose none of it."""
        neuron_type = self.network.settings.neuron_type
        subtracts = isinstance(neuron_type, IntegrateAndFire) and neuron_type.reset == "subtract"
        return subtracts and neuron_type.min_potential == -np.inf

    @functools.cached_property
    def findings(self):
        """What is wrong, a list of Finding, the one to mend first at the front."""
        return find(self)

    @property
    def healthy(self):
        """Whether nothing is wrong."""
        return not self.findings

    @property
    def remedy(self):
        """The one change that would help most: the Remedy of the first finding; None for a healthy network."""
        return self.findings[0].remedy if self.findings else None

    @property
    def first_failing(self):
        """Name of the first layer from which on more accuracy is lost than may be; None if there is none."""
        allowed = self.ann_accuracy - self.max_loss / 100 - 1e-9
        left = {self.network.model.input: self.ann_accuracy - self.input_points / 100}
        left |= {name: layer.accuracy for name, layer in self.layers.items()}
        failing = list(itertools.takewhile(lambda name: left[name] < allowed, reversed(left)))
        return failing[-1] if failing else None

    def points(self, names=None):
        """Accuracy in percentage points that each cause costs in all layers together: {cause: points}.

        "steps" is what vanishes as a run gets longer: quantisation, transient and unevenness.  With Poisson input,
        whose spikes come unevenly by themselves, the last two are among those of "input", if neurons lose no charge.

        Parameters
        ----------
        names : sequence of str, optional
            Count these layers only; input and read-out in any case.
        """
        points = collections.Counter()
        for name in self.layers if names is None else names:
            for cause, lost in self.layers[name].points.items():
                inputs = self.evaluation.input_layer and self.keeps_charge and cause in ("transient", "unevenness")
                points["input" if inputs else "steps" if cause in OF_STEPS else cause] += lost
        points["input"] += self.input_points
        points["synapse" if self.network.settings.synapse is not None else "readout"] += self.readout_points
        return dict(points)

    def error_of(self, cause):
        """The local error by one cause, mean over layers."""
        return float(np.mean([layer.causes.get(cause, 0) for layer in self.layers.values()]))

    def where(self, cause):
        """The layer in which a cause costs most accuracy; for what concerns all layers, the first one that fails."""
        if cause == "input":
            return self.network.model.input
        if cause == "readout":
            return self.network.model.output
        worst = max(self.layers.values(), key=lambda layer: (layer.points.get(cause, 0), layer.causes.get(cause, 0)))
        if cause == "clipping" or self.first_failing not in self.layers:
            return worst.name
        return self.first_failing

    def summary(self):
        """The findings and the table of layers as text."""
        remark = (
            "errors in % of the ANN's activity, root mean square; in brackets what they do to the accuracy, in points"
        )
        return "\n".join([*self.sentences(), "", text_table(self.rows()), remark])

    def sentences(self):
        """The findings as a list of str."""
        ann, spikes, lost = 100 * self.ann_accuracy, 100 * self.accuracy, self.loss_points
        change = f"{lost:.2f} points lost" if lost >= 0 else f"{-lost:.2f} points gained"
        lines = [
            f"{ann:.2f} % as an ANN, {spikes:.2f} % with spikes after {self.n_steps} steps: {change} on "
            f"{len(self.evaluation.y):,} images"
        ]
        if self.healthy:
            lines.append("healthy: no more is lost than may be, and no layer makes a large error of its own")
        for finding in self.findings:
            cost = f", {finding.points:.2f} points" if finding.points > 0 else ""
            lines.append(f"{finding.layer}: {finding.cause}{cost}: {finding.text}")
        if self.first_failing:
            lines.append(f"the first layer that fails: {self.first_failing}")
        if self.remedy:
            lines.append(f"what would help most: {self.remedy.text}")
        return lines

    def rows(self):
        """The table of layers: a header, then for each layer its figures as text."""
        causes = [c for c in _CAUSES if any(c in layer.causes for layer in self.layers.values())]
        header = ["layer", "accuracy", "error", *causes, "level", "dead", "saturated", "largest error", "bound"]
        rows = [tuple(header)]
        if self.evaluation.input_layer:
            left = f"{100 * self.ann_accuracy - self.input_points:.2f} %"
            name, error = self.network.model.input, f"{100 * self.input_error:.1f} %"
            rows.append((name, left, error, *[""] * (len(header) - 3)))
        for layer in self.layers.values():
            parts = [f"{100 * layer.causes.get(c, 0):.1f} % ({-layer.points.get(c, 0) + 0.0:+.1f})" for c in causes]
            bound = "" if layer.bound is None else f"{layer.bound:.3g}"
            rows.append(
                (
                    layer.name,
                    f"{100 * layer.accuracy:.2f} %",
                    f"{100 * layer.error:.1f} %",
                    *parts,
                    f"{layer.level:.3g}",
                    f"{100 * layer.dead:.1f} %",
                    f"{100 * layer.saturated:.1f} %",
                    f"{layer.largest_error:.3g}",
                    bound,
                )
            )
        return rows

    def to_dict(self):
        """The figures as JSON-serialisable values."""
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
                    "remedy": finding.remedy.text,
                    "code": finding.remedy.code,
                }
                for finding in self.findings
            ],
            "layers": {
                name: {field: getattr(layer, field) for field in (*fields, "own_bound", "largest_error")}
                for name, layer in self.layers.items()
            },
            "points": self.points(),
            "foreseen": {str(key): value for key, value in self.foreseen.items()},
            "evaluation": self.evaluation.to_dict(),
        }

    def plot(self, axes=None):
        """Draw activations against firing rates and the causes, layer by layer; returns the matplotlib axes."""
        from ...plots import plot_diagnosis

        return plot_diagnosis(self, axes)


_CAUSES = ("clipping", "response", "quantisation", "transient", "unevenness", "reset", "synapse")


def diagnose(
    network,
    x,
    y,
    *,
    n_steps=30,
    max_loss=1.0,
    skip_steps=0,
    backend=None,
    minibatch_size=None,
    memory_mb=MEMORY_MB,
    dt=0.001,
    progress=None,
):
    """Run a converted network with spikes, and say where its accuracy goes, why, and what would help.

    The loss is split exactly.  The ANN is given the firing rates that were measured up to some layer, and goes on
    behind it without error; within a layer the output of the neurons is built up from the rectifier, cause by cause.
    Accuracy goes in steps from the ANN's to that with spikes, and each step belongs to one layer and one cause.

    Costs the evaluation and some passes through the ANN for each layer.

    Parameters
    ----------
    network : ConvNetwork
        Made by ``to_spiking``.
    x : ndarray, (images, height, width, channel)
        Some hundred images will do.
    y : ndarray, (images,)
        Class numbers.
    n_steps : int
        Time steps for which each image is shown.
    max_loss : float
        Percentage points that may be lost; a network that loses no more is healthy, if none of its layers is far from
        the ANN.
    skip_steps, backend, minibatch_size, memory_mb, dt, progress
        As for :func:`evaluate`.

    Returns
    -------
    Diagnosis

    Raises
    ------
    ConversionError
        If the network was not made by ``to_spiking``.
    SettingsError
        If an argument cannot work, or the data do not fit the network.
    """
    if not (isinstance(network, ConvNetwork) and isinstance(network.settings, NativeSettings)):
        raise ConversionError(
            f"diagnose takes a network that to_spiking made of one from convert, got {described(network)}"
        )
    check_unedited(network)
    if not network.settings.neuron_type.spiking:
        raise ConversionError("the network has rates instead of spikes, which lose nothing: call to_spiking first")
    if not is_number(max_loss) or not 0 <= max_loss < np.inf:
        raise SettingsError(f"max_loss must be a number of percentage points from 0 up, got {shown(max_loss)}")
    if not any(isinstance(layer, Rectifier) for layer in network.model.layers.values()):
        raise ConversionError("the network has no rectifier, so no neurons: there is nothing to diagnose")
    check_run(n_steps, skip_steps, dt)
    check_running(backend=backend, minibatch_size=minibatch_size, memory_mb=memory_mb)
    check_progress(progress)
    x, y = check_data(network.model, x, y)
    watch = Decomposition(network, x, y, [n_steps * factor for factor in MORE_STEPS], memory_mb)
    evaluation = evaluate(
        network,
        x,
        y,
        n_steps=n_steps,
        backend=backend,
        skip_steps=skip_steps,
        minibatch_size=minibatch_size,
        memory_mb=memory_mb,
        dt=dt,
        progress=progress,
        watch=watch,
    )
    watch.finish()
    return _diagnosis(network, evaluation, watch, max_loss)


def _diagnosis(network, evaluation, watch, max_loss):
    n_images = len(evaluation.y)
    bounds, own = {}, None
    if not why_unbounded(network):
        run = {"n_steps": evaluation.n_steps, "skip_steps": watch.skip_steps, "dt": evaluation.dt}
        bounds, own = activity_bounds(network, **run), quantization_bound(network, **run)
    layers, right = {}, watch.right["input"]
    for name, sums in watch.layers.items():
        points = {}
        for cause, count in sums.right.items():
            points[cause], right = 100 * (right - count) / n_images, count
        layers[name] = _layer(name, sums, points, right / n_images, watch.responses[name], bounds.get(name), own)
    share = watch.input_squares["error"] / max(watch.input_squares["activation"], 1e-30)
    return Diagnosis(
        network=network,
        evaluation=evaluation,
        max_loss=max_loss,
        layers=layers,
        input_points=100 * (watch.right["ann"] - watch.right["input"]) / n_images,
        readout_points=100 * (right / n_images - float(evaluation.accuracy[-1])),
        input_error=float(np.sqrt(share)),
        largest_input=float(np.abs(watch.x).max()),
        output_level=float(watch.output_level.percentile(99.9)[0]),
        foreseen={key: evaluation.ann_accuracy + more / watch.n_foreseen for key, more in watch.foreseen.items()},
        late_accuracy=watch.right["late"] / n_images,
        starts=_range_of_starts(watch.responses.values()),
        skip_steps=watch.skip_steps,
    )


def _range_of_starts(responses):
    """Lowest and highest start of integrate-and-fire neurons, in thresholds; None for others."""
    starts = [response.start for response in responses if isinstance(response, ChargeResponse)]
    return (float(min(s.min() for s in starts)), float(max(s.max() for s in starts))) if starts else None


def _layer(name, sums, points, accuracy, response, bound, own_bound):
    activity = max(sums.squares["activation"], 1e-30)
    return LayerDiagnosis(
        name=name,
        n_neurons=sums.active.size,
        error=float(np.sqrt(sums.squares["error"] / activity)),
        causes={cause: float(np.sqrt(sums.squares[cause] / activity)) for cause in points},
        points=points,
        accuracy=accuracy,
        level=float(sums.level.percentile(99.9)[0]),
        largest_output=float(response.largest),
        silent=float((~sums.active).mean()),
        dead=float((sums.active & ~sums.spiked).mean()),
        saturated=sums.n_saturated / max(sums.n_active, 1),
        bound=None if bound is None else float(bound.max()),
        own_bound=own_bound,
        largest_error=sums.largest_error,
        pairs=np.concatenate(sums.pairs),
    )
