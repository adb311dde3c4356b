"""sweep: evaluate a network for every point of a grid, on the cores of this machine or on a Dask cluster."""

from __future__ import annotations

import collections
import dataclasses
import os
from typing import TYPE_CHECKING, Any

from ..._util.display import Displayed
from ..._util.text_tables import counted, markdown_table, text_table
from ..._util.validation import is_number, shown
from ...errors import SettingsError
from ...model.memory import MEMORY_MB
from ...networks.context import adds_result_only
from ...networks.network import check_network
from .grid import format_value
from .options import SweepOptions
from .point_models import PointModels
from .sweep_runner import SweepRunner
from .trial import Trial

if TYPE_CHECKING:
    import distributed
    import numpy as np

    from ...evaluation.result import Evaluation
    from ...inputs import Data
    from ...networks.network import ConvNetwork
    from ...plots import Plot
    from ...plots.plot import AxesSequence


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Sweep(Displayed):
    """Result of :func:`sweep`.

    Attributes
    ----------
    trials : list of Trial
        One trial for each point of the grid, in order.
    """

    trials: list[Trial]

    @property
    def n_steps(self) -> int:
        """Number of time steps; of the longest run, if networks were calibrated for other numbers."""
        return max(trial.evaluation.n_steps for trial in self.trials)

    @property
    def evaluations(self) -> dict[str, Evaluation]:
        """Evaluation of each grid point, {parameter values in one line: Evaluation}."""
        return {trial.grid_point.text: trial.evaluation for trial in self.trials}

    def best(self, max_loss: float | None = None) -> Trial:
        """Return the trial with the highest accuracy, or the fastest one that keeps the accuracy.

        Without ``y``, that is the agreement with the ANN; for labels F1, and for a regression R².

        Among equal trials, the one with the fewest synaptic operations is returned.

        Parameters
        ----------
        max_loss : float, optional
            Largest loss of accuracy in percentage points.  If given, the trial that needs the fewest steps to stay
            within it, then and in all later steps, is returned; otherwise the one with the highest accuracy after the
            last step.

        Raises
        ------
        SettingsError
            If no trial stays within ``max_loss``.
        """
        if max_loss is None:
            return max(self.trials, key=lambda trial: (trial.evaluation.score[-1], -trial.operations[-1]))
        if not is_number(max_loss):
            raise SettingsError(
                f"max_loss must be a number of percentage points, got {shown(max_loss)}", argument="max_loss"
            )
        within = [(steps, trial) for trial in self.trials if (steps := trial.steps_within(max_loss)) is not None]
        if not within:
            raise SettingsError(
                f"no trial keeps the loss within max_loss={max_loss:g} points up to step {self.n_steps}: allow more "
                "loss or run more steps",
                argument="max_loss",
            )
        return min(within, key=lambda pair: (pair[0], pair[1].operations[pair[0] - 1]))[1]

    def _headline(self):
        n_images = len(self.trials[0].evaluation.y)
        run = f"{counted(n_images, 'image')}, up to {counted(self.n_steps, 'step')}"
        return f"{counted(len(self.trials), 'setting')} on {run}"

    def _tables(self):
        return [self.rows()]

    def rows(self) -> list[tuple[str, ...]]:
        """Return a table: a header, then the parameter values and results of each trial, as text."""
        names = list(dict.fromkeys(name for trial in self.trials for name in trial.setting))
        measure = self.trials[0].evaluation.measure.name
        rows = [(*(names or ["setting"]), measure, "points lost", "spikes / neuron", "operations", "seconds")]
        for trial in self.trials:
            values = [format_value(trial.setting[name]) if name in trial.setting else "" for name in names]
            rows.append((*(values or [trial.grid_point.text]), *_result_cells(trial.evaluation)))
        return rows

    def table(self, markdown: bool = False) -> str:
        """Return the table of :meth:`rows` as text, or as Markdown."""
        return (markdown_table if markdown else text_table)(self.rows())

    def to_dict(self) -> dict[str, Any]:
        """Return the results as JSON-serializable values."""
        return {"n_steps": self.n_steps, "trials": [trial.to_dict() for trial in self.trials]}

    def plot(self, axes: AxesSequence | None = None) -> Plot:
        """Draw the accuracy of each trial over time steps and over operations; see :func:`plot_sweep`.

        Returns
        -------
        Plot
            Shown in a notebook; ``.savefig(path)`` writes it to a file.
        """
        from ...plots import plot_sweep

        return plot_sweep(self, axes)


def _result_cells(evaluation):
    lost, spikes, operations = evaluation.loss_points, evaluation.spikes_per_neuron, evaluation.synaptic_operations
    return (
        evaluation.measure.text(evaluation.measure.steps[-1]),
        "" if lost is None else f"{lost:.2f}",
        "" if spikes is None else f"{spikes:.3f}",
        "" if operations is None else f"{operations:,.0f}",
        f"{evaluation.seconds:.1f}",
    )


