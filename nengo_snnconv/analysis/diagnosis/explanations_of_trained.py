"""Explanations and remedies for networks whose firing rates are trained, those of build_trainable and from_nengo."""

from __future__ import annotations

import math
import typing

import nengo

from ..._util.text_tables import counted
from ...conversion.convert import convert, to_spiking
from ...conversion.normalization import normalize
from ...model.connectivity import maxima_over
from ...neurons.arguments import as_synapse, replaced
from ...neurons.integrate_and_fire import IntegrateAndFire
from . import remedies
from .remedies import Remedy

if typing.TYPE_CHECKING:
    from .layer_diagnosis import LayerDiagnosis
    from .result import Diagnosis

# time constants in seconds: of filters of the spikes between layers, and of a filter of the scores
BETWEEN_LAYERS, OF_SCORES = (0.002, 0.005), 0.1
# lowest potential, in thresholds, of LIF neurons that keep negative input
LOWEST = -5.0
# firing rate in Hz of the layer with the lowest ones, if a remedy raises the rates
ENOUGH = 250


def of_silence(layer: LayerDiagnosis) -> str:
    """Return the explanation of a layer that is silent in the ANN, or an empty string."""
    if layer.silent < 0.99:
        return ""
    return (
        f"its neurons are active for no image, not even in the ANN (the largest activation is {layer.level:.3g}), so "
        "later layers cannot distinguish images, and only training can repair it"
    )


def _dead(diagnosis, layer):
    if text := of_silence(layer):
        return text, []
    text = (
        f"{100 * layer.dead / (1 - layer.silent):.0f} % of its neurons that are active in the ANN never spike: they "
        f"fire at up to {_rate(diagnosis, layer):.3g} Hz, which is {_spikes(diagnosis, layer)}"
    )
    return text, _for_few_spikes(diagnosis)


def _response(diagnosis, layer):
    smoothing = diagnosis.network.settings.lif_smoothing
    text = (
        f"the ANN has the response that was smoothed for training, lif_smoothing={smoothing:g}, which is above zero "
        "where neurons do not spike: train the last epochs with less of it"
    )
    return text, []


def _quantization(diagnosis, layer):
    mean = ", the mean over layers" if len(diagnosis.layers) > 1 else ""
    text = (
        f"spikes are too few to express firing rates by whole numbers: the highest, {_rate(diagnosis, layer):.3g} Hz, "
        f"is {_spikes(diagnosis, layer)}; the error is {100 * diagnosis.error_of('quantisation'):.0f} %{mean}"
    )
    return text, _for_few_spikes(diagnosis)


def _unevenness(diagnosis, layer):
    neuron_type = diagnosis.network.settings.of_layer(diagnosis.network.model, layer.name).neuron_type
    name = type(neuron_type).__name__
    if isinstance(neuron_type, nengo.PoissonSpiking | nengo.StochasticSpiking):
        text = f"the spikes of {name} are random"
    elif isinstance(neuron_type, IntegrateAndFire):
        text = "spikes arrive in bursts: neurons fire before inhibition arrives that would have prevented it"
    else:
        text = (
            "spikes arrive one at a time, so the input of a neuron fluctuates around its mean, and "
            f"{name} emits more for its peaks than it loses in its gaps"
        )
    return text, [*_keep_negative_input(diagnosis), *_filtered_spikes(diagnosis), *_for_few_spikes(diagnosis)]


def _synapse(diagnosis, layer):
    synapse = as_synapse(diagnosis.network.settings.synapse)
    text = (
        f"the synapse between layers, {synapse}, delays spikes, so that each layer emits fewer of them in time, and "
        "leaves a part of the fluctuations"
    )
    without = remedies.rebuild("no synapse between layers: synapse=None", synapse=None)
    few = [without, *_filtered_spikes(diagnosis), *_keep_negative_input(diagnosis)]
    return text, [*few, *_longer_runs(diagnosis), *_converted(diagnosis)]


def _maxima(diagnosis, layer):
    pools = ", ".join(maxima_over(diagnosis.network.model, layer.name))
    text = (
        f"{pools} passes on a spike of any neuron in its window, so the rates after it are too high; training with "
        "average pooling has none of this"
    )
    return text, [*_filtered_spikes(diagnosis), *_converted(diagnosis)]


