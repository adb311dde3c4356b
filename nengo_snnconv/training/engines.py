"""What does the training steps: the rate network in plain Keras, or NengoDL's Simulator."""

import abc
import concurrent.futures

import nengo
import numpy as np

from .._util.validation import shown
from ..compat import nengo_dl, tf
from ..compat.keras_versions import as_keras2
from ..errors import SettingsError
from ..networks.keras_layers import keras_name
from ..networks.rate_model import arrays_of_rate_model, rate_model
from ..networks.trainable import live_arrays
from .penalty import ActivityPenalty, active_neurons
from .unrolled_model import unrolled_model


class Engine(abc.ABC):
    """Trains one network for one epoch at a time, on batches of ``batch_size`` images.

    Targets are class numbers, or ``rows`` of numbers.  Through time if there are ``n_steps`` steps, of images that
    stand ``still`` or frames; else on rates.

    Attributes
    ----------
    keras : tf.keras.Model
        What is compiled and trained.
    """

    def __init__(
        self,
        network,
        optimizer,
        loss,
        batch_size,
        activity_penalty=0.0,
        total_batches=1,
        rows=False,
        n_steps=None,
        still=False,
    ):
        self.network = network
        self.optimizer = optimizer
        self.batch_size = batch_size
        self.penalised = network.model.neurons if activity_penalty else []
        self.n_neurons = sum(network.model.size(name) for name in self.penalised)
        self.penalty = ActivityPenalty(activity_penalty, total_batches, optimizer.iterations)
        self.rows, self.n_steps, self.still = rows, n_steps, still
        self.setup(loss)
        self._make_variables()

    def _make_variables(self):
        """Make the variables that the first step would make, after which TensorFlow would trace it all over again."""
        self.optimizer_variables()
        outputs = self.keras.output
        self.keras.compiled_loss.build(outputs)
        self.keras.compiled_metrics.build(
            outputs, tf.nest.map_structure(lambda output: tf.zeros(self.target_shape(output.shape)), outputs)
        )

    @abc.abstractmethod
    def setup(self, loss):
        """Build and compile."""

    @abc.abstractmethod
    def target_shape(self, shape):
        """The shape of a batch's targets for an output of shape ``shape``."""

    @abc.abstractmethod
    def fit(self, x, y, callbacks):
        """Train on images (n, height, width, channel) in their order: {"loss": ..., "accuracy": ..., ...}.

        For frames ``x`` is a Sequence of batches (frames, targets), and ``y`` None.
        """

    @abc.abstractmethod
    def arrays(self):
        """The arrays as they are now."""

    def close(self):  # noqa: B027 - most engines hold nothing
        """Free what the engine holds."""

    def optimizer_variables(self):
        """The optimiser's variables, made if they do not exist yet."""
        create = getattr(self.optimizer, "build", None) or self.optimizer._create_all_weights
        create(self.keras.trainable_variables)
        return self.optimizer.variables()


class KerasEngine(Engine):
    def setup(self, loss):
        if self.n_steps is None:
            self.keras = rate_model(self.network)
        else:
            self.keras = unrolled_model(self.network, self.n_steps, still=self.still)
        if self.penalised:
            share = (
                sum(active_neurons(self.keras.get_layer(keras_name(name)).output) for name in self.penalised)
                / self.n_neurons
            )
            self.keras.add_loss(self.penalty(share))
            self.keras.add_metric(share, name="active")
        self.keras.compile(self.optimizer, loss, metrics=["accuracy"])

    def target_shape(self, shape):
        return (self.batch_size, shape[-1]) if self.rows else (self.batch_size,)

    def fit(self, x, y, callbacks):
        if y is None:
            return self._fit_batches(x, tf.keras.callbacks.CallbackList(callbacks, model=self.keras))
        # cut into batches here: Keras would trace functions that do so, in each epoch
        batches = (array.reshape(-1, self.batch_size, *array.shape[1:]) for array in (x, y))
        history = self.keras.fit(tf.data.Dataset.from_tensor_slices(tuple(batches)), verbose=0, callbacks=callbacks)
        return {name: float(values[0]) for name, values in history.history.items()}

    def _fit_batches(self, batches, callbacks):
        """Train on a Sequence of batches; the next one is made while the network learns from one."""
        self.keras.stop_training = False
        with concurrent.futures.ThreadPoolExecutor(1) as ahead:
            following = ahead.submit(batches.__getitem__, 0)
            for number in range(len(batches)):
                batch = following.result()
                if number + 1 < len(batches):
                    following = ahead.submit(batches.__getitem__, number + 1)
                callbacks.on_train_batch_begin(number)
                # means over the epoch
                figures = self.keras.train_on_batch(*batch, reset_metrics=number == 0, return_dict=True)
                callbacks.on_train_batch_end(number, figures)
                if self.keras.stop_training:
                    break
        return {name: float(value) for name, value in figures.items()}

    def arrays(self):
        return arrays_of_rate_model(self.network, self.keras)


