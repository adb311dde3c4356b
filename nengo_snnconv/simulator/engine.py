"""The engine of the fast simulator: memory, threads, and runs of a network's program over a minibatch."""

import concurrent.futures
import threading

import numpy as np

from .._util.progress import progress_bar
from .._util.system_info import n_cores
from .._util.validation import check_choice, check_counts, check_memory, check_workers_count, is_whole, shown
from ..errors import SettingsError
from .compile.compiler import Compiler, Layout
from .compile.neuron_kinds import kind_of
from .compile.objects import Objects
from .compile.program import aligned_zeros
from .kernels.interpreter import execute
from .kernels.kernels import BLOCK
from .kernels.vectors import LANES

# the rows of a chunk that one operation writes and the next one reads should stay in the second-level cache
CACHE_BYTES = 2**18
LONGEST_CHUNK = 64
PRECISIONS = ("float32", "bfloat16")


class Engine:
    """Runs minibatches through a network.

    Parameters
    ----------
    network : nengo.Network
    dt : float
    minibatch_size : int
    probes : list of nengo.Probe
    counted : dict of str to (Nengo object, float)
        What is counted, and by what its output is multiplied to give a number of spikes; 0 to count any output but
        zero as one.
    memory_mb : float
        That threads may take to work in; sets how many steps are a chunk.
    threads : int, optional
        By default as many as there are cores, if each has room for a step of an image.
    precision : "float32" or "bfloat16"
        Of weights.

    Attributes
    ----------
    done : int
        Steps since the reset.
    memory : ndarray, (images, numbers)
        States of neurons and filters, but for those at the start, which an image gets when it is its turn.
    totals : dict of str to ndarray, (units,)
        Counts since the engine was made.
    per_step : dict of str to ndarray, (steps,)
        Those of the last run.
    """

    def __init__(
        self, network, dt, minibatch_size, probes, counted=None, memory_mb=500, threads=None, precision="float32"
    ):
        self.dt, self.minibatch_size, self.probes = dt, minibatch_size, list(probes)
        self.counted = counted or {}
        self.memory_mb, self.precision = memory_mb, precision
        check_choice(PRECISIONS, precision=precision)
        check_workers_count(threads=threads)
        self.threads, self._all_cores = n_cores() if threads is None else threads, threads is None
        self.objects = Objects(network, self.probes, [obj for obj, _ in self.counted.values()])
        self.layout, self.programs = Layout(), {}
        fed = {node: False for node in [getattr(network, "input", None)] if node in self.objects.sources}
        sizes = [obj.size_out for obj, _ in self.counted.values()]
        self.ends = np.cumsum([0, *sizes])
        self._totals = np.zeros(self.ends[-1])
        self._load(*self.program(fed))
        self.memory = np.empty((minibatch_size, 0), np.float32)
        self.reset()

    def reset(self, place=0):
        """Begin anew; the first image has this place in its minibatch, which Poisson spikes depend on."""
        self.done, self.place = 0, place

    def program(self, fed):
        """(Program, chunk) for the nodes that are fed, and whether each of them changes from step to step."""
        key = tuple(fed.items())
        if key not in self.programs:
            compiler = Compiler(self.objects, self.dt, fed, self.layout)
            for number, probe in enumerate(self.probes):
                compiler.record(probe, number)
            begin = 0
            for number, (obj, weight) in enumerate(self.counted.values()):
                compiler.count(obj, weight, begin, number)
                begin += obj.size_out
            bytes_per_step = max(compiler.bytes_per_step, 1)
            if self._all_cores:  # not more threads than a step of each has room for
                self.threads = max(1, min(self.threads, int(self.memory_mb * 1e6 / bytes_per_step)))
            allowed = self.memory_mb * 1e6 / self.threads / bytes_per_step
            chunk = int(min(CACHE_BYTES / (4 * max(compiler.widest, 1)), allowed, LONGEST_CHUNK))
            chunk = max(chunk, 1)
            self.programs[key] = compiler.finish(chunk, self.precision), chunk
        return self.programs[key]

    def run(self, n_steps, data, n_images=None, progress=None):
        """Go on for ``n_steps``.

        Parameters
        ----------
        n_steps : int
        data : dict of nengo.Node to ndarray of float32, (images or 1, n_steps or 1, size)
        n_images : int, optional
            Run the first ones of the minibatch only.
        progress : callable, optional
            Is told how many image-steps are done.

        Returns
        -------
        list of ndarray, (images, samples, size)
            What the probes saw.
        """
        n_images = self.minibatch_size if n_images is None else n_images
        self.check(n_steps, data, n_images)
        program, chunk = self.program({node: values.shape[1] > 1 for node, values in data.items()})
        flat, inputs = _packed(data)
        steps = np.arange(self.done + 1, self.done + n_steps + 1)
        sampled = [steps % _period(probe, self.dt) < 1 for probe in self.probes]
        places = np.array([np.where(kept, np.cumsum(kept) - 1, -1) for kept in sampled], np.int64)
        places = places.reshape(len(sampled), n_steps)
        shapes = [(int(kept.sum()), probe.obj.size_out) for kept, probe in zip(sampled, self.probes, strict=True)]
        # where the results of each probe begin among those of an image
        ends = np.cumsum([0, *(rows * size for rows, size in shapes)])
        program.operations["target"][program.records] = ends[program.operations["number"][program.records]]
        results = np.empty((n_images, ends[-1]), np.float32)
        block = max(1, min(8, n_images // (4 * self.threads)))
        blocks, lock, stop = iter(range(0, n_images, block)), threading.Lock(), threading.Event()

        initial = self.layout.initial(self.place) if self.done == 0 else None
        if initial is not None:
            if self.memory.shape[1] != len(initial):
                check_memory(
                    4 * self.minibatch_size * len(initial),
                    f"the state of neurons for minibatch_size={self.minibatch_size}",
                    "simulate fewer images together",
                )
                whole = aligned_zeros(self.minibatch_size * len(initial))
                self.memory = whole.reshape(self.minibatch_size, -1)
            self.memory[n_images:] = initial
        task = (n_steps, chunk, self.done, *program.arrays, flat, inputs, self.memory, results, places)

        def work():
            memory, counters = _workspace(program, chunk), self._counters(n_steps)
            while not stop.is_set():
                with lock:
                    first = next(blocks, None)
                if first is None:
                    break
                images = np.array([first, min(first + block, n_images)])
                if initial is not None:
                    self.memory[slice(*images)] = initial
                execute(images, *task, *counters, *memory)
                if progress:
                    with lock:
                        progress((images[1] - images[0]) * n_steps)
            return counters

        with concurrent.futures.ThreadPoolExecutor(self.threads) as pool:
            workers = [pool.submit(work) for _ in range(self.threads)]
            try:
                counts = [worker.result() for worker in workers]
            finally:
                stop.set()  # an interrupt, or an error in one of them
        self.done += n_steps
        self._totals += sum(totals for totals, _ in counts)
        self.per_step = dict(zip(self.counted, sum(per_step for _, per_step in counts), strict=True))
        return [
            results[:, begin:end].reshape(n_images, *shape)
            for begin, end, shape in zip(ends[:-1], ends[1:], shapes, strict=True)
        ]

    def check(self, n_steps, data, n_images):
        """Raise SettingsError for what does not fit: the compiled machine would read and write beyond its memory."""
        check_counts(n_steps=n_steps)
        if not is_whole(n_images) or not 1 <= n_images <= self.minibatch_size:
            raise SettingsError(
                f"a run must have from 1 to {self.minibatch_size} images, as many as the simulator was made for, got "
                f"{shown(n_images)}"
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
                    f"what {node} shows must have shape ({n_images} or 1, {n_steps} or 1, {node.size_out}), got {shape}"
                )
        seen = sum(probe.obj.size_out * n_steps / _period(probe, self.dt) for probe in self.probes)
        # with the numbers of steps and, for each probe, where its samples go
        check_memory(
            4 * n_images * seen + n_steps * (16 + 26 * len(self.probes)),
            f"what the probes see of {n_images} images in n_steps={n_steps}",
            "run fewer steps at a time, or fewer images",
        )

    def _load(self, program, chunk):
        """Load the machine, or have it compiled, before anything is timed."""
        nothing, numbers = np.zeros(2, np.int64), np.zeros((0, 1), np.float32)
        places, inputs = np.zeros((len(self.probes), 1), np.int64), np.zeros((0, 3), np.int64)
        task = (1, chunk, 0, *program.arrays, numbers.ravel(), inputs, numbers, numbers, places)
        with progress_bar(1, "loading the simulator (compiled once, which takes a minute)", "s"):
            execute(nothing, *task, *self._counters(1), *_workspace(program, chunk))

    def initial_state(self, neurons, name):
        """A state of neurons at the start, (neurons,); None where they have none of that name, or are not simulated."""
        stands, states = self.objects.stand_in(neurons), kind_of(neurons.ensemble.neuron_type, self.dt).states
        if name not in states or stands not in self.layout.states:
            return None
        return self.layout.states[stands][states.index(name)]

    @property
    def totals(self):
        return {
            name: self._totals[begin:end].copy()
            for name, begin, end in zip(self.counted, self.ends[:-1], self.ends[1:], strict=True)
        }

    def _counters(self, n_steps):
        return np.zeros_like(self._totals), np.zeros((len(self.counted), n_steps))


def _period(probe, dt):
    return 1 if probe.sample_every is None else probe.sample_every / dt


def _packed(data):
    """The data of all nodes one after another, and for each where they begin and their strides."""
    inputs, begin = np.zeros((len(data), 3), np.int64), 0
    for row, values in zip(inputs, data.values(), strict=True):
        n_images, n_steps, size = values.shape
        row[:] = begin, n_steps * size if n_images > 1 else 0, size if n_steps > 1 else 0
        begin += values.size
    # writable as well, because compiled code is made for either kind
    parts = [np.require(values, np.float32, "CW").ravel() for values in data.values()]
    return parts[0] if len(parts) == 1 else np.concatenate([*parts, np.zeros(1, np.float32)]), inputs


def _workspace(program, chunk):
    """Memory for a thread: arena, index, value, counts, flags, spikes, touched and starts."""
    widest = max(3 * BLOCK, int(program.operations["size"].max(initial=0))) + 3 * LANES
    return (
        aligned_zeros(program.arena + 1),
        np.empty(program.event_arena + 1, np.int32),
        np.empty(program.event_arena + 1, np.float32),
        np.zeros((len(program.events), chunk), np.int64),
        np.zeros(BLOCK, np.uint8),
        np.zeros(widest, np.float32),
        np.zeros(widest, np.int32),
        np.zeros(chunk * (int(program.gatherings["places"].max(initial=0)) + 1), np.int32),
    )
