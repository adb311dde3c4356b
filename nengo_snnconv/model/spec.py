"""Layer: the base class of all layer specs, and their shared validation."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from ..errors import ModelError


@dataclasses.dataclass(frozen=True)
class Layer:
    """Base class of all layer specs.

    Parameters
    ----------
    name : str
        Name, unique within the model.
    inputs : tuple of str
        Names of the layers that the layer reads, in order.
    """

    name: str
    inputs: tuple = ()

    n_inputs: ClassVar[int | None] = 1

    def __post_init__(self):
        if not isinstance(self.name, str) or not self.name or "/" in self.name:
            raise ModelError(f"a layer's name must be a non-empty string without '/', got {self.name!r}")
        self._set("inputs", (self.inputs,) if isinstance(self.inputs, str) else tuple(self.inputs))
        if self.n_inputs is None:
            self._require(len(self.inputs) >= 2, f"needs at least two inputs, got {len(self.inputs)}")
        else:
            self._require(len(self.inputs) == self.n_inputs, f"needs {self.n_inputs} input(s), got {self.inputs}")

    def __str__(self):
        return f"layer {self.name!r} ({type(self).__name__})"

    def array_shapes(self, *input_shapes: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the layer's arrays: {name: shape}."""
        return {}

    def output_shape(self, *input_shapes: tuple[int, ...]) -> tuple[int, ...]:
        """Return the output shape for inputs of these shapes; raise ModelError if they do not fit."""
        return input_shapes[0]

    def workspace(self, *input_shapes: tuple[int, ...]) -> int:
        """Return the number of entries of intermediate results; raise ModelError if they exceed the limits."""
        return 0

    def _set(self, attribute, value):
        object.__setattr__(self, attribute, value)

    def _require(self, condition, message):
        if not condition:
            raise ModelError(f"{self} {message}", layer=self.name)

    def _positive(self, attribute):
        value = getattr(self, attribute)
        self._require(is_int(value) and value > 0, f"{attribute} must be a positive integer, got {value!r}")

    def _boolean(self, attribute):
        value = getattr(self, attribute)
        self._require(isinstance(value, int) and value in (0, 1), f"{attribute} must be True or False, got {value!r}")
        self._set(attribute, bool(value))

    def _positive_tuple(self, attribute, rank):
        value = getattr(self, attribute)
        value = (value,) * rank if is_int(value) else tuple(value)
        self._require(
            len(value) == rank and all(is_int(v) and v > 0 for v in value),
            f"{attribute} must hold {rank} positive integer(s), got {value}",
        )
        self._set(attribute, value)


def is_int(value: object) -> bool:
    """Return whether a value is an int; booleans are not."""
    return isinstance(value, int) and not isinstance(value, bool)
