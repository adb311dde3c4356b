"""Calibration: what the activations of a network are like, from any amount of data in constant memory."""

import numpy as np

from .build.keras_layers import keras_layer
from .build.rate_model import rate_model
from .checks import as_array, check_images
from .exceptions import SettingsError
from .model import layers as specs
from .progress import progress_bar

# a histogram has this many bins in each octave, from 2**LOWEST up
BINS_PER_OCTAVE, LOWEST, HIGHEST = 64, -24, 24
EDGES = 2.0 ** (LOWEST + np.arange((HIGHEST - LOWEST) * BINS_PER_OCTAVE + 1) / BINS_PER_OCTAVE)


class Histogram:
    """How often each positive value occurred in each unit, to about one percent of the value.

    Attributes
    ----------
    counts : ndarray of int, (units, bins)
    largest : ndarray, (units,)
        The largest value itself; 0 where there was no positive one.
    n_images : int
        Images that were measured.
    """

    def __init__(self, n_units):
        self.counts = np.zeros((n_units, len(EDGES) - 1), np.int64)
        self.largest = np.zeros(n_units)
        self.n_images = 0

    def add(self, values, labels):
        """Count ``values`` (batch, ...), whose entries belong to the units ``labels`` (...)."""
        values = values.reshape(len(values), -1)
        labels = np.broadcast_to(labels.ravel(), values.shape)
        counted = (values > 0) & (labels >= 0)
        values, labels = values[counted].astype(np.float64), labels[counted]
        if not np.isfinite(values).all():
            raise SettingsError("the network's activity is NaN or infinite on the calibration data: check the data")
        bins = np.floor((np.log2(values) - LOWEST) * BINS_PER_OCTAVE).astype(np.int64)
        n_bins = self.counts.shape[1]
        places = labels * n_bins + np.clip(bins, 0, n_bins - 1)
        self.counts += np.bincount(places, minlength=self.counts.size).reshape(self.counts.shape)
        np.maximum.at(self.largest, labels, values)

    def percentile(self, percentile):
        """The percentile of the positive values of each unit, (units,); 0 where there was none."""
        if percentile == 100:
            return self.largest.copy()
        total = self.counts.sum(axis=1)
        reached = np.cumsum(self.counts, axis=1)
        wanted = total * (percentile / 100)
        places = (reached < wanted[:, None]).sum(axis=1).clip(max=len(EDGES) - 2)
        rows = np.arange(len(places))
        inside = self.counts[rows, places]
        share = (wanted - (reached[rows, places] - inside)) / np.maximum(inside, 1)
        value = EDGES[places] * (EDGES[places + 1] / EDGES[places]) ** share
        return np.where(total > 0, np.minimum(value, self.largest), 0.0)

    def best_threshold(self, n_steps, n_candidates=128):
        """The threshold of each unit with the least mean squared error of spike counts, (units,); 0 where all is zero.

        A neuron that starts at half its threshold emits min(floor(a n / threshold + 1/2), n) spikes of the threshold's
        height in n steps of constant input a.
        """
        values = np.sqrt(EDGES[:-1] * EDGES[1:])
        candidates = np.geomspace(0.05, 1.2, n_candidates)[:, None]
        best = np.zeros(len(self.counts))
        for unit, largest in enumerate(self.largest):
            used = np.flatnonzero(self.counts[unit])
            if len(used):
                thresholds = candidates * largest
                spikes = np.minimum(np.floor(values[used] * n_steps / thresholds + 0.5), n_steps)
                errors = (spikes * thresholds / n_steps - values[used]) ** 2 @ self.counts[unit, used]
                best[unit] = thresholds[errors.argmin(), 0]
        return best


def measure(network, x, units, *, batch_size=200, progress=None):
    """The histogram of the activity of rectifiers and of the output, on calibration data.

    Parameters
    ----------
    network : ConvNetwork
    x : ndarray, (images, height, width, channel), or iterable of such batches
        Batches may come with their labels, (x, y).
    units : Units
        Of the network's model.
    batch_size : int
        For an array.
    progress : bool, optional

    Returns
    -------
    Histogram
    """
    model = network.model
    names = sites(model)
    rates = rate_model(network, names)
    histogram = Histogram(units.n_units)
    batches, total = x, None
    if hasattr(x, "shape"):
        images, total = check_images(model, x), len(x)
        batches = (images[i : i + batch_size] for i in range(0, total, batch_size))
    with progress_bar(total, "calibrating", "image", progress) as bar:
        for batch in batches:
            batch = as_array(batch[0] if isinstance(batch, tuple | list) else batch, "x", "an array of images")
            if not batch.size:
                continue
            batch = check_images(model, batch)
            # called directly: predict would trace the model anew for each size of batch
            activity = rates(batch)
            activity = activity if isinstance(activity, list) else [activity]  # Keras unpacks a single one
            for name, values in zip(names, activity, strict=True):
                histogram.add(values.numpy(), units.labels[name])
            histogram.n_images += len(batch)
            bar.update(len(batch))
    if not histogram.n_images:
        raise SettingsError("the calibration data hold no images")
    return histogram


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
    bounds = {}
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
    return {name: high[0] for name, (_, high) in bounds.items()}


def _weighted(layer, arrays, low, high):
    weights = "scale" if isinstance(layer, specs.Affine) else "kernel"
    none = {"bias": np.zeros_like(arrays["bias"])} if "bias" in arrays else {}
    plus = keras_layer(layer, {**arrays, weights: np.maximum(arrays[weights], 0)})
    minus = keras_layer(layer, {**arrays, **none, weights: np.minimum(arrays[weights], 0)})
    return np.asarray(plus(low) + minus(high)), np.asarray(plus(high) + minus(low))
