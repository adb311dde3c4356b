"""normalize: scale weights and biases so that activations fit the firing rates of neurons."""

from __future__ import annotations

import functools
import typing

import numpy as np

from .._util.validation import (
    check_choice,
    check_counts,
    check_flags,
    check_optional_counts,
    check_percentile,
    check_progress,
)
from ..errors import SettingsError
from ..model.input_range import check_input_range, needed_range
from ..model.memory import MEMORY_MB, images_together
from ..networks.context import adds_result_only
from ..networks.native import require_native_network
from ..passes import Units, find_units, insert_scales, rescale, untie_shortcuts
from ..passes.rescale import trained_units, without_repeats
from .calibration import activation_histogram, signaling_layers, upper_bounds

if typing.TYPE_CHECKING:
    from ..inputs import Data
    from ..model import Model
    from ..networks.network import ConvNetwork
    from .histograms import Histogram

METHODS = ("data", "model", "balance")


@adds_result_only
def normalize(
    network: ConvNetwork,
    x: Data | None = None,
    *,
    method: str = "data",
    percentile: float = 99.9,
    per: str | None = None,
    n_steps: int | None = None,
    bound_weights: bool = False,
    input_range: tuple[float, float] | None = None,
    batch_size: int | None = None,
    memory_mb: float = MEMORY_MB,
    progress: bool | None = None,
) -> ConvNetwork:
    """Scale weights and biases so that an activation of 1 is the largest that a neuron can signal.

    W' = W * scale_in / scale_out and b' = b / scale_out for each layer, so the activations of each rectified layer are
    the old ones divided by its scale, and the class with the largest score stays the same.  On shortcuts of residual
    blocks, the connection carries the ratio of scales.  The output of the network is multiplied by its scale again, so
    it keeps its units.  In units of the old activations, the scale is the threshold of a layer's neurons.  Layers that
    were trained with levels (:class:`QCFS`) keep the scale 1.

    Parameters
    ----------
    network : ConvNetwork
        Network made by ``convert``.
    x : ndarray, (images, height, width, channel), or a data set, optional
        Calibration images, such as training images, in any form that :func:`evaluate` reads; labels are ignored, and of
        frames the mean over the steps is taken, as by the ANN.  Lists hold batches.  Data sets and iterables are read
        once, in constant memory.  Required unless ``method`` is "model".
    method : "data", "model" or "balance"
        How the scales are computed.

        "data": a percentile of the activations on ``x``.  100 is the largest activation (Diehl et al. 2015, doi
        10.1109/IJCNN.2015.7280696, algorithm 2); lower ones are robust to outliers (Rueckauer et al. 2017, doi
        10.3389/fnins.2017.00682).

        "model": the largest activation that the weights allow for inputs in ``input_range`` (Diehl et al. 2015,
        algorithm 1).  Needs no data and never clips, but firing rates are low.

        "balance": local threshold balancing, after Bu, Li & Yu 2025 (arXiv 2409.03368): the thresholds with the least
        mean squared error, from clipping and rounding, of the activations that ``n_steps`` steps of spikes can
        represent, on ``x``.
    percentile : float
        Percentile of the positive activations, above 0 and up to 100, for "data".
    per : "layer" or "channel", optional
        Outputs that share a scale; by default "channel" for "balance", else "layer".  The output layer always has one
        scale.
    n_steps : int, optional
        Number of steps for which the error is minimized; required for "balance".  The best value is not always the
        number of steps that the network runs for, because neurons also receive the errors of earlier layers; ``tune``
        tries several.
    bound_weights : bool
        Make each scale at least the largest weight of its layer, as in algorithm 2 of Diehl et al. 2015; for "data".
        Not useful with reset by subtraction.
    input_range : tuple of float, optional
        Smallest and largest input, for "model".  By default the range that the model's first layer expects, such as 0
        and 255 for ``Rescaling(1 / 255)``; else 0 and 1.
    batch_size : int, optional
        Number of images that are computed together if ``x`` is an array; by default as many as fit into ``memory_mb``,
        and at most 200.
    memory_mb : float
        Approximate memory for activations, in megabytes.
    progress : bool, optional
        Show a progress bar; by default if standard error is a terminal.

    Returns
    -------
    ConvNetwork
        A network of the same type.  ``network.model.metadata`` holds the scales under "scales" and the arguments under
        "normalization".  Channels that are never active get the largest scale of their layer.

    Raises
    ------
    SettingsError
        If an argument has an invalid value, or the data do not fit the network.

    Examples
    --------
    >>> network = nengo_snnconv.normalize(nengo_snnconv.convert(keras_model), x_calibration, percentile=99.9)
    """
    normalizer = Normalizer(network, x, batch_size=batch_size, memory_mb=memory_mb, progress=progress)
    return normalizer.normalize(
        method,
        percentile=percentile,
        per=per,
        n_steps=n_steps,
        bound_weights=bound_weights,
        input_range=input_range,
    )


