"""ThresholdSearch: thresholds for which few spikes tell most about activations."""

from __future__ import annotations

import numpy as np

from .spike_trains import SpikeTrains

# thresholds that are tried, relative to the largest activation of a channel
CANDIDATES = np.geomspace(0.12, 1.3, 18)


class ThresholdSearch:
    """Search for the thresholds of a layer of neurons on a sample of their inputs.

    Parameters
    ----------
    trains : SpikeTrains
    name : str
        Name of the layer.
    currents : ndarray, (steps, rows, window, channels)
        Inputs of the neurons, in units of activations; one step if they are constant.
    activations : ndarray, (rows, window, channels)
        Activations of the ANN.
    labels : ndarray of int, (channels,)
        Unit of each channel; the channels of a unit have the same threshold.
    refit : bool
        The weights of the layers that read the neurons are fitted later.  Then an error counts only as far as no scale
        and offset of a channel can remove it.
    """

    def __init__(
        self,
        trains: SpikeTrains,
        name: str,
        currents: np.ndarray,
        activations: np.ndarray,
        labels: np.ndarray,
        refit: bool,
    ):
        self.trains, self.name, self.currents, self.labels, self.refit = trains, name, currents, labels, refit
        self.target = activations.max(axis=1)
        self.largest = activations.max(axis=(0, 1))

    def scales(self, n_units: int) -> np.ndarray:
        """Return the best scale of each unit, that is, its threshold; NaN for units of other layers."""
        labels, largest = self.labels, np.zeros(n_units)
        np.maximum.at(largest, labels, self.largest)
        # for channels that are never active, take the largest activation of the layer
        largest[largest == 0] = largest.max() or 1
        scales, smallest = np.full(n_units, np.nan), np.full(n_units, np.inf)
        for candidate in CANDIDATES / self.trains.reach(self.name):
            errors = np.zeros(n_units)
            np.add.at(errors, labels, self._errors((candidate * largest)[labels]))
            better = np.zeros(n_units, bool)
            # rounding must not decide between thresholds for which the neurons spike alike
            better[labels] = errors[labels] < smallest[labels] * (1 - 1e-6)
            smallest[better], scales[better] = errors[better], candidate * largest[better]
        return scales

    def _errors(self, scale):
        """Return the mean squared error of the largest mean output in each window, (channels,)."""
        scale = scale.astype(np.float32)
        counts = self.trains.step_neurons(self.name, self.currents, scale)
        output = counts.mean(axis=0).max(axis=1) * (self.trains.height(self.name) * scale)
        if not self.refit:
            return ((output - self.target) ** 2).mean(axis=0, dtype=np.float64)
        output, target = (values - values.mean(axis=0, dtype=np.float64) for values in (output, self.target))
        variance = np.maximum((output**2).mean(axis=0), 1e-12)
        return (target**2).mean(axis=0) - (output * target).mean(axis=0) ** 2 / variance
