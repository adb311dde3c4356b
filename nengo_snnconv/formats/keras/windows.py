"""Keras layers whose windows move over the spatial axes: convolutions and pooling, channels last or first."""

import math

import numpy as np

from ...model import layers as specs
from .builder import Refused, inverse


def per_axis(value, rank):
    """A number for each of ``rank`` axes."""
    return (value,) * rank if isinstance(value, int) else tuple(value)


def channels_last_order(use):
    """The order of the tensor's axes that puts the channel last."""
    rank = len(use.tensor.axes)
    return (*range(1, rank), 0) if use.config.get("data_format") == "channels_first" else tuple(range(rank))


def put_spatially(use, tensor, spec, suffix="", rest=0, **values):
    """Add a spec that has a number for each axis: ``values`` for the spatial ones, ``rest`` for the channel."""
    spatial = channels_last_order(use)[:-1]
    fields = {key: [rest] * len(tensor.axes) for key in values}
    for key, numbers in values.items():
        for axis, number in zip(spatial, numbers, strict=True):
            fields[key][tensor.axes[axis]] = number
    return use.put(spec, tensor.end, suffix, order=tensor.axes, **fields)


def convolution(use):
    kernel, *bias = _weights(use, "kernel", most_groups=math.inf)
    return _convolve(use, use.tensor, kernel, bias, groups=use.config.get("groups", 1), **_window(use))


def depthwise(use):
    kernel, *bias = _weights(use, "depthwise_kernel")
    return _convolve_each(use, kernel, bias)


def separable(use):
    first, second, *bias = _weights(use, "depthwise_kernel", "pointwise_kernel")
    return _convolve(use, _convolve_each(use, first, [], "_depthwise"), second, bias)


def transposed(use):
    """A convolution with the kernel turned round, over the input spread out by the strides."""
    kernel, *bias = _weights(use, "kernel")
    rank, window = kernel.ndim - 2, _window(use)
    _check_padding(window["padding"])
    strides, dilation = (per_axis(window[key], rank) for key in ("strides", "dilation"))
    extra = use.config.get("output_padding")
    extra = (None,) * rank if extra is None else per_axis(extra, rank)
    lengths = [use.shape[axis] for axis in channels_last_order(use)[:-1]]
    spans = [(k - 1) * d + 1 for k, d in zip(kernel.shape, dilation, strict=False)]
    axes = zip(lengths, spans, strides, extra, strict=True)
    before, after = zip(*(_transposed_padding(*axis, window["padding"]) for axis in axes), strict=True)
    gaps = [stride - 1 for stride in strides]
    spread = put_spatially(use, use.tensor, specs.Pad, "_spread", before=before, after=after, between=gaps)
    turned = np.swapaxes(np.flip(kernel, range(rank)), -1, -2)
    return _convolve(use, spread, turned, bias, dilation=dilation)


def _weights(use, *kernels, most_groups=1):
    """The layer's kernels, and its bias if it has one; they tell its size too."""
    use.config.ignore("filters", "kernel_size", "depth_multiplier")
    if use.config.get("groups", 1) > most_groups:
        raise Refused(f"has groups={use.config['groups']}: leave it out")
    return use.arrays(*kernels, *(["bias"] if use.config["use_bias"] else []))


def _window(use):
    config = use.config
    return {
        "strides": config["strides"],
        "padding": config["padding"],
        "dilation": config.get("dilation_rate", 1),
    }


def _convolve_each(use, kernel, bias, suffix=""):
    """Each channel by itself: as many groups as there are channels."""
    *size, channels, multiplier = kernel.shape
    kernel = kernel.reshape(*size, 1, channels * multiplier)
    return _convolve(use, use.tensor, kernel, bias, suffix, groups=channels, **_window(use))


def _convolve(use, tensor, kernel, bias, suffix="", strides=1, padding="valid", dilation=1, groups=1):
    size, order = kernel.shape[:-2], channels_last_order(use)
    if padding == "causal":
        before = [(k - 1) * d for k, d in zip(size, per_axis(dilation, len(size)), strict=True)]
        tensor = put_spatially(use, tensor, specs.Pad, f"{suffix}_pad", before=before, after=[0] * len(size))
        padding = "valid"
    _check_padding(padding)
    return use.put(
        specs.Conv,
        use.build.arranged(tensor, order),
        suffix,
        order=inverse(order),
        arrays=[kernel, *bias],
        filters=kernel.shape[-1],
        kernel_size=size,
        strides=strides,
        padding=padding,
        dilation=dilation,
        groups=groups,
        use_bias=bool(bias),
    )


def _check_padding(padding):
    if padding not in specs.PADDINGS:
        raise Refused(f"has padding {padding!r}: use one of {specs.PADDINGS}")


def _transposed_padding(n, span, stride, extra, padding):
    """(before, after) for one axis, so that the transposed convolution is one of valid padding.

    A transposed convolution is the gradient of a convolution over an input of the length ``out``, which
    Keras derives from its options; ``cut`` is the padding of that convolution at its start.
    """
    if extra is None:
        out = n * stride if padding == "same" else (n - 1) * stride + max(span, stride)
    else:
        out = (n - 1) * stride + extra + (span % 2 if padding == "same" else span)
    cut = max((n - 1) * stride + span - out, 0) // 2 if padding == "same" else 0
    before = span - 1 - cut
    return before, out - (n - 1) * stride + span - 2 - before


def pool(spec):
    def read(use):
        config = use.config
        rank = len(use.tensor.axes) - 1
        order = channels_last_order(use)
        size, strides = (per_axis(config[key], rank) for key in ("pool_size", "strides"))
        end = use.build.arranged(use.tensor, order)
        return use.put(spec, end, order=inverse(order), pool_size=size, strides=strides, padding=config["padding"])

    return read


def global_pool(spec):
    def read(use):
        order, keepdims = channels_last_order(use), use.config.get("keepdims", False)
        end = use.build.arranged(use.tensor, order)
        return use.put(spec, end, order=inverse(order) if keepdims else None, keepdims=keepdims)

    return read
