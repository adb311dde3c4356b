"""The native form of a network of Keras layers: the same computation in Nengo's own objects."""

import nengo

from ...errors import ConversionError
from ...networks.foreign.tensor_nodes import ends_in_softmax, model_of_tensor_node, name_of_tensor_node
from ...networks.nengo_objects import NengoLayers, connect_output, direct_neurons
from ...networks.trainable import TrainableConfig, check_collected
from ...networks.trainable_layers import PlainLayers
from ...passes import fix_statistics


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
    if not isinstance(settings, TrainableConfig) or not settings.tensor_nodes:
        return None
    check_collected(network)
    with nengo.Network() as native:
        stand_ins = {network.layers[name]: obj for name, obj in NativeForm(network).build().items()}
        if network.output not in stand_ins:
            connect_output(model, stand_ins[network.layers[model.output]], network.output)
            stand_ins[network.output] = network.output
    stand_ins[network.reset] = network.reset
    return native, stand_ins


class NativeForm(PlainLayers):
    """Makes Nengo's own objects for all layers but the input and the neurons, which are those of ``network``."""

    def __init__(self, network):
        super().__init__(network.settings, network.model)
        self.network = network

    def visit_input(self, layer, sources):
        return self.network.layers[layer.name]

    def make_neurons(self, layer):
        return self.network.layers[layer.name]


def native_form_of_tensor_node(node):
    """Build Nengo's own objects in place of a TensorNode with a Keras layer, in the network whose context is open.

    Parameters
    ----------
    node : nengo_dl.TensorNode

    Returns
    -------
    (nengo.Node, Nengo object)
        The objects that take the input of the TensorNode and that carry its output.

    Raises
    ------
    ConversionError
        If the TensorNode computes anything but a Keras layer of linear maps, maxima and rectifiers.
    """
    model = fix_statistics(model_of_tensor_node(node))
    if ends_in_softmax(model):
        name = name_of_tensor_node(node)
        raise ConversionError(
            f"{name!r} is a TensorNode with a softmax, which the fast simulator does not compute: leave the softmax "
            "out, since the class with the largest score is the same, or use nengo_dl.Simulator",
            layer=name,
        )
    form = TensorNodeForm(model)
    objects = form.build()
    return objects[model.input], objects[model.output]


class TensorNodeForm(NengoLayers):
    """Makes Nengo's own objects for the layers of a TensorNode."""

    def visit_input(self, layer, sources):
        return nengo.Node(size_in=self.model.size(layer.name), label=f"{layer.name}.in")

    def make_neurons(self, layer):
        return direct_neurons(nengo.RectifiedLinear(), self.model.size(layer.name), layer.name)
