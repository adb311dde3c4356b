"""SurrogateLIF: the discrete leaky integrate-and-fire neuron that learns through time, for nengo and nengo_dl."""

import numpy as np
from nengo.dists import Choice
from nengo.params import BoolParam, EnumParam, NumberParam

from .._util.validation import check_choice, check_finite, check_flags
from ..compat import tf
from ..errors import ConversionError, SettingsError
from .rates import rate_function_of
from .surrogates import SURROGATES, spike
from .tensorflow_builder import NeuronBuilder, builds
from .unit_gain import UnitGain


class SurrogateLIF(UnitGain):
    """Leaky integrate-and-fire neuron in discrete time, trained by back-propagation through its steps.

    In step t, with the current X, the membrane potential V, and S = 1 for a spike,

        H[t] = V[t-1] + (X[t] - (V[t-1] - V_reset)) / tau,
        S[t] = 1 if H[t] >= V_threshold else 0,
        V[t] = H[t] (1 - S[t]) + V_reset S[t],

    or, with reset by subtraction, V[t] = H[t] - (V_threshold - V_reset) S[t].  While it learns, the derivative of the
    step is replaced by that of a smooth function of x = H - V_threshold (Neftci, Mostafa & Zenke 2019, doi
    10.1109/MSP.2019.2931595), with the slope k:

    - "sigmoid": ``1 / (1 + exp(-k x))``; the derivative is k / 4 at the threshold;
    - "arctan": ``arctan(pi k x / 2) / pi + 1 / 2`` (Fang et al. 2021, arXiv 2007.05785); k / 2 at the threshold;
    - "triangle": the derivative is ``k max(0, 1 - k |x|)`` (Bellec et al. 2018, arXiv 1803.09574); k at the threshold.

    Gains are 1 and biases 0.  A step is a step, however long it is.

    Parameters
    ----------
    tau : float
        Membrane time constant in steps, 1 or more; with 1 nothing is remembered.
    threshold : float
        V_threshold, above reset_potential.
    reset : "value" or "subtract"
    reset_potential : float
        V_reset, at which it also starts and rests.
    surrogate : "sigmoid", "arctan" or "triangle"
    slope : float, optional
        k above; by default 4 for the sigmoid, 2 for the arctan and 1 for the triangle.
    detach_reset : bool
        Take no gradient through the reset, that is, through S in the equation of V.
    amplitude : float
        A spike is an impulse of height amplitude / dt: with 0.001, the default, and steps of 1 ms, its height is 1, as
        training through time takes it to be; ``evaluate`` and ``record`` want a ``dt`` that is equal to it.
    initial_state : dict, optional
        {"voltage": distribution or array} sets the potential at the start for each neuron.

    Raises
    ------
    nengo.exceptions.ValidationError, SettingsError
        If a parameter is out of its range.
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
        tau=2.0,
        threshold=1.0,
        reset="value",
        reset_potential=0.0,
        surrogate="sigmoid",
        slope=None,
        detach_reset=False,
        amplitude=0.001,
        initial_state=None,
    ):
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
                f"{reset_potential!r}"
            )

    @property
    def decay(self):
        """1 / tau: the share of what drives the potential that it takes in a step."""
        return 1 / self.tau

    @property
    def drop(self):
        """How far reset by subtraction lowers the potential."""
        return self.threshold - self.reset_potential

    def make_state(self, n_neurons, rng=np.random, dtype=None):
        state = super().make_state(n_neurons, rng=rng, dtype=dtype)
        if "voltage" not in (self.initial_state or {}):
            state["voltage"][...] = self.reset_potential
        return state

    def step(self, dt, J, output, voltage):
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
    """The same step in TensorFlow, with the surrogate's gradient."""

    def build_pre(self, signals, config):
        super().build_pre(signals, config)
        self.height = self.constant(signals, "amplitude") / signals.dt_val

    def step(self, J, dt, voltage):
        # merged ensembles are taken apart, as their surrogates may differ
        parts = zip(self.neurons, tf.split(J, self.sizes, axis=1), tf.split(voltage, self.sizes, axis=1), strict=True)
        spikes, voltages = zip(*(step_of(*part) for part in parts), strict=True)
        return tf.concat(spikes, axis=1) * self.height, tf.concat(voltages, axis=1)


def step_of(neurons, current, voltage, smooth=False):
    """A step of :class:`SurrogateLIF` neurons: spikes (0 or 1), and the membrane potential after it."""
    charged = voltage + (current - (voltage - neurons.reset_potential)) * neurons.decay
    spikes = spike(charged - neurons.threshold, neurons.surrogate, neurons.slope, smooth)
    resets = tf.stop_gradient(spikes) if neurons.detach_reset else spikes
    if neurons.reset == "subtract":
        return spikes, charged - neurons.drop * resets
    return spikes, charged * (1 - resets) + neurons.reset_potential * resets


def spikes_of(neurons, currents, smooth=False):
    """The spikes of neurons over time, with gradients through it.

    The same as :func:`step_of` step by step, but that gradients are written out, so that nothing is kept but the
    potentials that spikes were decided on.

    Parameters
    ----------
    neurons : SurrogateLIF
    currents : tf.Tensor, (steps, ...)
    smooth : bool
        Emit the surrogate itself, not spikes, so that the gradient is the true one.

    Returns
    -------
    tf.Tensor, (steps, ...)
    """
    function, derivative, _ = SURROGATES[neurons.surrogate]
    subtracts, rest, decay = neurons.reset == "subtract", neurons.reset_potential, neurons.decay

    def fires(above):
        """How far neurons emit a spike: all or nothing, or in part where it is smooth."""
        return function(above, neurons.slope) if smooth else above >= 0

    def instead(values, fired, others):
        """``others`` where a spike was emitted, else ``values``."""
        return values * (1 - fired) + others * fired if smooth else tf.where(fired, others, values)

    def above_rest(values):
        return values - rest if rest else values  # spares a pass over memory

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
                voltage = instead(charged[-1], fired[-1], tf.cast(rest, currents.dtype))

        def gradient(upstream):
            found, later = [], tf.zeros_like(upstream[0])  # later: the gradient of the potential after the step
            steps = zip(tf.unstack(upstream), charged, fired, strict=True)
            for from_spikes, potential, emitted in reversed(list(steps)):
                if not neurons.detach_reset:
                    from_spikes -= later * (neurons.drop if subtracts else above_rest(potential))
                kept = later if subtracts else instead(later, emitted, tf.zeros((), later.dtype))
                inside = from_spikes * derivative(potential - neurons.threshold, neurons.slope) + kept
                found.append(inside * decay)
                later = inside * (1 - decay)
            return tf.stack(found[::-1])

        return tf.stack([tf.cast(emitted, currents.dtype) for emitted in fired]), gradient

    return run(currents)
