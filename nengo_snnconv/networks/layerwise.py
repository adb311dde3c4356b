"""Builder of networks in which each layer has its own type of neurons, and may filter its input current."""

from __future__ import annotations

import dataclasses
import typing

import nengo

from .._util.validation import is_number
from ..compat import nengo_dl
from ..errors import SettingsError
from .layer_visitor import ReportRows
from .nengo_objects import NengoLayers, add_output, connect_filtered, direct_neurons
from .network import NativeBase
from .neuron_types import check_neuron_types, check_one_for_each_layer


@dataclasses.dataclass(frozen=True)
class LayerwiseConfig(NativeBase):
    """Settings with which ``read_nir`` builds networks whose layers differ in their neurons.

    Attributes
    ----------
    neuron_type : nengo.neurons.NeuronType
        Neurons of the first layer; all types have spikes of the same height.
    neuron_types : tuple of nengo.neurons.NeuronType
        Neurons of each rectifier of the model, in order, driven without gain and bias; empty if all are the same.
    keeps : tuple of float
        Share of its input current that each layer keeps from one step to the next, in [0, 1): in a step with the input
        X, the current is I <- keep I + (1 - keep) X.  0 for layers whose current is their input.
    """

    neuron_types: tuple[nengo.neurons.NeuronType, ...] = ()
    keeps: tuple[float, ...] = ()
    output_synapse: typing.Any = 0.1
    probe_layers: tuple[str, ...] = ()

    builder_name = "read_nir"
    accumulates = True
    has_rates = False
    takes_levels = False

    def __post_init__(self):
        super().__post_init__()
        check_neuron_types(self.neuron_types)
        if not isinstance(self.keeps, tuple) or not all(is_number(each) and 0 <= each < 1 for each in self.keeps):
            raise SettingsError(
                f"keeps must be a tuple with a share for each layer, got {self.keeps!r}", argument="keeps"
            )

    def construct(self, network):
        types = {"neuron_types": self.neuron_types} if self.neuron_types else {}
        check_one_for_each_layer(network.model, keeps=self.keeps, **types)
        nengo_dl.configure_settings(trainable=False, planner=nengo_dl.graph_optimizer.noop_planner)
        network.layers = LayerwiseLayers(self, network.model).build()
        network.input = network.layers[network.model.input]
        add_output(network, network.layers[network.model.output], self.output_synapse, self.probe_layers)

    def report_row(self, layer, model):
        return LayerwiseRows(self, model).visit(layer)


class LayerwiseLayers(NengoLayers):
    """Nengo objects of the layers."""

    def __init__(self, config, model):
        super().__init__(model)
        self.config = config

    def visit_neurons(self, layer, sources):
        place = self.model.neurons.index(layer.name)
        neuron_type = self.config.of_layer(self.model, layer.name).neuron_type
        neurons = direct_neurons(neuron_type, self.model.size(layer.name), layer.name)
        connect_filtered(sources[0], neurons, self.config.keeps[place])
        return neurons


class LayerwiseRows(ReportRows):
    """Report of the layers."""

    def __init__(self, config, model):
        super().__init__(config)
        self.model = model

    def visit_input(self, layer):
        return "Node", "exact", "constant current, or frames"

    def visit_neurons(self, layer):
        place = self.model.neurons.index(layer.name)
        remark = "spikes; the current is filtered" if self.config.keeps[place] else "spikes"
        neuron_type = self.config.of_layer(self.model, layer.name).neuron_type
        return f"Ensemble ({type(neuron_type).__name__})", "exact", remark

    def visit_maximum(self, layer):
        return "Ensemble (MaxGate)", "exact", "the largest entry of each step"
