"""Keras layers from layer specs, holding the model's arrays."""

import dataclasses
import functools
import re

import numpy as np

from ..compat import tf
from ..model import layers as specs


def keras_layer(layer, arrays):
    """The ``tf.keras`` layer that computes what a layer spec says.

    Parameters
    ----------
    layer : Layer
        The Keras layer is called by its name, as :func:`keras_name` writes it.
    arrays : dict of str to ndarray
        The layer's own arrays, which become the initial values of its weights, in Keras' order.
    """
    return _layer(dataclasses.replace(layer, name=keras_name(layer.name)), arrays)


def keras_name(name):
    """Return the name of a layer as tf.keras accepts it: "conv 1" becomes "conv-x20-1".

    Keras 3 allows any name, TensorFlow only some characters.  A name of those stays as it is, and no two names become
    the same: "-x" begins the hexadecimal number of a character, and nothing else.
    """
    valid = re.sub(r"[^A-Za-z0-9_.-]|-(?=x)", lambda found: f"-x{ord(found[0]):x}-", name)
    return valid if re.match(r"[A-Za-z0-9.]", valid) else f"0-x-{valid}"


@functools.singledispatch
def _layer(layer, arrays):
    raise NotImplementedError(f"{layer} has no Keras layer")


def _weights(layer, arrays):
    """The arguments that make a layer start from ``arrays``."""
    constant = tf.keras.initializers.Constant
    bias = {"bias_initializer": constant(arrays["bias"])} if layer.use_bias else {}
    return {"name": layer.name, "use_bias": layer.use_bias, "kernel_initializer": constant(arrays["kernel"]), **bias}


def _of_rank(family, size):
    """The Keras class of ``family`` ("Conv", "MaxPooling", ...) for as many axes as ``size`` has entries."""
    return getattr(tf.keras.layers, f"{family}{len(size)}D")


@_layer.register
def _(layer: specs.Conv, arrays):
    return _of_rank("Conv", layer.kernel_size)(
        layer.filters,
        layer.kernel_size,
        strides=layer.strides,
        padding=layer.padding,
        dilation_rate=layer.dilation,
        groups=layer.groups,
        **_weights(layer, arrays),
    )


@_layer.register
def _(layer: specs.Dense, arrays):
    return tf.keras.layers.Dense(layer.units, **_weights(layer, arrays))


@_layer.register(specs.AveragePool)
@_layer.register(specs.MaxPool)
def _(layer, arrays):
    family = "AveragePooling" if isinstance(layer, specs.AveragePool) else "MaxPooling"
    pool = _of_rank(family, layer.pool_size)
    return pool(layer.pool_size, strides=layer.strides, padding=layer.padding, name=layer.name)


class _GlobalPool(tf.keras.layers.Layer):
    """Global pooling over however many axes there are."""

    def __init__(self, reduce, keepdims, name):
        super().__init__(name=name)
        self.reduce = reduce
        self.keepdims = keepdims

    def call(self, inputs):
        return self.reduce(inputs, axis=range(1, inputs.shape.rank - 1), keepdims=self.keepdims)


@_layer.register
def _(layer: specs.GlobalAveragePool, arrays):
    return _GlobalPool(tf.reduce_mean, layer.keepdims, layer.name)


@_layer.register
def _(layer: specs.GlobalMaxPool, arrays):
    return _GlobalPool(tf.reduce_max, layer.keepdims, layer.name)


@_layer.register
def _(layer: specs.Flatten, arrays):
    return tf.keras.layers.Flatten(name=layer.name)


@_layer.register
def _(layer: specs.Reshape, arrays):
    return tf.keras.layers.Reshape(layer.shape, name=layer.name)


@_layer.register
def _(layer: specs.Add, arrays):
    return tf.keras.layers.Add(name=layer.name)


class _Affine(tf.keras.layers.Layer):
    """Scale and shift of each entry of the last axis."""

    def __init__(self, arrays, name):
        super().__init__(name=name)
        self.initial = arrays

    def build(self, input_shape):
        for name, array in self.initial.items():
            initializer = tf.keras.initializers.Constant(array)
            setattr(self, name, self.add_weight(name=name, shape=array.shape, initializer=initializer))

    def call(self, inputs):
        return inputs * self.scale + self.bias


@_layer.register
def _(layer: specs.Affine, arrays):
    return _Affine(arrays, layer.name)


class _Select(tf.keras.layers.Layer):
    """Any layer that only selects entries, as a gather from the flat input with a zero behind its end."""

    def __init__(self, layer):
        super().__init__(name=layer.name)
        self.layer = layer

    def call(self, inputs):
        shape, size = inputs.shape[1:], inputs.shape[1:].num_elements()
        entries = self.layer.select(np.arange(size).reshape(shape), fill=size)
        flat = tf.pad(tf.reshape(inputs, (-1, size)), [(0, 0), (0, 1)])
        return tf.reshape(tf.gather(flat, entries.ravel(), axis=1), (-1, *entries.shape))


@_layer.register
def _(layer: specs.Selection, arrays):
    return _Select(layer)


@_layer.register
def _(layer: specs.Rectifier, arrays):
    return tf.keras.layers.ReLU(name=layer.name)


@_layer.register
def _(layer: specs.Concatenate, arrays):
    return tf.keras.layers.Concatenate(axis=layer.axis + 1 if layer.axis >= 0 else layer.axis, name=layer.name)


@_layer.register
def _(layer: specs.Dropout, arrays):
    return tf.keras.layers.Dropout(layer.rate, name=layer.name)
