"""The activity penalty: a term of the loss that makes fewer neurons active."""

from __future__ import annotations

import typing

from ..compat import tf


def count_active(activity):
    """Return a differentiable measure of the number of active neurons.

    For n neurons with activities a it is Hoyer's measure (sum a)^2 / sum a^2: n if all are equally active, 1 if
    only one is active, k if k are equally active.  Unlike the sum of activities it does not decrease when all
    activities shrink, which the weights of the next layer would compensate.

    Parameters
    ----------
    activity : tf.Tensor, (images, ...)
        Activity of a layer of neurons.

    Returns
    -------
    tf.Tensor, (images, 1)

    References
    ----------
    Hoyer 2004, "Non-negative matrix factorization with sparseness constraints", JMLR 5; used on activations by Kurtz et
    al. 2020, "Inducing and exploiting activation sparsity for fast inference on deep neural networks", ICML.
    """
    flat = tf.reshape(activity, (-1, activity.shape[1:].num_elements()))
    squares = tf.reduce_sum(tf.square(flat), axis=1, keepdims=True)
    return tf.math.divide_no_nan(tf.square(tf.reduce_sum(flat, axis=1, keepdims=True)), squares)


class ActivityPenalty(tf.keras.layers.Layer):
    """Term of the loss: a weight times the fraction of active neurons.

    The weight grows linearly over the first half of the training.  With the full weight from the start, an untrained
    network would reduce its loss most by becoming silent, and stay silent.

    Parameters
    ----------
    weight : float
        Final weight.
    n_steps : int
        Number of training steps in the whole training.
    step : tf.Variable
        Step counter of the optimizer.
    """

    def __init__(self, weight: float, n_steps: int, step: typing.Any):
        super().__init__(trainable=False)
        self.weight, self.warmup_steps, self.step = weight, n_steps / 2, step

    def call(self, active_fraction):
        """Return the term, (), for the fraction of active neurons in each image, (images, ...)."""
        growth = tf.minimum(1.0, tf.cast(self.step, active_fraction.dtype) / self.warmup_steps)
        return self.weight * growth * tf.reduce_mean(active_fraction)
