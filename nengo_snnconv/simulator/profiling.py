"""Profiles of the fast simulator: the time that each operation of a program takes."""

from __future__ import annotations

import dataclasses
import time

import numpy as np

from .kernels.arguments import new_workspace
from .kernels.operations import OPERATIONS

NAMES = np.array(list(OPERATIONS))
CONNECTIONS = (
    *("scatter", "gather", "convolve", "depthwise"),
    *("add", "remap", "expand", "compact", "copy", "fill", "scale", "filter"),
)
READ_EVENTS = (
    *("scatter", "gather", "remap", "expand", "count", "count_negative"),
    *("max_gate", "poisson_input", "ttfs_input", "ttfs_current", "stage_gate"),
)
READ_VALUES = ("convolve", "depthwise")
PROBES = ("record", "count", "count_negative")


@dataclasses.dataclass(frozen=True)
class OperationProfile:
    """Time of an operation of the fast simulator, for one image and step.

    Attributes
    ----------
    name : str
        A key of ``simulator.kernels.operations.OPERATIONS``.
    layer : str
        Layer that it belongs to; empty for probes and counters.
    kind : "connections", "neurons" or "probes"
        What it computes: the input of neurons, their steps, or samples and counts.
    seconds : float
    events_read : float
        Number of spikes, or of other values that are not zero, that it reads.
    weight_bytes : int
        Size of its weights.
    signal_bytes : int
        Size of the signals that it writes, for a chunk of steps; each thread has its own.
    state_bytes : int
        Size of the states of neurons or filters; each image of a minibatch has its own.
    """

    name: str
    layer: str
    kind: str
    seconds: float
    events_read: float
    weight_bytes: int
    signal_bytes: int
    state_bytes: int


def profile_operations(runner, n_steps, data, n_images):
    """Run images through a program, one operation at a time, on one thread.

    Parameters
    ----------
    runner : ProgramRunner
        It is reset.
    n_steps : int
    data : dict of nengo.Node to ndarray of float32, (images or 1, n_steps or 1, size)
    n_images : int

    Returns
    -------
    list of OperationProfile
        In the order in which operations run.
    """
    runner.reset()
    program, execute, whole, initial, _ = runner.prepare(n_steps, data, n_images)
    arrays, operations = program.arrays, program.arrays.operations
    singles = [arrays._replace(operations=operations[n : n + 1]) for n in range(len(operations))]
    nothing = arrays._replace(operations=operations[:0])
    work, seconds, events = new_workspace(program, whole.chunk), np.zeros(len(operations)), np.zeros(len(operations))
    for image in range(n_images):
        runner.state[image] = initial
        images = np.array([image, image + 1])
        for start in range(0, n_steps, whole.chunk):
            run = _part(whole, start, min(whole.chunk, n_steps - start))
            counters = runner.counters(run.n_steps)
            call = min(_timed(execute, images, nothing, run, counters, work) for _ in range(3))
            for number, single in enumerate(singles):
                if operations[number]["once"] and start > 0:
                    continue
                seconds[number] += max(0.0, _timed(execute, images, single, run, counters, work) - call)
                events[number] += _events_read(operations[number], arrays, run, work)
    runner.reset()
    each = 1 / (n_images * n_steps)
    profiles, state_bytes = [], runner.layout.bytes_by_begin()
    for number, (operation, owner) in enumerate(zip(operations, program.owners, strict=True)):
        name = str(NAMES[operation["code"]])
        kind = "connections" if name in CONNECTIONS else "probes" if name in PROBES else "neurons"
        layer = "" if owner is None or kind == "probes" else runner.view.label_of(owner)
        memory = program.weight_bytes[number], program.signal_bytes[number], state_bytes.pop(program.states[number], 0)
        profiles.append(OperationProfile(name, layer, kind, each * seconds[number], each * events[number], *memory))
    return profiles


def _part(run, start, length):
    """Return the Run of ``length`` steps from ``start`` on."""
    inputs = run.inputs.copy()
    inputs[:, 0] += start * inputs[:, 2]
    rows = np.ascontiguousarray(run.sample_rows[:, start : start + length])
    return run._replace(n_steps=length, steps_before=run.steps_before + start, inputs=inputs, sample_rows=rows)


def _events_read(operation, arrays, run, work):
    """Return the number of events, or of values that are not zero, that an operation has read in a run."""
    name = NAMES[operation["code"]]
    begin, end = (operation[name_of] - run.steps_before for name_of in ("begin", "end"))
    begin, end = (0, 1) if operation["once"] else (min(max(0, step), run.n_steps) for step in (begin, end))
    if name in READ_EVENTS:
        counts = work.counts[operation["events_in"]]
        moves = arrays.events[operation["events_in"]]["stride"] > 0
        return counts[begin:end].sum() if moves else (end - begin) * counts[0]
    if name not in READ_VALUES:
        return 0
    table = arrays.gather_tables[operation["table"]]
    size = table["places"] * table["filters" if name == "depthwise" else "channels"]
    sources = operation["source"] + operation["source_stride"] * np.arange(begin, end)
    return sum(np.count_nonzero(work.arena[source : source + size]) for source in sources)


def _timed(execute, *arguments):
    """Return the seconds that a call takes."""
    started = time.perf_counter()
    execute(*arguments)
    return time.perf_counter() - started
