"""Ports: named inputs and outputs of a model, which share its input vector and its output vector.

A model has one Input and one output layer.  If it was read from a model with several inputs, its Input is a vector with
the entries of all of them, one input after another; its output is the vector of all outputs in the same way.  The
metadata "inputs" and "outputs" hold the names, shapes and functions.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .._util.validation import shown
from ..errors import SettingsError, listed

# attributes of a port besides its name and its entries
PROPERTIES = ("function", "scaled", "targets", "loss_weight")


@dataclasses.dataclass(frozen=True)
class Port:
    """One of the inputs or outputs of a model.

    Attributes
    ----------
    name : str
    shape : tuple of int
        Shape without the batch, the channel last.
    start : int
        Index of its first entry in the vector of all inputs or outputs.
    function : str or None
        Function that was left out at this output: "softmax" or "sigmoid".
    scaled : bool or None
        True if the first layers behind this input scale it, so that it may hold pixels up to 255; None if unknown.
    targets : str or None
        What this output was trained for, by the loss of the Keras model: "values", "classes" or "labels"; None if
        unknown.
    loss_weight : float or None
        Weight of this output in the loss of the Keras model; None if it has none.
    """

    name: str
    shape: tuple[int, ...]
    start: int = 0
    function: str | None = None
    scaled: bool | None = None
    targets: str | None = None
    loss_weight: float | None = None

    @property
    def has_logits(self) -> bool:
        """True if a sigmoid was left out at this output, or was in the loss."""
        return self.function == "sigmoid" or (self.function is None and self.targets == "labels")

    @property
    def size(self) -> int:
        """Number of entries."""
        return math.prod(self.shape)

    @property
    def entries(self) -> slice:
        """Its entries in the vector of all inputs or outputs."""
        return slice(self.start, self.start + self.size)


def ports_from(declared: Any, name: str, shape: tuple[int, ...], **properties: Any) -> dict[str, Port]:
    """Return the ports that metadata declare; a single one, with the given properties, if they declare none."""
    if declared is None:
        return {name: Port(name, shape, **properties)}
    ports: dict[str, Port] = {}
    start = 0
    for each in declared:
        declared_properties = {key: each[key] for key in PROPERTIES if key in each}
        port = Port(each["name"], tuple(each["shape"]), start, **declared_properties)
        ports[port.name], start = port, start + port.size
    return ports


def as_metadata(ports: Iterable[tuple[str, tuple[int, ...], str | None]]) -> list[dict[str, Any]]:
    """Return the metadata of ports from their names, shapes and functions."""
    return [
        {"name": name, "shape": list(shape), **({} if function is None else {"function": function})}
        for name, shape, function in ports
    ]


def joined(parts: Mapping[str, np.ndarray], ports: Mapping[str, Port], n_axes: int) -> np.ndarray:
    """Return the vectors of arrays by port, (..., entries), where ``...`` are the first ``n_axes`` axes of each."""
    return np.concatenate([parts[name].reshape(*parts[name].shape[:n_axes], -1) for name in ports], axis=-1)


def split(vectors: np.ndarray, ports: Mapping[str, Port]) -> dict[str, np.ndarray]:
    """Return the array of each port, (..., *shape), from vectors (..., entries)."""
    return {name: vectors[..., port.entries].reshape(*vectors.shape[:-1], *port.shape) for name, port in ports.items()}


def by_name(values: Any, ports: Mapping[str, Port], argument: str) -> dict[str, Any]:
    """Return values that are given as a dict, or as a list in the order of the ports, as a dict.

    Raises
    ------
    SettingsError
        If there is not one value for each port.
    """
    kind = "inputs" if argument == "x" else "outputs"
    if isinstance(values, Mapping):
        missing, unknown = ([name for name in a if name not in b] for a, b in ((ports, values), (values, ports)))
        if missing or unknown:
            problem = f"lacks {listed(missing)}" if missing else f"has {listed(map(str, unknown))}"
            raise SettingsError(
                f"{argument} {problem}: give a dict with an array for each of the {kind} of the model, "
                f"{listed(ports, 8)}",
                argument=argument,
            )
        return {name: values[name] for name in ports}
    if not isinstance(values, list | tuple) or len(values) != len(ports):
        number = f"{len(values)} of them" if isinstance(values, list | tuple) else shown(values)
        raise SettingsError(
            f"{argument} must be a dict with the keys {listed(ports, 8)}, the {kind} of the model, or a list of "
            f"{len(ports)} arrays in this order; got {number}",
            argument=argument,
        )
    return dict(zip(ports, values, strict=True))


def as_records(values: Mapping[str, np.ndarray], n_axes: int) -> np.ndarray:
    """Return arrays that share their first ``n_axes`` axes as one structured array with a field for each of them.

    Such an array is indexed, joined and stored as any other, and ``records["name"]`` is a view of each array.
    """
    arrays = {name: np.asarray(value) for name, value in values.items()}
    shape = next(iter(arrays.values())).shape[:n_axes]
    records = np.empty(shape, [(name, array.dtype, array.shape[n_axes:]) for name, array in arrays.items()])
    for name, array in arrays.items():
        records[name] = array
    return records
