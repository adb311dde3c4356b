"""normalize: scales weights and biases so that activations fit the firing rates of neurons."""

import dataclasses

import numpy as np

from .._util.validation import (
    check_choice,
    check_counts,
    check_flags,
    check_optional_counts,
    check_percentile,
    check_progress,
    shown,
)
from ..errors import SettingsError
from ..model import layers as specs
from ..model.input_range import check_input_range, needed_range, warn_of_range
from ..model.memory import MEMORY_MB, images_together
from ..networks.edits import check_unedited
from ..networks.native import NativeSettings
from ..networks.network import ConvNetwork, described
from ..passes import find_units, rescale
from ..passes.rescale import without_repeats
from .calibration import measure, sites, upper_bounds

METHODS = ("data", "model", "balance")


def normalize(
    network,
    x=None,
    *,
    method="data",
    percentile=99.9,
    per=None,
    n_steps=None,
    bound_weights=False,
    input_range=None,
    batch_size=None,
    memory_mb=MEMORY_MB,
    progress=None,
):
    """Scale weights and biases so that an activation of 1 is what a neuron can signal, and nothing else changes.

    W' = W * scale_in / scale_out and b' = b / scale_out, layer after layer, so that each rectified layer's activity is
    the old one divided by its scale, and the class with the largest score stays the same.  Branches that meet share a
    scale.  The output of the network is multiplied by its scale again, so it keeps its units.  In
    units of the old activations, the scale is the threshold of a layer's neurons.

    Parameters
    ----------
    network : ConvNetwork
        Made by ``convert``.
    x : ndarray, (images, height, width, channel), or iterable of such batches, optional
        Calibration data, such as training images; any number of batches is read once, in constant memory.
        Every method but "model" needs them.
    method : "data", "model" or "balance"
        What the scales are.

        "data": the percentile of the activations on the data.  100 is the largest one (Diehl et al. 2015, doi
        10.1109/IJCNN.2015.7280696, algorithm 2); less is robust to outliers (Rueckauer et al. 2017, doi
        10.3389/fnins.2017.00682).

        "model": the largest activation that the weights allow for inputs in ``input_range`` (Diehl et al. 2015,
        algorithm 1).  Needs no data; nothing is ever clipped, but rates are low.

        "balance": local threshold balancing, after Bu, Li & Yu 2025 (arXiv 2409.03368): the thresholds with the least
        mean squared error of what ``n_steps`` steps of spikes can express, clipping and rounding weighed against each
        other, on the data.
    percentile : float
        For "data": of the positive activations, above 0 and up to 100.
    per : "layer" or "channel", optional
        Whether the outputs of a layer share a scale, or those of a channel.  By default "channel" for "balance", else
        "layer".  The output layer has one scale in any case.
    n_steps : int
        For "balance", which needs it: the number of steps that will be run.
    bound_weights : bool
        For "data": a scale is at least the largest weight of its layer, as Diehl et al. 2015 have it in algorithm 2.
        With reset by subtraction it has no use.
    input_range : tuple of float, optional
        For "model": smallest and largest input.  By default what the model's first layer asks for, such as 0 and 255
        for ``Rescaling(1 / 255)``; else 0 and 1.
    batch_size : int, optional
        Images that are computed together, where ``x`` is an array; by default as many as fit into ``memory_mb``, and at
        most 200.
    memory_mb : float
        Roughly how much memory their activity may take.
    progress : bool, optional
        Show a progress bar; by default where standard error is a terminal.

    Returns
    -------
    ConvNetwork
        Of the same kind; ``network.model.metadata["scales"]`` holds the scales, "normalization" how they were found.
        Channels that are never active get the largest scale of their layer.

    Raises
    ------
    SettingsError
        If an argument cannot work, or the data do not fit the network.
    """
    options = {"percentile": percentile, "per": per, "n_steps": n_steps, "input_range": input_range}
    normalizer = Normalizer(network, x, batch_size=batch_size, memory_mb=memory_mb, progress=progress)
    return normalizer.normalized(method, bound_weights=bound_weights, **options)


