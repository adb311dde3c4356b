"""Checks of the arguments of ``train``, before anything is built."""

import math
import pathlib

from .._util.validation import (
    check_callable,
    check_choice,
    check_counts,
    check_fraction,
    check_optional_counts,
    check_paths,
    check_positive,
    check_progress,
    check_seed,
    is_number,
    shown,
)
from ..compat import tf
from ..errors import SettingsError
from ..networks.network import describe_network
from ..networks.trainable import TrainableConfig, check_collected
from .engines import ENGINES


def check_training(network, epochs, batch_size, early_stopping, engine, seed, progress):
    """Raise SettingsError for a network that cannot be trained, or for numbers of epochs and the like."""
    if not isinstance(getattr(network, "settings", None), TrainableConfig):
        raise SettingsError(f"train needs a network made by build_trainable, got {describe_network(network)}")
    check_collected(network)
    check_counts(epochs=epochs, batch_size=batch_size)
    check_optional_counts(early_stopping=early_stopping)
    check_seed(seed)
    check_choice(ENGINES, engine=engine)
    check_progress(progress)


def check_learning(learning_rate, schedule, augment, on_epoch):
    """Raise SettingsError for a learning rate, a schedule or functions that cannot work."""
    scheduled = isinstance(learning_rate, tf.keras.optimizers.schedules.LearningRateSchedule)
    if learning_rate is not None and not scheduled:
        check_positive(learning_rate=learning_rate)
    if not (schedule is None or callable(schedule) or (isinstance(schedule, str) and schedule == "cosine")):
        raise SettingsError(f"schedule must be 'cosine', a function of the epoch, or None; got {shown(schedule)}")
    check_callable(augment=augment, on_epoch=on_epoch)


def check_validation(validation_split, validation_data, early_stopping):
    """Raise SettingsError for arguments of validation that cannot work, or not together."""
    check_fraction(validation_split=validation_split)
    if validation_data is not None:
        if validation_split:
            raise SettingsError("give validation_split or validation_data, not both")
        if not isinstance(validation_data, tuple | list) or len(validation_data) != 2:
            raise SettingsError(f"validation_data must be a pair (x, y), got {shown(validation_data)}")
    elif early_stopping is not None and not validation_split:
        raise SettingsError("early_stopping needs validation_split or validation_data")


def check_checkpoint(checkpoint):
    """Raise SettingsError where a checkpoint cannot be a file."""
    if checkpoint is not None:
        check_paths(checkpoint=checkpoint)
        if pathlib.Path(checkpoint).is_dir():
            raise SettingsError(f"checkpoint={str(checkpoint)!r} is a folder: name a file in it")


def check_steps(network, n_steps):
    """Raise SettingsError where neurons that learn through time are given none, and the other way round."""
    settings = network.settings
    if settings.has_rates and n_steps is not None:
        raise SettingsError(
            f"{settings.neuron_type} is trained on its rates, for one step: leave n_steps out and give images, or use "
            "SurrogateLIF neurons"
        )
    if not settings.has_rates and n_steps is None:
        raise SettingsError("SurrogateLIF neurons are trained through time: say for how many steps, such as n_steps=16")
    if not settings.has_rates and settings.synapse is not None:
        raise SettingsError("SurrogateLIF networks are trained without synapses between layers: rebuild(synapse=None)")


def check_penalty(model, weight):
    """Raise SettingsError for a weight of the activity penalty that cannot work."""
    if not is_number(weight) or not 0 <= weight < math.inf:
        raise SettingsError(f"activity_penalty must be 0 or more, and finite; got {shown(weight)}")
    if weight and not model.neurons:
        raise SettingsError("activity_penalty is for networks with neurons, and this one has none")
