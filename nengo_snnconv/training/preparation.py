"""prepare: check that network, data and options fit together, and create the optimizer and the loss."""

from __future__ import annotations

import dataclasses
import typing

import numpy as np

from .._util.validation import check_targets
from ..conversion.levels import with_levels
from ..errors import SettingsError
from ..evaluation.inputs import as_inputs
from ..model.layers import Rectifier
from ..networks.network import describe_network
from ..networks.trainable import TrainableConfig, check_collected
from .losses import as_loss
from .optimizers import copy_optimizer, scheduled_learning_rate

if typing.TYPE_CHECKING:
    from ..evaluation.inputs import Inputs
    from ..networks.network import ConvNetwork
    from .options import TrainingOptions

# number of images from which initial thresholds are chosen
IMAGES_FOR_LEVELS = 500


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class TrainingTask:
    """Everything that a training needs, checked.

    Attributes
    ----------
    network : ConvNetwork
        Network to train; with levels, if the options have them.
    options : TrainingOptions
    x, y : Inputs and ndarray
        Training data.
    validation : (Inputs, ndarray) or None
    n_steps : int or None
        Time steps to train through; None for a training on firing rates.
    batch_size : int
        ``options.batch_size``, or the number of items if there are fewer.
    optimizer : tf.keras.optimizers.Optimizer
        Optimizer of this training only.
    base_rate : float or dict
        Initial learning rate; the configuration if it is a Keras schedule.
    loss : callable
        Keras loss.
    """

    network: ConvNetwork
    options: TrainingOptions
    x: Inputs
    y: np.ndarray
    validation: tuple[Inputs, np.ndarray] | None
    n_steps: int | None
    batch_size: int
    optimizer: typing.Any
    base_rate: typing.Any
    loss: typing.Any

    @property
    def n_batches(self) -> int:
        """Number of batches in an epoch."""
        return len(self.x) // self.batch_size

    @property
    def static_images(self) -> bool:
        """True if inputs are images, which do not change over time; False if they are frames."""
        return self.x.n_steps is None

    @property
    def target_rows(self) -> bool:
        """True if targets are rows of numbers, (items, classes); False if they are class numbers, (items,)."""
        return self.y.ndim > 1


def check_trainable(network) -> None:
    """Raise SettingsError if a network was not made by ``build_trainable``."""
    if not isinstance(getattr(network, "settings", None), TrainableConfig):
        raise SettingsError(
            f"train needs a network made by build_trainable, got {describe_network(network)}", argument="network"
        )
    check_collected(network)


def prepare(network: ConvNetwork, x, y, options: TrainingOptions) -> TrainingTask:
    """Return the training of a network on ``x`` and ``y``, after all checks.

    Raises
    ------
    SettingsError
        If the data, the options and the network do not fit together.
    """
    if options.activity_penalty and not network.model.neurons:
        raise SettingsError(
            "activity_penalty needs a network with neurons, and this one has none", argument="activity_penalty"
        )
    x, y = _check_data(network, x, y, options.n_steps)
    n_steps = options.n_steps or x.n_steps
    _check_steps(network, n_steps)
    x, y, validation = _split(network, x, y, n_steps, options)
    if options.levels is not None:
        network = _with_levels(network, x, options)
    batch_size = min(options.batch_size, len(x))
    n_batches = options.epochs * (len(x) // batch_size)
    base_rate = copy_optimizer(options.optimizer, options.learning_rate).get_config()["learning_rate"]
    learning_rate = scheduled_learning_rate(base_rate, options.learning_rate, options.schedule, n_batches)
    outputs_rates = n_steps is not None and isinstance(network.model.layers[network.model.output], Rectifier)
    return TrainingTask(
        network=network,
        options=options,
        x=x,
        y=y,
        validation=validation,
        n_steps=n_steps,
        batch_size=batch_size,
        optimizer=copy_optimizer(options.optimizer, learning_rate),
        base_rate=base_rate,
        loss=as_loss(options.loss, y, outputs_rates),
    )


def _check_data(network, x, y, n_steps):
    """Return inputs and targets that fit the network."""
    x = as_inputs(network.model, x, n_steps)
    return x, check_targets(network.model, len(x), y)


def _check_steps(network, n_steps):
    """Check that neurons that are trained through time have time steps, and that others have none."""
    settings = network.settings
    if settings.has_rates and n_steps is not None:
        raise SettingsError(
            f"{settings.neuron_type} is trained on its firing rates, in one step: give images and leave out n_steps, "
            "or use SurrogateLIF neurons",
            argument="n_steps",
        )
    if not settings.has_rates and n_steps is None:
        raise SettingsError(
            "SurrogateLIF neurons are trained through time: give the number of steps, such as n_steps=16",
            argument="n_steps",
        )
    if not settings.has_rates and settings.synapse is not None:
        raise SettingsError(
            "SurrogateLIF networks are trained without synapses between layers: network.rebuild(synapse=None)",
            argument="network",
        )


def _with_levels(network, x, options):
    """Return the network with levels, from some of the images."""
    if not network.settings.rectifies:
        raise SettingsError(
            f"levels needs neurons whose rate is the rectifier, which that of {network.settings.neuron_type} is not: "
            "use build_trainable(model, nengo.RectifiedLinear()) or IntegrateAndFire(), without max_rates and "
            "intercepts",
            argument="levels",
        )
    if not network.model.neurons:
        raise SettingsError("levels needs a network with neurons, and this one has none", argument="levels")
    order = np.random.default_rng(options.seed).permutation(len(x))
    return with_levels(network, x.batch(np.sort(order[:IMAGES_FOR_LEVELS])), options.levels)


def _split(network, x, y, n_steps, options):
    """Return training inputs, training targets, and the pair of validation data or None."""
    if options.validation_data is not None:
        return x, y, _check_data(network, *options.validation_data, n_steps)
    n_train = len(x) - round(len(x) * options.validation_split)
    too_few = f"validation_split={options.validation_split} of {len(x)} items"
    if n_train == len(x):
        if options.early_stopping is not None:
            raise SettingsError(
                f"early_stopping needs validation data, but {too_few} is none", argument="early_stopping"
            )
        return x, y, None
    if n_train == 0:
        raise SettingsError(f"{too_few} leaves none to train on", argument="validation_split")
    kept, held_out = np.split(np.arange(len(x)), [n_train])
    return x.take(kept), y[kept], (x.take(held_out), y[held_out])
