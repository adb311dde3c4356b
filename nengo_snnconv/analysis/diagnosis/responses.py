"""Responses: mean output of a layer's neurons for constant input.

A diagnosis measures neurons against their response; the remaining difference is due to the timing of their input.
"""

from __future__ import annotations

import abc
import math
import typing
from collections.abc import Iterator

import nengo
import numpy as np

from ...networks.nengo_objects import direct_neurons
from ...neurons.arguments import replaced
from ...neurons.firing_rates import rate_function
from ...neurons.integrate_and_fire import IntegrateAndFire

if typing.TYPE_CHECKING:
    from ...model.graph import Model

# tables of responses: numbers of inputs and initial potentials, and number of steps until the response is constant
N_INPUTS, N_POTENTIALS, SETTLING_STEPS = 2001, 65, 500
# input for which every neuron emits its largest output
SATURATING_INPUT = 1e4
# number of currents from which the inputs of a table are chosen
CURRENTS = 100_000


def response_of_trained(
    settings: typing.Any,
    model: Model,
    name: str,
    dt: float,
    initial_potential: np.ndarray | None,
    current: np.ndarray,
) -> Response:
    """Return the response of the neurons of a layer whose firing rates are the activations of the ANN.

    Parameters
    ----------
    settings : TrainableConfig
        Settings of the layer.
    model : Model
    name : str
    dt : float
        Seconds per step.
    initial_potential : ndarray, of the layer's shape, or None
    current : ndarray, (images, ...)
        Typical inputs of the neurons, before gain and bias.
    """
    gain, bias = (values.reshape(model.shapes[name]) for values in settings.gain_bias(model, name))
    return TrainedResponse(settings, gain, bias, dt, initial_potential, current)


def response_of(
    settings: typing.Any, dt: float, initial_potential: np.ndarray | None, lowest: float, highest: float
) -> Response:
    """Return the response of the neurons of a layer.

    Parameters
    ----------
    settings : NativeConfig
    dt : float
        Seconds per step.
    initial_potential : ndarray, of the layer's shape, or None
        Initial membrane potential of each neuron; None for neuron types without one.
    lowest, highest : float
        Range of inputs, in units of activations.
    """
    neuron_type = settings.match.neuron_type
    if isinstance(neuron_type, IntegrateAndFire):
        return ChargeResponse(neuron_type, dt, initial_potential)
    return TableResponse(settings, dt, initial_potential, lowest, highest)


class Response(abc.ABC):
    """Mean output of neurons, in units of activations, as a function of a constant input.

    Attributes
    ----------
    largest : float
        Largest mean output.
    remaining_cause : str
        Cause of the difference that no stage explains.
    """

    largest: float
    remaining_cause = "unevenness"

    def clipped(self, current: np.ndarray) -> np.ndarray:
        """Return the output of the rectifier, clipped at the largest output."""
        return np.clip(current, 0, self.largest)

    @abc.abstractmethod
    def mean_output(self, current: np.ndarray, n_steps: int, skip_steps: int = 0) -> np.ndarray:
        """Return the mean output in the steps from ``skip_steps`` to ``n_steps``, for ``current`` (images, ...)."""

    @abc.abstractmethod
    def stages(
        self, current: np.ndarray, early: np.ndarray, n_steps: int, skip_steps: int
    ) -> Iterator[tuple[str, np.ndarray]]:
        """Yield (cause, output), from the output of the rectifier to that of the neurons, with one more cause each.

        Parameters
        ----------
        current : ndarray, (images, ...)
            Mean input in the steps from ``skip_steps`` to ``n_steps``.
        early : ndarray, (images, ...)
            Mean input in the first half of all steps; ignored if steps are skipped.
        n_steps, skip_steps : int
        """


