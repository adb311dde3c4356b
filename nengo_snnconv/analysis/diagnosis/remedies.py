"""Remedies: changes of a network or of its evaluation, each as text, as Python code and as a function."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable

import nengo
import numpy as np

from ...conversion.normalization import normalize
from ...neurons.arguments import arguments_of, replaced
from ...neurons.integrate_and_fire import IntegrateAndFire
from ...neurons.signed_integrate_and_fire import with_signed_spikes

if typing.TYPE_CHECKING:
    from ...networks.network import ConvNetwork
    from .result import Diagnosis


@dataclasses.dataclass(frozen=True)
class Remedy:
    """Change of a network or of its evaluation.

    Attributes
    ----------
    text : str
        Description, with the predicted effect if it is known.
    code : str
        Python code of the change.
    apply : callable
        Function of the network and calibration images that returns the changed network.
    options : dict
        Changed arguments of ``evaluate``.
    """

    text: str
    code: str
    apply: Callable[[ConvNetwork, np.ndarray], ConvNetwork] = lambda network, x: network
    options: dict[str, typing.Any] = dataclasses.field(default_factory=dict)


def normalize_again() -> Remedy:
    """Return the remedy to normalize the network with the data."""
    advice = "normalize again with data: normalize(network, x_train[:1000])"
    return Remedy(advice, "network = snc.normalize(network, x_train[:1000])", lambda network, x: normalize(network, x))


def rebuild(advice: str, **changes: typing.Any) -> Remedy:
    """Return the remedy to rebuild the network with other settings."""
    arguments = ", ".join(f"{name}={value!r}" for name, value in changes.items())
    return Remedy(advice, f"network = network.rebuild({arguments})", lambda network, x: network.rebuild(**changes))


def evaluate_with(advice: str, **options: typing.Any) -> Remedy:
    """Return the remedy to change arguments of ``evaluate``."""
    arguments = ", ".join(f"{name}={value!r}" for name, value in options.items())
    return Remedy(advice, f"snc.evaluate(network, x, y, {arguments})", options=options)


def replace_neurons(advice: str, network: ConvNetwork, **changes: typing.Any) -> Remedy:
    """Return the remedy to use integrate-and-fire neurons.

    These are the network's own with ``changes``, or ``IntegrateAndFire()`` if it has neurons without such arguments.
    """
    old = network.settings.neuron_type
    if isinstance(old, IntegrateAndFire) and changes.keys() <= arguments_of(old).keys():
        return _use_neurons(advice, replaced(old, **changes))
    return _use_neurons(advice, IntegrateAndFire(), {} if isinstance(old, IntegrateAndFire) else {"max_rate": None})


def take_spikes_back(network: ConvNetwork) -> Remedy:
    """Return the remedy to let integrate-and-fire neurons take spikes back."""
    advice = "use neurons that take such spikes back by negative ones: SignedIntegrateAndFire"
    return _use_neurons(advice, with_signed_spikes(network.settings.neuron_type))


def _use_neurons(advice, new, rate=None):
    """Return the remedy to rebuild the network with other neurons."""
    rate = rate or {}
    code = f"neuron_type=snc.{new!r}".replace("Uniform(", "nengo.dists.Uniform(")
    code = f"network = network.rebuild({code}{', max_rate=None' if rate else ''})"
    return Remedy(advice, code, lambda network, x: network.rebuild(neuron_type=new, **rate))


def more_steps(diagnosis: Diagnosis) -> Remedy:
    """Return the remedy to run more steps.

    The number is the predicted one if spikes are even, or can be taken back; twice that number if they are not.
    """
    predicted: dict[int, float] = {
        n: accuracy
        for n, accuracy in diagnosis.predicted_accuracy.items()
        if isinstance(n, int) and n > diagnosis.n_steps
    }
    if not predicted:
        return _run_longer(4 * diagnosis.n_steps)
    allowed = diagnosis.ann_accuracy - diagnosis.max_loss / 100
    enough = (n for n, accuracy in predicted.items() if accuracy >= allowed)
    n_steps = next(enough, max(predicted, key=predicted.__getitem__))
    remark = ""
    if predicted[n_steps] > diagnosis.accuracy + 0.005:
        remark = f" (predicted accuracy for {n_steps} steps: {100 * predicted[n_steps]:.1f} % if spikes are even)"
    uneven = max(diagnosis.error_of("transient"), diagnosis.error_of("unevenness"))
    signed = diagnosis.network.settings.neuron_type.negative
    if uneven > diagnosis.error_of("quantisation") / 4 and not signed:
        n_steps *= 2
    return _run_longer(n_steps, remark)


def skip_transient(diagnosis: Diagnosis) -> Remedy:
    """Return the remedy for input that changes at the start of a run.

    Skip the first steps if that gives an acceptable accuracy in this run; otherwise start at random potentials if the
    neurons do not, and do not take spikes back; else run more steps.
    """
    half = diagnosis.n_steps // 2
    if (
        not diagnosis.skip_steps
        and half
        and diagnosis.late_accuracy >= diagnosis.ann_accuracy - diagnosis.max_loss / 100
    ):
        accuracy = f"accuracy in this run: {100 * diagnosis.late_accuracy:.1f} %"
        return evaluate_with(
            f"leave the first steps out of the class scores: skip_steps={half} ({accuracy})", skip_steps=half
        )
    neuron_type = diagnosis.network.settings.neuron_type
    # with few steps, random initial potentials cost more accuracy than they restore
    can_start_randomly = diagnosis.n_steps >= 16 and not diagnosis.skip_steps and not diagnosis.evaluation.input_layer
    if can_start_randomly and not neuron_type.initial_state and not neuron_type.negative:
        advice = "start at random membrane potentials, so that neurons do not spike at the same time"
        initial_state = {"voltage": nengo.dists.Uniform(0, neuron_type.threshold)}
        return replace_neurons(advice, diagnosis.network, initial_state=initial_state)
    return _run_longer(2 * diagnosis.n_steps)


def keep_negative_input(network: ConvNetwork) -> Remedy:
    """Return the remedy to use neurons that integrate negative input."""
    advice = "use neurons that also integrate negative input: IntegrateAndFire() without min_potential"
    return replace_neurons(advice, network, min_potential=-np.inf)


def _run_longer(n_steps, remark=""):
    return evaluate_with(f"run more steps: n_steps={n_steps}{remark}", n_steps=n_steps)
