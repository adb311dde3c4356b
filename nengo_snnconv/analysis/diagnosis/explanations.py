"""Explanations: what each cause of a loss means in a given network, and what to do about it."""

import nengo
import numpy as np

from ...neurons.integrate_and_fire import IntegrateAndFire
from . import remedies
from .remedies import Remedy

# activations of a normalised layer are near 1; beyond these factors its scale is wrong
TOO_HIGH, TOO_LOW = 3.0, 0.25


def explain(cause, diagnosis, layer):
    """(what it means, Remedy) of a cause in a layer, a LayerDiagnosis or None."""
    return _EXPLANATIONS[cause](diagnosis, layer)


def _input(diagnosis, _):
    settings, n_steps, largest = diagnosis.network.settings, diagnosis.n_steps, diagnosis.largest_input
    threshold = settings.input_threshold
    error = 100 * diagnosis.input_error
    text = f"after {n_steps} steps the mean of the Poisson spikes is off by {error:.0f} % of the image"
    if threshold > 1.2 * largest > 0:
        text += f": a spike is worth {threshold:g}, but the largest pixel is {largest:.3g}, so spikes are too rare"
        what = f"let the largest pixel spike in every step: input_threshold={largest:.3g}"
        return text, remedies.rebuilt(what, input_threshold=round(largest, 6))
    if threshold < largest:
        text += f"; pixels above {threshold:g} are clipped, up to {largest:.3g}"
    what = "give the image as constant current: input_coding='constant' (or run many more steps)"
    return text, remedies.rebuilt(what, input_coding="constant")


def _ann(diagnosis, _):
    accuracy, chance = 100 * diagnosis.ann_accuracy, 100 * diagnosis.chance
    if diagnosis.largest_input == 0:
        text = "all images are black"
    elif accuracy < 100 * diagnosis.near_chance:
        text = f"the ANN itself is right in {accuracy:.1f} % only, where guessing would be in {chance:.1f} %"
    else:
        text = f"the ANN itself is worse than its spikes: {accuracy:.1f} % against {100 * diagnosis.accuracy:.1f} %"
    what = "make sure that images are scaled as in training, that classes are numbered alike, and that the weights are "
    return text, Remedy(f"{what}those that were trained: no conversion can be better than the ANN", "# look at the ANN")


def _dead(diagnosis, layer):
    if layer.silent >= 0.99:
        text = (
            "no neuron of it is active for any image, in the ANN either (the largest activation is "
            f"{layer.level:.3g}): what comes after it cannot tell images apart"
        )
        what = "look at the layer's weights and biases, and train the ANN again: no conversion can mend it"
        return text, Remedy(what, "# train the ANN again")
    text = (
        f"{100 * layer.dead / (1 - layer.silent):.0f} % of its neurons that are active in the ANN never spike: its "
        f"activations reach {layer.level:.2g}, so its scale is about {1 / layer.level:,.0f} times too large"
    )
    return text, remedies.normalise_again()


def _weights(diagnosis, layer):
    names = list(diagnosis.layers)
    behind = [diagnosis.layers[name].level for name in names[names.index(layer.name) :]]
    factor = np.exp(np.log([*behind, diagnosis.output_level]).mean())
    fault = (
        "the weights that drive it are" if layer.name != names[0] else "the weights that drive it, or the images, are"
    )
    text = f"from it on, all activations are about {factor:.2g} times what the scales say: {fault} not those that were "
    return text + "normalised", remedies.normalise_again()


def _clipping(diagnosis, layer):
    text = (
        f"its activations reach {layer.level:.3g}, but its neurons emit {layer.largest_output:.3g} at most: "
        f"{100 * layer.saturated:.0f} % of the active ones are saturated"
    )
    neuron_type, dt = diagnosis.network.settings.match.neuron_type, diagnosis.evaluation.dt
    if isinstance(neuron_type, IntegrateAndFire) and layer.largest_output < 1 - 1e-6:
        longest = neuron_type.max_spikes * neuron_type.amplitude
        text += f", because steps are {1000 * dt:g} ms long"
        return text, remedies.run_with(f"shorter steps: dt={longest:g}", dt=longest)
    return text, remedies.normalise_again()


