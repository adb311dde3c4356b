"""Layer: the base class of all layer specs, and the checks that they share."""

import dataclasses
from typing import ClassVar

from ..errors import ModelError


@dataclasses.dataclass(frozen=True)
class Layer:
    """Base class of all layer specs.

    Parameters
    ----------
    name : str
        Unique within its model.
    inputs : tuple of str
        Names of the layers that this one reads, in order.
    """

    name: str
    inputs: tuple = ()

    n_inputs: ClassVar = 1

    def __post_init__(self):
        if not isinstance(self.name, str) or not self.name or "/" in self.name:
            raise ModelError(f"a layer's name must be a non-empty string without '/', got {self.name!r}")
        self._set("inputs", (self.inputs,) if isinstance(self.inputs, str) else tuple(self.inputs))
        if self.n_inputs is None:
            self._require(len(self.inputs) >= 2, f"needs two inputs or more, got {len(self.inputs)}")
        else:
            self._require(len(self.inputs) == self.n_inputs, f"needs {self.n_inputs} input(s), got {self.inputs}")

    def __str__(self):
        return f"layer {self.name!r} ({type(self).__name__})"

    def array_shapes(self, *input_shapes):
        """Shape of each array that the layer needs in the model: {name: shape}."""
        return {}

    def output_shape(self, *input_shapes):
        """Shape that the layer makes of its inputs' shapes; ModelError where they do not fit."""
        return input_shapes[0]

    def workspace(self, *input_shapes):
        """Number of entries that the layer makes on the way to its output; ModelError for more than are built."""
        return 0

    def _set(self, attribute, value):
        object.__setattr__(self, attribute, value)

    def _require(self, condition, message):
        if not condition:
            raise ModelError(f"{self} {message}")

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


def is_int(value):
    return isinstance(value, int) and not isinstance(value, bool)
