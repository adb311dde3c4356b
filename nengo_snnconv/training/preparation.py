"""prepare: check that network, data and options fit together, and create the optimizer and the loss."""

from __future__ import annotations

import dataclasses
import typing

import numpy as np

from ..conversion.calibrate import why_uncalibratable, with_biases
from ..conversion.levels import with_levels
from ..errors import ConversionError, SettingsError
from ..evaluation.ann import ann_predictions
from ..inputs import as_data, as_pair
from ..model.layers import BatchNormalization, Rectifier
from ..networks.native import NativeConfig, require_native_network
from ..networks.network import NETWORK_ERROR, describe_network
from ..networks.trainable import TrainableConfig, check_collected
from ..neurons.integrate_and_fire import IntegrateAndFire
from .losses import as_loss, loss_weights
from .optimizers import copy_optimizer, scheduled_learning_rate
from .tandem_model import CLASSES
from .targets import as_targets
from .teacher import check_teacher

if typing.TYPE_CHECKING:
    from ..evaluation.heads import Head
    from ..inputs import Inputs
    from ..networks.network import ConvNetwork
    from .options import TrainingOptions

# number of images from which initial thresholds, and the variance of the values of an ANN, are found
IMAGES_FOR_LEVELS = 500
# default learning rate of Adam for networks of to_spiking, which are trained already
FINE_TUNING_RATE = 2e-4


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class TrainingTask:
    """Everything that a training needs, checked.

    Attributes
    ----------
    network : ConvNetwork
        Network to train; with levels, if the options have them.  A network of ``to_spiking`` keeps the arrays of its
        ANN apart from those that are trained.
    options : TrainingOptions
    x, y : Inputs and ndarray
        Training data; y is None if the targets are the outputs of the ANN, or of the teacher.
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
    head : Head
        What the outputs mean.
    """

    network: ConvNetwork
    options: TrainingOptions
    x: Inputs
    y: np.ndarray | None
    validation: tuple[Inputs, np.ndarray] | None
    n_steps: int | None
    batch_size: int
    optimizer: typing.Any
    base_rate: typing.Any
    loss: typing.Any
    head: Head

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
        """True if targets are numbers for the outputs, (items, ...); False if they are class numbers, (items,)."""
        return self.y is None or self.y.ndim > 1


def check_trainable(network) -> None:
    """Raise an error if ``train`` cannot train a network."""
    if isinstance(getattr(network, "settings", None), TrainableConfig):
        check_collected(network)
        return

    require_native_network(
        network,
        "train",
        origin="build_trainable, convert or to_spiking",
        advice="make one from the Keras model with build_trainable, or with convert and to_spiking",
        spiking=True,
        calibrated=True,
        error=NETWORK_ERROR,
    )
    if reason := _why_untrainable(network):
        raise ConversionError(reason)


def is_converted_to_rates(network) -> bool:
    """Return True for a network of ``convert`` or ``normalize``, whose neurons do not spike yet."""
    settings = getattr(network, "settings", None)
    return type(settings) is NativeConfig and not settings.neuron_type.spiking


def _why_untrainable(network):
    """Return why a network of ``to_spiking`` cannot be trained, with a way out; empty if it can."""
    settings = network.settings
    if type(settings) is not NativeConfig:
        return (
            f"train cannot train {describe_network(network)}: train the network before that, or use "
            "to_spiking(network, SignedIntegrateAndFire())"
        )
    types = settings.of_types
    if any(isinstance(each, IntegrateAndFire) and each.initial_state for each in types):
        return "train needs the same initial potential in all neurons: give initial_potential instead of initial_state"
    if settings.readout != "potential":
        return 'train needs the mean input of the output layer: use to_spiking(..., readout="potential")'
    return why_uncalibratable(network.model, settings, "train", tuple(CLASSES))


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
    converted = isinstance(network.settings, NativeConfig)
    if converted:
        network = _with_own_arrays(network)
    _check_teacher_alone(network, y, options)
    without_y = options.teacher is not None
    x, (head, y) = _check_data(network, x, y, options.n_steps, y_optional=converted, y_ignored=without_y)
    n_steps = options.n_steps or x.n_steps
    _check_steps(network, n_steps, x, options)
    x, y, validation = _split(network, x, y, head, n_steps, options)
    if options.teacher is not None:
        check_teacher(network, head, options.teacher, x)
    if options.levels is not None:
        network = _with_levels(network, x, options)
    batch_size = min(options.batch_size, len(x))
    n_batches = options.epochs * (len(x) // batch_size)
    rate = options.learning_rate
    if converted and rate is None and options.optimizer is None:
        rate = FINE_TUNING_RATE
    base_rate = copy_optimizer(options.optimizer, rate).get_config()["learning_rate"]
    learning_rate = scheduled_learning_rate(base_rate, rate, options.schedule, n_batches)
    outputs_rates = n_steps is not None and isinstance(network.model.layers[network.model.output], Rectifier)

    def values_of(name):
        """Return the targets of an output, or the values that the ANN teaches for some of the images."""
        if y is not None:
            return y[:, head.entries[name]]
        some = x.take(slice(0, IMAGES_FOR_LEVELS))
        return ann_predictions(network, some, head=head)[name]

    weights = loss_weights(options.loss_weights, options.loss, network.model, head, values_of)
    target_rows = y is None or y.ndim > 1
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
        loss=as_loss(options.loss, target_rows, outputs_rates and not converted, head, weights),
        head=head,
    )


