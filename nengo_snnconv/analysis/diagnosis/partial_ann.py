"""PartialANN: forward pass of the ANN with the activations of some layers given."""

from __future__ import annotations

import itertools
import typing
from collections.abc import Callable

import numpy as np

from ...compat import tf
from ...model import layers as specs
from ...model.connectivity import maxima_over
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

    def output_from(
        self, name: str, activation: typing.Any, values: dict[str, typing.Any], chosen_by: typing.Any = None
    ) -> typing.Any:
        """Return the output of the ANN, given the ``activation`` of a layer and ``values`` of all layers before it.

        With ``chosen_by``, other activations of this layer, maxima over it pass on the entries that are largest in
        these, as :meth:`passed_on` does.
        """
        known = dict(itertools.takewhile(lambda item: item[0] != name, values.items()))
        known[name] = activation
        if chosen_by is not None:
            known |= {pool: self.passed_on(pool, activation, chosen_by) for pool in maxima_over(self.model, name)}
        return self.run(known)[self.model.output]

    def passed_on(self, pool: str, activation: typing.Any, chosen_by: typing.Any) -> typing.Any:
        """Return the entries of ``activation`` at the positions of the maxima of ``chosen_by``.

        Among equal entries any one is chosen, by its position.  This is the derivative of the maximum at ``chosen_by``
        in the direction of ``activation``.
        """
        chosen_by, activation = (tf.convert_to_tensor(values, tf.float32) for values in (chosen_by, activation))
        with tf.autodiff.ForwardAccumulator(chosen_by, activation) as derivative:
            largest = self.linear_layers[pool](chosen_by)
        return derivative.jvp(largest)
