"""Targets of a training: the head that they choose together with the model, and how training measures it."""

from __future__ import annotations

import typing

import numpy as np

from .._util.validation import as_array, check_range
from ..compat import tf
from ..errors import SettingsError
from ..evaluation.heads import Classes, Heads, Values
from ..evaluation.task import targets_by_output, task_of
from ..model.ports import by_name, joined

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
        Class numbers, int64 (images,), or targets of the outputs, float32 (images, ...).  Of several outputs, rows of
        numbers of all of them, with one-hot rows for classes.
    """
    ports = model.outputs
    if y is None and not optional:
        if len(ports) > 1:
            by_name(y, ports, "y")  # raises the error that names them
        raise SettingsError(
            "y must hold class numbers (images,) or other targets, got None: record runs a network without y",
            argument="y",
        )
    if len(ports) > 1:
        return _of_several(model, n_images, y)
    (port,) = ports.values()
    return _of_port(port, n_images, y, "y")


def _of_several(model, n_images, y):
    """Return the head and the targets of several outputs, which are rows of numbers of all of them."""
    values, ports = targets_by_output(model, y), model.outputs
    parts = {name: _of_port(port, n_images, values.get(name), f"y[{name!r}]") for name, port in ports.items()}
    head = Heads({name: (port.entries, parts[name][0]) for name, port in ports.items()})
    if y is None:
        return head, None
    rows = {
        name: np.eye(ports[name].size, dtype=np.float32)[targets] if is_classes(part) and targets.ndim == 1 else targets
        for name, (part, targets) in parts.items()
    }
    return head, joined(rows, ports, 1)


def _of_port(port, n_images, y, name):
    """Return the head and the targets of an output: class numbers, or rows of numbers."""
    if y is None:
        return task_of(port, n_images, None, name).head, None
    shape, array = port.shape, as_array(y, name)
    if not port.has_logits and len(shape) == 1 and shape != (1,) and array.shape == (n_images, *shape):
        check_range(array, name)
        if port.function == "softmax" or are_probabilities(array):
            return Classes(shape[0]), array.astype(np.float32)
    task = task_of(port, n_images, array, name)
    if is_classes(task.head):
        return task.head, task.reference
    return task.head, task.reference.reshape(n_images, *shape).astype(np.float32)


def are_probabilities(rows: np.ndarray, tolerance: float = 1e-3) -> bool:
    """Return whether rows are class probabilities, whose sums differ from 1 by at most ``tolerance``."""
    return bool((rows >= 0).all()) and np.allclose(rows.sum(axis=1), 1, atol=tolerance)


def is_classes(head: Head) -> bool:
    """Return whether the outputs are class scores, one for each class."""
    return head.name == "classes"


def _measured_parts(head):
    """Return (entries, head) of the outputs that are measured: those that decide, if any of several does, else all."""
    if not head.parts:
        return [(slice(None), head)]
    parts = [(head.entries[name], part) for name, part in head.parts.items()]
    return [pair for pair in parts if pair[1].decides] or parts


def measure_name(head: Head) -> str:
    """Return the name of the measure of a training besides the loss: "accuracy", or "error" for values."""
    return "accuracy" if _measured_parts(head)[0][1].decides else "error"


def keras_measure(head: Head) -> typing.Any:
    """Return the measure of a training as a Keras metric of targets and outputs.

    It is the accuracy of classes, or of labels, or the mean absolute error of values.  Of several outputs, it is the
    mean accuracy of those that have one.
    """
    if is_classes(head):
        return "accuracy"
    parts = _measured_parts(head)

    def measure(y, outputs):
        y = tf.cast(y, outputs.dtype)
        found = [_measure(part, y[..., entries], outputs[..., entries]) for entries, part in parts]
        return found[0] if len(found) == 1 else tf.add_n([tf.reduce_mean(each, -1) for each in found]) / len(found)

    measure.__name__ = measure_name(head)
    return measure


def _measure(head, y, outputs):
    """Return the measure of each entry, (..., entries), or of class scores, (..., 1)."""
    if is_classes(head):
        return tf.cast(tf.argmax(outputs, axis=-1) == tf.argmax(y, axis=-1), outputs.dtype)[..., None]
    if head.decides:
        return tf.cast((outputs > 0) == (y > 0.5), outputs.dtype)
    return tf.abs(_values(head, outputs) - y)


def measured(head: Head, outputs: np.ndarray, y: np.ndarray) -> float:
    """Return the same measure of arrays; targets of classes may be class numbers or rows."""
    if is_classes(head):
        classes = y if y.ndim == 1 else y.argmax(axis=-1)
        return float((outputs.argmax(axis=-1) == classes).mean())
    if head.parts:
        parts = _measured_parts(head)
        return float(np.mean([measured(part, outputs[:, entries], y[:, entries]) for entries, part in parts]))
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
    if head.parts:
        parts = head.parts.items()
        return tf.concat([outputs_as_targets(part, outputs[..., head.entries[name]]) for name, part in parts], -1)
    if is_classes(head):
        return tf.nn.softmax(outputs)
    return tf.sigmoid(outputs) if head.decides else _values(head, outputs)
