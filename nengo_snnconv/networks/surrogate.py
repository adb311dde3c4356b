"""The builder for networks that were trained through time: Nengo's own objects, which every back end runs."""

import dataclasses
import typing

import nengo
import numpy as np

from ..compat import nengo_dl
from ..model import layers as specs
from .nengo_objects import add_output, biased_node, linear_row, maximum_node, placed_neurons
from .network import NativeBase


@dataclasses.dataclass(frozen=True)
class SurrogateConfig(NativeBase):
    """How ``convert`` makes a network of one with ``SurrogateLIF`` neurons: with the same neurons."""

    output_synapse: object = 0.1
    probe_layers: tuple = ()

    builder_name: typing.ClassVar = "convert"
    accumulates: typing.ClassVar = True
    has_rates: typing.ClassVar = False

    def construct(self, network):
        nengo_dl.configure_settings(trainable=False, planner=nengo_dl.graph_optimizer.noop_planner)
        for name, layer in network.model.layers.items():
            network.layers[name] = self._place(network, layer)
        network.input = network.layers[network.model.input]
        add_output(network, network.layers[network.model.output], self.output_synapse, self.probe_layers)

    def _place(self, network, layer):
        """The Nengo object of one layer, connected to those that it reads."""
        model, sources = network.model, [network.layers[name] for name in layer.inputs]
        size = model.size(layer.name)
        if isinstance(layer, specs.Input):
            return nengo.Node(np.zeros(size), label=layer.name)
        if isinstance(layer, specs.Flatten | specs.Reshape):
            return sources[0]
        if isinstance(layer, specs.Rectifier):
            neurons = placed_neurons(self.neuron_type, np.ones(size), np.zeros(size), layer.name)
            nengo.Connection(sources[0], neurons, synapse=None)
            return neurons
        if isinstance(layer, specs.MaxPool | specs.GlobalMaxPool):
            return maximum_node(layer, model, sources[0], None, cumulative=False)
        return biased_node(layer, model, sources, [None] * len(sources))

    def report_row(self, layer, model):
        if isinstance(layer, specs.Input):
            return "Node", "exact", "constant current, or frames"
        if isinstance(layer, specs.Rectifier):
            return "Ensemble (SurrogateLIF)", "exact", "spikes, as trained"
        if isinstance(layer, specs.MaxPool | specs.GlobalMaxPool):
            return "Ensemble (MaxGate)", "exact", "the largest entry of each step"
        return linear_row(layer)
