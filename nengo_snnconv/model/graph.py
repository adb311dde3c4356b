"""Model: the layers in order, their arrays and their shapes."""

import collections.abc
import math
import types

import numpy as np

from .._util.text_tables import text_table
from .._util.validation import as_float32, shown
from ..errors import ModelError, SettingsError, listed
from . import limits
from .layers import Input, Layer, Rectifier


class Model:
    """An immutable graph of layers with the arrays that they need.

    Parameters
    ----------
    layers : iterable of Layer
        In an order in which each layer comes after its inputs; exactly one is an ``Input``.
    arrays : mapping of str to array_like
        The layers' arrays by "layer/array", for example "conv1/kernel"; kept as read-only float32 copies.
    output : str, optional
        Name of the layer whose activity is the output; the last layer by default.
    metadata : mapping, optional
        JSON-serialisable facts that travel with the model, for example its training history.

    Attributes
    ----------
    layers : mapping of str to Layer, in order
    arrays : mapping of str to ndarray
    shapes : mapping of str to tuple
        Each layer's output shape, without the batch.

    Raises
    ------
    ModelError
        If names are not unique, an input is missing, shapes do not fit, a layer or the model is larger than what is
        built (``model.limits``), or an array is missing, is not needed, has the wrong shape, holds no numbers, or holds
        NaN or infinity.
    """

    def __init__(self, layers, arrays, output=None, metadata=None):
        if isinstance(layers, str) or not hasattr(layers, "__iter__"):
            raise ModelError(f"layers must be a sequence of layer specs such as Conv or Dense, got {shown(layers)}")
        if not (output is None or isinstance(output, str)):
            raise ModelError(f"output must be the name of a layer, or None; got {shown(output)}")
        for name, value in (("arrays", arrays), ("metadata", {} if metadata is None else metadata)):
            if not isinstance(value, collections.abc.Mapping):
                raise ModelError(f"{name} must be a dict, got {shown(value)}")
        layers = tuple(layers)
        self.layers = types.MappingProxyType(_by_name(layers))
        self.output = layers[-1].name if output is None else output
        if self.output not in self.layers:
            raise ModelError(f"the output layer {self.output!r} does not exist; there are {listed(self.layers, 8)}")
        shapes, array_shapes, n_entries = {}, {}, 0
        for layer in layers:
            shapes_in = [shapes[name] for name in layer.inputs]
            shapes[layer.name] = shape = layer.output_shape(*shapes_in)
            limits.check_rank(layer, shape)
            limits.check_entries(layer, "an output", *shape)
            n_entries += math.prod(shape) + sum(map(math.prod, shapes_in)) + layer.workspace(*shapes_in)
            if n_entries > limits.ENTRIES_OF_MODEL:
                raise ModelError(
                    f"the layers up to {layer.name!r} make and read more than {limits.ENTRIES_OF_MODEL:,} entries, the "
                    "most that are built: use smaller inputs, or convert a part of the model"
                )
            for name, array_shape in layer.array_shapes(*shapes_in).items():
                array_shapes[f"{layer.name}/{name}"] = array_shape
        self.shapes = types.MappingProxyType(shapes)
        self.arrays = types.MappingProxyType(_checked_arrays(arrays, array_shapes))
        self.metadata = types.MappingProxyType(dict(metadata or {}))

    @property
    def input(self):
        """Name of the input layer."""
        return next(name for name, layer in self.layers.items() if isinstance(layer, Input))

    @property
    def neurons(self):
        """Names of the layers of neurons, the rectifiers, in order."""
        return [name for name, layer in self.layers.items() if isinstance(layer, Rectifier)]

    @property
    def output_scale(self):
        """What the activity of the output layer must be multiplied by to be in the units of the original model.

        1 unless the weights were rescaled.  Whatever reads the output of a network applies it, so that scores are in
        the units of the model that was converted.
        """
        try:
            declared = np.asarray(self.metadata.get("scales", {}).get(self.output, 1.0), np.float64)
        except (AttributeError, TypeError, ValueError) as error:
            raise ModelError(f"the model's scales must be numbers by layer: {error}") from error
        # the output has one scale; files of earlier versions declare 1 for entries that are always zero
        scales = np.unique(declared[declared != 1]) if declared.size else declared
        if len(scales) > 1 or not (np.isfinite(scales) & (scales > 0)).all():
            raise ModelError(f"the output {self.output!r} must have one scale, positive and finite, got {declared}")
        return float(scales[0]) if len(scales) else 1.0

    def size(self, name):
        """Number of entries in the output of layer ``name``."""
        return math.prod(self.shapes[name])

    def array_names(self, name):
        """Names of one layer's arrays in ``arrays``, in the order in which Keras has them."""
        return [key for key in self.arrays if key.rpartition("/")[0] == name]

    def arrays_of(self, name):
        """The arrays of one layer: {"kernel": ..., "bias": ...}."""
        return {key.rpartition("/")[2]: self.arrays[key] for key in self.array_names(name)}

    def consumers(self, name):
        """The layers that read layer ``name``, in order."""
        return [layer for layer in self.layers.values() if name in layer.inputs]

    def replace(self, *, layers=None, arrays=None, output=None, metadata=None):
        """A new model with some parts replaced; ``arrays`` may name just those that change."""
        return Model(
            self.layers.values() if layers is None else layers,
            {**(self.arrays if layers is None else {}), **(arrays or {})},
            self.output if output is None else output,
            self.metadata if metadata is None else metadata,
        )

    def summary(self):
        """A table of the layers as text: name, type, output shape, parameters."""
        rows = [("layer", "type", "output shape", "parameters")]
        for name, layer in self.layers.items():
            n_parameters = sum(array.size for array in self.arrays_of(name).values())
            rows.append((name, type(layer).__name__, str(self.shapes[name]), f"{n_parameters:,}"))
        return text_table(rows)

    def __reduce__(self):
        return Model, (tuple(self.layers.values()), dict(self.arrays), self.output, dict(self.metadata))

    def __repr__(self):
        n_parameters = sum(array.size for array in self.arrays.values())
        return f"<Model: {len(self.layers)} layers, {n_parameters:,} parameters, output {self.shapes[self.output]}>"


