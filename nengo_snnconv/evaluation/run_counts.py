"""RunCounts: predictions or errors, scores and spikes of a run, from a simulation or from the closed form."""

from __future__ import annotations

import dataclasses
import time
import typing

import numpy as np
from nengo.params import Default

from .._util.progress import progress_bar
from .._util.validation import check_counts, check_memory, check_run
from ..inputs import Images, batches, warn_of_clipped_input
from ..model.memory import bytes_of_all, images_together
from ..networks.stages import stages
from ..networks.ttfs import TTFSConfig
from .backends import backend_name
from .runner import Runner
from .task import classes_of
from .ttfs_closed_form import ClosedForm

if typing.TYPE_CHECKING:
    from ..inputs import Inputs
    from ..networks.network import ConvNetwork
    from .run_options import RunOptions
    from .task import Task


@dataclasses.dataclass(frozen=True, eq=False)
class RunCounts:
    """Predictions and scores of a network for each image, and its spikes summed over images.

    Attributes
    ----------
    records : ndarray, (steps, images, ...)
        What the head keeps of each step, see :meth:`.Head.record`: classes, int32 (steps, images), or labels, bool
        (steps, images, labels), or errors of a regression.
    scores : ndarray, (images, outputs)
        Scores after the last step.
    totals : dict of str to ndarray, (neurons,)
        Number of events of each unit over all images and steps, for each layer that emits events.
    per_step : dict of str to ndarray, (steps,)
        Number of events of each such layer in each step, over all images.
    seconds, build_seconds : float
        Wall time of the run, and of building the simulation.
    backend : str
        Name of the back end that was used.
    negative : dict of str to float
        Number of negative spikes over all images and steps, for each layer whose neurons can emit them.
    margins : ndarray of float32, (steps, images), or None
        Margin after each step, see :meth:`.Head.margins`; NaN after an image has stopped.  None if not recorded.
    stop_steps : ndarray of int, (images,), or None
        Number of steps of each image; None if all have run for all steps.
    """

    records: np.ndarray
    scores: np.ndarray
    totals: dict[str, np.ndarray]
    per_step: dict[str, np.ndarray]
    seconds: float
    build_seconds: float
    backend: str = "fast"
    negative: dict[str, float] = dataclasses.field(default_factory=dict)
    margins: np.ndarray | None = None
    stop_steps: np.ndarray | None = None


class Observer(typing.Protocol):
    """An object that sees everything that a simulation records, while it runs."""

    def begin(self, runner: Runner) -> None:
        """Receive the runner before the first chunk."""

    def see(self, images, steps, output, readout, activity) -> None:
        """Receive the fields of a :class:`~.runner.Chunk`."""


def count_run(
    network: ConvNetwork,
    inputs: Inputs,
    n_steps: int,
    options: RunOptions,
    task: Task | None = None,
    *,
    progress: bool | None = None,
    observer: Observer | None = None,
    place: int | None = None,
) -> RunCounts:
    """Run a network and count its spikes; in closed form if there is one and the options allow it.

    ``task`` is that of the inputs, by default to classify them; ``place`` is for inputs that are part of others, as for
    :meth:`Runner.run`.
    """
    task = task or classes_of(network.model)
    if observer is None and allows_closed_form(network, options):
        return _count_closed_form(network, inputs, n_steps, options, task, progress, place)
    return _count_simulation(network, inputs, n_steps, options, task, progress, observer, place)


def allows_closed_form(network: ConvNetwork, options: RunOptions) -> bool:
    """Return whether the closed form of time to first spike gives the results that the options ask for."""
    return (
        isinstance(network.settings, TTFSConfig)
        and options.backend in (None, "fast")
        and (options.synapse is Default or options.synapse is None)
        and not options.skip_steps
        and options.precision == "float32"
        and options.stop is None
        and options.threads is None  # only the simulator observes it
    )


def closed_form_batch(network: ConvNetwork, options: RunOptions) -> int:
    """Return the number of images that the closed form computes together."""
    if options.minibatch_size is not None:
        return options.minibatch_size
    # memory holds the levels of all layers, and the scores after each step of a stage
    assert isinstance(network.settings, TTFSConfig)
    scores = 4 * network.model.size(network.model.output) * network.settings.stage_steps
    return images_together(2 * bytes_of_all(network.model) + scores, options.memory_mb)


def check_size_of_results(n_items: int, n_steps: int) -> None:
    """Check that the predictions and margins of all images after all steps fit into memory."""
    check_counts(n_steps=n_steps)
    predictions = f"the predictions and margins for {n_items:,} images after each of n_steps={n_steps} steps"
    check_memory(8 * n_items * n_steps, predictions, "take fewer steps or fewer images")


