"""MaximaOfSpikes: maxima over the spikes of each step, which trained networks pass on."""

from __future__ import annotations

import typing

import numpy as np

from ...compat import tf
from ...model.connectivity import maxima_over
from ...networks.keras_layers import keras_layer
from ...networks.trainable_settings import TrainableConfig
from ...neurons.arguments import as_synapse

if typing.TYPE_CHECKING:
    from ...networks.network import ConvNetwork


class MaximaOfSpikes:
    """Computes what layers of maxima pass on in each step, from the spikes of the layers before them.

    Networks of ``to_spiking`` have none of these: their maxima are those of sums over time.

    Parameters
    ----------
    network : ConvNetwork
    dt : float
        Seconds per step.
    """

    def __init__(self, network: ConvNetwork, dt: float):
        model, settings = network.model, network.settings
        self.dt, self.synapse, self.shapes = dt, None, model.shapes
        self.sources: dict[str, str] = {}
        if isinstance(settings, TrainableConfig):
            self.synapse = as_synapse(settings.synapse)
            self.sources = {pool: name for name in model.neurons for pool in maxima_over(model, name)}
        self.pools = {pool: keras_layer(model.layers[pool], {}) for pool in self.sources}
        self.filters: dict[str, typing.Any] = {}

    def of(self, activity: dict[str, np.ndarray], is_first: bool) -> dict[str, np.ndarray]:
        """Return the maxima in each step of a chunk, {layer: (images, steps, neurons)}.

        Parameters
        ----------
        activity : dict of str to ndarray, (images, steps, neurons)
            Output of the layers of neurons.
        is_first : bool
            The chunk is the first one of its images.
        """
        if is_first:
            self.filters = {}
        filtered = {name: self._filtered(name, activity[name]) for name in dict.fromkeys(self.sources.values())}
        return {pool: self._maxima(pool, filtered[name]) for pool, name in self.sources.items()}

    def _filtered(self, name, spikes):
        """Return spikes after the synapse between layers, whose state lasts until the next chunk.

        In Nengo, a synapse passes on in a step what it received up to the step before.
        """
        if self.synapse is None:
            return spikes
        shape = spikes[:, 0].shape
        if name not in self.filters:
            state = self.synapse.make_state(shape, shape, self.dt, dtype=np.float32)
            step = self.synapse.make_step(shape, shape, self.dt, rng=None, state=state)
            self.filters[name] = step, np.zeros(shape, np.float32)
        step, latest = self.filters[name]
        filtered = [latest]
        for number in range(spikes.shape[1]):
            filtered.append(np.array(step(self.dt, spikes[:, number])))
        self.filters[name] = step, filtered.pop()
        return np.stack(filtered, axis=1)

    def _maxima(self, pool, values):
        """Return the maxima of values (images, steps, neurons)."""
        n_images, n_steps, _ = values.shape
        images = values.reshape(n_images * n_steps, *self.shapes[self.sources[pool]])
        return self.pools[pool](tf.convert_to_tensor(images, tf.float32)).numpy().reshape(n_images, n_steps, -1)
