"""Validation loss and accuracy, or error, after an epoch."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from ..compat import tf
from ..model.memory import bytes_of_pass, images_together
from ..networks.keras_layers import keras_name
from .keras_form import keras_form
from .preparation import TrainingTask
from .targets import measure_name, measured


def make_validator(task: TrainingTask) -> Callable[[dict], dict]:
    """Return a function from a network's arrays to "val_loss", "val_accuracy" or "val_error", and "val_seconds".

    It returns an empty dict if the training has no validation data.
    """
    if task.validation is None:
        return lambda arrays: {}
    network, n_steps, (x, y) = task.network, task.n_steps, task.validation
    batch_size = task.batch_size
    keras = keras_form(network, n_steps, still=x.n_steps is None)
    if n_steps is None:
        # without gradients more images than a batch fit into memory
        batch_size = max(batch_size, images_together(bytes_of_pass(network.model)))

    def validate(arrays):
        started = time.perf_counter()
        for layer in network.model.layers:
            if names := network.model.array_names(layer):
                keras.get_layer(keras_name(layer)).set_weights([arrays[name] for name in names])
        batches = np.array_split(np.arange(len(x)), range(batch_size, len(x), batch_size))
        scores = np.concatenate([keras.predict_on_batch(x.batch(batch)) for batch in batches])
        return {
            "val_loss": float(tf.reduce_mean(task.loss(_targets(y, task, scores.shape[-1]), tf.constant(scores)))),
            f"val_{measure_name(task.head)}": measured(task.head, scores, y),
            "val_seconds": time.perf_counter() - started,
        }

    return validate


def _targets(y, task, n_classes):
    """Return validation targets in the form of the training targets."""
    return tf.one_hot(y, n_classes) if task.y is None and y.ndim == 1 else tf.constant(y)
