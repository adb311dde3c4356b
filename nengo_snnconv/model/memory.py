"""How many images are computed together: as many as fit into the memory that they may take."""

from .._util.validation import check_positive
from ..model.connectivity import is_event_source
from . import layers as specs

# megabytes, where a user says nothing
MEMORY_MB = 500
# images, however small the network; more make nothing faster
MOST_TOGETHER = 200
# layers whose output is the array that they read
VIEWS = specs.Flatten | specs.Reshape | specs.Dropout


def images_together(bytes_per_image, memory_mb=MEMORY_MB, most=MOST_TOGETHER):
    """How many images, each of which takes so many bytes, are computed together: one at least.

    Parameters
    ----------
    bytes_per_image : float
    memory_mb : float or None
        None for any amount of memory.
    most : int

    Raises
    ------
    SettingsError
        If ``memory_mb`` is not a number above 0.
    """
    if memory_mb is None:
        return most
    check_positive(memory_mb=memory_mb)
    return int(max(1, min(most, memory_mb * 1e6 / max(bytes_per_image, 1))))


def bytes_of_pass(model, kept=()):
    """The most bytes that an image takes at any time of a pass through the ANN, if activity that was read is freed.

    Parameters
    ----------
    model : Model
    kept : iterable of str
        Layers whose activity is kept to the end.
    """
    last = {source: name for name, layer in model.layers.items() for source in layer.inputs}
    kept = {*kept, model.output}
    held, most, sizes = {}, 0, {}
    for name, layer in model.layers.items():
        sizes[name] = 0 if isinstance(layer, VIEWS) else model.size(name)
        held[name] = sizes[name]
        # a layer may need as much again to work in, as the forms of its input and output that its kernel wants
        most = max(most, sum(held.values()) + sizes[name])
        for source in layer.inputs:
            # a view needs the array behind it, which stays as long as the view
            if isinstance(layer, VIEWS):
                held[name] += held.pop(source, 0) if source not in kept and last[source] == name else 0
            elif source not in kept and last[source] == name:
                held.pop(source, None)
    return 4 * most


def bytes_of_all(model):
    """Bytes that the activity of all layers takes for an image."""
    return 4 * sum(model.size(name) for name, layer in model.layers.items() if not isinstance(layer, VIEWS))


def bytes_of_step(model):
    """Bytes that an image takes in a simulation: what units emit in a step, as it is and on its way to the counts.

    Not fewer than the states of neurons take, so this also limits how many images have theirs in memory.
    """
    emitting = sum(model.size(name) for name, layer in model.layers.items() if is_event_source(layer))
    return 3 * 4 * (emitting + model.size(model.input))
