"""tune: finds the settings with which a network needs the fewest steps to lose no more than it may."""

import dataclasses
import math

import numpy as np

from ..._util.text_tables import text_table
from ..._util.validation import check_counts, check_images, is_number, shown
from ...errors import ConversionError, SettingsError, TuningError
from ...evaluation.evaluate import Evaluation
from ...evaluation.metrics import paired_interval
from ...model.memory import MEMORY_MB
from ...networks.native import NativeConfig
from ...networks.network import ConvNetwork, check_network
from ...networks.ttfs import TTFSConfig
from ..sweeps.grid import settings_of, text_of
from ..sweeps.sweep import check_bench, checked_bench
from ..sweeps.trial import Trial
from .search import Search, number_of_shards
from .space import default_space

# images that calibrate where a user gives none
N_CALIBRATION = 1000
# fewer later steps than this say little about whether the loss is kept
FEW_STEPS = 4


@dataclasses.dataclass(frozen=True, eq=False)
class Tuning:
    """What :func:`tune` found.

    Attributes
    ----------
    network : ConvNetwork
        The spiking network, ready to use: ``evaluate`` runs it for ``n_steps`` if not told otherwise.
    settings : dict
        The values that were chosen, by name.
    n_steps : int
        The fewest steps that keep the loss.
    evaluation : Evaluation
        Of a run of so many steps, on all images.
    trial : Trial
        Of the chosen settings, for ``max_steps`` on all images.
    trials : list of Trial
        All that was tried, the chosen one in front; most settings have seen a part of the images.
    max_loss : float
        Percentage points that may be lost.
    max_steps : int
    kept : bool
        Whether the loss is within ``max_loss``, from ``n_steps`` to ``max_steps``.
    own_calibration : bool
        Whether scales were found on the very images that the settings were chosen on.
    """

    network: ConvNetwork
    settings: dict
    n_steps: int
    evaluation: Evaluation
    trial: Trial
    trials: list
    max_loss: float
    max_steps: int
    kept: bool
    own_calibration: bool

    @property
    def loss_points(self):
        """Accuracy lost after ``n_steps`` on all images, in percentage points."""
        return self.evaluation.loss_points

    @property
    def synaptic_operations(self):
        """Additions that spikes cause in ``n_steps``, per image."""
        return self.evaluation.synaptic_operations

    @property
    def options(self):
        """Arguments for ``evaluate``: the steps, and how scores are read if that was varied."""
        return {"n_steps": self.n_steps, **self.trial.options}

    @property
    def interval(self):
        """Limits in percentage points within which the loss lies in general (95 %), as far as these images tell."""
        evaluation = self.evaluation
        ann, spikes = evaluation.ann_predictions == evaluation.y, evaluation.predictions == evaluation.y
        low, high = paired_interval(int((ann & ~spikes).sum()), int((spikes & ~ann).sum()), len(evaluation.y))
        return 100 * float(low), 100 * float(high)

    @property
    def image_steps(self):
        """Steps that were simulated, of all images together, but for the last run; of a full grid, for comparison."""
        seen = sum(trial.n_images for trial in self.trials) * self.max_steps
        return seen, len(self.trials) * len(self.evaluation.y) * self.max_steps

    def remarks(self):
        """What limits the result, a list of sentences."""
        n_images, remarks = len(self.evaluation.y), []
        one = 100 / n_images
        if one > self.max_loss > 0:
            remarks.append(
                f"one image of {n_images:,} is {one:.2g} points: max_loss={self.max_loss:g} means that none is lost on "
                f"balance, and {math.ceil(100 / self.max_loss):,} images or more would tell it apart from that"
            )
        if self.kept and self.interval[1] > self.max_loss:
            remarks.append(
                f"these images cannot exclude a loss of up to {self.interval[1]:.2f} points in general; more images can"
            )
        later = self.max_steps - self.n_steps
        if self.kept and later < FEW_STEPS:
            confirmed = f"only {later} later step{'s' if later > 1 else ''}" if later else "no later step"
            remarks.append(f"{confirmed} can confirm it: a larger max_steps would tell more")
        if self.evaluation.ann_accuracy < 2 / self.evaluation.scores.shape[1]:
            remarks.append("the ANN itself does little more than guess: scale images and number classes as in training")
        if self.own_calibration:
            remarks.append("scales were found on the same images: better give x_calibration, some training images")
        remarks.append("the settings were chosen on these images: see how they do on others")
        return remarks

    def summary(self):
        """The result as text, a line each."""
        evaluation, (low, high), (seen, grid) = self.evaluation, self.interval, self.image_steps
        found = "keeps the loss" if self.kept else "no setting keeps the loss; the best one"
        rows = [(found, self.trial.made_by.text)]
        rows += [
            ("steps", f"{self.n_steps} (tried up to {self.max_steps})"),
            ("accuracy with rates (ANN)", f"{100 * evaluation.ann_accuracy:.2f} %"),
            ("accuracy with spikes", f"{100 * evaluation.accuracy[-1]:.2f} %"),
            ("loss from spiking", f"{self.loss_points + 0.0:.2f} points, {self.max_loss:g} allowed"),
            ("in general", f"between {low:.2f} and {high:.2f} points (95 %)"),
            ("spikes per neuron", f"{evaluation.spikes_per_neuron:.3f}"),
            ("synaptic operations", f"{self.synaptic_operations:,.0f} per image"),
            ("multiply-accumulates, ANN", f"{evaluation.ann_operations:,} per image"),
            ("tried", f"{len(self.trials)} settings on up to {len(evaluation.y):,} images"),
            ("simulated", f"{100 * seen / grid:.0f} % of what trying all on all images takes"),
        ]
        lines = [f"{name:<26} {value}" for name, value in rows]
        return "\n".join([*lines, *(f"{'note':<26} {remark}" for remark in self.remarks())])

    def rows(self):
        """A table of what was tried, the chosen one in front: a header, then values and figures as text."""
        names = list(dict.fromkeys(name for trial in self.trials for name in trial.setting))
        rows = [(*names, "images", "steps", "points lost then", "operations then", "points lost at the end")]
        for trial in self.trials:
            steps = trial.steps_within(self.max_loss)
            values = [text_of(trial.setting[name]) if name in trial.setting else "" for name in names]
            place = -1 if steps is None else steps - 1
            then = ("", "", "")
            if steps is not None:
                then = (f"{steps}", f"{trial.loss_points[place] + 0.0:.2f}", f"{trial.operations[place]:,.0f}")
            rows.append((*values, f"{trial.n_images:,}", *then, f"{trial.loss_points[-1] + 0.0:.2f}"))
        return rows

    def text_table(self):
        """The table of what was tried as text; steps are those that keep the loss on the images that were seen."""
        return text_table(self.rows())

    def to_dict(self):
        """The figures as JSON-serialisable values."""
        chosen = self.trial.to_dict()
        return {
            "kept": self.kept,
            "settings": chosen["setting"],
            "n_steps": self.n_steps,
            "max_loss": self.max_loss,
            "max_steps": self.max_steps,
            "loss_points": self.loss_points,
            "interval": list(self.interval),
            "synaptic_operations": self.synaptic_operations,
            "remarks": self.remarks(),
            "evaluation": self.evaluation.to_dict(),
            "trials": [{**trial.to_dict(), "n_steps": trial.steps_within(self.max_loss)} for trial in self.trials],
        }

    def plot(self, axes=None):
        """Draw accuracy against steps and against operations, for all that was tried; returns two matplotlib axes."""
        from ...plots import plot_tuning

        return plot_tuning(self, axes)


