"""The builder for time to first spike: layers of two-stage neurons that spike one stage after another."""

from __future__ import annotations

import dataclasses
import typing

import nengo
import numpy as np

from .._util.text_tables import counted
from .._util.validation import check_choice, check_flags, check_positive
from ..compat import nengo_dl, tf
from ..errors import SettingsError
from ..model import layers as specs
from ..model.connectivity import is_event_source
from ..neurons.arguments import replaced
from ..neurons.time_to_first_spike import ConstantInput, FirstSpikeInput, FirstSpikeReadout, TimeToFirstSpike
from .connections import bias_of
from .input_node import InputNode
from .keras_layers import keras_name
from .layer_visitor import ReportRows, refuse_filter
from .nengo_objects import NengoLayers, add_output, direct_neurons, linear_node
from .network import NativeBase
from .stages import stages

INPUT_CODINGS = ("spikes", "constant")


@dataclasses.dataclass(frozen=True)
class TTFSConfig(NativeBase):
    """Settings with which ``to_ttfs`` builds a network, which explains them."""

    x_max: float = 1.0
    signed: bool = False
    input_coding: str = "spikes"
    output_synapse: typing.Any = None
    probe_layers: tuple[str, ...] = ()

    builder_name = "to_ttfs"

    def __post_init__(self):
        super().__post_init__()
        if not isinstance(self.neuron_type, TimeToFirstSpike):
            raise SettingsError(
                f"neuron_type must be a TimeToFirstSpike, got {self.neuron_type!r}", argument="neuron_type"
            )
        check_positive(x_max=self.x_max)
        check_flags(signed=self.signed)
        check_choice(INPUT_CODINGS, input_coding=self.input_coding)

    @property
    def input_spikes(self):
        return self.input_coding == "spikes"

    @property
    def input_height(self):
        """Height of an input spike."""
        return self.x_max

    @property
    def input_range(self):
        """Lowest and highest input that input spikes can encode."""
        return -self.x_max if self.signed else 0.0, self.x_max

    def wider_input(self, x):
        """Return advice on how to encode ``x`` without clipping."""
        change = "such images among x_calibration" if x.min() < self.input_range[0] else f"x_max={x.max():g}"
        return f"to_ttfs(...) with {change}"

    def encoded(self, x):
        """Return the values of images that the first layers receive, of the shape of ``x``."""
        if self.input_coding == "constant":
            return x
        level = np.minimum(np.floor(np.abs(x) * (self.stage_steps / self.x_max) + 0.5), self.stage_steps)
        sign = np.maximum(np.sign(x), -1 if self.signed else 0)
        return (level * sign).astype(np.float32) * (self.x_max / self.stage_steps)

    @property
    def stage_steps(self):
        """Number of time steps of a stage."""
        return self.neuron_type.n_steps

    def total_steps(self, model):
        """Return the number of steps from the first input spike until the scores are complete."""
        return self.stage_steps * (stages(model)[model.output] + 1)

    def steps_without_scores(self, model):
        return self.total_steps(model) - self.stage_steps

    def active_steps(self, model, name):
        return 2 * self.stage_steps

    def relay_stages(self, model):
        stage_of = stages(model)
        last_read = dict(stage_of)
        for name, layer in reversed(model.layers.items()):
            reads_in = stage_of[name] - 1 if isinstance(layer, specs.Rectifier) else last_read[name]
            for source in layer.inputs:
                last_read[source] = max(last_read[source], reads_in)
        return {name: last_read[name] - stage_of[name] for name in model.neurons}

    def rate_layer(self, model, name):
        # neurons that were inserted before a maximum are not part of the ANN, whose sums can be negative
        inserted = name in model.metadata.get("neurons before maxima", {}).values()
        if inserted:
            return tf.keras.layers.Activation("linear", name=keras_name(name))
        return super().rate_layer(model, name)

    def construct(self, network):
        nengo_dl.configure_settings(trainable=False, planner=nengo_dl.graph_optimizer.noop_planner)
        model = network.model
        network.input = InputNode(model.size(model.input), "images")
        placement = Placement(self, model, network.input)
        for name in model.layers:
            network.layers[name] = placement.place(name, placement.stage_of[name])
        stage = placement.stage_of[model.output]
        readout = self.staged_neurons(FirstSpikeReadout, stage, model.size(model.output), "output_neurons")
        nengo.Connection(network.layers[model.output], readout, synapse=None)
        add_output(network, readout, self.output_synapse, self.probe_layers)

    def staged_neurons(self, cls, stage, size, label, **options):
        """Make ``size`` neurons of a staged type ``cls``, which take their input in stage ``stage``."""
        neuron_type = cls(n_steps=self.stage_steps, stage=stage, amplitude=self.spike_amplitude, **options)
        return direct_neurons(neuron_type, size, label)

    def report_row(self, layer, model):
        became, exactness, remark = TTFSRows(self).visit(layer)
        if times := self.relay_stages(model).get(layer.name):
            remark += f"; sent again in {times} more stage{'s' if times > 1 else ''}"
        if layer.name in model.metadata.get("neurons before maxima", ()):
            floor = "it does not fall below the smallest one on the calibration data"
            exactness, remark = "approximated", f"{remark}, of neurons that were put in front: {floor}"
        return became, exactness, remark

    def read_out_row(self):
        return "Ensemble (FirstSpikeReadout)", "exact", "membrane potential, after the last stage"


