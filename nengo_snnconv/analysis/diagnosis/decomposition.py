"""Decomposition: the loss of accuracy, divided among layers and causes.

Activations are computed in a mixture of the spiking network and its ANN: up to some layer they are the measured firing
rates, after it the ANN computes exactly.  As this border moves from the input to the output, layer by layer and within
a layer cause by cause, the accuracy changes from that of the ANN to that of the spiking network.  Each change is
the loss due to one layer and one cause, and the changes add up to the whole loss.
"""

from __future__ import annotations

import collections
import itertools
import typing
from collections.abc import Callable, Sequence

import numpy as np

from ...conversion.histograms import Histogram
from ...model.connectivity import maxima_over
from ...model.memory import MEMORY_MB, bytes_of_all, images_together
from ...networks.trainable_settings import TrainableConfig
from .maxima_of_spikes import MaximaOfSpikes
from .partial_ann import PartialANN
from .responses import ChargeResponse, Response, response_of, response_of_trained

if typing.TYPE_CHECKING:
    from ...evaluation.task import Task
    from ...networks.network import ConvNetwork

# largest batch; number of images for predictions; number of pairs (activation, rate) of each layer
BATCH, PREDICTION_IMAGES, PAIRS = 100, 200, 2000


class LayerSums:
    """Sums over images for one layer of neurons.

    Attributes
    ----------
    squares : Counter
        Sums of squares of the ANN's activations ("activation"), of the error of firing rates ("error"), and of the
        change by each cause.
    n_correct : Counter
        Sum of the scores of images after each cause, in order: the number of correctly classified images.
    active, spiked : ndarray of bool
        Neurons that are active in the ANN for any image, and neurons that spike for any image.
    level : Histogram
        Positive activations of the ANN.
    n_active, n_saturated : int
        Number of positive activations, and of those at the largest output of the neurons.
    largest_error : float
        Largest difference between firing rate and clipped activation.
    pairs : list of ndarray, (n, 2)
        Activations and firing rates of random neurons and images.
    """

    def __init__(self, shape: tuple[int, ...]):
        self.squares: collections.Counter = collections.Counter()
        self.n_correct: collections.Counter = collections.Counter()
        self.active, self.spiked = np.zeros(shape, bool), np.zeros(shape, bool)
        self.level = Histogram(1)
        self.n_active = self.n_saturated = 0
        self.largest_error = 0.0
        self.pairs: list[np.ndarray] = []


