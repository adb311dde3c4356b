"""SweepRunner: runs the points of a grid on shards of the data, as jobs, and evaluates the results."""

import functools
import types

import numpy as np

from ..._util.validation import check_optional_counts
from ..._version import __version__
from ...evaluation.ann import ann_predictions
from ...evaluation.from_counts import evaluation_from_counts
from ...evaluation.run_options import check_run_options, run_length
from ...evaluation.shards import check_result, counts_from_result, merge_counts, run_shard, split_images
from ...evaluation.synaptic_operations import operations_by_step
from ...evaluation.task import as_task
from ...inputs import Images, as_data
from ...jobs import Job, digest, run_jobs
from ...model.files import model_to_json
from ...model.memory import MOST_TOGETHER
from ...networks.storage import settings_to_json, value_to_json
from .grid import grid_points
from .trial import Trial

# options of a run that only some grid points set
DEFAULTS = {"skip_steps": 0, "precision": "float32"}


class SweepRunner:
    """Runs the points of a grid on shards of the data.

    Parameters
    ----------
    models : PointModels
        Makes the models of the grid points.
    x : ndarray, Recordings or Inputs
        Images, as for ``evaluate``.
    y : ndarray, Task or None
        Targets, as for ``evaluate``, or the task that they make.
    n_steps : int or None
        Number of time steps, as for ``evaluate``.
    n_shards : int or None
        Largest number of shards.

    Attributes
    ----------
    network : ConvNetwork
        Network whose parameters are varied.
    options : SweepOptions
        Options of ``models``.
    inputs : Inputs
        Data, from ``x``.
    n_steps : int
        Number of time steps.
    shards : list of slice
        Slices of the images.
    """

    def __init__(self, models, x, y, n_steps, *, n_shards):
        network, options = models.network, models.options
        self.inputs, y = as_data(network.model, x, y, n_steps)
        self.targets = as_task(network.model, len(self.inputs), y)
        check_optional_counts(minibatch_size=options.minibatch_size, shards=n_shards)
        self.models, self.network, self.options = models, network, options
        self.automatic_minibatch = options.minibatch_size is None
        minibatch_size = min(
            MOST_TOGETHER if options.minibatch_size is None else options.minibatch_size, len(self.inputs)
        )
        self.shards = split_images(len(self.inputs), minibatch_size, n_shards)
        self.run_options = {"backend": options.backend, "minibatch_size": minibatch_size, "dt": options.dt}
        self.n_steps = run_length(network, n_steps, self.inputs)

    def grid_points(self, grid):
        """Return the points of a grid, each once; raise SettingsError if the back end does not support one."""
        points = grid_points(self.network, grid, self.n_steps, self.models.normalizer, self.options.dt)
        for point in points:
            options = {
                name: point.evaluate_options[name]
                for name in ("precision", "synapse")
                if name in point.evaluate_options
            }
            check_run_options(backend=self.options.backend, **options)
        return points

    @functools.cached_property
    def task(self):
        """Task of all images, with the predictions of the network with rates."""
        head, memory_mb = self.targets.head, self.options.memory_mb
        return self.targets.with_ann(ann_predictions(self.network, self.inputs, memory_mb=memory_mb, head=head))

    def run(self, pairs, n_steps, on_counts, description):
        """Run grid points on shards, and pass on their counts as soon as they are there.

        Parameters
        ----------
        pairs : iterable of (GridPoint, int)
            Grid points and shard numbers.
        n_steps : int
            Number of time steps; calibrated grid points run for the number for which they are calibrated.
        on_counts : callable
            Called as ``on_counts(point, shard number, counts)``, once for each pair.
        description : str
            Text of the progress bar.
        """
        jobs = {self._job(point, shard, n_steps): (point, shard) for point, shard in pairs}
        shared = {f"shard {shard}": functools.partial(self._shard, shard) for shard in range(len(self.shards))}
        shared |= {f"task {shard}": functools.partial(self._task, shard) for shard in range(len(self.shards))}
        shared |= {self.models.name(point): functools.partial(self.models.model, point) for point, _ in jobs.values()}
        run_jobs(
            run_shard,
            list(jobs),
            lambda job, result: on_counts(*jobs[job], counts_from_result(result)),
            check=lambda job, result: self._check(*jobs[job], n_steps, result),
            shared=shared,
            description=description,
            **self.options.job_options,
        )

    def run_all(self, point, n_steps, description):
        """Run a grid point for a number of steps on all shards, and return its Trial."""
        counts = {}
        pairs = [(point, shard) for shard in range(len(self.shards))]
        self.run(pairs, n_steps, lambda _, shard, result: counts.update({shard: result}), description)
        return self.trial(point, counts)

    def trial(self, point, shard_counts):
        """Return the Trial of a grid point on some of the shards.

        Parameters
        ----------
        point : GridPoint
        shard_counts : dict of int to counts of a run
            Counts by shard number.
        """
        shards = sorted(shard_counts)
        images = np.concatenate([np.arange(len(self.inputs))[self.shards[shard]] for shard in shards])
        # an evaluation needs neither the weights of the grid point nor Nengo's objects
        network = types.SimpleNamespace(model=self.network.model, settings=point.settings)
        counts = merge_counts([shard_counts[shard] for shard in shards])
        moving = self.inputs.n_steps is not None
        arguments = dict(point.evaluate_options)
        if not self.automatic_minibatch:
            arguments["minibatch_size"] = self.run_options["minibatch_size"]
        evaluation = evaluation_from_counts(
            network, counts, self.task.take(images), dt=self.options.dt, arguments=arguments, moving=moving
        )
        return Trial(point, evaluation, operations_by_step(network, counts), self.models.build_network)

    def _check(self, point, shard, n_steps, result):
        """Raise ValueError for a result that the shard cannot have."""
        images = self.shards[shard]
        n_images, task = images.stop - images.start, self._task(shard)
        check_result(result, self.network.model, point.run_length(n_steps), n_images, task)

    def _task(self, number):
        """Return the task of a shard, as far as its counts depend on it."""
        return (self.targets if self.targets.head.decides else self.task).for_records(self.shards[number])

    def _shard(self, number):
        return self.inputs.take(self.shards[number])

    @functools.cache  # noqa: B019 -- kept as long as the runner, which ends with the sweep
    def _shard_digest(self, number):
        shard = self._shard(number)
        if isinstance(shard, Images):
            return digest(shard.batch(slice(None)))
        return digest([type(shard).__name__, len(shard), shard.n_steps, list(shard.shape), shard.checksum()])

    @functools.cache  # noqa: B019
    def _task_digest(self, number):
        task = self._task(number)
        known = [values is not None for values in (task.y, task.ann)]
        return digest(known, *(values for values in (task.y, task.ann) if values is not None))

    @functools.cached_property
    def _model_digest(self):
        model = self.network.model
        description = {name: value for name, value in model_to_json(model).items() if name != "metadata"}
        description["output scale"] = model.output_scale
        return digest(description, *(value for item in sorted(model.arrays.items()) for value in item))

    def _job(self, point, shard, n_steps):
        run = {"n_steps": point.run_length(n_steps), **point.evaluate_options, **self.run_options}
        identity = {
            "what": "tally",
            "version": __version__,
            "images": self._shard_digest(shard),
            "moving": self.inputs.n_steps is not None,
            "model": self._model_digest,
            "normalization": point.normalization,
            "calibration": self.models.calibration_digest if point.normalization else None,
            "settings": settings_to_json(point.settings),
            "run": {name: value_to_json(name, value) for name, value in run.items()},
        }
        if point.calibration is not None:
            identity |= {"calibrate": point.calibration, "calibration": self.models.calibration_digest}
        arguments = {"settings": point.settings, "memory_mb": self.options.memory_mb, **DEFAULTS, **run}
        if self.automatic_minibatch:  # results do not depend on the number of images that fit into memory
            arguments["minibatch_size"] = None
        shared = [self.models.name(point), f"shard {shard}"]
        if self.targets.head.name != "classes":
            identity |= {"head": self.targets.head.kind, "targets": self._task_digest(shard)}
            shared.append(f"task {shard}")
        return Job(identity, tuple(shared), arguments)
