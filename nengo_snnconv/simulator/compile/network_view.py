"""A checked view of a network for the fast simulator, with the values that Nengo would build for each object."""

import nengo
from nengo.builder.network import seed_network

from ...compat import nengo_dl
from ...errors import ConversionError
from ...networks.foreign.parameters import gain_bias
from ...networks.input_node import InputNode
from ...networks.network import ConvNetwork
from .native_form import native_form, native_form_of_tensor_node
from .transforms import map_of

ALTERNATIVES = "use nengo_dl.Simulator or nengo.Simulator"
OR_RECORDED = (
    "use nengo.Simulator or nengo_dl.Simulator; or probe the network's output here, and feed the scores that were "
    "recorded to a Nengo model"
)


class NetworkView:
    """The nodes, neurons and connections of a network, checked.

    Parameters
    ----------
    network : nengo.Network
        Networks of ``build_trainable`` and the Keras layers of other TensorNodes are viewed in their native form.
    probes : list of nengo.Probe
    counted : list of Nengo objects
        Objects whose events will be counted.

    Attributes
    ----------
    sources : list of nengo.Node
        Nodes without input, which can be fed.

    Raises
    ------
    ConversionError
        If the fast simulator does not support an object; the message names it.
    """

    def __init__(self, network, probes=(), counted=()):
        self.stand_ins, connections, nodes = {}, network.all_connections, network.all_nodes
        _check_members(network, probes)
        for part in (each for each in (network, *network.all_networks) if isinstance(each, ConvNetwork)):
            if form := native_form(part):
                native, stand_ins = form
                own = part.built - {obj for obj, stand_in in stand_ins.items() if obj is stand_in}
                connections = [*native.all_connections, *(c for c in connections if c not in own)]
                nodes = [*native.all_nodes, *(node for node in nodes if node not in own)]
                self.stand_ins |= stand_ins
        self._entries, keras = {}, [node for node in nodes if isinstance(node, nengo_dl.TensorNode)]
        if keras:
            with nengo.Network() as native:
                for node in keras:
                    self._entries[node], self.stand_ins[node] = native_form_of_tensor_node(node)
            connections = [*connections, *native.all_connections]
            nodes = [*(node for node in nodes if node not in self._entries), *native.all_nodes]
        layers = network.layers if isinstance(network, ConvNetwork) else {}
        # the first name, if a layer such as Flatten passes on the object of another one
        self._layer_names = {obj: name for name, obj in reversed(layers.items())}
        self.seeds = {}
        seed_network(network, self.seeds, {})
        self._into, self._n_readers, self._maps = {}, {}, {}
        for node in nodes:
            _check_node(node)
        for connection in connections:
            _check_connection(connection)
            target = connection.post_obj
            self._into.setdefault(self._entries.get(target) or self.stand_in(target), []).append(connection)
            self._add_reader(connection.pre_obj)
        self.sources = [node for node in nodes if self._is_source(node)]
        self.probes = list(probes)
        for probe in self.probes:
            _check_probe(probe)
            self._add_reader(probe.obj)
        for obj in counted:
            self._add_reader(obj)
            self._add_reader(obj)  # twice: counters need all steps, so no other reader may restrict the steps

    def _is_source(self, node):
        """Return whether a node can be fed: it has no input, or one in another, larger network only."""
        passes_on = isinstance(node, InputNode) and node.output is None
        return node.size_in == 0 or (passes_on and not self.into(node))

    def _add_reader(self, obj):
        obj = self.stand_in(obj)
        self._n_readers[obj] = self._n_readers.get(obj, 0) + 1

    def stand_in(self, obj):
        """Return the native object in place of an object of the network, or the object itself."""
        return self.stand_ins.get(obj, obj)

    def into(self, obj):
        """Return the connections into an object."""
        return self._into.get(obj, [])

    def n_readers(self, obj):
        """Return the number of connections, probes and counters that read an object."""
        return self._n_readers.get(obj, 0)

    def source_of(self, connection):
        """Return the object that a connection reads."""
        return self.stand_in(connection.pre_obj)

    def in_order(self, obj, known):
        """Return ``obj`` and all objects that it depends on, except the ``known`` ones, in order of computation.

        Raises
        ------
        ConversionError
            If an object depends on itself.
        """
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
                    f"{current} feeds back on itself, but the fast simulator computes layer by layer: {ALTERNATIVES}"
                )
        return order

    def map_of(self, connection):
        """Return the linear map of a connection, see :func:`.transforms.map_of`."""
        if connection not in self._maps:
            self._maps[connection] = map_of(connection)
        return self._maps[connection]

    def layer_of(self, obj):
        """Return the name of the layer whose activity an object holds; None if it is not a layer."""
        return self._layer_names.get(obj)

    def label_of(self, obj):
        """Return a name for an object: of the layer that it belongs to, or its label."""
        named = obj.ensemble if isinstance(obj, nengo.ensemble.Neurons) else obj
        label = named.label or type(named).__name__
        first, *_ = label.rsplit(".", 1)  # parts of layers are named after them, "pool.gate"
        return self.layer_of(obj) or (first if first in self._layer_names.values() else label)

    def gain_bias(self, ensemble):
        """Return the gains and the biases of an ensemble's neurons, float32 (neurons,) each."""
        if ensemble.noise is not None:
            raise ConversionError(
                f"the fast simulator does not support noise, which {ensemble} has: {ALTERNATIVES}",
                layer=self.layer_of(ensemble.neurons),
            )
        return gain_bias(ensemble, self.seeds.get(ensemble, 0))  # objects of native forms have arrays

    def seed(self, ensemble):
        """Return the seed that Nengo assigns to an ensemble."""
        return self.seeds[ensemble]

    def is_probed(self, obj, names):
        """Return True if any of these attributes of an object is probed."""
        return any(self.stand_in(probe.obj) == obj and probe.attr in names for probe in self.probes)


