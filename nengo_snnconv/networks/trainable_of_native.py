"""of_native: settings with which a native network is built in trainable form."""

from __future__ import annotations

import functools
import typing

import numpy as np

from ..errors import ConversionError, SettingsError
from .native import NativeConfig, require_native_network

if typing.TYPE_CHECKING:
    from .network import ConvNetwork

EXACT = 1e-6  # deviation of a response from the rectifier that is rounding


def of_native(network: ConvNetwork, neuron_type: typing.Any = None) -> dict[str, typing.Any]:
    """Return the arguments of ``build_trainable`` for the neurons and synapses of a native network.

    Parameters
    ----------
    network : ConvNetwork
        Network of ``convert``, ``normalize`` or ``to_spiking``.
    neuron_type : NeuronType or dict, optional
        Neurons to use instead of those of the network.

    Raises
    ------
    ConversionError
        If the network was made in another way, or its layers have neurons that a trainable network cannot combine.
    """
    require_native_network(
        network,
        "build_trainable",
        advice="give the network before that, or the Keras model",
        error=functools.partial(SettingsError, argument="model"),
    )
    settings = network.settings
    if type(settings) is not NativeConfig:
        raise ConversionError("build_trainable takes the network before to_loihi: give that of to_spiking")
    kept = {"output_synapse": settings.output_synapse, "seed": settings.seed}
    if neuron_type is not None:
        return {"neuron_type": neuron_type, **kept}
    matches = [of_type.match for of_type in settings.of_types.values()]
    curves = {
        tuple(map(float, match.neuron_type.max_rates_intercepts(np.float64(match.gain), np.float64(match.bias))))
        for match in matches
    }
    # of types that are rectifiers, an input of 1 gives an output of 1 by default
    rectify = all(match.deviation < EXACT for match in matches)
    if not rectify and len(curves) > 1:
        raise ConversionError(
            "build_trainable needs neurons with one response curve, and those of this network have several: give a "
            "type for all, such as build_trainable(network, IntegrateAndFire()), or use train(network, ...)"
        )
    response = {} if rectify else dict(zip(("max_rates", "intercepts"), *curves, strict=True))
    types = {name: settings.of_layer(network.model, name).match.neuron_type for name in network.model.neurons}
    return {"neuron_type": {"*": settings.match.neuron_type, **types}, "synapse": settings.synapse, **response, **kept}
