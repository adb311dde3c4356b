"""QCFS, the response of integrate-and-fire neurons after a few steps as a Keras activation."""

from __future__ import annotations

import math
import typing

import numpy as np

from .._util.validation import check_counts, check_positive
from ..compat import tf

# keeps thresholds positive in training
SMALLEST_THRESHOLD = 1e-3


@tf.keras.utils.register_keras_serializable("nengo_snnconv")
class QCFS(tf.keras.layers.Layer):
    """Quantization-clip-floor-shift activation, for CNNs that will run with spikes for few time steps.

    In place of max(x, 0), the layer computes

        threshold * clip(floor(x * levels / threshold + 1/2) / levels, 0, 1),

    the mean output of :class:`IntegrateAndFire` neurons that receive a constant input for ``levels`` steps (Bu et al.
    2022, arXiv 2303.04347).  A CNN that is trained with it has learned to work with activations as coarse as those of a
    spiking network.  ``convert`` divides the weights by the thresholds, so neurons keep a threshold of 1.

    Gradients pass rounding unchanged (Bengio et al. 2013, arXiv 1308.3432).  The threshold is trained, one for the
    layer; its gradient is divided by the square root of the number of neurons times ``levels``, so that it changes as
    slowly as the weights (Esser et al. 2020, arXiv 1902.08153).

    Parameters
    ----------
    levels : int
        Number of values above 0, usually the number of time steps for which the spiking network will run.
    threshold : float
        Initial threshold: the largest value.
    **options
        Options of Keras layers, such as ``name``.

    Raises
    ------
    SettingsError
        If ``levels`` is not a positive integer, or the threshold is not positive.

    Examples
    --------
    >>> model = tf.keras.Sequential([tf.keras.layers.Conv2D(32, 3), snc.QCFS(levels=4), tf.keras.layers.Flatten()])

    :func:`train_cnn` with ``levels=4`` replaces the rectifiers of a trained CNN by these layers, with thresholds chosen
    from the data.
    """

    def __init__(self, levels: int = 4, threshold: float = 1.0, **options: typing.Any) -> None:
        check_counts(levels=levels)
        check_positive(threshold=threshold)
        super().__init__(**options)
        self.levels, self.initial_threshold = int(levels), float(threshold)

    def build(self, input_shape: tuple) -> None:
        initial = tf.keras.initializers.Constant(self.initial_threshold)
        self.threshold = self.add_weight(name="threshold", shape=(), initializer=initial)
        n_neurons = math.prod(size or 1 for size in tuple(input_shape)[1:])
        self.gradient_scale = 1 / math.sqrt(n_neurons * self.levels)
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        threshold = tf.maximum(self.threshold, SMALLEST_THRESHOLD)
        # the same value with a scaled gradient
        threshold = tf.stop_gradient((1 - self.gradient_scale) * threshold) + self.gradient_scale * threshold
        return threshold * quantized_tensor(inputs / threshold, self.levels)

    def get_config(self) -> dict:
        return {**super().get_config(), "levels": self.levels, "threshold": self.initial_threshold}


def quantized_tensor(x: tf.Tensor, levels: int | tf.Tensor) -> tf.Tensor:
    """Return the value of :class:`QCFS` for a threshold of 1, as a tensor whose gradients pass rounding."""
    clipped = tf.clip_by_value(x, 0, 1)
    rounded = tf.floor(clipped * levels + 0.5) / levels
    return clipped + tf.stop_gradient(rounded - clipped)


def quantized(x: np.ndarray, levels: int | None) -> np.ndarray:
    """Return max(x, 0), or with ``levels`` the value of :class:`QCFS` for a threshold of 1."""
    if levels is None:
        return np.maximum(x, 0)
    return np.floor(np.clip(x, 0, 1) * np.float32(levels) + np.float32(0.5)) / np.float32(levels)
