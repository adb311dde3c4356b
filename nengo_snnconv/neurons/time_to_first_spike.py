"""Neuron types for time to first spike: neurons, input and read-out, for Nengo and NengoDL.

Time is divided into stages of ``n_steps`` steps; stage s begins with step s * n_steps.  A spike in step k of a stage
encodes the value (n_steps - k) / n_steps; no spike encodes zero.
"""

from __future__ import annotations

import typing

import numpy as np
from nengo.dists import Choice
from nengo.params import BoolParam, IntParam, NumberParam

from .._util.validation import check_finite
from ..compat import tf
from .tensorflow_builder import NeuronBuilder, builds
from .unit_gain import UnitGain


class StagedNeuron(UnitGain):
    """Base class of neuron types with stages.

    Parameters
    ----------
    n_steps : int
        Number of steps of a stage.
    stage : int
        Stage in which the neurons take their input, from 0.
    amplitude : float
        Input and output spikes are impulses of height amplitude / dt.
    initial_state : dict, optional
    """

    negative = False

    n_steps = IntParam("n_steps", low=1)
    stage = IntParam("stage", low=0)
    amplitude = NumberParam("amplitude", low=0, low_open=True)

    def __init__(
        self,
        n_steps: int = 16,
        stage: int = 0,
        amplitude: float = 0.001,
        initial_state: dict[str, typing.Any] | None = None,
    ) -> None:
        super().__init__(initial_state)
        check_finite(n_steps=n_steps, stage=stage, amplitude=amplitude)
        self.n_steps = n_steps
        self.stage = stage
        self.amplitude = amplitude

    @property
    def first_step(self) -> int:
        """First step of the input stage."""
        return self.stage * self.n_steps


class StagedBuilder(NeuronBuilder):
    """Base class of the builders of staged neurons."""

    def build_pre(self, signals, config):
        super().build_pre(signals, config)
        self.n_steps, self.first, amplitude = (
            self.constant(signals, name) for name in ("n_steps", "first_step", "amplitude")
        )
        self.height, self.weight = amplitude / signals.dt_val, signals.dt_val / amplitude


class TimeToFirstSpike(StagedNeuron):
    """Two-stage neuron with at most one spike (Lopez-Randulfe, Reeb & Knoll 2022).

    In the silent stage, each input spike of weight w at time t switches on a constant current w, which the membrane
    potential u integrates.  At the end, u is the sum of w (t_max - t) = t_max (sum of w x), where t_max is ``n_steps``
    and x are the values that the spikes encode.  In the spiking stage, each step raises u by ``threshold``, and the
    neuron spikes when u reaches u_th = threshold * t_max: at t = t_max (1 - u / u_th), which encodes
    relu(sum of w x) / threshold.  Neurons with zero or negative potential stay silent, as a rectifier.  Values above 1
    spike in the first step, so they are clipped.

    Parameters
    ----------
    n_steps : int
        Number of steps of a stage.
    stage : int
        Silent stage; the next one is the spiking stage.
    threshold : float
        Activation for which the neuron spikes in the first step.
    offset : float
        Fraction of a step by which the spiking stage begins early.  With 0.5, the default, values are rounded to the
        nearest multiple of 1 / n_steps; with 0 they are rounded down.
    amplitude : float
        A spike is an impulse of height amplitude / dt.
    initial_state : dict, optional
        Initial "current", "voltage", "spiked" and "step".

    Raises
    ------
    nengo.exceptions.ValidationError, SettingsError
        If a parameter is out of range.
    """

    state = {"current": Choice([0]), "voltage": Choice([0]), "spiked": Choice([0]), "step": Choice([0])}
    spiking = True

    threshold = NumberParam("threshold", low=0, low_open=True)
    offset = NumberParam("offset", low=0, high=1, high_open=True)

    def __init__(
        self,
        n_steps: int = 16,
        stage: int = 0,
        threshold: float = 1.0,
        offset: float = 0.5,
        amplitude: float = 0.001,
        initial_state: dict[str, typing.Any] | None = None,
    ) -> None:
        super().__init__(n_steps, stage, amplitude, initial_state)
        check_finite(threshold=threshold, offset=offset)
        self.threshold = threshold
        self.offset = offset

    @property
    def firing_potential(self) -> float:
        """Membrane potential at which the neuron spikes, u_th."""
        return self.threshold * self.n_steps

    def step(
        self,
        dt: float,
        J: np.ndarray,
        output: np.ndarray,
        current: np.ndarray,
        voltage: np.ndarray,
        spiked: np.ndarray,
        step: np.ndarray,
    ) -> None:
        place = step[0] - self.first_step
        output[...] = 0
        if 0 <= place < self.n_steps:
            current += J * (dt / self.amplitude)
            voltage += current
        elif self.n_steps <= place < 2 * self.n_steps:
            charging = spiked == 0
            voltage[charging] += self.threshold * (self.offset if place == self.n_steps else 1)
            fires = charging & (voltage >= self.firing_potential)
            output[fires] = self.amplitude / dt
            voltage[fires] = 0
            spiked[fires] = 1
        step += 1


