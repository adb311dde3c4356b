"""Task: the head of a network with the values that its predictions are compared with, for all images of a run."""

from __future__ import annotations

import dataclasses
import functools
import math
import typing

import numpy as np

from .._util.validation import are_equal_in_all_steps, as_array, check_range
from ..errors import SettingsError, listed
from ..inputs.several import as_targets
from ..model.ports import as_records, by_name, split
from . import metrics
from .heads import Binary, Classes, Head, Heads, Labels, Values

if typing.TYPE_CHECKING:
    from ..model import Model
    from ..model.ports import Port


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """Targets of a network, and how its outputs are compared with them.

    Attributes
    ----------
    head : Head
    y : ndarray or None
        Classes, int64 (images,); labels, bool (images, labels); or values, float32 (images, outputs).  Of several
        outputs, a structured array (images,) with a field for each.  None if predictions are compared with those of the
        ANN only.
    ann : ndarray or None
        The same from the ANN; None without an ANN.
    """

    head: Head
    y: np.ndarray | None = None
    ann: np.ndarray | None = None

    @property
    def labelled(self) -> bool:
        """True if there are targets."""
        return self.y is not None

    @property
    def reference(self) -> np.ndarray:
        """Targets, or the predictions of the ANN if there are none."""
        found = self.ann if self.y is None else self.y
        assert found is not None  # with_ann checks it
        return found

    @functools.cached_property
    def parts(self) -> dict[str, Task]:
        """Task of each of several outputs, by name; empty for one output."""
        return {
            name: Task(part, *(None if values is None else values[name] for values in (self.y, self.ann)))
            for name, part in self.head.parts.items()
        }

    @property
    def score_name(self) -> str:
        """Name of the score: that of the head, or the agreement with the ANN."""
        if self.parts or self.labelled:
            return self.head.score_name
        return "agreement with the ANN" if self.head.decides else f"{self.head.score_name} against the ANN"

    @functools.cached_property
    def variance(self) -> float:
        """Variance of the values of the reference between images, averaged over outputs, by which R² divides."""
        return metrics.variance(self.reference)

    def with_ann(self, ann: np.ndarray | None) -> Task:
        """Return the task with the predictions of the ANN.

        Raises
        ------
        SettingsError
            If there is nothing to compare with.
        """
        if ann is None and self.y is None:
            raise SettingsError(
                "y is needed: this network has no ANN with whose predictions its own could be compared", argument="y"
            )
        return dataclasses.replace(self, ann=ann)

    def take(self, images: slice | np.ndarray) -> Task:
        """Return the task of some of the images."""
        y, ann = (None if values is None else values[images] for values in (self.y, self.ann))
        return Task(self.head, y, ann)

    def for_records(self, images: slice | np.ndarray) -> Task:
        """Return what is needed to record some of the images: the head, and the values of a regression."""
        return Task(self.head) if self.head.decides else self.take(images)

    def record(self, outputs: np.ndarray, images: slice | np.ndarray) -> np.ndarray:
        """Return what is kept of outputs, (images, steps, outputs), as :meth:`.Head.record` does."""
        known = [values[images] for values in (self.y, self.ann) if values is not None]
        return self.head.record(outputs, known)

    def image_scores(self, records: np.ndarray, images: slice | np.ndarray = slice(None)) -> np.ndarray:
        """Return the scores of images, (..., images), from their records (..., images, ...)."""
        return self.head.image_scores(records, self.reference[images], self)

    def output_scores(self, outputs: np.ndarray, images: slice | np.ndarray) -> np.ndarray:
        """Return the scores of images, (images,), from their outputs (images, ...)."""
        outputs = np.asarray(outputs)
        return self.image_scores(self.record(outputs.reshape(len(outputs), 1, -1), images)[:, 0], images)

    def ann_scores(self) -> np.ndarray | None:
        """Return the score of each image for the ANN, (images,); None without an ANN."""
        return None if self.ann is None else self.image_scores(self.head.records_of(self.ann, self.reference))


