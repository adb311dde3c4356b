"""Keras layers for layer specs, with the model's arrays as weights."""

import dataclasses
import functools
import re

import numpy as np

from ..compat import tf
from ..model import layers as specs
from ..neurons.qcfs import QCFS


def keras_layer(layer, arrays):
    """Return the ``tf.keras`` layer for a layer spec.

    Parameters
    ----------
    layer : Layer
        Any layer but the input.  The Keras layer has its name, in the form of :func:`keras_name`.
    arrays : dict of str to ndarray
        Arrays of the layer, in Keras' order: the initial values of the weights.
    """
    return _layer(dataclasses.replace(layer, name=keras_name(layer.name)), arrays)


def keras_name(name):
    """Return the name of a layer in a form that tf.keras accepts: "conv 1" becomes "conv-x20-1".

    Keras 3 allows any name, TensorFlow only some characters.  Valid names are returned unchanged.  Different names stay
    different, because "-x" is used for escapes only.
    """
    valid = re.sub(r"[^A-Za-z0-9_.-]|-(?=x)", lambda match: f"-x{ord(match[0]):x}-", name)
    return valid if re.match(r"[A-Za-z0-9.]", valid) else f"0-x-{valid}"


@functools.singledispatch
def _layer(layer, arrays):
    raise NotImplementedError(f"{layer} has no Keras layer")


def _weights(layer, arrays):
    """Return the arguments of a Keras layer whose initial weights are ``arrays``."""
    constant = tf.keras.initializers.Constant
    bias = {"bias_initializer": constant(arrays["bias"])} if layer.use_bias else {}
    return {"name": layer.name, "use_bias": layer.use_bias, "kernel_initializer": constant(arrays["kernel"]), **bias}


def _of_rank(family, size):
    """Return the Keras class of ``family`` ("Conv", "MaxPooling", ...) with one spatial axis per entry of ``size``."""
    return getattr(tf.keras.layers, f"{family}{len(size)}D")


@_layer.register
def _(layer: specs.Conv, arrays):
    convolution = _of_rank("Conv", layer.kernel_size)(
        layer.filters,
        layer.kernel_size,
        strides=layer.strides,
        padding=layer.padding,
        groups=layer.groups,
        **_weights(layer, arrays),
    )
    convolution.dilation_rate = layer.dilation  # no argument above, since Keras refuses it together with strides
    if _is_depthwise(layer, arrays):
        convolution.convolution_op = functools.partial(_depthwise, layer)
    elif _has_strides_and_dilation(layer):
        convolution.convolution_op = functools.partial(_strided_and_dilated, layer)
    return convolution


def _has_strides_and_dilation(layer):
    """Return whether a convolution has both, which TensorFlow computes with zeros in the kernel only."""
    return max(layer.strides) > 1 and max(layer.dilation) > 1


def _strided_and_dilated(layer, inputs, kernel):
    """Convolve with strides and dilation: the ``convolution_op`` of a Keras layer."""
    return tf.nn.convolution(inputs, _with_zeros(kernel, layer.dilation), layer.strides, layer.padding.upper())


def _with_zeros(kernel, dilation):
    """Return a kernel with zeros between its entries, which has the effect of dilation."""
    for axis, n_each in enumerate(dilation):
        before, after = kernel.shape[:axis], kernel.shape[axis + 1 :]
        entries = tf.reshape(kernel, (*before, kernel.shape[axis], 1, *after))
        spread = tf.pad(entries, [(0, n_each - 1 if i == axis + 1 else 0) for i in range(entries.shape.rank)])
        spread = tf.reshape(spread, (*before, kernel.shape[axis] * n_each, *after))
        kernel = tf.gather(spread, range((kernel.shape[axis] - 1) * n_each + 1), axis=axis)
    return kernel


def _is_depthwise(layer, arrays):
    """Return whether TensorFlow's depthwise convolution, which is much faster than groups, computes the layer."""
    one_channel = layer.groups > 1 and "kernel" in arrays and arrays["kernel"].shape[-2] == 1
    return one_channel and len(layer.kernel_size) == 2 and len(set(layer.strides)) == 1


def _depthwise(layer, inputs, kernel):
    """Convolve each channel with its own filters: the ``convolution_op`` of a Keras layer."""
    filters = tf.reshape(kernel, (*layer.kernel_size, layer.groups, -1))
    strides, padding, dilation = (1, *layer.strides, 1), layer.padding.upper(), layer.dilation
    if _has_strides_and_dilation(layer):
        filters, dilation = _with_zeros(filters, dilation), None
    return tf.nn.depthwise_conv2d(inputs, filters, strides, padding, dilations=dilation)


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
    """Global pooling over any number of spatial axes."""

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


@_layer.register
def _(layer: specs.BatchNormalization, arrays):
    names = {"gamma": "gamma", "beta": "beta", "mean": "moving_mean", "variance": "moving_variance"}
    initial = {f"{names[key]}_initializer": tf.keras.initializers.Constant(array) for key, array in arrays.items()}
    options = {name: getattr(layer, name) for name in ("epsilon", "momentum", "scale", "center", "name")}
    return tf.keras.layers.BatchNormalization(**options, **initial)


class _Select(tf.keras.layers.Layer):
    """Any layer that only selects entries: a gather from the flat input, with a zero appended for padding."""

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
    if layer.levels is None:
        return tf.keras.layers.ReLU(name=layer.name)
    return QCFS(layer.levels, name=layer.name, trainable=False)


@_layer.register
def _(layer: specs.Concatenate, arrays):
    return tf.keras.layers.Concatenate(axis=layer.axis + 1 if layer.axis >= 0 else layer.axis, name=layer.name)


@_layer.register
def _(layer: specs.Dropout, arrays):
    return tf.keras.layers.Dropout(layer.rate, name=layer.name)


@_layer.register
def _(layer: specs.Filter, arrays):
    return tf.keras.layers.Activation("linear", name=layer.name)
