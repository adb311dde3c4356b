"""The native builder: networks of Nengo's own objects, which every back end runs."""

from __future__ import annotations

import dataclasses
import functools
import typing

import nengo
import numpy as np

from .._util.validation import check_choice, check_flags, check_positive
from ..compat import nengo_dl
from ..errors import ConversionError, SettingsError
from ..model import layers as specs
from ..neurons.arguments import check_synapse, replaced
from ..neurons.integrate_and_fire import IntegrateAndFire
from ..neurons.poisson_input import PoissonInput
from ..neurons.quantized_rectifier import rectifier_neurons
from ..neurons.response import match_rectifier
from ..neurons.signed_integrate_and_fire import SignedIntegrateAndFire
from .connections import bias_of, connect
from .edits import check_unedited
from .input_node import InputNode
from .layer_visitor import ReportRows, rates_remark
from .nengo_objects import NengoLayers, add_output, direct_neurons
from .network import ConvNetwork, NativeBase, check_not_own_network, describe_network, not_convertible
from .neuron_types import check_all_spike_or_none, check_neuron_types, check_one_for_each_layer

INPUT_CODINGS = ("constant", "poisson")
READOUTS = ("potential", "spikes")


@dataclasses.dataclass(frozen=True)
class NativeConfig(NativeBase):
    """Settings with which ``convert`` and ``to_spiking`` build a network; ``to_spiking`` explains them.

    ``neuron_types`` has the neuron type of each layer of neurons, in order, if they differ.  Output neurons have
    ``neuron_type``.
    """

    max_rate: float | None = None
    input_coding: str = "constant"
    input_threshold: float = 1.0
    readout: str = "potential"
    synapse: typing.Any = None
    direct: bool = False
    output_synapse: typing.Any = 0.1
    probe_layers: tuple[str, ...] = ()
    neuron_types: tuple[nengo.neurons.NeuronType, ...] = ()

    builder_name = "convert"
    accumulates = True

    def __post_init__(self):
        super().__post_init__()
        if not isinstance(self.neuron_type, nengo.neurons.NeuronType):
            raise SettingsError(
                "neuron_type must be an instance of a Nengo neuron type, such as "
                f"nengo_snnconv.IntegrateAndFire(); got {self.neuron_type!r}",
                argument="neuron_type",
            )
        check_choice(INPUT_CODINGS, input_coding=self.input_coding)
        check_choice(READOUTS, readout=self.readout)
        check_positive(input_threshold=self.input_threshold)
        if self.max_rate is not None:
            check_positive(max_rate=self.max_rate)
        check_synapse(synapse=self.synapse, output_synapse=self.output_synapse)
        check_flags(direct=self.direct)
        if self.readout == "spikes" and not self.neuron_type.spiking:
            raise SettingsError(
                f"readout='spikes' needs neurons that spike, {self.neuron_type} does not", argument="readout"
            )
        self.match  # noqa: B018 -- raises if the neuron type cannot stand in for the rectifier
        check_neuron_types(self.neuron_types)
        check_all_spike_or_none(self)

    @functools.cached_property
    def match(self):
        """Gain, bias and amplitude with which the neuron type approximates the rectifier: a ``Match``."""
        return match_rectifier(self.neuron_type, self.max_rate)

    @property
    def input_spikes(self):
        return self.input_coding == "poisson"

    @property
    def input_height(self):
        """Height of an input spike."""
        return self.input_threshold

    @property
    def input_range(self):
        """Lowest and highest input that input spikes can encode."""
        return -self.input_threshold, self.input_threshold

    def wider_input(self, x):
        """Return advice on how to encode ``x`` without clipping."""
        return f"to_spiking(..., input_threshold={np.abs(x).max():g})"

    @property
    def spike_amplitude(self):
        return self.match.neuron_type.amplitude

    def construct(self, network):
        model = network.model
        if self.neuron_types:
            check_one_for_each_layer(model, neuron_types=self.neuron_types)
        nengo_dl.configure_settings(trainable=False, planner=nengo_dl.graph_optimizer.noop_planner)
        network.layers = NativeLayers(self, model).build()
        network.input = network.layers[model.input]
        if self.input_coding == "poisson":
            network.input = InputNode(model.size(model.input), "images")
            nengo.Connection(network.input, network.layers[model.input], synapse=None)
        scores = network.layers[model.output]
        if self.readout == "spikes" and not isinstance(model.layers[model.output], specs.Rectifier):
            neurons = self.make_neurons(model.size(model.output), "output_neurons")
            nengo.Connection(scores, neurons, synapse=None)
            scores = neurons
        add_output(network, scores, self.output_synapse, self.probe_layers)

    def make_neurons(self, size, label, bias=0.0, levels=None, **changes):
        """Make an ensemble in place of rectifiers, and return its neurons.

        Parameters
        ----------
        size : int
            Number of neurons.
        label : str
        bias : float or ndarray, (size,)
            Constant input, in units of the rectifier's input.
        levels : int, optional
            Levels of the rectifiers; spikes have no need of them.
        **changes
            Arguments of the neuron type to change.
        """
        match = self.match
        neuron_type = replaced(match.neuron_type, **changes) if changes else match.neuron_type
        neuron_type = rectifier_neurons(neuron_type, levels)
        return direct_neurons(neuron_type, size, label, match.gain, match.gain * bias + match.bias)

    def report_row(self, layer, model):
        return NativeRows(self.of_layer(model, layer.name)).visit(layer)

    def read_out_row(self):
        if self.readout == "potential":
            return ()
        remark = "counts of output spikes: negative scores become 0, and of equal counts the first class wins"
        return f"Ensemble ({type(self.neuron_type).__name__})", "approximated", remark


