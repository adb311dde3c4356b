"""SpikeLevels: the spikes of a network with time to first spike, computed layer by layer."""

from __future__ import annotations

import typing

import numpy as np

from ..model.connectivity import read_at
from ..networks.keras_layers import keras_layer
from .spike_trains import SpikeTrains

if typing.TYPE_CHECKING:
    from ..model import Model
    from ..networks.ttfs import TTFSConfig


class SpikeLevels(SpikeTrains):
    """Levels of the spikes of a network with time to first spike, instead of spikes in each step.

    The level of a spike is the number of steps from the spike to the end of its stage, as in ``ClosedForm``.  A stage
    counts as one step here, in which a neuron emits a number of spikes that is the level.

    Parameters
    ----------
    model : Model
    settings : TTFSConfig
    x : ndarray, (images, height, width, channel)
    """

    def __init__(self, model: Model, settings: TTFSConfig, x: np.ndarray):
        self.stage_steps = settings.stage_steps
        super().__init__(model, settings, x, 1)

    def height(self, name: str) -> float:
        """Return the mean activity for a level of 1."""
        return 1 / self.stage_steps

    def reach(self, name: str) -> float:
        """Return the largest mean activity, in units of the scale."""
        return 1.0

    def _is_constant(self, name):
        # the spikes of the image are rounded, so no layer has the activity of the ANN
        return self.settings.input_coding == "constant" and super()._is_constant(name)

    def _input(self, images):
        return self.settings.encoded(self.x[images])

    def read_values(self, name: str, values: np.ndarray) -> np.ndarray:
        """Return the maxima of a layer of neurons if only a pooling layer reads it, else all values."""
        reader = read_at(self.model, name)
        return values if reader == name else np.asarray(keras_layer(self.model.layers[reader], {})(values))

    def step_neurons(self, name: str, current: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """Return the levels of neurons, (1, ...), for their input, (1, ...), in units of activations."""
        levels = np.floor(current * (self.stage_steps / scale).astype(np.float32) + np.float32(0.5))
        return np.clip(levels, 0, self.stage_steps, out=levels)


def output_error(model: Model, settings: TTFSConfig, x: np.ndarray, batch_size: int) -> float:
    """Return the mean squared difference between the outputs of a network with time to first spike and of its ANN.

    Parameters
    ----------
    model : Model
    settings : TTFSConfig
    x : ndarray, (images, height, width, channel)
    batch_size : int
        Number of images that are computed together.
    """
    total, everything = 0.0, slice(None)
    for first in range(0, len(x), batch_size):
        levels = SpikeLevels(model, settings, x[first : first + batch_size])
        for name in model.neurons:
            levels.simulate(name, np.ones(model.shapes[name][-1]), batch_size)
        difference = levels.mean_activity(model.output, everything) - levels.activations(model.output, everything)
        total += np.sum(difference**2, dtype=np.float64)
    return total * model.output_scale**2 / (len(x) * model.size(model.output))
