"""evaluate: accuracy of a network after every time step, its spikes and its synaptic operations."""

from __future__ import annotations

import typing

from nengo.params import Default

from .._util.validation import check_flags, check_progress, check_workers_count
from ..errors import SettingsError, listed
from ..inputs import Data, as_data
from ..inputs.inputs import is_unit_input, warn_of_uncalibrated_input
from ..model.memory import MEMORY_MB
from ..networks.context import adds_result_only
from ..networks.network import check_network
from .ann import ann_predictions
from .from_counts import evaluation_from_counts
from .parallel import count_in_processes
from .result import Evaluation
from .run_counts import count_run
from .run_options import RunOptions, run_length
from .task import as_task

if typing.TYPE_CHECKING:
    import nengo
    import numpy as np

    from ..networks.network import ConvNetwork
    from .margin_stop import MarginStop
    from .run_counts import Observer
    from .task import Task


@adds_result_only
def evaluate(
    network: ConvNetwork,
    x: Data,
    y: np.ndarray | None = None,
    *,
    n_steps: int | None = None,
    backend: str | None = None,
    synapse: float | nengo.synapses.Synapse | None = Default,
    skip_steps: int = 0,
    minibatch_size: int | None = None,
    memory_mb: float = MEMORY_MB,
    dt: float = 0.001,
    precision: str = "float32",
    threads: int | None = None,
    stop: MarginStop | None = None,
    ann: bool = True,
    n_jobs: int | None = None,
    progress: bool | None = None,
) -> Evaluation:
    """Run a network on images and measure its accuracy, or its errors, after every step, beside those of its ANN.

    The ANN is the same network with firing rates instead of spikes, computed in one pass.  Its predictions are kept
    until the network is evaluated on other images.  Images and time are streamed, so memory grows with the number of
    images and ``n_steps`` by the results alone: 8 bytes for each image and step (20 in
    a regression), 4 for each score, and 40 for an image.

    Parameters
    ----------
    network : ConvNetwork
    x : ndarray, (images, height, width, channel), or Recordings, Inputs or a data set
        Images; or frames, (items, steps, height, width, channel); or recordings of an event camera, which are split
        into ``n_steps`` frames with equal numbers of events; or ``Inputs``, such as ``EventFrames`` or your own
        subclass.  Arrays may be memory-mapped; of integers and float64, only a batch at a time becomes float32.

        Or a data set that gives images or frames in batches or one by one, with labels or without: a
        ``tf.data.Dataset``, a Keras sequence, a torch ``DataLoader``, a generator.  Its elements are x, (x, y), or
        dicts with the keys "image" and "label".  It is read once, and kept in memory.

        Of a model with several inputs, a dict of such arrays by name, or a list in the order of ``network.inputs``;
        data sets give the same in place of x.
    y : ndarray, (images,) or (images, outputs), optional
        True classes, as numbers or as one-hot rows; 0 and 1 for a network with one output, which predicts class 1 where
        its output is above 0; rows of 0 and 1 for labels, of which an image has any number; or values, for a
        regression: floats of the shape of the outputs.  By default the labels in ``x``; without any, the predictions of
        the ANN, so that the agreement with it is measured, or the difference from it.  A sigmoid that ended the model
        is applied to the outputs in a regression.  Of a model with several outputs, a dict by name, or a list in the
        order of ``network.outputs``.
    n_steps : int, optional
        Number of time steps for which each image is shown.  By default the number of ``stop``, or of frames in ``x``,
        or the number for which the network was trained, balanced, calibrated or tuned, or 30.  Networks made by
        ``to_ttfs``, or by ``to_spiking`` with ``stage_steps``, define it themselves.
    backend : "fast", "tensorflow", "nengo_dl", "nengo" or "loihi", optional
        Simulator; by default "fast" if it supports the network, else "nengo_dl".

        "fast": ``nengo_snnconv.Simulator``, which gives the same spikes, many times faster.  Networks made by
        ``to_ttfs`` are computed in closed form.

        "tensorflow": layer by layer over chunks of steps in TensorFlow, on a GPU if TensorFlow sees one, else on the
        CPU, where "fast" is faster.  It supports filters as synapses, and all neuron types of this package and those
        with a builder in NengoDL, unless they draw random numbers.

        "nengo_dl": ``nengo_dl.Simulator``, step by step, for every network.

        "nengo": the reference, one image after another.  Networks made by ``build_trainable`` run without TensorNodes.

        "loihi": the emulator of the Loihi chip in nengo-loihi, an optional package.  See ``to_loihi`` for the networks
        that it supports.
    synapse : float, nengo.synapses.Synapse or None
        Filter on the class scores; None for no filter.  By default, scores of networks made by ``convert`` are averaged
        from the first step on, which gives the membrane potential or the number of spikes of the output; scores of
        other networks are filtered like the probe "output_filtered".  The filtered value after a step includes that
        step; Nengo's own probes show it one step later.
    skip_steps : int
        Number of first steps that are left out of the average, because the spikes in them come before earlier layers
        have settled (delayed evaluation, Bu, Li & Yu 2025, arXiv 2409.03368).  Helps deep networks.
    minibatch_size : int, optional
        Number of images that are simulated together; by default as many as fit into ``memory_mb``, and at most 200.
        Poisson input spikes depend on an image's place in its minibatch; by default, on its place among 200,
        however many fit.
    memory_mb : float
        Approximate memory for activity, in megabytes.  Sets the number of images that are simulated together and the
        number of steps in a chunk.
    dt : float
        Seconds per step.
    precision : "float32" or "bfloat16"
        Precision of weights, for the back end "fast"; see :class:`Simulator`.
    threads : int, optional
        Number of threads, for the back end "fast"; by default the number of available cores.  If given, networks made
        by ``to_ttfs`` are simulated step by step.
    stop : MarginStop, optional
        Rule by which an image stops as soon as its scores are far enough apart, see :func:`choose_stop`.  It keeps its
        class, and its spikes are counted until then.  On all back ends but "nengo_dl", it is not simulated any longer.
        Networks made by ``to_ttfs`` are simulated step by step.
    ann : bool
        Compare with the ANN.  Its pass takes about as long as one or two steps of a simulation, so for many images in
        few steps False, with ``y``, is faster; ``ann_accuracy`` and all that compares with the ANN are then None.
    n_jobs : int, optional
        Number of processes on this machine, which share the images and the cores; 1, the default, is this process.  The
        result is the same.  Processes help back ends that use one core, "nengo" and "loihi", and to a degree
        "nengo_dl"; "fast" and "tensorflow" use all cores by themselves.  ``memory_mb`` and ``threads`` apply to each
        process.
    progress : bool, optional
        Show a progress bar; by default if standard error is a terminal.

    Returns
    -------
    Evaluation

    Raises
    ------
    SettingsError
        If an argument has an invalid value, the data do not fit the network, or the back end does not support
        ``precision`` or ``threads``.
    ConversionError
        If the back end cannot run the network.
    CompatibilityError
        If the back end is "loihi" and nengo-loihi is not installed.
    JobsInterrupted
        On Control-C, if there are several processes.  Use ``sweep`` with a folder to be able to continue.
    WorkersError
        If processes die repeatedly.

    Warns
    -----
    SnnConvWarning
        If images are far outside the range of those with which the network was normalized or calibrated.

    Examples
    --------
    >>> evaluation = nengo_snnconv.evaluate(network, x, y, n_steps=32)
    >>> print(evaluation.accuracy[-1], evaluation.spikes_per_neuron)
    """
    check_network(network)
    check_progress(progress)
    options = RunOptions(
        backend=backend,
        synapse=synapse,
        skip_steps=skip_steps,
        minibatch_size=minibatch_size,
        memory_mb=memory_mb,
        dt=dt,
        precision=precision,
        threads=threads,
        stop=stop,
    )
    if n_steps is None and stop is not None:
        n_steps = stop.n_steps
    check_workers_count(n_jobs=n_jobs)
    check_flags(ann=ann)
    return evaluate_observed(network, x, y, n_steps, options, ann=ann, n_jobs=n_jobs, progress=progress)


