"""Backend: the interface of the simulators that networks run on."""

import abc

import nengo
import numpy as np

from ...neurons.poisson_input import PoissonInput


class Backend(abc.ABC):
    """A simulator that shows images to a network.

    Parameters
    ----------
    network : ConvNetwork
        Is rebuilt with probes on the layers ``probed``; is itself left alone.
    probed : list of str
    minibatch_size : int
    dt : float
        Seconds per step.
    potentials : list of str
        Layers of neurons whose membrane potential is probed too.

    Attributes
    ----------
    options : frozenset of str
        Names of the keyword arguments that this back end takes beyond those above; :func:`opened` refuses others.
    at_once : int
        Images that are simulated together.
    """

    options = frozenset()

    def __init__(self, network, probed, minibatch_size, dt, potentials=()):
        self.network = self.prepared(network, tuple(probed))
        with self.network:
            for name in potentials:
                nengo.Probe(self.network.layers[name], "voltage", label=f"potential/{name}")
        self.minibatch_size = minibatch_size
        self.dt = dt

    def prepared(self, network, probed):
        """The network that is simulated, with probes on the layers ``probed``."""
        return network.rebuild(probe_layers=probed)

    @property
    def probes(self):
        """The probes that are read, by label: the output, and "layer/<name>" for each probed layer.

        Membrane potentials are under "potential/<name>".
        """
        return {probe.label: probe for probe in self.network.probes if probe.label != "output_filtered"}

    def initial_potential(self, name):
        """Membrane potential of each neuron of a layer at the start, (neurons,); None where the type has none."""
        state = self.simulator.model.sig[self.network.layers[name]].get("voltage")
        return None if state is None else state.initial_value

    def poisson_source(self):
        """The neurons that make Poisson spikes of images, which depend on their places; None where there are none."""
        source = self.network.layers[self.network.model.input]
        poisson = isinstance(source, nengo.ensemble.Neurons) and isinstance(source.ensemble.neuron_type, PoissonInput)
        return source if poisson else None

    @abc.abstractmethod
    def show(self, images, place):
        """Begin anew, with ``images`` (at most ``at_once``), of which the first has this place in its minibatch.

        They are flat: (images, 1, size) where they stand still, (images, steps, size) where they move.
        """

    @abc.abstractmethod
    def run(self, n_steps):
        """Go on for ``n_steps``; what each probe saw, {label: (images, steps, size)}."""

    @abc.abstractmethod
    def close(self):
        """Free the simulator."""


class Frames:
    """What a network's input shows: one image after another, or its frames, from one simulator.

    Attributes
    ----------
    shown : ndarray, (1, size) or (steps, size)
    """

    def __init__(self, node, dt):
        self.shown = np.zeros((1, node.size_out))
        # a function, where the network has a constant
        node.output = lambda t: self.shown[min(round(t / dt), len(self.shown)) - 1]
