"""The builder for networks that run in stages: each layer spikes when all layers before it have finished."""

from __future__ import annotations

import dataclasses
import typing

import nengo

from .._util.validation import check_choice, check_counts
from ..compat import nengo_dl
from ..errors import SettingsError
from ..model import layers as specs
from ..neurons.arguments import arguments_of, check_synapse
from ..neurons.integrate_and_fire import IntegrateAndFire
from ..neurons.staged_integrate_and_fire import StagedIntegrateAndFire, StagedReadout, StageGate
from .connections import bias_of
from .input_node import InputNode
from .layer_visitor import ReportRows, refuse_filter
from .native import READOUTS, driving_layers
from .nengo_objects import NengoLayers, add_constant, add_output, direct_neurons, linear_node
from .network import NativeBase
from .stages import first_stages, stages


@dataclasses.dataclass(frozen=True)
class StagedConfig(NativeBase):
    """Settings with which ``to_spiking(..., stage_steps=...)`` builds a network; ``to_spiking`` explains them."""

    stage_steps: int = 4
    readout: str = "potential"
    output_synapse: typing.Any = None
    probe_layers: tuple[str, ...] = ()

    builder_name = "to_spiking(..., stage_steps=...)"

    def __post_init__(self):
        super().__post_init__()
        check_counts(stage_steps=self.stage_steps)
        check_choice(READOUTS, readout=self.readout)
        check_synapse(output_synapse=self.output_synapse)
        _check_neuron_type(self.neuron_type)

    def total_steps(self, model):
        """Return the number of steps from the first step of the image until the scores are complete."""
        return self.stage_steps * (stages(model)[model.output] + 1 + self._has_output_neurons(model))

    def steps_without_scores(self, model):
        return self.stage_steps * first_stages(model)[model.output]

    def active_steps(self, model, name):
        first = first_stages(model)[model.layers[name].inputs[0]]
        return self.stage_steps * (stages(model)[name] - first + 1)

    def input_steps(self, n_steps):
        return min(self.stage_steps, n_steps)

    def construct(self, network):
        nengo_dl.configure_settings(trainable=False, planner=nengo_dl.graph_optimizer.noop_planner)
        model = network.model
        network.input = InputNode(model.size(model.input), "images")
        layers = StagedLayers(self, model, network.input)
        network.layers = layers.build()
        scores, stage = network.layers[model.output], layers.first_stage_of[model.output]
        if self._has_output_neurons(model):
            neurons = layers.neurons_reading(model.output, model.size(model.output), "output_neurons")
            nengo.Connection(scores, neurons, synapse=None)
            scores, stage = neurons, layers.stage_of[model.output] + 1
        readout = self.staged_neurons(StagedReadout, stage, model.size(model.output), "readout")
        nengo.Connection(scores, readout, synapse=None)
        add_output(network, readout, self.output_synapse, self.probe_layers)

    def staged_neurons(self, cls, stage, size, label, **options):
        """Make ``size`` neurons of a staged type ``cls``, which take their input from stage ``stage`` on."""
        neuron_type = cls(n_steps=self.stage_steps, stage=stage, amplitude=self.spike_amplitude, **options)
        return direct_neurons(neuron_type, size, label)

    def report_row(self, layer, model):
        return StagedRows(self).visit(layer)

    def read_out_row(self):
        if self.readout == "potential":
            return "Ensemble (StagedReadout)", "exact", "membrane potential, after the last stage"
        remark = "counts of output spikes: negative scores become 0, and of equal counts the first class wins"
        return "Ensemble (StagedIntegrateAndFire)", "approximated", remark

    def _has_output_neurons(self, model):
        """Return whether neurons are added to the output layer, which spike in a stage of their own."""
        return self.readout == "spikes" and not isinstance(model.layers[model.output], specs.Rectifier)


