"""The builder for Loihi: ``loihi_form`` and its settings.

nengo_loihi runs ensembles on the chip and nodes on the host computer.  All linear layers between two layers of neurons
are therefore merged into one connection.  Neurons that read the image run on the host and turn it into spikes for
those on the chip.
"""

from __future__ import annotations

import dataclasses

import nengo

from ... import compat
from ...errors import ConversionError
from ...model import layers as specs
from ..input_node import InputNode
from ..native import NativeConfig, NativeRows
from ..nengo_objects import add_constant, add_output, spike_synapse
from ..network import ConvNetwork
from .cores import n_cores
from .plan import OUTPUT_NEURONS, layers_reached, plan_of
from .support import check_origin, unsupported_settings, why_no_neurons


@dataclasses.dataclass(frozen=True)
class LoihiConfig(NativeConfig):
    """Settings with which ``to_loihi`` builds a network; ``to_spiking`` explains them."""

    builder_name = "to_loihi"
    can_reset = False

    def __post_init__(self):
        super().__post_init__()
        # output neurons have the default type, which that of no layer may be
        types = [*self.of_types, *([self.neuron_type] if self.readout == "spikes" else [])]
        for reason in (*map(why_no_neurons, types), *unsupported_settings(self)):
            if reason:
                raise ConversionError(reason)

    def construct(self, network):
        model, plan = network.model, plan_of(network.model, self.readout)
        compat.nengo_dl.configure_settings(trainable=False, planner=compat.nengo_dl.graph_optimizer.noop_planner)
        compat.nengo_loihi.add_params(network)
        network.input = network.layers[model.input] = InputNode(model.size(model.input), model.input)
        for name, planned in plan.items():
            if name == OUTPUT_NEURONS or isinstance(model.layers[name], specs.Rectifier):
                target = self._place_neurons(network, name, planned)
            else:
                target = nengo.Node(size_in=len(planned.constant), label=name)
                add_constant(planned.constant, target, name)
            for linear_map in planned.maps:
                source = network.layers[linear_map.source]
                leaves_chip = (
                    not planned.on_chip and linear_map.source != model.input and plan[linear_map.source].on_chip
                )
                # nengo_loihi takes only dense matrices for connections that leave the chip
                transform = linear_map.matrix.toarray() if leaves_chip else linear_map.transform()
                nengo.Connection(source, target, transform=transform, synapse=spike_synapse(source, self.synapse))
            if name != OUTPUT_NEURONS:
                network.layers[name] = target
        add_output(network, network.layers.get(model.output, target), self.output_synapse, self.probe_layers)

    def _place_neurons(self, network, name, planned):
        """Make the neurons of a layer, on the chip or on the host."""
        # all neurons on the chip start at zero
        changes = {"initial_state": {"voltage": nengo.dists.Choice([0])}} if planned.on_chip else {}
        config = self.of_layer(network.model, name)
        neurons = config.make_neurons(len(planned.constant), name, planned.constant, **changes)
        config = network.config[neurons.ensemble]
        config.on_chip = planned.on_chip
        if planned.on_chip:
            config.block_shape = compat.nengo_loihi.BlockShape(planned.block_shape, planned.shape)
        return neurons

    def report_row(self, layer, model):
        return LoihiRows(self.of_layer(model, layer.name), model).visit(layer)


class LoihiRows(NativeRows):
    """Report of the layers."""

    def __init__(self, config, model):
        super().__init__(config)
        self.model = model
        self.plan = plan_of(model, config.readout)

    def visit_linear(self, layer):
        reached = layers_reached(self.model, layer.name)
        if any(self.plan[name].on_chip for name in reached if name in self.plan):
            return "weights", "approximated", f"merged into those of {', '.join(reached)}, 8 bits"
        return "weights", "exact", "off-chip"

    visit_reshape = visit_linear
    visit_maximum = visit_linear

    def visit_neurons(self, layer):
        became, exactness, remark = super().visit_neurons(layer)
        planned = self.plan[layer.name]
        if not planned.on_chip:
            return f"{became}, off-chip", exactness, remark
        taken = n_cores(planned.shape, planned.block_shape)
        remark = f"starts at zero, forgets what is above the threshold; {remark}"
        return f"{became} on {taken} core{'s' if taken > 1 else ''}", exactness, remark


def loihi_form(network, **changes):
    """Build a spiking network in the form that nengo_loihi runs; see ``to_loihi``.

    Parameters
    ----------
    network : ConvNetwork
        Network from ``to_spiking``.
    **changes
        Settings to change.

    Raises
    ------
    ConversionError
        If the network was not made by ``to_spiking``, or has neurons or other settings that Loihi does not support.
    """
    check_origin(network)
    fields = {field.name: getattr(network.settings, field.name) for field in dataclasses.fields(network.settings)}
    return ConvNetwork(network.model, LoihiConfig(**{**fields, **changes}), network.label)
