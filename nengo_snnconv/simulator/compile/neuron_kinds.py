"""What the fast simulator knows of each neuron type: its operation, the numbers that it takes, and its states."""

import dataclasses
import functools
import math

import nengo
import numpy as np

from ...errors import ConversionError
from ...neurons.integrate_and_fire import IntegrateAndFire
from ...neurons.max_gate import MaxGate
from ...neurons.poisson_input import PoissonInput
from ...neurons.surrogate_lif import SurrogateLIF
from ...neurons.time_to_first_spike import FirstSpikeInput, FirstSpikeReadout, TimeToFirstSpike
from . import program


@dataclasses.dataclass(frozen=True)
class Kind:
    """How neurons of a type are simulated.

    Attributes
    ----------
    code : int
        Of the operation.
    constants : tuple of float
        What it takes, after the height of a spike, gain and bias where it takes ``gain``.
    height : float
    states : tuple of str
        Its states in Nengo that the simulator keeps, in order; of a length of the neurons each.
    reads, emits : "dense" or "events"
    gain : bool
        Whether it applies gain and bias; else they must be 1 and 0.
    window : (int, int)
        The steps in which its input matters.
    busy : (int, int)
        The steps in which it does anything.
    number : int
        Another number that the operation takes.
    hidden : int
        States that Nengo does not have.
    """

    code: int
    constants: tuple = ()
    height: float = 1.0
    states: tuple = ()
    reads: str = "dense"
    emits: str = "events"
    gain: bool = False
    window: tuple = (0, program.FOREVER)
    busy: tuple = (0, program.FOREVER)
    number: int = 0
    hidden: int = 0

    @property
    def probeable(self):
        """The states that probes can see: not those that only say where random numbers begin."""
        return () if self.code == program.POISSON else self.states


SUPPORTED = "IntegrateAndFire, nengo.LIF, nengo.SpikingRectifiedLinear, SurrogateLIF, nengo.RectifiedLinear"


@functools.singledispatch
def kind_of(neuron_type, dt):
    """The Kind of a neuron type, for steps of ``dt`` seconds.

    Raises
    ------
    ConversionError
        If the fast simulator does not know it.
    """
    raise ConversionError(
        f"the fast simulator does not know {neuron_type}: it simulates {SUPPORTED} and what to_ttfs makes; use "
        "nengo_dl.Simulator or nengo.Simulator, or backend='nengo_dl'"
    )


def exactly(neuron_class):
    """A decorator: registers for this class, not for those that inherit from it and do something else."""

    def register(function):
        @kind_of.register(neuron_class)
        def checked(neuron_type, dt):
            if type(neuron_type) is not neuron_class:
                return kind_of.dispatch(object)(neuron_type, dt)
            return function(neuron_type, dt)

        return checked

    return register


@exactly(IntegrateAndFire)
def _(neurons, dt):
    constants = (dt / neurons.tau, neurons.threshold, neurons.residue, neurons.min_potential)
    if neurons.max_spikes == 1:
        code = program.INTEGRATE
    else:
        code, constants = program.INTEGRATE_OFTEN, (*constants, neurons.max_spikes)
    return Kind(code, constants, neurons.amplitude / dt, ("voltage",), gain=True)


@exactly(nengo.LIF)
def _(neurons, dt):
    growth = -math.expm1(-dt / neurons.tau_rc)
    constants = (dt, growth, neurons.tau_rc, neurons.tau_ref, neurons.min_voltage)
    fine = int(dt <= 0.25 * neurons.tau_rc)  # so that the series of neuron_loops will do
    states = ("voltage", "refractory_time")
    return Kind(program.LIF, constants, neurons.amplitude / dt, states, gain=True, number=fine)


@exactly(nengo.SpikingRectifiedLinear)
def _(neurons, dt):
    return Kind(program.SPIKING_RECTIFY, (dt,), neurons.amplitude / dt, ("voltage",), gain=True)


@exactly(SurrogateLIF)
def _(neurons, dt):
    subtracts = float(neurons.reset == "subtract")
    constants = (neurons.decay, neurons.threshold, neurons.reset_potential, neurons.drop, subtracts)
    return Kind(program.SURROGATE, constants, neurons.amplitude / dt, ("voltage",), gain=True)


@exactly(nengo.RectifiedLinear)
def _(neurons, dt):
    return Kind(program.RECTIFY, (neurons.amplitude,), emits="dense")


@exactly(MaxGate)
def _(neurons, dt):
    if neurons.cumulative:
        return Kind(program.GATE, states=("total",), reads="events", number=neurons.window, hidden=1)
    return Kind(program.MAXIMA, emits="dense", number=neurons.window)


@exactly(PoissonInput)
def _(neurons, dt):
    constants = (neurons.threshold,)
    return Kind(program.POISSON, constants, states=("item", "step"), reads="events", number=neurons.seed)


def _stage(neurons, lasts=1):
    """The steps from the beginning of its stage, for so many stages."""
    return neurons.first_step, neurons.first_step + lasts * neurons.n_steps


@exactly(FirstSpikeInput)
def _(neurons, dt):
    height = neurons.x_max * (neurons.amplitude / dt)
    constants = (neurons.n_steps / neurons.x_max, neurons.lowest, height)
    stage = _stage(neurons)
    return Kind(program.FIRST_INPUT, constants, reads="events", window=stage, busy=stage, number=neurons.n_steps)


@exactly(TimeToFirstSpike)
def _(neurons, dt):
    height = neurons.amplitude / dt
    numbers = (neurons.n_steps, 1 / height, neurons.threshold, neurons.offset, neurons.firing_potential, height)
    states, window = ("current", "voltage", "spiked"), _stage(neurons)
    return Kind(program.FIRST_SPIKE, numbers, states=states, window=window, busy=_stage(neurons, 2))


@exactly(FirstSpikeReadout)
def _(neurons, dt):
    numbers, window = (neurons.n_steps, dt / neurons.amplitude), _stage(neurons)
    states = ("current", "voltage")
    return Kind(program.FIRST_READOUT, numbers, states=states, emits="dense", window=window, busy=window)


def initial_states(ensemble, seed, kind):
    """The states at the start, (len(kind.states), neurons), as every simulator has them."""
    rng = np.random.RandomState(seed + 1)
    states = ensemble.neuron_type.make_state(ensemble.n_neurons, rng=rng, dtype=np.float32)
    return np.array([np.broadcast_to(states[name], (ensemble.n_neurons,)) for name in kind.states], np.float32)
