"""The order in which the axes of a layer make a picture: channels may come first."""

from .layers import Add, Affine, AveragePool, Conv, Dropout, GlobalAveragePool, GlobalMaxPool, MaxPool, Rectifier
from .selections import Pad, Permute, Upsample

# layers that work on pictures whose channel is the last axis
ON_PICTURES = (Conv, AveragePool, MaxPool, GlobalAveragePool, GlobalMaxPool)
# layers whose output has the axes of their input
KEEP_AXES = (Affine, Rectifier, Dropout, Add, Pad, Upsample)


def picture_axes(model, name):
    """The axes of a layer's output in the order height, width, channel: (0, 1, 2) where they are so already.

    A model that was read from Keras with channels first has the image, and what comes before the first convolution or
    pooling, as Keras has it; a layer behind moves the channel to the end.  The axes are told from that layer.

    Parameters
    ----------
    model : Model
    name : str

    Returns
    -------
    tuple of int
    """
    rank = len(model.shapes[name])
    unmoved = tuple(range(rank))
    if rank < 2:
        return unmoved
    seen, waiting = set(), [name]
    while waiting:
        current = waiting.pop(0)
        for layer in model.consumers(current):
            if isinstance(layer, ON_PICTURES):
                return unmoved
            if isinstance(layer, Permute) and layer.axes[-1] != rank - 1 and _is_read_as_picture(model, layer.name):
                channel = layer.axes[-1]
                return (*(axis for axis in unmoved if axis != channel), channel)
            if isinstance(layer, KEEP_AXES) and layer.name not in seen:
                seen.add(layer.name)
                waiting.append(layer.name)
    return unmoved


def _is_read_as_picture(model, name):
    """Whether a convolution or pooling reads a layer, or what is made of it with the same axes."""
    seen, waiting = {name}, [name]
    while waiting:
        for layer in model.consumers(waiting.pop()):
            if isinstance(layer, ON_PICTURES):
                return True
            if isinstance(layer, KEEP_AXES) and layer.name not in seen:
                seen.add(layer.name)
                waiting.append(layer.name)
    return False
