"""The activity penalty: what training adds to the loss so that fewer neurons are active."""

from ..compat import tf


def active_neurons(activity):
    """The number of neurons that are active, as far as a gradient can tell.

    For n neurons with activities a it is Hoyer's measure (sum a)^2 / sum a^2: n where all are equally active, 1 where a
    single one is, k where k are equally active.  Unlike a sum of activities it does not fall when all of them shrink,
    which later weights would make up for.

    Parameters
    ----------
    activity : tf.Tensor, (images, ...)
        Of a layer of neurons.

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
    """The term of the loss: a weight times the share of neurons that are active.

    The weight grows in proportion to the steps of training, over the first half of them, for a network that has not
    learned anything yet would lose less by falling silent, and stay so.

    Parameters
    ----------
    weight : float
    n_steps : int
        Of the whole training.
    step : tf.Variable
        The optimiser's count of steps.
    """

    def __init__(self, weight, n_steps, step):
        super().__init__(trainable=False)
        self.weight, self.grown, self.step = weight, n_steps / 2, step

    def call(self, share):
        """The term, (), from the share of neurons that are active in each image, (images, ...)."""
        growth = tf.minimum(1.0, tf.cast(self.step, share.dtype) / self.grown)
        return self.weight * growth * tf.reduce_mean(share)
