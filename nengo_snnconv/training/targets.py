"""Targets of a training: the head that they choose together with the model, and how training measures it."""

from __future__ import annotations

import typing

import numpy as np

from .._util.validation import as_array, check_range, check_targets
from ..compat import tf
from ..evaluation.heads import Classes, Values
from ..evaluation.task import as_task

if typing.TYPE_CHECKING:
    from ..evaluation.heads import Head
    from ..model import Model


def as_targets(model: Model, n_images: int, y: typing.Any, optional: bool = False) -> tuple[Head, np.ndarray | None]:
    """Return the head of a model for targets ``y``, and the targets.

    Parameters
    ----------
    model : Model
    n_images : int
    y : array_like or None
        As for :func:`evaluate`; or class probabilities, floats (images, classes) whose rows add up to 1.
    optional : bool
        Targets may be left out.

    Returns
    -------
    Head
    ndarray or None
        Class numbers, int64 (images,), or targets of the outputs, float32 (images, ...).
    """
    if y is None:
        return as_task(model, n_images, None).head, None if optional else check_targets(model, n_images, None)
    shape, head = model.shapes[model.output], model.metadata.get("head")
    array = as_array(y, "y")
    if head != "sigmoid" and len(shape) == 1 and shape != (1,) and array.shape == (n_images, *shape):
        check_range(array, "y")
        if head == "softmax" or _are_probabilities(array):
            return Classes(shape[0]), array.astype(np.float32)
    task = as_task(model, n_images, array)
    targets = task.reference
    if task.head.name == "classes":
        return task.head, targets
    return task.head, targets.reshape(n_images, *shape).astype(np.float32)


def _are_probabilities(rows):
    return bool((rows >= 0).all()) and np.allclose(rows.sum(axis=1), 1, atol=1e-3)


def measure_name(head: Head) -> str:
    """Return the name of the measure of a training besides the loss: "accuracy", or "error" for values."""
    return "accuracy" if head.decides else "error"


def keras_measure(head: Head) -> typing.Any:
    """Return the measure of a training as a Keras metric of targets and outputs.

    It is the accuracy of classes, or of labels, or the mean absolute error of values.
    """
    if head.name == "classes":
        return "accuracy"

    def measure(y, outputs):
        y = tf.cast(y, outputs.dtype)
        if head.decides:
            return tf.cast((outputs > 0) == (y > 0.5), outputs.dtype)
        return tf.abs(_values(head, outputs) - y)

    measure.__name__ = measure_name(head)
    return measure


def measured(head: Head, outputs: np.ndarray, y: np.ndarray) -> float:
    """Return the same measure of arrays; targets of classes may be class numbers or rows."""
    if head.name == "classes":
        classes = y if y.ndim == 1 else y.argmax(axis=-1)
        return float((outputs.argmax(axis=-1) == classes).mean())
    if head.decides:
        return float(((outputs > 0) == (y > 0.5)).mean())
    return float(np.abs(head.predict(outputs) - y).mean())


def squared_error(head: Values) -> typing.Callable:
    """Return the loss of values, the mean squared error, after a sigmoid if one was left out."""

    def mean_squared_error(y, outputs):
        return tf.reduce_mean(tf.math.squared_difference(_values(head, outputs), tf.cast(y, outputs.dtype)), axis=-1)

    return mean_squared_error


def _values(head, outputs):
    return tf.sigmoid(outputs) if head.sigmoid else outputs


def outputs_as_targets(head: Head, outputs: tf.Tensor) -> tf.Tensor:
    """Return outputs of the ANN as targets: probabilities of classes or labels, or values."""
    if head.name == "classes":
        return tf.nn.softmax(outputs)
    return tf.sigmoid(outputs) if head.decides else _values(head, outputs)
