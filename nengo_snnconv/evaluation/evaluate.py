"""evaluate: a network's accuracy after every time step, its spikes and its operations."""

import dataclasses

import numpy as np
from nengo.params import Default

from .._util.validation import check_classes, check_progress, check_whole
from ..evaluation.inputs import Images, as_inputs
from ..model import connectivity
from ..model.input_range import warn_of_range
from ..model.memory import MEMORY_MB
from ..networks.network import check_network
from ..networks.rate_model import outputs_of, prediction_batch, rate_model
from . import metrics
from .counts import tally_of
from .runner import check_running, run_length
from .synaptic_operations import operations_of, passed_operations


@dataclasses.dataclass(frozen=True, eq=False)
class LayerActivity:
    """What the neurons of one layer did, over all images of an evaluation.

    Attributes
    ----------
    name : str
    n_neurons : int
    spikes_per_neuron : float
        Spikes of a neuron per image, over the whole run.
    rates_hz : ndarray, (neurons,)
        Mean firing rate of each neuron.
    spikes_per_step : ndarray, (steps,)
        Spikes of the whole layer per image in each step.
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
    def rate_hz(self):
        """Mean firing rate of the layer's neurons."""
        return float(self.rates_hz.mean())

    @property
    def silent(self):
        """Share of the neurons that never spiked for any image."""
        return float((self.rates_hz == 0).mean())


@dataclasses.dataclass(frozen=True, eq=False)
class Evaluation:
    """What :func:`evaluate` found.

    Attributes
    ----------
    accuracy : ndarray, (steps,)
        Share of right predictions after each step.
    ann_accuracy : float or None
        That of the rate network in one step: the ANN, which sees the mean of what moves.  None for networks without
        rates, which were trained through time.
    step_predictions : ndarray, (steps, images)
        Class with the largest score after each step; of equal scores the first.
    ann_predictions : ndarray, (images,), or None
    scores : ndarray, (images, classes)
        Class scores after the last step, or outputs of a regression, in the units of the model that was converted.
    y : ndarray, (images,)
    layers : dict of str to LayerActivity
        Of the spiking layers, in order; empty for a network of rates.
    input_layer : LayerActivity or None
        Of an input that spikes, or of frames, whose pixels count in each step in which they are not zero; None for
        constant current.
    passed_operations : dict of str to float
        Additions per image of what is passed on: by maxima, where each output but zero counts, in each step, and by
        neurons whose spikes are sent again in later stages of time to first spike ("<name> again").
    ann_operations : int
        Multiply-accumulate operations of the ANN for one image.
    input_operations : int
        Those of them that the image itself causes.  As constant current it is no spike, so they are needed with
        spikes too, once; 0 for an input of spikes or frames, whose additions are synaptic operations.
    seconds, build_seconds : float
        Wall time of the simulation, and of building it.
    dt : float
        Seconds per step.
    backend : str
    moving : bool
        Whether what was shown changed from step to step.
    arguments : dict
        Those of :func:`evaluate` that had a say in the figures, but for network, x and y, as they were used.
    """

    accuracy: np.ndarray
    ann_accuracy: float
    step_predictions: np.ndarray
    ann_predictions: np.ndarray
    scores: np.ndarray
    y: np.ndarray
    layers: dict
    input_layer: LayerActivity
    passed_operations: dict
    ann_operations: int
    input_operations: int
    seconds: float
    build_seconds: float
    dt: float
    backend: str
    moving: bool = False
    arguments: dict = dataclasses.field(default_factory=dict)

    @property
    def n_steps(self):
        return len(self.accuracy)

    @property
    def predictions(self):
        """Class after the last step, (images,)."""
        return self.step_predictions[-1]

    @property
    def loss_points(self):
        """Accuracy lost by spiking, in percentage points: that of the ANN less that after the last step; or None."""
        if self.ann_accuracy is None:
            return None
        return 100 * float(self.ann_accuracy - self.accuracy[-1])

    @property
    def spikes_per_neuron(self):
        """Spikes of a neuron per image over the whole run, mean over all neurons; None for a network of rates.

        The input and output neurons are not among them.
        """
        n_neurons = sum(layer.n_neurons for layer in self.layers.values())
        spikes = sum(layer.spikes_per_neuron * layer.n_neurons for layer in self.layers.values())
        return spikes / n_neurons if n_neurons else None

    @property
    def other_operations(self):
        """Additions per image that are not those of spikes where they arise: the sum of ``passed_operations``."""
        return sum(self.passed_operations.values())

    @property
    def synaptic_operations(self):
        """Additions that spikes cause, per image; None for a network of rates."""
        if not self.layers:
            return None
        layers = [*self.layers.values(), *([self.input_layer] if self.input_layer else [])]
        return self.other_operations + sum(layer.synaptic_operations for layer in layers)

    def confusion(self, step=-1):
        """Confusion matrix after a step (-1: the last): (classes, classes), rows true, columns predicted."""
        check_whole(-self.n_steps, self.n_steps - 1, step=step)
        return metrics.confusion_matrix(self.y, self.step_predictions[step], self.scores.shape[1])

    def to_dict(self):
        """The figures as JSON-serialisable values."""
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
        return {
            "images": len(self.y),
            "moving": self.moving,
            "n_steps": self.n_steps,
            "dt": self.dt,
            "backend": self.backend,
            "accuracy": [float(value) for value in self.accuracy],
            "ann_accuracy": self.ann_accuracy,
            "loss_points": self.loss_points,
            "confusion": self.confusion().tolist(),
            "spikes_per_neuron": self.spikes_per_neuron,
            "synaptic_operations": self.synaptic_operations,
            "ann_operations": self.ann_operations,
            "input_operations": self.input_operations,
            "input_spikes_per_neuron": self.input_layer.spikes_per_neuron if self.input_layer else None,
            "seconds": self.seconds,
            "build_seconds": self.build_seconds,
            "layers": layers,
        }

    def summary(self):
        """The figures as text, a line each."""
        item, picture = ("recording", "frame") if self.moving else ("image", "image")
        rows = [
            (f"{item}s", f"{len(self.y):,}"),
            (f"accuracy after {self.n_steps} steps", f"{100 * self.accuracy[-1]:.2f} %"),
        ]
        if self.ann_accuracy is not None:
            rows.insert(1, ("accuracy with rates (ANN)", f"{100 * self.ann_accuracy:.2f} %"))
            rows.append(("loss from spiking", f"{self.loss_points:.2f} points"))
        if self.layers:
            rows += [
                ("spikes per neuron", f"{self.spikes_per_neuron:.3f}"),
                ("synaptic operations", f"{self.synaptic_operations:,.0f} per {item}"),
                (
                    "multiply-accumulates, ANN",
                    f"{self.ann_operations:,} per {picture}, {self.input_operations:,} for its input",
                ),
            ]
        else:
            rows.append(("neurons", "give rates: to_spiking makes networks that spike"))
        if self.input_layer:
            rows.append(("spikes per input", f"{self.input_layer.spikes_per_neuron:.3f}"))
        rows.append(("simulation", f"{self.seconds:.1f} s on {self.backend}"))
        return "\n".join(f"{name:<26} {value}" for name, value in rows)

    def plot(self, axes=None):
        """Draw accuracy after each step beside the ANN's; returns the matplotlib axes."""
        from ..plots import plot_accuracy

        return plot_accuracy(self, axes)


