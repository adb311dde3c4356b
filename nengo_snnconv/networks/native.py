"""The native builder: networks of Nengo's own objects, which every back end runs."""

import dataclasses
import functools
import typing

import nengo
import numpy as np

from .._util.validation import check_choice, check_flags, check_positive
from ..compat import nengo_dl
from ..errors import SettingsError
from ..model import layers as specs
from ..neurons.arguments import check_synapse, replaced
from ..neurons.integrate_and_fire import IntegrateAndFire
from ..neurons.poisson_input import PoissonInput
from ..neurons.response import match_rectifier
from .connections import bias_of, connect
from .nengo_objects import add_output, biased_node, linear_row, maximum_node, placed_neurons
from .network import NativeBase

INPUT_CODINGS = ("constant", "poisson")
READOUTS = ("potential", "spikes")


@dataclasses.dataclass(frozen=True)
class NativeConfig(NativeBase):
    """How ``convert`` and ``to_spiking`` make a network; the parameters are explained there."""

    max_rate: float = None
    input_coding: str = "constant"
    input_threshold: float = 1.0
    readout: str = "potential"
    synapse: object = None
    direct: bool = False
    output_synapse: object = 0.1
    probe_layers: tuple = ()

    builder_name: typing.ClassVar = "convert"
    accumulates: typing.ClassVar = True

    def __post_init__(self):
        super().__post_init__()
        if not isinstance(self.neuron_type, nengo.neurons.NeuronType):
            raise SettingsError(
                "neuron_type must be an instance of a Nengo neuron type, such as "
                f"nengo_snnconv.IntegrateAndFire(); got {self.neuron_type!r}"
            )
        check_choice(INPUT_CODINGS, input_coding=self.input_coding)
        check_choice(READOUTS, readout=self.readout)
        check_positive(input_threshold=self.input_threshold)
        if self.max_rate is not None:
            check_positive(max_rate=self.max_rate)
        check_synapse(synapse=self.synapse, output_synapse=self.output_synapse)
        check_flags(direct=self.direct)
        if self.readout == "spikes" and not self.neuron_type.spiking:
            raise SettingsError(f"readout='spikes' needs neurons that spike, {self.neuron_type} does not")
        self.match  # noqa: B018 -- raises where the type does not do

    @functools.cached_property
    def match(self):
        """How the neuron type stands in for the rectifier."""
        return match_rectifier(self.neuron_type, self.max_rate)

    @property
    def input_spikes(self):
        return self.input_coding == "poisson"

    @property
    def input_height(self):
        return self.input_threshold

    @property
    def input_range(self):
        return -self.input_threshold, self.input_threshold

    def wider_input(self, x):
        return f"to_spiking(..., input_threshold={np.abs(x).max():g})"

    @property
    def spike_amplitude(self):
        return self.match.neuron_type.amplitude

    def construct(self, network):
        model = network.model
        nengo_dl.configure_settings(trainable=False, planner=nengo_dl.graph_optimizer.noop_planner)
        driving = driving_neurons(model) if self.direct else set()
        for name, layer in model.layers.items():
            if name in driving:
                continue  # its neurons are placed with it
            if driving.intersection(layer.inputs):
                network.layers[name] = self._driven_neurons(model, layer, network.layers)
            else:
                network.layers[name] = _place(layer, self, model, network.layers)
        network.input = network.layers[model.input]
        if self.input_coding == "poisson":
            network.input = nengo.Node(np.zeros(model.size(model.input)), label="images")
            nengo.Connection(network.input, network.layers[model.input], synapse=None)
        scores = network.layers[model.output]
        if self.readout == "spikes" and not isinstance(model.layers[model.output], specs.Rectifier):
            neurons = self.neurons(model.size(model.output), "output_neurons")
            nengo.Connection(scores, neurons, synapse=None)
            scores = neurons
        add_output(network, scores, self.output_synapse, self.probe_layers)

    def neurons(self, size, label, bias=0.0, **changes):
        """The neurons of an ensemble that stands for rectifiers, with a constant input ``bias``.

        ``changes`` are to arguments of the neuron type.
        """
        gain = np.full(size, self.match.gain)
        neuron_type = replaced(self.match.neuron_type, **changes) if changes else self.match.neuron_type
        return placed_neurons(neuron_type, gain, self.match.gain * bias + np.full(size, self.match.bias), label)

    def _driven_neurons(self, model, rectifier, objects):
        """Neurons into which a weighted layer is connected without a node in between."""
        layer = model.layers[rectifier.inputs[0]]
        neurons = self.neurons(model.size(rectifier.name), rectifier.name, bias_of(layer, model))
        source = objects[layer.inputs[0]]
        connect(layer, model, [source], neurons, [self.synapse_from(source)])
        return neurons

    def synapse_from(self, source):
        """The filter on what ``source`` sends: spikes are filtered, everything else is not."""
        return self.synapse if isinstance(source, nengo.ensemble.Neurons) else None

    def report_row(self, layer, model):
        return _report(layer, self)

    def read_out_row(self):
        if self.readout == "potential":
            return ()
        remark = "counts of output spikes: negative scores become 0, and of equal counts the first class wins"
        return f"Ensemble ({type(self.neuron_type).__name__})", "approximated", remark


