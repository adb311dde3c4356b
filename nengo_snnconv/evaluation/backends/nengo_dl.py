"""The back end "nengo_dl": ``nengo_dl.Simulator``."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...compat import nengo_dl
from ...networks.network import ConvNetwork, NativeBase
from .base import Backend


class NengoDLBackend(Backend):
    """Run networks on ``nengo_dl.Simulator``, which supports every network."""

    def with_probes(self, network: ConvNetwork, probed: tuple[str, ...]) -> ConvNetwork:
        changes: dict[str, Any] = {} if isinstance(network.settings, NativeBase) else {"stateful": True}
        return network.rebuild(probe_layers=probed, **changes)

    def open_simulator(self) -> nengo_dl.Simulator:
        return nengo_dl.Simulator(self.network, minibatch_size=self.minibatch_size, dt=self.dt, progress_bar=False)

    def start(self, images: np.ndarray, place: int) -> None:
        self.rows, self.n_done = np.arange(len(images)), 0
        self.images = np.pad(images, [(0, self.minibatch_size - len(images)), (0, 0), (0, 0)], mode="edge")
        self.simulator.reset(include_trainable=False)
        source = self.poisson_source()
        if source is not None:
            graph = self.simulator.tensor_graph
            item = graph.signals[self.simulator.model.sig[source]["item"]]
            values = graph.saved_state[item.key].numpy()
            for begin, end in item.slices:
                values[:, begin:end] = place
            graph.saved_state[item.key].assign(values)

    def keep(self, rows: np.ndarray) -> None:
        self.rows = self.rows[rows]  # the others are still simulated, because the size of a minibatch is fixed

    def run(self, n_steps: int) -> dict[str, np.ndarray]:
        still = self.images.shape[1] == 1
        end = self.n_done + n_steps
        images = np.repeat(self.images, n_steps, axis=1) if still else self.images[:, self.n_done : end]
        self.n_done = end
        values = self.simulator.predict_on_batch({self.network.input: images}, n_steps=n_steps, stateful=True)
        return {label: values[probe][self.rows] for label, probe in self.probes.items()}

    def close(self) -> None:
        self.simulator.close()
