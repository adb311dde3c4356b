"""count_in_processes: the counts of a run whose images are split among processes."""

from __future__ import annotations

import dataclasses
import time
import typing
import warnings

from .._util.user_warnings import warn_user
from ..errors import ConversionError, SnnConvWarning
from ..inputs import Images, batches, warn_of_clipped_input
from ..jobs import Job, run_jobs
from ..networks.edits import check_unedited
from ..networks.network import ConvNetwork
from ..networks.trainable import check_collected
from .backends import BACKENDS
from .run_counts import allows_closed_form, check_size_of_results, closed_form_batch, count_run
from .run_options import RunOptions
from .runner import Runner, places
from .shards import IMAGES_PER_SHARD, merge_counts, split_images

if typing.TYPE_CHECKING:
    from ..inputs import Inputs
    from .run_counts import RunCounts
    from .task import Task


def count_in_processes(
    network: ConvNetwork,
    inputs: Inputs,
    n_steps: int,
    options: RunOptions,
    task: Task,
    n_jobs: int,
    *,
    progress: bool | None = None,
) -> RunCounts:
    """Run parts of the images in processes on this machine, and return the counts of ``count_run``.

    The images are split such that every image keeps its place in its minibatch, and, if others in the minibatch affect
    how sums are rounded, also its minibatch.  Warnings and errors of the processes are those of this process.

    Parameters
    ----------
    network : ConvNetwork
    inputs : Inputs
    n_steps : int
    options : RunOptions
    task : Task
    n_jobs : int
        Number of processes.
    progress : bool, optional

    Returns
    -------
    RunCounts
        ``seconds`` is the wall time of all parts, with the start of the processes.
    """
    check_unedited(network)
    check_collected(network)
    check_size_of_results(len(inputs), n_steps)
    started = time.perf_counter()
    parts = _split(network, inputs, n_steps, options, n_jobs)
    # others travel without a value, since not every default is itself after a journey to another process
    changed = {
        field.name: value
        for field in dataclasses.fields(options)
        if (value := getattr(options, field.name)) is not field.default
    }
    n_places = places(options)
    jobs = {
        Job({"part": number}, ("run", f"images {number}"), {"place": part.start % n_places}): number
        for number, part in enumerate(parts)
    }
    shared = {
        f"images {number}": lambda part=part: (inputs.take(part), task.for_records(part))
        for number, part in enumerate(parts)
    }
    # the parts know only their own images
    if network.settings.input_spikes and isinstance(inputs, Images):
        warn_of_clipped_input(batches(inputs), network.settings)
    build_seconds, started = time.perf_counter() - started, time.perf_counter()
    counts, messages = {}, {}

    def on_result(job, result):
        counts[jobs[job]], caught = result
        messages.update(dict.fromkeys(caught))

    run_jobs(
        _count_part,
        list(jobs),
        on_result,
        shared={"run": lambda: (network.model, network.settings, n_steps, changed), **shared},
        n_jobs=n_jobs,
        description="simulating",
        progress=progress,
    )
    for message in messages:
        warn_user(message)
    merged = merge_counts([counts[number] for number in range(len(parts))])
    return dataclasses.replace(merged, seconds=time.perf_counter() - started, build_seconds=build_seconds)


def _split(network, inputs, n_steps, options, n_jobs):
    """Return slices of the images: equally many for each process, and at most IMAGES_PER_SHARD in each."""
    n_parts = n_jobs * -(-len(inputs) // (n_jobs * IMAGES_PER_SHARD))
    return split_images(len(inputs), _images_that_stay_together(network, n_steps, options), n_parts)


def _images_that_stay_together(network, n_steps, options):
    """Return the size of the blocks at whose borders the images may be split; 1 if images do not affect each other.

    Opens the fast simulator, so that errors are raised, and functions compiled, before processes start.
    """
    if allows_closed_form(network, options):
        return closed_form_batch(network, options)
    if options.backend in (None, "fast"):
        try:
            Runner(network, n_steps, 1, dataclasses.replace(options, backend="fast"), with_activity=False)
            return 1
        except ConversionError:
            if options.backend == "fast":
                raise
    backend = BACKENDS[options.backend or "nengo_dl"]
    return 1 if backend.one_by_one else places(options)


def _count_part(run, images, *, threads, place):
    """Run a network on part of the images, and return its RunCounts and the texts of warnings."""
    (model, settings, n_steps, options), (inputs, task) = run, images
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SnnConvWarning)
        options = RunOptions(**options, threads_of_job=threads)
        counts = count_run(ConvNetwork(model, settings), inputs, n_steps, options, task, progress=False, place=place)
    return counts, [str(each.message) for each in caught if issubclass(each.category, SnnConvWarning)]
