"""Losses of the outputs of a network."""

from __future__ import annotations

import math
import typing
from collections.abc import Callable

import numpy as np

from .._util.validation import is_number, shown
from ..compat import tf
from ..errors import SettingsError, listed
from ..evaluation.heads import Values
from ..evaluation.metrics import variance
from .targets import squared_error

if typing.TYPE_CHECKING:
    from ..evaluation.heads import Head
    from ..model import Model


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
    loss: str | Callable | None,
    target_rows: bool,
    outputs_rates: bool = False,
    head: Head | None = None,
    weights: dict[str, float] | None = None,
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
    weights : dict of str to float, optional
        Weights of the losses of several outputs, by output; by default 1.
    """
    if head is not None and head.parts:
        return _sum_of_losses(loss, head, weights or {})
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


def check_loss_weights(weights: typing.Any) -> None:
    """Check that the argument ``loss_weights`` is None, or a dict or list of numbers, 0 or more, not all 0."""
    if weights is None:
        return
    values = weights.values() if isinstance(weights, dict) else weights if isinstance(weights, list | tuple) else ()
    values = list(values)
    if not values or not all(is_number(each) and 0 <= each < math.inf for each in values) or not any(values):
        raise SettingsError(
            "loss_weights must be a dict by output, or a list in their order, of finite numbers, 0 or more and not all "
            f"0; got {shown(weights)}",
            argument="loss_weights",
        )


def loss_weights(
    given: typing.Any, loss: typing.Any, model: Model, head: Head, values_of: Callable[[str], np.ndarray]
) -> dict[str, float] | None:
    """Return the weights of the losses of several outputs by name; None for one output.

    Parameters
    ----------
    given : dict, list or None
        The argument of ``train``.  Outputs that a dict lacks have the weight with which the Keras model was compiled;
        else 1, or, for the squared error of values, 1 divided by their variance, as in R².
    loss : object
        The argument ``loss``.
    model : Model
    head : Head
    values_of : callable
        Returns the targets of an output by name.
    """
    if not head.parts:
        if given is not None:
            raise SettingsError("loss_weights are for several outputs: leave them out", argument="loss_weights")
        return None
    if isinstance(given, list | tuple):
        if len(given) != len(head.parts):
            raise SettingsError(
                f"loss_weights must hold {len(head.parts)} numbers, one for each of the outputs "
                f"{listed(head.parts, 8)}; got {len(given)}",
                argument="loss_weights",
            )
        given = dict(zip(head.parts, given, strict=True))
    given = given or {}
    if unknown := set(given) - set(head.parts):
        raise SettingsError(
            f"loss_weights has {listed(map(str, unknown))}, but the outputs are {listed(head.parts, 8)}",
            argument="loss_weights",
        )
    own_losses = loss if isinstance(loss, dict) else {}
    compiled = {name: port.loss_weight for name, port in model.outputs.items()}

    def weight(name, part):
        if name in given:
            return given[name]
        if compiled[name] is not None:
            return compiled[name]
        return 1 / variance(values_of(name)) if isinstance(part, Values) and name not in own_losses else 1.0

    return {name: float(weight(name, part)) for name, part in head.parts.items()}


def _sum_of_losses(loss, head, weights):
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
    each_loss = {name: _loss_of_part(*of_part, weights.get(name, 1.0)) for name, *of_part in of_parts}

    def sum_of_losses(y, outputs):
        return tf.add_n([of_part(y, outputs) for of_part in each_loss.values()])

    sum_of_losses.description = {name: loss_name(of_part) for name, _, of_part in of_parts}
    sum_of_losses.weights = weights
    sum_of_losses.metrics = []
    for name, of_part in each_loss.items():
        of_part.__name__ = f"{name}_loss"
        if name != "val":  # its loss would have the name of that of the validation
            sum_of_losses.metrics.append(of_part)
    return sum_of_losses


def _loss_of_part(entries, loss, weight):
    """Return the weighted loss of some entries of the targets and outputs, a function to a single number."""

    def of_part(y, outputs):
        return weight * tf.reduce_mean(loss(y[..., entries], outputs[..., entries]))

    return of_part


def loss_name(loss: typing.Any) -> typing.Any:
    """Return the name of a loss for descriptions of a training; those of several outputs by output."""
    named = getattr(loss, "name", getattr(loss, "__name__", str(loss)))
    return getattr(loss, "description", named)
