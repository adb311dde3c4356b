"""The builder for time to first spike: layers of two-stage neurons, one stage after another."""

import dataclasses
import functools
import typing

import nengo
import numpy as np

from .._util.validation import check_flags, check_positive
from ..compat import nengo_dl, tf
from ..errors import SettingsError
from ..model import layers as specs
from ..model.connectivity import is_event_source
from ..neurons.arguments import replaced
from ..neurons.time_to_first_spike import FirstSpikeInput, FirstSpikeReadout, TimeToFirstSpike
from .connections import bias_of
from .keras_layers import keras_name
from .nengo_objects import add_output, linear_node, linear_row, maximum_node, placed_neurons
from .network import NativeBase


@dataclasses.dataclass(frozen=True)
class TTFSConfig(NativeBase):
    """How ``to_ttfs`` makes a network; the parameters are explained there."""

    x_max: float = 1.0
    signed: bool = False
    output_synapse: object = None
    probe_layers: tuple = ()

    builder_name: typing.ClassVar = "to_ttfs"
    input_spikes: typing.ClassVar = True

    def __post_init__(self):
        super().__post_init__()
        if not isinstance(self.neuron_type, TimeToFirstSpike):
            raise SettingsError(f"neuron_type must be a TimeToFirstSpike, got {self.neuron_type!r}")
        check_positive(x_max=self.x_max)
        check_flags(signed=self.signed)

    @property
    def input_height(self):
        return self.x_max

    @property
    def input_range(self):
        return -self.x_max if self.signed else 0.0, self.x_max

    def wider_input(self, x):
        wanted = "such images among x_calibration" if x.min() < self.input_range[0] else f"x_max={x.max():g}"
        return f"to_ttfs(...) with {wanted}"

    @property
    def stage_steps(self):
        """Steps of a stage."""
        return self.neuron_type.n_steps

    def total_steps(self, model):
        """Steps from the first spike of the input until the scores are complete."""
        return self.stage_steps * (stages(model)[model.output] + 1)

    def relay_stages(self, model):
        sent = stages(model)
        latest = dict(sent)
        for name, layer in reversed(model.layers.items()):
            reads_in = sent[name] - 1 if isinstance(layer, specs.Rectifier) else latest[name]
            for source in layer.inputs:
                latest[source] = max(latest[source], reads_in)
        return {name: latest[name] - sent[name] for name in model.neurons}

    def rate(self, model, name):
        # without the neurons that were put before a maximum there is the ANN itself, which has no floor
        added = name in model.metadata.get("neurons before maxima", {}).values()
        return tf.keras.layers.Activation("linear", name=keras_name(name)) if added else super().rate(model, name)

    def construct(self, network):
        nengo_dl.configure_settings(trainable=False, planner=nengo_dl.graph_optimizer.noop_planner)
        model = network.model
        network.input = nengo.Node(np.zeros(model.size(model.input)), label="images")
        placement = _Placement(self, model, network.input)
        for name in model.layers:
            network.layers[name] = placement.at(name, placement.stages[name])
        stage = placement.stages[model.output]
        readout = self.place(FirstSpikeReadout, stage, model.size(model.output), "output_neurons")
        nengo.Connection(network.layers[model.output], readout, synapse=None)
        add_output(network, readout, self.output_synapse, self.probe_layers)

    def place(self, cls, stage, size, label, **options):
        """The neurons of an ensemble of staged neurons."""
        neuron_type = cls(n_steps=self.stage_steps, stage=stage, amplitude=self.spike_amplitude, **options)
        return placed_neurons(neuron_type, np.ones(size), np.zeros(size), label)

    def steps_without_scores(self, model):
        return self.total_steps(model) - self.stage_steps

    def report_row(self, layer, model):
        became, how, remark = _report(layer, self)
        if times := self.relay_stages(model).get(layer.name):
            remark += f"; sent again in {times} more stage{'s' if times > 1 else ''}"
        if layer.name in model.metadata.get("neurons before maxima", ()):
            floor = "it does not fall below the smallest one on the calibration data"
            how, remark = "approximated", f"{remark}, of neurons that were put in front: {floor}"
        return became, how, remark

    def read_out_row(self):
        return "Ensemble (FirstSpikeReadout)", "exact", "membrane potential, after the last stage"


def stages(model):
    """The stage in which each layer sends, {name: int}: that of its latest source, one more for neurons, 0 first."""
    found = {}
    for name, layer in model.layers.items():
        latest = max((found[source] for source in layer.inputs), default=0)
        found[name] = latest + isinstance(layer, specs.Rectifier)
    return found


