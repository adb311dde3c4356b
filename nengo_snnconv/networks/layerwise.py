"""Builder of networks in which each layer has its own type of neurons, and may filter its input current."""

from __future__ import annotations

import dataclasses
import typing

import nengo

from ..compat import nengo_dl
from ..errors import SettingsError, listed
from .layer_visitor import ReportRows
from .nengo_objects import NengoLayers, add_output, direct_neurons
from .network import NativeBase


@dataclasses.dataclass(frozen=True)
class LayerwiseConfig(NativeBase):
    """Settings with which ``read_nir`` builds networks whose layers differ in their neurons.

    Attributes
    ----------
    neuron_type : nengo.neurons.NeuronType
        Neurons of the first layer; all types have spikes of the same height.
    neuron_types : dict of str to nengo.neurons.NeuronType
        Neurons of each rectifier, driven without gain and bias.
    synapses : dict of str to nengo.synapses.Synapse
        Filter on the input current of some of them.
    """

    neuron_types: typing.Any = dataclasses.field(default_factory=dict)
    synapses: typing.Any = dataclasses.field(default_factory=dict)
    output_synapse: typing.Any = 0.1
    probe_layers: tuple[str, ...] = ()

    builder_name = "read_nir"
    accumulates = True
    has_rates = False
    takes_levels = False

    def construct(self, network):
        missing = [name for name in network.model.neurons if name not in self.neuron_types]
        if missing:
            raise SettingsError(f"neuron_types has no neurons for {listed(missing)}", argument="neuron_types")
        nengo_dl.configure_settings(trainable=False, planner=nengo_dl.graph_optimizer.noop_planner)
        network.layers = LayerwiseLayers(self, network.model).build()
        network.input = network.layers[network.model.input]
        add_output(network, network.layers[network.model.output], self.output_synapse, self.probe_layers)

    def report_row(self, layer, model):
        return LayerwiseRows(self).visit(layer)


class LayerwiseLayers(NengoLayers):
    """Nengo objects of the layers."""

    def __init__(self, config, model):
        super().__init__(model)
        self.config = config

    def visit_neurons(self, layer, sources):
        neurons = direct_neurons(self.config.neuron_types[layer.name], self.model.size(layer.name), layer.name)
        nengo.Connection(sources[0], neurons, synapse=self.config.synapses.get(layer.name))
        return neurons


class LayerwiseRows(ReportRows):
    """Report of the layers."""

    def visit_input(self, layer):
        return "Node", "exact", "constant current, or frames"

    def visit_neurons(self, layer):
        remark = "filtered current" if layer.name in self.config.synapses else ""
        return f"Ensemble ({type(self.config.neuron_types[layer.name]).__name__})", "exact", remark

    def visit_maximum(self, layer):
        return "Ensemble (MaxGate)", "exact", "the largest entry of each step"
