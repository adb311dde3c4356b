"""Builder of networks that were trained through time, of Nengo's own objects, which every back end runs."""

from __future__ import annotations

import dataclasses
import typing

from ..compat import nengo_dl
from .layer_visitor import ReportRows
from .nengo_objects import NengoLayers, add_output, direct_neurons
from .network import NativeBase


@dataclasses.dataclass(frozen=True)
class SurrogateConfig(NativeBase):
    """Settings with which ``convert`` builds a network of ``SurrogateLIF`` neurons from a trainable one."""

    output_synapse: typing.Any = 0.1
    probe_layers: tuple[str, ...] = ()

    builder_name = "convert"
    accumulates = True
    has_rates = False
    takes_levels = False

    def construct(self, network):
        nengo_dl.configure_settings(trainable=False, planner=nengo_dl.graph_optimizer.noop_planner)
        network.layers = SurrogateLayers(self, network.model).build()
        network.input = network.layers[network.model.input]
        add_output(network, network.layers[network.model.output], self.output_synapse, self.probe_layers)

    def report_row(self, layer, model):
        return SurrogateRows(self).visit(layer)


class SurrogateLayers(NengoLayers):
    """Nengo objects of the layers; maxima are those of each step, as in training."""

    def __init__(self, config, model):
        super().__init__(model)
        self.config = config

    def make_neurons(self, layer):
        return direct_neurons(self.config.neuron_type, self.model.size(layer.name), layer.name)


class SurrogateRows(ReportRows):
    """Report of the layers."""

    def visit_input(self, layer):
        return "Node", "exact", "constant current, or frames"

    def visit_neurons(self, layer):
        return "Ensemble (SurrogateLIF)", "exact", "spikes, as trained"

    def visit_maximum(self, layer):
        return "Ensemble (MaxGate)", "exact", "the largest entry of each step"
