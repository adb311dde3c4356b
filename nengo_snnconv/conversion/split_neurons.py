"""split_neurons: several neurons with one spike a step in place of one with several."""

from __future__ import annotations

import typing
from collections.abc import Collection

import numpy as np

from ..errors import ConversionError, SettingsError, listed
from ..networks.context import adds_result_only
from ..networks.native import require_native_network
from ..networks.network import ConvNetwork
from ..networks.neuron_types import types_of
from ..neurons.arguments import replaced
from ..neurons.integrate_and_fire import IntegrateAndFire
from ..neurons.repeated import Repeated
from ..passes import split_rectifiers

if typing.TYPE_CHECKING:
    from nengo.neurons import NeuronType

    from ..model import Model


@adds_result_only
def split_neurons(network: ConvNetwork, layers: Collection[str] | None = None) -> ConvNetwork:
    """Replace neurons that emit several spikes in a step by groups of neurons that emit one.

    A neuron that emits up to n spikes in a step, with an initial potential of v0 thresholds, becomes n neurons with 1 /
    n of its input and initial potentials of (v0 + i) / n thresholds, i = 0 ... n - 1.  If the input is constant, the
    group emits as many spikes as the neuron in every step:

        floor(x) = floor(x / n) + floor(x / n + 1 / n) + ... + floor(x / n + (n - 1) / n)        (Hermite's identity).

    This is so in the layers that read the image, before any other neurons, and only these can be split.  There, groups
    pay most in networks for few steps: what n_steps spikes of each of these neurons say about the image is all that the
    rest of the network knows of it.  Calibrate and train the network with fewer neurons first, and split it afterwards.

    Parameters
    ----------
    network : ConvNetwork
        Network made by ``to_spiking`` with constant input, and possibly by ``calibrate`` or ``train`` after it, with
        ``IntegrateAndFire`` or ``SignedIntegrateAndFire`` neurons.
    layers : collection of str, optional
        Layers of neurons to split, by the name of the rectifier; by default all that read the image and emit several
        spikes in a step.

    Returns
    -------
    ConvNetwork
        Network with ``max_spikes`` times as many channels in these layers, those of a group beside each other, and
        ``max_spikes=1``.

    Raises
    ------
    ConversionError
        If the network was not made by ``to_spiking``, has Poisson input or integer weights; if a layer cannot be split,
        or none can.
    SettingsError
        If ``layers`` are not names of layers of neurons.

    Examples
    --------
    >>> four, one = snc.SignedIntegrateAndFire(max_spikes=4), snc.SignedIntegrateAndFire()
    >>> snn = snc.to_spiking(network, {"conv1": four, "*": one})
    >>> snn = snc.split_neurons(snc.calibrate(snn, x_calibration, n_steps=2))
    """
    require_native_network(network, "split_neurons", origin="to_spiking", spiking=True, calibrated=True)
    model, settings = network.model, network.settings
    if settings.input_coding != "constant":
        raise ConversionError(
            "split_neurons needs constant input, with which a group spikes as the neuron it replaces: use "
            'to_spiking(..., input_coding="constant")'
        )
    if "quantization" in model.metadata:
        raise ConversionError("split_neurons needs the weights before quantize_weights: split first, then quantize")
    types = types_of(model, settings)
    names = _layers_to_split(model, types, layers)
    parts = {name: int(types[name].max_spikes) for name in names}
    split = {name: _part_of(types[name]) if name in names else each for name, each in types.items()}
    return network.rebuild(split_rectifiers(model, parts), neuron_types=tuple(split.values()))


def _layers_to_split(model: Model, types: dict[str, NeuronType], layers: typing.Any) -> list[str]:
    """Return the names of the layers to split; raise an error if one of those given cannot be."""
    if layers is None:
        found = [name for name in types if not _why_unsplittable(model, name, types[name])]
        if not found:
            reasons = {name: _why_unsplittable(model, name, types[name]) for name in types}
            raise ConversionError(
                "split_neurons: no layer of neurons can be split: "
                + "; ".join(f"{name} {why}" for name, why in list(reasons.items())[:3])
            )
        return found
    if isinstance(layers, str) or not isinstance(layers, Collection) or not layers:
        raise SettingsError(f"layers must hold names of layers of neurons, got {layers!r}", argument="layers")
    unknown = [name for name in layers if name not in types]
    if unknown:
        raise SettingsError(
            f"layers: there are no neurons of {listed(unknown)} in this network; its layers of neurons are "
            f"{listed(types, 8)}",
            argument="layers",
        )
    for name in layers:
        if why := _why_unsplittable(model, name, types[name]):
            raise ConversionError(f"split_neurons: {name} {why}", layer=name)
    return [name for name in types if name in layers]


def _why_unsplittable(model: Model, name: str, neuron_type: NeuronType) -> str:
    """Return why groups of neurons cannot replace those of a layer, or an empty string."""
    if not isinstance(neuron_type, IntegrateAndFire):
        return f"has neurons of type {type(neuron_type).__name__}: use IntegrateAndFire or SignedIntegrateAndFire"
    if neuron_type.max_spikes == 1:
        return "emits one spike in a step: use neurons with max_spikes=4, for example"
    if neuron_type.max_spikes == np.inf:
        return "can emit any number of spikes in a step: use neurons with max_spikes=4, for example"
    if neuron_type.initial_state:
        return "has initial_state: use initial_potential"
    if neuron_type.min_potential > -np.inf:
        return "has a lower bound of the potential: leave min_potential out"
    if model.levels.get(name):
        return "has activations with levels (QCFS), whose thresholds are fixed: use IntegrateAndFire()"
    if name == model.output:
        return "has the class scores, which cannot be split"
    if name not in model.first_neurons:
        return (
            "reads what other neurons or filters emit, and only layers with constant input can be split: give layers "
            f"that read the image, here {listed(model.first_neurons)}"
        )
    return ""


def _part_of(neuron_type: IntegrateAndFire) -> IntegrateAndFire:
    """Return the type of the neurons of a group that replaces one neuron."""
    n = int(neuron_type.max_spikes)
    starts = [(neuron_type.initial_potential + i) / n * neuron_type.threshold for i in range(n)]
    return replaced(neuron_type, max_spikes=1, initial_state={"voltage": Repeated(starts)})