def tune(
    network,
    x,
    y,
    *,
    max_loss=0.1,
    x_calibration=None,
    max_steps=64,
    space=None,
    folder=None,
    n_jobs=None,
    dask=None,
    backend=None,
    minibatch_size=None,
    memory_mb=MEMORY_MB,
    dt=0.001,
    progress=None,
):
    """Find the settings with which a network needs the fewest time steps to lose no more than ``max_loss`` points.

    The loss is accuracy in percentage points, against the network with rates (the ANN) on the same images.  It is kept
    after as many steps as are named and after each later one up to ``max_steps``: a step that is lucky does not count.
    Among settings with the same number of steps, the one with the fewest synaptic operations is taken.

    All settings see some hundred images; the best third of them three times as many, and so on; the last ones see all.
    What is returned has been confirmed on all images.

    Parameters
    ----------
    network : ConvNetwork
        Made by ``convert``: percentile or method of the scales, initial potential, synapse and steps are chosen.  Or
        made by ``build_trainable`` with spiking neurons: the synapse between layers and steps.
    x : ndarray, (images, height, width, channel)
        Images that were used for no training; some thousand for a ``max_loss`` of 0.1.  Keep others to see how the
        result does on images on which it was not chosen.
    y : ndarray, (images,)
        Class numbers.
    max_loss : float
        Percentage points that may be lost.
    x_calibration : ndarray, (images, height, width, channel), optional
        For networks made by ``convert``: scales are found on these, which should be training images; by default on the
        first 1,000 of ``x``.
    max_steps : int
        Most time steps.
    space : dict of str to list, or list of such dicts, optional
        What is tried instead of the default, in the names of the grid of :func:`sweep`.
    folder, n_jobs, dask, backend, minibatch_size, memory_mb, dt, progress
        As for :func:`sweep`.

    Returns
    -------
    Tuning

    Raises
    ------
    TuningError
        If no setting keeps the loss; its ``tuning`` holds the best that was found, and the message what to try.
    ConversionError, SettingsError
        If the network has no settings to choose; if an argument cannot work, or the data do not fit.
    JobsInterrupted, WorkersError
        As for :func:`sweep`.
    """
    _check(network, max_loss, max_steps)
    check_bench(n_jobs, dask, folder, progress, backend, minibatch_size, memory_mb, dt)
    x, native = check_images(network.model, x), isinstance(network.settings, NativeConfig)
    own = native and x_calibration is None
    bench, n_steps = checked_bench(
        network,
        x,
        y,
        x[:N_CALIBRATION] if own else x_calibration,
        max_steps,
        n_shards=number_of_shards(len(x)),
        minibatch_size=minibatch_size,
        backend=backend,
        memory_mb=memory_mb,
        dt=dt,
        folder=folder,
        n_jobs=n_jobs,
        dask=dask,
        progress=progress,
    )
    space = default_space(network, n_steps) if space is None else space
    settings = bench.checked(settings_of(network, space, n_steps, bench.normalizer, dt))
    search = Search(bench, settings, max_loss, n_steps)
    tuning = _chosen(search, search.run(), own)
    if not tuning.kept:
        raise TuningError(_what_to_try(tuning, native), tuning)
    return tuning


