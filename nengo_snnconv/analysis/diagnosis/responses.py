"""Responses: what a layer's neurons emit on average while their input does not change.

The yardstick of a diagnosis: what neurons emit beyond it, or fall short of it, is the work of *when* input came.
"""

import abc
import math

import nengo
import numpy as np

from ...neurons.integrate_and_fire import IntegrateAndFire

# a table of a response is over so many inputs and starts, and takes what is after so many steps as settled
INPUTS, STARTS, SETTLED = 2001, 65, 500
# an input at which every neuron emits all that it can
STRONG = 1e4


def response_of(settings, dt, start, lowest, highest):
    """The response of a layer's neurons.

    Parameters
    ----------
    settings : NativeConfig
    dt : float
        Seconds per step.
    start : ndarray, the layer's shape
        Membrane potential of each neuron at the start; None for types without one.
    lowest, highest : float
        The range of inputs, as activations.
    """
    neuron_type = settings.match.neuron_type
    if isinstance(neuron_type, IntegrateAndFire):
        response = ChargeResponse(neuron_type, dt, start)
    else:
        response = TableResponse(settings, dt, start, lowest, highest)
    if settings.synapse is not None:
        response.rest = "synapse"
    return response


class Response(abc.ABC):
    """What neurons emit, in activations, as a function of an input that does not change.

    Attributes
    ----------
    largest : float
        The most that a neuron can emit in the long run.
    rest : str
        The cause of what no stage explains.
    """

    rest = "unevenness"

    def clipped(self, current):
        """The rectifier, clipped at what neurons can emit."""
        return np.clip(current, 0, self.largest)

    @abc.abstractmethod
    def after(self, current, n_steps, skip_steps=0):
        """Mean output in the steps after ``skip_steps`` up to ``n_steps``, for ``current`` (images, ...)."""

    @abc.abstractmethod
    def stages(self, current, early, n_steps, skip_steps):
        """From the rectifier to what neurons emit, cause by cause: yields (cause, output).

        Parameters
        ----------
        current : ndarray, (images, ...)
            The mean input in the steps after ``skip_steps`` up to ``n_steps``.
        early : ndarray, (images, ...)
            The mean input in the first half of all steps; of no use where some are skipped.
        n_steps, skip_steps : int
        """


class ChargeResponse(Response):
    """Integrate-and-fire neurons that lose no charge, in closed form: floor(v_0 + charge) spikes.

    With reset to zero they are compared with what they would do if they lost none; the difference is the reset's.
    """

    def __init__(self, neuron_type, dt, start):
        self.height = neuron_type.amplitude / dt
        self.most = neuron_type.max_spikes
        self.start = np.asarray(start, np.float32) / neuron_type.threshold
        self.largest = self.most * self.height
        self.rest = "unevenness" if neuron_type.reset == "subtract" else "reset"

    def after(self, current, n_steps, skip_steps=0):
        spikes, _ = self._spikes(self.start, current, n_steps)
        if skip_steps:
            spikes = spikes - self._spikes(self.start, current, skip_steps)[0]
        return spikes * np.float32(self.height / (n_steps - skip_steps))

    def stages(self, current, early, n_steps, skip_steps):
        yield "clipping", self.clipped(current)
        yield "quantisation", self.after(current, n_steps, skip_steps)
        if self.rest == "unevenness" and not skip_steps:
            half = n_steps // 2
            first, potential = self._spikes(self.start, early, half)
            second, _ = self._spikes(potential, (n_steps * current - half * early) / (n_steps - half), n_steps - half)
            yield "transient", (first + second) * np.float32(self.height / n_steps)

    def from_half(self, current, n_steps):
        """Mean output of neurons that start at half their threshold."""
        return self._spikes(np.float32(0.5), current, n_steps)[0] * np.float32(self.height / n_steps)

    def _spikes(self, potential, current, n_steps):
        """Number of spikes in some steps of an input, and the membrane potential that is left."""
        charge = potential + current * np.float32(n_steps / self.height)
        # where whole numbers would give a spike, rounding of the current must not take it away
        most = self.most * n_steps if n_steps else 0
        spikes = np.clip(np.floor(charge + np.float32(1e-5)), 0, most)
        return spikes, charge - spikes


class TableResponse(Response):
    """Neurons of any type, from tables over input and start that nengo's own simulator makes."""

    def __init__(self, settings, dt, start, lowest, highest):
        self.settings, self.dt, self.start = settings, dt, start
        self.inputs = np.linspace(min(lowest, -0.1), max(highest, 1.1), INPUTS)
        self.starts = None if start is None else np.linspace(start.min(), start.max(), STARTS)
        self.long_run = self._simulate(2 * SETTLED, SETTLED, None)
        (most,) = self._simulate(2 * SETTLED, SETTLED, None, inputs=np.array([STRONG]))
        self.largest = most if most < STRONG / 2 else np.inf
        self.tables = {}

    def after(self, current, n_steps, skip_steps=0):
        if (n_steps, skip_steps) not in self.tables:
            self.tables[n_steps, skip_steps] = self._simulate(n_steps, skip_steps, self.starts)
        table, places = self.tables[n_steps, skip_steps], _nearest(current, self.inputs)
        return table[places] if self.start is None else table[_nearest(self.start, self.starts), places]

    def stages(self, current, early, n_steps, skip_steps):
        yield "clipping", self.clipped(current)
        yield "response", self.long_run[_nearest(current, self.inputs)]
        yield "quantisation", self.after(current, n_steps, skip_steps)

    def _simulate(self, n_steps, skip_steps, starts, inputs=None):
        """Mean output for each input, (inputs,), or for each start and input, (starts, inputs)."""
        inputs = self.inputs if inputs is None else inputs
        shape = (len(inputs),) if starts is None else (len(starts), len(inputs))
        changes = {} if starts is None else {"initial_state": {"voltage": np.repeat(starts, len(inputs))}}
        with nengo.Network(seed=0) as network:
            neurons = self.settings.make_neurons(math.prod(shape), "table", **changes)
            nengo.Connection(nengo.Node(np.broadcast_to(inputs, shape).ravel()), neurons, synapse=None)
            probe = nengo.Probe(neurons)
        total = 0.0
        with nengo.Simulator(network, model=nengo.builder.Model(dt=self.dt), progress_bar=False) as simulator:
            for step in range(n_steps):  # without keeping what was emitted in each step
                simulator.step()
                total = total + (simulator.data[probe][-1] if step >= skip_steps else 0)
                simulator.clear_probes()
        return (total / (n_steps - skip_steps)).astype(np.float32).reshape(shape)


def _nearest(values, grid):
    """Where on an even grid values are, the nearest place."""
    spacing = max(grid[-1] - grid[0], 1e-9) / (len(grid) - 1)
    return np.rint(np.clip((values - grid[0]) / spacing, 0, len(grid) - 1)).astype(np.int32)
