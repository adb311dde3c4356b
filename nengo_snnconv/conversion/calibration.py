"""Activations of a network on calibration data, in constant memory, and upper bounds of them without data."""

from __future__ import annotations

import typing

import numpy as np

from .._util.progress import progress_bar
from ..inputs import Data, image_batches
from ..model import layers as specs
from ..model.connectivity import read_at
from ..model.input_range import ranges_of
from ..model.memory import MEMORY_MB, bytes_of_pass, images_together
from ..networks.keras_layers import keras_layer
from ..networks.rate_model import rate_model
from .histograms import Histogram

if typing.TYPE_CHECKING:
    from ..model import Model
    from ..networks.network import ConvNetwork
    from ..passes import Units


def activation_histogram(
    network: ConvNetwork,
    x: Data,
    units: Units,
    *,
    at_maxima: bool = False,
    batch_size: int | None = None,
    memory_mb: float = MEMORY_MB,
    progress: bool | None = None,
) -> Histogram:
    """Return the histogram of the activations of rectifiers and of the output on calibration data.

    Parameters
    ----------
    network : ConvNetwork
    x : ndarray, (images, height, width, channel), or a data set
        As for :func:`normalize`.
    units : Units
        Units of the network's model.
    at_maxima : bool
        Take the maxima of layers that only a pooling layer reads, instead of all their activations.
    batch_size : int, optional
        Number of images of an array that are computed together; by default as many as fit into ``memory_mb``, and at
        most 200.
    memory_mb : float
        Approximate memory for activations, in megabytes.
    progress : bool, optional

    Returns
    -------
    Histogram

    Raises
    ------
    SettingsError
        If the data do not fit the network, or there are none.
    """
    model = network.model
    names = signaling_layers(model)
    if at_maxima:
        names = [read_at(model, name) for name in names]
    most = images_together(bytes_of_pass(model, names), memory_mb)
    ann = rate_model(network, names)
    histogram = Histogram(units.n_units)
    total, batches = image_batches(model, x, most if batch_size is None else batch_size)
    with progress_bar(total, "calibrating", "image", progress) as bar:
        for batch in batches:
            # a plain call, because predict would trace the model again for each size of batch
            activations = ann(batch)
            activations = activations if isinstance(activations, list) else [activations]  # Keras unpacks one
            for name, values in zip(names, activations, strict=True):
                histogram.add(values.numpy(), units.labels[name])
            histogram.n_images += len(batch)
            histogram.ranges = ranges_of(model, np.asarray(batch), histogram.ranges)
            bar.update(len(batch))
    return histogram


def signaling_layers(model: Model) -> list[str]:
    """Return the names of the layers whose activations are signaled by neurons: rectifiers and the output."""
    names = model.neurons
    return names if model.output in names else [*names, model.output]


def upper_bounds(model: Model, low: float, high: float) -> dict[str, np.ndarray]:
    """Return upper bounds of activations for all inputs between ``low`` and ``high``.

    Interval arithmetic: in a weighted sum, positive weights multiply upper bounds and negative ones lower bounds.

    Returns
    -------
    dict of str to ndarray
        For each layer, an array of the shape of its output.
    """
    bounds: dict[str, tuple[np.ndarray, ...]] = {}  # lower and upper
    highest = {}
    last_reader = {source: name for name, layer in model.layers.items() for source in layer.inputs}
    for name, layer in model.layers.items():
        inputs = [bounds[i] for i in layer.inputs]
        if isinstance(layer, specs.Input):
            bounds[name] = tuple(np.full((1, *layer.shape), value, np.float32) for value in (low, high))
        elif "kernel" in (arrays := model.arrays_of(name)) or "scale" in arrays:
            bounds[name] = _bounds_of_weighted_sum(layer, arrays, *inputs[0])
        else:
            monotonic = keras_layer(layer, {})
            bounds[name] = tuple(
                np.asarray(monotonic([pair[side] for pair in inputs] if len(inputs) > 1 else inputs[0][side]))
                for side in (0, 1)
            )
        highest[name] = bounds[name][1][0]
        for source in layer.inputs:
            if last_reader[source] == name:
                bounds.pop(source, None)
    return highest


def _bounds_of_weighted_sum(layer, arrays, low, high):
    """Return the lower and the upper bound of a layer with weights, from those of its input."""
    weights = "scale" if isinstance(layer, specs.Affine) else "kernel"
    no_bias = {"bias": np.zeros_like(arrays["bias"])} if "bias" in arrays else {}
    plus = keras_layer(layer, {**arrays, weights: np.maximum(arrays[weights], 0)})
    minus = keras_layer(layer, {**arrays, **no_bias, weights: np.minimum(arrays[weights], 0)})
    return np.asarray(plus(low) + minus(high)), np.asarray(plus(high) + minus(low))
