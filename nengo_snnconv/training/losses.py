"""Losses of the outputs of a network."""

from __future__ import annotations

import typing
from collections.abc import Callable

from .._util.validation import shown
from ..compat import tf
from ..errors import SettingsError, listed
from ..evaluation.heads import Values
from .targets import squared_error

if typing.TYPE_CHECKING:
    from ..evaluation.heads import Head


class FiringRateError(tf.keras.losses.Loss):
    """Mean squared error of firing rates, with target 1 (a spike in every step) for the true class and 0 for others.

    Parameters
    ----------
    target_rows : bool
        Targets are rates of all outputs, (batch, classes), instead of class numbers, (batch,) or (batch, 1).
    """

    def __init__(self, target_rows: bool = False):
        super().__init__(name="firing_rate_error")
        self.target_rows = target_rows

    def call(self, y, rates):
        if not self.target_rows:
            y = tf.one_hot(tf.cast(tf.reshape(y, (-1,)), tf.int32), rates.shape[-1], dtype=rates.dtype)
        return tf.reduce_mean(tf.math.squared_difference(tf.cast(y, rates.dtype), rates), axis=-1)


def as_loss(
    loss: str | Callable | None, target_rows: bool, outputs_rates: bool = False, head: Head | None = None
) -> typing.Any:
    """Return the Keras loss for the argument ``loss`` of ``train``.

    Parameters
    ----------
    loss : str, callable, tf.keras.losses.Loss or None
        Names of cross-entropies are cross-entropy from logits.  None is :class:`FiringRateError` for firing rates,
        else the cross-entropy of classes, binary cross-entropy for one logit or for labels, and the mean squared error
        for values.
    target_rows : bool
        Targets are rows of numbers, (images, classes), instead of class numbers, (images,).
    outputs_rates : bool
        True if the network's outputs are firing rates.
    head : Head, optional
        What the outputs mean; by default class scores.  Of several outputs, the losses are added, and ``loss`` may be
        a dict by output.
    """
    if head is not None and head.parts:
        return _sum_of_losses(loss, head)
    if isinstance(loss, dict):
        raise SettingsError("loss is a dict, which is for several outputs: give one loss", argument="loss")
    if loss is None and isinstance(head, Values):
        return squared_error(head)
    if loss is None and outputs_rates:
        return FiringRateError(target_rows)
    if loss is None and head is not None and head.name != "classes":
        loss = "binary_crossentropy"
    if loss is None:
        loss = "categorical_crossentropy" if target_rows else "sparse_categorical_crossentropy"
    if loss == "sparse_categorical_crossentropy":
        return tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    if loss == "categorical_crossentropy":
        return tf.keras.losses.CategoricalCrossentropy(from_logits=True)
    if loss == "binary_crossentropy" and target_rows:
        return tf.keras.losses.BinaryCrossentropy(from_logits=True)
    if isinstance(loss, str) and not target_rows and not loss.startswith("sparse"):
        raise SettingsError(
            f"loss={loss!r} needs targets of shape (images, classes), but y holds class numbers: use one-hot rows",
            argument="loss",
        )
    try:
        return tf.keras.losses.get(loss)
    except (ValueError, TypeError) as error:
        raise SettingsError(
            f"loss={shown(loss)} is not a Keras loss: give a name such as 'mse' with one-hot targets, or a function",
            argument="loss",
        ) from error


def _sum_of_losses(loss, head):
    """Return the sum of the losses of several outputs, which are those of a dict, or the default of each output."""
    losses = loss if isinstance(loss, dict) else {}
    if loss is not None and (not losses or set(losses) - set(head.parts)):
        raise SettingsError(
            f"loss={shown(loss)} must be a dict by output for a model with the outputs {listed(head.parts, 8)}; the "
            "loss of an output that it lacks is the one that fits its targets",
            argument="loss",
        )
    of_parts = []
    for name, part in head.parts.items():
        given = losses.get(name)
        if given == "sparse_categorical_crossentropy":
            given = "categorical_crossentropy"  # targets are one-hot rows
        of_parts.append((name, head.entries[name], as_loss(given, True, head=part)))

    def sum_of_losses(y, outputs):
        found = [of_part(y[..., entries], outputs[..., entries]) for _, entries, of_part in of_parts]
        return tf.add_n([tf.reduce_mean(each) for each in found])

    sum_of_losses.description = {name: loss_name(of_part) for name, _, of_part in of_parts}
    return sum_of_losses


def loss_name(loss: typing.Any) -> typing.Any:
    """Return the name of a loss for descriptions of a training; those of several outputs by output."""
    named = getattr(loss, "name", getattr(loss, "__name__", str(loss)))
    return getattr(loss, "description", named)