def classes_of(model: Model) -> Task:
    """Return the task of a classification without targets; that of several outputs if the model has them."""
    return as_task(model, 0, None) if len(model.outputs) > 1 else Task(Classes(model.size(model.output)))


def as_task(model: Model, n_images: int, y: typing.Any) -> Task:
    """Return the task of a model for targets ``y``, which choose the head together with the model; a Task unchanged.

    Parameters
    ----------
    model : Model
        Its ``outputs`` tell whether a softmax or sigmoid was left out.
    n_images : int
    y : array_like or None
        Class numbers (images,); one-hot rows (images, classes); 0 and 1 for one output; rows of 0 and 1 (images,
        labels); or values, floats of the shape of the outputs.  Of a model with several outputs, a dict by name or a
        list with those of each.  Without them, the head follows from the model.

    Raises
    ------
    SettingsError
        If they do not fit the model or the images.
    """
    if isinstance(y, Task):
        return y
    ports = model.outputs
    if len(ports) == 1:
        (port,) = ports.values()
        return task_of(port, n_images, y, "y")
    values = targets_by_output(model, y)
    tasks = {name: task_of(port, n_images, values.get(name), f"y[{name!r}]") for name, port in ports.items()}
    head = Heads({name: (port.entries, tasks[name].head) for name, port in ports.items()})
    targets = {name: task.y for name, task in tasks.items() if task.y is not None}
    return Task(head, as_records(targets, 1) if targets else None)


def targets_by_output(model: Model, y: typing.Any) -> dict[str, typing.Any]:
    """Return the targets of each of several outputs, by name; an empty dict without targets."""
    y = as_targets(model, y)
    if y is None:
        return {}
    if names := getattr(getattr(y, "dtype", None), "names", None):
        return {name: y[name] for name in names}
    y = as_array(y, "y")
    if y.shape[1:] != model.shapes[model.output]:
        by_name(y, model.outputs, "y")  # raises the error that names them
    return split(y, model.outputs)


def task_of(port: Port, n_images: int, y: typing.Any, name: str) -> Task:
    """Return the task of one output for its targets; ``name`` is that of the targets, for messages."""
    shape, function = port.shape, port.function
    sigmoid = port.has_logits
    if y is None:
        return Task(_head_without_targets(port))
    y = as_array(y, name)
    if not y.ndim or n_images != len(y):
        received = f"{n_images} and {len(y)}" if y.ndim else f"{n_images} and a single number"
        raise SettingsError(f"x and {name} must hold equally many images; got {received}", argument="y")
    check_range(y, name)
    if shape[-1] == 1 and y.shape[1:] == shape[:-1]:
        y = y[..., None]
    whole, zero_one = y.dtype.kind != "f", bool(np.isin(y, (0, 1)).all())
    if len(shape) == 1 and shape != (1,) and y.ndim == 1:
        return Task(Classes(shape[0]), _class_numbers(y, shape[0], name))
    if y.shape[1:] != shape:
        raise _wrong_shape(y, shape, name)
    rows = y.reshape(n_images, -1)
    regression = port.targets == "values" and not sigmoid  # the model was compiled with a loss such as "mse"
    if shape == (1,) and not regression and (whole or (sigmoid and zero_one)):
        return Task(Binary(), _zero_one(rows[:, 0], zero_one, name))
    if zero_one and len(shape) == 1 and shape != (1,):
        if not sigmoid and (np.count_nonzero(rows, axis=1) == 1).all():
            return Task(Classes(shape[0]), rows.argmax(axis=1))
        if function != "softmax":
            return Task(Labels(shape[0]), rows != 0)
    if function == "softmax":
        raise SettingsError(
            f"{name} must hold class numbers (images,) or one-hot rows for a model that ends with a softmax; its rows "
            f"hold other numbers: take {name}.argmax(axis=1)",
            argument="y",
        )
    if zero_one and whole and sigmoid:  # masks
        return Task(Labels(math.prod(shape)), rows != 0)
    return Task(Values(shape, sigmoid), rows.astype(np.float32))