def _with_own_arrays(network):
    """Return a network of ``to_spiking`` whose arrays are apart from those of its ANN, with biases in all layers."""
    model, ann = with_biases(network.model), with_biases(network.model.ann)
    return network.rebuild(model.replace(ann_arrays=ann.arrays))


def _check_data(network, x, y, n_steps, y_optional=False, y_ignored=False):
    """Return inputs, and the head and targets that fit the network; targets that are left out stay None.

    With ``y_ignored``, labels in a data set are left out, too.
    """
    x, y = as_data(network.model, x, y, n_steps)
    return x, as_targets(network.model, len(x), None if y_ignored else y, optional=y_optional or y_ignored)


def _check_teacher_alone(network, y, options):
    """Check that a teacher is not combined with anything that needs other targets."""
    if options.teacher is None:
        return
    if y is not None:
        raise SettingsError("give y or a teacher, not both: the teacher's outputs are the targets", argument="teacher")
    if options.engine != "keras":
        raise SettingsError('a teacher needs engine="keras"', argument="teacher")
    if len(network.model.outputs) > 1:
        raise SettingsError(
            f"a teacher is for networks with one output, and this one has {len(network.model.outputs)}: give its "
            "outputs for all images as y",
            argument="teacher",
        )


def _check_steps(network, n_steps, x, options):
    """Check that neurons that are trained through time have time steps, and that others have none."""
    settings = network.settings
    if isinstance(settings, NativeConfig):
        _check_converted(n_steps, x, options)
        return
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
    if n_steps is not None and options.engine != "keras":
        for name, layer in network.model.layers.items():
            if isinstance(layer, BatchNormalization):
                raise SettingsError(
                    f"layer {name!r} (BatchNormalization) normalizes over all images and steps of a batch, and NengoDL "
                    "computes one step at a time: use engine='keras'",
                    argument="engine",
                )


def _check_converted(n_steps, x, options):
    """Check the options of the training of a network of ``to_spiking``."""
    if x.n_steps is not None:
        raise SettingsError("networks of to_spiking are trained on images, not on frames or recordings", argument="x")
    if n_steps is None:
        raise SettingsError(
            "networks of to_spiking are trained for a number of steps: give it, such as n_steps=4", argument="n_steps"
        )
    if options.levels is not None:
        raise SettingsError(
            "levels is for networks of rates: leave it out, or train the network before to_spiking", argument="levels"
        )
    if options.engine != "keras":
        raise SettingsError('networks of to_spiking are trained with engine="keras" only', argument="engine")


def _with_levels(network, x, options):
    """Return the network with levels, from some of the images."""
    if not network.settings.rectifies:
        raise SettingsError(
            "levels needs neurons whose rate is the rectifier, which that of "
            f"{network.settings.not_rectifying} is not: use build_trainable(model, nengo.RectifiedLinear()) or "
            "IntegrateAndFire(), without max_rates and intercepts",
            argument="levels",
        )
    if not network.model.neurons:
        raise SettingsError("levels needs a network with neurons, and this one has none", argument="levels")
    order = np.random.default_rng(options.seed).permutation(len(x))
    return with_levels(network, x.batch(np.sort(order[:IMAGES_FOR_LEVELS])), options.levels)


def _split(network, x, y, head, n_steps, options):
    """Return training inputs, training targets, and the pair of validation data or None."""
    if options.validation_data is not None:
        held_out, (other, targets) = _check_data(network, *as_pair(options.validation_data), n_steps)
        if other.kind != head.kind:
            raise SettingsError(
                f"validation_data must have targets like those of the training, {head.kind}; got {other.kind}",
                argument="validation_data",
            )
        return x, y, (held_out, targets)
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
    if y is None:
        raise SettingsError("validation_split needs y; or give validation_data=(x, y)", argument="validation_split")
    return x.take(kept), y[kept], (x.take(held_out), y[held_out])