def _count_simulation(network, inputs, n_steps, options, task, progress, observer, place):
    """Return the RunCounts of a simulation, step by step."""
    model, started = network.model, time.perf_counter()
    n_items = len(inputs)
    check_size_of_results(n_items, n_steps)
    runner = Runner(network, n_steps, n_items, options, with_activity=observer is not None)
    build_seconds = time.perf_counter() - started
    if observer is not None:
        observer.begin(runner)
    records = _Records(task, n_steps, n_items)
    margins, stop_steps = np.full((n_steps, n_items), np.nan, np.float32), np.full(n_items, n_steps)
    scores = np.empty((n_items, model.size(model.output)), np.float32)
    counted = [*runner.recorded, *([model.input] if runner.counts_frames(inputs) else [])]
    totals = {name: np.zeros(model.size(name)) for name in counted}
    per_step = {name: np.zeros(n_steps) for name in counted}
    negative = dict.fromkeys(runner.signed, 0.0)
    started = time.perf_counter()
    with runner, progress_bar(n_items * n_steps, "simulating", "image-step", progress) as bar:
        for chunk in runner.run(inputs, place, task.head.margins):
            images, steps, _, readout, activity = chunk
            if observer is not None:
                observer.see(*chunk)
            records.add(readout, images, steps)
            scores[images], margins[steps, images] = readout[:, -1], task.head.margins(readout).T
            stop_steps[images] = steps.stop
            for name, values in activity.items():
                if name in negative:
                    negative[name] += float(runner.counts(name, np.minimum(values, 0).sum(axis=0)).sum())
                    values = np.abs(values)
                by_step = runner.counts(name, values.sum(axis=0))
                totals[name] += by_step.sum(axis=0)
                per_step[name][steps] += by_step.sum(axis=1)
            if runner.counts_itself:
                for name, by_step in runner.simulator.per_step.items():
                    per_step[name][steps] += by_step
            bar.update(readout.shape[0] * readout.shape[1])
    if runner.counts_itself:
        totals |= runner.simulator.totals
        negative |= runner.simulator.negative
    seconds, backend = time.perf_counter() - started, backend_name(runner.simulator)
    counts = records.array, scores, totals, per_step, seconds, build_seconds, backend, negative
    if options.stop is None:
        return RunCounts(*counts, margins)
    for step in range(1, n_steps):  # an image that has stopped keeps its decision
        stopped = stop_steps <= step
        records.array[step, stopped] = records.array[step - 1, stopped]
    return RunCounts(*counts, margins, stop_steps)


def _count_closed_form(network, inputs, n_steps, options, task, progress, place):
    """Return the same RunCounts from the closed form of time to first spike, all steps at once."""
    check_run(n_steps, 0, options.dt)
    check_size_of_results(len(inputs), n_steps)
    if network.settings.input_spikes and (place is None or not isinstance(inputs, Images)):
        warn_of_clipped_input(batches(inputs), network.settings)
    from .ttfs_spike_counter import SpikeCounter  # loads Numba, which simulations may not need

    model, started = network.model, time.perf_counter()
    form, stage_steps, stage_of = ClosedForm(network), network.settings.stage_steps, stages(model)
    build_seconds = time.perf_counter() - started
    n_items, minibatch_size = len(inputs), closed_form_batch(network, options)
    records, n_outputs = _Records(task, n_steps, n_items), model.size(model.output)
    margins = np.zeros((n_steps, n_items), np.float32)
    scores = np.empty((n_items, n_outputs), np.float32)
    silent = slice(0, n_steps - stage_steps)  # before the last stage all scores are 0
    counters = {name: SpikeCounter(model.size(name), stage_steps) for name in form.emitters}
    started = time.perf_counter()
    with progress_bar(n_items, "computing", "image", progress) as bar:
        for first in range(0, n_items, minibatch_size):
            images = slice(first, first + minibatch_size)
            levels = form.levels(inputs.batch(images))
            outputs = form.outputs(levels).numpy()
            outputs = outputs.reshape(*outputs.shape[:2], n_outputs)
            records.add(outputs.swapaxes(0, 1), images, slice(silent.stop, n_steps))
            records.add(np.zeros((outputs.shape[1], 1, n_outputs), np.float32), images, silent)
            margins[silent.stop :, images] = task.head.margins(outputs)
            scores[images] = outputs[-1]
            for name, counter in counters.items():
                # a view of the tensor's memory, which numpy() would copy
                counter.add(np.asarray(memoryview(levels[name])))
            bar.update(outputs.shape[1])
    per_step = {}
    for name, counter in counters.items():
        per_step[name] = np.zeros(n_steps)
        begin = stage_of[name] * stage_steps
        per_step[name][begin : begin + stage_steps] = counter.histogram[:0:-1]
    totals = {name: counter.spikes.astype(float) for name, counter in counters.items()}
    seconds = time.perf_counter() - started
    return RunCounts(records.array, scores, totals, per_step, seconds, build_seconds, margins=margins)


class _Records:
    """Records of all images and steps; their shape and type are those of the first ones."""

    def __init__(self, task, n_steps, n_items):
        self.task, self.n_steps, self.n_items, self.array = task, n_steps, n_items, None

    def add(self, outputs, images, steps):
        """Add the records of outputs (images, steps, outputs); one step stands for all ``steps``."""
        found = self.task.record(outputs, images).swapaxes(0, 1)
        if self.array is None:
            entries, content = found[0, 0].nbytes, "what is kept of each image after each step"
            check_memory(
                entries * self.n_items * self.n_steps, f"{content}, {entries} bytes,", "take fewer steps or images"
            )
            self.array = np.empty((self.n_steps, self.n_items, *found.shape[2:]), found.dtype)
        self.array[steps, images] = found
