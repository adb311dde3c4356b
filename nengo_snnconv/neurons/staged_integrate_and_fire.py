"""Neuron types for networks that run in stages: gate of constant input, neurons and read-out, for Nengo and NengoDL.

Time is divided into stages of ``n_steps`` steps, as for time to first spike.
"""

from __future__ import annotations

import typing

import numpy as np
from nengo.dists import Choice
from nengo.params import IntParam, NumberParam

from .._util.validation import check_finite
from ..compat import tf
from .tensorflow_builder import builds
from .time_to_first_spike import StagedBuilder, StagedNeuron


class StagedIntegrateAndFire(StagedNeuron):
    """Integrate-and-fire neuron that receives all of its input before it spikes.

    In its input stages, the membrane potential v integrates the current J, v <- v + J dt / amplitude, without a limit
    and without spikes.  In the stage after them, the neuron spikes in each step in which v is at least 1, and
    v <- v - 1.  So the number of spikes is

        clip(floor(sum of J dt / amplitude + initial_potential), 0, n_steps),

    whatever the order of the input: with an initial potential of 0.5, the activation of :class:`QCFS` with as many
    levels as steps, times ``n_steps``.

    Parameters
    ----------
    n_steps : int
        Number of steps of a stage.
    stage : int
        First stage in which the neurons take their input.
    n_stages : int
        Number of input stages; the next one is the spiking stage.
    initial_potential : float
        Initial membrane potential.
    amplitude : float
        A spike is an impulse of height amplitude / dt.
    initial_state : dict, optional
        Initial "voltage" and "step".
    """

    state = {"voltage": Choice([0]), "step": Choice([0])}
    spiking = True

    n_stages = IntParam("n_stages", low=1)
    initial_potential = NumberParam("initial_potential")

    def __init__(
        self,
        n_steps: int = 4,
        stage: int = 0,
        n_stages: int = 1,
        initial_potential: float = 0.5,
        amplitude: float = 0.001,
        initial_state: dict[str, typing.Any] | None = None,
    ) -> None:
        super().__init__(n_steps, stage, amplitude, initial_state)
        check_finite(n_stages=n_stages, initial_potential=initial_potential)
        self.n_stages = n_stages
        self.initial_potential = initial_potential

    @property
    def spiking_step(self) -> int:
        """First step of the spiking stage."""
        return self.first_step + self.n_stages * self.n_steps

    def make_state(
        self, n_neurons: int, rng: typing.Any = np.random, dtype: typing.Any = None
    ) -> dict[str, np.ndarray]:
        state = super().make_state(n_neurons, rng=rng, dtype=dtype)
        if "voltage" not in (self.initial_state or {}):
            state["voltage"][...] = self.initial_potential
        return state

    def step(self, dt: float, J: np.ndarray, output: np.ndarray, voltage: np.ndarray, step: np.ndarray) -> None:
        output[...] = 0
        if self.first_step <= step[0] < self.spiking_step:
            voltage += J * (dt / self.amplitude)
        elif self.spiking_step <= step[0] < self.spiking_step + self.n_steps:
            fires = voltage >= 1
            output[fires] = self.amplitude / dt
            voltage -= fires
        step += 1


@builds(StagedIntegrateAndFire)
class StagedIntegrateAndFireBuilder(StagedBuilder):
    """The same step in TensorFlow."""

    def build_pre(self, signals, config):
        super().build_pre(signals, config)
        self.spiking_step = self.constant(signals, "spiking_step")

    def step(self, J, dt, voltage, step):
        charges = (step >= self.first) & (step < self.spiking_step)
        spikes = (step >= self.spiking_step) & (step < self.spiking_step + self.n_steps)
        voltage += tf.cast(charges, J.dtype) * J * self.weight
        fires = tf.cast(spikes & (voltage >= 1), J.dtype)
        return fires * self.height, voltage - fires, step + 1


class StageGate(StagedNeuron):
    """Neurons that pass their input on in one stage, and are silent in all others.

    Parameters
    ----------
    n_steps, stage, amplitude, initial_state
        As for :class:`StagedNeuron`.
    """

    state = {"step": Choice([0])}
    spiking = False
    negative = True

    def step(self, dt: float, J: np.ndarray, output: np.ndarray, step: np.ndarray) -> None:
        inside = self.first_step <= step[0] < self.first_step + self.n_steps
        output[...] = J if inside else 0
        step += 1


@builds(StageGate)
class StageGateBuilder(StagedBuilder):
    """The same step in TensorFlow."""

    def step(self, J, dt, step):
        inside = (step >= self.first) & (step < self.first + self.n_steps)
        return tf.cast(inside, J.dtype) * J, step + 1


class StagedReadout(StagedNeuron):
    """Neurons of the read-out, which do not spike: the sum of their input so far, divided by ``n_steps``.

    After the last stage this is the output of the ANN, for spikes that count its activations.

    Parameters
    ----------
    n_steps, stage, amplitude, initial_state
        As for :class:`StagedNeuron`; ``stage`` is the first stage with input.
    """

    state = {"voltage": Choice([0]), "step": Choice([0])}
    spiking = False
    negative = True

    def step(self, dt: float, J: np.ndarray, output: np.ndarray, voltage: np.ndarray, step: np.ndarray) -> None:
        if step[0] >= self.first_step:
            voltage += J * (dt / self.amplitude)
        output[...] = voltage / self.n_steps
        step += 1


@builds(StagedReadout)
class StagedReadoutBuilder(StagedBuilder):
    """The same step in TensorFlow."""

    def step(self, J, dt, voltage, step):
        voltage += tf.cast(step >= self.first, J.dtype) * J * self.weight
        return voltage / self.n_steps, voltage, step + 1
