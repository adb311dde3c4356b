"""Remedies: changes to a network, or to how it is run, each as words, as Python code and as a function."""

import dataclasses
from collections.abc import Callable

import nengo
import numpy as np

from ...conversion.normalization import normalize
from ...neurons.arguments import replaced
from ...neurons.integrate_and_fire import IntegrateAndFire


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
    apply: Callable = lambda network, x: network
    options: dict = dataclasses.field(default_factory=dict)


def normalise_again():
    what = "normalise again, on data: normalize(network, x_train[:1000])"
    return Remedy(what, "network = snc.normalize(network, x_train[:1000])", lambda network, x: normalize(network, x))


def rebuilt(what, **changes):
    """Other settings of the network."""
    arguments = ", ".join(f"{name}={value!r}" for name, value in changes.items())
    return Remedy(what, f"network = network.rebuild({arguments})", lambda network, x: network.rebuild(**changes))


def run_with(what, **options):
    """Other arguments of ``evaluate``."""
    arguments = ", ".join(f"{name}={value!r}" for name, value in options.items())
    return Remedy(what, f"snc.evaluate(network, x, y, {arguments})", options=options)


def other_neurons(what, network, **changes):
    """Integrate-and-fire neurons: the network's own with some arguments changed, or ``IntegrateAndFire()``."""
    old = network.settings.neuron_type
    if isinstance(old, IntegrateAndFire):
        new, rate = replaced(old, **changes), {}
    else:
        new, rate = IntegrateAndFire(), {"max_rate": None}
    code = f"neuron_type=snc.{new!r}".replace("Uniform(", "nengo.dists.Uniform(")
    code = f"network = network.rebuild({code}{', max_rate=None' if rate else ''})"
    return Remedy(what, code, lambda network, x: network.rebuild(neuron_type=new, **rate))


def more_steps(diagnosis):
    """As many more steps as are needed if spikes came evenly; twice as many where they do not."""
    more = {n: accuracy for n, accuracy in diagnosis.foreseen.items() if n != "half" and n > diagnosis.n_steps}
    if not more:
        return _so_many_steps(4 * diagnosis.n_steps)
    allowed = diagnosis.ann_accuracy - diagnosis.max_loss / 100
    n_steps = next((n for n, accuracy in more.items() if accuracy >= allowed), max(more, key=more.get))
    remark = ""
    if more[n_steps] > diagnosis.accuracy + 0.005:
        remark = f" ({n_steps} should give {100 * more[n_steps]:.1f} % if spikes came evenly)"
    uneven = max(diagnosis.error_of("transient"), diagnosis.error_of("unevenness"))
    if uneven > diagnosis.error_of("quantisation") / 4:
        n_steps *= 2
    return _so_many_steps(n_steps, remark)


def settle(diagnosis):
    """Leave out the first steps, if that did in this very run; else start at random potentials; else more steps."""
    half = diagnosis.n_steps // 2
    if (
        not diagnosis.skip_steps
        and half
        and diagnosis.late_accuracy >= diagnosis.ann_accuracy - diagnosis.max_loss / 100
    ):
        late = f"which gives {100 * diagnosis.late_accuracy:.1f} % in this run"
        return run_with(f"leave the first steps out of the class scores: skip_steps={half}, {late}", skip_steps=half)
    neuron_type = diagnosis.network.settings.neuron_type
    # with few steps, random starts cost more than they bring
    even = diagnosis.n_steps >= 16 and not diagnosis.skip_steps and not diagnosis.evaluation.input_layer
    if even and not neuron_type.initial_state:
        what = "let neurons start at random potentials, so that they do not spike together"
        start = {"voltage": nengo.dists.Uniform(0, neuron_type.threshold)}
        return other_neurons(what, diagnosis.network, initial_state=start)
    return _so_many_steps(2 * diagnosis.n_steps)


def keep_negative_input(network):
    """Neurons that integrate negative input, too."""
    what = "neurons that integrate negative input, too: IntegrateAndFire() without a floor"
    return other_neurons(what, network, min_potential=-np.inf)


def _so_many_steps(n_steps, remark=""):
    return run_with(f"more steps: n_steps={n_steps}{remark}", n_steps=n_steps)
