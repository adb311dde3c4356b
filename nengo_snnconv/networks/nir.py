"""write_nir, read_nir, to_nir and from_nir: networks as NIR graphs, for other simulators and for chips."""

from __future__ import annotations

import io
import math
import os
import typing

import numpy as np

from .._util.atomic import atomic_write
from .._util.validation import check_choice, check_paths, check_positive, check_seed, shown
from ..errors import CompatibilityError, ConversionError, SnnConvError
from ..formats.nir.graph_reader import read_graph
from ..formats.nir.graph_writer import POOLS, write_graph
from ..formats.nir.nir_file import damaged_file_error, read_dict
from .network import ConvNetwork, check_network
from .nir_form import extras_of, lost_in_nir, model_of, network_of

if typing.TYPE_CHECKING:
    import nir


def to_nir(network: ConvNetwork, *, dt: float = 0.001, average_pool: str = "AvgPool2d") -> nir.NIRGraph:
    """Return a spiking network as a NIR graph.

    Weights, biases, time constants and thresholds are exact.  Images have the channel first in NIR, (channel, height,
    width), and weights behind ``Flatten`` are in that order.  "same" padding that is not symmetric becomes symmetric,
    with zeros in the kernel.  Neurons of NIR spike above their thresholds and ours at them, so thresholds in NIR are
    the next lower float32.  Low-pass synapses between layers are a Delay of one step and an LI node.

    What NIR has no place for is in the metadata of the graph: ``graph.metadata["lost"]`` names it, and ``from_nir``
    restores it.  :func:`nir_losses` measures what it means for a simulator that follows NIR.

    Parameters
    ----------
    network : ConvNetwork
        Network of ``IntegrateAndFire`` neurons, made by ``to_spiking``, or of ``SurrogateLIF`` neurons.
    dt : float
        Length of a step in seconds in the simulator that will read the graph, whose neurons integrate by Euler steps:
        1e-4 for SpikingJelly and snnTorch, 1e-3 for Norse, 1 for sinabs, which has no unit of time.
    average_pool : "AvgPool2d" or "Conv2d"
        Node for average pooling.  Norse and sinabs read no AvgPool2d.

    Returns
    -------
    nir.NIRGraph

    Raises
    ------
    ConversionError
        If NIR has nothing for a layer, such as maxima, or for the neurons; the message says what to do instead.
    CompatibilityError
        If the package nir is not installed.

    References
    ----------
    Pedersen et al. 2024, doi 10.1038/s41467-024-52259-9.

    Examples
    --------
    >>> graph = snc.to_nir(snn, dt=1e-4)
    """
    graph = _graph_of(network, dt, average_pool)
    package = _package("to_nir")
    shapes = _shapes(graph)
    for node in graph["nodes"].values():
        if node.get("metadata", {}).get("reset") == "subtract":
            node["v_reset"] = np.zeros_like(node["v_threshold"])  # the class has a reset potential in any case
    # nir 1.0.8 computes wrong shapes of grouped convolutions and of kernels that are not square
    made = package.NIRGraph.from_dict({**graph, "type_check": False})
    for name, node in made.nodes.items():
        inside, outside = shapes[name]
        node.input_type, node.output_type = {"input": np.array(inside)}, {"output": np.array(outside)}
    return made


def write_nir(
    network: ConvNetwork, path: str | os.PathLike, *, dt: float = 0.001, average_pool: str = "AvgPool2d"
) -> None:
    """Write a spiking network as a NIR file, for other simulators and for chips.

    Parameters
    ----------
    network, dt, average_pool
        See :func:`to_nir`.
    path : str or path
        File to write.  An existing file is replaced; if writing fails, it is kept.

    Raises
    ------
    ConversionError
        If NIR has nothing for a layer, such as maxima, or for the neurons; the message says what to do instead.
    CompatibilityError
        If the package nir is not installed.

    Notes
    -----
    Neurons with reset by subtraction have no ``v_reset`` in the file.  Versions of NIR up to 1.0.4 had no such field,
    and their neurons subtract the threshold; nir 1.0.8 reads a ``v_reset`` of 0.

    Examples
    --------
    >>> snc.write_nir(snn, "network.nir", dt=1e-4)
    """
    check_paths(path=path)
    graph, content = _graph_of(network, dt, average_pool), io.BytesIO()
    _package("write_nir").write(content, _AsDict(graph))
    with atomic_write(path) as file:
        file.write(content.getvalue())


