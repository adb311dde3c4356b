"""The Nengo objects that networks without TensorNodes are made of."""

import nengo
import numpy as np

from ..model import layers as specs
from ..neurons.max_gate import MaxGate
from .connections import bias_of, connect


def linear_node(layer, model, sources, synapses):
    """A Node that sums what a linear layer makes of its sources, but for its bias."""
    node = nengo.Node(size_in=model.size(layer.name), label=layer.name)
    connect(layer, model, sources, node, synapses)
    return node


def biased_node(layer, model, sources, synapses):
    """A Node that sums what a linear layer makes of its sources, and its bias as constant current."""
    node = linear_node(layer, model, sources, synapses)
    bias = bias_of(layer, model)
    if bias.any():
        nengo.Connection(nengo.Node(bias, label=f"{layer.name}.bias"), node, synapse=None)
    return node


def linear_row(layer):
    """What a linear layer becomes, as ``BuildConfig.report_row`` says it; Nengo's signals are flat, so some stay."""
    return "same object" if isinstance(layer, specs.Flatten | specs.Reshape) else "Node", "exact", ""


def maximum_node(layer, model, source, synapse, cumulative):
    """A Node with the largest entry of each window: of sums over time if ``cumulative``, else of each step."""
    entries = layer.windows(model.shapes[layer.inputs[0]])
    gate = MaxGate(entries.shape[1], cumulative=cumulative)
    neurons = placed_neurons(gate, np.ones(entries.size), np.zeros(entries.size), f"{layer.name}.gate")
    nengo.Connection(source[entries.ravel()], neurons, synapse=synapse)
    node = nengo.Node(size_in=len(entries), label=layer.name)
    nengo.Connection(neurons[:: entries.shape[1]], node, synapse=None)
    return node


def placed_neurons(neuron_type, gain, bias, label):
    """The neurons of an ensemble that is driven and read directly; what Nengo draws at random is never used."""
    size = len(gain)
    unused = {"encoders": np.ones((size, 1)), "eval_points": np.zeros((1, 1))}
    return nengo.Ensemble(size, 1, neuron_type=neuron_type, gain=gain, bias=bias, label=label, **unused).neurons


def connect_output(model, scores, output):
    """Connect the object that carries the activity of a model's output layer to the node of the network's output."""
    scale = model.output_scale
    nengo.Connection(scores, output, transform=None if scale == 1 else scale, synapse=None)


def add_output(network, scores, synapse, probe_layers):
    """The network's output, which carries ``scores`` in the units of the original model, and its probes."""
    network.output = nengo.Node(size_in=scores.size_out, label="output")
    connect_output(network.model, scores, network.output)
    nengo.Probe(network.output, label="output")
    nengo.Probe(network.output, synapse=synapse, label="output_filtered")
    for name in probe_layers:
        nengo.Probe(network.layers[name], label=f"layer/{name}")  # no layer's name has a slash
