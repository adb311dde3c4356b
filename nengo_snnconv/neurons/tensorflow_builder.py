"""Base class and registration of the NengoDL builders of neuron types."""

import numpy as np

from ..compat import nengo_dl, tf


def builds(neuron_type):
    """Return a class decorator that registers a builder with NengoDL for ``neuron_type``."""

    def register(builder):
        nengo_dl.neuron_builders.SimNeuronsBuilder.TF_NEURON_IMPL[neuron_type] = builder
        return builder

    return register


class NeuronBuilder(nengo_dl.neuron_builders.TFNeuronBuilder):
    """Base class of builders, for one ensemble or several merged ensembles."""

    def build_pre(self, signals, config):
        super().build_pre(signals, config)
        self.neurons = [op.neurons for op in self.ops]
        self.sizes = [op.J.shape[0] for op in self.ops]

    def constant(self, signals, attribute):
        """Return an attribute of the neuron type: a number, or an array, (neurons,), if merged ensembles differ."""
        values = [getattr(neurons, attribute) for neurons in self.neurons]
        if all(value == values[0] for value in values):
            return values[0]
        return np.repeat(values, self.sizes).astype(tf.as_dtype(signals.dtype).as_numpy_dtype)