def evaluate(
    network,
    x,
    y,
    *,
    n_steps=None,
    backend=None,
    synapse=Default,
    skip_steps=0,
    minibatch_size=None,
    memory_mb=MEMORY_MB,
    dt=0.001,
    precision="float32",
    threads=None,
    progress=None,
    watch=None,
):
    """Run a network on images and see how it did, after every step and beside its rate network (the ANN).

    Time is streamed in chunks, so memory does not grow with ``n_steps``.

    Parameters
    ----------
    network : ConvNetwork
    x : ndarray, (images, height, width, channel), or Recordings or Inputs
        Also frames, (items, steps, height, width, channel); recordings, which become ``n_steps`` frames of equally many
        events; or Inputs, such as ``EventFrames`` or your own.
    y : ndarray, (images,)
        Class numbers.
    n_steps : int, optional
        Time steps for which each image is shown: by default as many as ``x`` has, as the network was trained through,
        or 30.  Networks made by ``to_ttfs`` know how many they take.
    backend : "fast", "nengo_dl", "nengo" or "loihi", optional
        The simulator.  "fast" is our own, ``nengo_snnconv.Simulator``: the same spikes, many times faster; it computes
        networks made by ``to_ttfs`` in closed form.  nengo, the reference, shows one image after another; it cannot run
        the TensorNodes of networks made by ``build_trainable``.  "loihi" is the emulator of the Loihi chip in
        nengo_loihi, an optional package: ``to_loihi`` says which networks it takes.  By default "fast" where it covers
        the network, else "nengo_dl".
    synapse : float, nengo.synapses.Synapse or None
        Filter through which the class scores are read; None reads each step for itself.  By default, for networks
        made by ``convert``, scores are averaged from the first step on, which is the membrane potential or the number
        of spikes of the output; for others that of the probe "output_filtered".  The filtered value after a step
        contains that step; Nengo's own probes show it one step later.
    skip_steps : int
        Begin the average anew after so many steps, whose spikes come before those of other layers have settled (delayed
        evaluation, Bu, Li & Yu 2025, arXiv 2409.03368).  Helps deep networks.
    minibatch_size : int, optional
        Images that are simulated together; by default as many as fit into ``memory_mb``, and at most 200.  Poisson
        input spikes depend on an image's place among them, by default on its place among 200, however many fit.
    memory_mb : float
        Roughly how much memory activity may take; sets how many images are simulated together, and how many steps are
        a chunk.
    dt : float
        Seconds per step.
    precision : "float32" or "bfloat16"
        Of weights, on the back end "fast"; see :class:`Simulator`.
    threads : int, optional
        Of the back end "fast"; by default as many as the process may use cores.  Networks made by ``to_ttfs`` are then
        simulated step by step.  Other back ends refuse it, as they do a ``precision`` of their own.
    progress : bool, optional
        Show a progress bar; by default where standard error is a terminal.
    watch : object, optional
        Looks on, with the methods ``begin(runner)`` and ``see(*chunk)``, a chunk as ``Runner.run`` yields it.

    Returns
    -------
    Evaluation

    Raises
    ------
    SettingsError
        If an argument cannot work, or the data do not fit the network.
    ConversionError
        If the back end cannot run the network.
    CompatibilityError
        If the back end is "loihi" and nengo-loihi is not installed.
    """
    check_network(network)
    check_progress(progress)
    check_running(
        backend=backend,
        minibatch_size=minibatch_size,
        synapse=synapse,
        memory_mb=memory_mb,
        precision=precision,
        threads=threads,
        dt=dt,
    )
    inputs = as_inputs(network.model, x, n_steps)
    y = check_classes(network.model, len(inputs), y)
    n_steps = run_length(network, n_steps, inputs)
    warn_of_range(network.model, x)
    tally = tally_of(
        network,
        inputs,
        n_steps,
        progress=progress,
        watch=watch,
        backend=backend,
        synapse=synapse,
        skip_steps=skip_steps,
        minibatch_size=minibatch_size,
        memory_mb=memory_mb,
        dt=dt,
        precision=precision,
        threads=threads,
    )
    arguments = {"skip_steps": skip_steps, "precision": precision}
    if minibatch_size is not None:
        arguments["minibatch_size"] = minibatch_size
    if synapse is not Default:
        arguments["synapse"] = synapse
    ann_predictions, moving = predictions_of_ann(network, inputs, memory_mb=memory_mb), inputs.n_steps is not None
    return evaluation_of(network, tally, y, ann_predictions, dt, arguments, moving)


