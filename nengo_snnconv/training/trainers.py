"""Trainers: they train a network for an epoch, as a plain Keras model or in NengoDL's Simulator."""

from __future__ import annotations

import abc
import typing
from collections.abc import Callable

import nengo
import numpy as np

from ..compat import nengo_dl, tf
from ..evaluation.task import classes_of
from ..networks.keras_layers import keras_name
from ..networks.rate_model import arrays_of_rate_model
from ..networks.trainable import live_arrays
from .activity_penalty import ActivityPenalty, count_active
from .batches import made_ahead
from .keras_form import keras_form
from .targets import keras_measure, measure_name

if typing.TYPE_CHECKING:
    from ..evaluation.heads import Head
    from ..networks.network import ConvNetwork


class Trainer(abc.ABC):
    """Trains a network, one epoch at a time.

    Parameters
    ----------
    network : ConvNetwork
    optimizer : tf.keras.optimizers.Optimizer
    loss : callable
        Keras loss.
    batch_size : int
        Number of images in every batch.
    activity_penalty : float
        Final weight of the fraction of active neurons in the loss.
    total_batches : int
        Number of batches in the whole training.
    target_rows : bool
        Targets are numbers for the outputs, (images, ...), instead of class numbers, (images,).
    head : Head, optional
        What the outputs mean; by default class scores.
    n_steps : int or None
        Time steps to train through; None to train on firing rates.
    still : bool
        Inputs are images, shown unchanged in every step, instead of frames.

    Attributes
    ----------
    keras : tf.keras.Model
        Compiled model that is trained.
    """

    keras: typing.Any

    def __init__(
        self,
        network: ConvNetwork,
        optimizer: typing.Any,
        loss: Callable,
        batch_size: int,
        *,
        activity_penalty: float = 0.0,
        total_batches: int = 1,
        head: Head | None = None,
        target_rows: bool = False,
        n_steps: int | None = None,
        still: bool = False,
    ):
        self.network = network
        self.optimizer = optimizer
        self.batch_size = batch_size
        self.penalized = network.model.neurons if activity_penalty else []
        self.n_neurons = sum(network.model.size(name) for name in self.penalized)
        self.penalty = ActivityPenalty(activity_penalty, total_batches, optimizer.iterations)
        self.head = head or classes_of(network.model).head
        self.measure = measure_name(self.head)
        self.target_rows, self.n_steps, self.still = target_rows, n_steps, still
        self.compile(loss)
        self._create_variables()

    def _create_variables(self):
        """Create all variables now; TensorFlow would trace the training step again after creating them in it."""
        self.optimizer_variables()
        outputs = self.keras.output
        self.keras.compiled_loss.build(outputs)
        self.keras.compiled_metrics.build(
            outputs, tf.nest.map_structure(lambda output: tf.zeros(self.target_shape(output.shape)), outputs)
        )

    @abc.abstractmethod
    def compile(self, loss: Callable) -> None:
        """Build and compile ``self.keras``."""

    @abc.abstractmethod
    def target_shape(self, shape: typing.Any) -> tuple[int, ...]:
        """Return the shape of a batch of targets for an output of shape ``shape``."""

    @abc.abstractmethod
    def fit(self, x: typing.Any, y: np.ndarray | None, callbacks: list) -> dict[str, float]:
        """Train for one epoch and return "loss", "accuracy" or "error" and, with a penalty, "active".

        Parameters
        ----------
        x : ndarray, (images, height, width, channel), or EpochBatches
            Images in the order of the epoch, or batches of inputs and targets.
        y : ndarray or None
            Targets of the images; None for batches.
        callbacks : list of tf.keras.callbacks.Callback
        """

    @abc.abstractmethod
    def arrays(self) -> dict[str, np.ndarray]:
        """Return the current arrays of the network."""

    def close(self) -> None:  # noqa: B027 - optional for subclasses
        """Release resources."""

    def optimizer_variables(self) -> list:
        """Return the variables of the optimizer; create them if they do not exist yet."""
        create = getattr(self.optimizer, "build", None) or self.optimizer._create_all_weights
        create(self.keras.trainable_variables)
        return self.optimizer.variables()


class KerasTrainer(Trainer):
    """Trains the network as a plain Keras model: of firing rates, unrolled in time, or of spikes beside their means."""

    def compile(self, loss):
        self.keras = keras_form(self.network, self.n_steps, still=self.still)
        if self.penalized:
            counts = (count_active(self.keras.get_layer(keras_name(name)).output) for name in self.penalized)
            active_fraction = sum(counts) / self.n_neurons
            self.keras.add_loss(self.penalty(active_fraction))
            self.keras.add_metric(active_fraction, name="active")
        self.keras.compile(self.optimizer, loss, metrics=[keras_measure(self.head), *getattr(loss, "metrics", ())])
        # Keras' train_on_batch makes a data set of each batch, which took a third of the time of small networks
        self.step = tf.function(lambda x, y: self.keras.train_step((x, y)))

    def target_shape(self, shape):
        return (self.batch_size, *shape[1:]) if self.target_rows else (self.batch_size,)

    def fit(self, x, y, callbacks):
        if y is None:
            batches = made_ahead(x.__getitem__, len(x))
        else:
            starts = range(0, len(x), self.batch_size)
            batches = ((x[first : first + self.batch_size], y[first : first + self.batch_size]) for first in starts)
        callbacks = tf.keras.callbacks.CallbackList(callbacks, model=self.keras)
        self.keras.stop_training = False
        self.keras.reset_metrics()
        for number, batch in enumerate(batches):
            callbacks.on_train_batch_begin(number)
            # the metrics are means over the epoch so far
            metrics = {name: float(value) for name, value in self.step(*map(tf.constant, batch)).items()}
            callbacks.on_train_batch_end(number, metrics)
            if self.keras.stop_training:
                break
        return metrics

    def arrays(self):
        return arrays_of_rate_model(self.network, self.keras)


