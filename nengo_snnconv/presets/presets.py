"""Published networks by name, as untrained Keras models."""

from __future__ import annotations

from collections.abc import Sequence

from .._util.validation import check_counts, check_seed, shown
from ..compat import tf
from ..errors import SettingsError
from .layer_stack import LayerStack


def _lif_mnist(add, classes):
    """Add the layers of NengoDL's MNIST example.

    The rate of a LIF neuron has an infinite slope at the threshold.  Negative initial biases keep the neurons of the
    empty background away from it, which makes training faster.
    """
    for filters, strides in ((32, 1), (64, 2), (128, 2)):
        add.conv(filters, 3, strides=strides, bias_initializer=tf.keras.initializers.Constant(-0.1))
    add.dense(classes)


def _diehl_mnist(add, classes):
    """Add 12c5-2s-64c5-2s-10o of Diehl et al. 2015 (doi 10.1109/IJCNN.2015.7280696): average pooling, no biases.

    Dropout, as in the paper, makes a network robust against missing activity, and so against activity in whole spikes.
    """
    add.conv(12, 5, use_bias=False)
    add.average_pool(2)
    add.dropout(0.2)
    add.conv(64, 5, use_bias=False)
    add.average_pool(2)
    add.dropout(0.5)
    add.dense(classes, use_bias=False)


def _ttfs_mnist(add, classes):
    """Add two convolutions, two maxima and two dense layers, as in Lopez-Randulfe et al. 2022, with dropout.

    With negative initial biases, neurons are silent on empty background, and stay so in training.
    """
    silent = {"bias_initializer": tf.keras.initializers.Constant(-0.07)}
    add.conv(32, 5, padding="same", **silent)
    add.max_pool(2)
    add.dropout(0.2)
    add.conv(64, 5, **silent)
    add.max_pool(2)
    add.dropout(0.4)
    add.dense(128, activation="relu", **silent)
    add.dropout(0.5)
    add.dense(classes)


def _surrogate_nmnist(add, classes):
    """Add three convolutions without biases and two dense layers, for events, with strides instead of pooling.

    Large initial weights make leaky neurons of all layers spike before training.  The preset "surrogate-nmnist-cnn" has
    the usual weights of a CNN, of He et al. 2015 (arXiv 1502.01852).
    """
    _nmnist_layers(add, classes, gain=8)


def _surrogate_nmnist_cnn(add, classes):
    """Add the layers of "surrogate-nmnist" with the initial weights of a CNN."""
    _nmnist_layers(add, classes, gain=2)


def _nmnist_layers(add, classes, gain):
    for filters, kernel_size, strides in ((32, 5, 2), (64, 3, 2), (64, 3, 1)):
        add.conv(filters, kernel_size, strides=strides, use_bias=False, gain=gain)
    add.dropout(0.25)
    add.dense(128, activation="relu", gain=gain)
    add.dropout(0.25)
    add.dense(classes, gain=gain)


def _vgg_cifar10(add, classes):
    """Add pairs of 3x3 convolutions with batch normalization, and maxima, as in Simonyan & Zisserman 2014."""
    for filters in (32, 64, 128):
        add.normalized_conv(filters)
        add.normalized_conv(filters)
        add.max_pool(2)
    add.dense(classes)


def _resnet_cifar10(add, classes):
    """Add three residual blocks with batch normalization, as in He et al. 2016 (arXiv 1512.03385) for CIFAR-10."""
    add.normalized_conv(16)
    for filters, strides in ((16, 1), (32, 2), (64, 2)):
        add.residual_block(filters, strides)
    add.global_average_pool()
    add.dense(classes)


def _airbench_cifar10(add, classes, widths=(64, 256, 256)):
    """Add the layers of airbench94 (Jordan 2024, arXiv 2404.00498) with ReLU: a whitening convolution and 6 others.

    Maxima before normalization and ReLU are equal to maxima after them, since the scales of normalization are 1.
    """
    add.whitening_conv(2)
    for filters in widths:
        add.dirac_conv(filters, max_pool=2)
        add.dirac_conv(filters)
    add.max_pool(3)
    add.scaled_logits(classes)


def _resnet14_cifar10(add, classes):
    """Add six residual blocks (He et al. 2016, arXiv 1512.03385) without max pooling, the first at 16x16 pixels."""
    add.whitening_conv(2)
    add.dirac_conv(64, kernel_size=4, strides=2)
    for filters, strides in ((64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1)):
        add.dirac_residual_block(filters, strides)
    add.global_average_pool()
    add.scaled_logits(classes)


PRESETS = {
    "lif-mnist": _lif_mnist,
    "diehl-mnist": _diehl_mnist,
    "ttfs-mnist": _ttfs_mnist,
    "surrogate-nmnist": _surrogate_nmnist,
    "surrogate-nmnist-cnn": _surrogate_nmnist_cnn,
    "vgg-cifar10": _vgg_cifar10,
    "resnet-cifar10": _resnet_cifar10,
    "airbench-cifar10": _airbench_cifar10,
    "resnet14-cifar10": _resnet14_cifar10,
}


def preset(name: str, input_shape: Sequence[int] = (28, 28, 1), classes: int = 10, seed: int = 0) -> tf.keras.Model:
    """Return an untrained Keras model by name.

    Parameters
    ----------
    name : "lif-mnist", "diehl-mnist", "ttfs-mnist", "surrogate-nmnist", "surrogate-nmnist-cnn", "vgg-cifar10", \
"resnet-cifar10", "airbench-cifar10" or "resnet14-cifar10"
        The last two are made for :func:`nengo_snnconv.train_cnn`.
    input_shape : tuple of int
        Height, width and channels of the images, or of frames of events: (34, 34, 2) for N-MNIST.
    classes : int
        Number of classes.
    seed : int
        Seed of the initial weights.

    Returns
    -------
    tf.keras.Model
        Model whose outputs are logits.

    Raises
    ------
    SettingsError
        If an argument is invalid, or the images are too small for the layers.

    Examples
    --------
    >>> keras_model = snc.preset("diehl-mnist")
    """
    if not isinstance(name, str) or name not in PRESETS:
        raise SettingsError(f"there is no preset {shown(name)}; there are {', '.join(PRESETS)}", argument="name")
    if not isinstance(input_shape, tuple | list) or len(input_shape) != 3:
        raise SettingsError(
            f"input_shape must be (height, width, channels), got {shown(input_shape)}", argument="input_shape"
        )
    for part, size in zip(("height", "width", "channels"), input_shape, strict=True):
        check_counts(**{f"input_shape[{part!r}]": size})
    check_counts(classes=classes)
    check_seed(seed)
    try:
        return _model(name, input_shape, classes, seed)
    except ValueError as error:
        raise SettingsError(
            f"input_shape={tuple(input_shape)} is too small for the layers of {name!r}", argument="input_shape"
        ) from error


def _model(name, input_shape, classes, seed):
    stack = LayerStack(input_shape, seed)
    PRESETS[name](stack, classes)
    return tf.keras.Model(stack.input, stack.end, name=name)
