"""NamedPorts: the inputs and outputs of a network by name, as nodes and as arrays."""

from __future__ import annotations

import typing
from collections.abc import Mapping

import numpy as np

from .._util.validation import as_array
from ..errors import SettingsError
from ..inputs import as_inputs
from ..model.ports import split

if typing.TYPE_CHECKING:
    from ..inputs import Data
    from ..model import Model
    from ..model.ports import Port


class NamedPorts:
    """Mixin of :class:`.ConvNetwork` for models with several inputs or outputs."""

    model: Model
    input: typing.Any
    output: typing.Any

    @property
    def inputs(self) -> dict[str, typing.Any]:
        """The part of the node ``input`` for each input of the model, by name, to which objects can be connected.

        For example ``nengo.Connection(camera, network.inputs["image"])``.
        """
        return {name: self.input[port.entries] for name, port in self.model.inputs.items()}

    @property
    def outputs(self) -> dict[str, typing.Any]:
        """The part of the node ``output`` for each output of the model, by name, such as ``outputs["digit"]``."""
        return {name: self.output[port.entries] for name, port in self.model.outputs.items()}

    def join_inputs(self, x: Data) -> np.ndarray:
        """Return data as vectors, which the node ``input`` takes, and so does :func:`rate_model` with several inputs.

        Parameters
        ----------
        x : dict or list of ndarray, or data in another form
            Arrays of several inputs, by name or in order, in any form that :func:`evaluate` reads; or images.

        Returns
        -------
        ndarray of float32, (items, entries)
            The entries of each input one after another; of frames, (items, steps, entries).
        """
        inputs = as_inputs(self.model, x)
        n_axes = 1 if inputs.n_steps is None else 2
        vectors = inputs.batch(slice(None))
        return vectors.reshape(*vectors.shape[:n_axes], -1)

    def split_outputs(self, outputs: np.ndarray) -> dict[str, np.ndarray]:
        """Return the arrays of several outputs, by name, from vectors of all of them.

        Parameters
        ----------
        outputs : ndarray, (..., entries)
            For example ``evaluation.scores``, or the data of the probe "output".

        Returns
        -------
        dict of str to ndarray, (..., *shape)

        Examples
        --------
        >>> network.split_outputs(evaluation.scores)["digit"]
        """
        outputs, size = as_array(outputs, "outputs"), self.model.size(self.model.output)
        if outputs.shape[-1:] != (size,):
            raise SettingsError(
                f"outputs must have {size} entries in their last axis, those of all outputs of the network; got an "
                f"array of shape {outputs.shape}",
                argument="outputs",
            )
        return split(outputs, self.model.outputs)


def described(ports: Mapping[str, Port]) -> str:
    """Return the shapes of inputs or outputs, with their names if there are several."""
    shapes = {name: " x ".join(map(str, port.shape)) for name, port in ports.items()}
    if len(shapes) == 1:
        return next(iter(shapes.values()))
    return " and ".join(f"{name} ({shape})" for name, shape in shapes.items())