class ChargeResponse(Response):
    """Integrate-and-fire neurons without loss of charge, in closed form: floor(v_0 + charge) spikes.

    Neurons with reset to zero are compared with the same formula; the difference is the effect of the reset.  Neurons
    with negative spikes take back what they emitted before their input changed, so they have no stage for transients.
    """

    def __init__(self, neuron_type: IntegrateAndFire, dt: float, initial_potential: typing.Any):
        self.height = neuron_type.amplitude / dt
        self.max_spikes = neuron_type.max_spikes
        self.initial_potential = np.asarray(initial_potential, np.float32) / neuron_type.threshold
        self.largest = self.max_spikes * self.height
        self.remaining_cause = "unevenness" if neuron_type.reset == "subtract" else "reset"
        self.signed = neuron_type.negative

    def mean_output(self, current, n_steps, skip_steps=0):
        spikes, _ = self._spikes(self.initial_potential, current, n_steps)
        if skip_steps:
            spikes = spikes - self._spikes(self.initial_potential, current, skip_steps)[0]
        return spikes * np.float32(self.height / (n_steps - skip_steps))

    def stages(self, current, early, n_steps, skip_steps):
        yield "clipping", self.clipped(current)
        yield "quantisation", self.mean_output(current, n_steps, skip_steps)
        if self.remaining_cause == "unevenness" and not skip_steps and not self.signed:
            half = n_steps // 2
            first, potential = self._spikes(self.initial_potential, early, half)
            late = (n_steps * current - half * early) / (n_steps - half)
            second, _ = self._spikes(potential, late, n_steps - half)
            yield "transient", (first + second) * np.float32(self.height / n_steps)

    def mean_output_from_half(self, current: np.ndarray, n_steps: int) -> np.ndarray:
        """Return the mean output for an initial potential of half the threshold."""
        return self._spikes(np.float32(0.5), current, n_steps)[0] * np.float32(self.height / n_steps)

    def _spikes(self, potential, current, n_steps):
        """Return the number of spikes for a constant input, and the final membrane potential."""
        charge = potential + current * np.float32(n_steps / self.height)
        max_spikes = self.max_spikes * n_steps if n_steps else 0
        # the small number keeps spikes that a rounding error of the current would remove
        spikes = np.clip(np.floor(charge + np.float32(1e-5)), 0, max_spikes)
        return spikes, charge - spikes


class TableResponse(Response):
    """Neurons of any type, from tables over input and initial potential that Nengo's own simulator computes."""

    def __init__(
        self,
        settings: typing.Any,
        dt: float,
        initial_potential: np.ndarray | None,
        lowest: float,
        highest: float,
    ):
        self.settings, self.dt, self.initial_potential = settings, dt, initial_potential
        self.inputs = np.linspace(min(lowest, -0.1), max(highest, 1.1), N_INPUTS)
        self.potentials = None
        if initial_potential is not None:
            self.potentials = np.linspace(initial_potential.min(), initial_potential.max(), N_POTENTIALS)
        settled = {"n_steps": 2 * SETTLING_STEPS, "skip_steps": SETTLING_STEPS, "potentials": None}
        self.long_run = self._simulate(self.inputs, **settled)
        (saturated,) = self._simulate(np.array([SATURATING_INPUT]), **settled)
        self.largest = saturated if saturated < SATURATING_INPUT / 2 else np.inf
        self.tables: dict[tuple[int, int], np.ndarray] = {}

    def mean_output(self, current, n_steps, skip_steps=0):
        if (n_steps, skip_steps) not in self.tables:
            self.tables[n_steps, skip_steps] = self._simulate(self.inputs, n_steps, skip_steps, self.potentials)
        table, indices = self.tables[n_steps, skip_steps], _nearest(current, self.inputs)
        if self.potentials is None:
            return table[indices]
        return table[_nearest(self.initial_potential, self.potentials), indices]

    def stages(self, current, early, n_steps, skip_steps):
        yield "clipping", self.clipped(current)
        yield "response", self.long_run[_nearest(current, self.inputs)]
        yield "quantisation", self.mean_output(current, n_steps, skip_steps)

    def _simulate(self, inputs, n_steps, skip_steps, potentials):
        return _mean_outputs(self.settings.make_neurons, inputs, self.dt, n_steps, skip_steps, potentials)


