"""The native form: what a network of Keras layers computes, in Nengo's own objects."""

import nengo

from ...model import layers as specs
from ...networks.nengo_objects import biased_node, connect_output, maximum_node
from ...networks.trainable import TrainableConfig, check_collected


def native_form(network):
    """Nengo's own objects in the place of a network's TensorNodes.

    Parameters
    ----------
    network : ConvNetwork
        Its neurons and its input belong to the native form too.

    Returns
    -------
    (nengo.Network, dict) or None
        The objects, and by each object of ``network`` that has one its stand-in; None for networks that have no
        TensorNodes.

    Raises
    ------
    SettingsError
        If a Simulator has trained the network since it was built.
    """
    settings, model = network.settings, network.model
    if not isinstance(settings, TrainableConfig):
        return None
    check_collected(network)
    stand_ins = {}
    with nengo.Network() as native:
        for name, layer in model.layers.items():
            original = network.layers[name]
            if isinstance(layer, specs.Flatten | specs.Reshape):
                continue  # the same object as its source
            sources = [stand_ins[network.layers[source]] for source in layer.inputs]
            synapses = [settings.synapse if isinstance(s, nengo.ensemble.Neurons) else None for s in sources]
            if isinstance(layer, specs.Dropout):
                stand_ins[original] = nengo.Node(size_in=model.size(name), label=name)
                nengo.Connection(sources[0], stand_ins[original], synapse=synapses[0])
            elif isinstance(layer, specs.Input):
                stand_ins[original] = original
            elif isinstance(layer, specs.Rectifier):
                nengo.Connection(sources[0], original, synapse=synapses[0])
                stand_ins[original] = original
            elif isinstance(layer, specs.MaxPool | specs.GlobalMaxPool):
                stand_ins[original] = maximum_node(layer, model, sources[0], synapses[0], cumulative=False)
            else:
                stand_ins[original] = biased_node(layer, model, sources, synapses)
        if network.output not in stand_ins:
            connect_output(model, stand_ins[network.layers[model.output]], network.output)
            stand_ins[network.output] = network.output
    return native, stand_ins
