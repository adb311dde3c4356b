"""SurrogateLIF, a leaky integrate-and-fire neuron type that is trained through time, for Nengo and NengoDL."""

from __future__ import annotations

import functools
import typing

import numpy as np
from nengo.dists import Choice
from nengo.params import BoolParam, EnumParam, NumberParam

from .._util.validation import check_choice, check_finite, check_flags
from ..compat import tf
from ..errors import ConversionError, SettingsError
from .firing_rates import rate_function_of
from .surrogates import SURROGATES, spike
from .tensorflow_builder import NeuronBuilder, builds
from .unit_gain import UnitGain


class SurrogateLIF(UnitGain):
    """Leaky integrate-and-fire neuron in discrete time, trained by back-propagation through its steps.

    In step t, with the current X, the membrane potential V, and S = 1 for a spike,

        H[t] = V[t-1] + (X[t] - (V[t-1] - V_reset)) / tau,
        S[t] = 1 if H[t] >= V_threshold else 0,
        V[t] = H[t] (1 - S[t]) + V_reset S[t],

    or, with reset by subtraction, V[t] = H[t] - (V_threshold - V_reset) S[t].  In training, the derivative of the step
    function is replaced by that of a smooth function of x = H - V_threshold (Neftci, Mostafa & Zenke 2019, doi
    10.1109/MSP.2019.2931595), with slope k:

    - "sigmoid": ``1 / (1 + exp(-k x))``; the derivative is k / 4 at the threshold;
    - "arctan": ``arctan(pi k x / 2) / pi + 1 / 2`` (Fang et al. 2021, arXiv 2007.05785); k / 2 at the threshold;
    - "triangle": the derivative is ``k max(0, 1 - k |x|)`` (Bellec et al. 2018, arXiv 1803.09574); k at the threshold.

    Gains are 1 and biases 0.  The dynamics do not depend on the length of a step.

    Parameters
    ----------
    tau : float
        Membrane time constant in steps, at least 1.  With 1, the potential does not depend on earlier steps.
    threshold : float
        V_threshold, above ``reset_potential``.
    reset : "value" or "subtract"
        Reset to ``reset_potential``, or by subtraction.
    reset_potential : float
        V_reset, which is also the initial potential and the resting potential.
    surrogate : "sigmoid", "arctan" or "triangle"
    slope : float, optional
        k above; by default 4 for the sigmoid, 2 for the arctan and 1 for the triangle.
    detach_reset : bool
        Ignore the gradient through the reset, that is, through S in the equation of V.
    amplitude : float
        A spike is an impulse of height amplitude / dt.  Training through time assumes a height of 1, which is that of
        0.001, the default, and steps of 1 ms; ``evaluate`` and ``record`` need a ``dt`` equal to it.
    initial_state : dict, optional
        {"voltage": distribution or array}: initial potential of each neuron.

    Raises
    ------
    nengo.exceptions.ValidationError, SettingsError
        If a parameter is out of range.

    Examples
    --------
    >>> network = snc.build_trainable(model, snc.SurrogateLIF(tau=2.0))
    >>> network = snc.train(network, x, y, n_steps=16)
    """

    state = {"voltage": Choice([0])}
    spiking = True
    negative = False

    tau = NumberParam("tau", low=1)
    threshold = NumberParam("threshold")
    reset = EnumParam("reset", values=("value", "subtract"))
    reset_potential = NumberParam("reset_potential")
    surrogate = EnumParam("surrogate", values=tuple(SURROGATES))
    slope = NumberParam("slope", low=0, low_open=True)
    detach_reset = BoolParam("detach_reset")
    amplitude = NumberParam("amplitude", low=0, low_open=True)

    def __init__(
        self,
        tau: float = 2.0,
        threshold: float = 1.0,
        reset: str = "value",
        reset_potential: float = 0.0,
        surrogate: str = "sigmoid",
        slope: float | None = None,
        detach_reset: bool = False,
        amplitude: float = 0.001,
        initial_state: dict[str, typing.Any] | None = None,
    ) -> None:
        super().__init__(initial_state)
        check_finite(tau=tau, threshold=threshold, reset_potential=reset_potential, amplitude=amplitude)
        check_choice(SURROGATES, surrogate=surrogate)
        check_flags(detach_reset=detach_reset)
        if slope is not None:
            check_finite(slope=slope)
        self.tau = tau
        self.threshold = threshold
        self.reset = reset
        self.reset_potential = reset_potential
        self.surrogate = surrogate
        self.slope = SURROGATES[surrogate][2] if slope is None else slope
        self.detach_reset = detach_reset
        self.amplitude = amplitude
        if not reset_potential < threshold:
            raise SettingsError(
                f"reset_potential must be below the threshold {threshold:g}, where a spike resets it; got "
                f"{reset_potential!r}",
                argument="reset_potential",
            )

    @property
    def decay(self) -> float:
        """Share of the distance to its target by which the potential changes in a step: 1 / tau."""
        return 1 / self.tau

    @property
    def drop(self) -> float:
        """Amount that reset by subtraction takes from the potential."""
        return self.threshold - self.reset_potential

    def make_state(
        self, n_neurons: int, rng: typing.Any = np.random, dtype: typing.Any = None
    ) -> dict[str, np.ndarray]:
        state = super().make_state(n_neurons, rng=rng, dtype=dtype)
        if "voltage" not in (self.initial_state or {}):
            state["voltage"][...] = self.reset_potential
        return state

    def step(self, dt: float, J: np.ndarray, output: np.ndarray, voltage: np.ndarray) -> None:
        voltage += (J - (voltage - self.reset_potential)) * self.decay
        fires = voltage >= self.threshold
        output[...] = fires * (self.amplitude / dt)
        voltage[fires] = voltage[fires] - self.drop if self.reset == "subtract" else self.reset_potential


