"""sweep: evaluates a network with many settings, on the cores of this machine or on a Dask cluster."""

import collections
import dataclasses

from ..._util.text_tables import text_table
from ..._util.validation import check_classes, check_paths, check_progress, is_number, shown
from ...errors import SettingsError
from ...evaluation.inputs import as_inputs
from ...evaluation.run_options import check_run_options, run_length
from ...model.input_range import warn_of_range
from ...model.memory import MEMORY_MB
from ...networks.network import check_network
from ..jobs import check_workers
from .bench import Bench
from .grid import settings_of, text_of
from .trial import trial_of


@dataclasses.dataclass(frozen=True, eq=False)
class Sweep:
    """What :func:`sweep` found.

    Attributes
    ----------
    trials : list of Trial
        One for each setting, in the order of the grid.
    """

    trials: list

    @property
    def n_steps(self):
        return self.trials[0].evaluation.n_steps

    @property
    def evaluations(self):
        """The Evaluation of each setting, {its values in a line: Evaluation}."""
        return {trial.made_by.text: trial.evaluation for trial in self.trials}

    def best(self, max_loss=None):
        """The Trial with the highest accuracy after the last step, or the fewest steps; of equals the least operations.

        Parameters
        ----------
        max_loss : float, optional
            The one that needs the fewest steps to lose no more than so many percentage points, in all later steps too.

        Raises
        ------
        SettingsError
            If no setting loses as little as that.
        """
        if max_loss is not None and not is_number(max_loss):
            raise SettingsError(f"max_loss must be a number of percentage points, got {shown(max_loss)}")
        if max_loss is None:
            return max(self.trials, key=lambda trial: (trial.evaluation.accuracy[-1], -trial.operations[-1]))
        within = [(steps, trial) for trial in self.trials if (steps := trial.steps_within(max_loss)) is not None]
        if not within:
            raise SettingsError(f"no setting keeps the loss within {max_loss:g} points up to step {self.n_steps}")
        return min(within, key=lambda pair: (pair[0], pair[1].operations[pair[0] - 1]))[1]

    def rows(self):
        """A table of the settings: a header, then for each its values and figures as text."""
        names = list(dict.fromkeys(name for trial in self.trials for name in trial.setting))
        rows = [(*(names or ["setting"]), "accuracy", "points lost", "spikes / neuron", "operations", "seconds")]
        for trial in self.trials:
            values = [text_of(trial.setting[name]) if name in trial.setting else "" for name in names]
            rows.append((*(values or [trial.made_by.text]), *_figures(trial.evaluation)))
        return rows

    def text_table(self, markdown=False):
        """The table of settings as text, or as Markdown."""
        rows = self.rows()
        if not markdown:
            return text_table(rows)
        lines = ["| " + " | ".join(row) + " |" for row in rows]
        return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])

    def to_dict(self):
        """The figures as JSON-serialisable values."""
        return {"n_steps": self.n_steps, "trials": [trial.to_dict() for trial in self.trials]}

    def plot(self, axes=None):
        """Draw accuracy after each step and against operations, for each setting; returns two matplotlib axes."""
        from ...plots import plot_sweep

        return plot_sweep(self, axes)


def _figures(evaluation):
    lost, spikes, operations = evaluation.loss_points, evaluation.spikes_per_neuron, evaluation.synaptic_operations
    return (
        f"{100 * evaluation.accuracy[-1]:.2f} %",
        "" if lost is None else f"{lost:.2f}",
        "" if spikes is None else f"{spikes:.3f}",
        "" if operations is None else f"{operations:,.0f}",
        f"{evaluation.seconds:.1f}",
    )