def _check_neuron_type(neuron_type):
    """Raise SettingsError unless neurons are IntegrateAndFire() with any initial potential."""
    advice = "use IntegrateAndFire(), whose initial_potential can be chosen, or leave stage_steps out"
    if type(neuron_type) is not IntegrateAndFire:
        raise SettingsError(
            f"neuron_type must be IntegrateAndFire with stage_steps, got {neuron_type!r}: {advice}",
            argument="neuron_type",
        )
    default = arguments_of(IntegrateAndFire())
    for name, value in arguments_of(neuron_type).items():
        if name != "initial_potential" and value is not default[name] and value != default[name]:
            raise SettingsError(
                f"{name}={value!r} of IntegrateAndFire cannot be combined with stage_steps, with which neurons "
                f"integrate all of their input before they spike: {advice}",
                argument="neuron_type",
            )


class StagedLayers(NengoLayers):
    """Makes the Nengo objects of the layers.

    The image is shown in stage 0 only, and the bias of a layer is on in the stage of the layer only.  So both are
    integrated for the ``stage_steps`` steps of one stage, however many stages a layer after them integrates.  Biases of
    layers that only neurons read, which integrate that stage alone, are constant currents.

    Parameters
    ----------
    config : StagedConfig
    model : Model
    image : nengo.Node

    Attributes
    ----------
    stage_of, first_stage_of : dict of str to int
        Last and first stage in which each layer passes anything on.
    """

    def __init__(self, config, model, image):
        super().__init__(model, cumulative=True)
        self.config, self.image = config, image
        self.stage_of, self.first_stage_of = stages(model), first_stages(model)
        self._driving, self._ones = driving_layers(model), {}

    def neurons_reading(self, name, size, label):
        """Make neurons that integrate the output of layer ``name``, and spike in the stage after its last one."""
        first = self.first_stage_of[name]
        return self.config.staged_neurons(
            StagedIntegrateAndFire,
            first,
            size,
            label,
            n_stages=self.stage_of[name] - first + 1,
            initial_potential=self.config.neuron_type.initial_potential,
        )

    def visit_input(self, layer, sources):
        return self._gate(self.image, 0, layer.name)

    def make_neurons(self, layer):
        return self.neurons_reading(layer.inputs[0], self.model.size(layer.name), layer.name)

    def visit_filter(self, layer, sources):
        refuse_filter(layer, "to_spiking with stage_steps")

    def visit_linear(self, layer, sources):
        node = linear_node(layer, self.model, sources, [None] * len(sources))
        bias, stage = bias_of(layer, self.model), self.stage_of[layer.name]
        if layer.name in self._driving and self.first_stage_of[layer.name] == stage:
            add_constant(bias, node, layer.name)
        elif bias.any():
            nengo.Connection(self._one(stage), node, transform=bias[:, None], synapse=None)
        return node

    def _one(self, stage):
        """Return a signal of 1 in ``stage`` and 0 in all others; biases are its weights."""
        if stage not in self._ones:
            self._ones[stage] = self._gate(nengo.Node([1.0], label="one"), stage, f"bias{stage}")
        return self._ones[stage]

    def _gate(self, source, stage, label):
        neurons = self.config.staged_neurons(StageGate, stage, source.size_out, label)
        nengo.Connection(source, neurons, synapse=None)
        return neurons


class StagedRows(ReportRows):
    """Report of the layers."""

    def visit_input(self, layer):
        steps = f"first {self.config.stage_steps} steps" if self.config.stage_steps > 1 else "first step"
        return "Ensemble (StageGate)", "exact", f"constant current in the {steps}"

    def visit_neurons(self, layer):
        n_steps = self.config.stage_steps
        exactness = "exact" if layer.levels == n_steps and self.config.neuron_type.initial_potential == 0.5 else ""
        remark = f"spikes after all layers before it: activations in multiples of 1 / {n_steps}, up to 1"
        return "Ensemble (StagedIntegrateAndFire)", exactness or "approximated", remark

    def visit_maximum(self, layer):
        return "Ensemble (MaxGate)", "exact", "as many spikes as the unit with the most so far"
