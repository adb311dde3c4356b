"""Runs of a network on the fast simulator: programs, memory, threads and counters for minibatches."""

from __future__ import annotations

import concurrent.futures
import threading

import numpy as np

from .._util.progress import progress_bar
from .._util.system_info import n_cores
from .._util.validation import check_choice, check_counts, check_memory, check_workers_count, is_whole, shown
from ..errors import SettingsError
from .compile.compiler import Compiler
from .compile.network_view import NetworkView
from .compile.neuron_kinds import is_signed, kind_of
from .compile.state_layout import StateLayout
from .kernels.arguments import Counters, Run, new_workspace
from .kernels.interpreter import load
from .kernels.joint_steps import TOGETHER
from .program import aligned_zeros

# rows that one operation writes and the next one reads should stay in the second-level cache, but where they are too
# long for that, weights are still read once for several steps
CACHE_BYTES = 2**18
SHORTEST_CHUNK, LONGEST_CHUNK = TOGETHER, 64
MOST_IMAGES = 8  # that a thread runs in one call
PRECISIONS = ("float32", "bfloat16")


class ProgramRunner:
    """Compiles a network to programs and runs minibatches through them.

    Parameters
    ----------
    network : nengo.Network
    dt : float
    minibatch_size : int
    probes : list of nengo.Probe
    counted : dict of str to (Nengo object, float), optional
        Objects whose events are counted, and the factor from the magnitude of an event to a number of spikes; 0 counts
        each event as one.
    memory_mb : float
        Memory that all threads together may take; limits the number of steps of a chunk.
    threads : int, optional
        Number of threads; by default one for each core, or fewer if memory does not suffice for a step in each.
    precision : "float32" or "bfloat16"
        Precision of weights.

    Attributes
    ----------
    steps_done : int
        Number of steps since the reset.
    first_step : int
        Number of the step since the reset that is the first one for neurons whose steps are counted.
    state : ndarray, (images, numbers)
        States of neurons and filters.  Initial states are written when an image is first run.
    totals : dict of str to ndarray, (units,)
        Counts of all runs.
    per_step : dict of str to ndarray, (steps,)
        Counts of the last run.
    negative : dict of str to float
        Counts of negative spikes in all runs, for the counted neurons that can emit them.
    """

    def __init__(
        self, network, dt, minibatch_size, probes, counted=None, *, memory_mb=500, threads=None, precision="float32"
    ):
        self.dt, self.minibatch_size, self.probes = dt, minibatch_size, list(probes)
        self.counted = counted or {}
        self.memory_mb, self.precision = memory_mb, precision
        check_choice(PRECISIONS, precision=precision)
        check_workers_count(threads=threads)
        self.threads, self._all_cores = n_cores() if threads is None else threads, threads is None
        self.view = NetworkView(network, self.probes, [obj for obj, _ in self.counted.values()])
        self.layout, self.programs = StateLayout(), {}
        # where the counts of each object begin and end
        self._count_ends = np.cumsum([0, *(obj.size_out for obj, _ in self.counted.values())])
        self._totals = np.zeros(self._count_ends[-1])
        self.negative = {name: 0.0 for name, (obj, weight) in self.counted.items() if weight and is_signed(obj)}
        fed = {node: False for node in [getattr(network, "input", None)] if node in self.view.sources}
        self.program(fed)  # compiled here, so that it does not count as simulation time
        self.state = np.empty((minibatch_size, 0), np.float32)
        self.reset()

    def reset(self, first_item=0):
        """Set states and time back to the start.

        Parameters
        ----------
        first_item : int
            Number of the first image in its minibatch, on which Poisson spikes depend.
        """
        self.steps_done, self.first_step, self.first_item = 0, 0, first_item

    def keep(self, rows):
        """Continue with some images of the last run only, which move to the first places.

        Parameters
        ----------
        rows : ndarray of int
            Their places, in order.
        """
        kept, places = self.state[rows], np.arange(len(rows))
        for begin, size in self.layout.item_numbers:  # the number of an image is this state plus its place
            kept[:, begin : begin + size] += (rows - places)[:, None]
        self.state[places] = kept

    def set_initial(self, items, chosen):
        """Set states of some images back to their initial values.

        Parameters
        ----------
        items : ndarray of bool, (images,)
        chosen : callable
            Takes a key of the layout; returns whether its states are set.
        """
        mask, initial = self.layout.mask(chosen), self.layout.initial_memory(self.first_item)
        self.state[np.ix_(items, mask)] = initial[mask]

    def program(self, fed):
        """Return the program for a choice of nodes that are fed: (Program, chunk, function that runs it).

        Parameters
        ----------
        fed : dict of nengo.Node to bool
            True for nodes whose data change from step to step.
        """
        key = tuple(fed.items())
        if key not in self.programs:
            compiler = Compiler(self.view, self.dt, fed, self.layout)
            for number, probe in enumerate(self.probes):
                compiler.record(probe, number)
            counted = zip(self.counted.values(), self._count_ends[:-1], strict=True)
            negative = {name: len(self.counted) + row for row, name in enumerate(self.negative)}
            for number, (name, ((obj, weight), begin)) in enumerate(zip(self.counted, counted, strict=True)):
                compiler.count(obj, weight, int(begin), number, negative.get(name))
            chunk = self._chunk(compiler.writer)
            program = compiler.writer.finish(chunk, self.precision)
            self.programs[key] = program, chunk, _load(program.arrays, self.threads)
        return self.programs[key]

    def _chunk(self, writer):
        """Return the number of steps of a chunk."""
        bytes_per_step = max(writer.bytes_per_step, 1)
        if self._all_cores:  # no more threads than have room for a step each
            self.threads = max(1, min(self.threads, int(self.memory_mb * 1e6 / bytes_per_step)))
        allowed = self.memory_mb * 1e6 / self.threads / bytes_per_step
        groups = round(CACHE_BYTES / (4 * max(writer.widest_row, 1)) / TOGETHER)
        fitting = max(SHORTEST_CHUNK, TOGETHER * groups)
        length = max(1, int(min(fitting, allowed, LONGEST_CHUNK)))
        return length - length % TOGETHER if length > TOGETHER else length

    def run(self, n_steps, data, n_images=None, progress=None):
        """Run a number of steps.

        Parameters
        ----------
        n_steps : int
        data : dict of nengo.Node to ndarray of float32, (images or 1, n_steps or 1, size)
        n_images : int, optional
            Number of images of the minibatch, from the first one; by default all.
        progress : callable, optional
            Called with the number of image-steps that were computed.

        Returns
        -------
        list of ndarray, (images, samples, size)
            Samples of each probe.
        """
        n_images = self.minibatch_size if n_images is None else n_images
        program, execute, run, initial, shapes = self.prepare(n_steps, data, n_images)
        counters = self._run_threads(execute, program, run, initial, progress)
        self.steps_done += n_steps
        self._totals += sum(counts.per_unit for counts in counters)
        per_step = sum(counts.per_step for counts in counters)
        self.per_step = dict(zip(self.counted, per_step[: len(self.counted)], strict=True))
        for name, by_step in zip(self.negative, per_step[len(self.counted) :], strict=True):
            self.negative[name] += float(by_step.sum())
        ends = _ends(shapes)
        return [
            run.results[:, begin:end].reshape(n_images, *shape)
            for begin, end, shape in zip(ends[:-1], ends[1:], shapes, strict=True)
        ]

    def prepare(self, n_steps, data, n_images):
        """Return what a run needs: (Program, function that runs it, Run, initial states, shapes of samples).

        Initial states are those of an image, None if the run continues another one.
        """
        self.check(n_steps, data, n_images)
        program, chunk, execute = self.program({node: values.shape[1] > 1 for node, values in data.items()})
        sample_rows, shapes = self._samples(n_steps)
        ends = _ends(shapes)
        operations = program.arrays.operations
        operations["target"][program.records] = ends[operations["parameter"][program.records]]
        flat_data, inputs = _joined(data)
        results = np.empty((n_images, ends[-1]), np.float32)
        initial = self._allocate_state(n_images) if self.steps_done == 0 else None
        before = self.steps_done - self.first_step
        run = Run(n_steps, chunk, before, flat_data, inputs, self.state, results, sample_rows)
        return program, execute, run, initial, shapes

    def _samples(self, n_steps):
        """Return Run.sample_rows, and the shape of each probe's samples: (samples, size)."""
        steps = np.arange(self.steps_done + 1, self.steps_done + n_steps + 1)
        sampled = [steps % _period(probe, self.dt) < 1 for probe in self.probes]
        rows = np.array([np.where(mask, np.cumsum(mask) - 1, -1) for mask in sampled], np.int64)
        shapes = [(int(mask.sum()), probe.obj.size_out) for mask, probe in zip(sampled, self.probes, strict=True)]
        return rows.reshape(len(sampled), n_steps), shapes

    def _allocate_state(self, n_images):
        """Make room for the states; return the initial states of an image."""
        initial = self.layout.initial_memory(self.first_item)
        if self.state.shape[1] != len(initial):
            check_memory(
                4 * self.minibatch_size * len(initial),
                f"the state of neurons for minibatch_size={self.minibatch_size}",
                "simulate fewer images together",
            )
            self.state = aligned_zeros(self.minibatch_size * len(initial)).reshape(self.minibatch_size, -1)
        self.state[n_images:] = initial
        return initial

    def _run_threads(self, execute, program, run, initial, progress):
        """Run the images on all threads, a few images at a time; return the counters of each thread."""
        blocks = _blocks(len(run.results), self.threads)
        lock, stop = threading.Lock(), threading.Event()

        def work():
            workspace, counters = new_workspace(program, run.chunk), self.counters(run.n_steps)
            while not stop.is_set():
                with lock:
                    images = next(blocks, None)
                if images is None:
                    break
                if initial is not None:
                    self.state[slice(*images)] = initial
                execute(images, program.arrays, run, counters, workspace)
                if progress:
                    with lock:
                        progress((images[1] - images[0]) * run.n_steps)
            return counters

        # this thread works, too, because starting one takes as long as many images
        with concurrent.futures.ThreadPoolExecutor(max(1, self.threads - 1)) as pool:
            workers = [pool.submit(work) for _ in range(self.threads - 1)]
            try:
                return [work(), *(worker.result() for worker in workers)]
            finally:
                stop.set()  # after an interrupt, or an error in one of them

    def check(self, n_steps, data, n_images):
        """Check the arguments of :meth:`run`; with wrong shapes, compiled code would access memory that is not its own.

        Raises
        ------
        SettingsError
        """
        check_counts(n_steps=n_steps)
        if not is_whole(n_images) or not 1 <= n_images <= self.minibatch_size:
            raise SettingsError(
                f"n_images must be from 1 to minibatch_size={self.minibatch_size}, got {shown(n_images)}",
                argument="n_images",
            )
        for node, values in data.items():
            shape = getattr(values, "shape", ())
            if (
                len(shape) != 3
                or shape[0] not in (1, n_images)
                or shape[1] not in (1, n_steps)
                or shape[2] != node.size_out
            ):
                raise SettingsError(
                    f"data of {node} must have shape ({n_images} or 1, {n_steps} or 1, {node.size_out}), got {shape}",
                    argument="data",
                )
        numbers = sum(probe.obj.size_out * n_steps / _period(probe, self.dt) for probe in self.probes)
        # together with the numbers of steps and the rows of samples
        check_memory(
            4 * n_images * numbers + n_steps * (16 + 26 * len(self.probes)),
            f"the samples of all probes for {n_images} images in n_steps={n_steps}",
            "run fewer steps at a time, or fewer images",
        )

    def initial_state(self, neurons, name):
        """Return the initial state of neurons, (neurons,); None if they have no such state or are not simulated."""
        key, states = self.view.stand_in(neurons), kind_of(neurons.ensemble.neuron_type, self.dt).states
        if name not in states or key not in self.layout.initial:
            return None
        return self.layout.initial[key][states.index(name)]

    @property
    def totals(self):
        return {
            name: self._totals[begin:end].copy()
            for name, begin, end in zip(self.counted, self._count_ends[:-1], self._count_ends[1:], strict=True)
        }

    def counters(self, n_steps):
        """Return Counters of a thread, for a run of ``n_steps`` steps."""
        rows = len(self.counted) + len(self.negative)
        return Counters(np.zeros_like(self._totals), np.zeros((rows, n_steps)))


