"""from_nengo: a network of the user's Nengo and NengoDL objects as a ConvNetwork."""

from __future__ import annotations

import typing

import nengo

from ..._util.user_warnings import warn_user
from ..._util.validation import check_seed, shown
from ...compat import nengo_dl
from ...errors import ConversionError, SettingsError
from ..network import OF_CONVERTER, ConvNetwork, is_converter
from ..trainable import TrainableConfig
from .object_reader import ObjectReader
from .other_weights import trained_objects, warn_of_other_weights
from .parameters import Parameters

WAY_OUT = "pass simulator=sim inside the with block, or call sim.freeze_params(network) there"


def from_nengo(
    network: nengo.Network,
    input: nengo.Node,
    output: typing.Any,
    *,
    simulator: typing.Any = None,
    seed: int | None = 0,
) -> ConvNetwork:
    """Read a network that you built in Nengo or NengoDL into a ``ConvNetwork`` of the same function.

    The result has the same outputs and spikes, up to rounding, and what takes networks of ``build_trainable`` takes it:
    ``evaluate``, ``diagnose``, ``sweep``, ``train``, ``save``, reports.  Read are the Keras layers of
    ``nengo_dl.Layer`` and ``nengo_dl.TensorNode``, neurons that are connected directly, and connections with
    ``Convolution``, ``Dense`` and ``Sparse`` transforms, as ``nengo_dl.Converter`` makes them.  Gains and biases of
    neurons that differ become layers of scales and shifts before the neurons.

    Parameters
    ----------
    network : nengo.Network
        It is not changed.
    input : nengo.Node
        Node that receives the images.
    output : nengo.Node, nengo_dl.TensorNode, nengo.ensemble.Neurons or nengo.Probe
        Object that carries the class scores, or a probe of it, whose synapse becomes the filter of the scores; 0.1 s
        without a probe.
    simulator : nengo_dl.Simulator, optional
        Open simulator of the network, whose trained weights are read.  By default, weights are those of the objects.
        NengoDL keeps the weights of Keras layers in these layers, but those of connections, and the biases of
        neurons, which it trains too, in the simulator, until ``simulator.freeze_params(network)`` is called.
    seed : int, optional
        Seed of the new network.

    Returns
    -------
    ConvNetwork
        Network as ``build_trainable`` makes it.

    Raises
    ------
    ConversionError
        If an object between input and output cannot be read; the message names it, and says what to do instead.
    SettingsError
        If an argument is invalid, such as a simulator that is closed.

    Notes
    -----
    A softmax at the end is left out, so that scores are its input.

    Examples
    --------
    >>> with nengo_dl.Simulator(net, minibatch_size=200) as sim:
    ...     sim.compile(tf.optimizers.RMSprop(0.001), loss={probe: loss})
    ...     sim.fit(x, {probe: y})
    ...     network = snc.from_nengo(net, inp, filtered_probe, simulator=sim)
    >>> evaluation = snc.evaluate(network, x_test, y_test, n_steps=30)
    """
    _check_arguments(network, input, output)
    check_seed(seed, optional=True)
    target, synapse = (output.target, output.synapse) if isinstance(output, nengo.Probe) else (output, 0.1)
    reader = ObjectReader(network, input, target, Parameters(network, simulator))
    if simulator is None and not warn_of_other_weights(network, WAY_OUT):
        _warn_of_untrained_biases(network)
    default, types = _neuron_types(reader)
    settings = TrainableConfig(
        neuron_type=default,
        seed=seed,
        **reader.settings,
        output_synapse=synapse,
        lif_smoothing=nengo_dl.config.get_setting(network, "lif_smoothing"),
        stateful=nengo_dl.config.get_setting(network, "stateful", True),
        neuron_types=types,
        neuron_seeds=tuple(reader.neuron_seeds),
    )
    return ConvNetwork(reader.model, settings, network.label)


def _check_arguments(network, source, output):
    if is_converter(network):
        raise SettingsError(
            f"network must be a nengo.Network, got a nengo_dl.Converter: {OF_CONVERTER}", argument="network"
        )
    if not isinstance(network, nengo.Network):
        raise SettingsError(
            f"network must be a nengo.Network, got {shown(network)}: give the net of a nengo_dl.Converter, or use "
            "convert for a Keras model",
            argument="network",
        )
    if isinstance(network, ConvNetwork):
        raise SettingsError(
            "network is a ConvNetwork already, so from_nengo has nothing to read: use collect_trained after training "
            "it in a nengo_dl.Simulator",
            argument="network",
        )
    if not isinstance(source, nengo.Node) or source not in network.all_nodes or source.size_in:
        raise SettingsError(
            f"input must be a nengo.Node of the network without inputs of its own, got {shown(source)}"
            f"{_of_converter(source)}",
            argument="input",
        )
    target = output.target if isinstance(output, nengo.Probe) else output
    if isinstance(target, nengo.Ensemble):
        raise SettingsError(
            f"output is the ensemble {target}: give its .neurons, or the node that reads them", argument="output"
        )
    known = (*network.all_nodes, *(ensemble.neurons for ensemble in network.all_ensembles))
    if not isinstance(target, nengo.Node | nengo.ensemble.Neurons) or target not in known or target is source:
        raise SettingsError(
            "output must be a node or the neurons of the network that carry the class scores, or a probe of them, got "
            f"{shown(output)}{_of_converter(target)}",
            argument="output",
        )


def _of_converter(value):
    """Return advice on a tensor of the Keras model that a Converter read, after a colon; empty for anything else."""
    if type(value).__name__ != "KerasTensor":
        return ""
    return ", a Keras tensor: use converter.inputs[image], converter.outputs[dense], the objects of these tensors"


def _neuron_types(reader):
    """Return the neuron type of the network, and the type of each layer; empty if all are the same."""
    types = reader.neuron_types or [nengo.RectifiedLinear()]
    for name, each in zip(reader.model.neurons, types, strict=False):
        if each.spiking != types[0].spiking:
            raise ConversionError(
                f"{name!r} has neurons of {each}, but {reader.model.neurons[0]!r} of {types[0]}: all layers must spike "
                "or none.  A Keras layer computes its own activation without neurons, so leave the activation out, "
                "and add nengo_dl.Layer(neuron_type) behind the layer",
                layer=name,
            )
    return types[0], () if all(each == types[0] for each in types) else tuple(types)


def _warn_of_untrained_biases(network):
    """Warn if a simulator gave the Keras layers their weights, and may have trained biases that are in it only."""
    built = [n for n in network.all_nodes if isinstance(n, nengo_dl.TensorNode) and _has_weights(n.tensor_func)]
    initial = [ensemble for ensemble in network.all_ensembles if ensemble.bias is None]
    if built and trained_objects(network, initial):
        warn_user(
            f"the Keras layers have weights of a simulator, but the biases of {len(initial)} ensembles, which NengoDL "
            f"trains too, are the initial ones: if the network was trained, {WAY_OUT}"
        )


def _has_weights(layer):
    return bool(getattr(layer, "weights", ()))
