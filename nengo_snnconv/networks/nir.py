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
from ..formats.nir.graph_reader import ReadGraph, read_graph
from ..formats.nir.graph_writer import POOLS, write_graph
from ..formats.nir.neurons import Neurons
from ..formats.nir.nir_file import damaged_file_error, read_dict
from ..model import layers as specs
from ..neurons.integrate_and_fire import IntegrateAndFire
from ..neurons.surrogate_lif import SurrogateLIF
from ..passes import FOLDING, simplify
from .edits import warn_of_added_connections
from .layerwise import LayerwiseConfig
from .native import INPUT_CODINGS, NativeConfig
from .network import ConvNetwork, check_network, describe_network
from .surrogate import SurrogateConfig
from .trainable import TrainableConfig, check_collected

if typing.TYPE_CHECKING:
    import nir

HEIGHT = 0.001  # amplitude of spikes of height 1 in steps of 1 ms, which are the spikes of NIR
NO_RESET = (
    "reset by subtraction: the reset of NIR is to v_reset, so a simulator that follows it loses the charge above the "
    "threshold; those whose neurons subtract, as sinabs, do not"
)
NO_START = "initial potential of {:g} thresholds: neurons of NIR start at their resting potential"
NO_CODING = "Poisson input: the graph begins with the spikes of the input, of height {:g}"


def to_nir(network: ConvNetwork, *, dt: float = 0.001, average_pool: str = "AvgPool2d") -> nir.NIRGraph:
    """Return a spiking network as a NIR graph.

    Weights, biases, time constants and thresholds are exact.  Images have the channel first in NIR, (channel, height,
    width), and weights behind ``Flatten`` are in that order.  "same" padding that is not symmetric becomes symmetric,
    with zeros in the kernel.  Neurons of NIR spike above their thresholds and ours at them, so thresholds in NIR are
    the next lower float32.

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
    package = _package("to_nir")
    graph = _graph_of(network, dt, average_pool)
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
    package = _package("write_nir")
    check_paths(path=path)
    content = io.BytesIO()
    package.write(content, _AsDict(_graph_of(network, dt, average_pool)))
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
        return _network(read_graph(graph, dt), seed)
    except (SnnConvError, MemoryError):
        raise
    except Exception as error:  # an invalid graph can fail anywhere
        raise damaged_file_error(path, error) from error


def from_nir(graph: nir.NIRGraph, *, dt: float | None = None, seed: int | None = 0) -> ConvNetwork:
    """Build a spiking network from a NIR graph.

    The network runs in steps of NIR's equations: the Euler step of IF, LIF and CubaLIF neurons, which spike above their
    thresholds.  IF neurons become ``IntegrateAndFire`` and LIF neurons ``SurrogateLIF``; CubaLIF neurons are the latter
    behind a filter.  Gains, resistances and leak potentials are folded into weights and biases.  Scores are the sum of
    the output over time.

    Parameters
    ----------
    graph : nir.NIRGraph
        Graph of Input, Output, Affine, Linear, Conv1d, Conv2d, Scale, Flatten, SumPool2d, AvgPool2d, Threshold, IF,
        LIF and CubaLIF nodes, I nodes before the output, and graphs of these.  Images have the channel first.
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
        raise ConversionError(f"expected a nir.NIRGraph, got {shown(graph)}: read a file with read_nir")
    try:
        return _network(read_graph(graph.to_dict(), dt), seed)
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
    graph["metadata"] |= _extras(network) | {"lost": "; ".join(lost(network)) or "nothing"}
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


def _extras(network):
    """Return the settings of a network that NIR has no place for, by which ``from_nir`` restores it."""
    settings = network.settings
    if not isinstance(settings, NativeConfig):
        return {}
    return {
        "initial_potential": float(settings.neuron_type.initial_potential),
        "input_coding": settings.input_coding,
        "input_threshold": float(settings.input_threshold),
    }


def lost(network: ConvNetwork) -> list[str]:
    """Return what a simulator that follows NIR does not do as the network: a text for each property."""
    settings = network.settings
    types = settings.neuron_types if isinstance(settings, LayerwiseConfig) else [settings.neuron_type]
    found = [NO_RESET] if any(neuron_type.reset == "subtract" for neuron_type in types) else []
    starts = {neuron_type.initial_potential for neuron_type in types if isinstance(neuron_type, IntegrateAndFire)}
    found += [NO_START.format(start) for start in sorted(starts - {0})]
    if isinstance(settings, NativeConfig) and settings.input_coding == "poisson":
        found.append(NO_CODING.format(settings.input_threshold))
    return found