def _load(arrays, n_cores):
    """Load the function that runs a program; show progress if code must be compiled for more than a second."""
    n_operations = len(np.unique(arrays.operations["code"]))
    with progress_bar(n_operations + 1, "compiling the simulator, once on this machine", " functions", delay=1) as bar:
        return load(arrays, bar.update, n_cores)


def _blocks(n_images, n_threads):
    """Yield the images that a thread runs next, [first, one behind the last]; fewer towards the end.

    So no thread has much to do when the others have finished.
    """
    first = 0
    while first < n_images:
        end = first + max(1, min(MOST_IMAGES, (n_images - first) // (4 * n_threads)))
        yield np.array([first, end])
        first = end


def _ends(shapes):
    """Return where the results of each probe begin and end among those of an image, from their shapes."""
    return np.cumsum([0, *(rows * size for rows, size in shapes)])


def _period(probe, dt):
    """Return the number of steps between two samples of a probe."""
    return 1 if probe.sample_every is None else probe.sample_every / dt


def _joined(data):
    """Return Run.data and Run.inputs for data of nodes."""
    inputs, begin = np.zeros((len(data), 3), np.int64), 0
    for row, values in zip(inputs, data.values(), strict=True):
        n_images, n_steps, size = values.shape
        row[:] = begin, n_steps * size if n_images > 1 else 0, size if n_steps > 1 else 0
        begin += values.size
    # writable, because code is compiled for writable arrays
    parts = [np.require(values, np.float32, "CW").ravel() for values in data.values()]
    return parts[0] if len(parts) == 1 else np.concatenate([*parts, np.zeros(1, np.float32)]), inputs