@functools.singledispatch
def _place(layer, settings, model, objects):
    """The Nengo object of one layer, connected to those of the layers that it reads.

    A linear layer is a Node that sums what its connections bring.
    """
    sources = [objects[name] for name in layer.inputs]
    return biased_node(layer, model, sources, [settings.synapse_from(source) for source in sources])


def driving_neurons(model):
    """Names of the weighted layers that nothing but one rectifier reads."""
    driving = set()
    for name, layer in model.layers.items():
        consumers = model.consumers(name)
        only_neurons = len(consumers) == 1 and isinstance(consumers[0], specs.Rectifier)
        if isinstance(layer, specs.Conv | specs.Dense) and only_neurons and name != model.output:
            driving.add(name)
    return driving


@_place.register
def _(layer: specs.Input, settings, model, objects):
    size = model.size(layer.name)
    if settings.input_coding == "constant":
        return nengo.Node(np.zeros(size), label=layer.name)
    neuron_type = PoissonInput(settings.input_threshold, settings.seed or 0)
    return placed_neurons(neuron_type, np.ones(size), np.zeros(size), layer.name)


@_place.register(specs.Flatten)
@_place.register(specs.Reshape)
def _(layer, settings, model, objects):
    return objects[layer.inputs[0]]  # the same signal: Nengo's are flat


@_place.register
def _(layer: specs.Rectifier, settings, model, objects):
    neurons, source = settings.neurons(model.size(layer.name), layer.name), objects[layer.inputs[0]]
    nengo.Connection(source, neurons, synapse=settings.synapse_from(source))
    return neurons


@_place.register(specs.MaxPool)
@_place.register(specs.GlobalMaxPool)
def _(layer, settings, model, objects):
    source = objects[layer.inputs[0]]
    cumulative = settings.neuron_type.spiking or settings.input_coding == "poisson"
    return maximum_node(layer, model, source, settings.synapse_from(source), cumulative)


@functools.singledispatch
def _report(layer, settings):
    """(Nengo object, "exact" or "approximated", remark)."""
    return linear_row(layer)


@_report.register
def _(layer: specs.Input, settings):
    if settings.input_coding == "constant":
        return "Node", "exact", "constant current"
    remark = f"random spikes, in each step with probability |x| / {settings.input_threshold:g}"
    return "Ensemble (PoissonInput)", "approximated", f"{remark}; what is above is clipped"


@_report.register
def _(layer: specs.Rectifier, settings):
    neuron_type = settings.neuron_type
    became = f"Ensemble ({type(neuron_type).__name__})"
    if isinstance(neuron_type, nengo.RectifiedLinear) and not neuron_type.spiking:
        return became, "exact", "rates"
    remark = "spikes: activations in whole numbers per run"
    if isinstance(neuron_type, IntegrateAndFire) and np.isfinite(neuron_type.max_spikes):
        remark += f", clipped at {neuron_type.max_spikes * 0.001 / neuron_type.amplitude:g}"
    if isinstance(neuron_type, nengo.RectifiedLinear | nengo.neurons.RatesToSpikesNeuronType):
        remark = f"drops negative current in each step, so it fires too much; {remark}"
    if settings.match.deviation > 1e-6:
        remark = f"response within {settings.match.deviation:.3f} of the rectifier's, up to 1; {remark}"
    return became, "approximated", remark


@_report.register(specs.MaxPool)
@_report.register(specs.GlobalMaxPool)
def _(layer, settings):
    if not settings.neuron_type.spiking:
        return "Ensemble (MaxGate)", "exact", ""
    return "Ensemble (MaxGate)", "exact", "as many spikes as the unit with the most so far"
