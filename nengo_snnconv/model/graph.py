"""Model: the layers in order, their arrays and their shapes."""

from __future__ import annotations

import collections.abc
import math
import types
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .._util.text_tables import text_table
from .._util.validation import as_float32, shown
from ..errors import ModelError, SettingsError, listed
from . import limits
from .layers import Filter, Input, Layer, Rectifier
from .ports import Port, ports_from

# metadata on changes of the weights since the ANN was converted
OF_SPIKES = ("calibration", "quantization", "n_steps", "split")


class Model:
    """Immutable graph of layers with their arrays.

    Parameters
    ----------
    layers : iterable of Layer
        Layers, each after its inputs; exactly one is an ``Input``.
    arrays : mapping of str to array_like
        Arrays by "layer/array", such as "conv1/kernel"; kept as read-only float32 copies.
    output : str, optional
        Name of the output layer; the last layer by default.
    metadata : mapping, optional
        JSON-serializable information about the model, such as its training history.
    ann_arrays : mapping of str to array_like, optional
        Arrays of the ANN that the model approximates with spikes, if they differ from ``arrays``: the originals of
        those that ``calibrate`` or ``train`` changed.

    Attributes
    ----------
    layers : mapping of str to Layer, in order
    arrays : mapping of str to ndarray
    shapes : mapping of str to tuple
        Each layer's output shape, without the batch.

    Raises
    ------
    ModelError
        If names are not unique, an input is missing, shapes do not fit, a layer or the model exceeds the size limits
        (``model.limits``), or an array is missing, belongs to no layer, has the wrong shape, or does not hold finite
        numbers.
    """

    layers: Mapping[str, Layer]
    arrays: Mapping[str, np.ndarray]
    shapes: Mapping[str, tuple[int, ...]]
    output: str
    metadata: Mapping[str, Any]
    ann_arrays: Mapping[str, np.ndarray]

    def __init__(
        self,
        layers: Iterable[Layer],
        arrays: Mapping[str, Any],
        output: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        ann_arrays: Mapping[str, Any] | None = None,
    ) -> None:
        if isinstance(layers, str) or not hasattr(layers, "__iter__"):
            raise ModelError(f"layers must be a sequence of layer specs such as Conv or Dense, got {shown(layers)}")
        if not (output is None or isinstance(output, str)):
            raise ModelError(f"output must be the name of a layer or None, got {shown(output)}")
        metadata, ann_arrays = ({} if value is None else value for value in (metadata, ann_arrays))
        for name, value in {"arrays": arrays, "metadata": metadata, "ann_arrays": ann_arrays}.items():
            if not isinstance(value, collections.abc.Mapping):
                raise ModelError(f"{name} must be a dict, got {shown(value)}")
        layers = tuple(layers)
        self.layers = types.MappingProxyType(_by_name(layers))
        self.output = layers[-1].name if output is None else output
        if self.output not in self.layers:
            raise ModelError(f"the output layer {self.output!r} does not exist; there are {listed(self.layers, 8)}")
        shapes: dict[str, tuple[int, ...]] = {}
        array_shapes: dict[str, tuple[int, ...]] = {}
        n_entries = 0
        for layer in layers:
            shapes_in = [shapes[name] for name in layer.inputs]
            shapes[layer.name] = shape = layer.output_shape(*shapes_in)
            limits.check_rank(layer, shape)
            limits.check_entries(layer, "an output", *shape)
            n_entries += math.prod(shape) + sum(map(math.prod, shapes_in)) + layer.workspace(*shapes_in)
            if n_entries > limits.ENTRIES_OF_MODEL:
                raise ModelError(
                    f"the layers up to {layer.name!r} read and write more than {limits.ENTRIES_OF_MODEL:,} entries, "
                    "the limit for a model: use smaller inputs, or convert a part of the model",
                    layer=layer.name,
                )
            for name, array_shape in layer.array_shapes(*shapes_in).items():
                array_shapes[f"{layer.name}/{name}"] = array_shape
        self.shapes = types.MappingProxyType(shapes)
        self.arrays = types.MappingProxyType(_checked_arrays(arrays, array_shapes))
        self.metadata = types.MappingProxyType(dict(metadata))
        for ports, name in ((self.inputs, self.input), (self.outputs, self.output)):
            if sum(port.size for port in ports.values()) != self.size(name):
                raise ModelError(
                    f"the metadata declare {listed(ports, 8)} with other sizes than layer {name!r}", layer=name
                )
        of_ann = {name: shape for name, shape in array_shapes.items() if name in ann_arrays}
        self.ann_arrays = types.MappingProxyType(_checked_arrays(ann_arrays, of_ann))

    @property
    def ann(self) -> Model:
        """The ANN that the model approximates with spikes: the model itself, without ``ann_arrays``."""
        if not self.ann_arrays:
            return self
        metadata = {name: value for name, value in self.metadata.items() if name not in OF_SPIKES}
        if "training" in metadata:
            metadata["training"] = [how for how in metadata["training"] if how.get("made_by") != "to_spiking"]
        return Model(self.layers.values(), {**self.arrays, **self.ann_arrays}, self.output, metadata)

    @property
    def input(self) -> str:
        """Name of the input layer."""
        return next(name for name, layer in self.layers.items() if isinstance(layer, Input))

    @property
    def inputs(self) -> dict[str, Port]:
        """The inputs of the model by name, in order: their shapes, and their entries in the vector of the input layer.

        A model that was read from one with a single input has one, the input layer.
        """
        return ports_from(self.metadata.get("inputs"), self.input, self.shapes[self.input])

    @property
    def outputs(self) -> dict[str, Port]:
        """The outputs of the model by name, in order: their shapes, and their entries in that of the output layer."""
        metadata = self.metadata
        properties = {"function": metadata.get("head"), "targets": metadata.get("targets")}
        return ports_from(metadata.get("outputs"), self.output, self.shapes[self.output], **properties)

    @property
    def neurons(self) -> list[str]:
        """Names of the layers of neurons, that is, the rectifiers, in order."""
        return [name for name, layer in self.layers.items() if isinstance(layer, Rectifier)]

    @property
    def first_neurons(self) -> list[str]:
        """Names of the layers of neurons before which there are no other neurons, and no filters over time, in order.

        Their input is the same in all steps if that of the model is.
        """
        found: list[str] = []
        changing: set[str] = set()
        for name, layer in self.layers.items():
            constant = changing.isdisjoint(layer.inputs)
            if constant and isinstance(layer, Rectifier):
                found.append(name)
            if not constant or isinstance(layer, Rectifier | Filter):
                changing.add(name)
        return found

    @property
    def levels(self) -> dict[str, int]:
        """Numbers of levels of the rectifiers that have them, by name."""
        rectifiers = ((name, layer) for name, layer in self.layers.items() if isinstance(layer, Rectifier))
        return {name: layer.levels for name, layer in rectifiers if layer.levels is not None}

    @property
    def filters(self) -> tuple[str, ...]:
        """Names of the layers that filter or delay their input over time."""
        return tuple(name for name, layer in self.layers.items() if isinstance(layer, Filter))

    @property
    def output_scale(self) -> float:
        """Factor from the activity of the output layer to the units of the original model.

        It is 1 unless the weights were rescaled.  All readers of a network's output apply it, so scores are in the
        units of the model that was converted.
        """
        try:
            declared = np.asarray(self.metadata.get("scales", {}).get(self.output, 1.0), np.float64)
        except (AttributeError, TypeError, ValueError) as error:
            raise ModelError(f"the model's scales must be numbers by layer: {error}", layer=self.output) from error
        # the output has one scale; files of earlier versions declare 1 for entries that are always zero
        scales = np.unique(declared[declared != 1]) if declared.size else declared
        if len(scales) > 1 or not (np.isfinite(scales) & (scales > 0)).all():
            raise ModelError(
                f"the output {self.output!r} must have one scale, positive and finite, got {declared}",
                layer=self.output,
            )
        return float(scales[0]) if len(scales) else 1.0

    def size(self, name: str) -> int:
        """Return the number of entries in the output of layer ``name``."""
        return math.prod(self.shapes[name])

    def array_names(self, name: str) -> list[str]:
        """Return the names in ``arrays`` of the arrays of layer ``name``, in Keras' order."""
        return [key for key in self.arrays if _layer_of(key) == name]

    def arrays_of(self, name: str) -> dict[str, np.ndarray]:
        """Return the arrays of layer ``name``: {"kernel": ..., "bias": ...}."""
        return {key.rpartition("/")[2]: self.arrays[key] for key in self.array_names(name)}

    def consumers(self, name: str) -> list[Layer]:
        """Return the layers that read layer ``name``, in order."""
        return [layer for layer in self.layers.values() if name in layer.inputs]

    def replace(
        self,
        *,
        layers: Iterable[Layer] | None = None,
        arrays: Mapping[str, Any] | None = None,
        output: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        ann_arrays: Mapping[str, Any] | None = None,
    ) -> Model:
        """Return a new model with some parts replaced.

        Without ``layers``, ``arrays`` needs to hold only the arrays that change; with ``layers``, all arrays.
        """
        return Model(
            self.layers.values() if layers is None else layers,
            {**(self.arrays if layers is None else {}), **(arrays or {})},
            self.output if output is None else output,
            self.metadata if metadata is None else metadata,
            self.ann_arrays if ann_arrays is None else ann_arrays,
        )

    def summary(self) -> str:
        """Return a table of the layers as text: name, type, output shape, parameters."""
        rows = [("layer", "type", "output shape", "parameters")]
        for name, layer in self.layers.items():
            n_parameters = sum(array.size for array in self.arrays_of(name).values())
            rows.append((name, type(layer).__name__, str(self.shapes[name]), f"{n_parameters:,}"))
        return text_table(rows)

    def __reduce__(self):
        parts = tuple(self.layers.values()), dict(self.arrays), self.output, dict(self.metadata), dict(self.ann_arrays)
        return Model, parts

    def __repr__(self):
        n_parameters = sum(array.size for array in self.arrays.values())
        return f"<Model: {len(self.layers)} layers, {n_parameters:,} parameters, output {self._outputs()}>"

    def _outputs(self):
        """Return the shape of the output, or the shapes of several outputs with their names."""
        shapes = {name: port.shape for name, port in self.outputs.items()}
        return shapes if len(shapes) > 1 else self.shapes[self.output]


