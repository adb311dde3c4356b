"""tune: find the parameters with which a network needs the fewest time steps to keep its accuracy."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from ..._util.validation import check_counts, check_seed, is_number, shown
from ...errors import ConversionError, SettingsError, TuningError
from ...model.memory import MEMORY_MB
from ...networks.context import adds_result_only
from ...networks.native import NativeConfig
from ...networks.network import check_network
from ...networks.staged import StagedConfig
from ...networks.ttfs import TTFSConfig
from ..sweeps.options import SweepOptions
from ..sweeps.point_models import PointModels
from ..sweeps.sweep_runner import SweepRunner
from .parts import split_parts
from .result import Tuning
from .search import Search, number_of_shards
from .space import default_space

if TYPE_CHECKING:
    import distributed

    from ...inputs import Data
    from ...networks.network import ConvNetwork


@adds_result_only
def tune(
    network: ConvNetwork,
    x: Data,
    y: np.ndarray | None = None,
    *,
    max_loss: float = 0.1,
    x_calibration: Data | None = None,
    max_steps: int = 64,
    space: dict[str, Any] | list[dict[str, Any]] | None = None,
    report_split: float = 0.5,
    report_data: tuple[np.ndarray, np.ndarray] | None = None,
    seed: int = 0,
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
    step does not count.  Nor may the loss of balanced accuracy be larger, by more than its standard deviation: the
    network might predict nothing but the most frequent class.  Among settings with the same number of steps, the one
    with the fewest synaptic operations is chosen.

    The images are split into two parts.  One chooses the settings; since the best of many settings is partly the
    luckiest one, its loss on these images is too small an estimate.  The other part sees nothing but the chosen
    setting, so its loss, and the confidence interval of it, hold for new images.

    The search is successive halving: all settings see some hundred images, the best third of them three times as many,
    and so on; the chosen one has seen all images of its part.  Calibrated networks are tried after all others, because
    each takes a calibration: for ever fewer steps, beginning with fewer than the other settings need, as long as they
    keep the loss.

    Parameters
    ----------
    network : ConvNetwork
        Network made by ``convert``, for which the scales of the weights, the neurons, the synapse, calibration, skipped
        steps and the number of steps are chosen; made by ``to_spiking``, which keeps its type of neurons; or made by
        ``build_trainable`` with spiking neurons, for which the synapse and the number of steps are chosen.
    x : ndarray, (images, height, width, channel), or a data set
        Images that were not used for training, in any form that :func:`evaluate` reads but frames; several thousand for
        a ``max_loss`` of 0.1.
    y : ndarray, optional
        True classes, labels or values, as for :func:`evaluate`; by default the labels in ``x``, or else the predictions
        of the ANN, so that the loss is one of agreement with it.  The accuracy of labels is F1, and that of values R².
    max_loss : float
        Allowed loss in percentage points.
    x_calibration : ndarray, (images, height, width, channel), or a data set, optional
        Calibration images for networks made by ``convert`` or ``to_spiking``, best training images; by default up to
        1,000 images of ``x``, at most a third of them, that have no other use.
    max_steps : int
        Largest number of time steps.
    space : dict of str to list, or list of such dicts, optional
        Search space, as the grid of :func:`sweep`; by default one that suits the network.
    report_split : float
        Share of the images of ``x`` that report the loss of the chosen settings, above 0 and below 1.
    report_data : (ndarray, ndarray), optional
        Images and classes that report the loss of the chosen settings; all of ``x`` chooses them then.
    seed : int
        Seed of the random split, in which all parts have about the same share of each class.
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
    _check(network, max_loss, max_steps, seed)
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
    native = isinstance(network.settings, NativeConfig)
    parts = split_parts(network.model, x, y, x_calibration, report_split, report_data, seed, calibrates=native)
    models = PointModels(network, parts.calibration, options)
    images, task = parts.selection
    runner = SweepRunner(models, images, task, max_steps, n_shards=number_of_shards(len(images)))
    report_images, report_task = parts.report
    reporter = SweepRunner(models, report_images, report_task, max_steps, n_shards=None)
    points = runner.grid_points(default_space(network, max_steps, backend) if space is None else space)
    if any(point.run_length(max_steps) > max_steps for point in points):
        raise SettingsError(f"space: calibrate_steps must be at most max_steps={max_steps}", argument="space")
    search = Search(runner, points, max_loss, max_steps)
    tuning = _choose(search, search.run(), reporter, parts)
    if not tuning.kept:
        raise TuningError(_failure_message(tuning, native), tuning)
    return tuning


def _check(network, max_loss, max_steps, seed):
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
    check_seed(seed)


def _choose(search, finalists, reporter, parts):
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
        chosen = min(finalists, key=lambda each: trials[each].judged_losses[-1])
        run, n_steps = trials[chosen], trials[chosen].evaluation.n_steps
    others = sorted((each for each in trials if each is not chosen), key=search.rank)
    others.sort(key=lambda each: -trials[each].n_images)
    network = trials[chosen].network
    tuned = {"max_loss": search.max_loss, "max_steps": search.max_steps, **trials[chosen].to_dict()["setting"]}
    metadata = {**network.model.metadata, "n_steps": n_steps, "tuning": tuned}
    return Tuning(
        network=network.rebuild(network.model.replace(metadata=metadata)),
        settings=trials[chosen].setting,
        n_steps=n_steps,
        evaluation=reporter.run_all(chosen, n_steps, "reporting").evaluation,
        selection=run.evaluation,
        trial=trials[chosen],
        trials=[trials[each] for each in (chosen, *others)],
        max_loss=float(search.max_loss),
        max_steps=search.max_steps,
        kept=bool(kept),
        own_calibration=parts.own_calibration,
        report_images=parts.report_images,
    )


def _failure_message(tuning, native):
    """Return the message of a search without success: the best result, and what to try."""
    losses, max_steps = tuning.trial.judged_losses, tuning.max_steps
    balanced = " of balanced accuracy" if losses[-1] > tuning.trial.loss_points[-1] else ""
    advice = [f"max_loss={losses[-1] + 0.005:.2f}"]
    calibrated = tuning.trial.grid_point.calibration is not None
    if not calibrated and losses[-1] < losses[(max_steps - 1) // 2]:
        advice.insert(0, f"max_steps={2 * max_steps}, because the loss is still falling")
    elif tuning.selection.score[-1] < tuning.selection.ann_score / 2:
        advice.insert(0, f"max_steps={2 * max_steps}")
    if native and not calibrated:
        run = f"x[:500], y[:500], n_steps={max_steps}"
        advice.append(f"diagnose(error.tuning.network, {run}), which shows where accuracy is lost and what would help")
    elif not native:
        advice.append("neurons with higher firing rates (amplitude, max_rates)")
    lost = f"{losses[-1] + 0.0:.2f} points{balanced}"
    return (
        f"no setting loses at most max_loss={tuning.max_loss:g} points up to step {max_steps}: the best one "
        f"({tuning.trial.grid_point.text}) loses {lost} in the end; try {'; or '.join(advice)}"
    )
