"""split_neurons: several neurons with one spike a step in place of one with several."""

from __future__ import annotations

import typing
from collections.abc import Collection, Iterable

import numpy as np

from .._util.validation import shown
from ..errors import ConversionError, SettingsError, listed
from ..networks.context import adds_result_only
from ..networks.native import require_native_network
from ..networks.network import ConvNetwork
from ..networks.neuron_types import places_by_name, types_of
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

    A neuron that emits up to n spikes in a step becomes n neurons, each with 1/n of its input, and with initial
    potentials of (v0 + i) / n thresholds for i = 0 ... n - 1, where v0 is that of the neuron.  With constant input, the
    group emits as many spikes as the neuron did, in every step: if x is v0 plus all input so far, in thresholds,

        floor(x) = floor(x / n) + floor((x + 1) / n) + ... + floor((x + n - 1) / n)        (Hermite's identity).

    Rounding can decide otherwise where x is a whole number; not if n is a power of two and float32 rounds no sum.

    Only layers that read the image, with no neurons before them, have constant input, so only these can be split.
    They also matter most in few steps, since the rest of the network sees the image only through their spikes.
    Calibrate and train before the split, while the network is smaller; functions that need the thresholds of single
    neurons, such as ``diagnose``, also take the network before it.

    Parameters
    ----------
    network : ConvNetwork
        Network made by ``to_spiking`` with constant input, and possibly by ``calibrate`` or ``train`` after it, with
        ``IntegrateAndFire`` or ``SignedIntegrateAndFire`` neurons.
    layers : collection of str, optional
        Layers of neurons to split, by the name of the rectifier or of the layer with weights before it; by default all
        that read the image and emit several spikes in a step.

    Returns
    -------
    ConvNetwork
        Network with ``max_spikes`` channels in place of each channel of these layers, next to each other, and
        ``max_spikes=1``.  Evaluations count the operations of the ANN, and of the image on a group, once.

    Raises
    ------
    ConversionError
        If the network was not made by ``to_spiking``, was split before, or has Poisson input or integer weights; if a
        layer cannot be split, or none can.
    SettingsError
        If ``layers`` are not names of layers of neurons.

    Examples
    --------
    >>> network = snc.normalize(snc.convert(keras_model), x_calibration, method="balance", n_steps=2)
    >>> four, one = snc.SignedIntegrateAndFire(max_spikes=4), snc.SignedIntegrateAndFire()
    >>> snn = snc.to_spiking(network, {"conv1": four, "*": one})
    >>> snn = snc.calibrate(snn, x_calibration, n_steps=2)  # chooses thresholds for which neurons use several spikes
    >>> split = snc.split_neurons(snn)
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
        reasons = {name: _why_unsplittable(model, name, types[name]) for name in types}
        found = [name for name, why in reasons.items() if not why]
        if not found:
            # of layers that read the image, if there are any
            whys = [f"{name} {reasons[name]}" for name in model.first_neurons] or ["the network has no neurons"]
            raise ConversionError(f"split_neurons: there is no layer that can be split: {'; '.join(whys[:3])}")
        return found
    if isinstance(layers, str) or not isinstance(layers, Iterable) or not (layers := list(layers)):
        raise SettingsError(f"layers must hold names of layers of neurons, got {shown(layers)}", argument="layers")
    places = places_by_name(model)
    unknown = [name for name in layers if not isinstance(name, str) or name not in places]
    if unknown:
        raise SettingsError(
            f"layers: there are no neurons of {listed(map(str, unknown))} in this network; its layers of neurons are "
            f"{listed(types, 8)}",
            argument="layers",
        )
    names = [model.neurons[place] for place in sorted({place for name in layers for place in places[name]})]
    for name in names:
        if why := _why_unsplittable(model, name, types[name]):
            raise ConversionError(f"split_neurons: {name} {why}", layer=name)
    return names


def _why_unsplittable(model: Model, name: str, neuron_type: NeuronType) -> str:
    """Return why groups of neurons cannot replace those of a layer, or an empty string."""
    if name not in model.first_neurons:
        return (
            "reads the output of neurons or filters, and only layers with constant input can be split; the layers that "
            f"read the image are {listed(model.first_neurons)}"
        )
    if name == model.output:
        return "is the output of the network, which cannot be split"
    if model.levels.get(name):
        return "has activations with levels (QCFS), which are signaled by one spike in each step"
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
    return ""


def _part_of(neuron_type: IntegrateAndFire) -> IntegrateAndFire:
    """Return the type of the neurons of a group that replaces one neuron."""
    n = int(neuron_type.max_spikes)
    starts = [(neuron_type.initial_potential + i) / n * neuron_type.threshold for i in range(n)]
    return replaced(neuron_type, max_spikes=1, initial_state={"voltage": Repeated(starts)})