def spike_sources(model):
    """The only class of layer that makes the spikes which each layer passes on; None where it sums or mixes them.

    Parameters
    ----------
    model : Model

    Returns
    -------
    dict of str to type or None
        ``Input`` or ``Rectifier``, by the name of the layer.
    """
    found = {}
    for name, layer in model.layers.items():
        kinds = {found[source] for source in layer.inputs}
        if isinstance(layer, specs.Input | specs.Rectifier):
            found[name] = type(layer)
        elif (isinstance(layer, specs.Selection) or is_event_source(layer)) and len(kinds) == 1:
            found[name] = kinds.pop()
        else:
            found[name] = None
    return found


class _Placement:
    """Places what each layer sends in a stage: early signals are sent again, stage after stage, where they meet others.

    The image is there all the time, so it is made into spikes in whichever stage it is read.  Spikes of neurons are
    sent again by neurons of the same type, each driven by one, whose spikes are the same one stage later.
    """

    def __init__(self, settings, model, image):
        self.settings, self.model, self.image = settings, model, image
        self.stages = stages(model)
        self.placed, self.ones = {}, {}

    def at(self, name, stage):
        """The object that carries layer ``name`` in ``stage``."""
        waiting = [(name, stage)]
        while waiting:
            missing = [key for key in self._reads(*waiting[-1]) if key not in self.placed]
            if missing:
                waiting.extend(reversed(missing))
            elif (key := waiting.pop()) not in self.placed:
                self.placed[key] = self._place(self.model.layers[key[0]], key[1])
        return self.placed[name, stage]

    def _reads(self, name, stage):
        """What the object that carries layer ``name`` in ``stage`` reads: (layer, stage) each."""
        layer = self.model.layers[name]
        if isinstance(layer, specs.Rectifier):
            return [(name if stage > self.stages[name] else layer.inputs[0], stage - 1)]
        return [(source, stage) for source in layer.inputs]

    def _place(self, layer, stage):
        model = self.model
        if isinstance(layer, specs.Input):
            options = {"x_max": self.settings.x_max, "signed": self.settings.signed}
            return self._encoded(self.image, stage, self._label(layer, stage), **options)
        if isinstance(layer, specs.Rectifier):
            again = stage > self.stages[layer.name]
            (read,) = self._reads(layer.name, stage)
            source = self.placed[read]
            neuron_type = replaced(self.settings.neuron_type, stage=stage - 1)
            neuron_type = replaced(neuron_type, threshold=1.0) if again else neuron_type
            size = model.size(layer.name)
            neurons = placed_neurons(neuron_type, np.ones(size), np.zeros(size), self._label(layer, stage))
            nengo.Connection(source, neurons, synapse=None)
            return neurons
        sources = [self.placed[read] for read in self._reads(layer.name, stage)]
        if isinstance(layer, specs.Flatten | specs.Reshape):
            return sources[0]
        if is_event_source(layer):
            return maximum_node(layer, model, sources[0], None, cumulative=True)
        node = linear_node(layer, model, sources, [None] * len(sources))
        bias = bias_of(layer, model)
        if bias.any():
            nengo.Connection(self._one(stage), node, transform=bias[:, None], synapse=None)
        return node

    def _label(self, layer, stage):
        sent = self.stages[layer.name]
        return layer.name if stage == sent else f"{layer.name}.again{stage - sent}"

    def _one(self, stage):
        """A neuron that spikes in the first step of a stage: biases as current."""
        if stage not in self.ones:
            always = nengo.Node([1.0], label="one")
            self.ones[stage] = self._encoded(always, stage, f"bias{stage}")
        return self.ones[stage]

    def _encoded(self, source, stage, label, **options):
        neurons = self.settings.place(FirstSpikeInput, stage, source.size_out, label, **options)
        nengo.Connection(source, neurons, synapse=None)
        return neurons


@functools.singledispatch
def _report(layer, settings):
    """(Nengo object, "exact" or "approximated", remark)."""
    return linear_row(layer)


@_report.register
def _(layer: specs.Input, settings):
    remark = f"one spike each at most, in {settings.stage_steps} steps; above {settings.x_max:g} it is clipped"
    remark += ", values below 0 are negative spikes" if settings.signed else ", below 0 it is silent"
    return "Ensemble (FirstSpikeInput)", "approximated", remark


@_report.register
def _(layer: specs.Rectifier, settings):
    remark = f"one spike each at most: activations in multiples of 1 / {settings.stage_steps}, up to 1"
    return "Ensemble (TimeToFirstSpike)", "approximated", remark


@_report.register(specs.MaxPool)
@_report.register(specs.GlobalMaxPool)
def _(layer, settings):
    return "Ensemble (MaxGate)", "exact", "the earliest spike"