def spike_sources(model):
    """Return, for each layer, the class of the layers whose spikes it passes on unchanged.

    Parameters
    ----------
    model : Model

    Returns
    -------
    dict of str to type or None
        ``Input`` or ``Rectifier``, by name of the layer; None for layers that sum spikes, or mix those of both classes.
    """
    source_classes = {}
    for name, layer in model.layers.items():
        classes = {source_classes[source] for source in layer.inputs}
        if isinstance(layer, specs.Input | specs.Rectifier):
            source_classes[name] = type(layer)
        elif (isinstance(layer, specs.Selection) or is_event_source(layer)) and len(classes) == 1:
            source_classes[name] = classes.pop()
        else:
            source_classes[name] = None
    return source_classes


class Placement:
    """Places the layers of a model in stages.

    A layer that reads signals of different stages needs all of them in the latest one.  Earlier spikes of neurons are
    therefore relayed, stage after stage, by neurons of the same type with one input each, which repeat the spikes one
    stage later.  The image is constant, so it is encoded as spikes in each stage in which it is read.

    Parameters
    ----------
    config : TTFSConfig
    model : Model
    image : nengo.Node

    Attributes
    ----------
    stage_of : dict of str to int
        Stage in which each layer spikes, without relays.
    """

    def __init__(self, config, model, image):
        self.config, self.model, self.image = config, model, image
        self.stage_of = stages(model)
        self._objects, self._layers = {}, {}

    def place(self, name, stage):
        """Return the object that carries layer ``name`` in ``stage``; make it and those it reads if necessary."""
        waiting = [(name, stage)]
        while waiting:
            missing = [key for key in self._sources(*waiting[-1]) if key not in self._objects]
            if missing:
                waiting.extend(reversed(missing))
            elif (key := waiting.pop()) not in self._objects:
                sources = [self._objects[source] for source in self._sources(*key)]
                self._objects[key] = self._layers_of(key[1]).visit(self.model.layers[key[0]], sources)
        return self._objects[name, stage]

    def _sources(self, name, stage):
        """Return the (layer, stage) pairs that layer ``name`` reads in ``stage``."""
        layer = self.model.layers[name]
        if isinstance(layer, specs.Rectifier):
            return [(name if stage > self.stage_of[name] else layer.inputs[0], stage - 1)]
        return [(source, stage) for source in layer.inputs]

    def _layers_of(self, stage):
        if stage not in self._layers:
            self._layers[stage] = TTFSLayers(self.config, self.model, self.image, stage, self.stage_of)
        return self._layers[stage]


class TTFSLayers(NengoLayers):
    """Makes the Nengo objects of the layers in one stage."""

    def __init__(self, config, model, image, stage, stage_of):
        super().__init__(model, cumulative=True)
        self.config, self.image, self.stage, self.stage_of = config, image, stage, stage_of
        self.one = None

    def visit_input(self, layer, sources):
        if self.config.input_coding == "constant":
            return self._encode(ConstantInput, self.image, self._label(layer))
        options = {"x_max": self.config.x_max, "signed": self.config.signed}
        return self._encode(FirstSpikeInput, self.image, self._label(layer), **options)

    def make_neurons(self, layer):
        neuron_type = replaced(self.config.neuron_type, stage=self.stage - 1)
        if self.stage > self.stage_of[layer.name]:
            neuron_type = replaced(neuron_type, threshold=1.0)  # a relay
        return direct_neurons(neuron_type, self.model.size(layer.name), self._label(layer))

    def visit_filter(self, layer, sources):
        refuse_filter(layer, "to_ttfs")

    def visit_linear(self, layer, sources):
        node = linear_node(layer, self.model, sources, [None] * len(sources))
        bias = bias_of(layer, self.model)
        if bias.any():
            nengo.Connection(self._one(), node, transform=bias[:, None], synapse=None)
        return node

    def _label(self, layer):
        relays = self.stage - self.stage_of[layer.name]
        return f"{layer.name}.again{relays}" if relays else layer.name

    def _one(self):
        """Return a neuron that spikes in the first step of the stage, which encodes 1; biases are its weights."""
        if self.one is None:
            self.one = self._encode(FirstSpikeInput, nengo.Node([1.0], label="one"), f"bias{self.stage}")
        return self.one

    def _encode(self, cls, source, label, **options):
        neurons = self.config.staged_neurons(cls, self.stage, source.size_out, label, **options)
        nengo.Connection(source, neurons, synapse=None)
        return neurons


class TTFSRows(ReportRows):
    """Report of the layers."""

    def visit_input(self, layer):
        config = self.config
        if config.input_coding == "constant":
            return "Ensemble (ConstantInput)", "exact", "constant current in each stage that reads it"
        remark = (
            f"one spike each at most, in {counted(config.stage_steps, 'step')}; above {config.x_max:g} it is clipped"
        )
        remark += ", values below 0 are negative spikes" if config.signed else ", below 0 it is silent"
        return "Ensemble (FirstSpikeInput)", "approximated", remark

    def visit_neurons(self, layer):
        remark = f"one spike each at most: activations in multiples of 1 / {self.config.stage_steps}, up to 1"
        return "Ensemble (TimeToFirstSpike)", "approximated", remark

    def visit_maximum(self, layer):
        return "Ensemble (MaxGate)", "exact", "the earliest spike"
