"""rescale: other units for every activation.  W' = W * scale_in / scale_out, b' = b / scale_out."""

import dataclasses
import functools

import numpy as np
import scipy.sparse
import scipy.sparse.csgraph

from ..errors import ModelError
from ..model import layers as specs


@dataclasses.dataclass(frozen=True)
class Units:
    """Which entries of a model must share a scale.

    Attributes
    ----------
    labels : dict of str to ndarray of int
        For each layer, the unit of each entry, with the shape of the layer's output; -1 for entries that are zero.
    n_units : int
    fixed : int
        The unit of the input, whose scale is 1.
    """

    labels: dict
    n_units: int
    fixed: int


def find_units(model, per="layer"):
    """The units of a model: sets of entries that must share a scale, so that the model's function is kept.

    Weights can change the unit, everything else keeps it: what is added, what lies in one window of a pooling layer and
    what one weight of a convolution reads must be in one unit.  The output is in one unit, so that its largest entry
    stays the largest.

    Parameters
    ----------
    model : Model
    per : "layer" or "channel"
        Whether all outputs of a weighted layer share a unit, or those of a channel.

    Returns
    -------
    Units
    """
    pool = _Pool()
    labels = {}
    for name, layer in model.layers.items():
        inputs = [labels[i] for i in layer.inputs]
        labels[name] = _label(layer, inputs, model.shapes[name], per, pool)
    pool.unite(labels[model.output])
    numbers = np.append(pool.numbers(), -1)  # -1 stays what it is
    labels = {name: np.broadcast_to(numbers[distinct(array)], array.shape) for name, array in labels.items()}
    return Units(labels, int(numbers.max()) + 1, int(labels[model.input].flat[0]))


def rescale(model, units, scales):
    """The model in other units.

    Given    units and a scale for each of them.
    Result   each layer's activity is the old one divided by the scale of its units; the largest output stays so.

    Parameters
    ----------
    model : Model
    units : Units
        Of this model.
    scales : ndarray, (units,)
        Above 0; that of the input is 1.

    Returns
    -------
    Model
        Its ``metadata["scales"]`` holds for each rectifier and the output the scale of each entry of the last axis, in
        terms of the model before any rescaling.
    """
    scales = np.asarray(scales, np.float64)
    if scales.shape != (units.n_units,) or not (np.isfinite(scales) & (scales > 0)).all():
        raise ModelError(f"scales must be {units.n_units} numbers above 0, got {scales}")
    if scales[units.fixed] != 1:
        raise ModelError(f"the scale of the input is 1, got {scales[units.fixed]}")
    of_entry = np.append(scales, 1.0)  # the last one is that of entries that are zero
    arrays = {}
    for name, layer in model.layers.items():
        if model.array_names(name):
            into, out = (of_entry[_of_channels(units.labels[i])] for i in (layer.inputs[0], name))
            arrays.update(_scaled(layer, model.arrays_of(name), into, out))
    before = model.metadata.get("scales", {})
    declared = {}
    for name, layer in model.layers.items():
        if isinstance(layer, specs.Rectifier) or name == model.output:
            labels = _of_channels(units.labels[name])
            if name == model.output:
                labels = np.full_like(labels, labels.max())  # it has one scale, also for entries that are zero
            declared[name] = (of_entry[labels] * before.get(name, 1.0)).tolist()
    return model.replace(arrays=arrays, metadata={**model.metadata, "scales": declared})


def with_own_output(model):
    """Undo the rescaling of the output.

    Given    a model that was rescaled.
    Result   its output, and what is in the same unit, in the units of the model before any rescaling; all other layers
             stay as they are.
    """
    if model.output_scale == 1:
        return model
    units = find_units(model)
    scales = np.ones(units.n_units)
    scales[units.labels[model.output].max()] = 1 / model.output_scale
    return rescale(model, units, scales)