def _reset(diagnosis, layer):
    text = "reset to zero throws away the charge above the threshold with every spike, in all layers"
    what = "reset by subtraction, which loses nothing: IntegrateAndFire(reset='subtract')"
    return text, remedies.other_neurons(what, diagnosis.network, reset="subtract")


def _response(diagnosis, layer):
    settings = diagnosis.network.settings
    text = (
        f"{type(settings.neuron_type).__name__} answers a constant input with up to {settings.match.deviation:.2g} "
        "more or less than the rectifier does"
    )
    what = "neurons that compute the rectifier exactly: IntegrateAndFire()"
    return text, remedies.other_neurons(what, diagnosis.network)


def _quantisation(diagnosis, layer):
    error = 100 * diagnosis.error_of("quantisation")
    text = f"too few steps ({diagnosis.n_steps}) to express activations in whole spikes: they are off by {error:.0f} %"
    lowest = min(diagnosis.layers.values(), key=lambda other: other.level)
    if lowest.level < TOO_LOW:
        text += f", because those of {lowest.name} reach {lowest.level:.2g} only"
        return text, remedies.normalise_again()
    start = _odd_start(diagnosis)
    half, now = diagnosis.foreseen.get("half", 0), diagnosis.foreseen.get(diagnosis.n_steps, 1)
    if start:
        text += f"; neurons start at {start}, a start at half of one would round to the nearest"
    if start and half >= diagnosis.ann_accuracy - diagnosis.max_loss / 100 and half > now + 0.005:
        what = f"start at half the threshold, which should give {100 * half:.1f} %: initial_potential=0.5"
        start_at_half = {"initial_potential": 0.5, "initial_state": None}
        return text, remedies.other_neurons(what, diagnosis.network, **start_at_half)
    return text, remedies.more_steps(diagnosis)


def _odd_start(diagnosis):
    """Where integrate-and-fire neurons start, in words, if it is far from half their threshold; else empty."""
    if diagnosis.starts is None:
        return ""
    low, high = diagnosis.starts
    if low == high:
        return f"{low:g} thresholds" if abs(low - 0.5) > 0.25 else ""
    return f"{low:.2g} to {high:.2g} thresholds" if low < -0.1 or high > 1.1 else ""


def _transient(diagnosis, layer):
    text = "the input of its neurons is another one at the start of a run than later, and they spike before it settles"
    return text, remedies.settle(diagnosis)


def _unevenness(diagnosis, layer):
    neuron_type = diagnosis.network.settings.neuron_type
    name = type(neuron_type).__name__
    if isinstance(neuron_type, nengo.PoissonSpiking | nengo.StochasticSpiking):
        return f"the spikes of {name} are random", remedies.keep_negative_input(diagnosis.network)
    text = "spikes arrive in bursts: its neurons fire before the inhibition that would have kept them silent"
    if diagnosis.keeps_charge:
        return text, remedies.settle(diagnosis)
    return f"{text}, and {name} forgets negative input", remedies.keep_negative_input(diagnosis.network)


def _synapse(diagnosis, layer):
    synapse = diagnosis.network.settings.synapse
    text = f"the synapse between layers, {synapse}, holds spikes back: in each layer they come later, and fewer in time"
    return text, remedies.rebuilt("no synapse between layers (or many more steps): synapse=None", synapse=None)


def _readout(diagnosis, _):
    text = "the class with the most output spikes is often not that with the largest score: counts are few, ties many"
    return text, remedies.rebuilt("read out the potential: readout='potential'", readout="potential")


_EXPLANATIONS = {
    "ann": _ann,
    "dead": _dead,
    "weights": _weights,
    "input": _input,
    "clipping": _clipping,
    "reset": _reset,
    "response": _response,
    "quantisation": _quantisation,
    "transient": _transient,
    "unevenness": _unevenness,
    "synapse": _synapse,
    "readout": _readout,
}
