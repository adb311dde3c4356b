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
    check_images,
    check_memory,
    check_not_negative,
    check_progress,
    check_seed,
)
from ..errors import ConversionError, SettingsError
from ..model import layers as specs
from ..model.memory import MEMORY_MB, bytes_of_pass, images_together
from ..networks.edits import check_unedited
from ..networks.native import require_native_network, require_uncalibrated
from ..networks.network import ConvNetwork
from ..networks.ttfs import TTFSConfig
from ..neurons.integrate_and_fire import IntegrateAndFire
from ..passes import find_units, rescale, untie_shortcuts
from ..passes.rescale import channel_labels, trained_units
from .spike_levels import SpikeLevels
from .spike_trains import SpikeTrains
from .weight_fit import WeightFit

if typing.TYPE_CHECKING:
    from ..model import Model
    from ..networks.native import NativeConfig

WEIGHTED = (specs.Conv, specs.Dense, specs.Affine)
NEURON_TYPES = (IntegrateAndFire, nengo.LIF, nengo.SpikingRectifiedLinear)
# thresholds that are tried, relative to the largest activation of a channel
CANDIDATES = np.geomspace(0.12, 1.3, 18)
# positions of images from which thresholds are chosen
ROWS = 6_000
ROWS_PER_IMAGE = 48


