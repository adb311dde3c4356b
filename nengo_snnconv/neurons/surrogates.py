"""Surrogate gradients: smooth functions whose derivatives replace that of the step function of spikes."""

import math

from ..compat import tf


def _sigmoid(x, slope):
    return tf.sigmoid(slope * x)


def _sigmoid_derivative(x, slope):
    s = tf.sigmoid(slope * x)
    return slope * (s * (1 - s))


def _arctan(x, slope):
    return tf.atan((math.pi / 2 * slope) * x) * (1 / math.pi) + 0.5


def _arctan_derivative(x, slope):
    return (slope / 2) / (1 + tf.square((math.pi / 2 * slope) * x))


def _triangle(x, slope):
    near = tf.clip_by_value(slope * x, -1, 1)
    return 0.5 + near - 0.5 * near * tf.abs(near)


def _triangle_derivative(x, slope):
    return slope * tf.nn.relu(1 - slope * tf.abs(x))


# name: (function, derivative, default slope), as functions of the membrane potential minus the threshold
SURROGATES = {
    "sigmoid": (_sigmoid, _sigmoid_derivative, 4.0),
    "arctan": (_arctan, _arctan_derivative, 2.0),
    "triangle": (_triangle, _triangle_derivative, 1.0),
}


def spike(x, surrogate, slope, smooth=False):
    """Return 1 for neurons that reach the threshold and 0 for others, with the derivative of a surrogate.

    Parameters
    ----------
    x : tf.Tensor
        Membrane potential minus threshold.
    surrogate : str
        Key of ``SURROGATES``.
    slope : float
    smooth : bool
        Return the surrogate function instead of the step function, so that the gradient is exact.

    Returns
    -------
    tf.Tensor
    """
    function, derivative, _ = SURROGATES[surrogate]

    @tf.custom_gradient
    def step(x):
        emitted = function(x, slope) if smooth else tf.cast(x >= 0, x.dtype)
        return emitted, lambda upstream: upstream * derivative(x, slope)

    return step(x)
