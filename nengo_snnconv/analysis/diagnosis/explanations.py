"""Explanations: the meaning of each cause in a given network, and remedies that may help."""

from __future__ import annotations

import typing

import nengo
import numpy as np

from ..._util.text_tables import counted
from ...model.connectivity import maxima_over
from ...neurons.integrate_and_fire import IntegrateAndFire
from ...neurons.signed_integrate_and_fire import SignedIntegrateAndFire
from . import remedies
from .explanations_of_trained import EXPLANATIONS as OF_TRAINED
from .explanations_of_trained import of_silence
from .remedies import Remedy

if typing.TYPE_CHECKING:
    from .layer_diagnosis import LayerDiagnosis
    from .result import Diagnosis

# levels of activations outside these limits mean wrong scales; they are near 1 in a normalized layer
TOO_HIGH, TOO_LOW = 3.0, 0.25
# largest number of steps for which balanced thresholds are tried
MOST_BALANCED = 16
# causes that other neurons than integrate-and-fire may have
OF_NEURONS = {"clipping", "response", "quantisation", "shared scale", "transient", "unevenness", "maxima"}


def explain(cause: str, diagnosis: Diagnosis, layer: LayerDiagnosis | None) -> tuple[str, list[Remedy]]:
    """Return the meaning of a cause in a layer, and remedies that may help."""
    if diagnosis.trained and cause in OF_TRAINED:
        return OF_TRAINED[cause](diagnosis, layer)
    text, found = _EXPLANATIONS[cause](diagnosis, layer)
    if cause in OF_NEURONS:
        known = {remedy.code for remedy in found}
        found = [*found, *(each for each in remedies.integrate_and_fire(diagnosis) if each.code not in known)]
    return text, found


def _input(diagnosis, _):
    settings, n_steps, largest = diagnosis.network.settings, diagnosis.n_steps, diagnosis.largest_input
    threshold, found = settings.input_threshold, []
    error = 100 * diagnosis.input_error
    text = f"after {counted(n_steps, 'step')} the mean of the Poisson spikes differs from the image by {error:.0f} %"
    if threshold > 1.2 * largest > 0:
        text += f": a spike has the value {threshold:g}, but the largest pixel is {largest:.3g}, so spikes are too rare"
        advice = f"let the largest pixel spike in every step: input_threshold={largest:.3g}"
        found.append(remedies.rebuild(advice, input_threshold=round(largest, 6)))
    elif threshold < largest:
        text += f"; pixels above {threshold:g} are clipped, up to {largest:.3g}"
    constant = remedies.rebuild("use constant input current: input_coding='constant'", input_coding="constant")
    return text, [*found, constant, remedies.run_longer(4 * n_steps)]


def _ann(diagnosis, _):
    accuracy, chance = 100 * diagnosis.ann_accuracy, 100 * diagnosis.chance
    values = diagnosis.evaluation.head == "values"
    if diagnosis.largest_input == 0:
        text = "all images are black"
    elif accuracy < 100 * diagnosis.near_chance:
        score = diagnosis.evaluation.score_name
        guess = "the mean of the targets has" if values else "near that of guessing,"
        text = f"the {score} of the ANN itself is only {accuracy:.1f} %, {guess} {chance:.1f} %"
    else:
        text = f"the ANN is less accurate than the spikes: {accuracy:.1f} % against {100 * diagnosis.accuracy:.1f} %"
    different = (
        "images or targets may not be scaled" if values else "images may not be scaled, or classes not numbered,"
    )
    return f"{text}; {different} as in training, or weights be wrong", []


def _dead(diagnosis, layer):
    if text := of_silence(layer):
        return text, []
    text = (
        f"{100 * layer.dead / (1 - layer.silent):.0f} % of its neurons that are active in the ANN never spike: its "
        f"activations reach {layer.level:.2g}, so its scale is about {1 / layer.level:,.0f} times too large"
    )
    return text, [remedies.normalize_again()]


def _weights(diagnosis, layer):
    names = list(diagnosis.layers)
    levels = [diagnosis.layers[name].level for name in names[names.index(layer.name) :]]
    factor = np.exp(np.log([*levels, diagnosis.output_level]).mean())
    changed = "the weights before it" if layer.name != names[0] else "the weights before it or the range of the images"
    text = f"from this layer on, activations are about {factor:.2g} times as large as the scales imply"
    return f"{text}: {changed} changed after normalization", [remedies.normalize_again()]


def _clipping(diagnosis, layer):
    text = (
        f"its activations reach {layer.level:.3g}, but its neurons emit at most {layer.largest_output:.3g}: "
        f"{100 * layer.saturated:.0f} % of the active ones are saturated"
    )
    settings, dt = diagnosis.network.settings.of_layer(diagnosis.network.model, layer.name), diagnosis.evaluation.dt
    neuron_type = settings.match.neuron_type
    if isinstance(neuron_type, IntegrateAndFire) and layer.largest_output < 1 - 1e-6:
        longest = neuron_type.max_spikes * neuron_type.amplitude
        text += f", because steps are {1000 * dt:g} ms long"
        return text, [remedies.evaluate_with(f"shorter steps: dt={longest:g}", dt=longest)]
    return text, [remedies.normalize_again()]


def _reset(diagnosis, layer):
    text = "in all layers, reset to zero discards the charge above the threshold with every spike"
    advice = "reset by subtraction, which loses no charge: IntegrateAndFire(reset='subtract')"
    return text, [remedies.replace_neurons(advice, diagnosis.network, reset="subtract")]


