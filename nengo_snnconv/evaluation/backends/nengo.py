"""The back end "nengo": ``nengo.Simulator``, the reference."""

import nengo

from ...errors import ConversionError
from ...networks.network import NativeBase
from .base import Backend, Frames


class NengoBackend(Backend):
    """``nengo.Simulator``, the reference: one image after another, in double precision."""

    at_once = 1

    def __init__(self, network, probed, minibatch_size, dt, potentials=()):
        if not isinstance(network.settings, NativeBase):
            raise ConversionError(
                "the back end 'nengo' cannot run networks made by build_trainable, whose TensorNodes only NengoDL "
                "runs: use backend='nengo_dl', or a network made by convert"
            )
        super().__init__(network, probed, minibatch_size, dt, potentials)
        self.frames = Frames(self.network.input, dt)
        # without the cache of decoders, which processes share and lock: there are none to solve for
        model = nengo.builder.Model(dt=dt)
        self.simulator = nengo.Simulator(self.network, dt=dt, model=model, progress_bar=False)

    def show(self, images, place):
        self.frames.shown = images[0].astype(float)
        self.simulator.reset()
        source = self.poisson_source()
        if source is not None:
            self.simulator.signals[self.simulator.model.sig[source]["item"]][...] = place

    def run(self, n_steps):
        self.simulator.run_steps(n_steps, progress_bar=False)
        values = {label: self.simulator.data[probe][None].copy() for label, probe in self.probes.items()}
        self.simulator.clear_probes()
        return values

    def close(self):
        self.simulator.close()
