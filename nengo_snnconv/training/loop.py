"""run_epochs: the loop over epochs, the same for both trainers."""

from __future__ import annotations

import contextlib
import math
import time

import numpy as np

from .._util.interrupts import deferred_interrupt
from .._util.progress import progress_bar
from .._util.validation import check_positive
from ..compat import tf
from ..errors import SettingsError, TrainingInterrupted
from ..inputs import Images
from .batches import EpochBatches, augment_images
from .checkpoint import Checkpoint, SavedTraining
from .optimizers import current_learning_rate
from .precision import products_in
from .preparation import TrainingTask
from .state import TrainingState
from .teacher import teacher_of
from .trainers import TRAINERS
from .validation import make_validator


def run_epochs(
    task: TrainingTask, state: TrainingState, checkpoint: Checkpoint | None, saved: SavedTraining | None
) -> TrainingState:
    """Train until all epochs are complete or early stopping applies, and return the final state.

    Parameters
    ----------
    task : TrainingTask
    state : TrainingState
        State to start from.
    checkpoint : Checkpoint or None
        File that is written after each epoch.
    saved : SavedTraining or None
        Content of the checkpoint that the training continues.
    """
    options = task.options
    tf.random.set_seed(int(options.seed))
    trainer = _make_trainer(task, state)
    try:
        with contextlib.ExitStack() as stack:
            stack.callback(trainer.close)
            stack.enter_context(products_in(options.precision))
            check_interrupt = stack.enter_context(deferred_interrupt())
            if checkpoint and saved:
                checkpoint.restore(trainer.optimizer_variables(), saved.optimizer)
            validate = make_validator(task)
            teach = teacher_of(task.network, task.head, options.teacher) if task.y is None else None
            while not state.is_finished(options.epochs):
                check_interrupt()
                if callable(options.schedule):
                    _set_learning_rate(task.optimizer, options.schedule, state.epoch)
                started = time.perf_counter()
                values = _train_epoch(task, trainer, state.epoch, teach, check_interrupt)
                arrays = trainer.arrays()
                values |= validate(arrays)
                values["learning_rate"] = current_learning_rate(task.optimizer)
                values["seconds"] = time.perf_counter() - started
                next_state = state.after_epoch(arrays, values)
                if checkpoint:
                    variables = trainer.optimizer_variables()
                    checkpoint.write(next_state.network, variables, next_state.progress(), next_state.best_arrays)
                state = next_state  # after writing, so that an interrupt leaves state and checkpoint at the same epoch
                if options.on_epoch:
                    options.on_epoch(state.epoch, values)
    except KeyboardInterrupt as interrupt:
        resume_hint = f"; run it again to continue from {checkpoint.path}" if checkpoint and state.epoch else ""
        raise TrainingInterrupted(
            f"training was interrupted after {state.epoch} of {options.epochs} epochs{resume_hint}", state.network
        ) from interrupt
    return state


def _make_trainer(task, state):
    through_time = {"n_steps": task.n_steps, "still": task.static_images} if task.n_steps else {}
    return TRAINERS[task.options.engine](
        state.network,
        task.optimizer,
        task.loss,
        task.batch_size,
        activity_penalty=task.options.activity_penalty,
        total_batches=task.options.epochs * task.n_batches,
        target_rows=task.target_rows,
        head=task.head,
        **through_time,
    )


def _set_learning_rate(optimizer, schedule, epoch):
    rate = schedule(epoch)
    check_positive(**{f"schedule({epoch})": rate})
    optimizer.learning_rate = float(rate)


def _train_epoch(task, trainer, epoch, teach, check_interrupt):
    """Train for one epoch and return its "loss", "accuracy" or "error", and so on."""
    options = task.options
    data = _epoch_data(task, epoch, teach)
    with progress_bar(task.n_batches, f"epoch {epoch + 1}/{options.epochs}", "batch", options.progress) as bar:
        callbacks = [_BatchCallback(bar, check_interrupt), tf.keras.callbacks.TerminateOnNaN()]
        values = trainer.fit(*data, callbacks)
    if not math.isfinite(values["loss"]):
        raise SettingsError(
            f"the loss became NaN in epoch {epoch + 1}: reduce learning_rate, or set global_clipnorm of the optimizer "
            "(amplitude times max_rates of the neurons should be near 1)"
        )
    return values


def _epoch_data(task, epoch, teach):
    """Return the data of an epoch in random order: (images, targets), or (EpochBatches, None)."""
    x, y, augment, batch_size = task.x, task.y, task.options.augment, task.batch_size
    seed = [task.options.seed, epoch]
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(x))[: task.n_batches * batch_size]
    if x.n_steps is not None or y is None or (task.n_steps is not None and not isinstance(x, Images)):
        return EpochBatches(x, y, order, batch_size, augment, seed, teach), None
    images = x.batch(order)
    return images if augment is None else augment_images(augment, images, rng), y[order]


class _BatchCallback(tf.keras.callbacks.Callback):
    """Keras callback that moves a progress bar and raises deferred interrupts after each batch."""

    def __init__(self, bar, check_interrupt):
        super().__init__()
        self.bar = bar
        self.check_interrupt = check_interrupt

    def on_train_batch_end(self, batch, logs=None):
        self.check_interrupt()
        self.bar.update()
        if logs and not self.bar.disable:
            self.bar.set_postfix(loss=f"{logs['loss']:.4f}", refresh=False)
