"""Settings of a trainable network whose neurons respond as those of a user's ensembles."""

from __future__ import annotations

import typing

import nengo
import numpy as np

from ...errors import ConversionError, SettingsError
from ..trainable import TrainableConfig

CLOSE = 1e-6  # relative difference of gains, which NengoDL returns in single precision


class Response(typing.NamedTuple):
    """Neuron type of an ensemble, with gains and biases of its neurons, (neurons,) each."""

    neuron_type: nengo.neurons.NeuronType
    gain: np.ndarray
    bias: np.ndarray


def matching_settings(responses: list[Response]) -> dict[str, typing.Any]:
    """Return the settings ``max_rates`` and ``intercepts`` whose gain is that of as many ensembles as possible.

    Parameters
    ----------
    responses : list of Response

    Returns
    -------
    dict
        Arguments of :class:`TrainableConfig`.

    Raises
    ------
    ConversionError
        If the neurons have no gain with which they respond to inputs from 0 to 1.
    """
    best: dict[str, typing.Any] | None = None
    most = -1
    for settings in _candidates(responses):
        try:
            standard = [standard_response(each.neuron_type, settings) for each in responses]
        except SettingsError:
            continue
        pairs = list(zip(responses, standard, strict=True))
        matches = sum(_same(each.gain, gain) + _same(each.bias, bias) for each, (gain, bias) in pairs)
        if matches > most:
            best, most = settings, matches
    if best is None:
        raise ConversionError(
            f"neurons of {responses[0].neuron_type} have no gain with which they respond to inputs from 0 to 1: give "
            "the ensembles max_rates of 100 Hz or more and intercepts of 0"
        )
    return best


def standard_response(neuron_type: nengo.neurons.NeuronType, settings: dict[str, typing.Any]) -> tuple[float, float]:
    """Return the gain and the bias of neurons with these settings."""
    config = TrainableConfig(neuron_type, **settings)
    values = neuron_type.gain_bias(np.array([float(config.rates_at_one)]), np.array([float(config.intercepts)]))
    gain, bias = (float(np.asarray(value, np.float32)[0]) for value in values)
    return gain, bias


def input_change(response: Response, settings: dict[str, typing.Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return the scale and shift of the input with which standard neurons respond as those of an ensemble."""
    gain, bias = standard_response(response.neuron_type, settings)
    scale = np.asarray(response.gain, np.float64) / gain
    scale[np.abs(scale - 1) < CLOSE] = 1
    shift = np.asarray(response.bias, np.float64) - bias
    shift[np.abs(shift) < CLOSE * max(1, abs(bias))] = 0
    return scale, shift / gain


def _candidates(responses):
    """Yield settings to try: the default, those of the first neuron, and the median rate."""
    if all(hasattr(each.neuron_type, "amplitude") for each in responses):
        yield {}
    rates = []
    with np.errstate(all="ignore"):
        for each in responses:
            try:
                values = each.neuron_type.max_rates_intercepts(each.gain.astype(float), each.bias.astype(float))
            except NotImplementedError:
                continue
            finite = np.isfinite(values).all(axis=0)
            if finite.any():
                rates.append(np.transpose(values)[finite])
    if rates:
        max_rate, intercept = rates[0][0]
        yield {"max_rates": float(max_rate), "intercepts": float(intercept)}
        yield {"max_rates": float(np.median(np.concatenate(rates)[:, 0]))}
    yield {"max_rates": 200.0}


def _same(values, standard):
    return bool(np.allclose(values, standard, rtol=CLOSE, atol=CLOSE))
