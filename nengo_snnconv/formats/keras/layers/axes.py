"""Spatial axes and the channel axis of images, channels last or first."""


def per_axis(value, rank):
    """Return an option, one number or one for each axis, as a tuple of ``rank`` numbers."""
    return (value,) * rank if isinstance(value, int) else tuple(value)


def channels_last_order(call):
    """Return the order of the tensor's axes in which the channel is last."""
    rank = len(call.tensor.axes)
    return (*range(1, rank), 0) if call.options.get("data_format") == "channels_first" else tuple(range(rank))


def add_spatial_spec(call, tensor, spec_class, suffix="", channel_value=0, **values):
    """Add a spec with fields of one number for each axis.

    Parameters
    ----------
    call : LayerCall
    tensor : Tensor
        Input of the spec.
    spec_class : type
    suffix : str
        Added to the layer's name.
    channel_value : int
        Number for the channel axis, in each field.
    **values : sequence of int
        Numbers for the spatial axes.

    Returns
    -------
    Tensor
    """
    spatial = channels_last_order(call)[:-1]
    fields = {key: [channel_value] * len(tensor.axes) for key in values}
    for key, numbers in values.items():
        for axis, number in zip(spatial, numbers, strict=True):
            fields[key][tensor.axes[axis]] = number
    return call.add_spec(spec_class, tensor.spec, suffix, order=tensor.axes, **fields)
