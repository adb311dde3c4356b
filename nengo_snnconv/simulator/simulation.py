"""Simulator: Nengo's Simulator interface to the fast engine."""

import collections.abc
import warnings

import nengo
import numpy as np

from .._util.progress import progress_bar as bar_of
from .._util.validation import (
    as_float32,
    check_counts,
    check_optional_counts,
    check_positive,
    check_progress,
    check_seed,
    check_workers_count,
    is_number,
    shown,
)
from ..errors import SettingsError, SnnConvWarning
from .compile.network_view import is_function
from .program_runner import ProgramRunner


class Simulator:
    """Simulates networks layer by layer, spike by spike: the same spikes as ``nengo`` and ``nengo_dl``, in less time.

    Each layer runs through a chunk of time before the next one; spikes are kept as lists, and only the weights that
    they carry are added; what is constant is computed once, and what no probe asks for is not computed.  The interface
    is that of ``nengo.Simulator`` and ``nengo_dl.Simulator``.

    Parameters
    ----------
    network : ConvNetwork or nengo.Network
        Of nodes and neurons; without functions of signals, decoded ensembles, learning, or connections that feed back.
    dt : float
        Seconds per step.
    seed : int, optional
        Of the random processes of nodes; by default that of the network plus one.
    minibatch_size : int, optional
        How many items are simulated together.  By default one, and ``data`` has no axis of items.
    progress_bar : bool, optional
        Show progress; by default where standard error is a terminal.
    memory_mb : float
        Roughly what threads may take to work in; sets how many steps a layer runs at a time.
    threads : int, optional
        By default as many as the process may use cores.
    precision : "float32" or "bfloat16"
        Of weights: bfloat16 keeps 8 of their 24 bits, in half the memory; sums and potentials are float32 all the same.
        Spikes are then others than on other simulators.

    Attributes
    ----------
    data : dict of nengo.Probe to ndarray
        What the probes saw: (items, samples, size), or (samples, size) without minibatch_size.
    dt, seed, n_steps, time, minibatch_size, closed
        As in Nengo.

    Raises
    ------
    ConversionError
        If the network has something that this simulator does not cover; the message names it.
    SettingsError
        If an argument cannot work.

    Examples
    --------
    >>> with nengo_snnconv.Simulator(network, minibatch_size=len(x)) as sim:
    ...     sim.run_steps(32, data={network.input: x})
    ...     spikes = sim.data[network.probes["output"]]
    """

    def __init__(
        self,
        network,
        dt=0.001,
        seed=None,
        minibatch_size=None,
        *,
        progress_bar=None,
        memory_mb=500,
        threads=None,
        precision="float32",
    ):
        self.closed = True
        if not isinstance(network, nengo.Network):
            raise SettingsError(f"expected a network, got {type(network).__name__}")
        check_optional_counts(minibatch_size=minibatch_size)
        check_workers_count(threads=threads)
        check_positive(dt=dt, memory_mb=memory_mb)
        check_seed(seed, optional=True)
        check_progress(progress_bar, "progress_bar")
        self._runner = ProgramRunner(
            network,
            float(dt),
            minibatch_size or 1,
            network.all_probes,
            memory_mb=memory_mb,
            threads=threads,
            precision=precision,
        )
        self.minibatch_size, self._progress = minibatch_size, progress_bar
        if seed is None:
            seed = int(np.random.default_rng().integers(2**31)) if network.seed is None else (network.seed + 1) % 2**32
        self.seed = int(seed)
        self.data = SimulationData(self)
        self.closed = False
        self.reset()

    @property
    def dt(self):
        """Seconds per step."""
        return self._runner.dt

    @property
    def n_steps(self):
        """Steps since the last reset."""
        return self._runner.steps_done

    @property
    def time(self):
        """Seconds since the last reset."""
        return self.n_steps * self.dt

    def __enter__(self):
        self._check_open()
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """End the simulation; what probes saw stays."""
        self.closed = True

    def reset(self, seed=None):
        """Begin anew: states as at the start, probes empty.

        Parameters
        ----------
        seed : int, optional
            Of the random processes of nodes from now on.
        """
        check_seed(seed, optional=True)
        self.seed = self.seed if seed is None else int(seed)
        self.soft_reset(include_probes=True)

    def soft_reset(self, include_probes=False):
        """Set states back to the start, and the time to 0; empty the probes only if ``include_probes``."""
        self._check_open()
        self._runner.reset()
        rng = np.random.RandomState(self.seed)
        self._functions = {n: _function(n, self.dt, rng) for n in self._runner.view.sources if is_function(n)}
        if include_probes:
            self.clear_probes()

    def clear_probes(self):
        """Forget what the probes saw."""
        self._seen = {probe: [] for probe in self._runner.probes}

    def run(self, time_in_seconds, *, data=None, progress_bar=None):
        """Go on for a time, rounded to whole steps; see :meth:`run_steps`."""
        if not is_number(time_in_seconds) or not 0 <= time_in_seconds < np.inf:
            raise SettingsError(f"time_in_seconds must be 0 or more, got {shown(time_in_seconds)}")
        n_steps = int(np.round(float(time_in_seconds) / self.dt))
        if n_steps == 0:
            warnings.warn(
                f"{time_in_seconds} s are less than half a step of {self.dt} s: nothing was run",
                SnnConvWarning,
                stacklevel=2,
            )
        else:
            self.run_steps(n_steps, data=data, progress_bar=progress_bar)

    def step(self, *, data=None):
        """Go on for one step; see :meth:`run_steps`."""
        self.run_steps(1, data=data, progress_bar=False)

    def run_steps(self, n_steps, *, data=None, progress_bar=None):
        """Go on for a number of steps.

        Parameters
        ----------
        n_steps : int
        data : dict of nengo.Node to ndarray, optional
            What nodes without input emit in the place of their own output, (items, n_steps, size); for what is the same
            in each step also (items, 1, size), (items, size) or images (items, height, width, channel).
        progress_bar : bool, optional
            As in the constructor.

        Raises
        ------
        SettingsError
            If ``data`` do not fit.
        """
        self._check_open()
        check_counts(n_steps=n_steps)
        check_progress(progress_bar, "progress_bar")
        fed = {node: self._checked(node, values, n_steps) for node, values in self._named(data).items()}
        self._runner.check(n_steps, fed, self._runner.minibatch_size)  # before functions are called in each step
        fed |= self._called(n_steps, fed)
        shown = self._progress if progress_bar is None else progress_bar
        size = self._runner.minibatch_size
        with bar_of(size * n_steps, "simulating", "image-step", shown) as bar:
            results = self._runner.run(n_steps, fed, progress=bar.update)
        for probe, values in zip(self._runner.probes, results, strict=True):
            self._seen[probe].append(values)

    def trange(self, sample_every=None):
        """The times in seconds at which a probe with ``sample_every`` has seen something."""
        steps = np.arange(1, self.n_steps + 1)
        if sample_every is not None:
            check_positive(sample_every=sample_every)
        period = 1 if sample_every is None else sample_every / self.dt
        return self.dt * steps[steps % period < 1]

    def _check_open(self):
        if self.closed and hasattr(self, "_seen"):
            raise nengo.exceptions.SimulatorClosed("this simulator is closed: make a new one")

    def _named(self, data):
        """The data by node."""
        if data is None:
            return {}
        if not isinstance(data, collections.abc.Mapping):
            raise SettingsError(
                f"data must be a dict from nodes to arrays, such as {{network.input: x}}, got {type(data)}"
            )
        for node in data:
            if node not in self._runner.view.sources:
                raise SettingsError(
                    f"data: {node} is no node without input of this network: feed network.input, for example"
                )
        return dict(data)

    def _checked(self, node, values, n_steps):
        """Data of a node as float32 (items, steps, size); a single step where all are the same."""
        values, size = as_float32(values, f"data of {node}"), node.size_out
        n_items = self._runner.minibatch_size
        shape = values.shape
        if values.ndim >= 2 and shape[0] == n_items and values[0].size == size:
            values = values.reshape(n_items, 1, size)
        if (
            values.ndim != 3
            or values.shape[0] != n_items
            or values.shape[1] not in (1, n_steps)
            or values.shape[2] != size
        ):
            raise SettingsError(
                f"data of {node} must have shape ({n_items}, {n_steps}, {size}), or ({n_items}, 1, {size}) for what is "
                f"the same in each step; got {shape}"
            )
        same = values.shape[1] > 1 and (values[:, :1] == values).all()
        return values[:, :1] if same else values

    def _called(self, n_steps, fed):
        """What nodes that are functions of time, or processes, emit in the next steps, the same for all items."""
        found = {}
        times = self.dt * np.arange(self.n_steps + 1, self.n_steps + n_steps + 1)
        for node, function in self._functions.items():
            if node not in fed:
                found[node] = np.stack([_emitted(node, function(t), t) for t in times])[None]
        return found