def _readout(diagnosis, _):
    synapse = as_synapse(diagnosis.network.settings.output_synapse)
    if synapse is None:
        text = "scores are the output of the last step alone"
        longer = OF_SCORES
    else:
        longer = 2 * getattr(synapse, "tau", OF_SCORES)
        text = f"the filter of the scores, {synapse}, leaves fluctuations: it forgets the first steps"
    advice = f"filter scores longer: output_synapse={longer:g}"
    return text, [remedies.rebuild(advice, output_synapse=longer), *_longer_runs(diagnosis)]


def _rate(diagnosis, layer):
    """Return the level of a layer as a firing rate in Hz."""
    return layer.level / diagnosis.network.settings.of_layer(diagnosis.network.model, layer.name).spike_amplitude


def _spikes(diagnosis, layer):
    """Return the number of spikes in the run at this rate, as text."""
    run = diagnosis.n_steps * diagnosis.evaluation.dt
    return f"{_rate(diagnosis, layer) * run:.2g} spikes in {counted(diagnosis.n_steps, 'step')}"


def _for_few_spikes(diagnosis):
    return [*_higher_rates(diagnosis), *_longer_runs(diagnosis), *_converted(diagnosis)]


def _longer_runs(diagnosis):
    return [remedies.run_longer(factor * diagnosis.n_steps) for factor in (2, 4)]


def _filtered_spikes(diagnosis):
    present = as_synapse(diagnosis.network.settings.synapse)
    return [
        remedies.rebuild(f"filter the spikes between layers: synapse={tau:g}", synapse=tau)
        for tau in BETWEEN_LAYERS
        if as_synapse(tau) != present
    ]


def _only_type(diagnosis):
    """Return the neuron type if all layers have the same; else None."""
    types = list(diagnosis.network.settings.of_types)
    return types[0] if len(types) == 1 else None


def _keep_negative_input(diagnosis):
    """Return the remedy to use neurons of the same rate that also integrate negative input, in a list."""
    neuron_type = _only_type(diagnosis)
    if isinstance(neuron_type, nengo.LIF) and neuron_type.min_voltage > LOWEST:
        new = replaced(neuron_type, min_voltage=LOWEST)
    elif type(neuron_type) is nengo.SpikingRectifiedLinear and diagnosis.network.settings.rectifies:
        new = IntegrateAndFire(amplitude=neuron_type.amplitude)
    else:
        return []
    return [remedies.use_neurons("use neurons of the same rate that integrate negative input as well", new)]


def _higher_rates(diagnosis):
    """Return the remedy of more spikes for the same activations, in a list; empty if the rates are not rectifiers."""
    neuron_type = _only_type(diagnosis)
    settings = diagnosis.network.settings
    scalable = type(neuron_type) is nengo.SpikingRectifiedLinear and settings.rectifies and settings.max_rates is None
    if not scalable:
        return []
    lowest = min((rate for layer in diagnosis.layers.values() if (rate := _rate(diagnosis, layer)) > 0), default=ENOUGH)
    factor = max(4, 2 ** math.ceil(math.log2(ENOUGH / lowest)))
    new = replaced(neuron_type, amplitude=neuron_type.amplitude / factor)
    return [remedies.use_neurons(f"{factor} times the firing rates for the same activations", new)]


def _converted(diagnosis):
    """Return the remedy to convert the same weights, with scales from data, in a list; empty if these are no ReLUs."""
    if not diagnosis.network.settings.rectifies:
        return []

    def apply(network, x):
        return to_spiking(normalize(convert(network), x))

    code = "network = snc.to_spiking(snc.normalize(snc.convert(network), x_train[:1000]))"
    return [Remedy("convert the same weights: to_spiking(normalize(convert(network), x_train[:1000]))", code, apply)]


EXPLANATIONS: dict[str, typing.Callable[[Diagnosis, LayerDiagnosis | None], tuple[str, list[Remedy]]]] = {
    "dead": _dead,
    "response": _response,
    "quantisation": _quantization,
    "unevenness": _unevenness,
    "synapse": _synapse,
    "maxima": _maxima,
    "readout": _readout,
}
