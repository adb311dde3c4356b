"""Emulator: nengo_loihi's emulator of the chip, which begins anew for each image without being built again."""

import warnings

import nengo
import numpy as np

from ...compat import nengo_loihi
from ...errors import ConversionError, SnnConvWarning
from .emulator_synapses import CompiledSynapses


class Emulator:
    """The emulator of nengo_loihi, with its host.

    Parameters
    ----------
    network : ConvNetwork
        Made by ``to_loihi``.
    dt : float
        Seconds per step.
    target : "sim" or "simreal"
        The chip's integers, or its neurons in floating point, with weights that are not rounded.

    Raises
    ------
    ConversionError
        If nengo_loihi cannot build the network.
    """

    def __init__(self, network, dt, target="sim"):
        try:
            self.simulator = nengo_loihi.Simulator(network, dt=dt, target=target, progress_bar=False)
        except nengo.exceptions.BuildError as error:
            raise ConversionError(f"nengo_loihi cannot build this network: {error}") from error
        self.synapses = CompiledSynapses(self.simulator.model.blocks)
        self.overflowed = False

    def restart(self):
        """Begin anew: what nengo_loihi's own ``reset`` does not do yet."""
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
        # it holds the queues between host and chip, which are new
        runner = simulator._runner
        simulator._runner = type(runner)(simulator.model, simulator.sims, simulator.precompute, simulator.timers)
        simulator.clear_probes()

    def run(self, n_steps, probes):
        """Go on for ``n_steps``; what each of ``probes`` saw, (steps, size)."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            self.simulator.run_steps(n_steps)
        self._pass_on(caught)
        values = [self.simulator.data[probe].copy() for probe in probes]
        self.simulator.clear_probes()
        return values

    def _pass_on(self, caught):
        """Give the warnings of a run to the user, those of overflows once and in plain words."""
        overflows = [warning for warning in caught if str(warning.message).startswith("Overflow")]
        if overflows and not self.overflowed:
            self.overflowed = True
            warnings.warn(
                "input to neurons is more than the 23 bits that Loihi adds it up with, and changes its sign: lower "
                "max_rate, or normalize with a higher percentile",
                SnnConvWarning,
                stacklevel=7,
            )
        for warning in caught:
            if warning not in overflows:
                warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)

    def thresholds(self, probe):
        """Membrane potential at which each probed neuron of the chip spikes, (neurons,); 1 off the chip."""
        on_chip = self.simulator.model.objs.get(probe, {}).get("out")
        if on_chip is None:
            return 1.0
        thresholds = np.concatenate([block.compartment.vth for block in on_chip.target])
        return thresholds if on_chip.reindexing is None else thresholds[on_chip.reindexing]

    def initial_potential(self, neurons):
        """Membrane potential of each neuron at the start; zero on the chip."""
        for host in (self.simulator.model.host_pre, self.simulator.model.host):
            if neurons in host.sig:
                return host.sig[neurons]["voltage"].initial_value
        return np.zeros(neurons.size_out)

    def close(self):
        self.simulator.close()
