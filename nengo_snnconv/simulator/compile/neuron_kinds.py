"""Neuron types of the fast simulator: the operation of each, its constants and its states."""

import dataclasses
import functools
import math

import nengo
import numpy as np
from nengo.ensemble import Neurons

from ...errors import ConversionError
from ...neurons.integrate_and_fire import IntegrateAndFire
from ...neurons.max_gate import MaxGate
from ...neurons.poisson_input import PoissonInput
from ...neurons.quantized_rectifier import QuantizedRectifier
from ...neurons.signed_integrate_and_fire import SignedIntegrateAndFire
from ...neurons.staged_integrate_and_fire import StagedIntegrateAndFire, StagedReadout, StageGate
from ...neurons.surrogate_lif import SurrogateLIF
from ...neurons.time_to_first_spike import ConstantInput, FirstSpikeInput, FirstSpikeReadout, TimeToFirstSpike
from ..program import FOREVER
from .program_writer import ALWAYS


@dataclasses.dataclass(frozen=True)
class NeuronKind:
    """How neurons of a type are simulated.

    Attributes
    ----------
    operation : str
        A key of ``kernels.operations.OPERATIONS``.
    constants : tuple of float
        Constants of the operation; if ``gain``, they follow the height of a spike, the gain and the bias.
    height : float
        Output of a neuron in a step with one spike.
    states : tuple of str
        Nengo's names of the states that the simulator keeps, in order; each has one entry a neuron.
    reads, emits : "dense" or "events"
    gain : bool
        True if the operation applies gain and bias; otherwise an operation before it does.
    input_steps : (int, int)
        Steps in which the input matters.
    active_steps : (int, int)
        Steps in which the operation does anything.
    parameter : int
        See ``program.OPERATION``.
    """

    operation: str
    constants: tuple = ()
    height: float = 1.0
    states: tuple = ()
    reads: str = "dense"
    emits: str = "events"
    gain: bool = False
    input_steps: tuple = ALWAYS
    active_steps: tuple = ALWAYS
    parameter: int = 0

    @property
    def probeable(self):
        """States that probes can read; the states of PoissonInput only say where its random numbers begin."""
        return () if self.operation == "poisson_input" else self.states


SUPPORTED = (
    "IntegrateAndFire, SignedIntegrateAndFire, nengo.LIF, nengo.SpikingRectifiedLinear, SurrogateLIF, "
    "nengo.RectifiedLinear"
)


@functools.singledispatch
def kind_of(neuron_type, dt):
    """Return the NeuronKind of a neuron type, for steps of ``dt`` seconds.

    Raises
    ------
    ConversionError
        If the fast simulator does not support the neuron type.
    """
    raise ConversionError(
        f"the fast simulator does not support {neuron_type}: it simulates {SUPPORTED} and networks of to_ttfs; use "
        "nengo_dl.Simulator or nengo.Simulator, or backend='nengo_dl'"
    )


def _register(neuron_class):
    """Register a function for this class only, because subclasses may compute something else."""

    def register(function):
        @kind_of.register(neuron_class)
        def checked(neuron_type, dt):
            if type(neuron_type) is not neuron_class:
                return kind_of.dispatch(object)(neuron_type, dt)
            return function(neuron_type, dt)

        return checked

    return register


@_register(IntegrateAndFire)
def _(neurons, dt):
    constants = (dt / neurons.tau, neurons.threshold, neurons.residue, neurons.min_potential)
    if neurons.max_spikes == 1:
        operation = "integrate_and_fire"
    else:
        operation, constants = "integrate_and_fire_often", (*constants, neurons.max_spikes)
    return NeuronKind(operation, constants, neurons.amplitude / dt, ("voltage",), gain=True)


@_register(SignedIntegrateAndFire)
def _(neurons, dt):
    constants, states = (dt / neurons.tau, neurons.threshold, neurons.max_spikes), ("voltage", "net_spikes")
    return NeuronKind("signed_integrate_and_fire", constants, neurons.amplitude / dt, states, gain=True)


@_register(nengo.LIF)
def _(neurons, dt):
    growth = -math.expm1(-dt / neurons.tau_rc)
    constants = (dt, growth, neurons.tau_rc, neurons.tau_ref, neurons.min_voltage)
    # the series of the faster loop are accurate for short steps only
    operation = "lif" if dt <= 0.25 * neurons.tau_rc else "coarse_lif"
    states = ("voltage", "refractory_time")
    return NeuronKind(operation, constants, neurons.amplitude / dt, states, gain=True)


