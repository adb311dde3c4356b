"""The builder for Loihi: neurons with nothing but weights between them, of which those that see the image are off-chip.

nengo_loihi puts neurons on the chip, and nodes on its host.  What lies between neurons is therefore merged into one
connection for each pair of layers, average pooling and all; the image becomes spikes on the host.
"""

import dataclasses
import functools
import typing

import nengo
import numpy as np
from nengo.synapses import SynapseParam

from ... import compat
from ...errors import ConversionError
from ...model import layers as specs
from ..edits import check_unedited
from ..native import NativeConfig
from ..nengo_objects import add_output
from ..network import ConvNetwork, described
from .cores import ChipLayer, as_image, cores, spread
from .linear_maps import linear_maps

NEURON_TYPES = (nengo.LIF, nengo.SpikingRectifiedLinear)
ADVICE = "to_spiking(network, nengo.LIF(min_voltage=-5), max_rate=300)"
OUTPUT_NEURONS = "output/neurons"  # no layer's name has a slash


@dataclasses.dataclass(frozen=True)
class LoihiConfig(NativeConfig):
    """How ``to_loihi`` makes a network; the parameters are those of ``to_spiking``."""

    builder_name: typing.ClassVar = "to_loihi"

    def __post_init__(self):
        super().__post_init__()
        name = type(self.neuron_type).__name__
        if not self.neuron_type.spiking:
            raise ConversionError(f"{name} does not spike, as the neurons of Loihi do: {ADVICE}")
        if type(self.neuron_type) not in NEURON_TYPES:
            raise ConversionError(
                f"Loihi has no {name} neurons: use nengo.LIF or nengo.SpikingRectifiedLinear, as in {ADVICE}"
            )
        if self.input_coding != "constant":
            raise ConversionError(
                f"input_coding={self.input_coding!r} needs PoissonInput neurons, which nengo_loihi does not have: use "
                "input_coding='constant'"
            )
        synapse = SynapseParam("synapse").coerce(None, self.synapse)
        if not (synapse is None or isinstance(synapse, nengo.Lowpass)):
            raise ConversionError(f"Loihi filters spikes by nengo.Lowpass only, got synapse={synapse!r}")

    def construct(self, network):
        model, plan = network.model, plan_of(network.model, self.readout)
        compat.nengo_dl.configure_settings(trainable=False, planner=compat.nengo_dl.graph_optimizer.noop_planner)
        compat.nengo_loihi.add_params(network)
        network.input = network.layers[model.input] = nengo.Node(np.zeros(model.size(model.input)), label=model.input)
        for name, part in plan.items():
            if name == OUTPUT_NEURONS or isinstance(model.layers[name], specs.Rectifier):
                placed = self._neurons(network, name, part)
            else:
                placed = nengo.Node(size_in=len(part.constant), label=name)
                if part.constant.any():
                    nengo.Connection(nengo.Node(part.constant, label=f"{name}.bias"), placed, synapse=None)
            for reached in part.maps:
                source = network.layers[reached.source]
                leaves_chip = part.share is None and reached.source != model.input and plan[reached.source].share
                transform = reached.matrix.toarray() if leaves_chip else _transform(reached)
                nengo.Connection(source, placed, transform=transform, synapse=self.synapse_from(source))
            if name != OUTPUT_NEURONS:
                network.layers[name] = placed
        add_output(network, network.layers.get(model.output, placed), self.output_synapse, self.probe_layers)

    def _neurons(self, network, name, part):
        """The neurons of a layer, on the chip or on the host."""
        # on the chip they all begin at zero
        changes = {"initial_state": {"voltage": nengo.dists.Choice([0])}} if part.share else {}
        neurons = self.neurons(len(part.constant), name, part.constant, **changes)
        config = network.config[neurons.ensemble]
        config.on_chip = part.share is not None
        if part.share:
            config.block_shape = compat.nengo_loihi.BlockShape(part.share, part.shape)
        return neurons

    def report_row(self, layer, model):
        plan = plan_of(model, self.readout)
        if isinstance(layer, specs.Input):
            return super().report_row(layer, model)
        if isinstance(layer, specs.Rectifier):
            became, status, remark = super().report_row(layer, model)
            part = plan[layer.name]
            if part.share is None:
                return f"{became}, off-chip", status, remark
            taken = cores(part.shape, part.share)
            remark = f"starts at zero, forgets what is above the threshold; {remark}"
            return f"{became} on {taken} core{'s' if taken > 1 else ''}", status, remark
        ends = _ends(model, layer.name)
        if any(plan[end].share for end in ends if end in plan):
            return "weights", "approximated", f"merged into those of {', '.join(ends)}, 8 bits"
        return "weights", "exact", "off-chip"


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """What stands for a layer of neurons, or for the output.

    Attributes
    ----------
    maps : list of LinearMap
    constant : ndarray, (size,)
        What reaches it.
    shape : tuple of int
        (rows, columns, channels).
    share : tuple of int or None
        What each core takes of it; None off the chip.
    """

    maps: list
    constant: np.ndarray
    shape: tuple
    share: tuple = None


