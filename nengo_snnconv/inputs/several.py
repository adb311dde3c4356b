"""Data for models with several inputs or outputs: dicts and lists of arrays as the vectors that their networks read."""

from __future__ import annotations

import typing
from collections.abc import Mapping

import numpy as np

from .._util.validation import check_range, check_stored_images
from ..errors import SettingsError, listed
from ..events import Recordings
from ..model.ports import as_records, by_name, joined
from .arrays import LABEL_KEYS, as_numbers, channels_last
from .inputs import Inputs

if typing.TYPE_CHECKING:
    from ..model import Model
    from ..model.ports import Port


class JoinedArrays:
    """Arrays of several inputs as an array of vectors, of which only the items that are read are joined.

    Parameters
    ----------
    parts : dict of str to ndarray
        Array of each input, (items, *shape), or frames, (items, steps, *shape).
    ports : dict of str to Port
        The inputs.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, parts: dict[str, np.ndarray], ports: dict[str, Port]):
        self.parts, self.ports = parts, ports
        steps = {part.shape[1] for name, part in parts.items() if self._moves(name)}
        self.steps = tuple(steps)
        self.shape = (len(next(iter(parts.values()))), *self.steps, sum(port.size for port in ports.values()))
        self.ndim = len(self.shape)

    def _moves(self, name):
        return self.parts[name].ndim == len(self.ports[name].shape) + 2

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, indices: slice | np.ndarray) -> np.ndarray:
        taken = {name: np.asarray(part[indices], np.float32) for name, part in self.parts.items()}
        if self.steps:  # what does not move is the same in each step
            taken = {
                name: part if self._moves(name) else np.repeat(part[:, None], self.steps[0], axis=1)
                for name, part in taken.items()
            }
        return joined(taken, self.ports, self.ndim - 1)

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return np.asarray(self[:], dtype)


def has_several(model: Model) -> bool:
    """Return whether a model has several inputs or several outputs."""
    return len(model.inputs) > 1 or len(model.outputs) > 1


def as_parts(model: Model, x: typing.Any, element: bool = False) -> tuple[typing.Any, typing.Any] | None:
    """Return the inputs and the labels in data for a model with several inputs or outputs; None for a source of them.

    Parameters
    ----------
    model : Model
    x
        Inputs, which are an array, or a dict or list of arrays; a tuple of inputs and labels; a tuple of the arrays of
        all inputs and all outputs; or a dict with all of them.
    element : bool
        True for an element of a source, in which pairs may be lists.

    Returns
    -------
    inputs
        A dict by name if they were given as a dict or list for several inputs.
    labels
        In the form in which they were given; None without labels.
    """
    ports, n_outputs = model.inputs, len(model.outputs)
    if isinstance(x, Mapping):
        return _from_dict(model, x)
    if not isinstance(x, tuple | list):
        return None
    if len(x) == 3 and x[2] is None:
        x = x[:2]
    may_be_pair = len(x) == 2 and (element or isinstance(x, tuple))
    if all(map(_is_array, x)):
        if may_be_pair and x[0].shape[1:] == model.shapes[model.input] != x[1].shape[1:]:
            return x[0], x[1]
        if len(x) == len(ports) > 1:
            return by_name(x, ports, "x"), None
        if len(x) == len(ports) + n_outputs:  # as DataLoaders of PyTorch give them
            labels = x[len(ports) :]
            inputs = by_name(x[: len(ports)], ports, "x") if len(ports) > 1 else x[0]
            return inputs, labels[0] if n_outputs == 1 else list(labels)
    elif may_be_pair and not isinstance(x[0], str):
        is_list = len(ports) > 1 and isinstance(x[0], tuple | list)
        return by_name(x[0], ports, "x") if is_list else x[0], x[1]
    return None


def holds_batches(x: typing.Any) -> bool:
    """Return whether a list or tuple holds batches: vectors, dicts, or lists of arrays."""
    if not isinstance(x, tuple | list) or not x:
        return False
    first = x[0]
    while isinstance(first, tuple | list) and first:
        first = first[0]
    return _is_array(first) or isinstance(first, Mapping)


def _is_array(value):
    return hasattr(value, "shape")


def _from_dict(model, values):
    """Return inputs and labels from one dict; labels have their usual keys, or those of outputs."""
    of_outputs = {key: value for key, value in values.items() if key in model.outputs and key not in model.inputs}
    labels = [key for key in values if key in LABEL_KEYS and key not in of_outputs and key not in model.inputs]
    inputs = {key: value for key, value in values.items() if key not in of_outputs and key not in labels}
    if len(model.inputs) > 1:
        inputs = by_name(inputs, model.inputs, "x")
    elif len(inputs) == 1:
        (inputs,) = inputs.values()
    else:
        raise SettingsError(
            f"x gives dicts with the keys {listed(map(str, values), 8)}: they must be one input and the outputs of the "
            f"model, {listed(model.outputs, 8)}",
            argument="x",
        )
    if of_outputs:
        return inputs, of_outputs
    return inputs, values[labels[0]] if len(labels) == 1 else None


def as_vectors(model: Model, x: typing.Any) -> typing.Any:
    """Return a dict of arrays for several inputs as an array of vectors; anything else unchanged.

    Raises
    ------
    SettingsError
        If an array does not fit its input.
    """
    if not isinstance(x, Mapping) or len(model.inputs) == 1:
        return x
    parts = {}
    for name, part in x.items():
        if isinstance(part, Recordings | Inputs):
            raise SettingsError(
                f"x[{name!r}] must be an array, got {type(part).__name__}, which models with a single input take: "
                "give frames, such as recordings.frames(16)",
                argument="x",
            )
        parts[name] = _fitting(model, part, model.inputs[name])
    return _joined(parts, model.inputs)


def as_item(model: Model, x: typing.Any, y: typing.Any) -> tuple[np.ndarray, typing.Any, bool]:
    """Return the inputs and labels of an element of a source as arrays, and whether it is a single item.

    Parameters
    ----------
    model : Model
    x, y
        As :func:`as_parts` returns them.
    """
    if isinstance(x, Mapping):
        parts = {name: as_numbers(part, f"x[{name!r}]") for name, part in x.items()}
        single = all(
            part.ndim <= len(model.inputs[name].shape) and part.size == model.inputs[name].size
            for name, part in parts.items()
        )
        vectors = as_vectors(model, {name: part[None] if single else part for name, part in parts.items()})
        x = vectors[0:1][0] if single else vectors[:]
    else:
        x = as_numbers(x, "x")
        shape = model.shapes[model.input]
        single = x.ndim == len(shape) and channels_last(model, x, shape).shape == shape
    y = as_targets(model, y, 0 if single else 1)
    return x, None if y is None else y if _is_array(y) else as_numbers(y, "y"), single


def _fitting(model, part, port):
    """Return the array of one input, checked, with its channels last."""
    name = f"x[{port.name!r}]"
    array = channels_last(model, as_numbers(part, name), port.shape)
    if port.shape == (1,) and array.ndim == 1:
        array = array[:, None]
    if array.ndim == len(port.shape) + 2:
        if array.shape[2:] != port.shape or not len(array) or not array.shape[1]:
            raise SettingsError(
                f"{name} must hold frames of shape (items, steps, {', '.join(map(str, port.shape))}), got "
                f"{array.shape}",
                argument="x",
            )
        check_range(array, name, exact=True)
        return array
    return check_stored_images(model, array, port, name)


def _joined(parts, ports):
    """Return arrays of several inputs as vectors; raise SettingsError unless they have equally many items."""
    for axis, content in enumerate(("items", "steps")):
        numbers = {
            name: part.shape[axis]
            for name, part in parts.items()
            if not axis or part.ndim == len(ports[name].shape) + 2
        }
        if len(set(numbers.values())) > 1:
            found = ", ".join(f"{name!r} {number}" for name, number in numbers.items())
            raise SettingsError(f"the inputs in x must hold equally many {content}; got {found}", argument="x")
    return JoinedArrays(parts, ports)


def as_targets(model: Model, y: typing.Any, n_axes: int = 1) -> typing.Any:
    """Return the labels of several outputs, a dict or list of arrays, as a structured array with a field for each.

    Anything else is returned unchanged, and so are the labels of one output.

    Parameters
    ----------
    model : Model
    y
        Dict or list of arrays, or an array of numbers of all outputs, (items, entries).
    n_axes : int
        0 for a single item, 1 for a batch.
    """
    if y is None or len(model.outputs) == 1 or getattr(getattr(y, "dtype", None), "names", None):
        return y
    if not isinstance(y, Mapping | list | tuple):
        return y
    values = by_name(y, model.outputs, "y")
    arrays = {name: as_numbers(value, f"y[{name!r}]") for name, value in values.items()}
    if n_axes:
        numbers = {name: len(array) if array.ndim else 0 for name, array in arrays.items()}
        if len(set(numbers.values())) > 1 or 0 in numbers.values():
            found = ", ".join(f"{name!r} {number}" for name, number in numbers.items())
            raise SettingsError(f"the targets in y must hold equally many items; got {found}", argument="y")
    return as_records(arrays, n_axes)
