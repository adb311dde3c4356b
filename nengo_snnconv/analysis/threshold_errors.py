"""threshold_errors: what steps and thresholds do to the activations of one layer."""

import dataclasses

import numpy as np

from .._util.json_values import to_python
from .._util.validation import as_array, check_counts, check_images, check_progress, shown
from ..conversion.calibration import activation_histogram, signaling_layers, upper_bounds
from ..conversion.histograms import EDGES
from ..errors import ConversionError, SettingsError
from ..model.memory import MEMORY_MB
from ..networks.native import require_native_network
from ..passes import Units

# values that stand for one bin of the histogram, in which they lie evenly
PER_BIN = 4


@dataclasses.dataclass(frozen=True, eq=False)
class ThresholdErrors:
    """What :func:`threshold_errors` found.

    Attributes
    ----------
    layer : str
    n_steps : tuple of int
    thresholds : ndarray, (thresholds,)
        In units of the activations.
    errors : ndarray, (n_steps, thresholds)
        Root mean squared errors of the activations, relative to the root mean square of the activations.
    largest : float
        The largest activation.
    upper_bound : float
        The largest activation that the weights allow: the threshold of ``to_ttfs(threshold="max")``.
    upper_bound_errors : ndarray, (n_steps,)
        The errors with that threshold.
    """

    layer: str
    n_steps: tuple
    thresholds: np.ndarray
    errors: np.ndarray
    largest: float
    upper_bound: float
    upper_bound_errors: np.ndarray

    @property
    def best(self):
        """The threshold with the least error for each number of steps, (n_steps,)."""
        return self.thresholds[self.errors.argmin(axis=1)]

    @property
    def best_errors(self):
        """The least error for each number of steps, (n_steps,)."""
        return self.errors.min(axis=1)

    def to_dict(self):
        """The figures as JSON-serialisable values."""
        values = {**dataclasses.asdict(self), "best": self.best, "best_errors": self.best_errors}
        return to_python(values)

    def plot(self, axes=None):
        """Draw error against threshold, a curve for each number of steps; returns the matplotlib axes."""
        from ..plots import plot_threshold_errors

        return plot_threshold_errors(self, axes)


def threshold_errors(
    network, x, layer=None, *, n_steps=(4, 8, 16, 32, 64), thresholds=None, memory_mb=MEMORY_MB, progress=None
):
    """How far spikes are from the activations of a layer, for numbers of steps and thresholds.

    The error of min(floor(T a / th + 1/2), T) th / T against the activation a, for T steps and the threshold th: large
    thresholds round coarsely, small ones clip (Lopez-Randulfe, Reeb & Knoll 2022, figure 2).  That is what a neuron of
    time to first spike makes of it, and an integrate-and-fire neuron with constant input.

    Activations are counted in a histogram, so that memory does not grow with the number of images; it tells errors to
    about one percent.

    Parameters
    ----------
    network : ConvNetwork
        Of rates: made by ``convert``.
    x : ndarray, (images, height, width, channel)
        Some hundred images.
    layer : str, optional
        A layer of neurons; by default the first.
    n_steps : sequence of int
        Numbers of steps, of a stage or of a run.
    thresholds : sequence of float, optional
        In units of the activations; by default 60 from 0.02 to 1.2 of the largest activation.
    memory_mb : float
        Roughly how much memory the activity of images may take; sets how many are computed together.
    progress : bool, optional
        Show a progress bar; by default where standard error is a terminal.

    Returns
    -------
    ThresholdErrors

    Raises
    ------
    ConversionError
        If the network was not made by ``convert``, or has spikes already.
    SettingsError
        If an argument cannot work, the data do not fit the network, or the layer is never active.
    """
    check_progress(progress)
    x, layer, n_steps = _check(network, x, layer, n_steps, thresholds)
    model = network.model
    # one unit, whose members are the neurons of the layer
    labels = {name: np.broadcast_to(0 if name == layer else -1, model.shapes[name]) for name in signaling_layers(model)}
    units = Units(labels, n_units=1, fixed=-1)
    histogram = activation_histogram(network, x, units, memory_mb=memory_mb, progress=progress)
    largest = float(histogram.largest[0])
    if not largest > 0:
        raise SettingsError(f"layer {layer!r} is never active on x: give other images, or name another layer")
    thresholds = np.asarray(np.geomspace(0.02, 1.2, 60) * largest if thresholds is None else thresholds, float)
    upper_bound = float(upper_bounds(model, min(0.0, float(x.min())), float(x.max()))[layer].max())
    values, counts = _samples(histogram.counts()[0], largest)
    errors = rounding_errors(values, counts, n_steps, np.append(thresholds, upper_bound))
    return ThresholdErrors(layer, n_steps, thresholds, errors[:, :-1], largest, upper_bound, errors[:, -1])


def rounding_errors(values, counts, n_steps, thresholds):
    """Errors of values that are rounded to multiples of threshold / steps, and clipped at the threshold.

    Parameters
    ----------
    values : ndarray, (values,)
        Above 0.
    counts : ndarray, (values,)
        How often each occurs.
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
    """Values that lie evenly in the bins of a histogram, and how often each occurs; none is above the largest."""
    used = np.flatnonzero(counts)
    low, high = EDGES[used], np.minimum(EDGES[used + 1], max(largest, EDGES[used[-1]]))
    places = (np.arange(PER_BIN) + 0.5) / PER_BIN
    values = low + (high - low) * places[:, None]
    return values.ravel(), np.tile(counts[used] / PER_BIN, PER_BIN)


def _check(network, x, layer, n_steps, thresholds):
    """The images, the layer and the numbers of steps, checked."""
    require_native_network(network, "threshold_errors", spiking=False)
    names = network.model.neurons
    if not names:
        raise ConversionError("the network has no rectifier, so no neurons that have thresholds")
    if layer is not None and layer not in names:
        raise SettingsError(f"layer must be one of {names}, the layers of neurons, got {layer!r}")
    n_steps = tuple(np.atleast_1d(as_array(n_steps, "n_steps")).ravel().tolist())
    if not n_steps:
        raise SettingsError("n_steps must hold at least one number of steps")
    for each in n_steps:
        check_counts(n_steps=each)
    if thresholds is not None:
        values = np.asarray(as_array(thresholds, "thresholds"), float)
        if values.ndim != 1 or not len(values) or not (np.isfinite(values) & (values > 0)).all():
            raise SettingsError(f"thresholds must be numbers above 0, one after another, got {shown(thresholds)}")
    return check_images(network.model, x), names[0] if layer is None else layer, n_steps