@functools.lru_cache(maxsize=2)  # a report asks for it again, layer by layer
def plan_of(model, readout):
    """Which neurons are on the chip and how they are spread over its cores.

    Parameters
    ----------
    model : Model
    readout : "potential" or "spikes"

    Returns
    -------
    dict of str to Part
        For layers of neurons, and for the output, in order; output neurons are "output/neurons".

    Raises
    ------
    ConversionError
        If there is a maximum, neurons of the chip and the image are read together, none would be on the chip, or
        some do not fit on its cores.
    """
    plan, on_chip = {}, []
    for name in model.neurons:
        plan[name] = _part(model, name, model.layers[name].inputs[0])
        if _reads_no_image(model, name, plan[name].maps, on_chip):
            on_chip.append(name)
    if model.output not in plan:
        name = OUTPUT_NEURONS if readout == "spikes" else model.output
        plan[name] = _part(model, model.output, model.output)
        if _reads_no_image(model, model.output, plan[name].maps, on_chip) and readout == "spikes":
            on_chip.append(name)
        else:
            # what leaves the chip is weighted by matrices only
            plan[name] = _part(model, model.output, model.output, windows=False)
    if not on_chip:
        raise ConversionError(
            "no neurons would be on the chip, because those that see the image are not: take a network with two layers "
            "of neurons at least, or readout='spikes'"
        )
    shares = spread([ChipLayer(name, plan[name].shape, plan[name].maps) for name in on_chip])
    return {name: dataclasses.replace(part, share=shares.get(name)) for name, part in plan.items()}


def _part(model, name, read, windows=True):
    maps, constant = linear_maps(model, read, windows)
    return Part(maps, constant, as_image(model.shapes[name]))


def _reads_no_image(model, name, maps, on_chip):
    """Whether a layer reads neurons only; raises where it cannot be."""
    sources = [reached.source for reached in maps]
    for source in sources:
        layer = model.layers[source]
        if isinstance(layer, specs.MaxPool | specs.GlobalMaxPool):
            raise ConversionError(
                f"{source} ({type(layer).__name__}): Loihi has no neurons that take maxima of spikes: train the model "
                "with average pooling or strides in its place"
            )
    if model.input not in sources:
        return True
    both = [source for source in sources if source in on_chip]
    if both and name in model.neurons:
        raise ConversionError(
            f"{name} reads the image beside {', '.join(both)}, which are on the chip, where the image is not: let it "
            "read neurons that see the image instead"
        )
    return False


def _ends(model, name):
    """The layers of neurons, or the output, in which a linear layer ends."""
    ends, seen, waiting = [], set(), [name]
    while waiting:
        current = waiting.pop()
        if current in seen:
            continue
        seen.add(current)
        if current == model.output or isinstance(model.layers[current], specs.Rectifier):
            ends.append(current)
        else:
            waiting.extend(layer.name for layer in reversed(model.consumers(current)))
    return ends


def _transform(reached):
    """What a map is in Nengo."""
    if reached.window is None:
        return nengo.Sparse(reached.matrix.shape, init=reached.matrix)
    kernel = reached.window.kernel
    return nengo.Convolution(
        kernel.shape[-1],
        reached.window.shape,
        kernel_size=kernel.shape[:2],
        strides=reached.window.strides,
        padding=reached.window.padding,
        init=kernel,
    )


def loihi_form(network, **changes):
    """A spiking network in the form that nengo_loihi takes; see ``to_loihi``.  ``changes`` are to its settings."""
    if not (isinstance(network, ConvNetwork) and isinstance(network.settings, NativeConfig)):
        raise ConversionError(
            f"Loihi takes a network that to_spiking made, got {described(network)}: convert a Keras model, or a "
            f"network that was trained with nengo.RectifiedLinear(), normalize it, and call {ADVICE}"
        )
    check_unedited(network)
    fields = {field.name: getattr(network.settings, field.name) for field in dataclasses.fields(network.settings)}
    return ConvNetwork(network.model, LoihiConfig(**{**fields, **changes}), network.label)
