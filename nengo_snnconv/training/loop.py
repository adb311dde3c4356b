"""train: the loop over epochs, the same for every engine."""

import contextlib
import copy
import json
import math
import time

import numpy as np

from .._util.digests import crc32
from .._util.interrupts import deferred_interrupt
from .._util.json_values import to_json
from .._util.progress import progress_bar
from .._util.validation import check_positive, check_targets
from ..compat import tf
from ..errors import SettingsError, TrainingInterrupted
from ..evaluation.inputs import Images, as_inputs
from ..evaluation.metrics import accuracy
from ..model.files import model_to_json
from ..model.layers import Rectifier
from ..model.memory import bytes_of_pass, images_together
from ..networks.rate_model import rate_model
from ..networks.storage import settings_to_json
from .arguments import check_checkpoint, check_learning, check_penalty, check_steps, check_training, check_validation
from .batches import EpochBatches, augmented
from .checkpoint import Checkpoint
from .engines import ENGINES, copy_optimizer
from .losses import loss_of
from .unrolled_model import unrolled_model


def train(
    network,
    x,
    y,
    *,
    n_steps=None,
    epochs=10,
    batch_size=200,
    optimizer=None,
    loss=None,
    learning_rate=None,
    schedule=None,
    validation_split=0.0,
    validation_data=None,
    early_stopping=None,
    augment=None,
    activity_penalty=0.0,
    checkpoint=None,
    engine="keras",
    seed=0,
    progress=None,
    on_epoch=None,
):
    """Train a network: on the rate approximation of its neurons for one time step, or through time.

    ``SurrogateLIF`` neurons are trained through time: they spike for ``n_steps`` steps, and errors are propagated back
    through all of them; all other neurons on their rates.  Class scores are then means over the steps, and firing rates
    where the last layer has neurons.

    The network itself is left alone.  The same arguments give the same result; with dropout, a training
    that was resumed draws other entries to drop than one that was not.

    Parameters
    ----------
    network : ConvNetwork
        Made by ``build_trainable``.
    x : ndarray, (images, height, width, channel), or Recordings or Inputs
        Through time also frames, (items, steps, height, width, channel); recordings, which become ``n_steps`` frames of
        equally many events, a batch at a time; or Inputs, such as ``EventFrames`` or your own.  Images stand still.
    y : ndarray
        Class numbers (images,), or targets for each output (images, classes).
    n_steps : int, optional
        Time steps to train through; may be left out where ``x`` has steps.  Time and memory grow with it and with
        ``batch_size``, not with the data.
    epochs : int
    batch_size : int
        Images per step.  The images that do not fill a last batch are left out, others in each epoch.
    optimizer : str or tf.keras.optimizers.Optimizer, optional
        A Keras optimiser; it is copied.  By default Adam with ``global_clipnorm=1``: the response of LIF neurons has
        an infinite slope where they start to fire, and single huge gradients would stall plain Adam.
    loss : str, callable or tf.keras.losses.Loss, optional
        A Keras loss of targets and logits.  By default, and by the names "sparse_categorical_crossentropy" and
        "categorical_crossentropy", cross-entropy from logits; for firing rates by default their mean squared error
        against 1 for the class and 0 for the others.
    learning_rate : float or tf.keras.optimizers.schedules.LearningRateSchedule, optional
        That of the optimiser if None.
    schedule : "cosine" or callable, optional
        "cosine" anneals the learning rate to zero over the epochs; a callable gives an epoch's learning rate from
        its number, the first being 0.
    validation_split : float
        Share of the images, the last ones, that is kept for validation.
    validation_data : tuple, optional
        (x, y) for validation, instead of a split.
    early_stopping : int, optional
        Stop when the validation loss has not fallen for this many epochs, and return the best epoch's arrays.
    augment : callable, optional
        ``augment(images, rng)`` gives the images that an epoch sees, for example ``random_affine()``.  Of frames, all
        steps are changed alike, as channels of one image.
    activity_penalty : float
        Weight, in the loss, of the share of neurons that are active (Hoyer's measure of sparsity); 1 to 3 makes
        networks that need few spikes.  It grows from 0 to that over the first half of the epochs.  The history then
        has the share as ``active``.  Early stopping looks at the second half only.
    checkpoint : str or path, optional
        File that is written after each epoch; a training that finds its own checkpoint continues it.
    engine : "keras" or "nengo_dl"
        What does the steps: the network in plain Keras, of rates or unrolled in time, or NengoDL's Simulator, the
        reference.  Their steps are the same up to rounding; plain Keras is faster.
    seed : int
        Of the order of the images, the augmentation and dropout.
    progress : bool, optional
        Show a progress bar; by default where standard error is a terminal.
    on_epoch : callable, optional
        Called after each epoch with its number, the first being 1, and a dict of its figures.

    Returns
    -------
    ConvNetwork
        A new network that holds the trained arrays and the ``history``: loss, accuracy, val_loss, val_accuracy, active,
        learning_rate (in its last step), seconds and val_seconds (of them, for validation) of each epoch; None for what
        an epoch did not measure.  ``network.model.metadata["training"]`` has how it was trained, each time.

    Raises
    ------
    SettingsError
        If an argument cannot work, the data do not fit the network, the checkpoint belongs to another training, or
        the loss becomes NaN.
    TrainingInterrupted
        If interrupted (a KeyboardInterrupt); holds the network of the last complete epoch.
    """
    check_training(network, epochs, batch_size, early_stopping, engine, seed, progress)
    check_penalty(network.model, activity_penalty)
    check_learning(learning_rate, schedule, augment, on_epoch)
    check_validation(validation_split, validation_data, early_stopping)
    check_checkpoint(checkpoint)
    x, y = _check_data(network, x, y, n_steps)
    n_steps = n_steps or x.n_steps
    check_steps(network, n_steps)
    x, y, validation = _split(network, x, y, n_steps, validation_split, validation_data, early_stopping)
    batch_size = min(batch_size, len(x))
    steps = epochs * (len(x) // batch_size)
    base_rate = copy_optimizer(optimizer, learning_rate).get_config()["learning_rate"]
    optimizer = copy_optimizer(optimizer, _scheduled_rate(base_rate, learning_rate, schedule, steps))
    firing_rates = n_steps is not None and isinstance(network.model.layers[network.model.output], Rectifier)
    loss = loss_of(loss, y, firing_rates)

    how = {
        "optimizer": type(optimizer).__name__,
        "learning_rate": base_rate,
        "schedule": "function" if callable(schedule) else schedule,
        "loss": getattr(loss, "name", getattr(loss, "__name__", str(loss))),
        "batch_size": batch_size,
        "augmented": augment is not None,
        **({"activity_penalty": activity_penalty} if activity_penalty else {}),
        **({"n_steps": n_steps} if n_steps else {}),
        "early_stopping": early_stopping,
        "engine": engine,
        "seed": seed,
    }
    if checkpoint is not None:
        run = {
            **how,
            "model": model_to_json(network.model)["layers"],
            "network": settings_to_json(network.settings),
            "epochs before": len(network.history.get("loss", ())),
            "optimizer": {"class": how["optimizer"], **optimizer.get_config(), "learning_rate": None},
            # the others can be trained on
            "epochs": epochs if schedule == "cosine" or activity_penalty else None,
            "training data": _checksum(x, y),
            "validation data": None if validation is None else _checksum(*validation),
        }
        checkpoint = Checkpoint(checkpoint, json.loads(json.dumps(to_json(run))))
    saved = checkpoint.read() if checkpoint else None
    # the loss can rise while the penalty grows, over the first half
    how = to_json({"images": len(x), "epochs": epochs, **how})
    state = _Progress(network, saved, how, epochs // 2 if activity_penalty else 0)
    if state.epoch > epochs:
        raise SettingsError(
            f"the checkpoint {checkpoint.path} has {state.epoch} epochs already, more than epochs={epochs}: "
            "ask for as many or more, remove the file, or choose another path"
        )
    if state.finished(epochs):
        return state.result()

    tf.random.set_seed(int(seed))
    options = {"activity_penalty": activity_penalty, "total_batches": steps, "rows": y.ndim > 1}
    through_time = {"n_steps": n_steps, "still": x.n_steps is None} if n_steps else {}
    trainer = ENGINES[engine](state.network, optimizer, loss, batch_size, **options, **through_time)
    try:
        with contextlib.ExitStack() as stack:
            stack.callback(trainer.close)
            check_interrupt = stack.enter_context(deferred_interrupt())
            if saved:
                checkpoint.restore(trainer.optimizer_variables(), saved[1])
            validate = _validator(network, loss, validation, batch_size, n_steps)
            while not state.finished(epochs):
                check_interrupt()
                epoch = state.epoch
                if callable(schedule):
                    rate = schedule(epoch)
                    check_positive(**{f"schedule({epoch})": rate})
                    optimizer.learning_rate = float(rate)
                start = time.perf_counter()
                data = _epoch_data(x, y, batch_size, augment, [seed, epoch], n_steps is not None)
                with progress_bar(len(x) // batch_size, f"epoch {epoch + 1}/{epochs}", "batch", progress) as bar:
                    callbacks = [_Batches(bar, check_interrupt), tf.keras.callbacks.TerminateOnNaN()]
                    figures = trainer.fit(*data, callbacks)
                if not math.isfinite(figures["loss"]):
                    raise SettingsError(
                        f"the loss became NaN in epoch {epoch + 1}: reduce the learning rate, or set the optimizer's "
                        "global_clipnorm (amplitude times max_rates of the neurons should be near 1)"
                    )
                arrays = trainer.arrays()
                figures |= validate(arrays)
                figures |= {"learning_rate": _learning_rate(optimizer), "seconds": time.perf_counter() - start}
                advanced = state.after(arrays, figures)
                if checkpoint:
                    variables = trainer.optimizer_variables()
                    checkpoint.write(advanced.network, variables, advanced.to_json(), advanced.best)
                state = advanced  # only now: an interrupt leaves state and checkpoint at the same epoch
                if on_epoch:
                    on_epoch(epoch + 1, figures)
    except KeyboardInterrupt as interrupt:
        done = state.epoch
        where = f"; run it again to continue from {checkpoint.path}" if checkpoint and done else ""
        raise TrainingInterrupted(
            f"training was interrupted after {done} of {epochs} epochs{where}", state.network
        ) from interrupt
    return state.result()


class _Progress:
    """How far a training has come: the network after its last complete epoch, history and best epoch."""

    def __init__(self, network, saved, how, unsettled=0):
        self.patience, self.unsettled = how["early_stopping"], unsettled
        self.added = {"training": [*network.model.metadata.get("training", []), how]}
        if "n_steps" in how:
            self.added["n_steps"] = how["n_steps"]
        self.epoch, self.best_epoch, self.best = 0, 0, None
        self.network = network
        self.history = network.history
        if saved:
            arrays, _, state, self.best = saved
            self.epoch, self.best_epoch, self.history = state["epoch"], state["best_epoch"], state["history"]
            self.network = self._network(arrays)

    def _network(self, arrays):
        metadata = {**self.network.model.metadata, **self.added, "history": copy.deepcopy(self.history)}
        return self.network.rebuild(self.network.model.replace(arrays=arrays, metadata=metadata))

    def after(self, arrays, figures):
        """The progress after one more epoch, which gave these arrays and figures."""
        advanced = copy.copy(self)
        before = max((len(values) for values in self.history.values()), default=0)
        names = [*self.history, *(name for name in figures if name not in self.history)]
        advanced.history = {name: [*self.history.get(name, [None] * before), figures.get(name)] for name in names}
        advanced.epoch += 1
        losses = advanced.history.get("val_loss", [])[-advanced.epoch :][self.unsettled :]
        if self.patience is not None and losses and losses[-1] < min(losses[:-1], default=math.inf):
            advanced.best, advanced.best_epoch = arrays, advanced.epoch
        advanced.network = advanced._network(arrays)
        return advanced

    def to_json(self):
        """What a checkpoint keeps beside arrays."""
        return {"epoch": self.epoch, "best_epoch": self.best_epoch, "history": self.history}

    def finished(self, epochs):
        """Whether all epochs are done, or the validation loss has stopped falling."""
        since = self.epoch - max(self.best_epoch, self.unsettled)
        stopped = self.patience is not None and since >= self.patience and self.epoch > 0
        return self.epoch >= epochs or stopped

    def result(self):
        """The network to return: of the best epoch with early stopping, else of the last."""
        return self.network if self.best is None else self._network(self.best)


class _Batches(tf.keras.callbacks.Callback):
    """Between batches, moves a tqdm bar and lets interrupts through."""

    def __init__(self, bar, check_interrupt):
        super().__init__()
        self.bar = bar
        self.check_interrupt = check_interrupt

    def on_train_batch_end(self, batch, logs=None):
        self.check_interrupt()
        self.bar.update()
        if logs and not self.bar.disable:
            self.bar.set_postfix(loss=f"{logs['loss']:.4f}", refresh=False)


def _check_data(network, x, y, n_steps):
    x = as_inputs(network.model, x, n_steps)
    return x, check_targets(network.model, len(x), y)


def _split(network, x, y, n_steps, validation_split, validation_data, early_stopping):
    if validation_data is not None:
        return x, y, _check_data(network, *validation_data, n_steps)
    n_train = len(x) - round(len(x) * validation_split)
    if n_train == len(x):
        if early_stopping is not None:
            raise SettingsError(
                f"early_stopping: validation_split={validation_split} of {len(x)} items is none of them"
            )
        return x, y, None
    if n_train == 0:
        raise SettingsError(f"validation_split={validation_split} of {len(x)} items leaves none to train on")
    kept, held_out = np.split(np.arange(len(x)), [n_train])
    return x.take(kept), y[kept], (x.take(held_out), y[held_out])


def _scheduled_rate(base, given, schedule, steps):
    """The learning rate to give to the optimiser: the ``given`` one, or a cosine that falls from ``base``."""
    number = isinstance(base, float | int | np.floating)
    if number and base <= 0:
        raise SettingsError(f"learning_rate must be above 0, got {base}")
    if schedule is None:
        return given
    if not number:
        raise SettingsError("schedule needs a number as the learning rate, not a schedule too")
    if callable(schedule):
        return float(base)
    return tf.keras.optimizers.schedules.CosineDecay(float(base), steps)


def _learning_rate(optimizer):
    rate = optimizer.learning_rate
    if isinstance(rate, tf.keras.optimizers.schedules.LearningRateSchedule):
        rate = rate(optimizer.iterations)
    return float(rate)


def _epoch_data(x, y, batch_size, augment, seed, through_time):
    """What an epoch sees: (images, targets), or batches and None."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(x))[: len(x) // batch_size * batch_size]
    if x.n_steps is not None or (through_time and not isinstance(x, Images)):
        return EpochBatches(x, y, order, batch_size, augment, seed), None
    images = x.batch(order)
    return images if augment is None else augmented(augment, images, rng), y[order]


def _validator(network, loss, validation, batch_size, n_steps):
    """A function from arrays to {"val_loss": ..., "val_accuracy": ..., "val_seconds": ...}."""
    if validation is None:
        return lambda arrays: {}
    x, y = validation
    keras = rate_model(network) if n_steps is None else unrolled_model(network, n_steps, still=x.n_steps is None)
    if n_steps is None:  # nothing is learned from them, so that more than a batch go together, as many as fit
        batch_size = max(batch_size, images_together(bytes_of_pass(network.model)))

    def validate(arrays):
        started = time.perf_counter()
        for layer in network.model.layers:
            if names := network.model.array_names(layer):
                keras.get_layer(layer).set_weights([arrays[name] for name in names])
        batches = np.array_split(np.arange(len(x)), range(batch_size, len(x), batch_size))
        scores = np.concatenate([keras.predict_on_batch(x.batch(batch)) for batch in batches])
        classes = y if y.ndim == 1 else y.argmax(axis=-1)
        value = float(tf.reduce_mean(loss(tf.constant(y), tf.constant(scores))))
        share = float(accuracy(scores.argmax(axis=-1), classes))
        return {"val_loss": value, "val_accuracy": share, "val_seconds": time.perf_counter() - started}

    return validate


def _checksum(x, y):
    crc = crc32(y, start=x.checksum())
    return f"{len(x)} images, crc32 {crc:08x}"