class NengoDLEngine(Engine):
    def setup(self, loss):
        # synapses delay their input, and a rate network that runs for one step has no use for them
        self.trained = self.network.rebuild(synapse=None, stateful=False)
        self.probe = self.trained.probes["output"]
        losses = {self.probe: loss if self.n_steps is None else self._of_mean(loss)}
        if self.penalised:
            self.active = self._probe_active_share()
            losses[self.active] = lambda _, share: self.penalty(share)
        self.simulator = nengo_dl.Simulator(
            self.trained,
            # spikes of height 1 through time
            dt=0.001 if self.n_steps is None else self.trained.settings.spike_amplitude,
            minibatch_size=self.batch_size,
            seed=self.network.seed,
            progress_bar=False,
        )
        share = "accuracy" if self.n_steps is None else self._of_mean(self._accuracy, "accuracy")
        metrics = {self.probe: [share]} | ({self.active: [_mean]} if self.penalised else {})
        self.simulator.compile(self.optimizer, loss=losses, metrics=metrics)
        self.keras = self.simulator.keras_model

    def target_shape(self, shape):
        return self.batch_size, 1, shape[-1] if self.rows else 1

    def _of_mean(self, function, name="loss"):
        """``function`` of targets (images, 1, ...) and the mean of scores (images, steps, classes) over the steps."""

        def of_mean(y, scores):
            # what a Sequence of batches gives has no known shape
            y = tf.reshape(y, (-1, scores.shape[-1] if self.rows else 1))
            return function(y, tf.reduce_mean(scores, axis=1))

        of_mean.__name__ = name
        return of_mean

    def _accuracy(self, y, scores):
        classes = tf.argmax(y, axis=-1) if self.rows else tf.cast(y[:, 0], tf.int64)
        return tf.cast(tf.argmax(scores, axis=-1) == classes, scores.dtype)

    def _probe_active_share(self):
        """A probe on the share of neurons that are active."""
        with self.trained:
            share = nengo.Node(size_in=1)
            for name in self.penalised:
                neurons = self.trained.layers[name]
                counts = nengo_dl.TensorNode(
                    active_neurons, shape_in=(neurons.size_out,), shape_out=(1,), pass_time=False
                )
                nengo.Connection(neurons, counts, synapse=None)
                nengo.Connection(counts, share, transform=1 / self.n_neurons, synapse=None)
            return nengo.Probe(share, label="active")

    def fit(self, x, y, callbacks):
        if self.n_steps is None:
            data = x.reshape(len(x), 1, -1), self._targets(y)
        else:
            data = _SimulatorBatches(self, x, y), None
        history = self.simulator.fit(*data, shuffle=False, verbose=0, callbacks=callbacks)
        figures = {name: float(values[0]) for name, values in history.history.items()}
        found = {"loss": figures["loss"], "accuracy": figures["output_accuracy"]}
        return {**found, "active": figures["active__mean"]} if self.penalised else found

    def _targets(self, y):
        """Targets of each probe, (images, one step, values)."""
        targets = {self.probe: y[:, None] if y.ndim > 1 else y[:, None, None]}
        if self.penalised:
            targets[self.active] = np.zeros((len(y), 1, 1), np.float32)  # the penalty has none
        return targets

    def batch(self, x, y):
        """A batch as Keras takes it, with inputs and targets by the names that NengoDL gives them."""
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
    """Batches over time for NengoDL's Simulator: of images that stand still and their targets, or of a Sequence."""

    def __init__(self, engine, x, y):
        self.engine, self.x, self.y = engine, x, y

    def __len__(self):
        return len(self.x) if self.y is None else len(self.x) // self.engine.batch_size

    def __getitem__(self, number):
        if self.y is None:
            return self.engine.batch(*self.x[number])
        part = slice(number * self.engine.batch_size, (number + 1) * self.engine.batch_size)
        return self.engine.batch(self.x[part], self.y[part])


def _mean(_, values):
    return tf.reduce_mean(values)


ENGINES = {"keras": KerasEngine, "nengo_dl": NengoDLEngine}


def copy_optimizer(optimizer, learning_rate=None):
    """A fresh optimiser from None (the default one), a name, a configuration or an instance, which is left alone."""
    if optimizer is None:
        optimizer = tf.keras.optimizers.Adam(global_clipnorm=1.0)
    try:
        optimizer = tf.keras.optimizers.get(as_keras2(optimizer))
    except (ValueError, TypeError, AttributeError) as error:
        raise SettingsError(f"optimizer={shown(optimizer)} is not one of Keras' optimisers") from error
    config = optimizer.get_config()
    if learning_rate is not None:
        config["learning_rate"] = as_keras2(learning_rate)
    return type(optimizer).from_config(config)
