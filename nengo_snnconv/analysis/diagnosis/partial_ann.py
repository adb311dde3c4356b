"""PartialANN: forward pass of the ANN with the activations of some layers given."""

from __future__ import annotations

import itertools
import typing
from collections.abc import Callable

import numpy as np

from ...compat import tf
from ...model import layers as specs
from ...networks.keras_layers import keras_layer

if typing.TYPE_CHECKING:
    from ...networks.network import ConvNetwork


class PartialANN:
    """The ANN of a network, computed from given activations of some of its layers."""

    def __init__(self, network: ConvNetwork):
        self.model = model = network.model
        self.neurons = {name: network.settings.rate_layer(model, name) for name in model.neurons}
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
            Function of the name of a layer of neurons and its input current that replaces their rate in the ANN.
        """
        values: dict[str, typing.Any] = {}
        for name, layer in self.model.layers.items():
            inputs = [values[i] for i in layer.inputs]
            if name in known:
                values[name] = tf.convert_to_tensor(known[name], tf.float32)
            elif isinstance(layer, specs.Rectifier):
                emitted = (neurons or self.activation)(name, np.asarray(inputs[0]))
                values[name] = tf.convert_to_tensor(emitted, tf.float32)
            else:
                values[name] = self.linear_layers[name](inputs if len(inputs) > 1 else inputs[0])
        return values

    def activation(self, name: str, current: np.ndarray) -> np.ndarray:
        """Return the activation of a layer of neurons, in the ANN, for its input current."""
        return self.neurons[name](tf.convert_to_tensor(current, tf.float32)).numpy()

    def output_from(
        self, name: str, activation: typing.Any, values: dict[str, typing.Any], maxima: dict[str, typing.Any]
    ) -> typing.Any:
        """Return the output of the ANN, given the ``activation`` of a layer and ``values`` of all layers before it.

        ``maxima`` has the values of the maxima over this layer, if these are not the maxima of ``activation``.
        """
        known = dict(itertools.takewhile(lambda item: item[0] != name, values.items()))
        return self.run({**known, name: activation, **maxima})[self.model.output]

    def passed_on(self, pool: str, activation: typing.Any, chosen_by: typing.Any) -> typing.Any:
        """Return the entries of ``activation`` at the positions of the maxima of ``chosen_by``.

        Among equal entries any one is chosen, by its position.  This is the derivative of the maximum at ``chosen_by``
        in the direction of ``activation``.
        """
        chosen_by, activation = (tf.convert_to_tensor(values, tf.float32) for values in (chosen_by, activation))
        with tf.autodiff.ForwardAccumulator(chosen_by, activation) as derivative:
            largest = self.linear_layers[pool](chosen_by)
        return derivative.jvp(largest)