def class_numbers(model: Model, n_images: int, y: typing.Any) -> np.ndarray:
    """Return class numbers, or one-hot rows, ``y`` as int64 (images,); one output stands for the classes 0 and 1.

    Raises
    ------
    SettingsError
        If they do not fit the model or the images, or are other targets, or the model has several outputs.
    """
    if len(model.outputs) > 1:
        raise SettingsError(
            f"the network has the outputs {listed(model.outputs, 8)}, and this function takes a network with one: make "
            "a model of one of them, as in keras.Model(model.inputs, model.outputs[0])",
            argument="y",
        )
    task = as_task(model, n_images, y)
    if isinstance(task.head, Classes) and task.y is not None:
        return task.y
    if isinstance(task.head, Labels) and task.y is not None and (task.y.sum(axis=1) == 1).all():
        return task.y.argmax(axis=1)
    expected = "0 and 1, (images,)" if model.size(model.output) == 1 else "class numbers (images,) or one-hot rows"
    received = "None" if y is None else f"other targets of shape {np.shape(y)}"
    raise SettingsError(f"y must hold {expected}, got {received}", argument="y")


def _head_without_targets(port):
    """Return the head of an output for which there are no targets, from what it was trained for, if that is known."""
    shape, sigmoid = port.shape, port.has_logits
    if len(shape) > 1 or (port.size == 1 and not sigmoid) or (port.function is None and port.targets == "values"):
        return Values(shape, sigmoid)
    if port.size == 1:
        return Binary()
    return Labels(port.size) if sigmoid else Classes(port.size, assumed=port.function is None and port.targets is None)


def _class_numbers(y, n_classes, name):
    if y.dtype.kind == "f":
        raise SettingsError(
            f"{name} must hold class numbers (integers), one-hot rows or targets (images, {n_classes}); got {y.dtype} "
            f"{y.shape}",
            argument="y",
        )
    if y.dtype.kind == "b" and n_classes > 2:
        raise SettingsError(
            f"{name} holds True and False, but the network has {n_classes} outputs: give class numbers (images,), or "
            f"rows of labels (images, {n_classes})",
            argument="y",
        )
    if y.min() < 0 or y.max() >= n_classes:
        raise SettingsError(
            f"the classes in {name} go from {y.min()} to {y.max()}, the network has {n_classes} outputs", argument="y"
        )
    return y.astype(np.int64)


def _zero_one(y, zero_one, name):
    if not zero_one:
        raise SettingsError(
            f"{name} holds whole numbers from {y.min()} to {y.max()}, but one output tells the classes 0 and 1 apart: "
            "give those, or floats for a regression, as in y.astype(float)",
            argument="y",
        )
    return y.astype(np.int64)


def _wrong_shape(y, shape, name):
    """Return the error for targets of a wrong shape."""
    if len(shape) > 1:
        expected = f"(images, {', '.join(map(str, shape))}), that of the output"
    elif shape == (1,):
        expected = "(images,) or (images, 1)"
    else:
        expected = f"(images,) or (images, {shape[0]})"
    way_out = f": take the column, {name}[:, 0]" if y.shape[1:] == (1,) else _way_out_of_steps(y, shape, name)
    if shape == (1,) and y.shape[1:] == (2,) and np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all():
        way_out = f": take {name}.argmax(axis=1)"
    if len(shape) > 1 and y.ndim == 1:
        way_out = ": for class scores, end the model with Flatten or global pooling"
    return SettingsError(f"{name} must have shape {expected}, got {y.shape}{way_out}", argument="y")


def _way_out_of_steps(y, shape, name):
    """Return the call for targets (images, steps, ...), such as NengoDL's simulator takes, after a colon."""
    if y.ndim < 2 or 0 in y.shape or y.shape[2:] not in ((), (1,), shape):
        return ""
    if y.ndim == 2 and y.dtype.kind == "f":  # values of another number of outputs
        return ""
    if not are_equal_in_all_steps(y):
        return ": they differ between the steps of an item, give one for each item" if y.ndim > 2 else ""
    return f": give each once, {name}[:, 0, 0]" if y.shape[2:] == (1,) else f": give each once, {name}[:, 0]"
