"""The back end "nengo_dl": ``nengo_dl.Simulator``."""

import numpy as np

from ...compat import nengo_dl
from ...networks.network import NativeBase
from .base import Backend


class NengoDLBackend(Backend):
    """``nengo_dl.Simulator``, which runs every network."""

    def __init__(self, network, probed, minibatch_size, dt, potentials=()):
        super().__init__(network, probed, minibatch_size, dt, potentials)
        self.at_once = minibatch_size
        self.simulator = nengo_dl.Simulator(self.network, minibatch_size=minibatch_size, dt=dt, progress_bar=False)

    def prepared(self, network, probed):
        changes = {} if isinstance(network.settings, NativeBase) else {"stateful": True}
        return network.rebuild(probe_layers=probed, **changes)

    def show(self, images, place):
        self.n_images, self.done = len(images), 0
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

    def run(self, n_steps):
        still = self.images.shape[1] == 1
        shown = np.repeat(self.images, n_steps, axis=1) if still else self.images[:, self.done : self.done + n_steps]
        self.done += n_steps
        values = self.simulator.predict_on_batch({self.network.input: shown}, n_steps=n_steps, stateful=True)
        return {label: values[probe][: self.n_images] for label, probe in self.probes.items()}

    def close(self):
        self.simulator.close()
