"""LayerwiseCalibration: correction of layers, one after another, for the spikes that they really receive."""

from __future__ import annotations

import functools

import numpy as np

from ..model import Model
from ..model import layers as specs
from ..passes import find_units
from ..passes.rescale import channel_labels, trained_units
from ..passes.untie_shortcuts import WEIGHTED
from .spike_trains import SpikeTrains
from .threshold_search import ThresholdSearch
from .weight_fit import WeightFit, rows_of

# rows from which thresholds are chosen, in all and for each image: positions, or windows of a maximum
ROWS, ROWS_PER_IMAGE = 6_000, 48
WINDOWS, WINDOWS_PER_IMAGE = 3_000, 24


def order_of_corrections(model: Model) -> tuple[str, ...]:
    """Return the names of the layers in an order in which the last layer with weights of each sum comes last.

    All other inputs of the sum are final then, and the layer can compensate for their errors.  In a block whose
    shortcut has weights and whose main path ends with a maximum, this is the shortcut.
    """
    order = list(model.layers)
    for name, layer in model.layers.items():
        if not isinstance(layer, specs.Add):
            continue
        for source in sorted(layer.inputs, key=order.index, reverse=True):
            if isinstance(model.layers[source], WEIGHTED) and len(model.consumers(source)) == 1:
                order.remove(source)
                order.insert(order.index(name), source)
                break
    return tuple(order)


