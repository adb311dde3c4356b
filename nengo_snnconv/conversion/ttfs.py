"""to_ttfs: from an ANN to a network with time-to-first-spike coding, in which larger activations spike earlier."""

from __future__ import annotations

import typing
import warnings

import numpy as np

from .._util.validation import (
    check_choice,
    check_counts,
    check_percentile,
    check_positive,
    check_progress,
    check_seed,
    is_number,
    shown,
)
from ..errors import SettingsError, SnnConvWarning, listed
from ..inputs import Data, as_images
from ..model import layers as specs
from ..model.input_range import needed_range
from ..model.memory import MEMORY_MB, bytes_of_all, images_together
from ..networks.context import adds_result_only
from ..networks.native import require_native_network
from ..networks.network import ConvNetwork
from ..networks.rate_model import outputs_of, prediction_batch, rate_model
from ..networks.ttfs import INPUT_CODINGS, TTFSConfig, spike_sources
from ..neurons.time_to_first_spike import TimeToFirstSpike
from ..passes import find_units, rectify_sums_before_max, rescale
from ..passes.rescale import trained_units
from .normalization import Normalizer, normalize
from .spike_levels import output_error

if typing.TYPE_CHECKING:
    from collections.abc import Mapping

THRESHOLDS = ("search", "max", "percentile")
PERCENTILE = 99.9


@adds_result_only
def to_ttfs(
    network: ConvNetwork,
    x_calibration: Data | None = None,
    n_steps: int = 16,
    *,
    threshold: str | float | Mapping[str, float | np.ndarray] = "search",
    percentile: float | None = None,
    per: str | None = None,
    x_max: float | None = None,
    input_coding: str = "spikes",
    seed: int | None = None,
    memory_mb: float = MEMORY_MB,
    progress: bool | None = None,
) -> ConvNetwork:
    """Convert a network to time to first spike, with two-stage neurons that spike once at most.

    Each layer of neurons integrates its input during a stage of ``n_steps`` steps and spikes during the next stage, in
    which the next layer integrates (Lopez-Randulfe et al. 2022).  A value x in [0, x_max] is represented by a spike at
    t = t_max (1 - x / x_max), so large values spike early, a maximum is the earliest spike of its window, and zero does
    not spike.  Biases are constant currents from the first step of a stage.  If branches of different length meet,
    relay neurons repeat the spikes of the shorter one in later stages.  Neurons are added in front of maxima, unless
    these are over neurons or the image.

    A run takes ``n_steps`` times the number of stages, which is one more than the number of layers of neurons in a row.
    ``evaluate`` and ``record`` choose it themselves.

    Parameters
    ----------
    network : ConvNetwork
        Network made by ``convert``.
    x_calibration : ndarray, (images, height, width, channel), or a data set, optional
        Some hundred training images, in any form that :func:`normalize` reads.  Not needed for ``threshold="max"`` and
        given thresholds if ``x_max`` is given or the model tells the range of its input.
    n_steps : int
        Number of steps of a stage, t_max; activations become multiples of threshold / n_steps.
    threshold : "search", "max", "percentile", float, or dict of str to float or ndarray (channels,)
        u_th / t_max, the activation for which a neuron spikes in the first step; larger activations are clipped.

        "search": the threshold of each channel with the least mean squared error, from rounding and clipping, of the
        activations on the calibration images.  Of neurons that only a maximum reads, the maxima count.  If the output
        is closer to that of the ANN with "percentile", that is chosen.

        "max": the largest potential that the weights allow in each layer, as in the paper; never clips.

        "percentile": a percentile of the positive activations on the calibration images.

        Numbers are in units of the activations of ``network``: one for all layers of neurons, or a dict with one, or
        one for each channel, for each layer of neurons.

        Layers that were trained with levels (:class:`QCFS`) keep the threshold 1; with as many steps as levels, they
        are exact.
    percentile : float, optional
        Percentile for ``threshold="percentile"``; by default 99.9.
    per : "layer" or "channel", optional
        Outputs that share a threshold, unless thresholds are given; by default "channel" for "search", else "layer".
    x_max : float, optional
        Largest input; by default the largest magnitude in ``x_calibration``, or the one that the model's first layer
        expects, such as 255 for ``Rescaling(1 / 255)``.
    input_coding : "spikes" or "constant"
        "spikes": each pixel is a spike, rounded to the nearest multiple of x_max / ``n_steps``, as in the paper.

        "constant": pixels are constant currents, not rounded, at the cost of multiplications in the first layer.
    seed : int, optional
        Seed of the network; by default that of ``network``.
    memory_mb : float
        Approximate memory for the activations of calibration images, in megabytes.  Sets the number of images that are
        computed together.
    progress : bool, optional
        Show a progress bar; by default if standard error is a terminal.

    Returns
    -------
    ConvNetwork
        ``network.model.metadata["scales"]`` holds the thresholds.  If ``x_calibration`` has negative values, the input
        has negative spikes for them, which is an extension of the paper.

    Raises
    ------
    ConversionError
        If the network was not made by ``convert``.
    SettingsError
        If an argument has an invalid value, or the data do not fit the network.

    Examples
    --------
    >>> snn = nengo_snnconv.to_ttfs(nengo_snnconv.convert(keras_model), x_calibration, n_steps=16)

    References
    ----------
    Lopez-Randulfe, Reeb & Knoll 2022, "Conversion of ConvNets to spiking neural networks with less than one spike per
    neuron", Conference on Cognitive Computational Neuroscience.
    """
    check_seed(seed, optional=True)
    check_progress(progress)
    check_choice(INPUT_CODINGS, input_coding=input_coding)
    x = _check_arguments(network, x_calibration, n_steps, threshold, percentile, per, x_max)
    if x is None:
        low, high = needed_range(network.model, None if x_max is None else (0.0, x_max))
        x_max, signed = float(max(high, -low)), low < 0
    else:
        x_max, signed = _largest_magnitude(x) if x_max is None else float(x_max), bool((x < 0).any())
    network = network.rebuild(rectify_sums_before_max(network.model, _smallest_maxima(network, x, memory_mb)))
    seed = network.settings.seed if seed is None else seed
    # a constant input has no largest value
    coding = {"x_max": x_max, "signed": signed} if input_coding == "spikes" else {"input_coding": input_coding}
    settings = TTFSConfig(TimeToFirstSpike(int(n_steps)), seed, **coding)
    options: dict[str, typing.Any] = {"per": per, "memory_mb": memory_mb, "progress": progress}
    if not isinstance(threshold, str):
        network = network.rebuild(_with_thresholds(network.model, threshold))
    elif threshold == "search":
        network = _searched(network, x, settings, **options)
    elif threshold == "percentile":
        network = normalize(network, x, method="data", percentile=percentile or PERCENTILE, **options)
    else:
        network = normalize(network, method="model", input_range=(-x_max if signed else 0.0, x_max), **options)
    return ConvNetwork(network.model, settings, network.label)


