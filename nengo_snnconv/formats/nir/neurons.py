"""Neurons, filters and delays of NIR in discrete time: the forward Euler step of their equations.

Filters are not read as simulators' own decays, such as exp(-dt / tau), but as NIR's equations say.
"""

from __future__ import annotations

import dataclasses
import math
import typing

import numpy as np

from ...model.filters import MOST_DELAY
from .refused import UnsupportedNode, shown_values


@dataclasses.dataclass(frozen=True)
class Neurons:
    """Neurons of a layer in discrete time.

    In a step with the current X, the potential v and S = 1 for a spike,

        I <- keep I + (1 - keep) X,
        v <- v + leak (I - (v - rest)), or v + I if leak is None,
        S = 1 if v >= threshold else 0,
        v <- rest if S and reset == "value", v - (threshold - rest) if S and reset == "subtract".

    The initial potential is ``rest``.

    Attributes
    ----------
    leak : float or None
        dt / tau; None for neurons without leak, whose potential grows by the current itself.
    threshold : float
    reset : "value" or "subtract"
    rest : float
        Resting potential and reset potential.
    keep : float
        1 - dt / tau_syn of a current that is filtered; 0 if it is not.
    """

    leak: float | None
    threshold: float
    reset: str
    rest: float = 0.0
    keep: float = 0.0

    @property
    def tau_steps(self) -> float | None:
        """Membrane time constant in steps; None without leak."""
        return None if self.leak is None else 1 / self.leak


class NeuronNode(typing.NamedTuple):
    """A node of neurons: neurons whose current is ``gain`` times the input of the node plus ``bias``.

    Attributes
    ----------
    neurons : Neurons
    gain, bias : ndarray
        Of shape () or in the shape of the node in NIR.
    """

    neurons: Neurons
    gain: np.ndarray
    bias: np.ndarray


def just_below(threshold: float) -> np.float32:
    """Return the float32 below a threshold, for NIR, whose neurons spike above their thresholds, not at them."""
    return np.nextafter(np.float32(threshold), np.float32(-np.inf))


def just_above(threshold: np.ndarray) -> np.ndarray:
    """Return the float32 above each threshold of NIR: the lowest potential with which its neurons spike."""
    return np.nextafter(np.asarray(threshold, np.float32), np.float32(np.inf)).astype(np.float64)


def node_of(neurons: Neurons, shape: tuple[int, ...], dt: float) -> dict[str, typing.Any]:
    """Return the NIR node of neurons, in the ``shape`` of NIR: IF, LIF or CubaLIF."""

    def filled(value):
        return np.full(shape, value, np.float32)

    threshold, rest, reset = neurons.threshold, neurons.rest, {"v_reset": filled(neurons.rest)}
    if neurons.reset == "subtract":  # neurons of NIR that subtract do so by the whole threshold: measure it from rest
        threshold, rest, reset = threshold - rest, 0.0, {}
    common = {"v_threshold": filled(just_below(threshold)), **reset, "metadata": {"reset": neurons.reset}}
    if neurons.leak is None:
        return {"type": "IF", "r": filled(1 / dt), **common}
    leaky = {"r": filled(1), "v_leak": filled(rest), **common}
    if not neurons.keep:
        return {"type": "LIF", "tau": filled(dt / neurons.leak), **leaky}
    tau_syn = filled(dt / (1 - neurons.keep))
    return {"type": "CubaLIF", "tau_mem": filled(dt / neurons.leak), "tau_syn": tau_syn, "w_in": filled(1), **leaky}


def read_neurons(node, dt):
    """Return the ``NeuronNode`` of an IF, LIF, CubaLIF or Threshold node, for steps of ``dt`` seconds."""
    kind = node.kind
    threshold = node.numbers("threshold" if kind == "Threshold" else "v_threshold")
    if kind == "Threshold":  # without memory: a membrane of one step, reset to zero
        at = _shortest(node.same("threshold", just_above(threshold)))
        return NeuronNode(Neurons(1.0, at, "value"), np.ones(()), np.zeros(()))
    r = node.numbers("r")
    # versions of NIR that had no v_reset subtracted the threshold
    subtracts = node.metadata.get("reset") == "subtract" or "v_reset" not in node.fields
    rest = np.zeros(()) if subtracts else node.numbers("v_reset")
    v_leak = rest if kind == "IF" else node.numbers("v_leak")
    above = just_above(threshold)
    if not (above > rest).all():
        raise UnsupportedNode("has a threshold that is not above its reset potential, so it would spike without end")
    gain, bias, leak, keep = _dynamics(node, r, v_leak - rest, dt)
    if kind == "IF":  # what happens depends on differences of potentials only
        above, rest = just_above(threshold - rest), np.zeros(())
    # where thresholds or resting potentials differ, potentials are measured in units of those of the first neuron
    first, lowest = np.ravel(above)[0], np.ravel(rest)[0]
    factor = (first - lowest) / (above - rest)
    reset = "subtract" if subtracts else "value"
    neurons = Neurons(leak, _shortest(first), reset, _shortest(lowest), keep)
    return NeuronNode(neurons, _short(gain * factor), _short(bias * factor))