class NativeLayers(NengoLayers):
    """Nengo objects of the layers.

    With ``direct=True``, weighted layers that only one rectifier reads have no node: their connections end in the
    neurons, whose bias currents include the layer's bias.
    """

    def __init__(self, config, model):
        cumulative = config.neuron_type.spiking or config.input_coding == "poisson"
        super().__init__(model, config.synapse, cumulative)
        self.config = config

    def build(self):
        objects, driving = {}, driving_layers(self.model) if self.config.direct else set()
        for name, layer in self.model.layers.items():
            if name in driving:
                continue  # connected when its neurons are made
            if driving.intersection(layer.inputs):
                driver = self.model.layers[layer.inputs[0]]
                objects[name] = self.make_driven_neurons(layer, driver, objects[driver.inputs[0]])
            else:
                objects[name] = self.visit(layer, [objects[source] for source in layer.inputs])
        return objects

    def visit_input(self, layer, sources):
        if self.config.input_coding == "constant":
            return super().visit_input(layer, sources)
        neuron_type = PoissonInput(self.config.input_threshold, self.config.seed or 0)
        return direct_neurons(neuron_type, self.model.size(layer.name), layer.name)

    def make_neurons(self, layer):
        config = self.config.of_layer(self.model, layer.name)
        return config.make_neurons(self.model.size(layer.name), layer.name, levels=layer.levels)

    def make_driven_neurons(self, rectifier, driver, source):
        """Make the neurons of a rectifier, and connect its weighted layer ``driver`` to them without a node."""
        bias = bias_of(driver, self.model)
        size, levels = self.model.size(rectifier.name), rectifier.levels
        config = self.config.of_layer(self.model, rectifier.name)
        neurons = config.make_neurons(size, rectifier.name, bias, levels)
        connect(driver, self.model, [source], neurons, [self.synapse_from(source)])
        return neurons


def driving_layers(model):
    """Return the names of the convolutions and dense layers whose only reader is a rectifier."""
    driving = set()
    for name, layer in model.layers.items():
        consumers = model.consumers(name)
        only_neurons = len(consumers) == 1 and isinstance(consumers[0], specs.Rectifier)
        if isinstance(layer, specs.Conv | specs.Dense) and only_neurons and name != model.output:
            driving.add(name)
    return driving