def calibrate(
    network: ConvNetwork,
    x: np.ndarray,
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
       closest to its output in the ANN (ridge regression towards the weights of the ANN).  In a residual block, the
       last layer also compensates for the errors of the shortcut.
    2. Each channel gets the threshold for which the mean output of its neurons is closest to the activations of the
       ANN.

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
    x : ndarray, (images, height, width, channel)
        Calibration images, such as 1,000 of the training images.
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
    x = check_images(network.model, x)
    check_calibration(network.model, network.settings, x, n_steps)
    model = with_biases(untie_shortcuts(network.model)) if fit_weights else untie_shortcuts(network.model)
    batch_size = images_together((n_steps or 1) * bytes_of_pass(model), memory_mb)
    trains = _spikes_of(model, network.settings, x, n_steps, dt)
    calibration = _Calibration(trains, batch_size, np.random.default_rng(seed))
    with progress_bar(len(model.layers), "calibrating", "layer", progress) as bar:
        for name, layer in model.layers.items():
            if isinstance(layer, specs.Rectifier):
                calibration.choose_thresholds(name)
            elif fit_weights and isinstance(layer, WEIGHTED) and not trains.is_constant(name):
                calibration.fit(name, regularization)
            calibration.forget_before(name)
            bar.update()
    fitted = {key: array for key, array in trains.arrays.items() if array is not model.arrays[key]}
    scales = calibration.scales()
    scaled_ann = rescale(model, calibration.units, scales)
    scaled = rescale(model.replace(arrays=fitted), calibration.units, scales)
    description: dict[str, typing.Any] = {"fit_weights": fit_weights, "images": len(x)}
    if n_steps is not None:
        description["n_steps"] = n_steps
    if fit_weights and regularization is not None:
        description["regularization"] = float(regularization)
    return network.rebuild(
        scaled.replace(
            metadata={**scaled.metadata, "calibration": description},
            ann_arrays={key: scaled_ann.arrays[key] for key in fitted},
        )
    )


def check_calibration(model: Model, settings: NativeConfig | TTFSConfig, x: np.ndarray, n_steps: int | None) -> None:
    """Raise ConversionError for networks that cannot be calibrated, and SettingsError if memory is too small.

    ``n_steps`` is None for networks of ``to_ttfs``.
    """
    if not isinstance(settings, TTFSConfig):
        _check_settings(settings)
    largest = max((model.size(name) for name in model.neurons), default=0)
    check_memory((2 * (n_steps or 1) + 4) * len(x) * largest, f"the spikes of {len(x):,} images", "give fewer images")


def _check_settings(settings):
    """Raise ConversionError for networks whose spikes SpikeTrains does not compute."""
    if not isinstance(settings.neuron_type, NEURON_TYPES):
        raise ConversionError(
            f"calibrate does not support {settings.neuron_type}: use SignedIntegrateAndFire, IntegrateAndFire or "
            "nengo.LIF"
        )
    if settings.input_coding != "constant":
        raise ConversionError(
            f'calibrate needs constant input, but the network has input_coding="{settings.input_coding}": use '
            'to_spiking(..., input_coding="constant")'
        )
    if settings.synapse is not None:
        raise ConversionError(
            f"calibrate needs a network without synapses between layers, but it has {settings.synapse}: use "
            "to_spiking(..., synapse=None)"
        )


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


class _Calibration:
    """Correction of one layer after another; ``units`` are sets of channels with a common threshold."""

    def __init__(self, trains, batch_size, rng):
        self.trains, self.model, self.batch_size, self.rng = trains, trains.model, batch_size, rng
        self.units = find_units(self.model, "channel")
        self._scales = np.where(trained_units(self.model, self.units), 1, np.nan)
        self._order = {name: number for number, name in enumerate(self.model.layers)}

    def _batches(self):
        """Yield slices of the images, in an order in which the first of them are a random sample."""
        starts = list(range(0, len(self.trains.x), self.batch_size))
        for first in self.rng.permutation(starts):
            yield slice(int(first), int(first) + self.batch_size)

    def fit(self, name, regularization):
        """Fit the weights and the bias of a layer to the activations of the ANN."""
        trains, layer = self.trains, self.model.layers[name]
        (source,) = layer.inputs
        fit = WeightFit(layer, self.model.arrays_of(name))
        n_batches = -(-len(trains.x) // self.batch_size)
        for images in self._batches():
            target = trains.activations(name, images) + self._missing_in_sum(name, images)
            fit.add(trains.mean_activity(source, images), target, -(-fit.rows_needed // n_batches), self.rng)
        trains.set_arrays(name, fit.solve(regularization))

    def _missing_in_sum(self, name, images):
        """Return what the other inputs of a following sum lack, compared with the ANN, so that this layer can add it.

        It is 0 if something other than a single sum reads the layer, or if later layers are inputs of the sum, too.
        """
        consumers = self.model.consumers(name)
        if len(consumers) != 1 or not isinstance(consumers[0], specs.Add) or consumers[0].inputs.count(name) != 1:
            return 0
        others = [source for source in consumers[0].inputs if source != name]
        if any(self._order[source] > self._order[name] for source in others):
            return 0
        return sum(
            self.trains.activations(source, images) - self.trains.mean_activity(source, images) for source in others
        )

    def choose_thresholds(self, name):
        """Choose the thresholds of a layer of neurons, and simulate it."""
        (source,) = self.model.layers[name].inputs
        channels = self.model.shapes[name][-1]
        labels = channel_labels(self.units.labels[name])
        unknown = np.isnan(self._scales[np.unique(labels)])
        if unknown.any():
            currents, activations = self._sample(name, source, channels)
            best = self._best_scales(currents, activations, labels)
            missing = np.isnan(self._scales)
            self._scales[missing] = best[missing]
        self.trains.simulate(name, self._scales[labels], self.batch_size)

    def _sample(self, name, source, channels):
        """Return input currents, (steps, positions, channels), and activations, (positions, channels), of neurons."""
        currents, activations, n_rows = [], [], 0
        for images in self._batches():
            activation = self.trains.read_values(name, self.trains.activations(source, images)).reshape(-1, channels)
            current = self.trains.activity(source, images)
            current = self.trains.read_values(name, current.reshape(-1, *current.shape[2:])).reshape(
                len(current), -1, channels
            )
            n_images = len(self.trains.x[images])
            chosen = self.rng.permutation(len(activation))[: ROWS_PER_IMAGE * n_images]
            currents.append(current[:, chosen])
            activations.append(np.maximum(activation[chosen], 0))
            n_rows += len(chosen)
            if n_rows >= ROWS:
                break
        return np.concatenate(currents, axis=1), np.concatenate(activations)

    def _best_scales(self, currents, activations, labels):
        """Return the best scale of each unit; NaN for the others."""
        n_units, channels = self.units.n_units, np.arange(len(labels))
        largest = np.zeros(n_units)
        np.maximum.at(largest, labels, activations.max(axis=0))
        # for channels that are never active, take the largest activation of the layer
        largest[largest == 0] = largest.max() or 1
        scales, smallest = np.full(n_units, np.nan), np.full(n_units, np.inf)
        for candidate in CANDIDATES / self.trains.reach:
            scale = (candidate * largest)[labels].astype(np.float32)
            counts = self.trains.step_neurons(currents, scale).mean(axis=0)
            squares = np.zeros(n_units)
            errors = ((counts * self.trains.height * scale - activations) ** 2).mean(axis=0, dtype=np.float64)
            np.add.at(squares, labels[channels], errors)
            better = np.zeros(n_units, bool)
            better[labels] = squares[labels] < smallest[labels]
            smallest[better], scales[better] = squares[better], candidate * largest[better]
        return scales

    def forget_before(self, name):
        """Free the memory of layers of neurons that no later layer needs."""
        for source in self._neurons_before(name):
            if all(self._order[reader] <= self._order[name] for reader in self._needing(source)):
                self.trains.forget(source)

    def _neurons_before(self, name):
        """Return the layers of neurons that a layer reads, through layers without neurons in between."""
        found, pending = [], list(self.model.layers[name].inputs)
        while pending:
            source = pending.pop()
            if isinstance(self.model.layers[source], specs.Rectifier):
                found.append(source)
            else:
                pending += self.model.layers[source].inputs
        return found

    def _needing(self, name):
        """Return the layers that need the spikes of a layer: all up to the next layers of neurons."""
        found, pending = [], [layer.name for layer in self.model.consumers(name)]
        while pending:
            reader = pending.pop()
            found.append(reader)
            if not isinstance(self.model.layers[reader], specs.Rectifier):
                pending += [layer.name for layer in self.model.consumers(reader)]
        return found

    def scales(self):
        """Return the scale of each unit, 1 for units without neurons."""
        scales = np.where(np.isnan(self._scales), 1, self._scales)
        scales[self.units.fixed] = 1
        return scales
