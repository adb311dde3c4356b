"""The back end "fast": nengo_snnconv's own simulator."""

from ...simulator.program_runner import ProgramRunner
from .base import Backend


class FastBackend(Backend):
    """Our own simulator.

    Parameters
    ----------
    counted : dict of str to float, optional
        Count the events of these layers, in the place of probing those ``probed``, and by what their output is
        multiplied to give a number of them; 0 to count any output but zero as one.
    memory_mb, threads, precision
        As for ``ProgramRunner``.

    Attributes
    ----------
    totals : dict of str to ndarray, (units,)
        Counts of all runs.
    per_step : dict of str to ndarray, (steps,)
        Counts of the last run.
    """

    options = frozenset(("counted", "memory_mb", "threads", "precision"))

    def __init__(
        self,
        network,
        probed,
        minibatch_size,
        dt,
        potentials=(),
        *,
        counted=None,
        memory_mb=None,
        threads=None,
        precision="float32",
    ):
        super().__init__(network, probed if counted is None else (), minibatch_size, dt, potentials)
        self.at_once = minibatch_size
        objects = {name: (self.network.layers[name], weight) for name, weight in (counted or {}).items()}
        memory = {} if memory_mb is None else {"memory_mb": memory_mb}
        options = {"threads": threads, "precision": precision, **memory}
        self.simulator = ProgramRunner(self.network, dt, minibatch_size, self.probes.values(), objects, **options)

    def initial_potential(self, name):
        return self.simulator.initial_state(self.network.layers[name], "voltage")

    def show(self, images, place):
        self.images, self.done = images, 0
        self.simulator.reset(place)

    def run(self, n_steps):
        still = self.images.shape[1] == 1
        shown = self.images if still else self.images[:, self.done : self.done + n_steps]
        self.done += n_steps
        values = self.simulator.run(n_steps, {self.network.input: shown}, len(self.images))
        return dict(zip(self.probes, values, strict=True))

    @property
    def totals(self):
        return self.simulator.totals

    @property
    def per_step(self):
        return self.simulator.per_step

    def close(self):
        """Nothing is held but memory."""