class NativeRows(ReportRows):
    """Report of the layers."""

    def visit_input(self, layer):
        if self.config.input_coding == "constant":
            return "Node", "exact", "constant current"
        remark = f"random spikes, in each step with probability |x| / {self.config.input_threshold:g}"
        return "Ensemble (PoissonInput)", "approximated", f"{remark}; larger values are clipped"

    def visit_neurons(self, layer):
        neuron_type, deviation = self.config.neuron_type, self.config.match.deviation
        became = f"Ensemble ({type(neuron_type).__name__})"
        if isinstance(neuron_type, nengo.RectifiedLinear) and not neuron_type.spiking:
            return became, "exact", rates_remark(layer)
        remark = "spikes: activations in whole numbers per run"
        if isinstance(neuron_type, IntegrateAndFire) and np.isfinite(neuron_type.max_spikes):
            remark += f", clipped at {neuron_type.max_spikes * 0.001 / neuron_type.amplitude:g}"
        if isinstance(neuron_type, SignedIntegrateAndFire):
            remark += "; spikes can be negative, to take back earlier ones"
        if isinstance(neuron_type, nengo.RectifiedLinear | nengo.neurons.RatesToSpikesNeuronType):
            remark = f"drops negative current in each step, so it fires too much; {remark}"
        if deviation > 1e-6:
            remark = f"response within {deviation:.3f} of the rectifier's, up to 1; {remark}"
        return became, "approximated", remark

    def visit_maximum(self, layer):
        remark = "as many spikes as the unit with the most so far" if self.config.neuron_type.spiking else ""
        return "Ensemble (MaxGate)", "exact", remark


def is_native_network(network):
    """Return True for networks that ``convert``, ``normalize``, ``to_spiking`` or ``to_loihi`` made."""
    return isinstance(network, ConvNetwork) and isinstance(network.settings, NativeConfig)


def require_native_network(
    network, function, *, origin="convert", advice="", spiking=None, calibrated=False, error=ConversionError
):
    """Check that the argument of a function is a native network that was not changed by hand.

    Parameters
    ----------
    network : object
        Argument to check.
    function : str
        Name of the function that was called, for the message.
    origin : str
        Name of the function that makes suitable networks, for the message.
    advice : str, optional
        Way out, for the message; by default to call ``origin`` first.
    spiking : bool, optional
        Require neurons that spike (True), or rates (False); None accepts both.
    calibrated : bool
        Accept networks that ``calibrate`` or ``train`` made with spikes, whose weights are not those of the ANN.
    error : callable
        Makes the exception, from its message, for any object but a native network.

    Raises
    ------
    ConversionError, or the class that ``error`` makes
    SettingsError
        If the network was changed by hand.
    """
    check_not_own_network(network, error)
    if not is_native_network(network):
        advice = advice or not_convertible(network) or f"call {origin} first"
        raise error(f"{function} takes a network that {origin} made, got {describe_network(network)}: {advice}")
    check_unedited(network)
    require_unsplit(network.model, function, error)
    if spiking is False and network.settings.neuron_type.spiking:
        raise ConversionError(
            f"{function} takes a network of rates, as convert makes it; this one has spikes: leave to_spiking out"
        )
    if spiking and not network.settings.neuron_type.spiking:
        raise ConversionError(f"{function} takes a network that spikes, this one has rates: call to_spiking first")
    if not calibrated:
        require_uncalibrated(network.model, function)


def require_unsplit(model, function, error=ConversionError):
    """Raise ConversionError, or what ``error`` makes of a message, for a model whose neurons are split into several."""
    if "split" in model.metadata:
        raise error(f"{function} takes a network whose neurons are not split: call it before split_neurons")


def why_filtered(model, function):
    """Return why a function cannot take a model with filters over time, with a way out; empty if it has none."""
    if not model.filters:
        return ""
    return (
        f"{function} needs a network without filters over time, this one has {', '.join(model.filters[:3])}: read a "
        "graph without LI, CubaLI and Delay nodes"
    )


def require_uncalibrated(model, function):
    """Raise ConversionError for a model whose weights ``calibrate``, ``train`` or ``quantize_weights`` changed."""
    if model.ann_arrays or "quantization" in model.metadata:
        changed_by = "quantize_weights" if "quantization" in model.metadata else "calibrate or train"
        # save(..., ann=False) drops the weights of the ANN
        again = "; if there is only this one, begin again in Python with its ANN, snc.convert(network.model.ann)"
        from_file = again if model.ann_arrays else ""
        raise ConversionError(
            f"{function} needs the weights of the ANN, and {changed_by} changed those of this network: call "
            f"{function} with the network before that{from_file}"
        )
