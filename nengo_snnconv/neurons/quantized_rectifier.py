"""QuantizedRectifier, the rates of rectifiers with levels as a neuron type, for Nengo and NengoDL."""

import nengo
from nengo.params import IntParam

from ..compat import tf
from .qcfs import quantized, quantized_tensor
from .tensorflow_builder import NeuronBuilder, builds


class QuantizedRectifier(nengo.RectifiedLinear):
    """Rectified-linear rates that are rounded to levels: :class:`QCFS` with a threshold of 1, as a neuron type.

    output = clip(floor(amplitude * J * levels + 1/2) / levels, 0, 1).  Builders use it for rectifiers with levels in
    networks of rates; the setting ``neuron_type`` remains ``nengo.RectifiedLinear``.

    Parameters
    ----------
    levels : int
        Number of values above 0.
    amplitude : float
    initial_state : dict, optional
        Not used: there is no state.
    """

    levels = IntParam("levels", low=1)

    def __init__(self, levels, amplitude=1, initial_state=None):
        super().__init__(amplitude, initial_state)
        self.levels = levels

    def step(self, dt, J, output):
        output[...] = quantized(self.amplitude * J, self.levels)


def rectifier_neurons(neuron_type, levels):
    """Return the neuron type of a rectifier with ``levels``; ``neuron_type`` if it spikes, or without levels."""
    if levels is None or neuron_type.spiking or not isinstance(neuron_type, nengo.RectifiedLinear):
        return neuron_type
    return QuantizedRectifier(levels, neuron_type.amplitude)


@builds(QuantizedRectifier)
class QuantizedRectifierBuilder(NeuronBuilder):
    """The same in TensorFlow, whose gradients pass rounding."""

    def build_pre(self, signals, config):
        super().build_pre(signals, config)
        self.slope, self.levels = self.constant(signals, "amplitude"), self.constant(signals, "levels")

    def step(self, J, dt):
        return quantized_tensor(J * tf.cast(self.slope, J.dtype), tf.cast(self.levels, J.dtype))
