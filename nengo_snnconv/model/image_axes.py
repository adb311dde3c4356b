"""Order of the axes of a layer as height, width and channel, also for models with channels first."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING

from .layers import (
    Add,
    Affine,
    AveragePool,
    BatchNormalization,
    Conv,
    Dropout,
    Filter,
    GlobalAveragePool,
    GlobalMaxPool,
    MaxPool,
    Rectifier,
)
from .selections import Pad, Permute, Upsample

if TYPE_CHECKING:
    from .graph import Model

# layers that read images with the channel as the last axis
READ_IMAGES = (Conv, AveragePool, MaxPool, GlobalAveragePool, GlobalMaxPool)
# layers whose output has the axes of their input
KEEP_AXES = (Affine, BatchNormalization, Rectifier, Dropout, Filter, Add, Pad, Upsample)


def image_axes(model: Model, name: str) -> tuple[int, ...]:
    """Return the axes of a layer's output in the order height, width, channel; (0, 1, 2) for channels last.

    A model that was read from a Keras model with channels first keeps this order up to the first convolution or
    pooling, in front of which a Permute layer moves the channel to the end.  That layer determines the axes.

    Parameters
    ----------
    model : Model
    name : str
        Name of the layer.

    Returns
    -------
    tuple of int
    """
    rank = len(model.shapes[name])
    identity = tuple(range(rank))
    if rank < 2:
        return identity
    for layer in _readers(model, name):
        if isinstance(layer, READ_IMAGES):
            return identity
        if isinstance(layer, Permute) and layer.axes[-1] != rank - 1 and _is_read_as_image(model, layer.name):
            channel = layer.axes[-1]
            return (*(axis for axis in identity if axis != channel), channel)
    return identity


def _is_read_as_image(model, name):
    """Return True if a convolution or pooling reads a layer, directly or through layers that keep the axes."""
    return any(isinstance(layer, READ_IMAGES) for layer in _readers(model, name))


def _readers(model, name):
    """Yield the layers that read a layer, directly or through layers that keep the axes, nearest first."""
    seen, waiting = {name}, collections.deque([name])
    while waiting:
        for layer in model.consumers(waiting.popleft()):
            yield layer
            if isinstance(layer, KEEP_AXES) and layer.name not in seen:
                seen.add(layer.name)
                waiting.append(layer.name)
