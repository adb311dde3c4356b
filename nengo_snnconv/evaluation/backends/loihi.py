"""The back end "loihi": nengo_loihi's emulator of the chip."""

import warnings

from ...errors import SnnConvWarning
from ...networks.loihi.builder import loihi_form
from .base import Backend, Frames


class LoihiBackend(Backend):
    """nengo_loihi's emulator of the Loihi chip, in the chip's own integers: one image after another."""

    at_once = 1
    target = "sim"

    def __init__(self, network, probed, minibatch_size, dt, potentials=()):
        from .emulator import Emulator  # an optional package

        super().__init__(network, probed, minibatch_size, dt, potentials)
        steps = self.network.settings.spike_amplitude / dt
        if steps < 1 - 1e-6:
            warnings.warn(
                f"Loihi's neurons spike once in a step at most, and so reach an activation of {steps:.2g}: use "
                f"to_spiking(..., max_rate={1 / dt:g}) or less",
                SnnConvWarning,
                stacklevel=6,
            )
        self.frames = Frames(self.network.input, dt)
        self.simulator = Emulator(self.network, dt, self.target)

    def prepared(self, network, probed):
        return loihi_form(network, probe_layers=probed)

    def initial_potential(self, name):
        return self.simulator.initial_potential(self.network.layers[name])

    def show(self, images, place):
        self.frames.shown = images[0].astype(float)
        self.simulator.restart()

    def run(self, n_steps):
        probes = self.probes
        values = dict(zip(probes, self.simulator.run(n_steps, probes.values()), strict=True))
        for label in values:
            if label.startswith("potential/"):
                values[label] = values[label] / self.simulator.thresholds(probes[label])
        return {label: value[None] for label, value in values.items()}

    def close(self):
        self.simulator.close()
