"""LayerStack: a stack of Keras layers, which the presets fill."""

from __future__ import annotations

import numpy as np

from ..compat import tf


def dirac_kernel(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Return the initial kernel of a convolution whose first outputs copy its inputs, one output for each input.

    The other outputs have uniform weights between -1 / sqrt(n) and 1 / sqrt(n), for n inputs of a neuron.

    Parameters
    ----------
    shape : tuple of int
        Shape of the kernel, (height, width, inputs, outputs).
    seed : int
    """
    *size, n_inputs, n_outputs = shape
    limit = 1 / np.sqrt(np.prod(size) * n_inputs)
    kernel = np.random.default_rng(seed).uniform(-limit, limit, shape).astype(np.float32)
    copied = np.arange(min(n_inputs, n_outputs))
    kernel[..., copied] = 0
    middle = tuple((length - 1) // 2 for length in size)
    kernel[middle][copied, copied] = 1
    return kernel


class LayerStack:
    """Stack of Keras layers with numbered names and seeded initial weights."""

    def __init__(self, input_shape, seed):
        self.input = self.end = tf.keras.Input(input_shape, name="image")
        self.seed = seed
        self.counts = {}

    def conv(self, filters, kernel_size, *, activation="relu", gain=None, **options):
        name = self._name("conv")
        kernel = self._initializer(gain)
        conv = tf.keras.layers.Conv2D(
            filters, kernel_size, activation=activation, name=name, kernel_initializer=kernel, **options
        )
        self.end = conv(self.end)

    def normalized_conv(self, filters, *, kernel_size=3, strides=1, relu=True):
        self.conv(filters, kernel_size, activation=None, strides=strides, padding="same", use_bias=False)
        self.end = tf.keras.layers.BatchNormalization(name=self._name("norm"))(self.end)
        if relu:
            self._relu()

    def whitening_conv(self, size):
        """Add the layer whose weights ``train_cnn`` takes from the images."""
        filters = 2 * size * size * self.end.shape[-1]
        self.end = tf.keras.layers.Conv2D(
            filters, size, activation="relu", name="whitening", kernel_initializer=self._initializer(gain=None)
        )(self.end)

    def dirac_conv(self, filters, *, kernel_size=3, strides=1, max_pool=1, relu=True, name="conv"):
        """Add a convolution that begins as the identity, max pooling, batch normalization and ReLU."""
        conv = tf.keras.layers.Conv2D(
            filters, kernel_size, strides=strides, padding="same", use_bias=False, name=self._name(name)
        )
        self.end = conv(self.end)
        # set as weights, because Keras could not read a file that names an initializer of ours
        conv.set_weights([dirac_kernel(conv.kernel.shape, self._seed())])
        if max_pool > 1:
            self.max_pool(max_pool)
        # means and variances over few batches, for trainings of few epochs; scales of 1
        self.end = tf.keras.layers.BatchNormalization(momentum=0.6, epsilon=1e-5, scale=False, name=self._name("norm"))(
            self.end
        )
        if relu:
            self._relu()

    def dirac_residual_block(self, filters, strides):
        """Add a residual block of two convolutions; average pooling and a 1x1 convolution change the shortcut's shape.

        With average pooling, unlike in He et al. 2016, no entry is left out (He et al. 2019, arXiv 1812.01187).
        """
        start = self.end
        self.dirac_conv(filters, strides=strides)
        self.dirac_conv(filters, relu=False)
        end, self.end = self.end, start
        if start.shape[1:] != end.shape[1:]:
            self.average_pool(strides)
            self.dirac_conv(filters, kernel_size=1, relu=False, name="shortcut")
        self.end = tf.keras.layers.Add(name=self._name("add"))([end, self.end])
        self._relu()

    def residual_block(self, filters, strides):
        start = self.end
        self.normalized_conv(filters, strides=strides)
        self.normalized_conv(filters, relu=False)
        end, self.end = self.end, start
        if start.shape[1:] != end.shape[1:]:
            self.normalized_conv(filters, kernel_size=1, strides=strides, relu=False)
        self.end = tf.keras.layers.Add(name=self._name("add"))([end, self.end])
        self._relu()

    def _relu(self):
        self.end = tf.keras.layers.ReLU(name=self._name("relu"))(self.end)

    def average_pool(self, size):
        self.end = tf.keras.layers.AveragePooling2D(size, name=self._name("pool"))(self.end)

    def dropout(self, rate):
        name = self._name("dropout")
        self.end = tf.keras.layers.Dropout(rate, seed=self._seed(), name=name)(self.end)

    def max_pool(self, size):
        self.end = tf.keras.layers.MaxPooling2D(size, name=self._name("pool"))(self.end)

    def global_average_pool(self):
        self.end = tf.keras.layers.GlobalAveragePooling2D(name=self._name("pool"))(self.end)

    def scaled_logits(self, units):
        """Add the dense layer of airbench94, whose outputs are divided by 9."""
        self.dense(units, gain=1 / 3, use_bias=False)
        self.end = tf.keras.layers.Rescaling(1 / 9, name="logits")(self.end)

    def dense(self, units, gain=None, **options):
        if len(self.end.shape) > 2:
            self.end = tf.keras.layers.Flatten(name="flatten")(self.end)
        name = self._name("dense")
        self.end = tf.keras.layers.Dense(units, name=name, kernel_initializer=self._initializer(gain), **options)(
            self.end
        )

    def _name(self, kind):
        self.counts[kind] = self.counts.get(kind, 0) + 1
        return f"{kind}{self.counts[kind]}"

    def _seed(self):
        return self.seed * 1000 + sum(self.counts.values()) + 1

    def _initializer(self, gain):
        """Return the initializer of weights: Glorot's, or with a variance of ``gain`` / number of inputs."""
        if gain is None:
            return tf.keras.initializers.GlorotUniform(seed=self._seed())
        return tf.keras.initializers.VarianceScaling(gain, "fan_in", "uniform", seed=self._seed())
