"""LayerActivity: the spikes of a layer in an evaluation."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class LayerActivity:
    """Spikes of one layer, over all images of an evaluation.

    Attributes
    ----------
    name : str
    n_neurons : int
    spikes_per_neuron : float
        Mean number of spikes of a neuron per image, over the whole run.
    rates_hz : ndarray, (neurons,)
        Mean firing rate of each neuron.
    spikes_per_step : ndarray, (steps,)
        Number of spikes of the whole layer in each step, per image.
    synaptic_operations : float
        Additions that the layer's spikes cause in the next layers, per image.
    """

    name: str
    n_neurons: int
    spikes_per_neuron: float
    rates_hz: np.ndarray
    spikes_per_step: np.ndarray
    synaptic_operations: float

    @property
    def rate_hz(self) -> float:
        """Mean firing rate of the layer's neurons."""
        return float(self.rates_hz.mean())

    @property
    def silent(self) -> float:
        """Fraction of the neurons that never spiked for any image."""
        return float((self.rates_hz == 0).mean())
