"""Readers of Dense and of convolutions: plain, depthwise, separable and transposed."""

import math

import numpy as np

from ....model import layers as specs
from ...shared.refusals import UnsupportedLayer
from ...shared.spec_builder import inverse_permutation
from .axes import add_spatial_spec, channels_last_order, per_axis


def dense(call):
    """Read Dense."""
    options = call.options
    arrays = call.arrays("kernel", *(["bias"] if options["use_bias"] else []))
    spec = call.builder.spec_in_order(call.tensor)
    return call.add_spec(specs.Dense, spec, arrays=arrays, units=options["units"], use_bias=options["use_bias"])


def convolution(call):
    """Read Conv1D, Conv2D or Conv3D."""
    kernel, *bias = _weights(call, "kernel", max_groups=math.inf)
    groups = call.options.get("groups", 1)
    return _add_convolution(call, call.tensor, kernel, bias, groups=groups, **_conv_options(call))


def depthwise_convolution(call):
    """Read DepthwiseConv1D or DepthwiseConv2D."""
    kernel, *bias = _weights(call, "depthwise_kernel")
    return _add_depthwise(call, kernel, bias)


def separable_convolution(call):
    """Read SeparableConv1D or SeparableConv2D: a depthwise convolution, then one with a kernel of size 1."""
    depthwise_kernel, pointwise_kernel, *bias = _weights(call, "depthwise_kernel", "pointwise_kernel")
    return _add_convolution(call, _add_depthwise(call, depthwise_kernel, [], "_depthwise"), pointwise_kernel, bias)


def transposed_convolution(call):
    """Read Conv1DTranspose, Conv2DTranspose or Conv3DTranspose.

    It is a convolution with the flipped kernel over the input with ``strides - 1`` zeros between its entries.
    """
    kernel, *bias = _weights(call, "kernel")
    rank, options = kernel.ndim - 2, _conv_options(call)
    _check_padding(options["padding"])
    strides, dilation = (per_axis(options[key], rank) for key in ("strides", "dilation"))
    output_padding = call.options.get("output_padding")
    output_padding = (None,) * rank if output_padding is None else per_axis(output_padding, rank)
    lengths = [call.shape[axis] for axis in channels_last_order(call)[:-1]]
    spans = [(k - 1) * d + 1 for k, d in zip(kernel.shape, dilation, strict=False)]
    axes = zip(lengths, spans, strides, output_padding, strict=True)
    before, after = zip(*(_transposed_padding(*axis, options["padding"]) for axis in axes), strict=True)
    gaps = [stride - 1 for stride in strides]
    spread = add_spatial_spec(call, call.tensor, specs.Pad, "_spread", before=before, after=after, between=gaps)
    flipped = np.swapaxes(np.flip(kernel, range(rank)), -1, -2)
    return _add_convolution(call, spread, flipped, bias, dilation=dilation)


def _transposed_padding(n, span, stride, output_padding, padding):
    """Return the zeros (before, after) an axis with which a transposed convolution is one with valid padding.

    A transposed convolution is the gradient of a convolution over an input of length ``n_out``, which Keras derives
    from its options; ``cropped`` is the padding of that convolution at the start.

    Parameters
    ----------
    n : int
        Input length.
    span : int
        Length of the dilated kernel.
    stride : int
    output_padding : int or None
    padding : str
    """
    if output_padding is None:
        n_out = n * stride if padding == "same" else (n - 1) * stride + max(span, stride)
    else:
        n_out = (n - 1) * stride + output_padding + (span % 2 if padding == "same" else span)
    cropped = max((n - 1) * stride + span - n_out, 0) // 2 if padding == "same" else 0
    before = span - 1 - cropped
    return before, n_out - (n - 1) * stride + span - 2 - before


def _weights(call, *kernels, max_groups=1):
    """Return the kernels, and the bias if the layer has one; options that repeat their shapes are ignored."""
    call.options.ignore("filters", "kernel_size", "depth_multiplier")
    if call.options.get("groups", 1) > max_groups:
        raise UnsupportedLayer(f"has groups={call.options['groups']}: leave it out")
    return call.arrays(*kernels, *(["bias"] if call.options["use_bias"] else []))


def _conv_options(call):
    options = call.options
    return {
        "strides": options["strides"],
        "padding": options["padding"],
        "dilation": options.get("dilation_rate", 1),
    }


def _add_depthwise(call, kernel, bias, suffix=""):
    """Add a convolution with one group per channel."""
    *size, channels, multiplier = kernel.shape
    kernel = kernel.reshape(*size, 1, channels * multiplier)
    return _add_convolution(call, call.tensor, kernel, bias, suffix, groups=channels, **_conv_options(call))


def _add_convolution(call, tensor, kernel, bias, suffix="", *, strides=1, padding="valid", dilation=1, groups=1):
    size, order = kernel.shape[:-2], channels_last_order(call)
    if padding == "causal":
        before = [(k - 1) * d for k, d in zip(size, per_axis(dilation, len(size)), strict=True)]
        tensor = add_spatial_spec(call, tensor, specs.Pad, f"{suffix}_pad", before=before, after=[0] * len(size))
        padding = "valid"
    _check_padding(padding)
    return call.add_spec(
        specs.Conv,
        call.builder.spec_in_order(tensor, order),
        suffix,
        order=inverse_permutation(order),
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
        raise UnsupportedLayer(f"has padding {padding!r}: use one of {specs.PADDINGS}")
