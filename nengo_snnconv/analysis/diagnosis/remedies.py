"""Remedies: changes of a network or of its evaluation, each as text, as Python code and as a function."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable

import nengo
import numpy as np

from ..._util.display import Displayed
from ..._util.text_tables import counted
from ...conversion.calibrate import calibrate, why_uncalibratable
from ...conversion.normalization import normalize
from ...networks.neuron_types import types_of
from ...neurons.arguments import arguments_of, code_of, replaced
from ...neurons.integrate_and_fire import IntegrateAndFire
from ...neurons.signed_integrate_and_fire import with_signed_spikes

if typing.TYPE_CHECKING:
    from ...networks.network import ConvNetwork
    from .result import Diagnosis

# largest number of steps for which networks are calibrated
MOST_CALIBRATED = 16


@dataclasses.dataclass(frozen=True, repr=False)
class Remedy(Displayed):
    """Change of a network or of its evaluation.

    Attributes
    ----------
    text : str
        Description.
    code : str
        Python code of the change.
    apply : callable
        Function of the network and calibration images that returns the changed network.
    options : dict
        Changed arguments of ``evaluate``.
    accuracy : float or None
        Accuracy with the change, measured on the images of the diagnosis; None if it was not tried.
    helps : bool
        True if it was tried and is more accurate than the network without it, by more than chance.
    """

    text: str
    code: str
    apply: Callable[[ConvNetwork, np.ndarray], ConvNetwork] = lambda network, x: network
    options: dict[str, typing.Any] = dataclasses.field(default_factory=dict)
    accuracy: float | None = None
    helps: bool = False

    def _headline(self):
        help_ = "helps" if self.helps else "does not help"
        tried = "not tried" if self.accuracy is None else f"{100 * self.accuracy:.2f} %, {help_}"
        return f"{self.text} ({tried})"


def normalize_again() -> Remedy:
    """Return the remedy to normalize the network with the data."""
    advice = "normalize again with data: normalize(network, x_train[:1000])"
    return Remedy(advice, "network = snc.normalize(network, x_train[:1000])", lambda network, x: normalize(network, x))


def balance(n_steps: int) -> Remedy:
    """Return the remedy to balance thresholds for a number of steps."""
    arguments = f'method="balance", n_steps={n_steps}'
    return Remedy(
        f"balance thresholds for {counted(n_steps, 'step')}: normalize(..., {arguments})",
        f"network = snc.normalize(network, x_train[:1000], {arguments})",
        lambda network, x: normalize(network, x, method="balance", n_steps=n_steps),
    )


def calibrated(diagnosis: Diagnosis) -> list[Remedy]:
    """Return the remedy to calibrate the network, in a list; an empty list if that is not possible.

    Calibration would fit the images of the diagnosis themselves, so there must be others.
    """
    n_steps, possible = diagnosis.n_steps, not why_uncalibratable(diagnosis.network.model, diagnosis.network.settings)
    if not (possible and diagnosis.other_calibration) or n_steps > MOST_CALIBRATED:
        return []
    dt = diagnosis.evaluation.dt

    def apply(network, x):
        return calibrate(network, x, n_steps=n_steps, dt=dt, progress=False)

    code = f"network = snc.calibrate(network, x_train[:1000], n_steps={n_steps})"
    return [Remedy(f"calibrate the network for {counted(n_steps, 'step')}: calibrate", code, apply)]


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
        return use_neurons(advice, replaced(old, **changes))
    return use_neurons(advice, IntegrateAndFire(), {} if isinstance(old, IntegrateAndFire) else {"max_rate": None})


def integrate_and_fire(diagnosis: Diagnosis) -> list[Remedy]:
    """Return the remedy to replace neurons of other types by integrate-and-fire ones, in a list; empty if none has.

    If some layers have integrate-and-fire neurons, the others get those.
    """
    network = diagnosis.network
    types = types_of(network.model, network.settings)
    others = [name for name, each in types.items() if not isinstance(each, IntegrateAndFire)]
    if not others:
        return []
    kinds = ", ".join(dict.fromkeys(type(types[name]).__name__ for name in others))
    advice = f"use neurons that compute the rectifier exactly instead of {kinds}"
    new = next((each for each in types.values() if isinstance(each, IntegrateAndFire)), None)
    if new is None:
        return [replace_neurons(f"{advice}: IntegrateAndFire()", network)]
    return [use_neurons(f"{advice}: {type(new).__name__} in {', '.join(others)}", dict.fromkeys(others, new))]


def take_spikes_back(diagnosis: Diagnosis) -> list[Remedy]:
    """Return the remedy to let integrate-and-fire neurons take spikes back, in a list; empty if it is impossible."""
    neuron_type = diagnosis.network.settings.neuron_type
    if not diagnosis.keeps_charge or neuron_type.negative:
        return []
    advice = "use neurons that take spikes back by negative ones: SignedIntegrateAndFire"
    return [use_neurons(advice, with_signed_spikes(neuron_type))]


def use_neurons(advice: str, new: typing.Any, rate: dict[str, None] | None = None) -> Remedy:
    """Return the remedy to rebuild the network with other neurons, of one type or of types by layer."""
    rate = rate or {}
    if isinstance(new, dict):
        code = "{" + ", ".join(f"{name!r}: {code_of(each)}" for name, each in new.items()) + "}"
    else:
        code = code_of(new)
    code = f"network = network.rebuild(neuron_type={code}{', max_rate=None' if rate else ''})"
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
        return run_longer(4 * diagnosis.n_steps)
    allowed = diagnosis.ann_accuracy - diagnosis.max_loss / 100
    enough = (n for n, accuracy in predicted.items() if accuracy >= allowed)
    n_steps = next(enough, max(predicted, key=predicted.__getitem__))
    uneven = max(diagnosis.error_of("transient"), diagnosis.error_of("unevenness"))
    signed = diagnosis.network.settings.neuron_type.negative
    if uneven > diagnosis.error_of("quantisation") / 4 and not signed:
        n_steps *= 2
    return run_longer(n_steps)


def for_transients(diagnosis: Diagnosis) -> list[Remedy]:
    """Return remedies for input that changes at the start of a run.

    Skip the first steps; start at random potentials if the neurons do not, and do not take spikes back; run more steps.
    """
    half, settings, found = diagnosis.n_steps // 2, diagnosis.network.settings, []
    if not diagnosis.skip_steps and half:
        found.append(
            evaluate_with(f"leave the first steps out of the class scores: skip_steps={half}", skip_steps=half)
        )
    neuron_type = settings.neuron_type
    # with few steps, random initial potentials cost more accuracy than they restore
    can_start_randomly = diagnosis.n_steps >= 16 and not diagnosis.skip_steps and not diagnosis.evaluation.input_layer
    # the type of the network, which may be that of no layer
    can_start_randomly &= isinstance(neuron_type, IntegrateAndFire) and not neuron_type.negative
    can_start_randomly &= diagnosis.keeps_charge
    if can_start_randomly and not neuron_type.initial_state:
        advice = "start at random membrane potentials, so that neurons do not spike at the same time"
        initial_state = {"voltage": nengo.dists.Uniform(0, neuron_type.threshold)}
        found.append(replace_neurons(advice, diagnosis.network, initial_state=initial_state))
    return [*found, run_longer(2 * diagnosis.n_steps)]


def keep_negative_input(network: ConvNetwork) -> Remedy:
    """Return the remedy to use neurons that integrate negative input."""
    advice = "use neurons that also integrate negative input: IntegrateAndFire() without min_potential"
    return replace_neurons(advice, network, min_potential=-np.inf)


def run_longer(n_steps: int) -> Remedy:
    """Return the remedy to run for a number of steps."""
    return evaluate_with(f"run more steps: n_steps={n_steps}", n_steps=n_steps)
