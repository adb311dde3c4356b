"""rescale: activations divided by scales.  W' = W * scale_in / scale_out, b' = b / scale_out."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import scipy.sparse
import scipy.sparse.csgraph

from ..errors import ModelError
from ..model import Model
from ..model import layers as specs
from .fix_statistics import fix_statistics


@dataclasses.dataclass(frozen=True)
class Units:
    """Partition of a model's entries into units: sets of entries that share a scale.

    Attributes
    ----------
    labels : dict of str to ndarray of int
        Unit of each entry of each layer, in the shape of the layer's output; -1 for entries that are always zero.
    n_units : int
        Number of units.
    fixed : int
        Unit of the input, whose scale is 1.
    """

    labels: dict
    n_units: int
    fixed: int


def find_units(model: Model, per: str = "layer") -> Units:
    """Return the units of a model: sets of entries that must share a scale to keep the model's function.

    Only layers with weights can change the scale.  Entries that are added, lie in one window of a pooling layer, or are
    read by the same weight of a convolution must share a scale.  All outputs share one, which keeps their argmax.

    Parameters
    ----------
    model : Model
    per : "layer" or "channel"
        Outputs of a layer with weights that share a unit: all, or those of each channel.

    Returns
    -------
    Units
    """
    graph = _LabelGraph()
    labels: dict[str, np.ndarray] = {}
    for name, layer in model.layers.items():
        inputs = [labels[i] for i in layer.inputs]
        labels[name] = _label(layer, inputs, model.shapes[name], per, graph)
    graph.unite(labels[model.output])
    numbers = np.append(graph.unit_numbers(), -1)  # label -1 keeps its value
    labels = {name: np.broadcast_to(numbers[without_repeats(array)], array.shape) for name, array in labels.items()}
    return Units(labels, int(numbers.max()) + 1, int(labels[model.input].flat[0]))


def rescale(model: Model, units: Units, scales: np.ndarray) -> Model:
    """Divide activations by scales.

    Given    units and a scale for each of them.
    Result   each layer's activation is the old one divided by the scale of its units; the argmax of the output stays.
             Batch normalization has fixed statistics, since epsilon cannot be scaled.

    Parameters
    ----------
    model : Model
    units : Units
        Units of this model.
    scales : ndarray, (units,)
        Scales, all above 0; the scale of the input is 1.

    Returns
    -------
    Model
        Rescaled model.  ``metadata["scales"]`` holds, for each rectifier and the output, the scale of each entry of the
        last axis relative to the model before any rescaling.
    """
    scales = np.asarray(scales, np.float64)
    if scales.shape != (units.n_units,) or not (np.isfinite(scales) & (scales > 0)).all():
        raise ModelError(f"scales must be {units.n_units} numbers above 0, got {scales}")
    if scales[units.fixed] != 1:
        raise ModelError(f"the scale of the input must be 1, got {scales[units.fixed]}")
    changed = trained_units(model, units) & (scales != 1)
    if changed.any():
        raise ModelError(f"the scale of rectifiers with levels must be 1, got {scales[changed][0]}")
    model = fix_statistics(model)
    scale_of = np.append(scales, 1.0)  # label -1, of entries that are always zero, has scale 1
    arrays = {}
    for name, layer in model.layers.items():
        if model.array_names(name):
            into, out = (scale_of[channel_labels(units.labels[i])] for i in (layer.inputs[0], name))
            arrays.update(_scaled(layer, model.arrays_of(name), into, out))
    before = model.metadata.get("scales", {})
    declared = {}
    for name, layer in model.layers.items():
        if isinstance(layer, specs.Rectifier) or name == model.output:
            labels = channel_labels(units.labels[name])
            if name == model.output:
                labels = np.full_like(labels, labels.max())  # one scale, also for entries that are always zero
            declared[name] = (scale_of[labels] * before.get(name, 1.0)).tolist()
    return model.replace(arrays=arrays, metadata={**model.metadata, "scales": declared})


def trained_units(model: Model, units: Units) -> np.ndarray:
    """Return which units have a trained threshold, of rectifiers with levels, and so the scale 1: bool, (units,)."""
    trained = np.zeros(units.n_units, bool)
    for name, layer in model.layers.items():
        if isinstance(layer, specs.Rectifier) and layer.levels is not None:
            trained[channel_labels(units.labels[name])] = True
    return trained


def restore_output_scale(model: Model) -> Model:
    """Undo the rescaling of the output.

    Given    a model that was rescaled.
    Result   the output, and all entries that share its scale, have scale 1; all other layers are unchanged.  Outputs
             with a trained threshold keep their scale.
    """
    if model.output_scale == 1:
        return model
    units = find_units(model)
    scales, unit = np.ones(units.n_units), units.labels[model.output].max()
    if trained_units(model, units)[unit]:
        return model
    scales[unit] = 1 / model.output_scale
    return rescale(model, units, scales)


def without_layer_scales(model: Model) -> Model:
    """Return the model without the declared scales of its layers, which training changes; only the output's is kept."""
    metadata = {key: value for key, value in model.metadata.items() if key != "scales"}
    if model.output_scale != 1:
        metadata["scales"] = {model.output: model.metadata["scales"][model.output]}
    return model.replace(metadata=metadata)