def _by_name(layers):
    if len(layers) > limits.LAYERS:
        raise ModelError(f"a model has at most {limits.LAYERS:,} layers, got {len(layers):,}")
    n_read = sum(len(layer.inputs) for layer in layers if isinstance(layer, Layer))
    if n_read > limits.INPUTS:
        raise ModelError(f"the layers of a model have at most {limits.INPUTS:,} inputs in total, got {n_read:,}")
    by_name = {}
    for layer in layers:
        if not isinstance(layer, Layer):
            raise ModelError(f"layers must be layer specs such as Conv or Dense, got {layer!r}")
        if layer.name in by_name:
            raise ModelError(f"two layers are named {layer.name!r}", layer=layer.name)
        for name in layer.inputs:
            if name not in by_name:
                raise ModelError(f"{layer} reads {name!r}, but no layer before it has this name", layer=layer.name)
        by_name[layer.name] = layer
    inputs = [layer.name for layer in layers if isinstance(layer, Input)]
    if len(inputs) != 1:
        raise ModelError(f"a model has exactly one Input layer, got {inputs}")
    return by_name


def _checked_arrays(arrays, shapes):
    missing, unknown = shapes.keys() - arrays.keys(), arrays.keys() - shapes.keys()
    if missing:
        raise ModelError(f"arrays are missing: {', '.join(sorted(missing))}", layer=_layer_of(min(missing)))
    if unknown:
        raise ModelError(f"no layer needs these arrays: {', '.join(sorted(map(str, unknown)))}")
    checked = {}
    for name, shape in shapes.items():
        array = _numbers(arrays[name], name)
        if array.shape != shape:
            raise ModelError(f"array {name!r} must have shape {shape}, got {array.shape}", layer=_layer_of(name))
        array.flags.writeable = False
        checked[name] = array
    return checked


def _layer_of(array):
    """Return the layer of the array of a given name."""
    return array.rpartition("/")[0]


def _numbers(values, name):
    """Return a copy of ``values`` as float32; raise ModelError unless they are finite numbers."""
    try:
        return np.array(as_float32(values, f"array {name!r}"))
    except SettingsError as error:
        diverged = "NaN or infinity" in str(error)
        message = f"array {name!r} holds NaN or infinity: the training that made it diverged" if diverged else error
        raise ModelError(str(message), layer=_layer_of(name)) from error
