"""Calibration: what the activations of a network are like, from any amount of data in constant memory."""

import numpy as np

from .._util.progress import progress_bar
from .._util.validation import as_array, check_images
from ..errors import SettingsError
from ..model import layers as specs
from ..model.memory import MEMORY_MB, bytes_of_pass, images_together
from ..networks.keras_layers import keras_layer
from ..networks.rate_model import rate_model
from .histograms import Histogram


def measure(network, x, units, *, batch_size=None, memory_mb=MEMORY_MB, progress=None):
    """The histogram of the activity of rectifiers and of the output, on calibration data.

    Parameters
    ----------
    network : ConvNetwork
    x : ndarray, (images, height, width, channel), or iterable of such batches
        Batches may come with their labels, (x, y).
    units : Units
        Of the network's model.
    batch_size : int, optional
        Images of an array that are computed together; by default as many as fit, and at most 200.
    memory_mb : float
        That their activity may take.
    progress : bool, optional

    Returns
    -------
    Histogram
    """
    model = network.model
    names = sites(model)
    fitting = images_together(bytes_of_pass(model, names), memory_mb)
    rates = rate_model(network, names)
    histogram = Histogram(units.n_units)
    batches, total = x, None
    if hasattr(x, "shape"):
        images, total = check_images(model, x), len(x)
        batch_size = fitting if batch_size is None else batch_size
        batches = (images[i : i + batch_size] for i in range(0, total, batch_size))
    with progress_bar(total, "calibrating", "image", progress) as bar:
        for batch in batches:
            batch = as_array(batch[0] if isinstance(batch, tuple | list) else batch, "x", "an array of images")
            if not batch.size:
                continue
            batch = check_images(model, batch)
            for part in [batch] if batch_size else _parts(batch, fitting):
                # called directly: predict would trace the model anew for each size of batch
                activity = rates(part)
                activity = activity if isinstance(activity, list) else [activity]  # Keras unpacks a single one
                for name, values in zip(names, activity, strict=True):
                    histogram.add(values.numpy(), units.labels[name])
            histogram.n_images += len(batch)
            bar.update(len(batch))
    if not histogram.n_images:
        raise SettingsError("the calibration data hold no images")
    return histogram


def _parts(batch, size):
    """A batch of a user's in parts of so many images at most."""
    return (batch[first : first + size] for first in range(0, len(batch), size))


def sites(model):
    """The layers whose activity neurons signal: the rectifiers and the output."""
    names = model.neurons
    return names if model.output in names else [*names, model.output]


def upper_bounds(model, low, high):
    """The largest activity that inputs between ``low`` and ``high`` can cause, entry by entry.

    Interval arithmetic: in a weighted sum positive weights meet upper bounds and negative ones lower bounds.

    Returns
    -------
    dict of str to ndarray
        For each layer, with the shape of its output.
    """
    bounds, highest = {}, {}
    last = {source: name for name, layer in model.layers.items() for source in layer.inputs}
    for name, layer in model.layers.items():
        inputs = [bounds[i] for i in layer.inputs]
        if isinstance(layer, specs.Input):
            bounds[name] = tuple(np.full((1, *layer.shape), value, np.float32) for value in (low, high))
        elif "kernel" in (arrays := model.arrays_of(name)) or "scale" in arrays:
            bounds[name] = _weighted(layer, arrays, *inputs[0])
        else:
            same = keras_layer(layer, {})
            bounds[name] = tuple(
                np.asarray(same([pair[side] for pair in inputs] if len(inputs) > 1 else inputs[0][side]))
                for side in (0, 1)
            )
        highest[name] = bounds[name][1][0]
        for source in layer.inputs:
            if last[source] == name:
                bounds.pop(source, None)
    return highest


def _weighted(layer, arrays, low, high):
    weights = "scale" if isinstance(layer, specs.Affine) else "kernel"
    none = {"bias": np.zeros_like(arrays["bias"])} if "bias" in arrays else {}
    plus = keras_layer(layer, {**arrays, weights: np.maximum(arrays[weights], 0)})
    minus = keras_layer(layer, {**arrays, **none, weights: np.minimum(arrays[weights], 0)})
    return np.asarray(plus(low) + minus(high)), np.asarray(plus(high) + minus(low))
