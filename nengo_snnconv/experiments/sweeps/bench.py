"""Bench: runs settings of a network on shards of its data, as jobs, and evaluates what they give."""

import functools
import types

import numpy as np

from ..._util.validation import check_images, check_optional_counts
from ..._version import __version__
from ...conversion.normalization import Normalizer
from ...evaluation.evaluate import evaluation_of, predictions_of_ann
from ...evaluation.inputs import Images
from ...evaluation.runner import check_running
from ...evaluation.synaptic_operations import operations_by_step
from ...model.files import model_to_json
from ...model.memory import MOST_TOGETHER
from ...networks.native import NativeConfig
from ...networks.network import ConvNetwork
from ...networks.storage import settings_to_json, value_to_json
from ...networks.trainable import check_collected
from ..jobs import Job, digest, run_jobs
from .shards import check_result, merged, run_shard, split, tally_from

# of options of a run that not every setting has
DEFAULTS = {"skip_steps": 0, "precision": "float32"}


class Bench:
    """Runs settings of one network on shards of its data.

    Parameters
    ----------
    network : ConvNetwork
    inputs : Inputs
    y : ndarray of int, (images,)
    x_calibration : ndarray or None
        For networks that can be normalised.
    n_shards : int or None
        At most.
    minibatch_size, backend, memory_mb, dt
        As for ``evaluate``.
    workers : dict
        Where jobs run and their results are kept: arguments of ``run_jobs``.

    Attributes
    ----------
    normalizer : Normalizer or None
    shards : list of slice
        Of the images.
    """

    def __init__(
        self, network, inputs, y, x_calibration, *, n_shards, minibatch_size, backend, memory_mb, dt, **workers
    ):
        check_optional_counts(minibatch_size=minibatch_size, shards=n_shards)
        check_collected(network)
        self.network, self.inputs, self.y, self.dt, self.workers = network, inputs, y, dt, workers
        self.normalizer = self.calibration = None
        if isinstance(network.settings, NativeConfig):
            if x_calibration is not None:
                x_calibration = check_images(network.model, x_calibration)
                self.calibration = digest(x_calibration)
            self.normalizer = Normalizer(network, x_calibration, memory_mb=memory_mb, progress=False)
        self.as_many_as_fit = minibatch_size is None
        minibatch_size = min(MOST_TOGETHER if minibatch_size is None else minibatch_size, len(inputs))
        self.shards = split(len(inputs), minibatch_size, n_shards)
        self.run_options = {"backend": backend, "minibatch_size": minibatch_size, "dt": dt}
        self.memory_mb = memory_mb

    def checked(self, settings):
        """Return ``settings``; raise an error where the back end does not take one of them."""
        for setting in settings:
            reading = {name: setting.reading[name] for name in ("precision", "synapse") if name in setting.reading}
            check_running(backend=self.run_options["backend"], **reading)
        return settings

    @functools.cached_property
    def ann_predictions(self):
        """The classes that the network with rates predicts, (images,); None where it has none."""
        return predictions_of_ann(self.network, self.inputs, memory_mb=self.memory_mb)

    def run(self, wanted, n_steps, take, description):
        """Run settings on shards, and hand on their tallies as they come.

        Parameters
        ----------
        wanted : iterable of (Setting, int)
            Settings, and numbers of shards.
        n_steps : int
        take : callable
            Called as ``take(setting, number of the shard, tally)``, once for each.
        description : str
            For the progress bar.
        """
        jobs = {self._job(setting, shard, n_steps): (setting, shard) for setting, shard in wanted}
        shared = {f"shard {shard}": functools.partial(self._shard, shard) for shard in range(len(self.shards))}
        shared |= {self._name(setting): functools.partial(self._model, setting) for setting, _ in jobs.values()}
        run_jobs(
            run_shard,
            list(jobs),
            lambda job, result: take(*jobs[job], tally_from(result)),
            check=lambda job, result: self._check(jobs[job][1], n_steps, result),
            shared=shared,
            description=description,
            **self.workers,
        )

    def evaluation(self, setting, tallies, shards=None):
        """The Evaluation of a setting, and its operations by step, from tallies, {number of the shard: tally}.

        Of all these shards, or of ``shards`` only.
        """
        shards = sorted(tallies) if shards is None else sorted(shards)
        images = np.concatenate([np.arange(len(self.y))[self.shards[shard]] for shard in shards])
        ann = None if self.ann_predictions is None else self.ann_predictions[images]
        # counting needs neither the weights of the setting nor Nengo's objects
        network = types.SimpleNamespace(model=self.network.model, settings=setting.settings)
        tally = merged([tallies[shard] for shard in shards])
        moving = self.inputs.n_steps is not None
        arguments = dict(setting.reading)
        if not self.as_many_as_fit:
            arguments["minibatch_size"] = self.run_options["minibatch_size"]
        evaluation = evaluation_of(network, tally, self.y[images], ann, self.dt, arguments, moving)
        return evaluation, operations_by_step(network, tally)

    def network_of(self, setting):
        """The network that a setting makes, with its weights."""
        return ConvNetwork(self._model(setting), setting.settings, self.network.label)

    def _check(self, shard, n_steps, result):
        """Raise ValueError for what cannot be the result of a shard."""
        part = self.shards[shard]
        check_result(result, self.network.model, n_steps, part.stop - part.start)

    def _shard(self, number):
        return self.inputs.take(self.shards[number])

    @functools.cache  # noqa: B019 -- as long as the bench, which ends with the sweep
    def _digest_of_shard(self, number):
        shard = self._shard(number)
        if isinstance(shard, Images):
            return digest(shard.x)
        return digest([type(shard).__name__, len(shard), shard.n_steps, list(shard.shape), shard.checksum()])

    @functools.cached_property
    def _digest_of_model(self):
        model = self.network.model
        description = {name: value for name, value in model_to_json(model).items() if name != "metadata"}
        description["output scale"] = model.output_scale
        return digest(description, *(value for item in sorted(model.arrays.items()) for value in item))

    def _name(self, setting):
        """The name of the model that settings with the same normalisation share."""
        return f"model {setting.normalization}"

    def _model(self, setting):
        if setting.normalization is None:
            return self.network.model
        return self.normalizer.normalized(**setting.normalization).model

    def _job(self, setting, shard, n_steps):
        run = {"n_steps": n_steps, **setting.reading, **self.run_options}
        identity = {
            "what": "tally",
            "version": __version__,
            "images": self._digest_of_shard(shard),
            "moving": self.inputs.n_steps is not None,
            "model": self._digest_of_model,
            "normalization": setting.normalization,
            "calibration": self.calibration if setting.normalization else None,
            "settings": settings_to_json(setting.settings),
            "run": {name: value_to_json(name, value) for name, value in run.items()},
        }
        arguments = {"settings": setting.settings, "memory_mb": self.memory_mb, **DEFAULTS, **run}
        if self.as_many_as_fit:  # results are the same, however many do
            arguments["minibatch_size"] = None
        return Job(identity, (self._name(setting), f"shard {shard}"), arguments)