def _scaled(layer, arrays, into, out):
    """Return the arrays of one layer, rescaled for inputs and outputs with the given scales per channel."""
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


def channel_labels(labels):
    """Return the label of each entry of the last axis; entries that are always zero do not count."""
    shape, labels = labels.shape, without_repeats(labels)
    return np.broadcast_to(labels.reshape(-1, labels.shape[-1]).max(axis=0), shape[-1:])


def without_repeats(labels: np.ndarray) -> np.ndarray:
    """Return an array of labels without the repetitions along broadcast axes, since most labels depend on channels."""
    return labels[tuple(slice(0, 1) if stride == 0 else slice(None) for stride in labels.strides)]


class _LabelGraph:
    """Graph with labels as nodes and an edge between labels that must share a scale; its components are the units."""

    def __init__(self):
        self.n_labels, self.pairs = 0, []

    def new(self, n):
        """Return ``n`` new labels."""
        self.n_labels += n
        return np.arange(self.n_labels - n, self.n_labels)

    def _unite(self, labels, others):
        """Connect ``labels`` with ``others`` pair by pair, except where one of them is -1."""
        differ = (labels >= 0) & (others >= 0) & (labels != others)
        if differ.any():
            pairs = labels[differ].astype(np.int64) * self.n_labels + others[differ]
            self.pairs.append(np.stack(np.divmod(np.unique(pairs), self.n_labels)))

    def unite(self, labels):
        """Connect all ``labels`` except -1, and return one of them."""
        labels = without_repeats(labels).ravel()
        chosen = labels.max(initial=-1)
        self._unite(labels, np.broadcast_to(chosen, labels.shape))
        return chosen

    def unite_channels(self, labels):
        """Connect the labels of each entry of the last axis, and return one label for each entry."""
        shape, labels = labels.shape, without_repeats(labels)
        columns = labels.reshape(-1, labels.shape[-1])
        chosen = columns.max(axis=0)
        self._unite(columns, np.broadcast_to(chosen, columns.shape))
        return np.broadcast_to(chosen, shape[-1:])

    def unite_each(self, several):
        """Connect the labels of several arrays of the same shape entry by entry, and return one for each entry."""
        chosen = functools.reduce(np.maximum, several)
        for labels in several:
            self._unite(labels, chosen)
        return chosen

    def unit_numbers(self):
        """Return the unit of each label, numbered from 0 in the order of their first labels."""
        first, second = np.concatenate(self.pairs, axis=1) if self.pairs else np.zeros((2, 0), np.int64)
        graph = scipy.sparse.coo_matrix((np.ones(len(first), bool), (first, second)), (self.n_labels, self.n_labels))
        components = scipy.sparse.csgraph.connected_components(graph, directed=False)[1]
        ranks = np.empty(components.max(initial=-1) + 1, np.int64)
        _, firsts = np.unique(components, return_index=True)
        ranks[np.argsort(firsts)] = np.arange(len(ranks))
        return ranks[components]


@functools.singledispatch
def _label(layer, inputs, shape, per, graph):
    """Return the labels of a layer's output; by default those of its input."""
    return inputs[0]


@_label.register
def _(layer: specs.Input, inputs, shape, per, graph):
    return np.broadcast_to(graph.new(1), shape)


@_label.register(specs.Conv)
@_label.register(specs.Dense)
@_label.register(specs.Affine)
@_label.register(specs.BatchNormalization)
def _(layer, inputs, shape, per, graph):
    graph.unite_channels(inputs[0])
    return np.broadcast_to(graph.new(shape[-1] if per == "channel" else 1), shape)


@_label.register(specs.AveragePool)
@_label.register(specs.MaxPool)
@_label.register(specs.GlobalAveragePool)
@_label.register(specs.GlobalMaxPool)
@_label.register(specs.Rectifier)
def _(layer, inputs, shape, per, graph):
    # the neurons of a channel share a threshold, whatever their inputs are
    return np.broadcast_to(graph.unite_channels(inputs[0]), shape)


@_label.register
def _(layer: specs.Add, inputs, shape, per, graph):
    # keep an axis broadcast if it is so in all inputs
    is_broadcast = [all(labels.strides[axis] == 0 for labels in inputs) for axis in range(len(shape))]
    distinct = tuple(slice(0, 1) if broadcast else slice(None) for broadcast in is_broadcast)
    return np.broadcast_to(graph.unite_each([labels[distinct] for labels in inputs]), shape)


@_label.register
def _(layer: specs.Selection, inputs, shape, per, graph):
    return layer.select(*inputs, fill=-1)
