"""RestartingNetwork: a network whose state is reset by a signal, in nengo's reference simulator."""

import nengo
import numpy as np
from nengo.builder import Builder
from nengo.builder.network import build_network
from nengo.builder.neurons import SimNeurons
from nengo.builder.operator import Operator
from nengo.builder.processes import SimProcess


class RestartingNetwork(nengo.Network):
    """A network whose state is reset in each step in which the output of ``trigger`` changes.

    Membrane potentials, sums over time and filters then have the values of the start of the simulation, so the
    following steps do not depend on earlier ones.  ``nengo.Simulator`` supports this; other simulators do not reset.

    Parameters
    ----------
    trigger : nengo.Node
        Node of size 1, outside of this network and independent of it.
    label : str, optional
    """

    def __init__(self, trigger, label=None):
        super().__init__(label=label)
        self.trigger = trigger


class Average(nengo.Process):
    """Mean of the input from the first step to the present one.

    Parameters
    ----------
    size : int
    """

    def __init__(self, size):
        super().__init__(default_size_in=size, default_size_out=size)

    def make_state(self, shape_in, shape_out, dt, dtype=None):
        """Return the sum of the input and the number of steps."""
        return {"total": np.zeros(shape_in, dtype), "n_steps": np.zeros(1, dtype)}

    def make_step(self, shape_in, shape_out, dt, rng, state):
        """Return the function that computes a step."""
        total, n_steps = state["total"], state["n_steps"]

        def step(t, x):
            total[...] += x
            n_steps[...] += 1
            return total / n_steps

        return step


class RestartingNeurons(SimNeurons):
    """SimNeurons whose state and output are reset whenever the signal ``trigger`` changes."""

    def __init__(self, neurons, trigger):
        state = {**neurons.state, **neurons.state_extra}
        super().__init__(neurons.neurons, neurons.J, neurons.output, state, neurons.tag)
        self.reads.append(trigger)

    def make_step(self, signals, dt, rng):
        """Return the function that computes a step."""
        step = super().make_step(signals, dt, rng)
        reset = _make_reset(signals, self.reads[1], self.sets)

        def restarting_step():
            reset()
            step()

        return restarting_step


class ResetSignals(Operator):
    """Resets signals that another operator updates, whenever the signal ``trigger`` changes.

    Nengo runs it before all operators that read the signals; the operator that updates them runs too late for that.
    """

    def __init__(self, signals, trigger):
        super().__init__()
        self.sets, self.incs, self.reads, self.updates = list(signals), [], [trigger], []

    def make_step(self, signals, dt, rng):
        """Return the function that computes a step."""
        return _make_reset(signals, self.reads[0], self.sets)


def _make_reset(signals, trigger, state):
    """Return a function that resets the signals ``state`` to their present values whenever ``trigger`` has changed."""
    trigger = signals[trigger]
    initial = [(signals[signal], signals[signal].copy()) for signal in state]
    previous = None

    def reset():
        nonlocal previous
        if previous != (previous := trigger.item()):
            for values, initial_values in initial:
                values[...] = initial_values

    return reset


@Builder.register(RestartingNetwork)
def _build(model, network, progress=None):
    """Build the network, and make the operators that it adds reset their state."""
    n_operators = len(model.operators)
    build_network(model, network)
    trigger = model.sig[network.trigger]["out"]
    for i, operator in enumerate(model.operators[n_operators:], n_operators):
        if isinstance(operator, SimNeurons):
            model.operators[i] = RestartingNeurons(operator, trigger)
        elif isinstance(operator, SimProcess):
            model.add_op(ResetSignals(operator.updates, trigger))
