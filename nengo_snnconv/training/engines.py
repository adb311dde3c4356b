"""What does the training steps: the rate network in plain Keras, or NengoDL's Simulator."""

import abc

import nengo
import numpy as np

from ..build.rate_model import arrays_of_rate_model, rate_model
from ..build.trainable import live_arrays
from ..compat import nengo_dl, tf
from ..exceptions import SettingsError
from .penalty import ActivityPenalty, active_neurons


class Engine(abc.ABC):
    """Trains one network for one epoch at a time, on batches of ``batch_size`` images.

    Attributes
    ----------
    keras : tf.keras.Model
        What is compiled and trained.
    """

    def __init__(self, network, optimizer, loss, batch_size, activity_penalty=0.0, n_steps=1):
        self.network = network
        self.optimizer = optimizer
        self.batch_size = batch_size
        self.penalised = network.model.neurons if activity_penalty else []
        self.n_neurons = sum(network.model.size(name) for name in self.penalised)
        self.penalty = ActivityPenalty(activity_penalty, n_steps, optimizer.iterations)
        self.setup(loss)

    @abc.abstractmethod
    def setup(self, loss):
        """Build and compile."""

    @abc.abstractmethod
    def fit(self, x, y, callbacks):
        """Train on images (n, height, width, channel) in their order: {"loss": ..., "accuracy": ..., ...}."""

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
        self.keras = rate_model(self.network)
        if self.penalised:
            share = sum(active_neurons(self.keras.get_layer(name).output) for name in self.penalised) / self.n_neurons
            self.keras.add_loss(self.penalty(share))
            self.keras.add_metric(share, name="active")
        self.keras.compile(self.optimizer, loss, metrics=["accuracy"])

    def fit(self, x, y, callbacks):
        history = self.keras.fit(x, y, batch_size=self.batch_size, shuffle=False, verbose=0, callbacks=callbacks)
        return {name: float(values[0]) for name, values in history.history.items()}

    def arrays(self):
        return arrays_of_rate_model(self.network, self.keras)


class NengoDLEngine(Engine):
    def setup(self, loss):
        # synapses delay their input, and a rate network that runs for one step has no use for them
        self.trained = self.network.rebuild(synapse=None, stateful=False)
        self.probe = self.trained.probes["output"]
        losses = {self.probe: loss}
        if self.penalised:
            self.active = self._probe_active_share()
            losses[self.active] = lambda _, share: self.penalty(share)
        self.simulator = nengo_dl.Simulator(
            self.trained, minibatch_size=self.batch_size, seed=self.network.seed, progress_bar=False
        )
        metrics = {self.probe: ["accuracy"]} | ({self.active: [_mean]} if self.penalised else {})
        self.simulator.compile(self.optimizer, loss=losses, metrics=metrics)
        self.keras = self.simulator.keras_model

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
        # one time step: (image, step, values)
        targets = {self.probe: y[:, None] if y.ndim > 1 else y[:, None, None]}
        if self.penalised:
            targets[self.active] = np.zeros((len(x), 1, 1), np.float32)  # the penalty has none
        history = self.simulator.fit(x.reshape(len(x), 1, -1), targets, shuffle=False, verbose=0, callbacks=callbacks)
        figures = {name: float(values[0]) for name, values in history.history.items()}
        found = {"loss": figures["loss"], "accuracy": figures["output_accuracy"]}
        return {**found, "active": figures["active__mean"]} if self.penalised else found

    def arrays(self):
        return live_arrays(self.trained)

    def close(self):
        self.simulator.close()


def _mean(_, values):
    return tf.reduce_mean(values)


ENGINES = {"keras": KerasEngine, "nengo_dl": NengoDLEngine}


def copy_optimizer(optimizer, learning_rate=None):
    """A fresh optimiser from None (the default one), a name, a configuration or an instance, which is left alone."""
    if optimizer is None:
        optimizer = tf.keras.optimizers.Adam(global_clipnorm=1.0)
    try:
        optimizer = tf.keras.optimizers.get(optimizer)
    except ValueError as error:
        raise SettingsError(f"optimizer={optimizer!r} is not one of Keras' optimisers") from error
    config = optimizer.get_config()
    if learning_rate is not None:
        config["learning_rate"] = learning_rate
    return type(optimizer).from_config(config)
