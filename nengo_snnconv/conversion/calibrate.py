"""calibrate: correction of a spiking network's weights and thresholds for few time steps."""

from __future__ import annotations

import dataclasses
import typing

import nengo
import numpy as np

from .._util.progress import progress_bar
from .._util.validation import (
    check_counts,
    check_dt,
    check_flags,
    check_memory,
    check_not_negative,
    check_progress,
    check_seed,
)
from ..errors import ConversionError, SettingsError
from ..inputs import Data, as_images
from ..model import layers as specs
from ..model.input_range import ranges_of
from ..model.memory import MEMORY_MB, bytes_of_pass, images_together
from ..networks.context import adds_result_only
from ..networks.edits import check_unedited
from ..networks.native import require_native_network, require_uncalibrated, why_filtered
from ..networks.network import ConvNetwork
from ..networks.ttfs import TTFSConfig
from ..neurons.integrate_and_fire import IntegrateAndFire
from ..passes import rescale, untie_shortcuts
from ..passes.untie_shortcuts import WEIGHTED
from .layerwise import LayerwiseCalibration
from .spike_levels import SpikeLevels
from .spike_trains import SpikeTrains

if typing.TYPE_CHECKING:
    from ..model import Model
    from ..networks.native import NativeConfig

DEFAULTS = {"dt": 0.001, "seed": 0}
NEURON_TYPES = (IntegrateAndFire, nengo.LIF, nengo.SpikingRectifiedLinear)


@adds_result_only
def calibrate(
    network: ConvNetwork,
    x: Data,
    *,
    n_steps: int | None = None,
    fit_weights: bool = True,
    regularization: float | None = None,
    dt: float = 0.001,
    memory_mb: float = MEMORY_MB,
    seed: int = 0,
    progress: bool | None = None,
) -> ConvNetwork:
    """Correct a spiking network for a small number of time steps, on calibration images without labels.

    With few steps, spikes represent activations coarsely, and each layer receives the errors of all layers before it.
    The layers are corrected one after another, each for the spikes that it really receives:

    1. The weights and biases of a layer are fitted by least squares, so that its mean output over ``n_steps`` steps is
       closest to its output in the ANN (ridge regression towards the weights of the ANN).  Errors without effect do not
       count: outputs for which the rectifier that follows is silent in both networks, and outputs that are not the
       largest in the window of a maximum.  In a residual block, the last layer with weights also compensates for the
       errors of the other branch.  A maximum of sums with errors is too large on average, which the bias of the layer
       before it corrects.
    2. Each channel gets the threshold for which the mean output of its neurons tells most about the activations of the
       ANN: for which the error is smallest that the weights of the next layer cannot remove by a scale and an offset.
       If only a maximum reads the neurons, this is measured on its output.  Without a fit of weights, the error itself
       is smallest.

    A layer of time to first spike is a rounded and clipped rectifier; the thresholds of its channels are chosen by the
    error of the maxima if only a pooling layer reads them.

    There are no gradients and no labels.  The method is the layer-wise calibration of Li et al. 2021 (arXiv
    2106.06984), with weights that are computed in closed form.  The result is an ordinary network for every back end;
    ``evaluate`` compares it with the ANN that was converted.

    Parameters
    ----------
    network : ConvNetwork
        Network made by ``to_ttfs``, or by ``to_spiking`` with constant input and without synapses between layers.  With
        few steps, ``SignedIntegrateAndFire`` neurons lose the least accuracy.
    x : ndarray, (images, height, width, channel), or a data set
        Calibration images, such as 1,000 of the training images, in any form that :func:`evaluate` reads but frames.
    n_steps : int, optional
        Number of time steps for which the network will run.  Required, unless ``to_ttfs`` made the network, which then
        defines it.
    fit_weights : bool
        Fit weights and biases.  If False, only thresholds are chosen.
    regularization : float, optional
        Strength of the pull towards the weights of the ANN, relative to the variance of a layer's inputs.  By default
        it is chosen for each layer by cross-validation on two halves of the images.
    dt : float
        Length of a time step in seconds.
    memory_mb : float
        Approximate memory for the computation of a layer, in megabytes.  The spikes of some layers are kept as well, in
        2 bytes for each neuron, step and image.
    seed : int
        Seed of the random choice of positions in the images from which weights and thresholds are computed.
    progress : bool, optional
        Show a progress bar; by default if standard error is a terminal.

    Returns
    -------
    ConvNetwork
        Network of the same type.  ``network.model.metadata["calibration"]`` lists the settings, and
        ``network.model.ann`` is the model with the weights of the ANN.

    Raises
    ------
    ConversionError
        If the network was not made by ``to_ttfs`` or ``to_spiking``, has other neurons than ``TimeToFirstSpike``,
        ``IntegrateAndFire``, ``SignedIntegrateAndFire``, ``nengo.LIF`` or ``nengo.SpikingRectifiedLinear``, or was
        calibrated before.
    SettingsError
        If an argument is invalid, or the images do not fit the network or the memory.

    Examples
    --------
    >>> network = snc.normalize(snc.convert(keras_model), x_calibration, method="balance", n_steps=4)
    >>> snn = snc.to_spiking(network, snc.SignedIntegrateAndFire())
    >>> snn = snc.calibrate(snn, x_calibration, n_steps=4)
    >>> evaluation = snc.evaluate(snn, x_test, y_test, n_steps=4)
    >>> first_spikes = snc.calibrate(snc.to_ttfs(snc.convert(keras_model), x_calibration, n_steps=8), x_calibration)
    """
    first_spike = isinstance(network, ConvNetwork) and isinstance(network.settings, TTFSConfig)
    if first_spike:
        check_unedited(network)
        require_uncalibrated(network.model, "calibrate")
    else:
        require_native_network(network, "calibrate", origin="to_spiking", spiking=True)
    _check_n_steps(n_steps, first_spike)
    check_flags(fit_weights=fit_weights)
    if regularization is not None:
        check_not_negative(regularization=regularization)
    check_dt(dt)
    check_seed(seed)
    check_progress(progress)
    x, _ = as_images(network.model, x)
    check_calibration(network.model, network.settings, x, n_steps)
    model = with_biases(untie_shortcuts(network.model)) if fit_weights else untie_shortcuts(network.model)
    batch_size = images_together((n_steps or 1) * bytes_of_pass(model), memory_mb)
    trains = _spikes_of(model, network.settings, x, n_steps, dt)
    judged_by_readers = fit_weights and not first_spike
    calibration = LayerwiseCalibration(trains, batch_size, np.random.default_rng(seed), judged_by_readers)
    with progress_bar(len(model.layers), "calibrating", "layer", progress) as bar:
        for name in calibration.order:
            layer = model.layers[name]
            if isinstance(layer, specs.Rectifier):
                calibration.choose_thresholds(name)
            elif fit_weights and isinstance(layer, WEIGHTED) and not trains.is_constant(name):
                calibration.fit(name, regularization)
            elif fit_weights and isinstance(layer, specs.MaxPool | specs.GlobalMaxPool):
                calibration.center_maximum(name)
            calibration.forget_before(name)
            bar.update()
    fitted = {key: array for key, array in trains.arrays.items() if array is not model.arrays[key]}
    scales = calibration.scales()
    scaled_ann = rescale(model, calibration.units, scales)
    scaled = rescale(model.replace(arrays=fitted), calibration.units, scales)
    description: dict[str, typing.Any] = {"fit_weights": fit_weights, "images": len(x)}
    description |= {name: value for name, value in {"dt": dt, "seed": seed}.items() if value != DEFAULTS[name]}
    length = {} if n_steps is None else {"n_steps": n_steps}
    description |= length
    if fit_weights and regularization is not None:
        description["regularization"] = float(regularization)
    seen = ranges_of(model, x, model.metadata.get("calibration_range"))
    return network.rebuild(
        scaled.replace(
            metadata={**scaled.metadata, **length, "calibration": description, "calibration_range": seen},
            ann_arrays={key: scaled_ann.arrays[key] for key in fitted},
        )
    )


