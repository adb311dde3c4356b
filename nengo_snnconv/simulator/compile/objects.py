"""The objects of a network as the fast simulator sees them: checked, and with what Nengo would build for each."""

import nengo
import numpy as np
from nengo.builder.network import seed_network

from ...compat import nengo_dl
from ...errors import ConversionError, SettingsError
from ...networks.network import ConvNetwork
from .native_form import native_form
from .transforms import of_transform

OTHERWISE = "use nengo_dl.Simulator or nengo.Simulator"


class Objects:
    """What a network consists of.

    Parameters
    ----------
    network : nengo.Network
        Networks of ``build_trainable`` are seen in their native form.
    probes : list of nengo.Probe
        What is going to be probed.
    counted : list of Nengo objects
        What is going to be counted.

    Raises
    ------
    ConversionError
        For an object that the fast simulator does not cover, by name.
    """

    def __init__(self, network, probes=(), counted=()):
        if not isinstance(network, nengo.Network):
            raise SettingsError(f"expected a network, got {type(network).__name__}")
        self.stand_ins, connections, nodes = {}, network.all_connections, network.all_nodes
        if isinstance(network, ConvNetwork) and (form := native_form(network)):
            native, self.stand_ins = form
            own = network.built - {obj for obj, stand_in in self.stand_ins.items() if obj is stand_in}
            connections = [*native.all_connections, *(c for c in connections if c not in own)]
            nodes = [*native.all_nodes, *(node for node in nodes if node not in own)]
        self.sources = [node for node in nodes if node.size_in == 0]
        self.seeds = {}
        seed_network(network, self.seeds, {})
        self._into, self._readers, self._tables = {}, {}, {}
        for node in nodes:
            _check_node(node)
        for connection in connections:
            _check_connection(connection)
            self._into.setdefault(self.stand_in(connection.post_obj), []).append(connection)
            self._read(connection.pre_obj)
        self.probes = list(probes)
        for probe in self.probes:
            _check_probe(probe)
            self._read(probe.obj)
        for obj in counted:
            self._read(obj)
            self._read(obj)  # counts are of all steps, so they never belong to another reader alone

    def _read(self, obj):
        obj = self.stand_in(obj)
        self._readers[obj] = self._readers.get(obj, 0) + 1

    def stand_in(self, obj):
        """What stands for an object of the network, or the object itself."""
        return self.stand_ins.get(obj, obj)

    def into(self, obj):
        """The connections into an object."""
        return self._into.get(obj, [])

    def readers(self, obj):
        """How many connections, probes and counts read an object."""
        return self._readers.get(obj, 0)

    def source_of(self, connection):
        """What a connection reads."""
        return self.stand_in(connection.pre_obj)

    def in_order(self, obj, known):
        """``obj`` and all that it depends on, each after what it reads; but for what is ``known``."""
        order, path, seen = [], set(), set()
        waiting = [(obj, False)]
        while waiting:
            current, done = waiting.pop()
            if done:
                order.append(current)
                path.remove(current)
            elif current not in known and current not in seen:
                seen.add(current)
                path.add(current)
                waiting.append((current, True))
                waiting.extend((self.source_of(connection), False) for connection in self.into(current))
            elif current in path:
                raise ConversionError(
                    f"{current} feeds back on itself, but the fast simulator goes layer by layer: {OTHERWISE}"
                )
        return order

    def table(self, connection):
        """The table of a connection, as ``of_transform`` has it."""
        if connection not in self._tables:
            self._tables[connection] = of_transform(connection)
        return self._tables[connection]

    def gain_bias(self, ensemble):
        """Gains and biases of the neurons of an ensemble, float32 (neurons,) each."""
        if ensemble.noise is not None:
            raise ConversionError(f"the fast simulator has no noise, {ensemble} has: {OTHERWISE}")
        values = []
        for name in ("gain", "bias"):
            value = getattr(ensemble, name)
            if value is None or isinstance(value, nengo.dists.Distribution):
                raise ConversionError(
                    f"the fast simulator draws no gains and biases, {ensemble} has {name}={value!r}: give arrays, or "
                    f"{OTHERWISE}"
                )
            values.append(np.broadcast_to(np.asarray(value, np.float32), (ensemble.n_neurons,)))
        return values

    def seed(self, ensemble):
        """The seed that Nengo gives an ensemble."""
        return self.seeds[ensemble]

    def probed(self, obj, names):
        """Whether any of these attributes of an object is probed."""
        return any(self.stand_in(probe.obj) == obj and probe.attr in names for probe in self.probes)


def is_function(node):
    """Whether what a node emits is computed anew in each step."""
    return callable(node.output) or isinstance(node.output, nengo.Process)


def _check_node(node):
    if isinstance(node, nengo_dl.TensorNode):
        raise ConversionError(
            f"the fast simulator runs Nengo's own objects, {node} is a TensorNode: {OTHERWISE}, or a network that "
            "build_trainable or convert made"
        )
    if node.size_in and node.output is not None:
        raise ConversionError(f"the fast simulator calls no functions of its signals, {node} has one: {OTHERWISE}")


def _check_connection(connection):
    found = None
    if connection.learning_rule_type:
        found = "learns"
    elif isinstance(connection.pre_obj, nengo.Ensemble):
        found = "decodes an ensemble"
    elif isinstance(connection.post_obj, nengo.Ensemble):
        found = "goes into an ensemble, not into its neurons"
    elif getattr(connection, "function", None) is not None:
        found = "computes a function"
    elif not isinstance(connection.pre_obj, nengo.Node | nengo.ensemble.Neurons):
        found = f"reads {connection.pre_obj}"
    elif not isinstance(connection.post_obj, nengo.Node | nengo.ensemble.Neurons):
        found = f"goes into {connection.post_obj}"
    if found:
        raise ConversionError(f"the fast simulator cannot run {connection}, which {found}: {OTHERWISE}")
    _check_synapse(connection)


def _check_probe(probe):
    if not isinstance(probe.obj, nengo.Node | nengo.ensemble.Neurons):
        raise ConversionError(f"the fast simulator probes nodes and neurons, not {probe.obj}: {OTHERWISE}")
    _check_synapse(probe)


def _check_synapse(obj):
    if not (obj.synapse is None or isinstance(obj.synapse, nengo.synapses.LinearFilter)):
        raise ConversionError(
            f"the fast simulator has no {type(obj.synapse).__name__} synapse, which {obj} has: use nengo.Lowpass or "
            f"nengo.Alpha, or {OTHERWISE}"
        )
