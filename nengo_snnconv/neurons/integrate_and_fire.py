"""IntegrateAndFire, the neuron type whose firing rate is the rectifier, for Nengo and NengoDL."""

from __future__ import annotations

import typing

import numpy as np
from nengo.dists import Choice
from nengo.neurons import NeuronType
from nengo.params import EnumParam, NumberParam

from .._util.validation import check_finite, check_not_nan
from ..compat import tf
from ..errors import SettingsError
from .firing_rates import rate_function_of
from .tensorflow_builder import NeuronBuilder, builds

if typing.TYPE_CHECKING:
    import numpy.typing as npt


class IntegrateAndFire(NeuronType):
    """Integrate-and-fire neuron without leak, driven by signed current.

    In a step of length dt the membrane potential v integrates the current J, negative as well as positive,

        v <- v + J dt / tau,    n = min(floor(v / threshold), max_spikes), at least 0,

    the neuron emits n spikes, and v is reset: by subtraction, v <- v - n threshold (Rueckauer et al. 2017, doi
    10.3389/fnins.2017.00682), or to zero (Diehl et al. 2015, doi 10.1109/IJCNN.2015.7280696), which loses the charge
    above the threshold.  With reset by subtraction and no floor, charge is conserved:
    sum of J dt / tau = threshold * spikes + v at the end - v at the start.

    ``nengo.SpikingRectifiedLinear`` ignores negative current instead, so it fires too much if its input arrives as
    positive and negative spikes.

    Parameters
    ----------
    threshold : float
        Membrane potential at which a spike is emitted; 1 by default.
    reset : "subtract" or "zero"
    initial_potential : float
        Initial membrane potential, in units of the threshold.  With 0.5, the default, spike counts are rounded to the
        nearest integer instead of down, which halves the largest error (Bu et al. 2022, arXiv 2202.01440).
    min_potential : float
        Lower bound of the membrane potential; none by default.
    max_spikes : int or numpy.inf
        Maximum number of spikes in a step; 1 by default.
    amplitude : float
        A spike is an impulse of height amplitude / dt.  With 0.001, the default, and steps of 1 ms, the height is 1, so
        that one spike in each step is an activation of 1.
    tau : float
        Time in seconds in which a current of 1 raises the potential by 1.  With 0.001, the default, the neuron fires at
        1000 Hz for a current of 1, once in each step of 1 ms.
    initial_state : dict, optional
        {"voltage": distribution or array}: initial potential of each neuron, instead of ``initial_potential``.

    Raises
    ------
    SettingsError
        If ``max_spikes`` is not a whole number of at least 1, or not 1 with reset to zero; if a number is not finite.
    nengo.exceptions.ValidationError
        If a parameter is out of range.

    Examples
    --------
    >>> spiking = snc.to_spiking(network, snc.IntegrateAndFire(initial_potential=0.5))
    """

    state = {"voltage": Choice([0])}
    spiking = True
    negative = False

    threshold = NumberParam("threshold", low=0, low_open=True)
    reset = EnumParam("reset", values=("subtract", "zero"))
    initial_potential = NumberParam("initial_potential")
    min_potential = NumberParam("min_potential", high=0)
    max_spikes = NumberParam("max_spikes", low=1)
    amplitude = NumberParam("amplitude", low=0, low_open=True)
    tau = NumberParam("tau", low=0, low_open=True)

    def __init__(
        self,
        threshold: float = 1.0,
        reset: str = "subtract",
        initial_potential: float = 0.5,
        min_potential: float = -np.inf,
        max_spikes: float = 1,
        amplitude: float = 0.001,
        tau: float = 0.001,
        initial_state: dict[str, typing.Any] | None = None,
    ) -> None:
        super().__init__(initial_state)
        check_finite(threshold=threshold, initial_potential=initial_potential, amplitude=amplitude, tau=tau)
        check_not_nan(min_potential=min_potential, max_spikes=max_spikes)
        self.threshold = threshold
        self.reset = reset
        self.initial_potential = initial_potential
        self.min_potential = min_potential
        self.max_spikes = max_spikes
        self.amplitude = amplitude
        self.tau = tau
        if not (max_spikes == np.inf or max_spikes == int(max_spikes)):
            raise SettingsError(
                f"max_spikes must be a whole number or numpy.inf, got {max_spikes!r}", argument="max_spikes"
            )
        if reset == "zero" and max_spikes != 1:
            raise SettingsError(
                f"reset='zero' leaves nothing for a second spike: max_spikes must be 1, got {max_spikes}",
                argument="max_spikes",
            )

    @property
    def residue(self) -> float:
        """Share of the potential above the threshold that remains after a spike: 1 or 0."""
        return 1.0 if self.reset == "subtract" else 0.0

    def make_state(
        self, n_neurons: int, rng: typing.Any = np.random, dtype: typing.Any = None
    ) -> dict[str, np.ndarray]:
        state = super().make_state(n_neurons, rng=rng, dtype=dtype)
        if "voltage" not in (self.initial_state or {}):
            state["voltage"][...] = self.initial_potential * self.threshold
        return state

    def gain_bias(self, max_rates: npt.ArrayLike, intercepts: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Return gain and bias for rates of ``max_rates`` in Hz at an input of 1, and rates of 0 at ``intercepts``."""
        rates, starts = (np.array(value, float, ndmin=1) for value in (max_rates, intercepts))
        # in this order of operations the gain for a rate of 1 / tau is exactly the threshold
        gain = self.threshold * (self.tau * rates) / (1 - starts)
        return gain, -starts * gain

    def max_rates_intercepts(self, gain: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return (gain + bias) / (self.threshold * self.tau), -bias / gain

    def rates(self, x: npt.ArrayLike, gain: npt.ArrayLike, bias: npt.ArrayLike) -> np.ndarray:
        """Return the firing rate in Hz times the amplitude, without the limit of ``max_spikes`` per step."""
        return np.maximum(self.current(x, gain, bias), 0) * (self.amplitude / (self.threshold * self.tau))

    def step(self, dt: float, J: np.ndarray, output: np.ndarray, voltage: np.ndarray) -> None:
        voltage += J * (dt / self.tau)
        n_spikes = np.clip(np.floor(voltage / self.threshold), 0, self.max_spikes)
        output[...] = n_spikes * (self.amplitude / dt)
        np.copyto(voltage, self.residue * (voltage - n_spikes * self.threshold), where=n_spikes > 0)
        np.maximum(voltage, self.min_potential, out=voltage)


@rate_function_of.register
def _(neuron_type: IntegrateAndFire, current):
    return neuron_type.amplitude / (neuron_type.threshold * neuron_type.tau) * tf.nn.relu(current)


@builds(IntegrateAndFire)
class IntegrateAndFireBuilder(NeuronBuilder):
    """The same step in TensorFlow; training uses the firing rate."""

    spiking = True

    def build_pre(self, signals, config):
        super().build_pre(signals, config)
        names = ("threshold", "max_spikes", "min_potential", "residue", "tau", "amplitude")
        self.threshold, self.max_spikes, self.min_potential, self.residue, tau, amplitude = (
            self.constant(signals, name) for name in names
        )
        # divide in double precision: dt / tau is exactly 1 by default, so that back ends agree
        self.growth, self.height = signals.dt_val / tau, amplitude / signals.dt_val
        self.slope = amplitude / (self.threshold * tau)

    def step(self, J, dt, voltage):
        voltage += times(J, self.growth)
        n_spikes = self._spikes(voltage)
        rest = voltage - times(n_spikes, self.threshold)
        voltage = rest if _is(self.residue, 1) else tf.where(n_spikes > 0, self.residue * rest, voltage)
        if not _is(self.min_potential, -np.inf):
            voltage = tf.maximum(voltage, self.min_potential)
        return times(n_spikes, self.height), voltage

    def _spikes(self, voltage):
        if _is(self.max_spikes, 1):
            return tf.cast(voltage >= self.threshold, voltage.dtype)
        return tf.clip_by_value(self.whole_thresholds(voltage), 0, self.max_spikes)

    def whole_thresholds(self, voltage):
        """Return the potential in units of the threshold, rounded down."""
        number = tf.floor(voltage / self.threshold)
        # TensorFlow multiplies by the reciprocal of a constant, and rounding can make the result off by one
        rest = voltage - number * self.threshold
        return number + tf.cast(rest >= self.threshold, rest.dtype) - tf.cast(rest < 0, rest.dtype)

    def training_step(self, J, dt, **state):
        return tf.nn.relu(J) * self.slope


def _is(constant, number):
    """Return True if a constant is this number for all neurons, so that an operation can be left out."""
    return np.isscalar(constant) and constant == number


def times(values, factor):
    """Return the product; without a multiplication by 1."""
    return values if _is(factor, 1) else values * factor