def _check_arguments(network, x, n_steps, threshold, percentile, per, x_max):
    """Raise an error for invalid arguments; return the calibration images, or None if there are none."""
    require_native_network(network, "to_ttfs", spiking=False)
    check_counts(n_steps=n_steps)
    is_method = isinstance(threshold, str) and threshold in THRESHOLDS
    if not (is_method or is_number(threshold) or isinstance(threshold, bool | dict)):
        raise SettingsError(
            f"threshold must be one of {THRESHOLDS}, a number, or a dict of numbers by layer; got {shown(threshold)}",
            argument="threshold",
        )
    if percentile is not None:
        if not is_method or threshold != "percentile":
            raise SettingsError(
                f"percentile is for threshold='percentile' only, got threshold={shown(threshold)}",
                argument="percentile",
            )
        check_percentile(percentile=percentile)
    check_choice((None, "layer", "channel"), per=per)
    if per is not None and not isinstance(threshold, str):
        raise SettingsError(
            "per is for threshold='search', 'max' or 'percentile' only: leave it out, and give one number or one for "
            "each channel",
            argument="per",
        )
    if x_max is not None:
        check_positive(x_max=x_max)
    if x is not None:
        try:
            with warnings.catch_warnings():
                if is_method and threshold != "max":  # normalize warns
                    warnings.simplefilter("ignore", SnnConvWarning)
                return as_images(network.model, x, means=True)[0]
        except SettingsError as error:
            error.argument = "x_calibration"
            raise
    has_range = x_max is not None or network.model.metadata.get("input_range")
    if (is_method and threshold != "max") or not has_range:
        raise SettingsError(
            "to_ttfs needs calibration data: to_ttfs(network, x), where x holds some hundred training images; "
            "threshold='max' and given thresholds need none if x_max is given",
            argument="x_calibration",
        )
    return None


