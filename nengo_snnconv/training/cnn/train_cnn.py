"""train_cnn: training of Keras CNNs for conversion."""

from __future__ import annotations

import json
import math
import os
import pathlib
import time
from collections.abc import Callable

import numpy as np

from ..._util.digests import crc32
from ..._util.interrupts import deferred_interrupt
from ..._util.json_values import to_json
from ..._util.progress import progress_bar
from ...compat import tf
from ...compat.keras_versions import refuse_keras3
from ...errors import FileFormatError, SettingsError, TrainingInterrupted
from ...evaluation.metrics import accuracy
from ...evaluation.task import class_numbers
from ...formats.keras import as_model
from ...inputs import Data, as_images, as_pair
from ...model.archive import read_arrays, write_arrays
from ...networks.rate_model import outputs_of
from ..batches import made_ahead
from ..checkpoint import check_same_run
from ..precision import products_in
from .augmentation import alternating_flips, flip_and_shift
from .options import CNNOptions
from .quantization import with_levels
from .trainer import WHITENING, CNNTrainer
from .whitening import is_whitening, whitening_filters

SECTION = "cnn_training"  # of the checkpoint


def train_cnn(
    model: tf.keras.Model,
    x: Data,
    y: np.ndarray | None = None,
    *,
    epochs: int = 10,
    batch_size: int = 1000,
    learning_rate: float | None = None,
    weight_decay: float = 0.00133,
    label_smoothing: float = 0.2,
    flip: bool = True,
    shift: int = 2,
    levels: int | None = None,
    precision: str = "auto",
    validation_data: tuple | None = None,
    checkpoint: str | os.PathLike | None = None,
    seed: int = 0,
    progress: bool | None = None,
    on_epoch: Callable[[int, dict], object] | None = None,
) -> tf.keras.Model:
    """Train a Keras CNN on photographs, for conversion to a spiking network.

    The recipe is that of airbench94 (Jordan 2024, arXiv 2404.00498), which needs far fewer epochs than usual: SGD with
    Nesterov momentum 0.85 and a learning rate that rises and falls linearly; 64 times this rate for the biases of batch
    normalization; label smoothing; Lookahead; and flips that alternate between epochs.  If the first convolution is
    named "whitening" and has 2 * height * width * channels filters, its kernel is set to the principal axes of patches
    of the images, unless an earlier training did so, and is not trained.  The presets "airbench-cifar10" and
    "resnet14-cifar10" are made for this recipe.

    With ``levels``, a trained model is fine-tuned for a spiking network of as many time steps: its rectifiers become
    :class:`QCFS` layers (Bu et al. 2022, arXiv 2303.04347), whose initial thresholds are chosen from the images.

    The given model is not changed.

    Parameters
    ----------
    model : tf.keras.Model
        Model with one output of logits, (images, classes).
    x : ndarray, (images, height, width, channel), or a data set
        Training images, with pixels in [0, 1], in any form that :func:`evaluate` reads but frames.
    y : ndarray of int, (images,), optional
        Class numbers; by default the labels in ``x``.
    epochs : int
        Number of epochs.
    batch_size : int
        Number of images per training step.  Images that do not fill the last batch are left out, different ones in each
        epoch.
    learning_rate : float, optional
        Largest learning rate; by default 0.0015 * ``batch_size``, or 0.0003 * ``batch_size`` with ``levels``.
    weight_decay : float
        Factor of weight decay: this multiple of each weight is added to its gradient.
    label_smoothing : float
        Probability that the targets distribute evenly over all classes; at least 0, below 1.
    flip : bool
        Mirror each image, left to right, in every second epoch.  Not for digits or letters.
    shift : int
        Largest random shift along either axis, in pixels.
    levels : int, optional
        Replace rectifiers by QCFS layers with this number of levels, usually the number of time steps for which the
        spiking network will run.  ``model`` should be trained already.
    precision : "auto", "float32" or "bfloat16"
        Precision of products in convolutions and dense layers.  "auto" is bfloat16 on processors with instructions for
        it, where it is faster than float32, and TensorFloat-32 on GPUs of Nvidia; on other processors it would be
        slower.
    validation_data : tuple, optional
        Pair (x, y), or a data set with labels, whose accuracy is measured after each epoch.
    checkpoint : str or path, optional
        File to write after each epoch.  If it exists, training continues from it.
    seed : int
        Seed of the order of the images and of augmentation.
    progress : bool, optional
        Show a progress bar; by default if standard error is a terminal.
    on_epoch : callable, optional
        Function that is called after each epoch with its number (1-based) and a dict of its results.

    Returns
    -------
    tf.keras.Model
        New model with the same layers, QCFS layers apart.  Its ``history.history`` holds a list for each of loss,
        accuracy, seconds and, with validation data, val_accuracy, with a value for each epoch.

    Raises
    ------
    SettingsError
        If an argument is invalid, the data do not fit the model, the checkpoint belongs to another training, or the
        loss becomes NaN.
    FileFormatError
        If the checkpoint is damaged.
    TrainingInterrupted
        If interrupted (a KeyboardInterrupt); ``network`` is the model after the last complete epoch.

    Examples
    --------
    >>> data = snc.load_dataset("cifar-10")
    >>> model = snc.preset("airbench-cifar10", (32, 32, 3))
    >>> model = snc.train_cnn(model, data.x_train, data.y_train, checkpoint="training.npz")
    >>> network = snc.convert(model)

    Fine-tuning for four time steps:

    >>> model = snc.train_cnn(model, data.x_train, data.y_train, epochs=5, levels=4)
    >>> snn = snc.to_spiking(snc.convert(model), snc.SignedIntegrateAndFire())
    >>> evaluation = snc.evaluate(snn, data.x_test, data.y_test, n_steps=4)
    """
    options = CNNOptions(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        label_smoothing=label_smoothing,
        flip=flip,
        shift=shift,
        levels=levels,
        precision=precision,
        validation_data=validation_data,
        checkpoint=checkpoint,
        seed=seed,
        progress=progress,
        on_epoch=on_epoch,
    )
    _check_model(model)
    layers = as_model(model)  # raises ConversionError for layers that cannot be converted, before hours of training
    images, classes = _check_data(layers, x, y)
    if shift >= min(images.shape[1:3]):
        raise SettingsError(
            f"shift={shift} must be smaller than the images, {images.shape[1]}x{images.shape[2]}", argument="shift"
        )
    if validation_data is not None:
        validation_data = _check_data(layers, *as_pair(validation_data))
    if levels is not None:
        model = with_levels(model, levels, images, seed)
    with products_in(precision):
        return _Training(model, images, classes, validation_data, options).run()


