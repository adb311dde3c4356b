"""The back end "nengo": ``nengo.Simulator``, the reference."""

from __future__ import annotations

import nengo
import numpy as np

from ...networks.network import ConvNetwork
from ...networks.trainable import for_nengo
from .base import Backend, InputFrames


class NengoBackend(Backend):
    """Run networks on ``nengo.Simulator``, the reference, in double precision, one image after another."""

    one_by_one = True

    def with_probes(self, network: ConvNetwork, probed: tuple[str, ...]) -> ConvNetwork:
        return for_nengo(network, probe_layers=probed)

    def open_simulator(self) -> nengo.Simulator:
        self.input = InputFrames(self.network.input, self.dt)
        # a model without Nengo's cache of decoders, which processes share and lock: there are no decoders to solve for
        model = nengo.builder.Model(dt=self.dt)
        return nengo.Simulator(self.network, dt=self.dt, model=model, progress_bar=False)

    def start(self, images: np.ndarray, place: int) -> None:
        self.input.frames = images[0].astype(float)
        self.simulator.reset()
        source = self.poisson_source()
        if source is not None:
            self.simulator.signals[self.simulator.model.sig[source]["item"]][...] = place

    def run(self, n_steps: int) -> dict[str, np.ndarray]:
        self.simulator.run_steps(n_steps, progress_bar=False)
        values = {label: self.simulator.data[probe][None].copy() for label, probe in self.probes.items()}
        self.simulator.clear_probes()
        return values

    def close(self) -> None:
        self.simulator.close()
