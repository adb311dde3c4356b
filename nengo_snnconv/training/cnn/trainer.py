"""CNNTrainer: the training steps of ``train_cnn``."""

from __future__ import annotations

import typing

import numpy as np

from ...compat import tf

if typing.TYPE_CHECKING:
    from .options import CNNOptions

# settings of airbench94
MOMENTUM = 0.85
BIAS_FACTOR = 64  # learning rate of the biases of batch normalization, relative to that of all other weights
WHITENING_EPOCHS = 3  # epochs in which the biases of the whitening layer are trained
LOOKAHEAD_STEPS = 5
WARMUP = 0.23  # part of the training in which the learning rate rises
FIRST_RATE, LAST_RATE = 0.2, 0.07  # relative to the largest rate

WHITENING = "whitening"  # name of the layer whose weights are computed from the images


def relative_rate(progress: float) -> float:
    """Return the learning rate as a fraction of the largest one; ``progress`` is from 0 to 1."""
    return float(np.interp(progress, [0, WARMUP, 1], [FIRST_RATE, 1, LAST_RATE]))


def lookahead_decay(progress: float) -> float:
    """Return the share of the slow weights when they are averaged with the fast ones; ``progress`` is from 0 to 1."""
    return 0.95**LOOKAHEAD_STEPS * progress**3


class CNNTrainer:
    """Trains a Keras model by SGD with Nesterov momentum, label smoothing and Lookahead (Zhang et al. 2019).

    Parameters
    ----------
    model : tf.keras.Model
        Model with logits as output; its variables are changed.
    options : CNNOptions
    batches : int
        Number of batches in an epoch.
    peak_rate : float
        Largest learning rate.

    Attributes
    ----------
    n_steps_done : int
        Number of completed training steps.
    """

    def __init__(self, model: tf.keras.Model, options: CNNOptions, batches: int, peak_rate: float):
        self.model, self.options, self.peak_rate = model, options, peak_rate
        self.batches, self.n_steps = batches, batches * options.epochs
        self.n_steps_done = 0
        self.fast = list(model.weights)
        self.slow = [tf.Variable(weight, trainable=False) for weight in self.fast]
        frozen = {id(layer.kernel) for layer in model.layers if layer.name == WHITENING}
        self.trained = [variable for variable in model.trainable_variables if id(variable) not in frozen]
        self.velocities = [tf.Variable(tf.zeros_like(variable), trainable=False) for variable in self.trained]
        self._step = tf.function(self._make_step())

    def _factors(self):
        """Return for each trained variable the factor of its learning rate, and whether only early epochs train it."""
        norms = tf.keras.layers.BatchNormalization
        biases = {id(layer.beta) for layer in self.model.layers if isinstance(layer, norms) and layer.center}
        early = {id(layer.bias) for layer in self.model.layers if layer.name == WHITENING}
        return [(BIAS_FACTOR if id(variable) in biases else 1, id(variable) in early) for variable in self.trained]

    def _make_step(self):
        smoothing, decay = self.options.label_smoothing, self.options.weight_decay
        factors = self._factors()

        def step(x, y, rate, is_early):
            with tf.GradientTape() as tape:
                logits = tf.cast(self.model(x, training=True), tf.float32)
                targets = tf.one_hot(y, logits.shape[-1])
                losses = tf.keras.losses.categorical_crossentropy(
                    targets, logits, from_logits=True, label_smoothing=smoothing
                )
                loss = tf.reduce_mean(losses)
            gradients = tape.gradient(loss, self.trained)
            for variable, velocity, gradient, (factor, only_early) in zip(
                self.trained, self.velocities, gradients, factors, strict=True
            ):
                own_rate = rate * factor * (is_early if only_early else 1.0)
                change = own_rate * (gradient + (decay / factor) * variable)
                velocity.assign(MOMENTUM * velocity - change)
                variable.assign_add(MOMENTUM * velocity - change)
            accuracy = tf.reduce_mean(tf.cast(tf.argmax(logits, -1, tf.int32) == y, tf.float32))
            return loss, accuracy

        return step

    def step(self, x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
        """Train on one batch, and return its loss and accuracy.

        Parameters
        ----------
        x : ndarray of float32, (images, height, width, channel)
        y : ndarray of int32, (images,)
        """
        rate = self.peak_rate * relative_rate(self.n_steps_done / self.n_steps)
        is_early = float(self.n_steps_done < WHITENING_EPOCHS * self.batches)
        loss, accuracy = self._step(
            tf.constant(x), tf.constant(y), tf.constant(rate, tf.float32), tf.constant(is_early)
        )
        self.n_steps_done += 1
        if self.n_steps_done % LOOKAHEAD_STEPS == 0 or self.n_steps_done == self.n_steps:
            self._look_ahead()
        return float(loss), float(accuracy)

    def _look_ahead(self):
        """Move the slow weights towards the fast ones, and set the fast ones to the result."""
        decay = lookahead_decay(self.n_steps_done / self.n_steps)
        for slow, fast in zip(self.slow, self.fast, strict=True):
            slow.assign(decay * slow + (1 - decay) * fast)
            fast.assign(slow)

    def weights(self) -> list[np.ndarray]:
        """Return the weights of the model so far: the slow ones."""
        return [slow.numpy() for slow in self.slow]

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the state of the training, for a checkpoint."""
        return {f"{group}/{i}": v.numpy() for group, vs in self._groups() for i, v in enumerate(vs)}

    def restore(self, arrays: dict[str, np.ndarray], n_steps_done: int) -> None:
        """Continue from the state that :meth:`arrays` returned after ``n_steps_done`` steps.

        Raises
        ------
        KeyError, ValueError
            If the arrays belong to another model.
        """
        for group, variables in self._groups():
            for number, variable in enumerate(variables):
                variable.assign(arrays[f"{group}/{number}"])
        self.n_steps_done = n_steps_done

    def _groups(self):
        return ("fast", self.fast), ("slow", self.slow), ("velocity", self.velocities)