class NengoDLTrainer(Trainer):
    """Trains the network in NengoDL's Simulator."""

    def compile(self, loss):
        # synapses would delay inputs, and have no effect on a rate network in one step
        changes = {"synapse": None, "stateful": False}
        if self.network.model.levels:
            changes["neuron_type"] = nengo.RectifiedLinear()  # the same rates, which NengoDL rounds to levels
        self.trained = self.network.rebuild(**changes)
        self.probe = self.trained.probes["output"]
        losses = {self.probe: loss if self.n_steps is None else self._of_mean_scores(loss, "loss")}
        if self.penalized:
            self.active = self._probe_active_fraction()
            losses[self.active] = lambda _, active_fraction: self.penalty(active_fraction)
        self.simulator = nengo_dl.Simulator(
            self.trained,
            # through time, dt = spike amplitude gives spikes of height 1
            dt=0.001 if self.n_steps is None else self.trained.settings.spike_amplitude,
            minibatch_size=self.batch_size,
            seed=self.network.seed,
            progress_bar=False,
        )
        measure = keras_measure(self.head)
        if self.n_steps is not None:
            function = self._accuracy if measure == "accuracy" else measure
            measure = self._of_mean_scores(function, self.measure)
        metrics = {self.probe: [measure]} | ({self.active: [_mean]} if self.penalized else {})
        self.simulator.compile(self.optimizer, loss=losses, metrics=metrics)
        self.keras = self.simulator.keras_model

    def target_shape(self, shape):
        return self.batch_size, 1, shape[-1] if self.target_rows else 1

    def _of_mean_scores(self, function, name):
        """Return a function of targets (images, 1, ...) and scores (images, steps, classes).

        It applies ``function`` to the targets and the mean of the scores over time; ``name`` is its ``__name__``, which
        Keras shows.
        """

        def of_mean_scores(y, scores):
            # targets from a Sequence of batches have no static shape
            y = tf.reshape(y, (-1, scores.shape[-1] if self.target_rows else 1))
            return function(y, tf.reduce_mean(scores, axis=1))

        of_mean_scores.__name__ = name
        return of_mean_scores

    def _accuracy(self, y, scores):
        classes = tf.argmax(y, axis=-1) if self.target_rows else tf.cast(y[:, 0], tf.int64)
        return tf.cast(tf.argmax(scores, axis=-1) == classes, scores.dtype)

    def _probe_active_fraction(self):
        """Add a probe of the fraction of active neurons."""
        with self.trained:
            active_fraction = nengo.Node(size_in=1)
            for name in self.penalized:
                neurons = self.trained.layers[name]
                count = nengo_dl.TensorNode(count_active, shape_in=(neurons.size_out,), shape_out=(1,), pass_time=False)
                nengo.Connection(neurons, count, synapse=None)
                nengo.Connection(count, active_fraction, transform=1 / self.n_neurons, synapse=None)
            return nengo.Probe(active_fraction, label="active")

    def fit(self, x, y, callbacks):
        if self.n_steps is None:
            data = x.reshape(len(x), 1, -1), self._targets(y)
        else:
            data = _SimulatorBatches(self, x, y), None
        history = self.simulator.fit(*data, shuffle=False, verbose=0, callbacks=callbacks)
        values = {name: float(column[0]) for name, column in history.history.items()}
        result = {"loss": values["loss"], self.measure: values[f"output_{self.measure}"]}
        return {**result, "active": values["active__mean"]} if self.penalized else result

    def _targets(self, y):
        """Return the targets of each probe, (images, one step, values)."""
        targets = {self.probe: y.reshape(len(y), 1, -1)}
        if self.penalized:
            targets[self.active] = np.zeros((len(y), 1, 1), np.float32)  # required by Keras, ignored by the penalty
        return targets

    def keras_batch(self, x, y):
        """Return inputs and targets of a batch as Keras takes them, by the names that NengoDL gives them."""
        if self.still:
            x = np.repeat(x[:, None], self.n_steps, axis=1)
        steps = np.full((len(x), 1), self.n_steps, np.int32)
        inputs = {self.simulator.get_name(self.trained.input): x.reshape(*x.shape[:2], -1), "n_steps": steps}
        return inputs, {self.simulator.get_name(probe): values for probe, values in self._targets(y).items()}

    def arrays(self):
        return live_arrays(self.trained)

    def close(self):
        self.simulator.close()


class _SimulatorBatches(tf.keras.utils.Sequence):
    """Batches for NengoDL's Simulator, from images that are shown in every step or from EpochBatches of frames."""

    def __init__(self, trainer, x, y):
        self.trainer, self.x, self.y = trainer, x, y

    def __len__(self):
        return len(self.x) if self.y is None else len(self.x) // self.trainer.batch_size

    def __getitem__(self, number):
        if self.y is None:
            return self.trainer.keras_batch(*self.x[number])
        batch = slice(number * self.trainer.batch_size, (number + 1) * self.trainer.batch_size)
        return self.trainer.keras_batch(self.x[batch], self.y[batch])


def _mean(_, values):
    return tf.reduce_mean(values)


# by the argument ``engine`` of ``train``
TRAINERS: dict[str, type[Trainer]] = {"keras": KerasTrainer, "nengo_dl": NengoDLTrainer}
