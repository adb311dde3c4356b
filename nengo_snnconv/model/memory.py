"""Memory of models and networks, and the number of images that can be computed together within a limit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .._util.validation import check_positive
from . import layers as specs
from .connectivity import is_event_source

if TYPE_CHECKING:
    from .graph import Model

# default limit
MEMORY_MB = 500
# limit of images, also for small networks: more are not faster
MOST_TOGETHER = 200
# layers whose output is a view of their input
VIEWS = specs.Flatten | specs.Reshape | specs.Dropout


def images_together(bytes_per_image: float, memory_mb: float | None = MEMORY_MB, most: int = MOST_TOGETHER) -> int:
    """Return the number of images to compute together, at least one.

    Parameters
    ----------
    bytes_per_image : float
        Memory for an image.
    memory_mb : float or None
        Memory limit; None for no limit.
    most : int
        Largest number of images.

    Raises
    ------
    SettingsError
        If ``memory_mb`` is not a number above 0.
    """
    if memory_mb is None:
        return most
    check_positive(memory_mb=memory_mb)
    return int(max(1, min(most, memory_mb * 1e6 / max(bytes_per_image, 1))))


def bytes_of_pass(model: Model, kept: Iterable[str] = ()) -> int:
    """Return the peak memory of an image in a pass through the ANN, if activations are freed after their last use.

    Parameters
    ----------
    model : Model
    kept : iterable of str
        Layers whose activations are kept to the end.
    """
    last = {source: name for name, layer in model.layers.items() for source in layer.inputs}
    kept = {*kept, model.output}
    held, most, sizes = {}, 0, {}
    for name, layer in model.layers.items():
        sizes[name] = 0 if isinstance(layer, VIEWS) else model.size(name)
        held[name] = sizes[name]
        # a layer may need as much again as workspace, for example to rearrange its input for the kernel
        most = max(most, sum(held.values()) + sizes[name])
        for source in layer.inputs:
            # a view keeps the array that it reads alive
            if isinstance(layer, VIEWS):
                held[name] += held.pop(source, 0) if source not in kept and last[source] == name else 0
            elif source not in kept and last[source] == name:
                held.pop(source, None)
    return 4 * most


def bytes_of_all(model: Model) -> int:
    """Return the memory of the activations of all layers for an image."""
    return 4 * sum(model.size(name) for name, layer in model.layers.items() if not isinstance(layer, VIEWS))


def bytes_of_step(model: Model) -> int:
    """Return the memory of an image in a time step of a simulation: its spikes, and copies of them while counting.

    It is at least the memory of the neurons' states, so a limit on it limits these, too.
    """
    emitting = sum(model.size(name) for name, layer in model.layers.items() if is_event_source(layer))
    return 3 * 4 * (emitting + model.size(model.input))