def evaluation_of(network, tally, y, ann_predictions, dt, arguments, moving=False):
    """The Evaluation that a tally of all images gives; sums of integers, so that it is the same for merged tallies.

    Parameters
    ----------
    network : ConvNetwork
        Or anything with a model, whose weights do not matter, and settings.
    tally : Tally
    y : ndarray of int, (images,)
    ann_predictions : ndarray, (images,), or None
    dt : float
    arguments : dict
        Those of ``evaluate`` that say more about how it was run, for reports.
    moving : bool
    """
    model, n_images, n_steps = network.model, len(y), len(tally.step_predictions)
    operations = operations_of(model, tally)
    layers = {
        name: LayerActivity(
            name,
            model.size(name),
            float(counts.mean()) / n_images,
            counts / (n_images * n_steps * dt),
            tally.per_step[name] / n_images,
            operations[name],
        )
        for name, counts in tally.totals.items()
    }
    return Evaluation(
        accuracy=metrics.accuracy(tally.step_predictions, y),
        ann_accuracy=None if ann_predictions is None else float(metrics.accuracy(ann_predictions, y)),
        step_predictions=tally.step_predictions,
        ann_predictions=ann_predictions,
        scores=tally.scores,
        y=y,
        layers={name: layers[name] for name in model.neurons if name in layers},
        input_layer=layers.get(model.input),
        passed_operations=passed_operations(network, tally, operations),
        ann_operations=sum(connectivity.multiply_accumulates(model).values()),
        input_operations=0 if model.input in layers else connectivity.total(connectivity.fan_out(model, model.input)),
        seconds=tally.seconds,
        build_seconds=tally.build_seconds,
        dt=dt,
        backend=tally.backend,
        moving=moving,
        arguments={"n_steps": n_steps, "backend": tally.backend, **arguments, "dt": dt},
    )


def predictions_of_ann(network, inputs, batch_size=None, memory_mb=MEMORY_MB):
    """The classes that the ANN predicts for images, or for the mean of frames over time; None where there is none.

    ``batch_size`` images or recordings go through it together: by default 500, or fewer, as fit into ``memory_mb``.
    """
    if not network.settings.has_rates:
        return None
    if isinstance(inputs, Images) and inputs.n_steps is None:
        return rate_predictions(network, inputs.batch(slice(None)), batch_size, memory_mb)
    batch_size = prediction_batch(network.model, memory_mb) if batch_size is None else batch_size
    rates, starts = rate_model(network), range(0, len(inputs), batch_size)
    batches = (inputs.batch(slice(start, start + batch_size)) for start in starts)
    shown = (batch if inputs.n_steps is None else batch.mean(axis=1) for batch in batches)
    return np.concatenate([outputs_of(rates, images, batch_size).argmax(axis=-1) for images in shown])


def rate_predictions(network, x, batch_size=None, memory_mb=MEMORY_MB):
    """The classes that the rate network, the ANN, predicts in one step: (images,)."""
    batch_size = prediction_batch(network.model, memory_mb) if batch_size is None else batch_size
    return outputs_of(rate_model(network), x, batch_size).argmax(axis=-1)