def evaluate_observed(
    network: ConvNetwork,
    x: Data,
    y: np.ndarray | Task | None,
    n_steps: int | None,
    options: RunOptions,
    *,
    ann: bool = True,
    n_jobs: int | None = None,
    progress: bool | None = None,
    observer: Observer | None = None,
) -> Evaluation:
    """Evaluate a network while an observer sees all that is recorded.

    Parameters
    ----------
    network, x, y, n_steps, ann, n_jobs, progress
        As for :func:`evaluate`; ``y`` may be the task that it makes.
    options : RunOptions
    observer : Observer, optional
        Only in this process.
    """
    inputs, y = as_data(network.model, x, y, n_steps)
    warn_of_uncalibrated_input(network.model, inputs, network.settings)
    task = as_task(network.model, len(inputs), y)
    if options.stop is not None and not task.head.decides:
        values = [name for name, head in task.head.parts.items() if not head.decides]
        where = f" of {listed(values)}" if values else ""
        raise SettingsError(
            f"stop is for decisions between classes or labels, which the values{where} are not, those of a regression: "
            "leave it out",
            argument="stop",
        )
    n_steps = run_length(network, n_steps, inputs)
    if ann:
        task = task.with_ann(ann_predictions(network, inputs, memory_mb=options.memory_mb, head=task.head))
    elif not task.labelled:
        raise SettingsError(
            "y is needed with ann=False: without it, predictions are compared with those of the ANN", argument="y"
        )
    if n_jobs in (None, 1):
        counts = count_run(network, inputs, n_steps, options, task, progress=progress, observer=observer)
    else:
        counts = count_in_processes(network, inputs, n_steps, options, task, n_jobs, progress=progress)
    arguments: dict[str, typing.Any] = {"skip_steps": options.skip_steps, "precision": options.precision}
    if options.minibatch_size is not None:
        arguments["minibatch_size"] = options.minibatch_size
    if options.synapse is not Default:
        arguments["synapse"] = options.synapse
    if options.stop is not None:
        arguments["stop"] = options.stop
    if not ann:
        arguments["ann"] = False
    return evaluation_from_counts(
        network,
        counts,
        task,
        dt=options.dt,
        arguments=arguments,
        moving=inputs.n_steps is not None,
        stop=options.stop,
        unit_images=is_unit_input(network.model, inputs),
    )