def _by_name(layers):
    if len(layers) > limits.LAYERS:
        raise ModelError(f"a model has at most {limits.LAYERS:,} layers, got {len(layers):,}")
    n_read = sum(len(layer.inputs) for layer in layers if isinstance(layer, Layer))
    if n_read > limits.INPUTS:
        raise ModelError(f"the layers of a model have at most {limits.INPUTS:,} inputs together, got {n_read:,}")
    by_name = {}
    for layer in layers:
        if not isinstance(layer, Layer):
            raise ModelError(f"layers must be layer specs such as Conv or Dense, got {layer!r}")
        if layer.name in by_name:
            raise ModelError(f"two layers are named {layer.name!r}")
        for name in layer.inputs:
            if name not in by_name:
                raise ModelError(f"{layer} reads {name!r}, which no layer before it makes")
        by_name[layer.name] = layer
    inputs = [layer.name for layer in layers if isinstance(layer, Input)]
    if len(inputs) != 1:
        raise ModelError(f"a model has exactly one Input layer, got {inputs}")
    return by_name


def _checked_arrays(arrays, shapes):
    missing, foreign = shapes.keys() - arrays.keys(), arrays.keys() - shapes.keys()
    if missing:
        raise ModelError(f"arrays are missing: {', '.join(sorted(missing))}")
    if foreign:
        raise ModelError(f"no layer needs these arrays: {', '.join(sorted(map(str, foreign)))}")
    checked = {}
    for name, shape in shapes.items():
        array = _numbers(arrays[name], name)
        if array.shape != shape:
            raise ModelError(f"array {name!r} must have shape {shape}, got {array.shape}")
        array.flags.writeable = False
        checked[name] = array
    return checked


def _numbers(values, name):
    """Return a copy of ``values`` as float32; ModelError where they are no finite numbers."""
    try:
        return np.array(as_float32(values, f"array {name!r}"))
    except SettingsError as error:
        diverged = "NaN or infinity" in str(error)
        message = f"array {name!r} holds NaN or infinity: the training that made it diverged" if diverged else error
        raise ModelError(str(message)) from error
