"""Descriptions of a training: its settings in the network's metadata, and what a checkpoint must agree with."""

from __future__ import annotations

import json
import typing

from .._util.digests import crc32
from .._util.json_values import to_json
from ..errors import ConversionError
from ..model.files import model_to_json
from ..networks.storage import settings_to_json
from ..networks.trainable import TrainableConfig
from .losses import loss_name
from .optimizers import in_digits_of_float32
from .preparation import TrainingTask

if typing.TYPE_CHECKING:
    from ..networks.network import ConvNetwork


def describe_settings(task: TrainingTask, converted: ConvNetwork | None = None) -> dict:
    """Return the settings of a training, for ``network.model.metadata["training"]``.

    ``converted`` is the network of ``convert`` or ``normalize`` for which ``task.network`` was built, if any.
    """
    options, network = task.options, task.network
    description = {"images": len(task.x), "epochs": options.epochs, **_settings(task)}
    if options.validation_split or options.validation_data is not None:
        description["validation"] = options.validation_split or "data"
    return to_json({**description, **_origin(network, converted)})


def _origin(network, converted):
    """Return how the network of a training was made, as far as no other metadata say so."""
    if converted is not None:
        how = converted.model.metadata.get("normalization")
        return {"made_by": "convert", **({"normalization": how} if how else {})}
    if not isinstance(network.settings, TrainableConfig):
        return {"made_by": "to_spiking"}
    try:
        return {"made_by": "build_trainable", "settings": settings_to_json(network.settings)}
    except ConversionError:  # neuron types that files do not support
        return {"made_by": "build_trainable"}


def describe_run(task: TrainingTask) -> dict:
    """Return what a training must have in common with a checkpoint to continue it.

    That is settings, architecture, data and the number of epochs before; not the number of epochs if nothing else
    depends on it, so that a training can be made longer.
    """
    options, settings = task.options, _settings(task)
    fixed_length = options.schedule == "cosine" or options.activity_penalty
    run = {
        **settings,
        "model": model_to_json(task.network.model)["layers"],
        "network": settings_to_json(task.network.settings),
        "epochs before": len(task.network.history.get("loss", ())),
        "optimizer": {"class": settings["optimizer"], **task.optimizer.get_config(), "learning_rate": None},
        "epochs": options.epochs if fixed_length else None,
        "training data": _data_digest(task.x, task.y),
        "validation data": None if task.validation is None else _data_digest(*task.validation),
    }
    return json.loads(json.dumps(to_json(run)))


def _settings(task):
    options = task.options
    return {
        "optimizer": type(task.optimizer).__name__,
        "learning_rate": in_digits_of_float32(task.base_rate),
        "schedule": "function" if callable(options.schedule) else options.schedule,
        "loss": loss_name(task.loss),
        **({"loss_weights": weights} if (weights := getattr(task.loss, "weights", None)) else {}),
        "batch_size": task.batch_size,
        "augmented": options.augment is not None,
        **({"activity_penalty": options.activity_penalty} if options.activity_penalty else {}),
        **({"n_steps": task.n_steps} if task.n_steps else {}),
        **({"levels": options.levels} if options.levels else {}),
        "early_stopping": options.early_stopping,
        **({"targets": "ANN" if options.teacher is None else "teacher"} if task.y is None else {}),
        **({"precision": options.precision} if options.precision != "float32" else {}),
        "engine": options.engine,
        "seed": options.seed,
    }


def _data_digest(x, y):
    crc = x.checksum() if y is None else crc32(y, start=x.checksum())
    return f"{len(x)} images, crc32 {crc:08x}"
