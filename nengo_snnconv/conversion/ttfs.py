"""to_ttfs: from an ANN to a network in which each neuron spikes once at most, and sooner the more it has to say."""

import numpy as np

from .._util.validation import (
    check_choice,
    check_counts,
    check_images,
    check_percentile,
    check_positive,
    check_progress,
    check_seed,
    is_number,
    shown,
)
from ..errors import SettingsError, listed
from ..model import layers as specs
from ..model.input_range import needed_range, warn_of_range
from ..model.memory import MEMORY_MB
from ..networks.native import require_native_network
from ..networks.network import ConvNetwork
from ..networks.rate_model import outputs_of, prediction_batch, rate_model
from ..networks.ttfs import TTFSConfig, spike_sources
from ..neurons.time_to_first_spike import TimeToFirstSpike
from ..passes import find_units, rectify_sums_before_max, rescale
from .normalization import normalize

THRESHOLDS = ("search", "max", "percentile")


def to_ttfs(
    network,
    x_calibration=None,
    n_steps=16,
    *,
    threshold="search",
    percentile=None,
    per=None,
    x_max=None,
    seed=None,
    memory_mb=MEMORY_MB,
    progress=None,
):
    """A network of time to first spike: two-stage neurons that spike once at most (Lopez-Randulfe et al. 2022).

    Each layer of neurons listens for a stage of ``n_steps`` steps and spikes in the next one, in which the layer
    behind it listens.  A value x in [0, x_max] is a spike at t = t_max (1 - x / x_max), so large values come first, a
    maximum is the earliest spike of its window, and zero is silence.  Biases are currents from the first step of a
    stage on.  Where branches meet, spikes of the shorter one are sent again, stage after stage.  Maxima over anything
    but neurons or the image get neurons in front of them.

    A run takes ``n_steps`` times the number of stages, which is that of layers of neurons in a row and one more;
    ``evaluate`` and ``record`` know it.

    Parameters
    ----------
    network : ConvNetwork
        Made by ``convert``.
    x_calibration : ndarray, (images, height, width, channel)
        Some hundred training images; ``threshold="max"`` needs none if ``x_max`` is given.
    n_steps : int
        Steps of a stage, t_max: activations become multiples of 1 / n_steps of the threshold.
    threshold : "search", "max", "percentile", float, or dict of str to float or ndarray (channels,)
        u_th / t_max, the activation for which a neuron spikes in the first step; larger ones are clipped.

        "search": the one with the least mean squared error of the activations, rounding and clipping weighed against
        each other, for each channel, on the calibration data.

        "max": the largest potential that the weights allow, for each layer, as in the paper; nothing is ever clipped.

        "percentile": of the positive activations on the calibration data.

        Numbers are in units of the activations of ``network``: one for all layers of neurons, or for each by name.
    percentile : float, optional
        For "percentile", 99.9 by default.
    per : "layer" or "channel", optional
        What shares a threshold, unless thresholds are given; by default channels for "search", layers else.
    x_max : float, optional
        The largest input; by default the largest magnitude in ``x_calibration``, or what the model's first layer asks
        for, such as 255 for ``Rescaling(1 / 255)``.
    seed : int, optional
        Of the network; by default that of ``network``.
    memory_mb : float
        Roughly how much memory the activity of calibration images may take; sets how many are computed together.
    progress : bool, optional
        Show a progress bar; by default where standard error is a terminal.

    Returns
    -------
    ConvNetwork
        ``network.model.metadata["scales"]`` holds the thresholds.  If ``x_calibration`` has values below zero, the
        input has negative spikes for them, which the paper has not.

    Raises
    ------
    ConversionError, SettingsError
        If the network was not made by ``convert``; if an argument cannot work, or the data do not fit the network.

    References
    ----------
    Lopez-Randulfe, Reeb & Knoll 2022, "Conversion of ConvNets to spiking neural networks with less than one spike per
    neuron", Conference on Cognitive Computational Neuroscience.
    """
    check_seed(seed, optional=True)
    check_progress(progress)
    x = _check(network, x_calibration, n_steps, threshold, percentile, per, x_max)
    if x is None:
        low, high = needed_range(network.model, None if x_max is None else (0.0, x_max))
        x_max, signed = float(max(high, -low)), low < 0
    else:
        if threshold not in ("search", "percentile"):  # normalize warns of it
            warn_of_range(network.model, x)
        x_max, signed = _largest(x) if x_max is None else float(x_max), bool((x < 0).any())
    network = network.rebuild(rectify_sums_before_max(network.model, _floors(network, x, memory_mb)))
    options = {"per": per, "memory_mb": memory_mb, "progress": progress}
    if not isinstance(threshold, str):
        network = network.rebuild(_with_thresholds(network.model, threshold))
    elif threshold == "search":
        network = normalize(network, x, method="balance", n_steps=int(n_steps), **options)
    elif threshold == "percentile":
        network = normalize(network, x, method="data", percentile=99.9 if percentile is None else percentile, **options)
    else:
        network = normalize(network, method="model", input_range=(-x_max if signed else 0.0, x_max), **options)
    seed = network.settings.seed if seed is None else seed
    settings = TTFSConfig(TimeToFirstSpike(int(n_steps)), seed, x_max=x_max, signed=signed)
    return ConvNetwork(network.model, settings, network.label)