def _function(node, dt, rng):
    """What a node computes from the time alone; the seed of a process that has none is drawn from ``rng``."""
    process = node.output
    if not isinstance(process, nengo.Process):
        return process
    shapes = (0,), (node.size_out,)
    return process.make_step(*shapes, dt, process.get_rng(rng), process.make_state(*shapes, dt))


def _emitted(node, value, t):
    """What a node emits at time ``t``, float32 (size,)."""
    what = f"what {node} emits at {t:g} s"
    value = as_float32([] if value is None and node.size_out == 0 else value, what)
    if value.size != node.size_out:
        raise SettingsError(f"{what} must have size {node.size_out}, got shape {value.shape}")
    return value.reshape(node.size_out).copy()  # some functions fill the same array again


class SimulationData(collections.abc.Mapping):
    """What the probes of a simulator saw, by probe."""

    def __init__(self, simulator):
        self._simulator = simulator

    def __getitem__(self, probe):
        if probe not in self._simulator._seen:
            raise KeyError(f"{probe} is no probe of this network; data are kept for {len(self)} probes")
        seen, runner = self._simulator._seen[probe], self._simulator._runner
        # one array from now on, which the next one is made of
        values = np.concatenate(seen or [np.empty((runner.minibatch_size, 0, probe.obj.size_out), np.float32)], axis=1)
        values.flags.writeable = False
        seen[:] = [values]
        values = values if probe.slice is None else values[..., probe.slice]
        return values[0] if self._simulator.minibatch_size is None else values

    def __iter__(self):
        return iter(self._simulator._seen)

    def __len__(self):
        return len(self._simulator._seen)
