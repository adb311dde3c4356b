"""Simulator: the fast simulator behind the interface of Nengo's Simulator."""

from __future__ import annotations

import collections.abc
from typing import Any

import nengo
import numpy as np

from .._util.progress import progress_bar as make_progress_bar
from .._util.user_warnings import warn_user
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
from ..compat import nengo_dl
from ..errors import SettingsError
from ..networks.foreign.other_weights import warn_of_other_weights
from ..networks.network import ConvNetwork
from .compile.network_view import is_function
from .program_runner import ProgramRunner
from .resets import Resets

FUNCTION_BYTES = 2**26  # memory for the outputs of functions of time


class Simulator:
    """Simulate networks layer by layer and spike by spike, with the same spikes as ``nengo`` and ``nengo_dl``.

    The interface is that of ``nengo.Simulator`` and ``nengo_dl.Simulator``.  The simulator is fast because each layer
    runs through a chunk of time before the next layer, spikes are kept as lists, and only the weights of these spikes
    are added.  Constant signals are computed once, and signals that no probe needs are not computed.

    Parameters
    ----------
    network : ConvNetwork or nengo.Network
        Network of nodes and neurons; TensorNodes may hold Keras layers.  Functions of signals, decoded ensembles,
        learning rules and recurrent connections are not supported.
    dt : float
        Duration of a step in seconds.
    seed : int, optional
        Seed of the random processes of nodes; by default the seed of the network plus one.
    minibatch_size : int, optional
        Number of items that are simulated together.  By default there is one item, and ``data`` has no axis of items.
    progress_bar : bool, optional
        Show progress; by default if standard error is a terminal.
    memory_mb : float
        Approximate working memory of all threads; limits the number of steps that a layer runs at a time.
    threads : int, optional
        Number of threads; by default the number of cores that the process may use.
    precision : "float32" or "bfloat16"
        Precision of weights.  bfloat16 keeps 8 of their 24 bits and takes half the memory; sums and potentials are
        float32 in any case.  With bfloat16, spikes differ from those of other simulators.

    Attributes
    ----------
    data : dict of nengo.Probe to ndarray
        Samples of the probes: (items, samples, size), or (samples, size) without minibatch_size.
    dt, seed, n_steps, time, minibatch_size, closed
        As in Nengo.

    Raises
    ------
    ConversionError
        If the simulator does not support an object of the network; the message names it.
    SettingsError
        If an argument is invalid.

    Examples
    --------
    >>> with nengo_snnconv.Simulator(network, minibatch_size=len(x)) as sim:
    ...     sim.run_steps(32, data={network.input: x})
    ...     spikes = sim.data[network.probes["output"]]
    """

    def __init__(
        self,
        network: nengo.Network,
        dt: float = 0.001,
        seed: int | None = None,
        minibatch_size: int | None = None,
        *,
        progress_bar: bool | None = None,
        memory_mb: float = 500,
        threads: int | None = None,
        precision: str = "float32",
    ) -> None:
        self.closed = True
        if not isinstance(network, nengo.Network):
            raise SettingsError(f"expected a network, got {type(network).__name__}", argument="network")
        check_optional_counts(minibatch_size=minibatch_size)
        check_workers_count(threads=threads)
        check_positive(dt=dt, memory_mb=memory_mb)
        check_seed(seed, optional=True)
        check_progress(progress_bar, "progress_bar")
        if not isinstance(network, ConvNetwork):
            warn_of_other_weights(network, "call its freeze_params(network) first", closed=False)
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
        self._resets = Resets(network, self._runner)
        self._stateful = nengo_dl.config.get_setting(network, "stateful", True)
        self.closed = False
        self.reset()

    @property
    def dt(self) -> float:
        """Duration of a step in seconds."""
        return self._runner.dt

    @property
    def n_steps(self) -> int:
        """Number of steps since the last reset."""
        return self._runner.steps_done

    @property
    def time(self) -> float:
        """Seconds since the last reset."""
        return self.n_steps * self.dt

    def __enter__(self) -> Simulator:
        self._check_open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the simulation; the data of probes stay."""
        self.closed = True

    def reset(self, seed: int | None = None) -> None:
        """Set states and time back to the start, and empty the probes.

        Parameters
        ----------
        seed : int, optional
            New seed of the random processes of nodes.
        """
        check_seed(seed, optional=True)
        self.seed = self.seed if seed is None else int(seed)
        self.soft_reset(include_probes=True)

    def soft_reset(self, include_probes: bool = False) -> None:
        """Set states and time back to the start; empty the probes only if ``include_probes``."""
        self._check_open()
        self._runner.reset()
        self._resets.restart()
        rng = np.random.RandomState(self.seed)
        self._functions = {n: _function(n, self.dt, rng) for n in self._runner.view.sources if is_function(n)}
        if include_probes:
            self.clear_probes()

    def clear_probes(self) -> None:
        """Empty the probes."""
        self._samples: dict[Any, list[np.ndarray]] = {probe: [] for probe in self._runner.probes}

    def run(
        self,
        time_in_seconds: float,
        *,
        data: collections.abc.Mapping | None = None,
        progress_bar: bool | None = None,
    ) -> None:
        """Simulate for a time, rounded to whole steps; see :meth:`run_steps`."""
        if not is_number(time_in_seconds) or not 0 <= time_in_seconds < np.inf:
            raise SettingsError(
                f"time_in_seconds must be 0 or more, got {shown(time_in_seconds)}", argument="time_in_seconds"
            )
        n_steps = int(np.round(float(time_in_seconds) / self.dt))
        if n_steps == 0:
            warn_user(
                f"time_in_seconds={time_in_seconds} is less than half a step of {self.dt} s: nothing was simulated",
            )
        else:
            self.run_steps(n_steps, data=data, progress_bar=progress_bar)

    def step(self, *, data: collections.abc.Mapping | None = None) -> None:
        """Simulate one step; see :meth:`run_steps`."""
        self.run_steps(1, data=data, progress_bar=False)

    def run_steps(
        self, n_steps: int, *, data: collections.abc.Mapping | None = None, progress_bar: bool | None = None
    ) -> None:
        """Simulate a number of steps.

        They continue where the last call ended; or begin from the initial state if the network was configured with
        ``nengo_dl.configure_settings(stateful=False)``, as in NengoDL.

        Parameters
        ----------
        n_steps : int
            Number of time steps.
        data : dict of nengo.Node to ndarray, optional
            Outputs of nodes without input, which replace their own, (items, n_steps, size).  If they are the same in
            each step, also (items, 1, size), (items, size) or images (items, height, width, channel).
        progress_bar : bool, optional
            As in the constructor.

        Raises
        ------
        SettingsError
            If ``data`` have an invalid shape or value, or belong to no node without input.
        """
        self._check_open()
        check_counts(n_steps=n_steps)
        check_progress(progress_bar, "progress_bar")
        fed = {node: self._checked(node, values, n_steps) for node, values in self._data_by_node(data).items()}
        self._runner.check(n_steps, fed, self._runner.minibatch_size)  # before functions are called for each step
        if not self._stateful:
            self.soft_reset()
        show_progress = self._progress if progress_bar is None else progress_bar
        size = self._runner.minibatch_size
        with make_progress_bar(size * n_steps, "simulating", "image-step", show_progress) as bar:
            for piece in self._pieces(n_steps, fed):
                data = _in_steps(fed, piece)
                data.update(self._outputs_of_functions(piece.stop - piece.start, fed))
                for steps in self._resets.segments(piece.stop - piece.start, data):
                    part = _in_steps(data, steps)
                    results = self._runner.run(steps.stop - steps.start, part, progress=bar.update)
                    for probe, values in zip(self._runner.probes, results, strict=True):
                        self._samples[probe].append(values)

    def _pieces(self, n_steps, fed):
        """Yield the steps of pieces of a run, for each of which the outputs of functions fit in memory."""
        size = sum(node.size_out for node in self._functions if node not in fed)
        length = max(1, FUNCTION_BYTES // (4 * size)) if size else n_steps
        for start in range(0, n_steps, length):
            yield slice(start, min(start + length, n_steps))

    def trange(self, sample_every: float | None = None) -> np.ndarray:
        """Return the times in seconds at which a probe with this ``sample_every`` has samples."""
        steps = np.arange(1, self.n_steps + 1)
        if sample_every is not None:
            check_positive(sample_every=sample_every)
        period = 1 if sample_every is None else sample_every / self.dt
        return self.dt * steps[steps % period < 1]

    def _check_open(self):
        if self.closed and hasattr(self, "_samples"):
            raise nengo.exceptions.SimulatorClosed("this simulator is closed: create a new one")

    def _data_by_node(self, data):
        """Return the data as a dict, and check its nodes."""
        if data is None:
            return {}
        if not isinstance(data, collections.abc.Mapping):
            raise SettingsError(
                f"data must be a dict from nodes to arrays, such as {{network.input: x}}, got {type(data).__name__}",
                argument="data",
            )
        for node in data:
            if node not in self._runner.view.sources:
                raise SettingsError(
                    f"data: {node} is not a node without input of this network, such as network.input",
                    argument="data",
                )
        return dict(data)

    def _checked(self, node, values, n_steps):
        """Return the data of a node as float32 (items, steps, size), with a single step if all steps are the same."""
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
                f"data of {node} must have shape ({n_items}, {n_steps}, {size}), or ({n_items}, 1, {size}) if they are "
                f"the same in each step; got {shape}",
                argument="data",
            )
        same = values.shape[1] > 1 and (values[:, :1] == values).all()
        return values[:, :1] if same else values

    def _outputs_of_functions(self, n_steps, fed):
        """Return the outputs of functions of time and of processes in the next steps, which all items share."""
        outputs = {}
        times = self.dt * np.arange(self.n_steps + 1, self.n_steps + n_steps + 1)
        for node, function in self._functions.items():
            if node not in fed:
                outputs[node] = np.stack([_as_output(node, function(t), t) for t in times])[None]
        return outputs


def _in_steps(data: dict[nengo.Node, np.ndarray], steps: slice) -> dict[nengo.Node, np.ndarray]:
    """Return the data of nodes in some steps; data of a single step are the same in all."""
    return {node: values[:, steps] if values.shape[1] > 1 else values for node, values in data.items()}


def _function(node, dt, rng):
    """Return the function of time that a node computes; processes without a seed draw one from ``rng``."""
    process = node.output
    if not isinstance(process, nengo.Process):
        return process
    shapes = (0,), (node.size_out,)
    return process.make_step(*shapes, dt, process.get_rng(rng), process.make_state(*shapes, dt))


def _as_output(node, value, t):
    """Return the output of a node at time ``t`` as float32 (size,)."""
    name = f"the output of {node} at {t:g} s"
    value = as_float32([] if value is None and node.size_out == 0 else value, name)
    if value.size != node.size_out:
        raise SettingsError(f"{name} must have size {node.size_out}, got shape {value.shape}")
    return value.reshape(node.size_out).copy()  # some functions fill the same array in each call


class SimulationData(collections.abc.Mapping):
    """Samples of a simulator's probes, by probe."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    def __getitem__(self, probe: nengo.Probe) -> np.ndarray:
        if probe not in self._simulator._samples:
            raise KeyError(f"{probe} is not one of the {len(self)} probes of this network")
        parts, runner = self._simulator._samples[probe], self._simulator._runner
        # keep the joined array, so that it is not joined again
        values = np.concatenate(parts or [np.empty((runner.minibatch_size, 0, probe.obj.size_out), np.float32)], axis=1)
        values.flags.writeable = False
        parts[:] = [values]
        values = values if probe.slice is None else values[..., probe.slice]
        return values[0] if self._simulator.minibatch_size is None else values

    def __iter__(self) -> collections.abc.Iterator:
        return iter(self._simulator._samples)

    def __len__(self) -> int:
        return len(self._simulator._samples)