@adds_result_only
def sweep(
    network: ConvNetwork,
    x: Data,
    y: np.ndarray | None = None,
    grid: dict[str, Any] | list[dict[str, Any]] | None = None,
    *,
    x_calibration: Data | None = None,
    n_steps: int | None = None,
    shards: int | None = None,
    folder: str | os.PathLike | None = None,
    n_jobs: int | None = None,
    dask: str | distributed.Client | None = None,
    backend: str | None = None,
    minibatch_size: int | None = None,
    memory_mb: float = MEMORY_MB,
    dt: float = 0.001,
    progress: bool | None = None,
) -> Sweep:
    """Evaluate a network for every point of a grid of parameter values, in parallel.

    Images are split into shards, and each shard of each grid point is a job.  Results are exactly those of ``evaluate``
    on all images, because shards only count, and integers are added.  Jobs run in processes on the cores of this
    machine, or on a Dask cluster.  With a folder, each result is written as soon as it is there, and the same call
    continues a sweep that was interrupted or failed.

    Parameters
    ----------
    network : ConvNetwork
        Network of any kind.
    x : ndarray, (images, height, width, channel), or Recordings, Inputs or a data set
        Data, as for :func:`evaluate`.
    y : ndarray, optional
        True classes, labels or values, as for :func:`evaluate`.
    grid : dict of str to list, or list of such dicts, optional
        Values of the parameters that are varied; all combinations are evaluated.  Without it the unchanged network is
        evaluated.

        For networks made by ``convert``: "method", "percentile", "per" and "balance_steps" (the n_steps of method
        "balance") of ``normalize``; "initial_potential", "reset", "max_spikes" and "min_potential" of
        ``IntegrateAndFire``; "signed", True for ``SignedIntegrateAndFire``, which has no "reset" and "min_potential";
        "input_coding", "input_threshold", "readout", "synapse" and "seed" of ``to_spiking``; "calibrate", True to
        correct the network by :func:`calibrate` for ``n_steps``, or for each number in "calibrate_steps".  A calibrated
        network belongs to one number of steps, so it runs for just this number.  Networks with rates become spiking
        networks of ``IntegrateAndFire`` neurons.

        For networks made by ``build_trainable``: "synapse".

        For every network, parameters of ``evaluate``: "skip_steps", "precision", and "output_synapse", the synapse that
        filters the class scores.
    x_calibration : ndarray, (images, height, width, channel), or a data set, optional
        Calibration images, in any form that :func:`normalize` reads, for networks made by ``convert``; required for
        "calibrate".  Weights are normalized for each grid point, with the defaults of ``normalize`` for parameters that
        are not in the grid.  Without calibration images, weights stay unchanged.
    n_steps : int, optional
        Number of time steps, as for :func:`evaluate`.
    shards : int, optional
        Number of shards, each of whole minibatches; by default shards of 1,000 images.
    folder : str or path, optional
        Folder for the results, a file for each.  Several sweeps may use the same folder.
    n_jobs : int, optional
        Number of processes on this machine.  1 is this process, in which the back end "fast" uses all cores.  By
        default jobs start in this process, and move to one process for each core if they would take more than a minute.
    dask : str or distributed.Client, optional
        Dask cluster to run on: the address of its scheduler, such as "tcp://127.0.0.1:8786", or a client.
    backend, minibatch_size, memory_mb, dt
        As for :func:`evaluate`.
    progress : bool, optional
        Show a progress bar; by default if standard error is a terminal.

    Returns
    -------
    Sweep

    Raises
    ------
    SettingsError, ConversionError
        If a name or value in the grid, another argument, or the data are invalid.
    JobsInterrupted
        On Control-C; the message says how to continue.
    WorkersError
        If workers die repeatedly, or cannot be reached.

    Examples
    --------
    >>> grid = {"percentile": [99, 99.9, 100], "initial_potential": [0, 0.5]}
    >>> result = nengo_snnconv.sweep(network, x, y, grid, x_calibration=x_train, n_steps=32)
    >>> print(result.table())
    """
    check_network(network)
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
    models = PointModels(network, x_calibration, options)
    runner = SweepRunner(models, x, y, n_steps, n_shards=shards)
    points = runner.grid_points({} if grid is None else grid)
    counts: dict[Any, dict] = collections.defaultdict(dict)

    def on_counts(point, shard, shard_counts):
        counts[point][shard] = shard_counts

    pairs = [(point, shard) for shard in range(len(runner.shards)) for point in points]
    runner.run(pairs, runner.n_steps, on_counts, "sweeping")
    return Sweep([runner.trial(point, counts[point]) for point in points])
