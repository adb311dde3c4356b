"""The nodes of a NIR graph in an order in which each comes after its inputs, with nested graphs inlined."""

from __future__ import annotations

import dataclasses
import graphlib
import typing

import numpy as np

from ..._util.validation import shown
from ...errors import ConversionError, listed
from ...model import limits
from .neurons import require_same
from .nir_file import MAX_DEPTH
from .refused import UnsupportedNode

SEPARATOR = "."  # between the name of a nested graph and that of its node


@dataclasses.dataclass(frozen=True)
class Node:
    """A node of a graph.

    Attributes
    ----------
    name : str
        Name, with those of the graphs in which the node is nested.
    kind : str
        Name of its class, such as "Conv2d".
    fields : dict
        Its other entries: arrays, numbers and texts.
    metadata : dict
    inputs : tuple of str
        Names of the nodes whose outputs are added and go into this one.
    """

    name: str
    kind: str
    fields: dict[str, typing.Any]
    metadata: dict[str, typing.Any]
    inputs: tuple[str, ...]

    def __str__(self):
        return f"node {self.name!r} ({self.kind})"

    def numbers(self, name: str) -> np.ndarray:
        """Return a field as an array of float64; raise UnsupportedNode unless it holds finite numbers."""
        value = np.asarray(self.fields.get(name, "nothing"))
        if value.dtype.kind not in "biuf" or not value.size:
            raise UnsupportedNode(f"must have numbers as its {name}, got {shown(self.fields.get(name))}")
        if not np.isfinite(value).all():
            raise UnsupportedNode(f"has NaN or infinity in its {name}: the training that made it diverged")
        return value.astype(np.float64)

    def text(self, name: str) -> str | None:
        """Return a field that is text; None if it is not."""
        value = self.fields.get(name)
        value = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        return value if isinstance(value, str) else None

    def same(self, name: str, values: np.ndarray | None = None) -> float:
        """Return the number in a field, or in ``values`` made from it, which must be the same for all neurons."""
        return require_same(self, name, self.numbers(name) if values is None else values)

    def whole(self, name: str, rank: int, least: int = 0) -> tuple[int, ...]:
        """Return a field as ``rank`` whole numbers from ``least`` on; a single number stands for all of them."""
        values = self.numbers(name).ravel()
        if values.size not in (1, rank) or (values != np.floor(values)).any() or not (least <= values.min()):
            raise UnsupportedNode(
                f"must have {rank} whole number(s) from {least} on as its {name}, got {shown(self.fields[name])}"
            )
        if values.max() > limits.ENTRIES_OF_LAYER:
            raise UnsupportedNode(f"has a {name} of {values.max():,.0f}; the limit is {limits.ENTRIES_OF_LAYER:,}")
        return tuple(int(value) for value in np.broadcast_to(values, rank))


def flat_nodes(graph: dict[str, typing.Any]) -> list[Node]:
    """Return the nodes of a graph in order.

    Raises
    ------
    ConversionError
        If the dict is not a graph, has recurrent connections, or has more nodes or edges than the limits of a model.
    """
    nodes: dict[str, dict] = {}
    edges: list[tuple[str, str]] = []
    _collect(graph, "", nodes, edges, 0)
    inputs: dict[str, list[str]] = {name: [] for name in nodes}
    for source, target in edges:
        inputs[target].append(source)
    try:
        order = list(graphlib.TopologicalSorter(inputs).static_order())
    except graphlib.CycleError as error:
        circle = listed(list(dict.fromkeys(reversed(error.args[1]))), 4)
        raise ConversionError(
            f"the graph is recurrent: {circle} feed each other, and networks here are feed-forward: train a network "
            "without recurrent connections",
            layer=error.args[1][0],
        ) from error
    return [_node(name, nodes[name], tuple(inputs[name])) for name in order]


def _collect(graph, prefix, nodes, edges, depth):
    """Add the nodes and edges of a graph and of the graphs in it; a nested graph is its Input and Output nodes."""
    if depth > MAX_DEPTH:
        raise ConversionError(f"graphs are nested more than {MAX_DEPTH} deep: make the graph flat")
    own = graph.get("nodes") if isinstance(graph, dict) else None
    if not isinstance(own, dict) or not own or not all(isinstance(node, dict) for node in own.values()):
        raise ConversionError(
            f"expected a NIR graph with nodes, got {shown(own if isinstance(graph, dict) else graph)}"
        )
    ends = {}  # name of a nested graph -> the ends of its inside
    for name, node in own.items():
        full = f"{prefix}{name}"
        if node.get("type") == "NIRGraph":
            _collect(node, full + SEPARATOR, nodes, edges, depth + 1)
            ends[full] = [_end_of(full, node, kind) for kind in ("Input", "Output")]
        else:
            nodes[full] = node
    for edge in _pairs(graph.get("edges")):
        source, target = (f"{prefix}{name}" for name in edge)
        source, target = ends.get(source, (None, source))[1], ends.get(target, (target, None))[0]
        for name in (source, target):
            if name not in nodes:
                raise ConversionError(f"the edge from {edge[0]!r} to {edge[1]!r} has an end that is no node")
        edges.append((source, target))
    if len(nodes) > limits.LAYERS or len(edges) > limits.INPUTS:
        raise ConversionError(
            f"the graph has {len(nodes):,} nodes and {len(edges):,} edges; the limits are {limits.LAYERS:,} and "
            f"{limits.INPUTS:,}: convert a part of it"
        )


def _pairs(edges):
    """Return the edges as pairs of names."""
    if edges is None or not isinstance(edges, list | tuple | np.ndarray):
        raise ConversionError(f"a graph must have a list of edges, got {shown(edges)}")
    pairs = [tuple(_text(name) for name in edge) for edge in edges if isinstance(edge, list | tuple | np.ndarray)]
    if len(pairs) != len(edges) or any(len(pair) != 2 for pair in pairs):
        raise ConversionError("edges must be pairs of names of nodes")
    return list(dict.fromkeys(pairs))  # an edge is a connection of two nodes, which they have once


def _text(value):
    value = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    if not isinstance(value, str):
        raise ConversionError(f"edges must hold names of nodes, got {shown(value)}")
    return value


def _end_of(name, graph, kind):
    """Return the full name of the only Input or Output node of a nested graph."""
    found = [inner for inner, node in graph["nodes"].items() if node.get("type") == kind]
    if len(found) != 1:
        raise ConversionError(f"the nested graph {name!r} must have one {kind} node, got {len(found)}", layer=name)
    return f"{name}{SEPARATOR}{found[0]}"


def _node(name, fields, inputs):
    fields = dict(fields)
    kind, metadata = fields.pop("type", None), fields.pop("metadata", {})
    if not isinstance(kind, str):
        raise ConversionError(f"node {name!r} has no type", layer=name)
    return Node(name, kind, fields, metadata if isinstance(metadata, dict) else {}, inputs)
