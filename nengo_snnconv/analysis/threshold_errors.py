"""threshold_errors: errors of the activations of a layer for numbers of steps and thresholds."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Sequence

import numpy as np

from .._util.display import Displayed
from .._util.json_values import to_python
from .._util.validation import as_array, check_counts, check_progress, shown
from ..conversion.calibration import activation_histogram, signaling_layers, upper_bounds
from ..conversion.histograms import EDGES
from ..errors import ConversionError, SettingsError
from ..inputs import Data, as_images
from ..model.memory import MEMORY_MB
from ..networks.native import require_native_network
from ..networks.network import ConvNetwork
from ..passes import Units

if typing.TYPE_CHECKING:
    from ..plots import Plot

# number of evenly spaced values that represent a bin of the histogram
PER_BIN = 4


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class ThresholdErrors(Displayed):
    """Result of :func:`threshold_errors`.

    Attributes
    ----------
    layer : str
        Name of the layer of neurons.
    n_steps : tuple of int
        Numbers of time steps.
    thresholds : ndarray, (thresholds,)
        Thresholds in units of the activations.
    errors : ndarray, (n_steps, thresholds)
        Root mean squared errors of the activations, relative to the root mean square of the activations.
    largest : float
        Largest activation.
    upper_bound : float
        Largest activation that the weights allow: the threshold of ``to_ttfs(threshold="max")``.
    upper_bound_errors : ndarray, (n_steps,)
        Errors with this threshold.
    """

    layer: str
    n_steps: tuple[int, ...]
    thresholds: np.ndarray
    errors: np.ndarray
    largest: float
    upper_bound: float
    upper_bound_errors: np.ndarray

    def _headline(self):
        return f"{self.layer}, {len(self.thresholds)} thresholds, best {', '.join(f'{best:.3g}' for best in self.best)}"

    @property
    def best(self) -> np.ndarray:
        """Threshold with the smallest error for each number of steps, (n_steps,)."""
        return self.thresholds[self.errors.argmin(axis=1)]

    @property
    def best_errors(self) -> np.ndarray:
        """Smallest error for each number of steps, (n_steps,)."""
        return self.errors.min(axis=1)

    def to_dict(self) -> dict:
        """Return the results as JSON-serializable values."""
        values = {**dataclasses.asdict(self), "best": self.best, "best_errors": self.best_errors}
        return to_python(values)

    def plot(self, axes: typing.Any = None) -> Plot:
        """Draw error against threshold, a curve for each number of steps.

        Returns
        -------
        Plot
            Shown in a notebook; ``.savefig(path)`` writes it to a file.
        """
        from ..plots import plot_threshold_errors

        return plot_threshold_errors(self, axes)


def threshold_errors(
    network: ConvNetwork,
    x: Data,
    layer: str | None = None,
    *,
    n_steps: int | Sequence[int] = (4, 8, 16, 32, 64),
    thresholds: Sequence[float] | np.ndarray | None = None,
    memory_mb: float = MEMORY_MB,
    progress: bool | None = None,
) -> ThresholdErrors:
    """Return the errors of a layer's activations when they are coded by spikes.

    A neuron with time to first spike, or an integrate-and-fire neuron with constant input, represents the activation a
    by min(floor(T a / th + 1/2), T) th / T, where T is the number of steps and th the threshold.  Large thresholds
    round coarsely, small ones clip (Lopez-Randulfe, Reeb & Knoll 2022, figure 2).

    Activations are collected in a histogram, so memory does not grow with the number of images; errors are accurate
    to about one percent.

    Parameters
    ----------
    network : ConvNetwork
        Network made by ``convert``, without spikes.
    x : ndarray, (images, height, width, channel), or a data set
        Calibration images, some hundred, in any form that :func:`normalize` reads.
    layer : str, optional
        Name of a layer of neurons; by default the first.
    n_steps : int or sequence of int
        Numbers of time steps, in a stage of time to first spike or in a run.
    thresholds : sequence of float, optional
        Thresholds in units of the activations; by default 60 values from 0.02 to 1.2 times the largest activation.
    memory_mb : float
        Approximate memory for activations; determines the batch size.
    progress : bool, optional
        Show a progress bar; by default if standard error is a terminal.

    Returns
    -------
    ThresholdErrors

    Raises
    ------
    ConversionError
        If the network was not made by ``convert``, or has spikes already.
    SettingsError
        If an argument is invalid, the data do not fit the network, or the layer is never active.

    Examples
    --------
    >>> errors = snc.threshold_errors(snc.convert(keras_model), x_train[:500])
    >>> errors.best  # best threshold for each number of steps
    """
    check_progress(progress)
    images, layer, steps = _check(network, x, layer, n_steps, thresholds)
    model = network.model
    # a single unit: all neurons of the layer
    labels = {name: np.broadcast_to(0 if name == layer else -1, model.shapes[name]) for name in signaling_layers(model)}
    histogram = activation_histogram(
        network, images, Units(labels, n_units=1, fixed=-1), memory_mb=memory_mb, progress=progress
    )
    largest = float(histogram.largest[0])
    if not largest > 0:
        raise SettingsError(f"layer {layer!r} is never active for x: give other images, or another layer", argument="x")
    thresholds = np.asarray(np.geomspace(0.02, 1.2, 60) * largest if thresholds is None else thresholds, float)
    upper_bound = float(upper_bounds(model, min(0.0, float(images.min())), float(images.max()))[layer].max())
    values, counts = _samples(histogram.counts()[0], largest)
    errors = rounding_errors(values, counts, steps, np.append(thresholds, upper_bound))
    return ThresholdErrors(layer, steps, thresholds, errors[:, :-1], largest, upper_bound, errors[:, -1])


def rounding_errors(
    values: np.ndarray, counts: np.ndarray, n_steps: Sequence[int], thresholds: np.ndarray
) -> np.ndarray:
    """Return the errors of values that are rounded to multiples of threshold / steps and clipped at the threshold.

    Parameters
    ----------
    values : ndarray, (values,)
        Positive values.
    counts : ndarray, (values,)
        Frequency of each value.
    n_steps : sequence of int
    thresholds : ndarray, (thresholds,)

    Returns
    -------
    ndarray, (n_steps, thresholds)
        Root mean squared errors, relative to the root mean square of the values.
    """
    height = thresholds[:, None] / np.reshape(n_steps, (-1, 1, 1))
    errors = np.empty(height.shape[:2])
    for row, (heights, n) in enumerate(zip(height, n_steps, strict=True)):
        rounded = np.minimum(np.floor(values / heights + 0.5), n) * heights
        errors[row] = np.square(rounded - values) @ counts
    return np.sqrt(errors / (np.square(values) @ counts))


def _samples(counts, largest):
    """Return values that represent a histogram and their frequencies.

    They are evenly spaced within each bin, and at most ``largest``.
    """
    used = np.flatnonzero(counts)
    low, high = EDGES[used], np.minimum(EDGES[used + 1], max(largest, EDGES[used[-1]]))
    fractions = (np.arange(PER_BIN) + 0.5) / PER_BIN
    values = low + (high - low) * fractions[:, None]
    return values.ravel(), np.tile(counts[used] / PER_BIN, PER_BIN)


def _check(network, x, layer, n_steps, thresholds):
    """Return the images, the name of the layer and the numbers of steps, checked."""
    require_native_network(network, "threshold_errors", spiking=False)
    names = network.model.neurons
    if not names:
        raise ConversionError("the network has no rectifier, so no neurons with thresholds")
    if layer is not None and layer not in names:
        raise SettingsError(f"layer must be a layer of neurons, one of {names}; got {layer!r}", argument="layer")
    n_steps = tuple(np.atleast_1d(as_array(n_steps, "n_steps")).ravel().tolist())
    if not n_steps:
        raise SettingsError("n_steps must be one or more numbers of steps; got none", argument="n_steps")
    for steps in n_steps:
        check_counts(n_steps=steps)
    if thresholds is not None:
        values = np.asarray(as_array(thresholds, "thresholds"), float)
        if values.ndim != 1 or not len(values) or not (np.isfinite(values) & (values > 0)).all():
            raise SettingsError(
                f"thresholds must be a sequence of numbers above 0, got {shown(thresholds)}", argument="thresholds"
            )
    return as_images(network.model, x, means=True)[0], names[0] if layer is None else layer, n_steps
