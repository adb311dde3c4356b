"""Backend: the interface of the simulators that run networks."""

from __future__ import annotations

import abc
import typing
from collections.abc import Iterable

import nengo
import numpy as np

from ...neurons.poisson_input import PoissonInput

if typing.TYPE_CHECKING:
    from ...networks.network import ConvNetwork


class Backend(abc.ABC):
    """A simulator that shows images to a network.

    A subclass opens the simulator of a package in :meth:`open_simulator`.

    Parameters
    ----------
    network : ConvNetwork
        A copy with probes is simulated; the network itself is not changed.
    probed : list of str
        Layers whose output is probed.
    minibatch_size : int
        Largest number of images that are simulated together.
    dt : float
        Seconds per step.
    potentials : list of str
        Layers of neurons whose membrane potential is probed too.

    Attributes
    ----------
    network : ConvNetwork
        The network that is simulated.
    simulator : object
        The simulator of the package behind the back end.
    minibatch_size : int
        Number of images that are simulated together; 1 for back ends that simulate one image after another.
    options : frozenset of str
        Names of further keyword arguments that the back end takes.
    one_by_one : bool
        True for back ends that simulate one image after another.
    """

    options: typing.ClassVar[frozenset[str]] = frozenset()
    one_by_one: typing.ClassVar[bool] = False

    def __init__(
        self,
        network: ConvNetwork,
        probed: Iterable[str],
        minibatch_size: int,
        dt: float,
        potentials: Iterable[str] = (),
    ):
        self.network = self.with_probes(network, tuple(probed))
        with self.network:
            for name in potentials:
                nengo.Probe(self.network.layers[name], "voltage", label=f"potential/{name}")
        self.minibatch_size = 1 if self.one_by_one else minibatch_size
        self.dt = dt
        self.simulator = self.open_simulator()

    def with_probes(self, network: ConvNetwork, probed: tuple[str, ...]) -> ConvNetwork:
        """Return the network to be simulated, with probes on the layers ``probed``.

        Raises
        ------
        ConversionError
            If the back end cannot run the network.
        """
        return network.rebuild(probe_layers=probed)

    @abc.abstractmethod
    def open_simulator(self) -> typing.Any:
        """Return the simulator of ``network``."""

    @property
    def probes(self) -> dict[str, nengo.Probe]:
        """Probes by label: "output", "layer/<name>" and, for membrane potentials, "potential/<name>"."""
        return {probe.label: probe for probe in self.network.probes if probe.label != "output_filtered"}

    def initial_potential(self, name: str) -> np.ndarray | None:
        """Return the initial membrane potential of a layer, (neurons,); None if its neurons have none."""
        state = self.simulator.model.sig[self.network.layers[name]].get("voltage")
        return None if state is None else state.initial_value

    def poisson_source(self) -> nengo.ensemble.Neurons | None:
        """Return the neurons that generate Poisson spikes from images; None if there are none."""
        source = self.network.layers[self.network.model.input]
        poisson = isinstance(source, nengo.ensemble.Neurons) and isinstance(source.ensemble.neuron_type, PoissonInput)
        return source if poisson else None

    @abc.abstractmethod
    def start(self, images: np.ndarray, place: int) -> None:
        """Reset the network to time 0 and set its input.

        Parameters
        ----------
        images : ndarray, (images, 1 or steps, size)
            At most ``minibatch_size`` flattened images, or frames with an entry per step.
        place : int
            Place of the first image in its minibatch, on which Poisson spikes depend.
        """

    def keep(self, rows: np.ndarray) -> None:  # noqa: B027 -- the right thing for back ends with one image at a time
        """Simulate only some of the images from now on.

        Parameters
        ----------
        rows : ndarray of int
            Positions of at least one image among those that :meth:`run` returned last, in order.
        """

    @abc.abstractmethod
    def run(self, n_steps: int) -> dict[str, np.ndarray]:
        """Simulate ``n_steps`` further steps; return probed values, {label: (images, steps, size)}."""

    @abc.abstractmethod
    def close(self) -> None:
        """Free the simulator."""


class InputFrames:
    """Output function of an input node, for simulators that show one image after another.

    Parameters
    ----------
    node : nengo.Node
        Input of the network.
    dt : float
        Seconds per step.

    Attributes
    ----------
    frames : ndarray, (1 or steps, size)
        The image that is shown, or its frames.
    """

    def __init__(self, node: nengo.Node, dt: float):
        self.frames = np.zeros((1, node.size_out))
        # replaces the constant output that the node was built with
        node.output = lambda t: self.frames[min(round(t / dt), len(self.frames)) - 1]
