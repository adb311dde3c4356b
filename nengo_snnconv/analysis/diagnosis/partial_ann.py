"""PartialANN: forward pass of the ANN with the activations of some layers given."""

from __future__ import annotations

import itertools
import typing
from collections.abc import Callable

import numpy as np

from ...compat import tf
from ...model import layers as specs
from ...networks.keras_layers import keras_layer
from ...neurons.qcfs import quantized

if typing.TYPE_CHECKING:
    from ...model.graph import Model


class PartialANN:
    """The ANN of a model, computed from given activations of some of its layers."""

    def __init__(self, model: Model):
        self.model = model
        self.linear_layers = {
            name: keras_layer(layer, model.arrays_of(name))
            for name, layer in model.layers.items()
            if not isinstance(layer, specs.Input | specs.Rectifier)
        }

    def run(
        self, known: dict[str, typing.Any], neurons: Callable[[str, np.ndarray], np.ndarray] | None = None
    ) -> dict[str, typing.Any]:
        """Return the activations of every layer, {name: tensor (images, ...)}.

        Parameters
        ----------
        known : dict of str to array, (images, ...)
            Activations of some layers, among them the input.
        neurons : callable, optional
            Function of the name of a layer of neurons and its input current that replaces the rectifier.
        """
        values: dict[str, typing.Any] = {}
        for name, layer in self.model.layers.items():
            inputs = [values[i] for i in layer.inputs]
            if name in known:
                values[name] = tf.convert_to_tensor(known[name], tf.float32)
            elif isinstance(layer, specs.Rectifier):
                emitted = (neurons or self._rectify)(name, np.asarray(inputs[0]))
                values[name] = tf.convert_to_tensor(emitted, tf.float32)
            else:
                values[name] = self.linear_layers[name](inputs if len(inputs) > 1 else inputs[0])
        return values

    def _rectify(self, name, current):
        return quantized(current, self.model.layers[name].levels)

    def output_from(self, name: str, activation: typing.Any, values: dict[str, typing.Any]) -> typing.Any:
        """Return the output of the ANN, given the ``activation`` of a layer and ``values`` of all layers before it."""
        known = dict(itertools.takewhile(lambda item: item[0] != name, values.items()))
        return self.run({**known, name: activation})[self.model.output]
