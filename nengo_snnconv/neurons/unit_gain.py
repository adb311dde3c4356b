"""UnitGain, the base class of neuron types without gain and bias."""

import numpy as np
from nengo.neurons import NeuronType


class UnitGain(NeuronType):
    """Neuron type with gains of 1 and biases of 0."""

    def gain_bias(self, max_rates, intercepts):
        ones = np.ones(np.shape(np.atleast_1d(max_rates)))
        return ones, 0 * ones

    def max_rates_intercepts(self, gain, bias):
        return np.ones_like(gain), np.zeros_like(bias)
