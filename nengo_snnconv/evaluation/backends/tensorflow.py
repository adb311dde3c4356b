"""The back end "tensorflow": layer by layer over chunks of steps in TensorFlow, on a GPU if there is one."""

from __future__ import annotations

import typing
from collections.abc import Iterable

import nengo
import numpy as np

from ...errors import ConversionError
from ...networks.network import ConvNetwork
from ...neurons.arguments import as_synapse
from .base import Backend

if typing.TYPE_CHECKING:
    from ...simulator.tensors.tensor_runner import TensorRunner


class TensorFlowBackend(Backend):
    """Run networks in TensorFlow, a layer at a time over a chunk of steps.

    Parameters
    ----------
    network, probed, minibatch_size, dt, potentials
        As for :class:`Backend`.
    counted : dict of str to float, optional
        As for ``FastBackend``, with the same attributes ``totals``, ``per_step`` and ``negative``.
    memory_mb : float, optional
        Approximate memory in megabytes.
    """

    options = frozenset(("counted", "memory_mb"))

    def __init__(
        self,
        network: ConvNetwork,
        probed: Iterable[str],
        *arguments: typing.Any,
        counted: dict[str, float] | None = None,
        memory_mb: float | None = None,
    ):
        self.counted, self.memory_mb = counted or {}, memory_mb
        super().__init__(network, probed if counted is None else (), *arguments)

    def with_probes(self, network: ConvNetwork, probed: tuple[str, ...]) -> ConvNetwork:
        synapse = as_synapse(getattr(network.settings, "synapse", None))
        if not (synapse is None or isinstance(synapse, nengo.LinearFilter)):
            raise ConversionError(
                f"the back end 'tensorflow' does not support {synapse}: use nengo.Lowpass or nengo.Alpha, or "
                "backend='nengo_dl'"
            )
        return super().with_probes(network, probed)

    def open_simulator(self) -> TensorRunner:
        from ...simulator.tensors.tensor_runner import TensorRunner

        objects = {name: (self.network.layers[name], weight) for name, weight in self.counted.items()}
        probes = list(self.probes.values())
        return TensorRunner(self.network, self.dt, self.minibatch_size, probes, objects, memory_mb=self.memory_mb)

    def initial_potential(self, name: str) -> np.ndarray | None:
        return self.simulator.program.initial_state(self.network.layers[name], "voltage")

    def start(self, images: np.ndarray, place: int) -> None:
        self.images, self.n_done = images.astype(np.float32), 0
        self.simulator.start(len(images), place)

    def keep(self, rows: np.ndarray) -> None:
        self.images = self.images[rows]
        self.simulator.keep(rows)

    def run(self, n_steps: int) -> dict[str, np.ndarray]:
        still = self.images.shape[1] == 1
        images = self.images if still else self.images[:, self.n_done : self.n_done + n_steps]
        self.n_done += n_steps
        return dict(zip(self.probes, self.simulator.run(n_steps, images), strict=True))

    @property
    def totals(self) -> dict[str, np.ndarray]:
        return self.simulator.totals

    @property
    def per_step(self) -> dict[str, np.ndarray]:
        return self.simulator.per_step

    @property
    def negative(self) -> dict[str, float]:
        return self.simulator.negative

    def close(self) -> None:
        """Do nothing: only memory is held."""