class Decomposition:
    """Observer of an evaluation that divides the loss of accuracy among layers and causes.

    Parameters
    ----------
    network : ConvNetwork
    x : ndarray, (images, height, width, channel)
    task : Task
        Task of the images, with the predictions of the ANN.
    more_steps : sequence of int
        Numbers of steps for which to predict the accuracy, assuming that the input of each layer is constant in time.
    memory_mb : float
        Approximate memory for the activations of a batch.

    Attributes
    ----------
    n_correct : Counter
        Sums of the scores of images: by the ANN ("ann"), by the ANN with the measured input ("input"), and by the
        spikes of the second half of the steps ("late").
    layers : dict of str to LayerSums
    n_predicted : int
        Number of images in ``predicted_gain``.
    predicted_gain : Counter
        Predicted sum of the scores of images minus that of the ANN, for numbers of steps, and for an initial
        potential of half the threshold ("half"); empty for neurons other than integrate-and-fire.
    output_level : Histogram
        Positive outputs of the ANN.
    input_squares : Counter
        Sums of squares of the input ("activation") and of the error of its spikes ("error").
    """

    def __init__(
        self,
        network: ConvNetwork,
        x: np.ndarray,
        task: Task,
        more_steps: Sequence[int],
        memory_mb: float = MEMORY_MB,
    ):
        self.network, self.model, self.x, self.task, self.more_steps = network, network.model, x, task, more_steps
        self.output_level = Histogram(1)
        self.input_squares: collections.Counter = collections.Counter()
        self.neurons = self.model.neurons
        self.ann, self.trained = PartialANN(network), isinstance(network.settings, TrainableConfig)
        self.layers = {name: LayerSums(self.model.shapes[name]) for name in self.neurons}
        self.responses: dict[str, Response] = {}
        self.n_correct: collections.Counter = collections.Counter()
        self.predicted_gain: collections.Counter = collections.Counter()
        self.n_predicted, self.rng = 0, np.random.default_rng(0)
        # activations of three passes are held at a time; MEMORY_MB is enough for BATCH images of the presets
        self.batch = images_together(3 * bytes_of_all(self.model), memory_mb, most=BATCH)
        self.pending: list[tuple[np.ndarray, dict]] = []  # indices and sums of images that are not processed yet

    def begin(self, runner: typing.Any) -> None:
        """Receive the runner before the first chunk of the simulation."""
        self.runner, self.n_steps, self.skip_steps = runner, runner.n_steps, runner.skip_steps
        self.half = (self.n_steps + self.skip_steps) // 2
        self.times = sorted({0, self.skip_steps, self.half, self.n_steps})
        self.maxima = MaximaOfSpikes(self.network, runner.dt)
        self.initial_potentials = {name: runner.simulator.initial_potential(name) for name in self.neurons}

    def see(self, images: slice, steps: range, output: np.ndarray, _: typing.Any, activity: dict) -> None:
        """Add a chunk of the simulation to the sums until each of ``times``."""
        emitted = {"scores": output, **{name: values for name, values in activity.items() if self._is_needed(name)}}
        emitted |= self.maxima.of(activity, is_first=steps.start == 0)
        if steps.start == 0:
            self.partial_sums = {name: dict.fromkeys(self.times, 0.0) for name in emitted}
        for before, time in itertools.pairwise([0, *self.times]):
            inside = slice(max(before - steps.start, 0), max(time - steps.start, 0))
            for name, values in emitted.items():
                self.partial_sums[name][time] = self.partial_sums[name][time] + values[:, inside].sum(axis=1)
        if steps.stop == self.n_steps:
            totals = {name: list(itertools.accumulate(sums.values())) for name, sums in self.partial_sums.items()}
            sums = {time: {name: total[i] for name, total in totals.items()} for i, time in enumerate(self.times)}
            self.pending.append((np.arange(len(self.x))[images], sums))
            if sum(len(indices) for indices, _ in self.pending) >= self.batch:
                self.finish()

    def _is_needed(self, name):
        return name in self.layers or name == self.model.input

    def finish(self) -> None:
        """Process the pending images."""
        if not self.pending:
            return
        images = np.concatenate([indices for indices, _ in self.pending])
        for first in range(0, len(images), self.batch):
            batch = slice(first, first + self.batch)
            self._process(self.x[images[batch]], images[batch], self._pending_sums(batch))
        self.pending = []

    def _pending_sums(self, batch):
        chunks = [sums for _, sums in self.pending]
        return {
            time: {name: np.concatenate([sums[time][name] for sums in chunks])[batch] for name in chunks[0][time]}
            for time in self.times
        }

    def _process(self, x, images, sums):
        """Move the border between spikes and ANN from the input to the output, for a batch of images."""
        scores = {time: sums[time].pop("scores") for time in sums}
        rates = self._rates(x, sums, self.skip_steps, self.n_steps)
        ann = self.ann.run({self.model.input: x})
        with_rates = self.ann.run(rates)
        early = self.ann.run(self._rates(x, sums, 0, self.half))
        if not self.responses:
            self.responses = {name: self._response(name, with_rates) for name in self.neurons}
        clipped = ann
        if not self.trained:  # the rates of trained networks have no limit but their own
            clipped = self.ann.run(self._before_neurons(ann), lambda name, z: self.responses[name].clipped(z))
        with_input = self.ann.run({self.model.input: rates[self.model.input]}) if self.runner.input_spikes else ann
        output = with_input[self.model.output]
        self.n_correct["ann"] += self._score(ann[self.model.output], images)
        self.n_correct["input"] += self._score(output, images)
        late = (scores[self.n_steps] - scores[self.half]) / max(self.n_steps - self.half, 1)
        self.n_correct["late"] += float(self.task.output_scores(late, images).sum())
        for name in self.neurons:
            output = self._process_layer(name, with_rates, early, rates[name], output, images)
            self._add_sums(self.layers[name], self.responses[name], ann[name].numpy(), rates[name], clipped[name])
        self._predict(self._before_neurons(with_input), ann[self.model.output], images)
        self._add_input_and_output(x, rates[self.model.input], ann[self.model.output].numpy())

    def _before_neurons(self, values):
        """Return the values of the layers before the first layer of neurons."""
        return dict(itertools.takewhile(lambda item: item[0] != self.neurons[0], values.items()))

    def _process_layer(self, name, with_rates, early, rates, output, images):
        """Move the border through one layer, cause by cause.

        ``output`` is the output of the ANN for the border before the layer; returns that for the border after it.
        """
        layer, response = self.layers[name], self.responses[name]
        current = self._current(name, with_rates)
        levels = self.network.model.layers[name].levels
        before = exact = self.ann.activation(name, current)
        pools = maxima_over(self.model, name)
        stages = response.stages(current, self._current(name, early), self.n_steps, self.skip_steps)
        for cause, after in itertools.chain(stages, [(response.remaining_cause, rates)]):
            if cause == "clipping" and levels is not None:
                after = before  # a rectifier with levels clips already
            change = after - before
            if change.any():
                layer.squares[cause] += float(np.vdot(change, change))
                chosen = {pool: self.ann.passed_on(pool, after, exact) for pool in pools}
                output = self.ann.output_from(name, after, with_rates, chosen)
            layer.n_correct[cause] += self._score(output, images)
            before = after
        if pools:
            for pool in pools:
                change = (with_rates[pool] - self.ann.passed_on(pool, rates, exact)).numpy()
                layer.squares["maxima"] += float(np.vdot(change, change))
            output = self.ann.output_from(name, rates, with_rates, {pool: with_rates[pool] for pool in pools})
            layer.n_correct["maxima"] += self._score(output, images)
        return output

    def _add_sums(self, layer, response, ann, rates, clipped):
        layer.squares["activation"] += float(np.vdot(ann, ann))
        layer.squares["error"] += float(np.vdot(rates - ann, rates - ann))
        layer.active |= (ann > 0).any(axis=0)
        layer.spiked |= (rates > 0).any(axis=0)
        layer.n_active += int((ann > 0).sum())
        layer.n_saturated += int(((ann > 0) & (rates >= 0.99 * response.largest)).sum())
        layer.level.add(ann, np.zeros(ann.shape[1:], int))
        layer.largest_error = max(layer.largest_error, float(np.abs(rates - clipped).max()))
        pairs = np.stack([ann.ravel(), rates.ravel()], axis=1)
        pairs = pairs[pairs.any(axis=1)]
        n_pairs = min(len(pairs), -(-PAIRS * len(ann) // len(self.x)))
        layer.pairs.append(pairs[self.rng.choice(len(pairs), n_pairs, replace=False)])

    def _add_input_and_output(self, x, rates, output):
        self.output_level.add(output, np.zeros(output.shape[1:], int))
        self.input_squares["activation"] += float(np.vdot(x, x))
        self.input_squares["error"] += float(np.vdot(rates - x, rates - x))

    def _score(self, output, images):
        """Return the sum of the scores of images for an output of the ANN: the number of correctly classified ones."""
        return float(self.task.output_scores(np.asarray(output) * self.model.output_scale, images).sum())

    def _predict(self, known, ann_output, images):
        """Add scores of images as if the input of every layer were constant in time."""
        integrate = all(isinstance(response, ChargeResponse) for response in self.responses.values())
        if not integrate or self.n_predicted >= PREDICTION_IMAGES:
            return
        self.n_predicted += len(images)

        def predict(key, mean_output: Callable):
            values = self.ann.run(known, lambda name, current: mean_output(self.responses[name], current))
            gain = self._score(values[self.model.output], images) - self._score(ann_output, images)
            self.predicted_gain[key] += gain

        for n_steps in self.more_steps:
            skip = min(self.skip_steps, n_steps - 1)
            predict(n_steps, lambda response, z, n=n_steps, skip=skip: response.mean_output(z, n, skip))
        predict("half", lambda response, z: response.mean_output_from_half(z, self.n_steps))

    def _rates(self, x, sums, first, last):
        """Return the mean output of the input and each layer of neurons in the steps from ``first`` to ``last``."""
        rates = {self.model.input: x}
        for name in sums[last]:
            mean = (sums[last][name] - sums[first][name]) / max(last - first, 1)
            rates[name] = mean.reshape(-1, *self.model.shapes[name]).astype(np.float32)
        if self.runner.input_spikes:
            # the runner counts spikes; their height is the input threshold, their sign that of the image
            counts = rates[self.model.input] * (self.runner.dt / self.runner.amplitude)
            rates[self.model.input] = np.sign(x) * counts * np.float32(self.network.settings.input_threshold)
        return rates

    def _response(self, name, with_rates):
        current = self._current(name, with_rates)
        potential = self.initial_potentials[name]
        potential = None if potential is None else potential.reshape(self.model.shapes[name])
        settings, run = self.network.settings.of_layer(self.model, name), (self.runner.dt, potential)
        if self.trained:
            response = response_of_trained(settings, self.model, name, *run, current)
        else:
            response = response_of(settings, *run, current.min(), 1.5 * current.max())
        if settings.synapse is not None:
            response.remaining_cause = "synapse"
        return response

    def _current(self, name, values):
        """Return the input current of a layer of neurons."""
        return values[self.model.layers[name].inputs[0]].numpy()