class Normalizer:
    """Normalize one network in many ways, reading the calibration data once for each value of ``per``.

    Parameters
    ----------
    network, x, batch_size, memory_mb, progress
        As for :func:`normalize`.
    at_maxima : bool
        Take the maxima of layers that only a pooling layer reads, instead of all their activations.
    """

    def __init__(
        self,
        network: ConvNetwork,
        x: Data | None = None,
        *,
        batch_size: int | None = None,
        memory_mb: float = MEMORY_MB,
        progress: bool | None = None,
        at_maxima: bool = False,
    ):
        check_optional_counts(batch_size=batch_size)
        images_together(1, memory_mb)  # checks memory_mb
        check_progress(progress)
        self.network, self.x = network, x
        self._reading: dict[str, typing.Any] = {
            "batch_size": batch_size,
            "memory_mb": memory_mb,
            "progress": progress,
            "at_maxima": at_maxima,
        }
        self._histograms: dict[str, Histogram] = {}

    def check(
        self,
        method: str = "data",
        percentile: float = 99.9,
        per: str | None = None,
        n_steps: int | None = None,
        input_range: tuple[float, float] | None = None,
    ) -> None:
        """Validate arguments of :func:`normalize`."""
        _check_arguments(self.network, self.x, method, percentile, per, n_steps, input_range)

    def normalize(
        self,
        method: str = "data",
        *,
        percentile: float = 99.9,
        per: str | None = None,
        n_steps: int | None = None,
        bound_weights: bool = False,
        input_range: tuple[float, float] | None = None,
    ) -> ConvNetwork:
        """Return the network that :func:`normalize` returns for these arguments."""
        self.check(method, percentile, per, n_steps, input_range)
        check_flags(bound_weights=bound_weights)
        per = per or ("channel" if method == "balance" else "layer")
        (model, units), n_images = scalable(self.network.model, per), None
        if method == "model":
            scales = _largest_possible(model, units, *needed_range(model, input_range))
        else:
            histogram = self._histogram(per)
            n_images = histogram.n_images
            scales = histogram.percentile(percentile) if method == "data" else histogram.best_threshold(n_steps)
        if bound_weights:
            scales = _at_least_weights(model, units, scales)
        scaled = rescale(model, units, with_scales_of_silent_units(model, units, scales))
        seen = {} if method == "model" else {"calibration_range": histogram.ranges}
        description: dict[str, typing.Any] = {
            "method": method,
            "per": per,
            "n_steps": n_steps,
            "percentile": percentile if method == "data" else None,
            "bound_weights": bound_weights or None,
            "images": n_images,
        }
        if method == "model" and input_range is not None:
            description["input_range"] = [float(value) for value in input_range]
        description = {name: value for name, value in description.items() if value is not None}
        return self.network.rebuild(scaled.replace(metadata={**scaled.metadata, **seen, "normalization": description}))

    def _histogram(self, per):
        """Return the histogram of activations, from one pass over the calibration data."""
        if per not in self._histograms:
            model, units = scalable(self.network.model, per)
            self._histograms[per] = activation_histogram(self.network.rebuild(model), self.x, units, **self._reading)
        return self._histograms[per]


def scalable(model: Model, per: str) -> tuple[Model, Units]:
    """Return a model with scales on its shortcuts and, if the units need one, on its input; and its units."""
    model = untie_shortcuts(model)
    units = find_units(model, per)
    if any((units.labels[name] == units.fixed).any() for name in signaling_layers(model)):
        model = insert_scales(model, [(model.input, layer.name) for layer in model.consumers(model.input)])
        units = find_units(model, per)
    return model, units


def _check_arguments(network, x, method, percentile, per, n_steps, input_range):
    """Raise SettingsError for invalid arguments of :func:`normalize`."""
    require_native_network(network, "normalize", error=functools.partial(SettingsError, argument="network"))
    check_choice(METHODS, method=method)
    if x is None and method != "model":
        raise SettingsError(
            f"method={method!r} needs calibration data: normalize(network, x), where x holds some training images",
            argument="x",
        )
    check_percentile(percentile=percentile)
    check_choice((None, "layer", "channel"), per=per)
    if method == "balance":
        if n_steps is None:
            raise SettingsError(
                "method='balance' needs n_steps, a number of steps to balance for (tune tries several)",
                argument="n_steps",
            )
        check_counts(n_steps=n_steps)
    check_input_range(input_range)
    if method == "model":
        needed_range(network.model, input_range)


def _largest_possible(model, units, low, high):
    """Return the largest activation of each unit for inputs between ``low`` and ``high``, (units,)."""
    bounds = upper_bounds(model, low, high)
    scales = np.zeros(units.n_units)
    for name in signaling_layers(model):
        labels = units.labels[name]
        if not np.isfinite(bounds[name]).all():
            raise SettingsError(
                f"the weights allow activations of layer {name!r} that are too large for float32: use method='data' or "
                "'balance' with images (in to_ttfs, threshold='search')"
            )
        np.maximum.at(scales, labels[labels >= 0], bounds[name][labels >= 0])
    return scales


def _at_least_weights(model, units, scales):
    """Return the scales, raised to the largest weight of each unit if that is larger."""
    scales = scales.copy()
    for name in model.layers:
        kernel = model.arrays.get(f"{name}/kernel")
        if kernel is not None:
            labels = units.labels[name].reshape(-1, kernel.shape[-1])[0]
            np.maximum.at(scales, labels, kernel.reshape(-1, kernel.shape[-1]).max(axis=0))
    return scales


def with_scales_of_silent_units(model, units, scales):
    """Return the scales with those of zero replaced by the largest one of the layer, or by 1 if all are zero."""
    positive = scales.copy()
    for name in signaling_layers(model):
        own = np.unique(without_repeats(units.labels[name]))
        own = own[own >= 0]
        positive[own] = np.where(positive[own] > 0, positive[own], scales[own].max(initial=0))
    positive[~(positive > 0)] = 1
    positive[units.fixed] = 1
    positive[trained_units(model, units)] = 1
    return positive
