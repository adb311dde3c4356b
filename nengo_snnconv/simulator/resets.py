"""Resets of networks during a run of the fast simulator, which runs from one reset to the next."""

from __future__ import annotations

import typing
from collections.abc import Iterator

import nengo
import numpy as np

from ..errors import ConversionError, SettingsError
from ..networks.network import ConvNetwork
from ..networks.resetting import ON, is_reset
from .compile.neuron_kinds import kind_of
from .compile.program_writer import ALWAYS
from .program_runner import ProgramRunner

INSTEAD = "use nengo.Simulator or nengo_dl.Simulator"


class Part(typing.NamedTuple):
    """A ConvNetwork that is reset.

    Attributes
    ----------
    network : ConvNetwork
    outside : set of Nengo objects
        Neurons, connections and probes of the larger network around it.
    """

    network: ConvNetwork
    outside: set[typing.Any]


class Resets:
    """Resets of the ConvNetworks in a network by the signals at their nodes ``reset``.

    Parameters
    ----------
    network : nengo.Network
    runner : ProgramRunner
        The runner of the network.

    Raises
    ------
    ConversionError
        If the fast simulator cannot reset a part of the network as the signal demands.

    Warns
    -----
    SnnConvWarning
        See :func:`.resetting.is_reset`.
    """

    def __init__(self, network: nengo.Network, runner: ProgramRunner) -> None:
        self.runner, self.parts, self.timed = runner, [], set()
        for part in (each for each in (network, *network.all_networks) if isinstance(each, ConvNetwork)):
            if is_reset(part, network):
                self.parts.append(Part(part, _objects(network) - _objects(part)))
        if not self.parts:
            return
        self.timed = {each.neurons for each in network.all_ensembles if _is_timed(each.neuron_type, runner.dt)}
        if self.timed and (len(self.parts) > 1 or self.timed & self.parts[0].outside):
            raise ConversionError(
                "the fast simulator has one clock for all neurons whose steps are counted, those of Poisson input, "
                f"stages and time to first spike, so it can reset only a single network that has all of them: {INSTEAD}"
            )
        probes = [nengo.Probe(part.network.reset, add_to_container=False) for part in self.parts]
        self._triggers = ProgramRunner(network, runner.dt, runner.minibatch_size, probes, threads=1)
        self._upstream = self._checked_upstream()

    def _checked_upstream(self):
        """Return the objects on which the signals depend; raise ConversionError if a reset would change them."""
        view, upstream = self._triggers.view, set()
        for part in self.parts:
            upstream.update(view.in_order(part.network.reset, upstream))
        for part in self.parts:
            own = {part.network.output, *(ensemble.neurons for ensemble in part.network.all_ensembles)}
            if own & upstream:
                raise ConversionError(
                    f"the fast simulator cannot reset {part.network} by a signal that depends on a network with a "
                    f"reset: {INSTEAD}"
                )
        return upstream

    def restart(self) -> None:
        """Begin again with the first step."""
        if self.parts:
            self._triggers.reset()

    def segments(self, n_steps: int, data: dict[nengo.Node, np.ndarray]) -> Iterator[slice]:
        """Yield the steps between resets in the next ``n_steps`` steps; reset the states before each of them.

        Parameters
        ----------
        n_steps : int
        data : dict of nengo.Node to ndarray, (items or 1, n_steps or 1, size)
        """
        if not self.parts:
            yield slice(0, n_steps)
            return
        data = {node: values for node, values in data.items() if node in self._upstream}
        signals = self._triggers.run(n_steps, data)
        on = np.stack([signal[..., 0] > ON for signal in signals])  # (parts, items, steps)
        starts = sorted({0, *np.flatnonzero(on.any(axis=(0, 1))).tolist()})
        for start, stop in zip(starts, [*starts[1:], n_steps], strict=True):
            for part, items in zip(self.parts, on[..., start], strict=True):
                if items.any() and self.runner.steps_done:
                    self._reset(part, items)
            yield slice(start, stop)

    def _reset(self, part, items):
        """Reset the states of a network for the items where ``items``, (items,), is true."""
        self.runner.set_initial(items, lambda key: self._is_inside(key, part))
        if self.timed:
            if not items.all():
                raise SettingsError(
                    "network.reset must be on in the same steps for all items of a minibatch, because the fast "
                    "simulator has one clock for all neurons whose steps are counted",
                    argument="data",
                )
            self.runner.first_step = self.runner.steps_done

    def _is_inside(self, key, part):
        """Return whether states in the layout of the runner are those of a network."""
        if not isinstance(key, tuple):
            return key not in part.outside
        if key[0] == "probe":
            return key[1] not in part.outside
        filtered = [each for each in self.runner.view.into(key[0]) if each.synapse is not None]
        outside = [each in part.outside for each in filtered]
        if any(outside) and not all(outside):
            raise ConversionError(
                f"the fast simulator cannot reset {filtered[0]}, because other connections with synapses end in the "
                f"same object: {INSTEAD}"
            )
        return not any(outside)


def _objects(network):
    neurons = (ensemble.neurons for ensemble in network.all_ensembles)
    return {*neurons, *network.all_connections, *network.all_probes}


def _is_timed(neuron_type, dt):
    """Return whether what neurons do depends on the number of the step."""
    kind = kind_of(neuron_type, dt)
    return kind.operation == "poisson_input" or kind.active_steps != ALWAYS
