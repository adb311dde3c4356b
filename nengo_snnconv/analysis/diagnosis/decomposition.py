"""Decomposition: where accuracy is lost, layer by layer, and how each layer's error splits into its causes.

Activities are followed through the network in a mixture of both worlds.  Up to some layer they are what the spiking
neurons emitted, behind it the ANN computes on with them, exactly.  While the border moves through the layers, and
within a layer through the causes, from the image to the output, accuracy goes in steps from that of the ANN to that
with spikes: each step is what that layer and that cause lose, and the steps add up to the whole loss.
"""

import collections
import itertools

import numpy as np

from ...compat import tf
from ...conversion.histograms import Histogram
from ...model import layers as specs
from ...model.memory import MEMORY_MB, bytes_of_all, images_together
from ...networks.keras_layers import keras_layer
from .responses import ChargeResponse, response_of

# images that are computed together at most, and that tell what more steps would give; pairs of activations of a layer
BATCH, FORESEEING, PAIRS = 100, 200, 2000


class Mixture:
    """The ANN, of which some layers are told what their activity is."""

    def __init__(self, model):
        self.model = model
        self.linear = {
            name: keras_layer(layer, model.arrays_of(name))
            for name, layer in model.layers.items()
            if not isinstance(layer, specs.Input | specs.Rectifier)
        }

    def run(self, known, neurons=None):
        """The activity of every layer, (images, ...), where that of some is ``known``.

        ``neurons(name, current)`` stands in for the rectifiers.
        """
        values = {}
        for name, layer in self.model.layers.items():
            inputs = [values[i] for i in layer.inputs]
            if name in known:
                values[name] = tf.convert_to_tensor(known[name], tf.float32)
            elif isinstance(layer, specs.Rectifier):
                emitted = neurons(name, inputs[0].numpy()) if neurons else tf.nn.relu(inputs[0])
                values[name] = tf.convert_to_tensor(emitted, tf.float32)
            else:
                values[name] = self.linear[name](inputs if len(inputs) > 1 else inputs[0])
        return values

    def behind(self, border, activity, values):
        """The output, where layer ``border`` has an ``activity``, those before it have ``values``."""
        known = dict(itertools.takewhile(lambda item: item[0] != border, values.items()))
        return self.run({**known, border: activity})[self.model.output]


class LayerSums:
    """What is summed up over images for one layer of neurons."""

    def __init__(self, shape):
        self.squares = collections.Counter()
        self.right = collections.Counter()
        self.active, self.spiked = np.zeros(shape, bool), np.zeros(shape, bool)
        self.level = Histogram(1)
        self.n_active = self.n_saturated = 0
        self.largest_error = 0.0
        self.pairs = []