def _check_data(layers, x, y):
    x, y = as_images(layers, x, y)
    return x, class_numbers(layers, len(x), y)


def _check_model(model):
    """Check that a model can be trained on class numbers."""
    refuse_keras3(model)
    if not isinstance(model, tf.keras.Model):
        raise SettingsError(f"model must be a Keras model, got {type(model).__name__}", argument="model")
    if len(model.outputs) != 1 or len(model.inputs) != 1 or len(model.input_shape) != 4 or len(model.output_shape) != 2:
        raise SettingsError(
            "model must have one input of images and one output (images, classes), got "
            f"{model.input_shape} and {model.output_shape}",
            argument="model",
        )
    last = model.layers[-1]
    if isinstance(last, tf.keras.layers.Softmax) or getattr(last, "activation", None) is tf.keras.activations.softmax:
        raise SettingsError(
            f"the output of the layer {last.name!r} is a softmax, but train_cnn needs logits: leave the softmax out; "
            "it does not change the prediction",
            argument="model",
        )


class _Training:
    """Training of a copy of ``model``; ``run`` returns the trained model."""

    def __init__(self, model, x, y, validation_data, options):
        self.x, self.y, self.validation_data, self.options = x, y.astype(np.int32), validation_data, options
        self.model = tf.keras.models.clone_model(model)
        self.model.set_weights(model.get_weights())
        if options.levels is None:  # else it is trained already
            self._whiten()
        self.batch_size = min(options.batch_size, len(x))
        self.n_batches = len(x) // self.batch_size
        peak_rate = options.learning_rate or options.peak_rate_per_image * self.batch_size
        self.trainer = CNNTrainer(self.model, options, self.n_batches, peak_rate)
        self.weights = self.trainer.weights()
        self.history: dict[str, list] = {}
        self.epoch = 0
        self.run_description = json.loads(json.dumps(to_json(self._describe(model))))

    def _whiten(self):
        """Set the weights of a layer named "whitening", if there is one."""
        for layer in self.model.layers:
            if layer.name != WHITENING:
                continue
            size = layer.kernel_size
            filters = 2 * math.prod(size) * self.x.shape[-1]
            if layer.get_weights()[0].shape != (*size, self.x.shape[-1], filters) or not layer.use_bias:
                raise SettingsError(
                    f'the layer "{WHITENING}" must be a first convolution with biases and {filters} filters, the '
                    f"principal axes of its patches and their negatives; got {layer.filters}",
                    argument="model",
                )
            if not is_whitening(layer.get_weights()[0]):
                layer.set_weights(whitening_filters(self.x, size))

    def run(self):
        """Train until all epochs are complete, and return the model."""
        options = self.options
        self._continue()
        try:
            with deferred_interrupt() as check_interrupt:
                while self.epoch < options.epochs:
                    values = self._train_epoch(check_interrupt)
                    for name, value in values.items():
                        self.history.setdefault(name, []).append(value)
                    self.epoch += 1
                    self._write()
                    if options.on_epoch:
                        options.on_epoch(self.epoch, values)
        except KeyboardInterrupt as interrupt:
            hint = f"; run it again to continue from {options.checkpoint}" if options.checkpoint and self.epoch else ""
            raise TrainingInterrupted(
                f"training was interrupted after {self.epoch} of {options.epochs} epochs{hint}", self._result()
            ) from interrupt
        return self._result()

    def _train_epoch(self, check_interrupt):
        """Train for one epoch, and return its results."""
        started, options = time.perf_counter(), self.options
        order = np.random.default_rng([options.seed, self.epoch]).permutation(len(self.x))
        order = order[: self.n_batches * self.batch_size].reshape(self.n_batches, -1)
        sums = np.zeros(2)
        title = f"epoch {self.epoch + 1}/{options.epochs}"
        with progress_bar(self.n_batches, title, "batch", options.progress) as bar:
            for batch in made_ahead(lambda number: self._batch(number, order[number]), self.n_batches):
                check_interrupt()
                sums += self.trainer.step(*batch)
                bar.update()
        loss, mean_accuracy = (float(total / self.n_batches) for total in sums)
        if not math.isfinite(loss):
            raise SettingsError(
                f"the loss became NaN in epoch {self.epoch + 1}: reduce learning_rate", argument="learning_rate"
            )
        values = {"loss": loss, "accuracy": mean_accuracy}
        self.weights = self.trainer.weights()
        if self.validation_data is not None:
            values["val_accuracy"] = self._accuracy(*self.validation_data)
        return values | {"seconds": time.perf_counter() - started}

    def _batch(self, number, items):
        """Return the augmented images and the classes of a batch."""
        options, rng = self.options, np.random.default_rng([self.options.seed, self.epoch, number])
        flips = (
            alternating_flips(len(self.x), self.epoch, options.seed) if options.flip else np.zeros(len(self.x), bool)
        )
        return flip_and_shift(self.x[items], flips[items], options.shift, rng), self.y[items]

    def _accuracy(self, x, y):
        """Return the accuracy with the weights after the last step (the slow ones of Lookahead)."""
        return float(accuracy(outputs_of(self._result(), x).argmax(axis=-1), y))

    def _result(self):
        """Return a model with the weights and the history after the last complete epoch."""
        model = tf.keras.models.clone_model(self.model)
        model.set_weights(self.weights)
        model.history = tf.keras.callbacks.History()
        model.history.set_model(model)
        model.history.epoch = list(range(self.epoch))
        model.history.history = {name: list(values) for name, values in self.history.items()}
        return model

    def _describe(self, model):
        """Return the properties in which a training must agree with a checkpoint to continue from it."""
        names = ("epochs", "learning_rate", "weight_decay", "label_smoothing", "flip", "shift", "seed")
        data = [array for pair in ((self.x, self.y), self.validation_data or ()) for array in pair]
        return {
            **{name: getattr(self.options, name) for name in names},
            "batch_size": self.batch_size,
            # without names, which Keras numbers
            "layers": [
                [type(layer).__name__, {name: value for name, value in layer.get_config().items() if name != "name"}]
                for layer in model.layers
            ],
            # before whitening, since the last bits of its filters can differ
            "initial weights": f"{crc32(*model.get_weights()):08x}",
            "data": f"{len(self.x)} images, crc32 {crc32(*data):08x}",
        }

    def _write(self):
        """Write the checkpoint, if there is a path for it."""
        if self.options.checkpoint is not None:
            section = {"run": self.run_description, "epoch": self.epoch, "history": self.history}
            write_arrays(self.options.checkpoint, {SECTION: section}, self.trainer.arrays())

    def _continue(self):
        """Continue from the checkpoint, if it exists."""
        if self.options.checkpoint is None or not pathlib.Path(self.options.checkpoint).exists():
            return
        path = self.options.checkpoint
        sections, arrays = read_arrays(path)
        section = sections.get(SECTION)
        if not isinstance(section, dict) or not isinstance(section.get("run"), dict):
            raise SettingsError(f"{path} is not a checkpoint of train_cnn: choose another path", argument="checkpoint")
        check_same_run(path, section["run"], self.run_description)
        try:
            epoch, self.history = section["epoch"], section["history"]
            if not all(len(values) == epoch for values in self.history.values()):
                raise ValueError("its history does not fit its number of epochs")
            self.trainer.restore(arrays, epoch * self.n_batches)
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise FileFormatError(
                f"the checkpoint {path} is damaged: {str(error)[:200]}; use a backup, or remove the file to train from "
                "the beginning"
            ) from error
        self.epoch, self.weights = epoch, self.trainer.weights()