def _searched(network, x, settings, per, memory_mb, progress):
    """Return the network with the thresholds of least squared error, or with percentiles if its output is closer then.

    The squared error of a layer is not all that matters to the layers after it.
    """
    reading: dict[str, typing.Any] = {"memory_mb": memory_mb, "progress": progress}
    balanced = Normalizer(network, x, at_maxima=True, **reading)
    candidates = [balanced.normalize("balance", per=per, n_steps=settings.stage_steps)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SnnConvWarning)  # the same ones again
        candidates.append(normalize(network, x, method="data", percentile=PERCENTILE, per=per, **reading))
    batch_size = images_together(3 * bytes_of_all(network.model), memory_mb)
    return min(candidates, key=lambda candidate: output_error(candidate.model, settings, x, batch_size))


def _largest_magnitude(x):
    """Return the largest magnitude in the images, or 1 if they are all zero."""
    return float(np.abs(x).max()) or 1.0


def _smallest_maxima(network, x, memory_mb):
    """Return the smallest value of each maximum over sums on calibration images, {name: (channels,)}."""
    model, sources = network.model, spike_sources(network.model)
    names = [
        name
        for name, layer in model.layers.items()
        if isinstance(layer, specs.MaxPool | specs.GlobalMaxPool) and sources[name] is None
    ]
    if not names:
        return {}
    if x is None:
        raise SettingsError(
            f"layer {names[0]!r} takes maxima of sums, which needs calibration data: give x_calibration",
            argument="x_calibration",
        )
    ann, smallest = rate_model(network, names), {name: np.zeros(model.shapes[name][-1:], np.float32) for name in names}
    batch_size = prediction_batch(model, memory_mb, kept=names)
    for first in range(0, len(x), batch_size):
        outputs = outputs_of(ann, x[first : first + batch_size], batch_size)
        for name, values in zip(names, outputs if isinstance(outputs, list) else [outputs], strict=True):
            smallest[name] = np.minimum(smallest[name], values.min(axis=tuple(range(values.ndim - 1))))
    return smallest


def _as_floats(values):
    """Return an array of floats; NaN for values that are not numbers."""
    values = np.asarray(values)
    return values.astype(float) if np.issubdtype(values.dtype, np.number) else np.array(np.nan)


def _with_thresholds(model, threshold):
    """Return the model rescaled to given thresholds: a number, or a dict of numbers by layer."""
    neurons = model.neurons
    if not isinstance(threshold, dict):
        threshold = dict.fromkeys(neurons, threshold)
    if set(threshold) != set(neurons):
        given = listed(sorted(threshold, key=str), 8)
        raise SettingsError(
            f"threshold must name each layer of neurons, {listed(neurons, 8)}; got {given}", argument="threshold"
        )
    per = "channel" if any(np.ndim(value) for value in threshold.values()) else "layer"
    units = find_units(model, per)
    scales = np.full(units.n_units, np.nan)
    for name in neurons:
        values, channels = _as_floats(threshold[name]), model.shapes[name][-1:]
        if values.shape not in ((), channels) or not (np.isfinite(values) & (values > 0)).all():
            raise SettingsError(
                f"threshold of {name!r} must be above 0, one number or {channels[0]}; got {shown(threshold[name])}",
                argument="threshold",
            )
        labels, thresholds = units.labels[name], np.broadcast_to(values, model.shapes[name])
        inside = labels >= 0
        highest = scales.copy()
        np.fmin.at(scales, labels[inside], thresholds[inside])
        np.fmax.at(highest, labels[inside], thresholds[inside])
        if (different := np.flatnonzero(scales < highest)).size:
            raise SettingsError(
                f"the activations of {name!r} are added to others, or share weights with them, and need the same "
                f"threshold; got {scales[different[0]]:g} and {highest[different[0]]:g}",
                argument="threshold",
            )
    scales[np.isnan(scales)] = 1
    if (scales[trained_units(model, units)] != 1).any():
        raise SettingsError(
            f"the thresholds of {listed(model.levels)} were trained, and are 1: leave them so, or use "
            "threshold='search'",
            argument="threshold",
        )
    if scales[units.fixed] != 1:
        raise SettingsError(
            "the image itself is added to activations: use threshold='search' or 'max'", argument="threshold"
        )
    return rescale(model, units, scales)