@_register(nengo.SpikingRectifiedLinear)
def _(neurons, dt):
    return NeuronKind("spiking_rectify", (dt,), neurons.amplitude / dt, ("voltage",), gain=True)


@_register(SurrogateLIF)
def _(neurons, dt):
    subtracts = float(neurons.reset == "subtract")
    constants = (neurons.decay, neurons.threshold, neurons.reset_potential, neurons.drop, subtracts)
    return NeuronKind("surrogate_lif", constants, neurons.amplitude / dt, ("voltage",), gain=True)


@_register(nengo.RectifiedLinear)
def _(neurons, dt):
    return NeuronKind("rectify", (neurons.amplitude,), emits="dense")


@_register(QuantizedRectifier)
def _(neurons, dt):
    return NeuronKind("quantize", (neurons.amplitude, neurons.levels), emits="dense")


@_register(MaxGate)
def _(neurons, dt):
    if neurons.cumulative:
        return NeuronKind("max_gate", states=("total",), reads="events", parameter=neurons.window)
    return NeuronKind("max_pool", emits="dense", parameter=neurons.window)


@_register(PoissonInput)
def _(neurons, dt):
    constants = (neurons.threshold,)
    return NeuronKind("poisson_input", constants, states=("item", "step"), reads="events", parameter=neurons.seed)


def _stage(neurons, n_stages=1):
    """Return the steps from the beginning of the neurons' stage to the end of this number of stages."""
    return neurons.first_step, neurons.first_step + n_stages * neurons.n_steps


@_register(FirstSpikeInput)
def _(neurons, dt):
    height = neurons.x_max * (neurons.amplitude / dt)
    constants = (neurons.n_steps / neurons.x_max, neurons.lowest, height)
    stage = _stage(neurons)
    return NeuronKind(
        "ttfs_input", constants, reads="events", input_steps=stage, active_steps=stage, parameter=neurons.n_steps
    )


@_register(ConstantInput)
def _(neurons, dt):
    first = neurons.first_step, neurons.first_step + 1
    constants = (neurons.amplitude / dt,)
    return NeuronKind("ttfs_current", constants, reads="events", input_steps=first, active_steps=first)


@_register(TimeToFirstSpike)
def _(neurons, dt):
    height = neurons.amplitude / dt
    constants = (neurons.n_steps, 1 / height, neurons.threshold, neurons.offset, neurons.firing_potential, height)
    states = ("current", "voltage", "spiked")
    return NeuronKind(
        "ttfs_neurons", constants, states=states, input_steps=_stage(neurons), active_steps=_stage(neurons, 2)
    )


@_register(FirstSpikeReadout)
def _(neurons, dt):
    constants, stage = (neurons.n_steps, dt / neurons.amplitude), _stage(neurons)
    states = ("current", "voltage")
    return NeuronKind("ttfs_readout", constants, states=states, emits="dense", input_steps=stage, active_steps=stage)


@_register(StageGate)
def _(neurons, dt):
    stage = _stage(neurons)
    return NeuronKind("stage_gate", reads="events", input_steps=stage, active_steps=stage)


@_register(StagedIntegrateAndFire)
def _(neurons, dt):
    height = neurons.amplitude / dt
    return NeuronKind(
        "staged_integrate_and_fire",
        (1 / height, height),
        states=("voltage",),
        input_steps=(neurons.first_step, neurons.spiking_step),
        active_steps=(neurons.first_step, neurons.spiking_step + neurons.n_steps),
        parameter=neurons.spiking_step,
    )


@_register(StagedReadout)
def _(neurons, dt):
    constants, steps = (neurons.n_steps, dt / neurons.amplitude), (neurons.first_step, FOREVER)
    return NeuronKind(
        "staged_readout", constants, states=("voltage",), emits="dense", input_steps=steps, active_steps=steps
    )


def is_signed(obj):
    """Return True for neurons that can emit negative spikes."""
    return isinstance(obj, Neurons) and obj.ensemble.neuron_type.negative


def initial_states(ensemble, seed, kind):
    """Return the initial states of neurons, (len(kind.states), neurons), which are those of Nengo's simulators."""
    rng = np.random.RandomState(seed + 1)
    states = ensemble.neuron_type.make_state(ensemble.n_neurons, rng=rng, dtype=np.float32)
    return np.array([np.broadcast_to(states[name], (ensemble.n_neurons,)) for name in kind.states], np.float32)
