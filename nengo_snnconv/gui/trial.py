"""Trial: a part of a Nengo network that begins anew on a signal, in nengo's reference simulator."""

import nengo
import numpy as np
from nengo.builder import Builder
from nengo.builder.network import build_network
from nengo.builder.neurons import SimNeurons
from nengo.builder.operator import Operator
from nengo.builder.processes import SimProcess


class Trial(nengo.Network):
    """A network whose state begins anew in each step in which ``number`` has another value than before.

    Potentials of neurons, sums over time and filters are then what they were when the simulation began, so that what
    follows depends on nothing that was before.  Only ``nengo.Simulator`` does so.

    Parameters
    ----------
    number : nengo.Node
        Of size 1.  It is not in this network, nor does it depend on anything in it.
    """

    def __init__(self, number, label=None):
        super().__init__(label=label)
        self.number = number


class Average(nengo.Process):
    """The mean of the input from the first step to the present one."""

    def __init__(self, size):
        super().__init__(default_size_in=size, default_size_out=size)

    def make_state(self, shape_in, shape_out, dt, dtype=None):
        return {"total": np.zeros(shape_in, dtype), "n_steps": np.zeros(1, dtype)}

    def make_step(self, shape_in, shape_out, dt, rng, state):
        total, n_steps = state["total"], state["n_steps"]

        def step(t, x):
            total[...] += x
            n_steps[...] += 1
            return total / n_steps

        return step


class RestartingNeurons(SimNeurons):
    """SimNeurons whose state and output are what they were at the beginning whenever ``number`` has changed."""

    def __init__(self, neurons, number):
        state = {**neurons.state, **neurons.state_extra}
        super().__init__(neurons.neurons, neurons.J, neurons.output, state, neurons.tag)
        self.reads.append(number)

    def make_step(self, signals, dt, rng):
        step = super().make_step(signals, dt, rng)
        restore = _restorer(signals, self.reads[1], self.sets)

        def restarting_step():
            restore()
            step()

        return restarting_step


class Restore(Operator):
    """Sets signals that another operator updates to what they were at the beginning whenever ``number`` has changed.

    Nengo does so before anything reads them, which an operator that updates them is too late for.
    """

    def __init__(self, signals, number):
        super().__init__()
        self.sets, self.incs, self.reads, self.updates = list(signals), [], [number], []

    def make_step(self, signals, dt, rng):
        return _restorer(signals, self.reads[0], self.sets)


def _restorer(signals, number, state):
    """A function that gives the signals ``state`` their present values again whenever ``number`` has changed."""
    number = signals[number]
    initial = [(signals[signal], signals[signal].copy()) for signal in state]
    before = None

    def restore():
        nonlocal before
        if before != (before := number.item()):
            for values, first in initial:
                values[...] = first

    return restore


@Builder.register(Trial)
def _build(model, network, progress=None):
    first = len(model.operators)
    build_network(model, network)
    number = model.sig[network.number]["out"]
    for i, each in enumerate(model.operators[first:], first):
        if isinstance(each, SimNeurons):
            model.operators[i] = RestartingNeurons(each, number)
        elif isinstance(each, SimProcess):
            model.add_op(Restore(each.updates, number))