def _response(diagnosis, layer):
    settings = diagnosis.network.settings.of_layer(diagnosis.network.model, layer.name)
    text = (
        f"for constant input, {type(settings.neuron_type).__name__} deviates from the rectifier by up to "
        f"{settings.match.deviation:.2g}"
    )
    return text, []


def _quantization(diagnosis, layer):
    error, found = 100 * diagnosis.error_of("quantisation"), []
    mean = ", the mean over layers" if len(diagnosis.layers) > 1 else ""
    are = "is" if diagnosis.n_steps == 1 else "are"
    steps = f"{counted(diagnosis.n_steps, 'step')} {are} too few to express activations by whole spikes"
    text = f"{steps}: the error is {error:.0f} %{mean}"
    lowest = min(diagnosis.layers.values(), key=lambda other: other.level)
    if lowest.level < TOO_LOW:
        text += f", because activations of {lowest.name} reach only {lowest.level:.2g}"
        found.append(remedies.normalize_again())
    if start := _unfavorable_start(diagnosis):
        text += f"; neurons start at {start}, but only a start at half the threshold rounds to the nearest"
        changes = {"initial_potential": 0.5, "initial_state": None}
        advice = "start at half the threshold: initial_potential=0.5"
        found.append(remedies.replace_neurons(advice, diagnosis.network, **changes))
    return text, [*found, *_for_few_steps(diagnosis), remedies.more_steps(diagnosis)]


def _for_few_steps(diagnosis):
    """Return remedies for errors that vanish in longer runs, without running longer."""
    n_steps = diagnosis.n_steps
    # thresholds balanced for more steps are almost those of percentiles; the best number is not always n_steps
    balanced = [n_steps, n_steps // 2] if 1 < n_steps <= MOST_BALANCED else [n_steps] * (n_steps == 1)
    found = [remedies.balance(n) for n in balanced]
    return [*found, *remedies.take_spikes_back(diagnosis), *remedies.calibrated(diagnosis)]


def _unfavorable_start(diagnosis):
    """Describe the initial potential; an empty string if it is near half the threshold, or the neurons have none."""
    if diagnosis.starts is None:
        return ""
    low, high = diagnosis.starts
    if low == high:
        return f"{low:g} thresholds" if abs(low - 0.5) > 0.25 else ""
    return f"{low:.2g} to {high:.2g} thresholds" if low < -0.1 or high > 1.1 else ""


def _shared_scale(diagnosis, layer):
    others = ", ".join(diagnosis.shared_scales.get(layer.name, ()))
    text = (
        f"a shortcut makes it share a scale with {others}; its activations reach only {layer.level:.2g}, so its spikes "
        "are larger than they need to be"
    )
    return text, [remedies.normalize_again(), *_for_few_steps(diagnosis), remedies.more_steps(diagnosis)]


def _transient(diagnosis, layer):
    text = "the mean input of its neurons changes during the run, and they spike before it has settled"
    few = [*remedies.take_spikes_back(diagnosis), *remedies.calibrated(diagnosis)]
    return text, [*few, *remedies.for_transients(diagnosis)]


def _unevenness(diagnosis, layer):
    neuron_type = diagnosis.network.settings.of_layer(diagnosis.network.model, layer.name).neuron_type
    name = type(neuron_type).__name__
    if isinstance(neuron_type, nengo.PoissonSpiking | nengo.StochasticSpiking):
        return f"the spikes of {name} are random", [remedies.keep_negative_input(diagnosis.network)]
    text = "spikes arrive in bursts: neurons fire before inhibition arrives that would have prevented it"
    few = [*remedies.take_spikes_back(diagnosis), *remedies.calibrated(diagnosis)]
    if isinstance(neuron_type, SignedIntegrateAndFire):
        text = "neurons fire before inhibition arrives that would have prevented it, and take such spikes back too late"
    elif not diagnosis.keeps_charge:
        return f"{text}, and {name} forgets negative input", [remedies.keep_negative_input(diagnosis.network), *few]
    return text, [*few, *remedies.for_transients(diagnosis)]


def _maxima(diagnosis, layer):
    pools = ", ".join(maxima_over(diagnosis.network.model, layer.name))
    text = (
        f"{pools} takes maxima of sums of spikes: the largest of several inexact sums is too large on average, most of "
        "all where no activation is large"
    )
    few = [*remedies.take_spikes_back(diagnosis), *remedies.calibrated(diagnosis)]
    return text, [*few, remedies.more_steps(diagnosis)]


def _synapse(diagnosis, layer):
    synapse = diagnosis.network.settings.synapse
    text = f"the synapse between layers, {synapse}, delays spikes, so that each layer emits fewer of them in time"
    without = remedies.rebuild("no synapse between layers: synapse=None", synapse=None)
    return text, [without, remedies.run_longer(4 * diagnosis.n_steps)]


def _readout(diagnosis, _):
    text = "output neurons spike so rarely that classes tie, or are in a different order than their scores"
    return text, [remedies.rebuild("read out the membrane potential: readout='potential'", readout="potential")]


_EXPLANATIONS = {
    "ann": _ann,
    "dead": _dead,
    "weights": _weights,
    "input": _input,
    "clipping": _clipping,
    "reset": _reset,
    "response": _response,
    "quantisation": _quantization,
    "shared scale": _shared_scale,
    "transient": _transient,
    "unevenness": _unevenness,
    "maxima": _maxima,
    "synapse": _synapse,
    "readout": _readout,
}
