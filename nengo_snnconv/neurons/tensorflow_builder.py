"""What our neuron types share when NengoDL builds them: constants per neuron, and registration."""

import numpy as np

from ..compat import nengo_dl, tf

TFNeuronBuilder = nengo_dl.neuron_builders.TFNeuronBuilder


def builds(neuron_type):
    """A class decorator: NengoDL builds neurons of ``neuron_type`` with the decorated class."""

    def register(builder):
        nengo_dl.neuron_builders.SimNeuronsBuilder.TF_NEURON_IMPL[neuron_type] = builder
        return builder

    return register


class NeuronBuilder(TFNeuronBuilder):
    """Base class of our builders, for one ensemble or several that were merged."""

    def build_pre(self, signals, config):
        super().build_pre(signals, config)
        self.neurons = [op.neurons for op in self.ops]
        self.sizes = [op.J.shape[0] for op in self.ops]

    def constant(self, signals, attribute):
        """An attribute of the neuron type: a number, or an array with one for each neuron where ensembles differ."""
        values = [getattr(neurons, attribute) for neurons in self.neurons]
        if all(value == values[0] for value in values):
            return values[0]
        return np.repeat(values, self.sizes).astype(tf.as_dtype(signals.dtype).as_numpy_dtype)
