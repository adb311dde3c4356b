"""SpikeTrains: the spikes of a network on some images, simulated layer by layer instead of step by step."""

from __future__ import annotations

import typing

import numpy as np

from ..model import layers as specs
from ..networks.keras_layers import keras_layer
from ..neurons.qcfs import quantized

if typing.TYPE_CHECKING:
    from ..model import Model
    from ..networks.native import NativeConfig
    from ..networks.ttfs import TTFSConfig

MOST_SPIKES = np.iinfo(np.int16).max


class SpikeTrains:
    """Spikes of the neurons of a model, and the activations of its ANN, on the same images.

    Layers of neurons are simulated one after another with :meth:`simulate`; in between, the arrays of the layers that
    follow may be changed.  Since spikes pass through all layers within a step, the result is the same as that of a
    simulation step by step.

    Parameters
    ----------
    model : Model
    settings : NativeConfig
        Settings of the spiking network: constant input, no synapses.
    x : ndarray, (images, height, width, channel)
    n_steps : int
    dt : float
        Length of a step in seconds.

    Attributes
    ----------
    arrays : dict of str to ndarray
        Current arrays of the network, which :meth:`set_arrays` changes.
    """

    def __init__(
        self, model: Model, settings: NativeConfig | TTFSConfig, x: np.ndarray, n_steps: int, dt: float = 0.001
    ):
        self.model, self.settings, self.x, self.n_steps, self.dt = model, settings, x, n_steps, dt
        self.arrays = dict(model.arrays)
        self._ann_layers = {name: self._linear(name, model.arrays_of(name)) for name in model.layers}
        self._layers = dict(self._ann_layers)
        self._activations: dict[str, np.ndarray] = {}
        self._spikes: dict[str, np.ndarray] = {}
        self._means: dict[str, np.ndarray] = {}
        self._scales: dict[str, np.ndarray] = {}
        self._states: dict[tuple, dict[str, np.ndarray]] = {}
        self._constant = {name: self._is_constant(name) for name in model.layers}

    def _match(self, name):
        """Return gain, bias and type of the neurons of a layer."""
        return self.settings.of_layer(self.model, name).match

    def height(self, name: str) -> float:
        """Return the height of the spikes of a layer of neurons."""
        return self._match(name).neuron_type.amplitude / self.dt

    def reach(self, name: str) -> float:
        """Return the largest mean activity of the neurons of a layer, in units of their scale."""
        most = getattr(self._match(name).neuron_type, "max_spikes", 1)
        return self.height(name) * (most if np.isfinite(most) else 1)

    def _linear(self, name, arrays):
        layer = self.model.layers[name]
        return None if isinstance(layer, specs.Input | specs.Rectifier) else keras_layer(layer, arrays)

    def _is_constant(self, name):
        """Return whether a layer has the same activity in all steps: there are no neurons between it and the input."""
        layer = self.model.layers[name]
        if isinstance(layer, specs.Rectifier):
            return False
        return isinstance(layer, specs.Input) or all(map(self._is_constant, layer.inputs))

    def is_constant(self, name: str) -> bool:
        """Return whether a layer has the same activity in all steps."""
        return self._constant[name]

    def arrays_of(self, name: str) -> dict[str, np.ndarray]:
        """Return the current arrays of a layer of the network."""
        return {key: self.arrays[f"{name}/{key}"] for key in self.model.arrays_of(name)}

    def set_arrays(self, name: str, arrays: dict[str, np.ndarray]) -> None:
        """Change the arrays of a layer of the network; the ANN keeps its arrays."""
        arrays = {key: np.asarray(array, np.float32) for key, array in arrays.items()}
        self._layers[name] = self._linear(name, arrays)
        self.arrays |= {f"{name}/{key}": array for key, array in arrays.items()}

    def activations(self, name: str, images: slice) -> np.ndarray:
        """Return the activations of a layer of the ANN, (images, ...)."""
        layer = self.model.layers[name]
        if isinstance(layer, specs.Input):
            return self.x[images]
        if name in self._activations:
            return self._activations[name][images]
        inputs = [self.activations(source, images) for source in layer.inputs]
        if isinstance(layer, specs.Rectifier):
            return quantized(inputs[0], layer.levels)
        return np.asarray(self._ann_layers[name](inputs if len(inputs) > 1 else inputs[0]))

    def _input(self, images):
        """Return the input that the network receives."""
        return self.x[images]

    def read_values(self, name: str, values: np.ndarray) -> np.ndarray:
        """Return those values of a layer of neurons, (images, ...), that its errors should be measured on."""
        return values

    def activity(self, name: str, images: slice) -> np.ndarray:
        """Return the activity of a layer of the network in each step, (steps, images, ...); one step if constant."""
        layer = self.model.layers[name]
        if isinstance(layer, specs.Input):
            return self._input(images)[None]
        if isinstance(layer, specs.Rectifier):
            return self._spikes[name][:, images] * (self.height(name) * self._scales[name])
        inputs = [self.activity(source, images) for source in layer.inputs]
        if isinstance(layer, specs.MaxPool | specs.GlobalMaxPool) and not self._constant[name]:
            # the maximum of the sums over time, and its growth in each step, as in MaxGate
            largest = self._apply(name, [np.add.accumulate(inputs[0], axis=0)])
            return np.diff(largest, axis=0, prepend=np.zeros_like(largest[:1]))
        return self._apply(name, inputs)

    def _apply(self, name, inputs):
        n_steps = max(map(len, inputs))
        flat = [
            np.broadcast_to(values, (n_steps, *values.shape[1:])).reshape(-1, *values.shape[2:]) for values in inputs
        ]
        output = np.asarray(self._layers[name](flat if len(flat) > 1 else flat[0]))
        return output.reshape(n_steps, -1, *output.shape[1:])

    def mean_activity(self, name: str, images: slice) -> np.ndarray:
        """Return the mean activity of a layer of the network over the steps, (images, ...).

        It is computed from the mean activity of the neurons before: weights are linear, and the sum of the growth of a
        maximum of sums is the maximum of the last sums.
        """
        layer = self.model.layers[name]
        if isinstance(layer, specs.Input):
            return self._input(images)
        if isinstance(layer, specs.Rectifier):
            return self._means[name][images]
        inputs = [self.mean_activity(source, images) for source in layer.inputs]
        return np.asarray(self._layers[name](inputs if len(inputs) > 1 else inputs[0]))

    def step_neurons(self, name: str, current: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """Return the numbers of spikes of neurons in each step; they are negative for negative spikes.

        Parameters
        ----------
        name : str
            Name of the layer of neurons.
        current : ndarray, (steps, ...) or one step that is the same in all
            Input, in units of activations.
        scale : ndarray
            Activation that corresponds to an input of 1 of the normalized network, for each entry of the last axes.

        Returns
        -------
        ndarray of float32, (steps, ...)
        """
        match, shape = self._match(name), current.shape[1:]
        states = {key: state.copy() for key, state in self._initial_states(match.neuron_type, shape).items()}
        gain, bias = (match.gain / scale).astype(np.float32), np.float32(match.bias)
        counts = np.empty((self.n_steps, *shape), np.float32)
        for step in range(self.n_steps):
            match.neuron_type.step(self.dt, gain * current[min(step, len(current) - 1)] + bias, counts[step], **states)
        counts *= np.float32(1 / self.height(name))
        return np.rint(counts, out=counts)

    def _initial_states(self, neuron_type, shape):
        """Return the initial states of neurons, {name: ndarray}, and keep them until others are needed."""
        key = neuron_type, shape
        if key not in self._states:
            rng = np.random.RandomState(self.settings.seed or 0)
            states = neuron_type.make_state(int(np.prod(shape)), rng=rng, dtype=np.float32)
            self._states = {key: {name: state.reshape(shape) for name, state in states.items()}}
        return self._states[key]

    def simulate(self, name: str, scale: np.ndarray, batch_size: int) -> None:
        """Simulate a layer of neurons with a scale for each channel, and keep its spikes and activations."""
        layer = typing.cast(specs.Rectifier, self.model.layers[name])
        (source,) = layer.inputs
        shape, n = self.model.shapes[name], len(self.x)
        self._scales[name] = np.asarray(scale, np.float32)
        spikes = np.empty((self.n_steps, n, *shape), np.int16)
        activations, means = np.empty((2, n, *shape), np.float32)
        for first in range(0, n, batch_size):
            images = slice(first, first + batch_size)
            counts = self.step_neurons(name, self.activity(source, images), self._scales[name])
            spikes[:, images], means[images] = counts, counts.mean(axis=0) * (self.height(name) * self._scales[name])
            activations[images] = quantized(self.activations(source, images), layer.levels)
        self._spikes[name], self._means[name], self._activations[name] = spikes, means, activations

    def forget(self, name: str) -> None:
        """Free the memory of a layer that is not needed any more."""
        self._spikes.pop(name, None)
        self._means.pop(name, None)
        self._activations.pop(name, None)
