"""Matching: the gain, bias and amplitude with which a neuron type comes closest to the rectifier."""

import dataclasses

import nengo
import numpy as np

from ..errors import ConversionError, SettingsError
from .arguments import replaced

# inputs at which responses are compared: below the rectifier's kink, and up to an activation of 1
INPUTS = np.linspace(-0.5, 1, 301)
INTERCEPTS = np.linspace(-0.3, 0.1, 81)
# a response that is off by no more than this is the rectifier's, up to the rounding of its own arithmetic
ROUNDING = 1e-9


@dataclasses.dataclass(frozen=True)
class Match:
    """How a neuron type stands in for the rectifier.

    Attributes
    ----------
    neuron_type : nengo.neurons.NeuronType
        With the fitted amplitude.
    gain, bias : float
    deviation : float
        Largest difference between mean output and rectifier, for inputs from -0.5 to 1.
    """

    neuron_type: object
    gain: float
    bias: float
    deviation: float


def match_rectifier(neuron_type, max_rate=None):
    """Fit a neuron type's response curve to max(x, 0) for x up to 1, in the least-squares sense.

    Parameters
    ----------
    neuron_type : nengo.neurons.NeuronType
        With an amplitude and a static response curve.
    max_rate : float, optional
        Firing rate in Hz at an input of 1.  By default 1 / amplitude, or, where the amplitude is Nengo's default of 1,
        0.4 / tau_ref (200 Hz for nengo.LIF), or, for types that spike and have no tau_ref, 1000 Hz.

    Returns
    -------
    Match

    Raises
    ------
    SettingsError
        If the type cannot fire at ``max_rate``.
    ConversionError
        If the type has no amplitude or no static response curve.
    """
    name = type(neuron_type).__name__
    if not hasattr(neuron_type, "amplitude"):
        raise ConversionError(
            f"{name} has no amplitude, so its output cannot be scaled to the rectifier's: "
            "use IntegrateAndFire or nengo.LIF"
        )
    wraps_rates = isinstance(neuron_type, nengo.neurons.RatesToSpikesNeuronType)
    # the rates that such a type tells are those of its base type, without its own amplitude
    amplitude = neuron_type.amplitude if wraps_rates else 1.0
    tau_ref = getattr(neuron_type.base_type if wraps_rates else neuron_type, "tau_ref", 0)
    by_amplitude = max_rate is None and not (neuron_type.amplitude == 1 and (tau_ref or neuron_type.spiking))
    if max_rate is None:
        max_rate = 1 / neuron_type.amplitude if by_amplitude else 0.4 / tau_ref if tau_ref else 1000.0
    if not 0 < max_rate < (1 / tau_ref if tau_ref else np.inf):
        limit = f", the limit of {neuron_type}" if tau_ref else ""
        raise SettingsError(
            f"max_rate must be above 0 and below {1 / tau_ref if tau_ref else np.inf:g} Hz{limit}; got "
            f"{max_rate!r} (by default it is 1 / amplitude)"
        )
    if isinstance(neuron_type, nengo.AdaptiveLIF | nengo.AdaptiveLIFRate):
        raise ConversionError(f"{name} adapts: its response changes over time, so use IntegrateAndFire or nengo.LIF")
    best = None
    for intercept in sorted(INTERCEPTS, key=abs):  # zero first: exact types keep it
        try:
            gain, bias = (float(np.squeeze(v)) for v in neuron_type.gain_bias([max_rate], [intercept]))
            output = amplitude * np.squeeze(neuron_type.rates(INPUTS, [gain], [bias]))
        except Exception as error:
            raise ConversionError(
                f"{name} has no static response curve to stand in for the rectifier ({error}):"
                " use IntegrateAndFire or nengo.LIF"
            ) from error
        if output.min() < 0:
            raise ConversionError(f"{name} emits negative spikes, which no rectifier does: use IntegrateAndFire")
        target = np.maximum(INPUTS, 0)
        factor = output @ target / max(output @ output, 1e-30)
        error = np.sum((factor * output - target) ** 2)
        if best is None or error < best[0] * (1 - 1e-6) - 1e-15:
            best = error, gain, bias, factor, np.abs(factor * output - target).max()
    _, gain, bias, factor, deviation = best
    highest = amplitude * float(np.squeeze(neuron_type.rates([1.0], [gain], [bias]))) / neuron_type.amplitude
    if neuron_type.spiking and highest < max_rate / 2:
        raise ConversionError(
            f"{neuron_type} fires at {highest:g} Hz where {max_rate:g} Hz were asked for: leave the amplitude of its "
            "base type at 1"
        )
    if not 0 < factor < np.inf:
        raise ConversionError(f"{name} gives no output for positive input: use IntegrateAndFire or nengo.LIF")
    fitted = neuron_type.amplitude * factor
    if deviation < ROUNDING:
        # the fit is off by rounding, which would make spikes other than those of exact sums
        of_base = neuron_type.base_type.amplitude if wraps_rates else 1
        fitted = neuron_type.amplitude if by_amplitude and of_base == 1 else 1 / (max_rate * of_base)
    return Match(replaced(neuron_type, amplitude=fitted), gain, bias, float(deviation))
