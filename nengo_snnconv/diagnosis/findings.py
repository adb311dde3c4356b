"""Findings: from the figures of a diagnosis to the cause of a loss, its place, and the change that would help most."""

import dataclasses
from collections.abc import Callable

import nengo
import numpy as np

from ..neurons.arguments import replaced
from ..neurons.integrate_and_fire import IntegrateAndFire
from ..normalization import normalize

# causes that vanish as a run gets longer
OF_STEPS = ("quantisation", "transient", "unevenness")
# a local error of more than this share of the activity is worth a word even where no accuracy is lost
LARGE_ERROR = 0.5
# activations of a normalised layer are near 1; beyond these factors its scale is wrong
TOO_HIGH, TOO_LOW = 3.0, 0.25
# share of the neurons of a layer that must be silent for it to be called dead
DEAD = 0.9


@dataclasses.dataclass(frozen=True)
class Remedy:
    """A change to a network, or to how it is run.

    Attributes
    ----------
    text : str
        What to do, and what is known about how much it helps.
    code : str
        The same in Python.
    apply : callable
        Takes the network and calibration images, and returns the network changed.
    options : dict
        Arguments of ``evaluate`` that change.
    """

    text: str
    code: str
    apply: Callable
    options: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes
    ----------
    layer : str
        The layer at fault; for what concerns all layers, the first one in which accuracy is lost.
    cause : str
        "dead", "weights", "input", "clipping", "quantisation", "transient", "unevenness", "reset", "response" or
        "readout".
    points : float
        Accuracy that it costs, in percentage points.
    text : str
    remedy : Remedy or None
    """

    layer: str
    cause: str
    points: float
    text: str
    remedy: Remedy


def find(diagnosis):
    """The findings on a diagnosis, the one to mend first at the front."""
    structural = _dead(diagnosis) or _out_of_scale(diagnosis) or _overdriven(diagnosis)
    return structural + _by_points(diagnosis, structural)


def _dead(diagnosis):
    """The first layer that passes nothing on, through its own fault."""
    for name, layer in diagnosis.layers.items():
        if layer.silent >= 0.99:
            text = (
                f"no neuron of it is active for any image, in the ANN either (the largest activation is "
                f"{layer.level:.3g}): what comes after it cannot tell images apart"
            )
            what = "look at the layer's weights and biases, and train the ANN again: no conversion can mend it"
            return [
                Finding(name, "dead", _lost_from(diagnosis, name), text, Remedy(what, "# train the ANN again", _same))
            ]
        active = 1 - layer.silent
        if layer.dead >= DEAD * active and layer.level < TOO_LOW:
            text = (
                f"{100 * layer.dead / active:.0f} % of its neurons that are active in the ANN never spike: its "
                f"activations reach {layer.level:.2g}, so its scale is about {1 / layer.level:,.0f} times too large"
            )
            return [Finding(name, "dead", _lost_from(diagnosis, name), text, _normalise_again())]
    return []


def _out_of_scale(diagnosis):
    """The first layer from which on all activations are larger, or smaller, than the scales say."""
    metadata = diagnosis.network.model.metadata
    how = metadata.get("normalization", {})
    if "scales" not in metadata or how.get("method") == "model" or how.get("percentile", 100) < 99:
        return []
    names = [*diagnosis.layers, "output"]
    levels = np.array([*(layer.level for layer in diagnosis.layers.values()), diagnosis.output_level])
    for i, name in enumerate(names[:-1]):
        before, behind = levels[:i], levels[i:]
        usual = before.min(initial=1), before.max(initial=1)
        if behind.min() > TOO_HIGH * usual[1] or behind.max() < TOO_LOW * usual[0]:
            factor = np.exp(np.log(behind).mean())
            text = (
                f"from it on, all activations are about {factor:.2g} times what the scales say: the weights that drive "
                "it are not those that were normalised"
            )
            return [Finding(name, "weights", _lost_from(diagnosis, name), text, _normalise_again())]
    return []


def _overdriven(diagnosis):
    """The first layer that is clipped so much that what comes after it, starved, fails in ways of its own."""
    for name, layer in diagnosis.layers.items():
        clipped = layer.level > TOO_HIGH * layer.largest_output and layer.causes.get("clipping", 0) > LARGE_ERROR
        if clipped and _lost_from(diagnosis, name) > diagnosis.max_loss:
            return [_finding(diagnosis, "clipping", _lost_from(diagnosis, name), name)]
    return []


def _by_points(diagnosis, found):
    """What costs more accuracy than is allowed, the most expensive first; if nothing does, errors that are large."""
    if diagnosis.loss_points <= diagnosis.max_loss + 1e-9:
        return [] if found else _large_errors(diagnosis)
    costs = sorted(diagnosis.points().items(), key=lambda item: -item[1])
    if found:  # clipping and missing spikes are what comes of them
        costs = [(cause, points) for cause, points in costs if cause not in ("clipping", "steps")]
        return [_finding(diagnosis, *cost) for cost in costs if cost[1] > diagnosis.max_loss]
    # the largest one in any case, and what comes near it
    return [_finding(diagnosis, *cost) for cost in costs if cost[1] >= costs[0][1] / 4]


def _large_errors(diagnosis):
    """The cause of the largest local error, if that is large; Poisson input is uneven by itself."""
    causes = {cause for layer in diagnosis.layers.values() for cause in layer.causes}
    causes -= {"transient", "unevenness"} if diagnosis.evaluation.input_layer else set()
    places = [(layer.causes[cause], cause, name) for name, layer in diagnosis.layers.items() for cause in causes]
    error, cause, name = max(places)
    return [_finding(diagnosis, cause, 0.0, name)] if error > LARGE_ERROR else []


def _finding(diagnosis, cause, points, name=None):
    if cause == "steps":
        cause = max(OF_STEPS, key=diagnosis.error_of)
    if name is None:
        name = diagnosis.where(cause)
    text, remedy = _EXPLANATIONS[cause](diagnosis, diagnosis.layers.get(name))
    return Finding(name, cause, points, text, remedy)


def _lost_from(diagnosis, name):
    """What is lost in a layer and behind it."""
    names = list(diagnosis.layers)
    return sum(sum(diagnosis.layers[other].points.values()) for other in names[names.index(name) :])


# what each cause says, and what to do about it


def _input(diagnosis, _):
    settings, n_steps, largest = diagnosis.network.settings, diagnosis.n_steps, diagnosis.largest_input
    threshold = settings.input_threshold
    error = 100 * diagnosis.input_error
    text = f"after {n_steps} steps the mean of the Poisson spikes is off by {error:.0f} % of the image"
    if threshold > 1.2 * largest:
        text += f": a spike is worth {threshold:g}, but the largest pixel is {largest:.3g}, so spikes are too rare"
        what = f"let the largest pixel spike in every step: input_threshold={largest:.3g}"
        return text, _rebuilt(what, f"input_threshold={largest:.3g}", input_threshold=float(largest))
    if threshold < largest:
        text += f"; pixels above {threshold:g} are clipped, up to {largest:.3g}"
    what = "give the image as constant current: input_coding='constant' (or run many more steps)"
    return text, _rebuilt(what, "input_coding='constant'", input_coding="constant")


def _clipping(diagnosis, layer):
    text = (
        f"its activations reach {layer.level:.3g}, but its neurons emit {layer.largest_output:.3g} at most: "
        f"{100 * layer.saturated:.0f} % of the active ones are saturated"
    )
    return text, _normalise_again()


def _reset(diagnosis, layer):
    text = "reset to zero throws away the charge above the threshold with every spike, in all layers"
    what = "reset by subtraction, which loses nothing: IntegrateAndFire(reset='subtract')"
    return text, _other_neurons(what, "IntegrateAndFire()", lambda old: replaced(old, reset="subtract"))


def _response(diagnosis, layer):
    settings = diagnosis.network.settings
    text = (
        f"{type(settings.neuron_type).__name__} answers a constant input with up to {settings.match.deviation:.2g} "
        "more or less than the rectifier does"
    )
    what = "neurons that compute the rectifier exactly: IntegrateAndFire()"
    return text, _other_neurons(what, "IntegrateAndFire()", lambda _: IntegrateAndFire())


def _quantisation(diagnosis, layer):
    n_steps = diagnosis.n_steps
    error = 100 * diagnosis.error_of("quantisation")
    text = f"{n_steps} steps are too few to express activations in whole spikes: they are off by {error:.0f} %"
    lowest = min(diagnosis.layers.values(), key=lambda other: other.level)
    if lowest.level < TOO_LOW:
        text += f", because those of {lowest.name} reach {lowest.level:.2g} only"
        return text, _normalise_again()
    half, allowed = diagnosis.foreseen.get("half", 0), diagnosis.ann_accuracy - diagnosis.max_loss / 100
    neuron_type = diagnosis.network.settings.neuron_type
    if _starts_off_half(neuron_type) and half >= allowed and half > diagnosis.foreseen.get(n_steps, 1) + 0.005:
        text += "; neurons do not start at half their threshold, so they round down instead of to the nearest"
        what = f"start at half the threshold, which alone should give {100 * half:.1f} %: initial_potential=0.5"
        return text, _other_neurons(
            what, "IntegrateAndFire(initial_potential=0.5)", lambda old: replaced(old, initial_potential=0.5)
        )
    return text, _more_steps(diagnosis)


def _transient(diagnosis, layer):
    text = (
        "the input of its neurons is another one at the start of a run than later on, and they spike before it settles"
    )
    return text, _settle(diagnosis)


def _unevenness(diagnosis, layer):
    neuron_type = diagnosis.network.settings.neuron_type
    text = "spikes arrive in bursts: its neurons fire before the inhibition that would have kept them silent"
    forgets = not isinstance(neuron_type, IntegrateAndFire) or neuron_type.min_potential > -np.inf
    if forgets:
        text += f", and {type(neuron_type).__name__} forgets negative input"
        what = "neurons that integrate negative input, too: IntegrateAndFire() without a floor"
        return text, _other_neurons(what, "IntegrateAndFire()", lambda _: IntegrateAndFire())
    return text, _settle(diagnosis)


def _readout(diagnosis, _):
    text = (
        "the class with the most output spikes is not the one with the largest score: counts are few, and ties are many"
    )
    return text, _rebuilt("read out the potential: readout='potential'", "readout='potential'", readout="potential")


_EXPLANATIONS = {
    "input": _input,
    "clipping": _clipping,
    "reset": _reset,
    "response": _response,
    "quantisation": _quantisation,
    "transient": _transient,
    "unevenness": _unevenness,
    "readout": _readout,
}


# remedies


def _same(network, x):
    return network


def _normalise_again():
    what = "normalise again, on data: normalize(network, x_train[:1000])"
    return Remedy(what, "network = snc.normalize(network, x_train[:1000])", lambda network, x: normalize(network, x))


def _rebuilt(what, argument, **changes):
    code = f"network = snc.to_spiking(network, ..., {argument})"
    return Remedy(what, code, lambda network, x: network.rebuild(**changes))


def _other_neurons(what, argument, change):
    def apply(network, x):
        old = network.settings.neuron_type
        new = change(old)
        return network.rebuild(neuron_type=new, **({} if type(new) is type(old) else {"max_rate": None}))

    return Remedy(what, f"network = snc.to_spiking(network, snc.{argument})", apply)


def _starts_off_half(neuron_type):
    return (
        isinstance(neuron_type, IntegrateAndFire)
        and not neuron_type.initial_state
        and abs(neuron_type.initial_potential - 0.5) > 0.25
    )


def _more_steps(diagnosis):
    """As many more steps as are needed if spikes came evenly; twice as many where they do not."""
    if not diagnosis.foreseen:
        return _so_many_steps(4 * diagnosis.n_steps)
    allowed = diagnosis.ann_accuracy - diagnosis.max_loss / 100
    more = [n for n in diagnosis.foreseen if n != "half" and n > diagnosis.n_steps]
    n_steps = next((n for n in more if diagnosis.foreseen[n] >= allowed), more[-1])
    uneven = max(diagnosis.error_of("transient"), diagnosis.error_of("unevenness"))
    foreseen = f", which should give {100 * diagnosis.foreseen[n_steps]:.1f} % if spikes came evenly"
    if uneven > diagnosis.error_of("quantisation") / 4:
        n_steps *= 2
    return _so_many_steps(n_steps, foreseen)


def _settle(diagnosis):
    """Leave out the first steps, if that helped in this very run; else start at random potentials; else more steps."""
    half = diagnosis.n_steps // 2
    if not diagnosis.skip_steps and half and diagnosis.late_accuracy > diagnosis.accuracy + 0.005:
        what = (
            f"leave the first steps out of the class scores: skip_steps={half}, which gives "
            f"{100 * diagnosis.late_accuracy:.1f} % in this run"
        )
        return Remedy(what, f"snc.evaluate(..., skip_steps={half})", _same, {"skip_steps": half})
    neuron_type = diagnosis.network.settings.neuron_type
    if isinstance(neuron_type, IntegrateAndFire) and not neuron_type.initial_state:
        what = "let neurons start at random potentials, so that they do not spike together"
        start = {"voltage": nengo.dists.Uniform(0, neuron_type.threshold)}
        code = 'IntegrateAndFire(initial_state={"voltage": nengo.dists.Uniform(0, 1)})'
        return _other_neurons(what, code, lambda old: replaced(old, initial_state=start))
    return _so_many_steps(2 * diagnosis.n_steps)


def _so_many_steps(n_steps, remark=""):
    return Remedy(f"more steps: n_steps={n_steps}{remark}", f"n_steps={n_steps}", _same, {"n_steps": n_steps})
