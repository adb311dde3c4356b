"""The simulators that networks run on, behind one interface: images in, what probes saw out, chunk by chunk."""

import abc
import warnings

import nengo
import numpy as np

from .build.loihi import loihi_form
from .build.network import NativeBase
from .checks import shown
from .compat import nengo_dl
from .exceptions import ConversionError, SettingsError, SnnConvWarning
from .neurons.poisson_input import PoissonInput
from .simulator.engine import Engine


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


class FastBackend(Backend):
    """Our own simulator.

    Parameters
    ----------
    counted : dict of str to float, optional
        Count the events of these layers, in the place of probing those ``probed``, and by what their output is
        multiplied to give a number of them; 0 to count any output but zero as one.
    memory_mb, threads, precision
        As for ``Engine``.

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
        self.simulator = Engine(self.network, dt, minibatch_size, self.probes.values(), objects, **options)

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


class LoihiBackend(Backend):
    """nengo_loihi's emulator of the Loihi chip, in the chip's own integers: one image after another."""

    at_once = 1
    target = "sim"

    def __init__(self, network, probed, minibatch_size, dt, potentials=()):
        from .loihi_emulator import Emulator  # an optional package

        super().__init__(network, probed, minibatch_size, dt, potentials)
        steps = self.network.settings.spike_amplitude / dt
        if steps < 1 - 1e-6:
            warnings.warn(
                f"Loihi's neurons spike once in a step at most, and so reach an activation of {steps:.2g}: use "
                f"to_spiking(..., max_rate={1 / dt:g}) or less",
                SnnConvWarning,
                stacklevel=6,
            )
        self.frames = Frames(self.network.input, dt)
        self.simulator = Emulator(self.network, dt, self.target)

    def prepared(self, network, probed):
        return loihi_form(network, probe_layers=probed)

    def initial_potential(self, name):
        return self.simulator.initial_potential(self.network.layers[name])

    def show(self, images, place):
        self.frames.shown = images[0].astype(float)
        self.simulator.restart()

    def run(self, n_steps):
        probes = self.probes
        values = dict(zip(probes, self.simulator.run(n_steps, probes.values()), strict=True))
        for label in values:
            if label.startswith("potential/"):
                values[label] = values[label] / self.simulator.thresholds(probes[label])
        return {label: value[None] for label, value in values.items()}

    def close(self):
        self.simulator.close()


BACKENDS = {"fast": FastBackend, "nengo_dl": NengoDLBackend, "nengo": NengoBackend, "loihi": LoihiBackend}


def check_backend(backend, **options):
    """Raise an error where there is no such back end, or it does not take the ``options`` that a user asked for."""
    if backend is None:
        return
    if not isinstance(backend, str) or backend not in BACKENDS:
        raise ConversionError(f"there is no back end {shown(backend)}; there are {', '.join(BACKENDS)}")
    for name, value in options.items():
        if name not in BACKENDS[backend].options:
            able = " and ".join(repr(other) for other, kind in BACKENDS.items() if name in kind.options)
            only = f"is of the back end {able} only" if able else "is an option of no back end"
            raise SettingsError(f"{name}={shown(value)} {only}, and backend={backend!r} would ignore it: leave it out")


def opened(backend, *arguments, hints=None, **options):
    """Return a simulator by name; for None the fast one where it covers the network, or else NengoDL's.

    Parameters
    ----------
    backend : str or None
    arguments
        Those of every :class:`Backend`.
    hints : dict of str, optional
        Options that change no result, such as how much memory to use: left out where a back end does not have them.
    options
        Options that were asked for: refused where a back end does not have them.

    Raises
    ------
    SettingsError
        If the back end that was named does not have one of ``options``; the message names it.
    ConversionError
        If there is no such back end, or it cannot run the network, or only one without an option can.
    """
    check_backend(backend, **options)
    try:
        return _made(BACKENDS[backend or "fast"], arguments, options, hints or {})
    except ConversionError as error:
        if backend is not None:
            raise
        if options:
            asked = ", ".join(f"{name}={shown(value)}" for name, value in options.items())
            raise ConversionError(
                f"{asked} is of the back end 'fast', which cannot run this network: leave it out ({error})"
            ) from error
    return _made(NengoDLBackend, arguments, {}, hints or {})


def _made(kind, arguments, options, hints):
    known = {name: value for name, value in hints.items() if name in kind.options}
    return kind(*arguments, **{**known, **options})


def name_of(simulator):
    """The name of a simulator among BACKENDS."""
    return next(name for name, kind in BACKENDS.items() if type(simulator) is kind)