class Decomposition:
    """Looks on while :func:`evaluate` runs a network, and follows activities through it.

    Parameters
    ----------
    network : ConvNetwork
    x : ndarray, (images, height, width, channel)
    y : ndarray, (images,)
    more_steps : sequence of int
        Numbers of steps for which ``foreseen`` tells what constant input to each layer would give.
    memory_mb : float
        That the activity of the images which are followed together may take.

    Attributes
    ----------
    right : Counter
        How many images are classified rightly by the ANN ("ann"), by the ANN of the input as it was ("input"), and with
        the spikes of the second half of the steps only ("late").
    layers : dict of str to LayerSums
        Their ``right`` holds the same for each cause in order.
    foreseen : Counter
        How many of the first ``n_foreseen`` images are right more often than in the ANN for numbers of steps, and for a
        start at half the threshold ("half"); empty for neurons that are not integrate-and-fire.
    output_level : Histogram
        Of the positive outputs of the ANN.
    input_squares : Counter
        Sums of squares of the input ("activation") and of the error of its spikes ("error").
    """

    def __init__(self, network, x, y, more_steps, memory_mb=MEMORY_MB):
        self.network, self.model, self.x, self.y, self.more_steps = network, network.model, x, y, more_steps
        self.output_level, self.input_squares = Histogram(1), collections.Counter()
        self.neurons = self.model.neurons
        self.mixture = Mixture(self.model)
        self.layers = {name: LayerSums(self.model.shapes[name]) for name in self.neurons}
        self.responses, self.right, self.foreseen = None, collections.Counter(), collections.Counter()
        self.n_foreseen, self.rng = 0, np.random.default_rng(0)
        # of the passes whose activity is held at the same time; BATCH images of the presets fit into MEMORY_MB
        self.batch = images_together(3 * bytes_of_all(self.model), memory_mb, most=BATCH)
        self.waiting = []

    def begin(self, runner):
        self.runner, self.n_steps, self.skip_steps = runner, runner.n_steps, runner.skip_steps
        self.half = (self.n_steps + self.skip_steps) // 2
        self.moments = sorted({0, self.skip_steps, self.half, self.n_steps})
        self.starts = {name: runner.simulator.initial_potential(name) for name in self.neurons}

    def see(self, images, steps, output, _, activity):
        """Sum up what was emitted until each moment: after the skipped steps, half of the others, and all."""
        emitted = {"scores": output, **{name: values for name, values in activity.items() if self._matters(name)}}
        if steps.start == 0:
            self.parts = {name: dict.fromkeys(self.moments, 0.0) for name in emitted}
        for before, at in itertools.pairwise([0, *self.moments]):
            inside = slice(max(before - steps.start, 0), max(at - steps.start, 0))
            for name, values in emitted.items():
                self.parts[name][at] = self.parts[name][at] + values[:, inside].sum(axis=1)
        if steps.stop == self.n_steps:
            sums = {name: list(itertools.accumulate(parts.values())) for name, parts in self.parts.items()}
            sums = {at: {name: totals[i] for name, totals in sums.items()} for i, at in enumerate(self.moments)}
            self.waiting.append((np.arange(len(self.x))[images], sums))
            if sum(len(places) for places, _ in self.waiting) >= self.batch:
                self.finish()

    def finish(self):
        """Follow the images that are waiting."""
        if not self.waiting:
            return
        images = np.concatenate([places for places, _ in self.waiting])
        for first in range(0, len(images), self.batch):
            part = slice(first, first + self.batch)
            self._follow(self.x[images[part]], self.y[images[part]], self._waiting_sums(part))
        self.waiting = []

    def _waiting_sums(self, part):
        """The sums of some of the images that are waiting."""
        every = [sums for _, sums in self.waiting]
        return {
            at: {name: np.concatenate([sums[at][name] for sums in every])[part] for name in every[0][at]}
            for at in self.moments
        }

    def _matters(self, name):
        return name in self.layers or name == self.model.input

    def _follow(self, x, y, sums):
        """Follow some images through the mixtures, from the ANN to what the neurons emitted."""
        scores = {at: sums[at].pop("scores") for at in sums}
        rates = self._rates(x, sums, self.skip_steps, self.n_steps)
        ann = self.mixture.run({self.model.input: x})
        image = {self.model.input: rates[self.model.input]}
        actual = self.mixture.run(rates)
        early = self.mixture.run(self._rates(x, sums, 0, self.half))
        if self.responses is None:
            self.responses = {name: self._response(name, actual) for name in self.neurons}
        clipped = self._until_neurons(ann)
        clipped = self.mixture.run(clipped, lambda name, current: self.responses[name].clipped(current))
        fed = self.mixture.run(image) if self.runner.input_spikes else ann
        output = fed[self.model.output]
        self.right["ann"] += _n_right(ann[self.model.output], y)
        self.right["input"] += _n_right(output, y)
        self.right["late"] += _n_right(scores[self.n_steps] - scores[self.half], y)
        for name in self.neurons:
            output = self._follow_layer(name, actual, early, rates[name], output, y)
            self._sum_up(self.layers[name], self.responses[name], ann[name].numpy(), rates[name], clipped[name])
        self._foresee(self._until_neurons(fed), ann[self.model.output], y)
        self._sum_up_ends(x, rates[self.model.input], ann[self.model.output].numpy())

    def _until_neurons(self, values):
        """Those of the layers before the first neurons."""
        return dict(itertools.takewhile(lambda item: item[0] != self.neurons[0], values.items()))

    def _foresee(self, known, ann, y):
        """Count what would be right if the input of every layer did not change over time."""
        integrate = all(isinstance(response, ChargeResponse) for response in self.responses.values())
        if not integrate or self.n_foreseen >= FORESEEING:
            return
        self.n_foreseen += len(y)
        for n_steps in self.more_steps:
            skip = min(self.skip_steps, n_steps - 1)
            self._foresee_one(
                n_steps, known, ann, y, lambda response, z, n=n_steps, skip=skip: response.after(z, n, skip)
            )
        self._foresee_one("half", known, ann, y, lambda response, z: response.from_half(z, self.n_steps))

    def _foresee_one(self, key, known, ann, y, neurons):
        values = self.mixture.run(known, lambda name, current: neurons(self.responses[name], current))
        self.foreseen[key] += _n_right(values[self.model.output], y) - _n_right(ann, y)

    def _sum_up_ends(self, x, rates, output):
        self.output_level.add(output, np.zeros(output.shape[1:], int))
        self.input_squares["activation"] += float(np.vdot(x, x))
        self.input_squares["error"] += float(np.vdot(rates - x, rates - x))

    def _rates(self, x, sums, first, last):
        """What each layer of neurons and the input emitted on average in the steps from ``first`` to ``last``."""
        rates = {self.model.input: x}
        for name in sums[last]:
            mean = (sums[last][name] - sums[first][name]) / max(last - first, 1)
            rates[name] = mean.reshape(-1, *self.model.shapes[name]).astype(np.float32)
        if self.runner.input_spikes:
            # the runner counts spikes; their height and sign are those of the coding and the image
            share = rates[self.model.input] * (self.runner.dt / self.runner.amplitude)
            rates[self.model.input] = np.sign(x) * share * np.float32(self.network.settings.input_threshold)
        return rates

    def _response(self, name, actual):
        current = self._current(name, actual)
        start = self.starts[name]
        start = None if start is None else start.reshape(self.model.shapes[name])
        return response_of(self.network.settings, self.runner.dt, start, current.min(), 1.5 * current.max())

    def _current(self, name, values):
        return values[self.model.layers[name].inputs[0]].numpy()

    def _follow_layer(self, name, actual, early, emitted, output, y):
        """Move the border through one layer, cause by cause, from the ``output`` before to the one that is returned."""
        layer, response = self.layers[name], self.responses[name]
        current = self._current(name, actual)
        before = np.maximum(current, 0)
        stages = response.stages(current, self._current(name, early), self.n_steps, self.skip_steps)
        for cause, after in itertools.chain(stages, [(response.rest, emitted)]):
            change = after - before
            if change.any():
                layer.squares[cause] += float(np.vdot(change, change))
                output = self.mixture.behind(name, after, actual)
            layer.right[cause] += _n_right(output, y)
            before = after
        return output

    def _sum_up(self, layer, response, ann, emitted, clipped):
        layer.squares["activation"] += float(np.vdot(ann, ann))
        layer.squares["error"] += float(np.vdot(emitted - ann, emitted - ann))
        layer.active |= (ann > 0).any(axis=0)
        layer.spiked |= (emitted > 0).any(axis=0)
        layer.n_active += int((ann > 0).sum())
        layer.n_saturated += int(((ann > 0) & (emitted >= 0.99 * response.largest)).sum())
        layer.level.add(ann, np.zeros(ann.shape[1:], int))
        layer.largest_error = max(layer.largest_error, float(np.abs(emitted - clipped).max()))
        both = np.stack([ann.ravel(), emitted.ravel()], axis=1)
        both = both[both.any(axis=1)]
        n_pairs = min(len(both), -(-PAIRS * len(ann) // len(self.x)))
        layer.pairs.append(both[self.rng.choice(len(both), n_pairs, replace=False)])


def _n_right(scores, y):
    return int((np.asarray(scores).argmax(axis=-1) == y).sum())
