"""Surrogates: smooth functions whose derivatives stand for that of a spike's step, so that spiking networks learn."""

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


# name: (function, derivative, slope by default), of the membrane potential above the threshold
SURROGATES = {
    "sigmoid": (_sigmoid, _sigmoid_derivative, 4.0),
    "arctan": (_arctan, _arctan_derivative, 2.0),
    "triangle": (_triangle, _triangle_derivative, 1.0),
}


def spike(x, surrogate, slope, smooth=False):
    """1 where ``x``, the membrane potential above the threshold, is not negative, else 0; differentiable.

    Parameters
    ----------
    x : tf.Tensor
    surrogate : str
        A name in ``SURROGATES``: its derivative takes the place of the step's.
    slope : float
    smooth : bool
        Give the surrogate itself, not the step, so that the gradient is the true one.

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
