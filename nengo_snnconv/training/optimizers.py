"""Optimizers and learning rates of a training."""

from __future__ import annotations

import typing
from collections.abc import Callable

import numpy as np

from .._util.validation import shown
from ..compat import tf
from ..compat.keras_versions import as_keras2
from ..errors import SettingsError


def copy_optimizer(optimizer=None, learning_rate=None):
    """Return a new optimizer; the given one keeps its state.

    Parameters
    ----------
    optimizer : str, dict or tf.keras.optimizers.Optimizer, optional
        Name, configuration or instance of a Keras optimizer; Adam with ``global_clipnorm=1`` by default.
    learning_rate : float or tf.keras.optimizers.schedules.LearningRateSchedule, optional
        By default that of ``optimizer``.
    """
    if optimizer is None:
        optimizer = tf.keras.optimizers.Adam(global_clipnorm=1.0)
    try:
        optimizer = tf.keras.optimizers.get(as_keras2(optimizer))
    except (ValueError, TypeError, AttributeError) as error:
        raise SettingsError(
            f"optimizer={shown(optimizer)} is not a Keras optimizer: give a name such as 'adam', or an instance",
            argument="optimizer",
        ) from error
    config = optimizer.get_config()
    if learning_rate is not None:
        config["learning_rate"] = as_keras2(learning_rate)
    return type(optimizer).from_config(config)


def scheduled_learning_rate(
    base_rate: typing.Any, learning_rate: typing.Any, schedule: str | Callable | None, n_batches: int
) -> typing.Any:
    """Return the learning rate with which to create the optimizer.

    Parameters
    ----------
    base_rate : float or dict
        Learning rate in the configuration of the optimizer; a dict if it is a Keras schedule.
    learning_rate : float or Keras schedule, optional
        Argument of ``train``; returned unchanged without a ``schedule``.
    schedule : "cosine", callable or None
        With "cosine" the learning rate falls from ``base_rate`` to 0 over ``n_batches``.
    n_batches : int
        Number of batches in the whole training.
    """
    is_constant = isinstance(base_rate, float | int | np.floating)
    if is_constant and base_rate <= 0:
        raise SettingsError(f"learning_rate must be above 0, got {base_rate}", argument="learning_rate")
    if schedule is None:
        return learning_rate
    if not is_constant:
        raise SettingsError(
            "schedule needs a number as learning_rate, but the learning rate is a Keras schedule already",
            argument="schedule",
        )
    if callable(schedule):
        return float(base_rate)
    return tf.keras.optimizers.schedules.CosineDecay(float(base_rate), n_batches)


def current_learning_rate(optimizer) -> float:
    """Return the learning rate of the optimizer's next step, as :func:`in_digits_of_float32`."""
    rate = optimizer.learning_rate
    if isinstance(rate, tf.keras.optimizers.schedules.LearningRateSchedule):
        rate = rate(optimizer.iterations)
    return in_digits_of_float32(float(rate))


def in_digits_of_float32(rate: typing.Any) -> typing.Any:
    """Return a number that Keras has stored as float32 with six digits: 1e-4, not 9.999999747378752e-05."""
    return float(f"{rate:.6g}") if isinstance(rate, float | np.floating) else rate