class LayerwiseCalibration:
    """Correction of one layer after another.

    Parameters
    ----------
    trains : SpikeTrains
        Spikes of the network, whose arrays are changed.
    batch_size : int
        Number of images that are simulated together.
    rng : numpy.random.Generator
    judged_by_readers : bool
        Thresholds are judged by what the next layer, whose weights are fitted later, can make of the spikes.

    Attributes
    ----------
    order : tuple of str
        Names of the layers in the order in which they are to be corrected.
    units : Units
        Sets of channels with a common threshold.
    """

    def __init__(self, trains: SpikeTrains, batch_size: int, rng: np.random.Generator, judged_by_readers: bool = True):
        self.trains, self.model, self.batch_size, self.rng = trains, trains.model, batch_size, rng
        self.judged_by_readers = judged_by_readers
        self.units = find_units(self.model, "channel")
        self._scales = np.where(trained_units(self.model, self.units), 1, np.nan)
        self.order = order_of_corrections(self.model)
        self._number = {name: number for number, name in enumerate(self.order)}

    def _batches(self):
        """Yield slices of the images, in an order in which the first of them are a random sample."""
        starts = list(range(0, len(self.trains.x), self.batch_size))
        for first in self.rng.permutation(starts):
            yield slice(int(first), int(first) + self.batch_size)

    def fit(self, name: str, regularization: float | None) -> None:
        """Fit the weights and the bias of a layer to the activations of the ANN."""
        trains, layer = self.trains, self.model.layers[name]
        (source,) = layer.inputs
        fit = WeightFit(layer, self.model.arrays_of(name))
        n_batches = -(-len(trains.x) // self.batch_size)
        for images in self._batches():
            target = trains.activations(name, images) + self._missing_in_sum(name, images)
            free_below = self._free_below(name, target, images)
            rows = -(-fit.rows_needed // n_batches)
            fit.add(trains.mean_activity(source, images), target, rows, self.rng, free_below)
        trains.set_arrays(name, fit.solve(regularization))

    def _free_below(self, name, target, images):
        """Return up to which value an output of a layer is as good as the target, (images, ...), NaN for none.

        A rectifier is silent for all negative inputs; of the rectified values in the window of a maximum, only the
        largest counts, as long as the others are no larger than they should be.  None if no rectifier follows.
        """
        total, reader = target, self._only_reader(name)
        completed = self._completed_sum(name)
        if completed is not None:
            total, reader = self.trains.activations(completed.name, images), self._only_reader(completed.name)
        if not isinstance(reader, specs.Rectifier):
            return None
        free_below = np.where(total > 0, np.nan, 0)
        pool = self._only_reader(reader.name)
        if isinstance(pool, specs.MaxPool):
            largest = self._is_largest(pool, total)
            free_below[~largest] = np.maximum(total, 0)[~largest]
        return free_below + (target - total)

    def _is_largest(self, pool, values):
        """Return which values, (images, ..., channel), are the largest in a window of a maximum."""
        numbers = np.arange(1, values[..., :1].size + 1, dtype=np.float64).reshape(values[..., :1].shape)
        n_windows = len(values) * int(np.prod(self.model.shapes[pool.name][:-1]))
        windows = rows_of(pool, numbers)(np.arange(n_windows))[:, :, 0].astype(
            int
        )  # 0 where they reach beyond the edge
        flat = np.concatenate([np.full((1, values.shape[-1]), -np.inf), values.reshape(-1, values.shape[-1])])
        largest = np.zeros(flat.shape, bool)
        top = flat[windows].max(axis=1)
        for positions in windows.T:
            largest[positions] |= flat[positions] == top
        return largest[1:].reshape(values.shape)

    def _missing_in_sum(self, name, images):
        """Return what the other inputs of the sum that a layer completes lack, compared with the ANN; 0 without one."""
        total = self._completed_sum(name)
        if total is None:
            return 0
        return sum(
            self.trains.activations(source, images) - self.trains.mean_activity(source, images)
            for source in total.inputs
            if source != name
        )

    def _completed_sum(self, name):
        """Return the sum that alone reads a layer, if its other inputs are final already, or None."""
        total = self._only_reader(name)
        if not isinstance(total, specs.Add) or total.inputs.count(name) != 1:
            return None
        is_last = all(self._number[source] <= self._number[name] for source in total.inputs)
        return total if is_last else None

    def _only_reader(self, name):
        """Return the layer that alone reads a layer, or None."""
        readers = self.model.consumers(name)
        return readers[0] if len(readers) == 1 and name != self.model.output else None

    def center_maximum(self, name: str) -> None:
        """Remove the mean error of a maximum over sums, by the bias of the layer with weights before it.

        The maximum of values with errors is too large on average.
        """
        trains, (source,) = self.trains, self.model.layers[name].inputs
        if not isinstance(self.model.layers[source], WEIGHTED) or len(self.model.consumers(source)) > 1:
            return
        if trains.is_constant(name):
            return
        channels = self.model.shapes[name][-1]
        errors = [
            (trains.mean_activity(name, images) - trains.activations(name, images)).reshape(-1, channels)
            for images in self._batches()
        ]
        arrays = trains.arrays_of(source)
        bias = arrays["bias"] - np.concatenate(errors).mean(axis=0, dtype=np.float64)
        trains.set_arrays(source, {**arrays, "bias": bias})

    def choose_thresholds(self, name: str) -> None:
        """Choose the thresholds of a layer of neurons, and simulate it."""
        labels = channel_labels(self.units.labels[name])
        if np.isnan(self._scales[np.unique(labels)]).any():
            currents, activations = self._sample(name)
            search = ThresholdSearch(self.trains, name, currents, activations, labels, self.judged_by_readers)
            scales = search.scales(self.units.n_units)
            missing = np.isnan(self._scales)
            self._scales[missing] = scales[missing]
        self.trains.simulate(name, self._scales[labels], self.batch_size)

    def _sample(self, name):
        """Return input currents, (steps, rows, window, channels), and activations, (rows, window, channels).

        A row is a window of the maximum that alone reads the neurons, if there is one, or else a position.
        """
        (source,) = self.model.layers[name].inputs
        enough, per_image, rows = ROWS, ROWS_PER_IMAGE, functools.partial(self._positions, name)
        pool = self._maximum_after(name)
        if pool is not None:
            enough, per_image, rows = WINDOWS, WINDOWS_PER_IMAGE, functools.partial(self._windows, pool)
        currents, activations, n_rows = [], [], 0
        for images in self._batches():
            n_positions, read = rows(self.trains.activations(source, images))
            chosen = self.rng.permutation(n_positions)[: per_image * len(self.trains.x[images])]
            activations.append(np.maximum(read(chosen), 0))
            steps = self.trains.activity(source, images)
            currents.append(np.stack([rows(current)[1](chosen) for current in steps]))
            n_rows += len(chosen)
            if n_rows >= enough:
                break
        return np.concatenate(currents, axis=1), np.concatenate(activations)

    def _maximum_after(self, name):
        """Return the maximum that alone reads the neurons, or None, also if the images have few of its windows."""
        reader = self._only_reader(name)
        if not self.judged_by_readers or not isinstance(reader, specs.MaxPool):
            return None
        windows = len(self.trains.x) * int(np.prod(self.model.shapes[reader.name][:-1]))
        return reader if windows >= WINDOWS else None

    def _windows(self, pool, values):
        """Return the number of windows of a maximum, and a function that maps windows to their entries."""
        return len(values) * int(np.prod(self.model.shapes[pool.name][:-1])), rows_of(pool, values)

    def _positions(self, name, values):
        """Return the number of positions of neurons, and a function that maps positions to their values."""
        read = self.trains.read_values(name, values)
        return read.size // read.shape[-1], rows_of(self.model.layers[name], read)

    def forget_before(self, name: str) -> None:
        """Free the memory of layers of neurons that no later layer needs."""
        for source in self._neurons_before(name):
            if all(self._number[reader] <= self._number[name] for reader in self._needing(source)):
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

    def scales(self) -> np.ndarray:
        """Return the scale of each unit, 1 for units without neurons."""
        scales = np.where(np.isnan(self._scales), 1, self._scales)
        scales[self.units.fixed] = 1
        return scales
