"""SignedIntegrateAndFire, neurons that take spikes back by negative ones, for Nengo and NengoDL."""

from __future__ import annotations

import typing

import numpy as np
from nengo.dists import Choice

from ..compat import tf
from ..errors import SettingsError
from .arguments import arguments_of
from .integrate_and_fire import IntegrateAndFire, IntegrateAndFireBuilder, times
from .tensorflow_builder import builds


class SignedIntegrateAndFire(IntegrateAndFire):
    """Integrate-and-fire neuron that takes back a spike, by a negative one, if later input shows that it was wrong.

    In a step of length dt the membrane potential v integrates the current J,

        v <- v + J dt / tau,    n = floor(v / threshold), at least -m and -max_spikes, at most max_spikes,

    where m is the number of spikes so far, negative ones subtracted.  The neuron emits n spikes, negative ones if n is
    below 0, and v <- v - n threshold, m <- m + n.  So the output is never negative in sum, as that of a rectifier, but
    input that arrives unevenly, first too much and later too little, leaves no error (Wang et al. 2022, "Signed neuron
    with memory", IJCAI, doi 10.24963/ijcai.2022/347).  In networks that run for few steps, this removes most of the
    loss of deep layers.

    A negative spike costs as much as a positive one: evaluations count both.

    Parameters
    ----------
    threshold : float
        Membrane potential at which a spike is emitted; 1 by default.
    initial_potential : float
        Initial membrane potential, in units of the threshold; 0.5 by default.
    max_spikes : int or numpy.inf
        Maximum number of spikes, or of negative spikes, in a step; 1 by default.
    amplitude, tau, initial_state
        As for :class:`IntegrateAndFire`.

    Raises
    ------
    SettingsError
        If ``max_spikes`` is not a whole number of at least 1; if a number is not finite.
    nengo.exceptions.ValidationError
        If a parameter is out of range.

    Examples
    --------
    >>> spiking = snc.to_spiking(network, snc.SignedIntegrateAndFire())
    """

    state = {"voltage": Choice([0]), "net_spikes": Choice([0])}
    negative = True

    def __init__(
        self,
        threshold: float = 1.0,
        initial_potential: float = 0.5,
        max_spikes: float = 1,
        amplitude: float = 0.001,
        tau: float = 0.001,
        initial_state: dict[str, typing.Any] | None = None,
    ) -> None:
        super().__init__(
            threshold,
            initial_potential=initial_potential,
            max_spikes=max_spikes,
            amplitude=amplitude,
            tau=tau,
            initial_state=initial_state,
        )

    def step(  # type: ignore[override]  # one more state
        self, dt: float, J: np.ndarray, output: np.ndarray, voltage: np.ndarray, net_spikes: np.ndarray
    ) -> None:
        voltage += J * (dt / self.tau)
        n_spikes = np.clip(np.floor(voltage / self.threshold), -self.max_spikes, self.max_spikes)
        np.maximum(n_spikes, -net_spikes, out=n_spikes)
        output[...] = n_spikes * (self.amplitude / dt)
        voltage -= n_spikes * self.threshold
        net_spikes += n_spikes


def with_signed_spikes(neuron_type: IntegrateAndFire, signed: bool = True, **changes: typing.Any) -> IntegrateAndFire:
    """Return integrate-and-fire neurons with or without negative spikes, and with some arguments changed.

    Parameters
    ----------
    neuron_type : IntegrateAndFire
        Neurons whose other arguments are kept.
    signed : bool
        True for :class:`SignedIntegrateAndFire`, False for :class:`IntegrateAndFire`.
    **changes
        Arguments of :class:`IntegrateAndFire` to change.

    Raises
    ------
    SettingsError
        If neurons with negative spikes would be reset to zero, or have a lower bound of the potential.
    """
    arguments = {**arguments_of(neuron_type), **changes}
    if not signed:
        return IntegrateAndFire(**arguments)
    for name, only in (("reset", "subtract"), ("min_potential", -np.inf)):
        value = arguments.pop(name, only)
        if value != only:
            raise SettingsError(
                f"{name}={value!r} loses charge, so neurons cannot take spikes back: leave {name} out, or use "
                "IntegrateAndFire (signed=False), which emits no negative spikes",
                argument=name,
            )
    return SignedIntegrateAndFire(**arguments)


@builds(SignedIntegrateAndFire)
class SignedIntegrateAndFireBuilder(IntegrateAndFireBuilder):
    """The same step in TensorFlow; training uses the firing rate."""

    def step(self, J, dt, voltage, net_spikes):
        voltage += times(J, self.growth)
        n_spikes = tf.clip_by_value(self.whole_thresholds(voltage), -self.max_spikes, self.max_spikes)
        n_spikes = tf.maximum(n_spikes, -net_spikes)
        return times(n_spikes, self.height), voltage - times(n_spikes, self.threshold), net_spikes + n_spikes
