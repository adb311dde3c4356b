"""The Nengo objects of layers in networks without TensorNodes: nodes, ensembles, connections, output and probes."""

import nengo
import numpy as np

from ..neurons.max_gate import MaxGate
from .connections import bias_of, connect
from .input_node import InputNode
from .layer_visitor import LayerVisitor


class NengoLayers(LayerVisitor):
    """Makes the Nengo objects of layers: ``visit(layer, sources)`` returns the object that carries the layer's output.

    Builders override the methods for kinds of layers that they build in another way.

    Parameters
    ----------
    model : Model
    synapse : float or nengo.synapses.Synapse, optional
        Filter on spikes that leave a layer.
    cumulative : bool
        Take maxima of sums over time, as spikes need it, instead of those of each step.
    """

    def __init__(self, model, synapse=None, cumulative=False):
        self.model = model
        self.synapse = synapse
        self.cumulative = cumulative

    def build(self):
        """Make the objects of all layers, and return them by name, in order."""
        objects = {}
        for name, layer in self.model.layers.items():
            objects[name] = self.visit(layer, [objects[source] for source in layer.inputs])
        return objects

    def synapse_from(self, source):
        """Return the synapse of connections from ``source``: spikes are filtered, other signals are not."""
        return spike_synapse(source, self.synapse)

    def make_neurons(self, layer):
        """Make the neurons of a rectifier."""
        raise NotImplementedError

    def visit_input(self, layer, sources):
        return InputNode(self.model.size(layer.name), layer.name)

    def visit_reshape(self, layer, sources):
        return sources[0]  # the same signal: signals of Nengo are flat

    def visit_neurons(self, layer, sources):
        neurons = self.make_neurons(layer)
        nengo.Connection(sources[0], neurons, synapse=self.synapse_from(sources[0]))
        return neurons

    def visit_maximum(self, layer, sources):
        return maximum_node(layer, self.model, sources[0], self.synapse_from(sources[0]), self.cumulative)

    def visit_filter(self, layer, sources):
        source = sources[0]
        synapses = [self.synapse_from(source)] if self.synapse_from(source) is not None else []
        synapses += [delay_of(layer.delay)] if layer.delay else []
        for synapse in synapses:
            node = nengo.Node(size_in=source.size_out, label=layer.name)
            nengo.Connection(source, node, synapse=synapse)
            source = node
        for keep in layer.keeps:
            node = nengo.Node(size_in=source.size_out, label=layer.name)
            connect_filtered(source, node, keep)
            source = node
        return source

    def visit_linear(self, layer, sources):
        return biased_node(layer, self.model, sources, [self.synapse_from(source) for source in sources])


def spike_synapse(source, synapse):
    """Return ``synapse`` if ``source`` are neurons, whose spikes are filtered; None for all other objects."""
    return synapse if isinstance(source, nengo.ensemble.Neurons) else None


def delay_of(n_steps):
    """Return the synapse that passes its input on ``n_steps`` steps later."""
    return nengo.LinearFilter([1], [1, *[0] * n_steps], analog=False)


def connect_filtered(source, target, keep):
    """Connect objects through a filter: in a step with the input x, the target receives y <- keep y + (1 - keep) x."""
    nengo.Connection(source, target, transform=1 - keep if keep else None, synapse=None)
    if keep:
        # a synapse of Nengo passes its input on one step later, so the rest of y is that of the last step
        last = nengo.LinearFilter([1 - keep], [1, -keep], analog=False)
        nengo.Connection(source, target, transform=keep, synapse=last)


def linear_node(layer, model, sources, synapses):
    """Make a Node that carries the output of a linear layer without its bias."""
    node = nengo.Node(size_in=model.size(layer.name), label=layer.name)
    connect(layer, model, sources, node, synapses)
    return node


def biased_node(layer, model, sources, synapses):
    """Make a Node that carries the output of a linear layer, with its bias as constant current."""
    node = linear_node(layer, model, sources, synapses)
    add_constant(bias_of(layer, model), node, layer.name)
    return node


def add_constant(values, target, name):
    """Connect a Node with constant ``values``, the bias of layer ``name``, to ``target``, unless all values are 0."""
    if values.any():
        nengo.Connection(nengo.Node(values, label=f"{name}.bias"), target, synapse=None)


def maximum_node(layer, model, source, synapse, cumulative):
    """Make a Node with the maximum of each pooling window: of sums over time if ``cumulative``, else of each step."""
    entries = layer.windows(model.shapes[layer.inputs[0]])
    gate = MaxGate(entries.shape[1], cumulative=cumulative)
    neurons = direct_neurons(gate, entries.size, f"{layer.name}.gate")
    nengo.Connection(source[entries.ravel()], neurons, synapse=synapse)
    node = nengo.Node(size_in=len(entries), label=layer.name)
    nengo.Connection(neurons[:: entries.shape[1]], node, synapse=None)
    return node


def direct_neurons(neuron_type, size, label, gain=1.0, bias=0.0, seed=None):
    """Make an ensemble whose neurons are driven and read directly, and return its neurons.

    Encoders and evaluation points are fixed: they are never used, and Nengo would draw them at random.

    Parameters
    ----------
    neuron_type : nengo.neurons.NeuronType
    size : int
        Number of neurons.
    label : str
    gain, bias : float or ndarray, (size,)
    seed : int, optional
        Seed of their initial states; by default the one that Nengo assigns.
    """
    unused = {"encoders": np.ones((size, 1)), "eval_points": np.zeros((1, 1))}
    gain, bias = (np.broadcast_to(value, size).astype(float) for value in (gain, bias))
    settings = {"neuron_type": neuron_type, "gain": gain, "bias": bias, "label": label, "seed": seed}
    return nengo.Ensemble(size, 1, **settings, **unused).neurons


def connect_output(model, scores, output):
    """Connect the object that carries the output layer to the network's output node, in the units of the model."""
    scale = model.output_scale
    nengo.Connection(scores, output, transform=None if scale == 1 else scale, synapse=None)


def add_output(network, scores, synapse, probe_layers):
    """Add the network's output node, which carries ``scores`` in the units of the original model, and the probes."""
    network.output = nengo.Node(size_in=scores.size_out, label="output")
    connect_output(network.model, scores, network.output)
    add_probes(network, synapse, probe_layers)


def add_probes(network, synapse, probe_layers):
    """Add probes of the output, with and without filter, and of the layers ``probe_layers``."""
    nengo.Probe(network.output, label="output")
    nengo.Probe(network.output, synapse=synapse, label="output_filtered")
    for name in probe_layers:
        nengo.Probe(network.layers[name], label=f"layer/{name}")  # names of layers have no slash
