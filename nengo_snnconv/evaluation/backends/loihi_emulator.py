"""LoihiEmulator: nengo-loihi's emulator of the chip, which starts again for each image without being rebuilt."""

from __future__ import annotations

import typing
import warnings
from collections.abc import Iterable

import nengo
import numpy as np

from ..._util.user_warnings import warn_user
from ...compat import nengo_loihi
from ...errors import ConversionError
from .loihi_synapses import CompiledSynapses

if typing.TYPE_CHECKING:
    from ...networks.network import ConvNetwork


class LoihiEmulator:
    """The emulator of nengo-loihi, with its host.

    Parameters
    ----------
    network : ConvNetwork
        Network made by ``to_loihi``.
    dt : float
        Seconds per step.
    target : "sim" or "simreal"
        "sim" computes in the chip's integers; "simreal" in floating point, with weights that are not rounded.

    Raises
    ------
    ConversionError
        If nengo-loihi cannot build the network.
    """

    def __init__(self, network: ConvNetwork, dt: float, target: str = "sim"):
        try:
            self.simulator = nengo_loihi.Simulator(network, dt=dt, target=target, progress_bar=False)
        except nengo.exceptions.BuildError as error:
            raise ConversionError(f"nengo_loihi cannot build this network: {error}") from error
        self.synapses = CompiledSynapses(self.simulator.model.blocks)
        self.overflowed = False

    def restart(self) -> None:
        """Reset chip and host to time 0, which nengo-loihi's own ``reset`` does not support yet."""
        simulator = self.simulator
        for name, part in simulator.sims.items():
            if name == "emulator":
                part.close()
                simulator.sims[name] = type(part)(simulator.model, seed=part.seed)
                self.synapses.attach(simulator.sims[name])
            else:
                part.reset()
        for received in simulator.model.inputs:
            received.spikes.clear()
        # the runner holds the queues between host and chip, so it is replaced together with them
        runner = simulator._runner
        simulator._runner = type(runner)(simulator.model, simulator.sims, simulator.precompute, simulator.timers)
        simulator.clear_probes()

    def run(self, n_steps: int, probes: Iterable[nengo.Probe]) -> list[np.ndarray]:
        """Simulate ``n_steps`` further steps; return the values of each of ``probes``, (steps, size)."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            self.simulator.run_steps(n_steps)
        self._repeat_warnings(caught)
        values = [self.simulator.data[probe].copy() for probe in probes]
        self.simulator.clear_probes()
        return values

    def _repeat_warnings(self, caught):
        """Issue the warnings of a run again; a single warning with a remedy replaces those about overflows."""
        overflows = [warning for warning in caught if str(warning.message).startswith("Overflow")]
        if overflows and not self.overflowed:
            self.overflowed = True
            warn_user(
                "the input of neurons overflows the 23 bits in which Loihi sums it, and changes its sign: lower "
                "max_rate, or normalize with a higher percentile",
            )
        for warning in caught:
            if warning not in overflows:
                warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)

    def thresholds(self, probe: nengo.Probe) -> np.ndarray | float:
        """Return the threshold of each probed neuron on the chip, (neurons,); 1 for neurons off the chip."""
        on_chip = self.simulator.model.objs.get(probe, {}).get("out")
        if on_chip is None:
            return 1.0
        thresholds = np.concatenate([block.compartment.vth for block in on_chip.target])
        return thresholds if on_chip.reindexing is None else thresholds[on_chip.reindexing]

    def initial_potential(self, neurons: nengo.ensemble.Neurons) -> np.ndarray:
        """Return the initial membrane potential of each neuron, which is zero on the chip."""
        for host in (self.simulator.model.host_pre, self.simulator.model.host):
            if neurons in host.sig:
                return host.sig[neurons]["voltage"].initial_value
        return np.zeros(neurons.size_out)

    def close(self) -> None:
        """Free the simulator."""
        self.simulator.close()