def is_function(node):
    """Return True if the output of a node is a function of time or a process."""
    return callable(node.output) or isinstance(node.output, nengo.Process)


def _check_members(network, probes):
    """Raise ConversionError if a connection or a probe belongs to the network, but not an object at its ends."""
    members = {*network.all_nodes, *network.all_ensembles, *(ensemble.neurons for ensemble in network.all_ensembles)}
    ends = [(each, end) for each in network.all_connections for end in (each.pre_obj, each.post_obj)]
    for each, end in [*ends, *((probe, probe.obj) for probe in probes)]:
        if isinstance(end, nengo.Node | nengo.Ensemble | nengo.ensemble.Neurons) and end not in members:
            raise ConversionError(
                f"{each} needs {end}, which is not part of {network}: create or load the network of this object in a "
                "'with model:' block, or add it there with model.add(network)"
            )


def _check_node(node):
    if node.size_in and node.output is not None:
        raise ConversionError(f"the fast simulator does not call functions of signals, which {node} is: {OR_RECORDED}")


def _check_connection(connection):
    reason = None
    if connection.learning_rule_type:
        reason = "learns"
    elif isinstance(connection.pre_obj, nengo.Ensemble):
        reason = "decodes an ensemble"
    elif isinstance(connection.post_obj, nengo.Ensemble):
        reason = "goes into an ensemble instead of its neurons"
    elif getattr(connection, "function", None) is not None:
        reason = "computes a function"
    elif not isinstance(connection.pre_obj, nengo.Node | nengo.ensemble.Neurons):
        reason = f"reads {connection.pre_obj}"
    elif not isinstance(connection.post_obj, nengo.Node | nengo.ensemble.Neurons):
        reason = f"goes into {connection.post_obj}"
    if reason:
        ends = connection.pre_obj, connection.post_obj
        advice = OR_RECORDED if any(isinstance(end, nengo.Ensemble) for end in ends) else ALTERNATIVES
        raise ConversionError(f"the fast simulator cannot run {connection}, which {reason}: {advice}")
    _check_synapse(connection)


def _check_probe(probe):
    if not isinstance(probe.obj, nengo.Node | nengo.ensemble.Neurons):
        raise ConversionError(f"the fast simulator can probe nodes and neurons, not {probe.obj}: {ALTERNATIVES}")
    _check_synapse(probe)


def _check_synapse(obj):
    if not (obj.synapse is None or isinstance(obj.synapse, nengo.synapses.LinearFilter)):
        raise ConversionError(
            f"the fast simulator does not support the {type(obj.synapse).__name__} synapse of {obj}: use "
            f"nengo.Lowpass or nengo.Alpha, or {ALTERNATIVES}"
        )
