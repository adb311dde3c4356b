"""The back end "fast": the simulator of this package."""

from __future__ import annotations

import typing
from collections.abc import Iterable

import numpy as np

from ...networks.network import ConvNetwork
from ...simulator.program_runner import ProgramRunner
from .base import Backend


class FastBackend(Backend):
    """Run networks on the simulator of this package.

    Parameters
    ----------
    network, probed, minibatch_size, dt, potentials
        As for :class:`Backend`.
    counted : dict of str to float, optional
        Layers whose events are counted, instead of probing the layers ``probed``.  The value times the output of a unit
        gives its number of events; 0 counts any non-zero output as one event.
    memory_mb, threads, precision
        As for ``ProgramRunner``.

    Attributes
    ----------
    totals : dict of str to ndarray, (units,)
        Number of events of each unit, over all runs.
    per_step : dict of str to ndarray, (steps,)
        Number of events in each step of the last run.
    negative : dict of str to float
        Number of negative spikes over all runs, for the layers whose neurons can emit them.
    """

    options = frozenset(("counted", "memory_mb", "threads", "precision"))

    def __init__(
        self,
        network: ConvNetwork,
        probed: Iterable[str],
        *arguments: typing.Any,
        counted: dict[str, float] | None = None,
        memory_mb: float | None = None,
        threads: int | None = None,
        precision: str = "float32",
    ):
        self.counted = counted or {}
        memory = {} if memory_mb is None else {"memory_mb": memory_mb}
        self.runner_options: dict[str, typing.Any] = {"threads": threads, "precision": precision, **memory}
        super().__init__(network, probed if counted is None else (), *arguments)

    def open_simulator(self) -> ProgramRunner:
        objects = {name: (self.network.layers[name], weight) for name, weight in self.counted.items()}
        probes = self.probes.values()
        return ProgramRunner(self.network, self.dt, self.minibatch_size, probes, objects, **self.runner_options)

    def initial_potential(self, name: str) -> np.ndarray | None:
        return self.simulator.initial_state(self.network.layers[name], "voltage")

    def start(self, images: np.ndarray, place: int) -> None:
        self.images, self.n_done = images, 0
        self.simulator.reset(place)

    def keep(self, rows: np.ndarray) -> None:
        self.images = self.images[rows]
        self.simulator.keep(rows)

    def run(self, n_steps: int) -> dict[str, np.ndarray]:
        still = self.images.shape[1] == 1
        images = self.images if still else self.images[:, self.n_done : self.n_done + n_steps]
        self.n_done += n_steps
        values = self.simulator.run(n_steps, {self.network.input: images}, len(self.images))
        return dict(zip(self.probes, values, strict=True))

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