@builds(TimeToFirstSpike)
class TimeToFirstSpikeBuilder(StagedBuilder):
    """The same step in TensorFlow."""

    def build_pre(self, signals, config):
        super().build_pre(signals, config)
        names = ("threshold", "offset", "firing_potential")
        self.threshold, self.offset, self.firing_potential = (self.constant(signals, name) for name in names)

    def step(self, J, dt, current, voltage, spiked, step):
        place = step - self.first
        silent = tf.cast((place >= 0) & (place < self.n_steps), J.dtype)
        spiking = tf.cast((place >= self.n_steps) & (place < 2 * self.n_steps), J.dtype)
        current += silent * J * self.weight
        charge = self.threshold * tf.where(place == self.n_steps, self.offset * tf.ones_like(J), tf.ones_like(J))
        charging = spiking * (1 - spiked)
        voltage += silent * current + charging * charge
        fires = charging * tf.cast(voltage >= self.firing_potential, J.dtype)
        return fires * self.height, current, voltage * (1 - fires), spiked + fires, step + 1


class FirstSpikeInput(StagedNeuron):
    """Input neuron that encodes x as one spike at t = t_max / x_max (x_max - x), and x <= 0 as no spike.

    Values are rounded to the nearest multiple of x_max / n_steps.

    Parameters
    ----------
    n_steps : int
        Number of steps of a stage, t_max.
    stage : int
        Stage in which the neuron spikes.
    x_max : float
        Input that spikes in the first step, as do all larger ones; also a factor on the height of spikes.
    signed : bool
        Encode negative values as negative spikes, at the time of their magnitude.
    amplitude : float
        A spike is an impulse of height x_max amplitude / dt.
    initial_state : dict, optional
    """

    state = {"step": Choice([0])}
    spiking = True
    negative = True

    x_max = NumberParam("x_max", low=0, low_open=True)
    signed = BoolParam("signed")

    def __init__(self, n_steps=16, stage=0, x_max=1.0, signed=False, amplitude=0.001, initial_state=None):
        super().__init__(n_steps, stage, amplitude, initial_state)
        check_finite(x_max=x_max)
        self.x_max = x_max
        self.signed = signed

    @property
    def lowest(self) -> int:
        """Lowest sign of a spike: -1 or 0."""
        return -1 if self.signed else 0

    def step(self, dt: float, J: np.ndarray, output: np.ndarray, step: np.ndarray) -> None:
        place = step[0] - self.first_step
        level = np.minimum(np.floor(np.abs(J) * (self.n_steps / self.x_max) + 0.5), self.n_steps)
        fires = (level > 0) & (level == self.n_steps - place)
        output[...] = fires * np.maximum(np.sign(J), self.lowest) * (self.x_max * self.amplitude / dt)
        step += 1


def nearest_level(x, per_unit, n_steps):
    """Return the magnitude of each input in steps, rounded to the nearest integer and at most ``n_steps``: a tensor."""
    return tf.minimum(tf.floor(tf.abs(x) * per_unit + 0.5), tf.cast(n_steps, x.dtype))


@builds(FirstSpikeInput)
class FirstSpikeInputBuilder(StagedBuilder):
    """The same step in TensorFlow."""

    def build_pre(self, signals, config):
        super().build_pre(signals, config)
        x_max, self.lowest = (self.constant(signals, name) for name in ("x_max", "lowest"))
        self.levels, self.spike = self.n_steps / x_max, self.height * x_max

    def step(self, J, dt, step):
        level = nearest_level(J, self.levels, self.n_steps)
        fires = tf.cast((level > 0) & (level == self.n_steps - (step - self.first)), J.dtype)
        return fires * tf.maximum(tf.sign(J), self.lowest) * self.spike, step + 1


class ConstantInput(StagedNeuron):
    """Input units that switch on a constant current x for a stage, without spikes.

    As for a spike in the first step, an impulse of height x amplitude / dt switches on the current.

    Parameters
    ----------
    n_steps : int
        Number of steps of a stage.
    stage : int
        Stage of the current.
    amplitude : float
        Amplitude of the spikes of other neurons.
    initial_state : dict, optional
    """

    state = {"step": Choice([0])}
    spiking = False
    negative = True

    def step(self, dt: float, J: np.ndarray, output: np.ndarray, step: np.ndarray) -> None:
        output[...] = (step[0] == self.first_step) * J * (self.amplitude / dt)
        step += 1


@builds(ConstantInput)
class ConstantInputBuilder(StagedBuilder):
    """The same step in TensorFlow."""

    def step(self, J, dt, step):
        return tf.cast(step == self.first, J.dtype) * J * self.height, step + 1


class FirstSpikeReadout(StagedNeuron):
    """Neurons of the last layer, which do not spike: their output is the membrane potential divided by ``n_steps``.

    After the stage, it is the sum of w x over all input spikes.

    Parameters
    ----------
    n_steps : int
        Number of steps of a stage.
    stage : int
        Stage in which the neurons take their input.
    amplitude : float
        Amplitude of input spikes.
    initial_state : dict, optional
    """

    state = {"current": Choice([0]), "voltage": Choice([0]), "step": Choice([0])}
    spiking = False
    negative = True

    def step(
        self, dt: float, J: np.ndarray, output: np.ndarray, current: np.ndarray, voltage: np.ndarray, step: np.ndarray
    ) -> None:
        if self.first_step <= step[0] < self.first_step + self.n_steps:
            current += J * (dt / self.amplitude)
            voltage += current
        output[...] = voltage / self.n_steps
        step += 1


@builds(FirstSpikeReadout)
class FirstSpikeReadoutBuilder(StagedBuilder):
    """The same step in TensorFlow."""

    def step(self, J, dt, current, voltage, step):
        place = step - self.first
        inside = tf.cast((place >= 0) & (place < self.n_steps), J.dtype)
        current += inside * J * self.weight
        voltage += inside * current
        return voltage / self.n_steps, current, voltage, step + 1
