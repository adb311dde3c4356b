"""UnitGain, the base class of neuron types without gain and bias."""

from __future__ import annotations

import typing

import numpy as np
from nengo.neurons import NeuronType

if typing.TYPE_CHECKING:
    import numpy.typing as npt


class UnitGain(NeuronType):
    """Neuron type with gains of 1 and biases of 0."""

    def gain_bias(self, max_rates: npt.ArrayLike, intercepts: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        ones = np.ones(np.shape(np.atleast_1d(max_rates)))
        return ones, 0 * ones

    def max_rates_intercepts(self, gain: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.ones_like(gain), np.zeros_like(bias)