def read_nir(path: str | os.PathLike, *, dt: float | None = None, seed: int | None = 0) -> ConvNetwork:
    """Read a NIR file into a spiking network.

    Nothing in the file is run, sizes are checked before memory is allocated, and the packages nir and h5py are not
    needed.

    Parameters
    ----------
    path : str or path
    dt, seed
        See :func:`from_nir`.

    Returns
    -------
    ConvNetwork

    Raises
    ------
    FileNotFoundError, FileFormatError
        If there is no such file; if it is damaged, or is not a NIR file.
    ConversionError
        If a node is not supported, or the length of a step is unknown.

    Examples
    --------
    >>> network = snc.read_nir("network.nir", dt=1e-4)
    """
    check_paths(path=path)
    _check(dt, seed)
    graph = read_dict(path)
    try:
        return network_of(read_graph(graph, dt), seed)
    except (SnnConvError, MemoryError):
        raise
    except Exception as error:  # an invalid graph can fail anywhere
        raise damaged_file_error(path, error) from error


def from_nir(graph: nir.NIRGraph, *, dt: float | None = None, seed: int | None = 0) -> ConvNetwork:
    """Build a spiking network from a NIR graph.

    The network runs in steps of NIR's equations: the Euler step of IF, LIF and CubaLIF neurons, which spike above their
    thresholds, and of LI and CubaLI, which do not spike.  IF neurons become ``IntegrateAndFire`` and LIF neurons
    ``SurrogateLIF``; CubaLIF neurons are the latter behind a filter.  LI and CubaLI nodes are filters that start at
    ``v_leak``, and delays are whole steps.  Gains, resistances and leak potentials are folded into weights and biases.
    Scores are the sum of the output over time.

    Parameters
    ----------
    graph : nir.NIRGraph
        Graph of Input, Output, Affine, Linear, Conv1d, Conv2d, Scale, Flatten, SumPool2d, AvgPool2d, Threshold, IF,
        LIF, CubaLIF, LI, CubaLI and Delay nodes, I nodes before the output, and graphs of these.  Images have the
        channel first.
    dt : float, optional
        Length of a step in seconds, for time constants; by default that in the metadata of the graph, which
        ``to_nir`` writes.  Give the one of the simulator that made the graph: 1e-4 for SpikingJelly and snnTorch, 1
        for sinabs.
    seed : int, optional
        Seed of the network.

    Returns
    -------
    ConvNetwork

    Raises
    ------
    ConversionError
        If a node is not supported, or the length of a step is unknown; the message names the node, its class and what
        to do instead.

    Examples
    --------
    >>> network = snc.from_nir(nir.read("network.nir"), dt=1e-4)
    """
    _check(dt, seed)
    if not (hasattr(graph, "to_dict") and hasattr(graph, "nodes") and hasattr(graph, "edges")):
        raise ConversionError(f"graph must be a nir.NIRGraph, got {shown(graph)}: read a file with read_nir")
    try:
        return network_of(read_graph(graph.to_dict(), dt), seed)
    except (SnnConvError, MemoryError):
        raise
    except Exception as error:  # an invalid graph can fail anywhere
        raise ConversionError(f"the graph is invalid ({type(error).__name__}: {error}): check it with nir") from error


class _AsDict:
    """A graph for nir.write, which calls ``to_dict`` only."""

    def __init__(self, graph):
        self._graph = graph

    def to_dict(self):
        return self._graph


def _package(function):
    try:
        import nir
    except ImportError as error:
        raise CompatibilityError(
            f'{function} needs the package nir, which is not installed: pip install "nir>=1.0.8"'
        ) from error
    return nir


def _check(dt, seed):
    if dt is not None:
        check_positive(dt=dt)
    check_seed(seed, optional=True)


def _graph_of(network, dt, average_pool):
    """Return the graph of a network as a dict."""
    check_positive(dt=dt)
    check_choice(POOLS, average_pool=average_pool)
    check_network(network)
    model, neurons = model_of(network)
    graph = write_graph(model, neurons, dt, average_pool)
    graph["metadata"] |= extras_of(network) | {"lost": "; ".join(lost_in_nir(network)) or "nothing"}
    return graph


def _shapes(graph):
    """Return the shapes of the input and output of each node of a graph that ``write_graph`` made."""
    shapes, sources = {}, {}
    for source, target in graph["edges"]:
        sources.setdefault(target, source)
    for name, node in graph["nodes"].items():
        inside = tuple(node["shape"]) if node["type"] == "Input" else shapes[sources[name]][1]
        shapes[name] = inside, _output_shape(node, inside)
    return shapes


def _output_shape(node, inside):
    kind = node["type"]
    if kind == "Affine":
        return (len(node["weight"]),)
    if kind == "Flatten":
        return (math.prod(inside),)
    if kind not in ("Conv1d", "Conv2d", "AvgPool2d"):
        return inside
    size, padding = np.array(node["weight"].shape[2:]) if "weight" in node else node["kernel_size"], node["padding"]
    extents = (size - 1) * np.array(node.get("dilation", 1)) + 1
    spatial = (np.array(inside[1:]) + 2 * np.array(padding) - extents) // np.array(node["stride"]) + 1
    return (len(node["weight"]) if "weight" in node else inside[0], *(int(n) for n in spatial))
