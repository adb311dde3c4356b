"""Losses of class scores."""

from .._util.validation import shown
from ..compat import tf
from ..errors import SettingsError


class FiringRateError(tf.keras.losses.Loss):
    """Mean squared error of firing rates: each output neuron is to fire in every step for its class, else in none.

    Parameters
    ----------
    rows : bool
        Targets are a rate for each output (batch, classes), not class numbers (batch,) or (batch, 1).
    """

    def __init__(self, rows=False):
        super().__init__(name="firing_rate_error")
        self.rows = rows

    def call(self, y, rates):
        if not self.rows:
            y = tf.one_hot(tf.cast(tf.reshape(y, (-1,)), tf.int32), rates.shape[-1], dtype=rates.dtype)
        return tf.reduce_mean(tf.math.squared_difference(tf.cast(y, rates.dtype), rates), axis=-1)


def loss_of(loss, y, firing_rates=False):
    """A Keras loss from what users give: None and the names of cross-entropies are cross-entropy from logits.

    With ``firing_rates``, for scores that are rates, None is :class:`FiringRateError`.
    """
    if loss is None and firing_rates:
        return FiringRateError(rows=y.ndim > 1)
    if loss is None:
        loss = "sparse_categorical_crossentropy" if y.ndim == 1 else "categorical_crossentropy"
    if loss == "sparse_categorical_crossentropy":
        return tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    if loss == "categorical_crossentropy":
        return tf.keras.losses.CategoricalCrossentropy(from_logits=True)
    if isinstance(loss, str) and y.ndim == 1 and not loss.startswith("sparse"):
        raise SettingsError(f"loss={loss!r} needs targets (images, classes), y holds class numbers: use one-hot rows")
    try:
        return tf.keras.losses.get(loss)
    except (ValueError, TypeError) as error:
        raise SettingsError(f"loss={shown(loss)} is not one of Keras' losses") from error
