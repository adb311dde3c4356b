"""Readers of pooling and global pooling."""

from ...shared.spec_builder import inverse_permutation
from .axes import channels_last_order, per_axis


def pooling(spec_class):
    """Return a reader of a pooling layer that becomes a ``spec_class``."""

    def read(call):
        options = call.options
        rank = len(call.tensor.axes) - 1
        order = channels_last_order(call)
        size, strides = (per_axis(options[key], rank) for key in ("pool_size", "strides"))
        return call.add_spec(
            spec_class,
            call.builder.spec_in_order(call.tensor, order),
            order=inverse_permutation(order),
            pool_size=size,
            strides=strides,
            padding=options["padding"],
        )

    return read


def global_pooling(spec_class):
    """Return a reader of a global pooling layer that becomes a ``spec_class``."""

    def read(call):
        order, keepdims = channels_last_order(call), call.options.get("keepdims", False)
        spec = call.builder.spec_in_order(call.tensor, order)
        axes = inverse_permutation(order) if keepdims else None
        return call.add_spec(spec_class, spec, order=axes, keepdims=keepdims)

    return read
