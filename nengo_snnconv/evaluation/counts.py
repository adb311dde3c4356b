"""Tally: what an evaluation counts while images are shown, step by step or all steps at once."""

import dataclasses
import time

import numpy as np
from nengo.params import Default

from .._util.progress import progress_bar
from .._util.validation import check_counts, check_memory, check_run
from ..model.memory import bytes_of_all, images_together
from ..networks.ttfs import TTFSConfig, stages
from .backends import name_of
from .runner import Runner, check_input
from .ttfs_closed_form import ClosedForm


@dataclasses.dataclass(frozen=True, eq=False)
class Tally:
    """Predictions, scores and spikes of a network, summed over images.

    Attributes
    ----------
    step_predictions : ndarray, (steps, images)
    scores : ndarray, (images, classes)
    totals : dict of str to ndarray, (neurons,)
        Events of each unit of each layer that sends any, over all images and steps.
    per_step : dict of str to ndarray, (steps,)
        Events of each such layer in each step.
    seconds, build_seconds : float
    backend : str
        What ran.
    """

    step_predictions: np.ndarray
    scores: np.ndarray
    totals: dict
    per_step: dict
    seconds: float
    build_seconds: float
    backend: str = "fast"


def tally_of(network, inputs, n_steps, *, progress=None, watch=None, **options):
    """The tally of a run with the options of a Runner: in closed form where there is one and it was not ruled out."""
    if options["backend"] in (None, "fast") and has_closed_form(network, options, watch):
        x, minibatch_size = inputs.batch(slice(None)), options["minibatch_size"]
        if minibatch_size is None:  # the levels of all layers, and for the output those of each step of a stage
            outputs = 4 * network.model.size(network.model.output) * network.settings.stage_steps
            minibatch_size = images_together(2 * bytes_of_all(network.model) + outputs, options["memory_mb"])
        return computed(network, x, n_steps, minibatch_size, options["dt"], progress)
    return simulated(network, inputs, n_steps, progress, watch, **options)


def simulated(network, inputs, n_steps, progress, watch, **options):
    """The tally of a simulation, step by step, with the options of a Runner."""
    model, started = network.model, time.perf_counter()
    n_items = len(inputs)
    check_counts(n_steps=n_steps)
    predictions = f"the predictions for {n_items:,} images after each of n_steps={n_steps} steps"
    check_memory(4 * n_items * n_steps, predictions, "take fewer steps or fewer images")
    runner = Runner(network, n_steps, n_images=n_items, activity=bool(watch), **options)
    build_seconds = time.perf_counter() - started
    if watch:
        watch.begin(runner)
    step_predictions = np.empty((n_steps, n_items), np.int32)
    scores = np.empty((n_items, model.size(model.output)), np.float32)
    counted = [*runner.recorded, *([model.input] if runner.counts_frames(inputs) else [])]
    totals = {name: np.zeros(model.size(name)) for name in counted}
    per_step = {name: np.zeros(n_steps) for name in counted}
    started = time.perf_counter()
    with runner, progress_bar(n_items * n_steps, "simulating", "image-step", progress) as bar:
        for chunk in runner.run(inputs):
            images, steps, _, filtered, activity = chunk
            if watch:
                watch.see(*chunk)
            step_predictions[steps, images] = filtered.argmax(axis=-1).T
            scores[images] = filtered[:, -1]
            for name, values in activity.items():
                by_step = runner.counts(values.sum(axis=0))
                totals[name] += by_step.sum(axis=0)
                per_step[name][steps] += by_step.sum(axis=1)
            if runner.counts_itself:
                for name, by_step in runner.simulator.per_step.items():
                    per_step[name][steps] += by_step
            bar.update(filtered.shape[0] * filtered.shape[1])
    if runner.counts_itself:
        totals |= runner.simulator.totals
    seconds, backend = time.perf_counter() - started, name_of(runner.simulator)
    return Tally(step_predictions, scores, totals, per_step, seconds, build_seconds, backend)


def computed(network, x, n_steps, minibatch_size, dt, progress):
    """The same tally from the closed form of time to first spike, all steps at once."""
    check_counts(minibatch_size=minibatch_size)
    check_run(n_steps, 0, dt)
    check_input(x, network.settings)
    from .level_counter import LevelCounter  # Numba compiles it, which simulations do not need

    model, started = network.model, time.perf_counter()
    form, stage_steps, sent = ClosedForm(network), network.settings.stage_steps, stages(model)
    build_seconds = time.perf_counter() - started
    step_predictions = np.zeros((n_steps, len(x)), np.int32)  # before the last stage all scores are 0
    scores = np.empty((len(x), model.size(model.output)), np.float32)
    counters = {name: LevelCounter(model.size(name), stage_steps) for name in form.emitters}
    started = time.perf_counter()
    with progress_bar(len(x), "computing", "image", progress) as bar:
        for first in range(0, len(x), minibatch_size):
            images = slice(first, first + minibatch_size)
            levels = form.levels(x[images])
            outputs = form.outputs(levels).numpy()
            step_predictions[-stage_steps:, images] = outputs.argmax(axis=-1)
            scores[images] = outputs[-1]
            for name, counter in counters.items():
                # the tensor's own memory: numpy() would copy it
                counter.add(np.asarray(memoryview(levels[name])))
            bar.update(outputs.shape[1])
    per_step = {}
    for name, counter in counters.items():
        per_step[name] = np.zeros(n_steps)
        begin = sent[name] * stage_steps
        per_step[name][begin : begin + stage_steps] = counter.histogram[:0:-1]
    totals = {name: counter.spikes.astype(float) for name, counter in counters.items()}
    return Tally(step_predictions, scores, totals, per_step, time.perf_counter() - started, build_seconds)


def has_closed_form(network, options, watch):
    """Whether a run can be computed in the place of a simulation: of time to first spike, read as it is."""
    unfiltered = options["synapse"] is Default or options["synapse"] is None
    as_it_is = unfiltered and not options["skip_steps"] and options["precision"] == "float32"
    # a number of threads is heeded by the simulator only
    as_it_is = as_it_is and options.get("threads") is None
    return as_it_is and not watch and isinstance(network.settings, TTFSConfig)