def check_calibration(model: Model, settings: NativeConfig | TTFSConfig, x: np.ndarray, n_steps: int | None) -> None:
    """Raise ConversionError for networks that cannot be calibrated, and SettingsError if memory is too small.

    ``n_steps`` is None for networks of ``to_ttfs``.
    """
    reason = "" if isinstance(settings, TTFSConfig) else why_uncalibratable(model, settings)
    if reason:
        raise ConversionError(reason)
    largest = max((model.size(name) for name in model.neurons), default=0)
    check_memory((2 * (n_steps or 1) + 4) * len(x) * largest, f"the spikes of {len(x):,} images", "give fewer images")


def why_uncalibratable(
    model: Model, settings: NativeConfig, function: str = "calibrate", types: tuple[type, ...] = NEURON_TYPES
) -> str:
    """Return why spikes cannot be computed layer by layer, with a way out; empty if they can.

    ``types`` are the neuron types that ``function`` supports.
    """
    for neuron_type in settings.of_types:
        if not isinstance(neuron_type, types):
            return (
                f"{function} does not support {neuron_type}: use SignedIntegrateAndFire, IntegrateAndFire or nengo.LIF"
            )
    if settings.input_coding != "constant":
        return (
            f'{function} needs constant input, but the network has input_coding="{settings.input_coding}": use '
            'to_spiking(..., input_coding="constant")'
        )
    if settings.synapse is not None:
        return (
            f"{function} needs a network without synapses between layers, but it has {settings.synapse}: use "
            "to_spiking(..., synapse=None)"
        )
    return why_filtered(model, function)


def _check_n_steps(n_steps, first_spike):
    """Raise SettingsError unless the number of steps is given for networks that do not define it themselves."""
    if first_spike and n_steps is not None:
        raise SettingsError("a network of to_ttfs has a fixed number of steps: leave n_steps out", argument="n_steps")
    if not first_spike and n_steps is None:
        raise SettingsError(
            "calibrate needs n_steps, the number of steps that the network will run for", argument="n_steps"
        )
    if n_steps is not None:
        check_counts(n_steps=n_steps)


def _spikes_of(model, settings, x, n_steps, dt):
    """Return the object that computes the spikes of a network layer by layer."""
    if isinstance(settings, TTFSConfig):
        return SpikeLevels(model, settings, x)
    return SpikeTrains(model, settings, x, n_steps, dt)


def with_biases(model: Model) -> Model:
    """Return the model with biases of zero where layers with weights have none."""
    layers, arrays = [], dict(model.arrays)
    for name, layer in model.layers.items():
        if isinstance(layer, specs.Conv | specs.Dense) and not layer.use_bias:
            layer = dataclasses.replace(layer, use_bias=True)
            arrays[f"{name}/bias"] = np.zeros(model.shapes[name][-1])
        layers.append(layer)
    return type(model)(layers, arrays, model.output, model.metadata)
