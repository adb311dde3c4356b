"""train: training of networks on firing rates or through time."""

from __future__ import annotations

import os
import typing
from collections.abc import Callable

import nengo

from ..conversion.convert import convert
from ..errors import SettingsError
from ..networks.context import adds_result_only
from ..networks.network import check_network
from ..networks.trainable import build_trainable
from .checkpoint import Checkpoint
from .description import describe_run, describe_settings
from .loop import run_epochs
from .options import TrainingOptions
from .preparation import check_trainable, is_converted_to_rates, prepare
from .state import TrainingState

if typing.TYPE_CHECKING:
    import numpy as np

    from ..compat import tf
    from ..inputs import Data
    from ..networks.network import ConvNetwork


@adds_result_only
def train(
    network: ConvNetwork,
    x: Data,
    y: np.ndarray | None = None,
    *,
    n_steps: int | None = None,
    levels: int | None = None,
    epochs: int = 10,
    batch_size: int = 200,
    optimizer: str | dict | tf.keras.optimizers.Optimizer | None = None,
    loss: str | Callable | tf.keras.losses.Loss | None = None,
    learning_rate: float | tf.keras.optimizers.schedules.LearningRateSchedule | None = None,
    schedule: str | Callable[[int], float] | None = None,
    validation_split: float = 0.0,
    validation_data: tuple | None = None,
    early_stopping: int | None = None,
    teacher: Callable | None = None,
    augment: Callable | None = None,
    activity_penalty: float = 0.0,
    checkpoint: str | os.PathLike | None = None,
    engine: str = "keras",
    precision: str = "float32",
    seed: int = 0,
    progress: bool | None = None,
    on_epoch: Callable[[int, dict], object] | None = None,
    loss_weights: dict[str, float] | list[float] | None = None,
) -> ConvNetwork:
    """Train a network on the firing rates of its neurons, through time, or on the spikes of a converted network.

    Networks of ``SurrogateLIF`` neurons are trained through time: they spike for ``n_steps`` steps, and gradients are
    propagated back through all of these steps.  Their class scores are means over the steps; firing rates if the last
    layer has neurons.  All other networks of ``build_trainable`` are trained on firing rates, in one step.

    Networks of ``to_spiking`` with integrate-and-fire or LIF neurons, also calibrated ones, are fine-tuned for
    ``n_steps`` steps of 1 ms; layers may have different neurons.  The network spikes as ``evaluate`` would run it, the
    mean activities of its layers take the values that the spikes have, and gradients pass through these means as
    through a network of rates (tandem learning, Wu et al. 2021, doi 10.1109/TNNLS.2021.3095724).  Without ``y``, the
    network learns the class probabilities of its own ANN (knowledge distillation, Hinton et al. 2015, arXiv
    1503.02531), so no labels are needed.  The result is an ordinary network for every back end, and ``evaluate``
    compares it with the same ANN.

    Networks of ``convert`` and ``normalize`` are trained on as the CNNs that they are, and the result is a network of
    ``convert``: normalize it again.

    Batch normalization in networks of ``build_trainable`` uses the mean and variance of each batch, over all images and
    time steps, and keeps moving averages for inference, as in Keras.  ``convert`` and training with ``levels`` fix the
    averages, and what is trained from then on is a scale and a shift, or the weights into which they are folded.

    With ``levels``, a trained network is fine-tuned for spikes in as many time steps: its rectifiers become rectifiers
    with levels, as :class:`QCFS` (Bu et al. 2022, arXiv 2303.04347).  Initial thresholds are those with the least mean
    squared error of the activations on training images; the weights are divided by them, and train them from then on.

    The network itself is not changed.  The same arguments give the same result; with dropout, however, a training that
    was continued from a checkpoint drops other neurons than one without interruption.

    Parameters
    ----------
    network : ConvNetwork
        Network made by ``build_trainable``, ``convert`` or ``normalize``; or by ``to_spiking`` or ``calibrate``, with
        ``IntegrateAndFire``, ``SignedIntegrateAndFire`` or ``nengo.LIF`` neurons, constant input and without synapses
        between layers.  LIF neurons start at random potentials, which are others in training than in evaluation.
    x : ndarray, (images, height, width, channel), or Recordings, Inputs or a data set
        Images; also a ``tf.data.Dataset``, Keras sequence, torch ``DataLoader`` or generator of batches, as for
        :func:`evaluate`, which is read once and kept in memory.  For training through time also frames, (items, steps,
        height, width, channel); recordings, which are converted batch by batch into ``n_steps`` frames with equal
        numbers of events; or Inputs, such as ``EventFrames`` or your own subclass.  Images are shown unchanged in every
        step.
    y : ndarray, optional
        Class numbers, (images,), or a target for each output: one-hot rows or class probabilities, (images, classes);
        0 and 1 for one output; rows of 0 and 1 for labels; or floats of the shape of the outputs for a regression.  By
        default the labels in ``x``.  May be left out for networks of ``to_spiking``; the accuracies of training are
        then the agreement with the ANN.  Left out if there is a ``teacher``.
    n_steps : int, optional
        Number of time steps to train through; by default the number of frames in ``x``.  Required for networks of
        ``to_spiking``.  Time and memory grow with ``n_steps`` and ``batch_size``.
    levels : int, optional
        Round activations to this number of values above 0, usually the number of time steps for which the spiking
        network will run.  For neurons whose rate is the rectifier, such as ``nengo.RectifiedLinear`` and
        ``IntegrateAndFire``.  A network that has levels already keeps them if ``levels`` is left out.
    epochs : int
        Number of epochs.
    batch_size : int
        Number of images per training step.  Images that do not fill the last batch are left out, others in each epoch.
    optimizer : str, dict or tf.keras.optimizers.Optimizer, optional
        Keras optimizer, of which a copy is used.  By default Adam with ``global_clipnorm=1``: the response curve of LIF
        neurons has an infinite slope at the firing threshold, and a single huge gradient would stall plain Adam.
    loss : str, callable or tf.keras.losses.Loss, optional
        Keras loss of targets and logits.  By default, and for the names "sparse_categorical_crossentropy" and
        "categorical_crossentropy", cross-entropy from logits; for firing rates by default their mean squared error,
        with target 1 for the true class and 0 for the others.  For one output with targets 0 and 1, and for labels,
        binary cross-entropy from logits; for a regression the mean squared error.  Of several outputs, the losses are
        added, see ``loss_weights``; a dict gives those of some outputs by name.
    learning_rate : float or tf.keras.optimizers.schedules.LearningRateSchedule, optional
        Learning rate; by default that of the optimizer, or 0.0002 for networks of ``to_spiking`` without an
        ``optimizer``.
    schedule : "cosine" or callable, optional
        Change of the learning rate: "cosine" lets it fall to zero over the epochs; a callable maps the number of an
        epoch (0-based) to its learning rate.
    validation_split : float
        Fraction of the images, taken from the end, that is used for validation.
    validation_data : tuple, optional
        Pair (x, y), or a data set with labels, for validation, instead of a split.
    early_stopping : int, optional
        Number of epochs without a lower validation loss after which training stops; the arrays of the best epoch are
        then returned.
    teacher : callable, optional
        Function whose outputs the network learns instead of ``y``, or of the labels in ``x`` (knowledge distillation).
        It takes the images of a batch after augmentation, and returns class probabilities, (images, classes), or what
        else ``y`` may hold as rows of numbers.  A Keras model with a softmax, such as a larger one, or the mean of
        several.  The accuracies of training are then the agreement with it.  For images, networks with one output, and
        the engine "keras".
    augment : callable, optional
        Function ``augment(images, rng)`` that returns the images of an epoch, for example ``random_affine()``.  All
        frames of an item are transformed alike, as channels of one image.
    activity_penalty : float
        Weight in the loss of the fraction of active neurons (Hoyer's measure of sparsity); 1 to 3 gives networks with
        few spikes.  The weight grows from 0 over the first half of the epochs, in which early stopping does not apply.
        The history then contains the fraction as "active".
    checkpoint : str or path, optional
        File to write after each epoch.  If it exists, training continues from it.
    engine : "keras" or "nengo_dl"
        Implementation of the training steps: the network as a plain Keras model, of rates or unrolled in time; or
        NengoDL's Simulator, the reference.  Both give the same steps up to rounding; plain Keras is faster.  Networks
        of ``to_spiking`` are trained by "keras" only.
    precision : "auto", "float32" or "bfloat16"
        Precision of products in convolutions and dense layers.  "auto" is bfloat16 on processors with instructions for
        it, and TensorFloat-32 on GPUs of Nvidia, where large networks are trained faster, with small differences in the
        result.
    seed : int
        Seed of the order of the images, of augmentation and of dropout.
    progress : bool, optional
        Show a progress bar; by default if standard error is a terminal.
    on_epoch : callable, optional
        Function that is called after each epoch with its number (1-based) and a dict of its results.
    loss_weights : dict of str to float, or list, optional
        Weights of the losses of several outputs in their sum, by name, or in the order of ``network.outputs``.  By
        default those with which the Keras model was compiled.  If it has none, they are 1; but the default loss of a
        regression, its mean squared error, is divided by the variance of the targets, as in R², so that it does not
        depend on their units.

    Returns
    -------
    ConvNetwork
        New network with the trained arrays and the ``history``, lists with a value for each epoch: loss, accuracy,
        val_loss, val_accuracy, active, learning_rate (of the last step), seconds, and val_seconds (the part of them for
        validation); None if an epoch did not measure a value.  A regression has the mean absolute error, "error" and
        "val_error", instead of accuracies.  Of several outputs, the engine "keras" adds the weighted loss of each, such
        as "digit_loss".  ``network.model.metadata["training"]`` lists the settings of each training.

    Raises
    ------
    ConversionError
        If the network was made by ``to_spiking`` and has other neurons, synapses or input spikes.
    SettingsError
        If an argument is invalid, the data do not fit the network, the neurons cannot have levels, the checkpoint
        belongs to another training, or the loss becomes NaN.
    TrainingInterrupted
        If interrupted (a KeyboardInterrupt); holds the network after the last complete epoch.

    Examples
    --------
    >>> network = snc.build_trainable(snc.preset("lif-mnist"))
    >>> network = snc.train(network, data.x_train, data.y_train, epochs=5, validation_split=0.1)
    >>> network.history["val_accuracy"][-1]

    Fine-tuning for four time steps:

    >>> network = snc.train(network, data.x_train, data.y_train, epochs=5, levels=4)
    >>> snn = snc.to_spiking(snc.convert(network), snc.SignedIntegrateAndFire())

    Fine-tuning of a converted network, on its own spikes and without labels:

    >>> snn = snc.calibrate(snn, data.x_train[:1000], n_steps=4)
    >>> snn = snc.train(snn, data.x_train, n_steps=4, epochs=1, schedule="cosine", precision="auto")
    >>> evaluation = snc.evaluate(snn, data.x_test, data.y_test, n_steps=4)

    From a teacher, here a Keras model that sees each image and its mirror image:

    >>> snn = snc.train(snn, data.x_train, n_steps=4, teacher=lambda x: (model(x) + model(x[:, :, ::-1])) / 2)
    """
    converted = network if is_converted_to_rates(network) else None
    if converted is not None:
        check_network(network)
        network = build_trainable(network.model, nengo.RectifiedLinear())
    check_trainable(network)
    without_tensor_nodes = not getattr(network.settings, "tensor_nodes", True)
    if without_tensor_nodes:
        network = network.rebuild(tensor_nodes=True)
    options = TrainingOptions(
        n_steps=n_steps,
        levels=levels,
        epochs=epochs,
        batch_size=batch_size,
        optimizer=optimizer,
        loss=loss,
        loss_weights=loss_weights,
        learning_rate=learning_rate,
        schedule=schedule,
        validation_split=validation_split,
        validation_data=validation_data,
        early_stopping=early_stopping,
        teacher=teacher,
        augment=augment,
        activity_penalty=activity_penalty,
        checkpoint=checkpoint,
        engine=engine,
        precision=precision,
        seed=seed,
        progress=progress,
        on_epoch=on_epoch,
    )
    task = prepare(network, x, y, options)
    checkpoint_file = None if checkpoint is None else Checkpoint(checkpoint, describe_run(task))
    saved = checkpoint_file.read() if checkpoint_file else None
    # the loss can rise while the weight of the penalty grows
    warmup_epochs = epochs // 2 if activity_penalty else 0
    state = TrainingState(task.network, saved, describe_settings(task, converted), warmup_epochs)
    if state.epoch > epochs:
        raise SettingsError(
            f"the checkpoint {checkpoint} has {state.epoch} epochs already, more than epochs={epochs}: "
            "give a larger number, remove the file, or choose another path",
            argument="epochs",
        )
    if not state.is_finished(epochs):
        state = run_epochs(task, state, checkpoint_file, saved)
    trained = state.final_network()
    if without_tensor_nodes:
        return trained.rebuild(tensor_nodes=False)
    return trained if converted is None else convert(trained, seed=converted.settings.seed)