def read_leaky_integrator(node, dt):
    """Return (gain, shares that its filters keep in a step, resting potential) of an LI or CubaLI node.

    Its potential is the filtered input times the gain, plus the resting potential, from which it starts.
    """
    taus = {"LI": ("tau",), "CubaLI": ("tau_syn", "tau_mem")}[node.kind]
    gain = node.numbers("r") * (node.numbers("w_in") if node.kind == "CubaLI" and "w_in" in node.fields else 1.0)
    keeps = tuple(1 - _share(node, tau, node.same(tau), dt) for tau in taus)
    return _short(gain), tuple(keep for keep in keeps if keep), _short(node.numbers("v_leak"))


def read_delay_steps(node, dt):
    """Return the delay of a Delay node in whole steps."""
    delay = node.same("delay")
    steps = _rounded(delay / dt)
    if steps != int(steps):
        raise UnsupportedNode(
            f"has a delay of {delay:g} s, which is not a whole number of steps of {dt:g} s: give the dt of the "
            "simulator that wrote the graph, or round the delay"
        )
    if not 0 <= steps <= MOST_DELAY:
        raise UnsupportedNode(
            f"has a delay of {steps:g} steps; it must be from 0 to {MOST_DELAY}: train with shorter delays, or give a "
            "larger dt"
        )
    return int(steps)


def filter_nodes(layer, shape, dt):
    """Return the NIR nodes of a Filter, in the ``shape`` of NIR: Delay, then LI or CubaLI, each if it is needed."""

    def filled(value):
        return np.full(shape, value, np.float32)

    nodes = [{"type": "Delay", "delay": filled(layer.delay * dt)}] if layer.delay else []
    taus = [filled(dt / (1 - keep)) for keep in layer.keeps]
    common = {"r": filled(1), "v_leak": filled(0)}
    if len(taus) == 1:
        nodes.append({"type": "LI", "tau": taus[0], **common})
    elif taus:
        nodes.append({"type": "CubaLI", "tau_syn": taus[0], "tau_mem": taus[1], "w_in": filled(1), **common})
    return nodes


def _dynamics(node, r, above_rest, dt):
    """Return (gain, bias, leak, keep); ``above_rest`` is v_leak - v_reset."""
    if node.kind == "IF":
        return dt * r, np.zeros(()), None, 0.0
    tau = node.same("tau_mem" if node.kind == "CubaLIF" else "tau")
    leak = _share(node, "tau", tau, dt)
    if node.kind == "LIF":
        return r, above_rest, leak, 0.0
    if np.any(above_rest):
        raise UnsupportedNode(
            "has a filtered current and a leak potential that is not its reset potential: make v_leak and v_reset equal"
        )
    return r * node.numbers("w_in"), above_rest, leak, 1 - _share(node, "tau_syn", node.same("tau_syn"), dt)


def _share(node, name, tau, dt):
    """Return dt / tau, the share of the distance to its target by which a value changes in a step."""
    steps = _rounded(tau / dt)
    if not 1 <= steps < math.inf:
        raise UnsupportedNode(
            f"has {name} = {tau:g} s, less than a step of {dt:g} s: give the dt of the simulator that wrote the graph"
        )
    return 1 / steps


def _shortest(value):
    """Return the number with the fewest digits that is the same float32: 0.4, not 0.4000000059604645."""
    return float(str(np.float32(value)))


def _rounded(value):
    """Return a number rounded to the digits of float32, in which most tools write time constants: 3.0000001 is 3."""
    return float(f"{value:.7g}")


def _short(values):
    """Return an array with a single number if all are equal, rounded if they differ from 1 by rounding only."""
    values = np.asarray(values, np.float64)
    if values.size and (values == values.flat[0]).all():
        values = np.asarray(values.flat[0])
    return np.where(np.abs(values - 1) < 2e-7, 1.0, values)


def require_same(node, name, values):
    """Return the only number in ``values``; raise UnsupportedNode if they differ between neurons."""
    values = np.asarray(values, np.float64)
    if not (values == values.flat[0]).all():
        raise UnsupportedNode(
            f"has {name} that differ between its neurons, {shown_values(values)}, which is not supported: train the "
            f"network with one {name} for each layer"
        )
    return float(values.flat[0])