class Normalizer:
    """Normalises one network in many ways, but looks at the calibration data no more often than there are units.

    Parameters
    ----------
    network, x, batch_size, memory_mb, progress
        As for :func:`normalize`.
    """

    def __init__(self, network, x=None, *, batch_size=None, memory_mb=MEMORY_MB, progress=None):
        check_optional_counts(batch_size=batch_size)
        images_together(1, memory_mb)  # raises where it is no amount of memory
        check_progress(progress)
        self.network, self.x = network, x
        self.measuring = {"batch_size": batch_size, "memory_mb": memory_mb, "progress": progress}
        self.measured = {}

    def check(self, method="data", percentile=99.9, per=None, n_steps=None, input_range=None):
        """Raise SettingsError for arguments of :func:`normalize` that cannot work."""
        _check(self.network, self.x, method, percentile, per, n_steps, input_range)

    def normalized(
        self, method="data", *, percentile=99.9, per=None, n_steps=None, bound_weights=False, input_range=None
    ):
        """The network that :func:`normalize` returns."""
        self.check(method, percentile, per, n_steps, input_range)
        check_flags(bound_weights=bound_weights)
        per = per or ("channel" if method == "balance" else "layer")
        (model, units), n_images = self._units(per), None
        if method == "model":
            bounds = upper_bounds(model, *needed_range(model, input_range))
            scales = np.zeros(units.n_units)
            for name in sites(model):
                labels = units.labels[name]
                if not np.isfinite(bounds[name]).all():
                    raise SettingsError(
                        f"the largest activation that the weights allow is beyond float32 in {name!r}: "
                        "use method='data' or 'balance' with images (of to_ttfs, threshold='search')"
                    )
                np.maximum.at(scales, labels[labels >= 0], bounds[name][labels >= 0])
        else:
            histogram = self._histogram(per)
            n_images = histogram.n_images
            scales = histogram.percentile(percentile) if method == "data" else histogram.best_threshold(n_steps)
        if bound_weights:
            scales = _at_least_the_weights(model, units, scales)
        scaled = rescale(model, units, _alive(model, units, scales))
        how = {"method": method, "per": per, "n_steps": n_steps, "percentile": percentile if method == "data" else None}
        how |= {"bound_weights": bound_weights or None, "images": n_images}
        if method == "model" and input_range is not None:
            how["input_range"] = [float(value) for value in input_range]
        how = {name: value for name, value in how.items() if value is not None}
        return self.network.rebuild(scaled.replace(metadata={**scaled.metadata, "normalization": how}))

    def _units(self, per):
        """The model, whose input can be scaled where it must be, and its units."""
        model = self.network.model
        units = find_units(model, per)
        if any((units.labels[name] == units.fixed).any() for name in sites(model)):
            model = _with_scalable_input(model)
            units = find_units(model, per)
        return model, units

    def _histogram(self, per):
        if per not in self.measured:
            warn_of_range(self.network.model, self.x)
            model, units = self._units(per)
            self.measured[per] = measure(self.network.rebuild(model), self.x, units, **self.measuring)
        return self.measured[per]


def _check(network, x, method, percentile, per, n_steps, input_range):
    if not (isinstance(network, ConvNetwork) and isinstance(network.settings, NativeSettings)):
        raise SettingsError(
            f"normalize takes a network that convert made, got {described(network)}: call convert first"
        )
    check_unedited(network)
    check_choice(METHODS, method=method)
    if x is None and method != "model":
        raise SettingsError(f"method={method!r} needs calibration data: normalize(network, x), x some training images")
    if x is not None and (isinstance(x, str | bytes | dict) or not hasattr(x, "__iter__")):
        raise SettingsError(f"x must be an array of images, or an iterable of batches of them; got {shown(x)}")
    check_percentile(percentile=percentile)
    check_choice((None, "layer", "channel"), per=per)
    if method == "balance":
        if n_steps is None:
            raise SettingsError("method='balance' needs n_steps, the number of steps that will be run")
        check_counts(n_steps=n_steps)
    check_input_range(input_range)
    if method == "model":
        needed_range(network.model, input_range)


def _with_scalable_input(model):
    """The model with a layer behind its input that can change the unit, where the image itself meets activations."""
    name = f"{model.input}_scaled"
    while name in model.layers:
        name += "_"
    image, *rest = model.layers.values()
    scaled = specs.Affine(name, image.name)
    rest = [
        dataclasses.replace(layer, inputs=tuple(name if i == image.name else i for i in layer.inputs)) for layer in rest
    ]
    channels = image.shape[-1]
    arrays = {**model.arrays, f"{name}/scale": np.ones(channels), f"{name}/bias": np.zeros(channels)}
    return type(model)([image, scaled, *rest], arrays, model.output, model.metadata)


def _at_least_the_weights(model, units, scales):
    scales = scales.copy()
    for name in model.layers:
        kernel = model.arrays.get(f"{name}/kernel")
        if kernel is not None:
            labels = units.labels[name].reshape(-1, kernel.shape[-1])[0]
            np.maximum.at(scales, labels, kernel.reshape(-1, kernel.shape[-1]).max(axis=0))
    return scales


def _alive(model, units, scales):
    """The scales, where those that are zero are replaced: by the largest one of the layer, or 1."""
    alive = scales.copy()
    for name in sites(model):
        own = np.unique(without_repeats(units.labels[name]))
        own = own[own >= 0]
        alive[own] = np.where(alive[own] > 0, alive[own], scales[own].max(initial=0))
    alive[~(alive > 0)] = 1
    alive[units.fixed] = 1
    return alive