def sweep(
    network,
    x,
    y,
    grid=None,
    *,
    x_calibration=None,
    n_steps=None,
    shards=None,
    folder=None,
    n_jobs=None,
    dask=None,
    backend=None,
    minibatch_size=None,
    memory_mb=MEMORY_MB,
    dt=0.001,
    progress=None,
):
    """Evaluate a network with each setting of a grid, on shards of the images, many at once.

    The figures are those of ``evaluate`` on all images, exactly: what shards count are whole numbers, which are added.
    Jobs run in processes on the cores of this machine, or on a Dask cluster.  With a folder, each result is kept when
    it is there, and a sweep that was interrupted or broke goes on where it stopped.

    Parameters
    ----------
    network : ConvNetwork
        Of any kind.
    x : ndarray, (images, height, width, channel), or Recordings or Inputs
        As for :func:`evaluate`.
    y : ndarray, (images,)
        Class numbers.
    grid : dict of str to list, or list of such dicts, optional
        What is varied, and its values; every combination is a setting.  Without it the network is evaluated as it is.

        For networks made by ``convert``: "method", "percentile", "per" and "balance_steps" (the n_steps of method
        "balance") of ``normalize``; "initial_potential", "reset", "max_spikes" and "min_potential" of
        ``IntegrateAndFire``; "input_coding", "input_threshold", "readout", "synapse" and "seed" of ``to_spiking``.
        Networks with rates become spiking ones with ``IntegrateAndFire`` neurons.

        For networks made by ``build_trainable``: "synapse".

        Of ``evaluate``: "skip_steps", "precision", and "output_synapse", the synapse through which scores are read.
    x_calibration : ndarray, (images, height, width, channel), optional
        For networks made by ``convert``: normalise on these, once for each setting, with the defaults of ``normalize``
        for what is not in the grid.  Without it, weights stay as they are.
    n_steps : int, optional
        As for :func:`evaluate`.
    shards : int, optional
        Into how many parts images are split, each of whole minibatches; by default of 1,000 images.
    folder : str or path, optional
        Keeps a file for each result; the same call continues, and other sweeps may use the same folder.
    n_jobs : int, optional
        Number of processes on this machine.  1 is this process, where the back end "fast" uses all cores too.  By
        default this one, and as many as there are cores if more than a minute is left after some jobs.
    dask : str or distributed.Client, optional
        Run on the workers of a Dask cluster: the address of its scheduler, such as "tcp://127.0.0.1:8786", or a client.
    backend, minibatch_size, memory_mb, dt
        As for :func:`evaluate`.
    progress : bool, optional
        Show a progress bar; by default where standard error is a terminal.

    Returns
    -------
    Sweep

    Raises
    ------
    SettingsError, ConversionError
        If a name or a value of the grid, another argument, or the data do not do.
    JobsInterrupted
        On Control-C; says how to continue.
    WorkersError
        If workers die again and again, or cannot be reached.
    """
    check_network(network)
    check_bench(n_jobs, dask, folder, progress, backend, minibatch_size, memory_mb, dt)
    bench, n_steps = checked_bench(
        network,
        x,
        y,
        x_calibration,
        n_steps,
        n_shards=shards,
        minibatch_size=minibatch_size,
        backend=backend,
        memory_mb=memory_mb,
        dt=dt,
        folder=folder,
        n_jobs=n_jobs,
        dask=dask,
        progress=progress,
    )
    settings = bench.checked(settings_of(network, {} if grid is None else grid, n_steps, bench.normalizer, dt))
    tallies = collections.defaultdict(dict)

    def take(setting, shard, tally):
        tallies[setting][shard] = tally

    wanted = [(setting, shard) for shard in range(len(bench.shards)) for setting in settings]
    bench.run(wanted, n_steps, take, "sweeping")
    return Sweep([trial_of(bench, setting, tallies[setting]) for setting in settings])


def check_bench(n_jobs, dask, folder, progress, backend, minibatch_size, memory_mb, dt):
    """Raise an error for arguments of a sweep or of tuning that cannot work, before data are looked at."""
    check_workers(n_jobs, dask)
    check_progress(progress)
    if folder is not None:
        check_paths(folder=folder)
    check_run_options(backend=backend, minibatch_size=minibatch_size, memory_mb=memory_mb, dt=dt)


def checked_bench(network, x, y, x_calibration, n_steps, **options):
    """A Bench and the number of steps, after the checks of ``evaluate``."""
    inputs = as_inputs(network.model, x, n_steps)
    warn_of_range(network.model, x)
    y = check_classes(network.model, len(inputs), y)
    return Bench(network, inputs, y, x_calibration, **options), run_length(network, n_steps, inputs)
