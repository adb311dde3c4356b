"""tune: find the parameters with which a network needs the fewest time steps to keep its accuracy."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from ..._util.validation import check_counts, check_images, is_number, shown
from ...errors import ConversionError, SettingsError, TuningError
from ...model.memory import MEMORY_MB
from ...networks.native import NativeConfig
from ...networks.network import check_network
from ...networks.staged import StagedConfig
from ...networks.ttfs import TTFSConfig
from ..sweeps.options import SweepOptions
from ..sweeps.sweep_runner import SweepRunner
from .result import Tuning
from .search import Search, number_of_shards
from .space import default_space

if TYPE_CHECKING:
    import distributed

    from ...networks.network import ConvNetwork

# default number of calibration images
N_CALIBRATION = 1000


def tune(
    network: ConvNetwork,
    x: np.ndarray,
    y: np.ndarray,
    *,
    max_loss: float = 0.1,
    x_calibration: np.ndarray | None = None,
    max_steps: int = 64,
    space: dict[str, Any] | list[dict[str, Any]] | None = None,
    folder: str | os.PathLike | None = None,
    n_jobs: int | None = None,
    dask: str | distributed.Client | None = None,
    backend: str | None = None,
    minibatch_size: int | None = None,
    memory_mb: float = MEMORY_MB,
    dt: float = 0.001,
    progress: bool | None = None,
) -> Tuning:
    """Find the parameters with which a network needs the fewest time steps to lose at most ``max_loss`` points.

    The loss is the accuracy of the network with rates (the ANN) minus that of the spiking network on the same images,
    in percentage points.  It must stay within the limit in all later steps up to ``max_steps`` too, so a single lucky
    step does not count.  Among settings with the same number of steps, the one with the fewest synaptic operations is
    chosen.

    The search is successive halving: all settings see some hundred images, the best third of them three times as many,
    and so on.  The result has been confirmed on all images.

    Parameters
    ----------
    network : ConvNetwork
        Network made by ``convert``, for which the scales of the weights, the initial potential, the synapse and the
        number of steps are chosen; or made by ``build_trainable`` with spiking neurons, for which the synapse and the
        number of steps are chosen.
    x : ndarray, (images, height, width, channel)
        Images that were not used for training; several thousand for a ``max_loss`` of 0.1.  Keep other images apart to
        evaluate the result.
    y : ndarray of int, (images,)
        True classes.
    max_loss : float
        Allowed loss in percentage points.
    x_calibration : ndarray, (images, height, width, channel), optional
        Calibration images for networks made by ``convert``, best training images; by default the first 1,000 of ``x``.
    max_steps : int
        Largest number of time steps.
    space : dict of str to list, or list of such dicts, optional
        Search space, as the grid of :func:`sweep`; by default one that suits the network.  The default space keeps the
        type of the neurons; ``"signed": [True]`` in each grid of a space tries ``SignedIntegrateAndFire``.
    folder, n_jobs, dask, backend, minibatch_size, memory_mb, dt, progress
        As for :func:`sweep`.

    Returns
    -------
    Tuning

    Raises
    ------
    TuningError
        If no setting keeps the loss within the limit.  Its attribute ``tuning`` holds the best result; the message
        names ways to find one.
    ConversionError
        If the network has no parameters to choose.
    SettingsError
        If an argument is invalid, or the data do not fit the network.
    JobsInterrupted, WorkersError
        As for :func:`sweep`.

    Examples
    --------
    >>> tuning = nengo_snnconv.tune(network, x, y, max_loss=0.5, x_calibration=x_train)
    >>> print(tuning.n_steps, tuning.settings)
    """
    _check(network, max_loss, max_steps)
    options = SweepOptions(
        backend=backend,
        minibatch_size=minibatch_size,
        memory_mb=memory_mb,
        dt=dt,
        folder=folder,
        n_jobs=n_jobs,
        dask=dask,
        progress=progress,
    )
    x, native = check_images(network.model, x), isinstance(network.settings, NativeConfig)
    own_calibration = native and x_calibration is None
    calibration = x[:N_CALIBRATION] if own_calibration else x_calibration
    runner = SweepRunner(network, x, y, calibration, max_steps, n_shards=number_of_shards(len(x)), options=options)
    points = runner.grid_points(default_space(network, runner.n_steps) if space is None else space)
    search = Search(runner, points, max_loss, runner.n_steps)
    tuning = _choose(search, search.run(), own_calibration)
    if not tuning.kept:
        raise TuningError(_failure_message(tuning, native), tuning)
    return tuning


def _check(network, max_loss, max_steps):
    """Raise an error if the network has nothing to tune, or an argument is invalid."""
    check_network(network)
    settings = network.settings
    if isinstance(settings, TTFSConfig):
        raise ConversionError(
            "a network of time to first spike has a fixed number of steps: set it with to_ttfs(..., n_steps=...), and "
            "compare numbers of steps with threshold_errors"
        )
    if isinstance(settings, StagedConfig):
        raise ConversionError(
            "a network that runs in stages has a fixed number of steps: call to_spiking with other values of "
            "stage_steps, and compare their evaluations"
        )
    if not settings.has_rates:
        raise ConversionError(
            "tune compares a network with its rates, and a network of SurrogateLIF neurons, trained for its number of "
            "steps, has none: train networks with several numbers of steps with compare"
        )
    if not settings.neuron_type.spiking and not isinstance(settings, NativeConfig):
        raise ConversionError(f"{settings.neuron_type} does not spike: use tune(convert(network), ...)")
    if not is_number(max_loss) or not 0 <= max_loss < np.inf:
        raise SettingsError(
            f"max_loss must be a number of percentage points, 0 or more, got {shown(max_loss)}", argument="max_loss"
        )
    check_counts(max_steps=max_steps)


def _choose(search, finalists, own_calibration):
    """Return the Tuning of the finalist with the fewest steps, and among those the fewest operations."""
    trials = search.trials
    steps = {each: trials[each].steps_within(search.max_loss) for each in finalists}
    kept = [each for each in finalists if steps[each] is not None]
    if kept:
        n_steps = min(steps[each] for each in kept)
        # operations up to a step are estimates, so the candidates are run for exactly this number of steps
        runs = {each: search.exact_trial(each, n_steps) for each in kept if steps[each] == n_steps}
        chosen = min(runs, key=lambda each: runs[each].operations[-1])
        run = runs[chosen]
    else:
        chosen, n_steps = min(finalists, key=lambda each: trials[each].loss_points[-1]), search.max_steps
        run = trials[chosen]
    others = sorted((each for each in search.points if each is not chosen), key=search.rank)
    others.sort(key=lambda each: -trials[each].n_images)
    network = trials[chosen].network
    tuned = {"max_loss": search.max_loss, "max_steps": search.max_steps, **trials[chosen].to_dict()["setting"]}
    metadata = {**network.model.metadata, "n_steps": n_steps, "tuning": tuned}
    return Tuning(
        network=network.rebuild(network.model.replace(metadata=metadata)),
        settings=trials[chosen].setting,
        n_steps=n_steps,
        evaluation=run.evaluation,
        trial=trials[chosen],
        trials=[trials[each] for each in (chosen, *others)],
        max_loss=float(search.max_loss),
        max_steps=search.max_steps,
        kept=bool(kept),
        own_calibration=own_calibration,
    )


def _failure_message(tuning, native):
    """Return the message of a search without success: the best result, and what to try."""
    losses, max_steps = tuning.trial.loss_points, tuning.max_steps
    advice = [f"max_loss={losses[-1] + 0.005:.2f}"]
    if losses[-1] < losses[(max_steps - 1) // 2]:
        advice.insert(0, f"max_steps={2 * max_steps}, because the loss is still falling")
    elif tuning.evaluation.accuracy[-1] < tuning.evaluation.ann_accuracy / 2:
        advice.insert(0, f"max_steps={2 * max_steps}")
    if native:
        run = f"x[:500], y[:500], n_steps={max_steps}"
        advice.append(f"diagnose(error.tuning.network, {run}), which shows where accuracy is lost and what would help")
    else:
        advice.append("neurons with higher firing rates (amplitude, max_rates)")
    return (
        f"no setting loses at most max_loss={tuning.max_loss:g} points up to step {max_steps}: the best one "
        f"({tuning.trial.grid_point.text}) loses {losses[-1] + 0.0:.2f} points in the end; try {'; or '.join(advice)}"
    )
