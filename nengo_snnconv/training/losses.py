"""Losses of class scores."""

from ..compat import tf
from ..exceptions import SettingsError


class FiringRateError(tf.keras.losses.Loss):
    """Mean squared error of firing rates: each output neuron is to fire in every step for its class, else in none."""

    def __init__(self):
        super().__init__(name="firing_rate_error")

    def call(self, y, rates):
        """Targets are class numbers (batch, 1), or a rate for each output (batch, classes)."""
        y, rates = tf.convert_to_tensor(y), tf.convert_to_tensor(rates)
        if y.shape.rank == 1 or y.shape[-1] == 1:
            y = tf.one_hot(tf.cast(tf.reshape(y, (-1,)), tf.int32), rates.shape[-1], dtype=rates.dtype)
        return tf.reduce_mean(tf.math.squared_difference(tf.cast(y, rates.dtype), rates), axis=-1)


def loss_of(loss, y, firing_rates=False):
    """A Keras loss from what users give: None and the names of cross-entropies are cross-entropy from logits.

    With ``firing_rates``, for scores that are rates, None is :class:`FiringRateError`.
    """
    if loss is None and firing_rates:
        return FiringRateError()
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
    except ValueError as error:
        raise SettingsError(f"loss={loss!r} is not one of Keras' losses") from error