def _check(network, max_loss, max_steps):
    check_network(network)
    settings = network.settings
    if isinstance(settings, TTFSConfig):
        raise ConversionError(
            "time to first spike takes the steps that it was made for: to_ttfs(..., n_steps=...) sets them, and "
            "threshold_errors shows what they cost"
        )
    if not settings.has_rates:
        raise ConversionError(
            "tune compares with the network's rates, and SurrogateLIF has none: it was trained for its steps; compare "
            "trains networks with several numbers of steps"
        )
    if not settings.neuron_type.spiking and not isinstance(settings, NativeConfig):
        raise ConversionError(f"{settings.neuron_type} does not spike: tune(convert(network), ...)")
    if not is_number(max_loss) or not 0 <= max_loss < np.inf:
        raise SettingsError(f"max_loss must be a number of percentage points from 0 up, got {shown(max_loss)}")
    check_counts(max_steps=max_steps)


def _chosen(search, finalists, own_calibration):
    """The Tuning: of the fewest steps, and among equals of the fewest operations, which are then counted exactly."""
    trials = search.trials
    steps = {each: trials[each].steps_within(search.max_loss) for each in finalists}
    kept = [each for each in finalists if steps[each] is not None]
    if kept:
        n_steps = min(steps[each] for each in kept)
        runs = {each: search.exact(each, n_steps) for each in kept if steps[each] == n_steps}
        chosen = min(runs, key=lambda each: runs[each].operations[-1])
        run = runs[chosen]
    else:
        chosen, n_steps = min(finalists, key=lambda each: trials[each].loss_points[-1]), search.max_steps
        run = trials[chosen]
    others = sorted((each for each in search.settings if each is not chosen), key=search.rank)
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


def _what_to_try(tuning, native):
    """The message of what was found in vain."""
    losses, max_steps = tuning.trial.loss_points, tuning.max_steps
    advice = [f"max_loss={losses[-1] + 0.005:.2f}"]
    if losses[-1] < losses[(max_steps - 1) // 2]:
        advice.insert(0, f"max_steps={2 * max_steps}, as the loss is still falling")
    elif tuning.evaluation.accuracy[-1] < tuning.evaluation.ann_accuracy / 2:
        advice.insert(0, f"max_steps={2 * max_steps}")
    if native:
        run = f"x[:500], y[:500], n_steps={max_steps}"
        advice.append(f"diagnose(error.tuning.network, {run}), which says where accuracy goes and what would help")
    else:
        advice.append("neurons that spike faster (amplitude, max_rates)")
    return (
        f"no setting loses at most {tuning.max_loss:g} points up to step {max_steps}: the best one found "
        f"({tuning.trial.made_by.text}) loses {losses[-1] + 0.0:.2f} points in the end; try {'; or '.join(advice)}"
    )
