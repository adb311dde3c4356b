"""read_graph: from a NIR graph to a model and the neurons of its rectifiers."""

from __future__ import annotations

import math
import typing

import numpy as np

from ...errors import ConversionError, ModelError, listed
from ...model import Model, limits
from ...model import layers as specs
from .flat_graph import flat_nodes
from .neurons import Neurons
from .node_readers import read_node
from .refused import UnsupportedNode
from .signal import Signal


class ReadGraph(typing.NamedTuple):
    """A model, the neurons of its rectifiers by name, and metadata of the graph."""

    model: Model
    neurons: dict[str, Neurons]
    metadata: dict[str, typing.Any]


def read_graph(graph: dict[str, typing.Any], dt: float | None = None) -> ReadGraph:
    """Read a NIR graph.

    Parameters
    ----------
    graph : dict
        See :mod:`.formats.nir`.
    dt : float, optional
        Length of a step in seconds; by default that in the metadata of the graph.

    Raises
    ------
    ConversionError
        If a node is not supported, the length of a step is unknown, or the graph is not one.
    """
    nodes = flat_nodes(graph)
    metadata = graph.get("metadata", {}) if isinstance(graph.get("metadata", {}), dict) else {}
    reader = GraphReader(nodes, _step(metadata) if dt is None else dt)
    return ReadGraph(reader.model(), reader.neurons, metadata)


def _step(metadata):
    """Return the length of a step in the metadata of a graph; None if there is none."""
    try:
        dt = float(np.asarray(metadata.get("dt")).item())
    except (TypeError, ValueError):
        return None
    return dt if 0 < dt < math.inf else None


class GraphReader:
    """Adds specs for nodes, one after another.

    Attributes
    ----------
    dt : float or None
    layers, arrays, shapes : dict
        Specs by name, their arrays by "spec/array", and their output shapes.
    neurons : dict of str to Neurons
    """

    def __init__(self, nodes, dt):
        self.nodes, self._dt = nodes, dt
        self.layers, self.arrays, self.shapes, self.neurons = {}, {}, {}, {}
        self.signals = {}
        self.output = None

    @property
    def dt(self):
        if self._dt is None:
            raise ConversionError(
                "the graph does not say how long a time step is: give dt in seconds, which is 1e-4 for graphs of "
                "snnTorch and SpikingJelly, and 1 for those of sinabs"
            )
        return self._dt

    def model(self):
        """Read all nodes, and return the model."""
        self._check_ends()
        for node in self.nodes:
            try:
                self.signals[node.name] = read_node(node, self)
            except UnsupportedNode as refused:
                raise ConversionError(f"{node} {refused}", layer=node.name) from refused
            except ModelError as error:
                raise ConversionError(f"{node} cannot be read: {error}", layer=node.name) from error
        needed = {self.output}
        for layer in reversed(self.layers.values()):
            needed |= set(layer.inputs) if layer.name in needed else set()
        self.neurons = {name: neurons for name, neurons in self.neurons.items() if name in needed}
        arrays = {name: array for name, array in self.arrays.items() if name.rpartition("/")[0] in needed}
        try:
            return Model([layer for layer in self.layers.values() if layer.name in needed], arrays, self.output)
        except ModelError as error:
            raise ConversionError(f"the NIR graph cannot be read: {error}", layer=error.layer) from error

    def _check_ends(self):
        inner = {name for node in self.nodes for name in node.inputs}
        for kind in ("Input", "Output"):
            ends = [node for node in self.nodes if node.kind == kind]
            ends = [node for node in ends if (not node.inputs if kind == "Input" else node.name not in inner)]
            if len(ends) != 1:
                names = f": {listed(node.name for node in ends)}" if ends else ""
                raise ConversionError(f"the graph must have one {kind} node, got {len(ends)}{names}")
        for node in self.nodes:
            if not node.inputs and node.kind != "Input":
                raise ConversionError(f"{node} has no input: connect it, or remove it", layer=node.name)

    def source(self, node):
        """Return the signal that goes into a node: the sum of its inputs."""
        signals = [self.signals[name] for name in node.inputs]
        if len(signals) == 1:
            return signals[0]
        shapes = {self.shapes[signal.spec] for signal in signals}
        if len(shapes) > 1 or len({signal.image for signal in signals}) > 1:
            raise UnsupportedNode(f"adds inputs of different shapes, {sorted(shapes)}")
        return Signal(self.add_spec(specs.Add, f"{node.name}_sum", tuple(s.spec for s in signals)), signals[0].image)

    def shape(self, signal):
        """Return the shape of a signal in this package."""
        return self.shapes[signal.spec]

    def nir_shape(self, signal):
        """Return the shape of a signal in NIR: with the channel first."""
        *spatial, channels = self.shapes[signal.spec]
        return (channels, *spatial)

    def add_spec(self, spec_class, name, inputs=(), arrays=None, **fields):
        """Add a spec with its ``arrays``, and return its name."""
        layer = spec_class(self._unique(name), inputs, **fields)
        shapes = [self.shapes[spec] for spec in layer.inputs]
        shape = layer.output_shape(*shapes)
        limits.check_rank(layer, shape)
        limits.check_entries(layer, "an output", *shape)
        for array, expected in layer.array_shapes(*shapes).items():
            value = (arrays or {})[array]
            if np.shape(value) != expected:
                raise UnsupportedNode(f"has a {array} of shape {np.shape(value)}; its input needs {expected}")
            self.arrays[f"{layer.name}/{array}"] = value
        self.layers[layer.name], self.shapes[layer.name] = layer, shape
        return layer.name

    def add_scale(self, name, signal, scale, bias=0.0):
        """Scale and shift a signal; ``scale`` and ``bias`` are numbers, or arrays in the shape of the signal in NIR."""
        if np.all(scale == 1) and not np.any(bias):
            return signal
        shape = self.shapes[signal.spec]
        scale, bias = (self.in_order(np.asarray(value, np.float64), signal) for value in (scale, bias))
        values = {"scale": scale, "bias": bias}
        flat = {key: value.reshape(-1, shape[-1]) for key, value in values.items()}
        if all((value == value[0]).all() for value in flat.values()):
            arrays = {key: value[0] for key, value in flat.items()}
            return Signal(self.add_spec(specs.Affine, f"{name}_scale", signal.spec, arrays), signal.image)
        # each entry has its own: one channel for each of them
        spec = self.add_spec(specs.Flatten, f"{name}_entries", signal.spec)
        arrays = {key: value.ravel() for key, value in values.items()}
        spec = self.add_spec(specs.Affine, f"{name}_scale", spec, arrays)
        spec = spec if len(shape) == 1 else self.add_spec(specs.Reshape, f"{name}_shape", spec, shape=shape)
        return Signal(spec, signal.image)

    def in_order(self, values, signal):
        """Return an array for a signal, from a number or an array in the signal's shape in NIR, in our order."""
        shape = self.shapes[signal.spec]
        if values.size == 1:
            return np.broadcast_to(values.reshape(()), shape)
        if values.shape != self.nir_shape(signal):
            raise UnsupportedNode(
                f"has parameters of shape {values.shape}, its input has {self.nir_shape(signal)}: give one number, or "
                "one for each entry"
            )
        if signal.image is not None:
            height_width, channels = signal.image[:-1], signal.image[-1]
            return np.moveaxis(values.reshape(channels, *height_width), 0, -1).ravel()
        return np.moveaxis(values, 0, -1)

    def _unique(self, name):
        name = name.replace("/", "_") or "node"
        unique, number = name, 1
        while unique in self.layers:
            number += 1
            unique = f"{name}_{number}"
        return unique
