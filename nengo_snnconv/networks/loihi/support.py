"""Networks that Loihi does not support: ``to_loihi`` refuses them, and ``check_hardware`` lists the reasons."""

from __future__ import annotations

import typing

import nengo
from nengo.synapses import SynapseParam

from ..native import require_native_network

if typing.TYPE_CHECKING:
    from ..network import ConvNetwork

NEURON_TYPES = (nengo.LIF, nengo.SpikingRectifiedLinear)
LIF_ADVICE = "nengo.LIF(min_voltage=-5)"
ADVICE = f"to_spiking(network, {LIF_ADVICE}, max_rate=300)"


def check_origin(network: ConvNetwork) -> None:
    """Raise ConversionError for a network that ``to_spiking`` did not make."""
    advice = (
        f"convert a Keras model, or a network that was trained with nengo.RectifiedLinear(), normalize it, and call "
        f"{ADVICE}"
    )
    require_native_network(network, "Loihi", origin="to_spiking", advice=advice, calibrated=True)


def why_no_neurons(neuron_type: nengo.neurons.NeuronType, advice: str = ADVICE) -> str:
    """Return why Loihi has no neurons of a type, with a way out; empty if it has them."""
    name = type(neuron_type).__name__
    if not neuron_type.spiking:
        return f"{name} does not spike, as the neurons of Loihi do: {advice}"
    if type(neuron_type) not in NEURON_TYPES:
        return f"Loihi has no {name} neurons: use nengo.LIF or nengo.SpikingRectifiedLinear, as in {advice}"
    return ""


def unsupported_settings(settings: typing.Any) -> list[str]:
    """Return which settings of a network of ``to_spiking`` Loihi does not support, other than neurons."""
    found = []
    if settings.input_coding != "constant":
        found.append(
            f"input_coding={settings.input_coding!r} needs PoissonInput neurons, which nengo_loihi does not have: use "
            "input_coding='constant'"
        )
    synapse = SynapseParam("synapse").coerce(None, settings.synapse)
    if not (synapse is None or isinstance(synapse, nengo.Lowpass)):
        found.append(f"Loihi filters spikes by nengo.Lowpass only, got synapse={settings.synapse!r}")
    return found
