"""The back end "loihi": the emulator of the Loihi chip in nengo-loihi."""

from __future__ import annotations

import typing

import numpy as np

from ..._util.user_warnings import warn_user
from ...networks.loihi.builder import loihi_form
from ...networks.network import ConvNetwork
from .base import Backend, InputFrames

if typing.TYPE_CHECKING:
    from .loihi_emulator import LoihiEmulator


class LoihiBackend(Backend):
    """Run networks on the emulator of the Loihi chip, in the chip's integers, one image after another."""

    one_by_one = True
    target: typing.ClassVar[str] = "sim"

    def __init__(self, *arguments: typing.Any):
        from .loihi_emulator import LoihiEmulator  # needs nengo-loihi, an optional package

        self.emulator_type = LoihiEmulator
        super().__init__(*arguments)

    def with_probes(self, network: ConvNetwork, probed: tuple[str, ...]) -> ConvNetwork:
        return loihi_form(network, probe_layers=probed)

    def open_simulator(self) -> LoihiEmulator:
        highest = min(each.spike_amplitude for each in self.network.settings.of_types.values()) / self.dt
        if highest < 1 - 1e-6:
            warn_user(
                f"Loihi's neurons spike once per step at most, and so cannot reach an activation above {highest:.2g}: "
                f"use to_spiking(..., max_rate={1 / self.dt:g}) or less",
            )
        self.input = InputFrames(self.network.input, self.dt)
        return self.emulator_type(self.network, self.dt, self.target)

    def initial_potential(self, name: str) -> np.ndarray | None:
        return self.simulator.initial_potential(self.network.layers[name])

    def start(self, images: np.ndarray, place: int) -> None:
        self.input.frames = images[0].astype(float)
        self.simulator.restart()

    def run(self, n_steps: int) -> dict[str, np.ndarray]:
        probes = self.probes
        values = dict(zip(probes, self.simulator.run(n_steps, probes.values()), strict=True))
        for label in values:
            if label.startswith("potential/"):
                values[label] = values[label] / self.simulator.thresholds(probes[label])
        return {label: value[None] for label, value in values.items()}

    def close(self) -> None:
        self.simulator.close()
