"""Gain, bias and amplitude with which the response curve of a neuron type is closest to the rectifier."""

from __future__ import annotations

import dataclasses
import typing

import nengo
import numpy as np

from ..errors import ConversionError, SettingsError
from .arguments import replaced

# inputs at which responses are compared, from below the rectifier's kink up to an activation of 1
INPUTS = np.linspace(-0.5, 1, 301)
INTERCEPTS = np.linspace(-0.3, 0.1, 81)
# deviation of responses that are equal to the rectifier up to rounding
ROUNDING = 1e-9


@dataclasses.dataclass(frozen=True)
class Match:
    """Fit of a neuron type to the rectifier.

    Attributes
    ----------
    neuron_type : nengo.neurons.NeuronType
        Neuron type with the fitted amplitude.
    gain, bias : float
    deviation : float
        Largest difference between mean output and rectifier, for inputs from -0.5 to 1.
    """

    neuron_type: nengo.neurons.NeuronType
    gain: float
    bias: float
    deviation: float


class _Fit(typing.NamedTuple):
    """Gain, bias, factor on the amplitude, and largest deviation of a least-squares fit."""

    gain: float
    bias: float
    factor: float
    deviation: float


def match_rectifier(neuron_type, max_rate=None):
    """Fit a neuron type's response curve to max(x, 0) for x up to 1, in the least-squares sense.

    Parameters
    ----------
    neuron_type : nengo.neurons.NeuronType
        Neuron type with an amplitude and a static response curve.
    max_rate : float, optional
        Firing rate in Hz at an input of 1.  By default 1 / amplitude, or, if the amplitude is Nengo's default of 1,
        0.4 / tau_ref (200 Hz for nengo.LIF), or, for spiking types without tau_ref, 1000 Hz.

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
    # rates() of such a type are those of its base type, without its own amplitude
    amplitude = neuron_type.amplitude if wraps_rates else 1.0
    tau_ref = getattr(neuron_type.base_type if wraps_rates else neuron_type, "tau_ref", 0)
    by_amplitude = max_rate is None and not (neuron_type.amplitude == 1 and (tau_ref or neuron_type.spiking))
    if max_rate is None:
        max_rate = 1 / neuron_type.amplitude if by_amplitude else 0.4 / tau_ref if tau_ref else 1000.0
    if not 0 < max_rate < (1 / tau_ref if tau_ref else np.inf):
        limit = f", the limit of {neuron_type}" if tau_ref else ""
        raise SettingsError(
            f"max_rate must be above 0 and below {1 / tau_ref if tau_ref else np.inf:g} Hz{limit}; got "
            f"{max_rate!r} (by default it is 1 / amplitude)",
            argument="max_rate",
        )
    if isinstance(neuron_type, nengo.AdaptiveLIF | nengo.AdaptiveLIFRate):
        raise ConversionError(f"{name} adapts: its response changes over time, so use IntegrateAndFire or nengo.LIF")
    fit = _best_fit(neuron_type, max_rate, amplitude)
    highest = amplitude * float(np.squeeze(neuron_type.rates([1.0], [fit.gain], [fit.bias]))) / neuron_type.amplitude
    if neuron_type.spiking and highest < max_rate / 2:
        raise ConversionError(
            f"{neuron_type} fires at {highest:g} Hz instead of {max_rate:g} Hz: leave the amplitude of its base type "
            "at 1"
        )
    if not 0 < fit.factor < np.inf:
        raise ConversionError(f"{name} gives no output for positive input: use IntegrateAndFire or nengo.LIF")
    fitted = neuron_type.amplitude * fit.factor
    if fit.deviation < ROUNDING:
        # the exact amplitude: rounding of the fit would change spikes
        of_base = neuron_type.base_type.amplitude if wraps_rates else 1
        fitted = neuron_type.amplitude if by_amplitude and of_base == 1 else 1 / (max_rate * of_base)
    return Match(replaced(neuron_type, amplitude=fitted), fit.gain, fit.bias, float(fit.deviation))


def _best_fit(neuron_type, max_rate, amplitude):
    """Return the fit with the best intercept; ``amplitude`` scales the rates of ``neuron_type``."""
    name, best, smallest = type(neuron_type).__name__, None, None
    for intercept in sorted(INTERCEPTS, key=abs):  # zero first, because types that fit exactly do so at zero
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
        squares = np.sum((factor * output - target) ** 2)
        if smallest is None or squares < smallest * (1 - 1e-6) - 1e-15:
            smallest = squares
            best = _Fit(gain, bias, factor, np.abs(factor * output - target).max())
    return best
