"""The native form of a network of Keras layers: the same computation in Nengo's own objects."""

import nengo

from ...networks.nengo_objects import NengoLayers, connect_output
from ...networks.trainable import TrainableConfig, check_collected


def native_form(network):
    """Build Nengo's own objects in place of a network's TensorNodes.

    Parameters
    ----------
    network : ConvNetwork
        Its neurons and its input are part of the native form too.

    Returns
    -------
    (nengo.Network, dict) or None
        The new objects, and a dict from objects of ``network`` to those in their place; None for networks without
        TensorNodes.

    Raises
    ------
    SettingsError
        If a Simulator has trained the network since it was built, and its arrays were not collected.
    """
    settings, model = network.settings, network.model
    if not isinstance(settings, TrainableConfig):
        return None
    check_collected(network)
    with nengo.Network() as native:
        stand_ins = {network.layers[name]: obj for name, obj in NativeForm(network).build().items()}
        if network.output not in stand_ins:
            connect_output(model, stand_ins[network.layers[model.output]], network.output)
            stand_ins[network.output] = network.output
    stand_ins[network.reset] = network.reset
    return native, stand_ins


class NativeForm(NengoLayers):
    """Makes Nengo's own objects for all layers but the input and the neurons, which are those of ``network``."""

    def __init__(self, network):
        super().__init__(network.model, network.settings.synapse)
        self.network = network

    def visit_input(self, layer, sources):
        return self.network.layers[layer.name]

    def make_neurons(self, layer):
        return self.network.layers[layer.name]
