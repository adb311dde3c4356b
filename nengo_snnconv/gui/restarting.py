"""RestartingNetwork: a network whose state is reset by a signal, in nengo's reference simulator."""

import nengo
import numpy as np
from nengo.builder import Builder
from nengo.builder.network import build_network
from nengo.builder.operator import Operator
from nengo.builder.signal import Signal

from ..networks.resetting import add_resets


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


class Change(Operator):
    """Sets the signal ``changed`` to 1 in each step in which the signal ``trigger`` changes, and to 0 in all others."""

    def __init__(self, trigger, changed):
        super().__init__()
        self.sets, self.incs, self.reads, self.updates = [changed], [], [trigger], []

    def make_step(self, signals, dt, rng):
        """Return the function that computes a step."""
        changed, trigger, previous = signals[self.sets[0]], signals[self.reads[0]], None

        def step():
            nonlocal previous
            changed[...] = previous != (previous := trigger.item())

        return step


@Builder.register(RestartingNetwork)
def _build(model, network, progress=None):
    """Build the network, and make the operators that it adds reset their state."""
    n_operators = len(model.operators)
    build_network(model, network)
    changed = Signal(shape=1, name="changed")
    add_resets(model, n_operators, changed)
    model.add_op(Change(model.sig[network.trigger]["out"], changed))