@rate_function_of.register
def _(neuron_type: SurrogateLIF, current):
    raise ConversionError(
        "SurrogateLIF has no rate form: its networks are trained through time, with train(..., n_steps=16)"
    )


@builds(SurrogateLIF)
class SurrogateLIFBuilder(NeuronBuilder):
    """The same step in TensorFlow, with the gradient of the surrogate."""

    def build_pre(self, signals, config):
        super().build_pre(signals, config)
        self.height = self.constant(signals, "amplitude") / signals.dt_val

    def step(self, J, dt, voltage):
        # merged ensembles are split, because their surrogates may differ
        parts = zip(self.neurons, tf.split(J, self.sizes, axis=1), tf.split(voltage, self.sizes, axis=1), strict=True)
        spikes, voltages = zip(*(step_of(*part) for part in parts), strict=True)
        return tf.concat(spikes, axis=1) * self.height, tf.concat(voltages, axis=1)


def step_of(neurons, current, voltage, smooth=False):
    """Return (spikes, membrane potential) of :class:`SurrogateLIF` neurons after a step; spikes are 0 or 1."""
    charged = voltage + (current - (voltage - neurons.reset_potential)) * neurons.decay
    spikes = spike(charged - neurons.threshold, neurons.surrogate, neurons.slope, smooth)
    resets = tf.stop_gradient(spikes) if neurons.detach_reset else spikes
    if neurons.reset == "subtract":
        return spikes, charged - neurons.drop * resets
    return spikes, charged * (1 - resets) + neurons.reset_potential * resets


def spikes_of(neurons, currents, smooth=False):
    """Return the spikes of neurons over time, differentiable with respect to the currents.

    Equal to :func:`step_of` for each step, but with an explicit gradient, which needs less memory.  On a CPU, float32
    currents are processed by compiled functions, which are several times faster than TensorFlow's operations.

    Parameters
    ----------
    neurons : SurrogateLIF
    currents : tf.Tensor, (steps, ...)
    smooth : bool
        Return the surrogate function instead of spikes, so that the gradient is exact.

    Returns
    -------
    tf.Tensor, (steps, ...)
    """
    if not smooth and currents.dtype == tf.float32 and not tf.config.list_physical_devices("GPU"):
        return _compiled_spikes(neurons, currents)
    return _spikes_in_tensorflow(neurons, currents, smooth)


def _compiled_spikes(neurons, currents):
    from . import surrogate_kernels  # loads Numba

    def call(kernel, *tensors):
        """Apply a function of arrays (steps, neurons) to tensors (steps, ...)."""
        size = tf.size(tensors[0]) // tensors[0].shape[0]
        flat = [tf.reshape(tensor, (tensor.shape[0], size)) for tensor in tensors]
        found = tf.numpy_function(functools.partial(kernel, neurons), flat, tf.float32, stateful=False)
        return tf.ensure_shape(tf.reshape(found, tf.shape(tensors[0])), tensors[0].shape)

    @tf.custom_gradient
    def run(currents):
        def gradient(upstream):
            return call(surrogate_kernels.gradient, currents, upstream)

        return call(surrogate_kernels.spikes, currents), gradient

    return run(currents)


def _spikes_in_tensorflow(neurons, currents, smooth):
    function, derivative, _ = SURROGATES[neurons.surrogate]
    subtracts, rest, decay = neurons.reset == "subtract", neurons.reset_potential, neurons.decay

    def fires(above):
        """Return whether neurons spike, or the value of the surrogate if ``smooth``."""
        return function(above, neurons.slope) if smooth else above >= 0

    def where_fired(values, fired, others):
        """Return ``others`` for neurons that spiked, and ``values`` for the rest."""
        return values * (1 - fired) + others * fired if smooth else tf.where(fired, others, values)

    def above_rest(values):
        return values - rest if rest else values  # saves an operation

    @tf.custom_gradient
    def run(currents):
        charged, fired = [], []
        voltage = tf.fill(tf.shape(currents[0]), tf.cast(rest, currents.dtype))
        for current in tf.unstack(currents):
            charged.append(voltage + (current - above_rest(voltage)) * decay)
            fired.append(fires(charged[-1] - neurons.threshold))
            if subtracts:
                voltage = charged[-1] - neurons.drop * tf.cast(fired[-1], currents.dtype)
            else:
                voltage = where_fired(charged[-1], fired[-1], tf.cast(rest, currents.dtype))

        def gradient(upstream):
            gradients, later = [], tf.zeros_like(upstream[0])  # later: gradient of the potential after the step
            steps = zip(tf.unstack(upstream), charged, fired, strict=True)
            for from_spikes, potential, emitted in reversed(list(steps)):
                if not neurons.detach_reset:
                    from_spikes -= later * (neurons.drop if subtracts else above_rest(potential))
                kept = later if subtracts else where_fired(later, emitted, tf.zeros((), later.dtype))
                inside = from_spikes * derivative(potential - neurons.threshold, neurons.slope) + kept
                gradients.append(inside * decay)
                later = inside * (1 - decay)
            return tf.stack(gradients[::-1])

        return tf.stack([tf.cast(emitted, currents.dtype) for emitted in fired]), gradient

    return run(currents)