def model_of(network):
    """Return the model of a network and the neurons of its rectifiers; raise ConversionError for neurons NIR lacks."""
    settings, model = network.settings, network.model
    if isinstance(settings, TrainableConfig) and isinstance(settings.neuron_type, SurrogateLIF):
        check_collected(network)
        if settings.synapse is not None:
            raise ConversionError("NIR has no filter on spikes: call rebuild(synapse=None) first")
        model, types = simplify(model, FOLDING), dict.fromkeys(model.neurons, settings.neuron_type)
    elif isinstance(settings, SurrogateConfig):
        types = dict.fromkeys(model.neurons, settings.neuron_type)
    elif isinstance(settings, LayerwiseConfig):
        types = dict(zip(model.neurons, settings.neuron_types, strict=True))
    elif type(settings) is NativeConfig:
        model, types = _native(model, settings)
    else:
        raise ConversionError(
            f"NIR takes networks of IntegrateAndFire or SurrogateLIF neurons, got {describe_network(network)}: convert "
            "the model, and call to_spiking(network, IntegrateAndFire())"
        )
    warn_of_added_connections(network)
    keeps = getattr(settings, "keeps", (0.0,) * len(model.neurons))
    neurons = {name: _neurons(types[name], keep) for name, keep in zip(model.neurons, keeps, strict=True)}
    return _in_units(model), neurons


def _native(model, settings):
    neuron_type = settings.neuron_type
    if not neuron_type.spiking:
        raise ConversionError("NIR takes networks that spike, this one has rates: call to_spiking first")
    if settings.synapse is not None:
        raise ConversionError("NIR has no filter on spikes: call rebuild(synapse=None) first")
    if type(neuron_type) is IntegrateAndFire:
        neuron_type = settings.match.neuron_type
    if settings.readout == "spikes" and not isinstance(model.layers[model.output], specs.Rectifier):
        neurons = specs.Rectifier("output_neurons", model.output)
        model = model.replace(layers=[*model.layers.values(), neurons], arrays=model.arrays, output=neurons.name)
    return model, dict.fromkeys(model.neurons, neuron_type)


def _in_units(model):
    """Return a model whose output has the units of the original model, if its last layer has weights."""
    if model.output_scale == 1 or not isinstance(model.layers[model.output], specs.Dense | specs.Conv):
        return model
    if model.consumers(model.output):
        return model
    changed = {name: model.arrays[name] * np.float32(model.output_scale) for name in model.array_names(model.output)}
    return model.replace(arrays=changed)


def _neurons(neuron_type, keep):
    """Return the Neurons of a neuron type."""
    if isinstance(neuron_type, SurrogateLIF):
        found = Neurons(
            1 / neuron_type.tau, neuron_type.threshold, neuron_type.reset, neuron_type.reset_potential, keep
        )
    elif type(neuron_type) is IntegrateAndFire:
        usual = {"min_potential": -np.inf, "max_spikes": 1, "tau": HEIGHT}
        for name, value in usual.items():
            if getattr(neuron_type, name) != value:
                raise ConversionError(
                    f"IntegrateAndFire has {name}={getattr(neuron_type, name):g}, which neurons of NIR do not: leave it "
                    "out in to_spiking"
                )
        reset = "subtract" if neuron_type.reset == "subtract" else "value"
        found = Neurons(None, 1.0, reset)
    else:
        raise ConversionError(
            f"NIR has no neurons like {type(neuron_type).__name__}, with all its properties: use "
            "to_spiking(network, IntegrateAndFire()), or train a network of SurrogateLIF neurons"
        )
    if neuron_type.amplitude != HEIGHT:
        raise ConversionError(
            f"spikes in NIR have the height 1, these have {neuron_type.amplitude / HEIGHT:g}: leave amplitude and "
            "max_rate out"
        )
    if neuron_type.initial_state:
        raise ConversionError("NIR has no initial state: leave initial_state out of the neuron type")
    return found


def _network(read: ReadGraph, seed):
    """Return the network of a model and its neurons."""
    model = simplify(read.model, FOLDING)
    neurons = {name: read.neurons[name] for name in model.neurons}
    kinds, metadata = set(neurons.values()), read.metadata
    types = tuple(_neuron_type(each, metadata) for each in neurons.values())
    if all(kind.leak is None and kind.threshold == 1 for kind in kinds) and len(kinds) <= 1:
        neuron_type = types[0] if types else IntegrateAndFire()
        return ConvNetwork(model, NativeConfig(neuron_type, seed, **_input_options(metadata)))
    if len(kinds) == 1 and all(kind.leak is not None and not kind.keep for kind in kinds):
        return ConvNetwork(model, SurrogateConfig(types[0], seed))
    keeps = tuple(each.keep for each in neurons.values())
    return ConvNetwork(model, LayerwiseConfig(types[0], seed, neuron_types=types, keeps=keeps))


def _neuron_type(neurons, metadata):
    """Return the Nengo neuron type of neurons."""
    if neurons.leak is not None:
        return SurrogateLIF(
            tau=neurons.tau_steps,
            threshold=neurons.threshold,
            reset=neurons.reset,
            reset_potential=neurons.rest,
        )
    reset = "zero" if neurons.reset == "value" else "subtract"
    start = _number(metadata, "initial_potential", 0.0)
    return IntegrateAndFire(neurons.threshold, reset, start)


def _input_options(metadata):
    coding = metadata.get("input_coding")
    if coding not in INPUT_CODINGS:
        return {}
    return {"input_coding": coding, "input_threshold": _number(metadata, "input_threshold", 1.0)}


def _number(metadata, name, default):
    """Return a finite number in the metadata of a graph, or the default."""
    try:
        value = float(np.asarray(metadata.get(name)).item())
    except (TypeError, ValueError):
        return default
    return value if math.isfinite(value) else default