def _check(network, x, n_steps, threshold, percentile, per, x_max):
    """The calibration images, checked; None if there are none."""
    require_native_network(network, "to_ttfs", spiking=False)
    check_counts(n_steps=n_steps)
    known = isinstance(threshold, str) and threshold in THRESHOLDS
    if not (known or is_number(threshold) or isinstance(threshold, bool | dict)):
        raise SettingsError(
            f"threshold must be one of {THRESHOLDS}, a number, or numbers by layer; got {shown(threshold)}"
        )
    if percentile is not None:
        if not known or threshold != "percentile":
            raise SettingsError(f"percentile goes with threshold='percentile', not with threshold={shown(threshold)}")
        check_percentile(percentile=percentile)
    check_choice((None, "layer", "channel"), per=per)
    if per is not None and not isinstance(threshold, str):
        raise SettingsError(
            "per is for thresholds that are found; where they are given, numbers by channel do the same"
        )
    if x_max is not None:
        check_positive(x_max=x_max)
    if isinstance(x, tuple) or (x is not None and not hasattr(x, "__len__")):
        raise SettingsError("x_calibration must be an array of images, (images, height, width, channel)")
    if x is not None:
        return check_images(network.model, x)
    has_range = x_max is not None or network.model.metadata.get("input_range")
    if (known and threshold != "max") or not has_range:
        raise SettingsError(
            "to_ttfs needs calibration data: to_ttfs(network, x), x some hundred training images; only threshold='max' "
            "and given thresholds do without, if x_max is given too"
        )
    return None


def _largest(x):
    """The largest magnitude in the images, or 1 if they are all zero."""
    return float(np.abs(x).max()) or 1.0


def _floors(network, x, memory_mb):
    """What maxima that are taken over sums do not fall below, {name: (channels,)}."""
    model, sources = network.model, spike_sources(network.model)
    names = [
        name
        for name, layer in model.layers.items()
        if isinstance(layer, specs.MaxPool | specs.GlobalMaxPool) and sources[name] is None
    ]
    if not names:
        return {}
    if x is None:
        raise SettingsError(f"the maxima of layer {names[0]!r} need calibration data: give x_calibration")
    rates, floors = rate_model(network, names), {name: np.zeros(model.shapes[name][-1:], np.float32) for name in names}
    batch_size = prediction_batch(model, memory_mb, kept=names)
    for first in range(0, len(x), batch_size):
        found = outputs_of(rates, x[first : first + batch_size], batch_size)
        for name, values in zip(names, found if isinstance(found, list) else [found], strict=True):
            floors[name] = np.minimum(floors[name], values.min(axis=tuple(range(values.ndim - 1))))
    return floors


def _numbers(values):
    """An array of floats; NaN where there are no numbers."""
    values = np.asarray(values)
    return values.astype(float) if np.issubdtype(values.dtype, np.number) else np.array(np.nan)


def _with_thresholds(model, threshold):
    """The model rescaled to given thresholds: a number, or numbers by layer."""
    neurons = model.neurons
    if not isinstance(threshold, dict):
        threshold = dict.fromkeys(neurons, threshold)
    if set(threshold) != set(neurons):
        given = listed(sorted(threshold, key=str), 8)
        raise SettingsError(f"threshold must name each layer of neurons, {listed(neurons, 8)}; got {given}")
    per = "channel" if any(np.ndim(value) for value in threshold.values()) else "layer"
    units = find_units(model, per)
    scales = np.full(units.n_units, np.nan)
    for name in neurons:
        values, channels = _numbers(threshold[name]), model.shapes[name][-1:]
        if values.shape not in ((), channels) or not (np.isfinite(values) & (values > 0)).all():
            raise SettingsError(
                f"the threshold of {name!r} must be above 0, one number or {channels[0]}; got {threshold[name]!r}"
            )
        labels, wanted = units.labels[name], np.broadcast_to(values, model.shapes[name])
        inside = labels >= 0
        highest = scales.copy()
        np.fmin.at(scales, labels[inside], wanted[inside])
        np.fmax.at(highest, labels[inside], wanted[inside])
        if (apart := np.flatnonzero(scales < highest)).size:
            raise SettingsError(
                f"the activations of {name!r} are added to others, or share weights with them, and need the same "
                f"threshold; got {scales[apart[0]]:g} and {highest[apart[0]]:g}"
            )
    scales[np.isnan(scales)] = 1
    if scales[units.fixed] != 1:
        raise SettingsError("the image itself is added to activations: leave the thresholds to 'search' or 'max'")
    return rescale(model, units, scales)