def _scaled(layer, arrays, into, out):
    """The arrays of one layer in other units, whose inputs and outputs have the given scales per channel."""
    weights = "scale" if isinstance(layer, specs.Affine) else "kernel"
    if isinstance(layer, specs.Affine):
        factor = into / out
    elif isinstance(layer, specs.Conv) and layer.groups > 1:
        factor = np.repeat(into.reshape(layer.groups, -1).T, layer.filters // layer.groups, axis=1) / out
    else:
        factor = into[:, None] / out
    scaled = {f"{layer.name}/{weights}": arrays[weights] * factor}
    if "bias" in arrays:
        scaled[f"{layer.name}/bias"] = arrays["bias"] / out
    return scaled


def _of_channels(labels):
    """The label of each entry of the last axis; entries that are zero do not matter."""
    shape, labels = labels.shape, distinct(labels)
    return np.broadcast_to(labels.reshape(-1, labels.shape[-1]).max(axis=0), shape[-1:])


def distinct(labels):
    """An array of labels, along the axes on which it repeats itself only once: most say something of channels only."""
    return labels[tuple(slice(0, 1) if stride == 0 else slice(None) for stride in labels.strides)]


class _Pool:
    """Labels, some of which are found to be the same: the nodes of a graph, whose components are the units."""

    def __init__(self):
        self.n_labels, self.pairs = 0, []

    def new(self, n):
        """``n`` labels that were not there before."""
        self.n_labels += n
        return np.arange(self.n_labels - n, self.n_labels)

    def _unite(self, labels, others):
        """Note that ``labels`` are the same as ``others``, pair by pair, but for -1."""
        apart = (labels >= 0) & (others >= 0) & (labels != others)
        if apart.any():
            pairs = labels[apart].astype(np.int64) * self.n_labels + others[apart]
            self.pairs.append(np.stack(np.divmod(np.unique(pairs), self.n_labels)))

    def unite(self, labels):
        """Make all of ``labels`` the same, apart from -1; returns one of them."""
        labels = distinct(labels).ravel()
        chosen = labels.max(initial=-1)
        self._unite(labels, np.broadcast_to(chosen, labels.shape))
        return chosen

    def unite_channels(self, labels):
        """Make the labels of each entry of the last axis the same; returns one for each."""
        shape, labels = labels.shape, distinct(labels)
        columns = labels.reshape(-1, labels.shape[-1])
        chosen = columns.max(axis=0)
        self._unite(columns, np.broadcast_to(chosen, columns.shape))
        return np.broadcast_to(chosen, shape[-1:])

    def unite_each(self, several):
        """Make the labels of each entry of several arrays of one shape the same; returns one for each."""
        chosen = functools.reduce(np.maximum, several)
        for labels in several:
            self._unite(labels, chosen)
        return chosen

    def numbers(self):
        """The number from 0 of each label's set, in the order of the first label of each."""
        first, second = np.concatenate(self.pairs, axis=1) if self.pairs else np.zeros((2, 0), np.int64)
        graph = scipy.sparse.coo_matrix((np.ones(len(first), bool), (first, second)), (self.n_labels, self.n_labels))
        components = scipy.sparse.csgraph.connected_components(graph, directed=False)[1]
        ranks = np.empty(components.max(initial=-1) + 1, np.int64)
        _, firsts = np.unique(components, return_index=True)
        ranks[np.argsort(firsts)] = np.arange(len(ranks))
        return ranks[components]


@functools.singledispatch
def _label(layer, inputs, shape, per, pool):
    """The labels of a layer's output: those of its input, where it keeps the shape."""
    return inputs[0]


@_label.register
def _(layer: specs.Input, inputs, shape, per, pool):
    return np.broadcast_to(pool.new(1), shape)


@_label.register(specs.Conv)
@_label.register(specs.Dense)
@_label.register(specs.Affine)
def _(layer, inputs, shape, per, pool):
    pool.unite_channels(inputs[0])
    return np.broadcast_to(pool.new(shape[-1] if per == "channel" else 1), shape)


@_label.register(specs.AveragePool)
@_label.register(specs.MaxPool)
@_label.register(specs.GlobalAveragePool)
@_label.register(specs.GlobalMaxPool)
def _(layer, inputs, shape, per, pool):
    return np.broadcast_to(pool.unite_channels(inputs[0]), shape)


@_label.register
def _(layer: specs.Rectifier, inputs, shape, per, pool):
    # a channel's neurons share a threshold, wherever what drives them comes from
    return np.broadcast_to(pool.unite_channels(inputs[0]), shape)


@_label.register
def _(layer: specs.Add, inputs, shape, per, pool):
    # where all repeat themselves along an axis, the sum does
    repeated = [all(labels.strides[axis] == 0 for labels in inputs) for axis in range(len(shape))]
    short = tuple(slice(0, 1) if each else slice(None) for each in repeated)
    return np.broadcast_to(pool.unite_each([labels[short] for labels in inputs]), shape)


@_label.register
def _(layer: specs.Selection, inputs, shape, per, pool):
    return layer.select(*inputs, fill=-1)