class TrainedResponse(Response):
    """Neurons whose firing rates are the activations of the ANN, from tables over their input current.

    Parameters
    ----------
    settings : TrainableConfig
    gain, bias : ndarray of the layer's shape
    dt, initial_potential, current
        As for :func:`response_of_trained`.
    """

    largest = np.inf

    def __init__(self, settings, gain, bias, dt, initial_potential, current):
        self.neuron_type, self.smoothed = settings.neuron_type, settings.lif_smoothing is not None
        self.gain, self.bias, self.dt = gain, bias, dt
        self.initial_potential = initial_potential
        if initial_potential is not None:
            self.potentials = np.linspace(initial_potential.min(), initial_potential.max(), N_POTENTIALS)
            self.inputs = self._inputs(current)
        self.tables: dict[tuple[int, int], np.ndarray] = {}

    def _inputs(self, current):
        """Return the currents of the table: dense where there are many, most of all among neurons that spike."""
        drive = self._drive(current).ravel()
        some = np.random.default_rng(0).choice(drive, min(len(drive), CURRENTS))
        lowest, highest = drive.min(), drive.max()
        even = np.linspace(lowest, highest + 0.5 * abs(highest), N_INPUTS // 4)
        emitting = some[self._rates(some) != 0]
        parts = [np.quantile(each, np.linspace(0, 1, N_INPUTS // 2)) for each in (some, emitting) if len(each)]
        return np.unique(np.concatenate([even, *parts]))

    def _drive(self, current):
        return self.gain * current + self.bias

    def _rates(self, drive):
        return rate_function(self.neuron_type)(drive.astype(np.float32)).numpy()

    def mean_output(self, current, n_steps, skip_steps=0):
        if (n_steps, skip_steps) not in self.tables:
            with np.errstate(divide="ignore"):  # Nengo looks for the intercepts of these gains and biases
                self.tables[n_steps, skip_steps] = _mean_outputs(
                    self._make_neurons, self.inputs, self.dt, n_steps, skip_steps, self.potentials
                )
        indices = np.searchsorted((self.inputs[1:] + self.inputs[:-1]) / 2, self._drive(current))
        return self.tables[n_steps, skip_steps][_nearest(self.initial_potential, self.potentials), indices]

    def stages(self, current, early, n_steps, skip_steps):
        if self.smoothed:
            yield "response", self._rates(self._drive(current))
        if self.initial_potential is not None:  # the spikes of other neurons are random
            yield "quantisation", self.mean_output(current, n_steps, skip_steps)

    def _make_neurons(self, size, label, **changes):
        ones = np.ones(size, np.float32)
        return direct_neurons(replaced(self.neuron_type, **changes), size, label, gain=ones, bias=0 * ones)


def _mean_outputs(make_neurons, inputs, dt, n_steps, skip_steps, potentials):
    """Return mean outputs of neurons for constant inputs, (inputs,), or (potentials, inputs) if these are given.

    ``make_neurons(size, label, **changes)`` makes the neurons, with ``initial_state`` among the changes.
    """
    shape = (len(inputs),) if potentials is None else (len(potentials), len(inputs))
    changes = {} if potentials is None else {"initial_state": {"voltage": np.repeat(potentials, len(inputs))}}
    with nengo.Network(seed=0) as network:
        neurons = make_neurons(math.prod(shape), "table", **changes)
        nengo.Connection(nengo.Node(np.broadcast_to(inputs, shape).ravel()), neurons, synapse=None)
        probe = nengo.Probe(neurons)
    total = 0.0
    with nengo.Simulator(network, model=nengo.builder.Model(dt=dt), progress_bar=False) as simulator:
        for step in range(n_steps):  # step by step, to keep no history
            simulator.step()
            total = total + (simulator.data[probe][-1] if step >= skip_steps else 0)
            simulator.clear_probes()
    return (total / (n_steps - skip_steps)).astype(np.float32).reshape(shape)


def _nearest(values, grid):
    """Return the indices of the nearest points of an evenly spaced grid."""
    spacing = max(grid[-1] - grid[0], 1e-9) / (len(grid) - 1)
    return np.rint(np.clip((values - grid[0]) / spacing, 0, len(grid) - 1)).astype(np.int32)
