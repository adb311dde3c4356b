"""UnitGain: what neuron types share that take their input as it is."""

import numpy as np
from nengo.neurons import NeuronType


class UnitGain(NeuronType):
    """Base class of neuron types whose gains are 1 and whose biases are 0."""

    def gain_bias(self, max_rates, intercepts):
        ones = np.ones(np.shape(np.atleast_1d(max_rates)))
        return ones, 0 * ones

    def max_rates_intercepts(self, gain, bias):
        return np.ones_like(gain), np.zeros_like(bias)
