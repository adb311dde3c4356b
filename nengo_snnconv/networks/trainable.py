"""The trainable builder: Keras layers in ``nengo_dl.Layer``, with ensembles as nonlinearities."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping

import nengo
import numpy as np

from .._util.user_warnings import warn_user
from .._util.validation import check_flags, shown
from ..errors import ConversionError, SettingsError
from ..formats.as_model import as_model
from ..model import layers as specs
from ..passes import restore_output_scale
from ..passes.rescale import without_layer_scales
from .edits import check_unedited
from .network import ConvNetwork, check_network, check_not_own_network
from .neuron_types import OTHERS, by_layer
from .trainable_of_native import of_native
from .trainable_settings import TrainableConfig

# 400 Hz at an input of 1, close to the refractory limit of 500 Hz: many spikes in little time.  A membrane that can
# go below zero averages over inputs that arrive as spikes, positive and negative ones; one that stops at zero
# forgets the negative ones, and fires too much (benchmarks/rate_training.py measures both).
DEFAULT_NEURON = nengo.LIF(amplitude=0.0025, min_voltage=-5)

LOW_RATE_HZ = 10  # neurons that fire less at an input of 1 need seconds to transmit it


def build_trainable(
    model: typing.Any,
    neuron_type: nengo.neurons.NeuronType | Mapping[str, nengo.neurons.NeuronType] | None = None,
    *,
    output_neurons: bool = False,
    **settings: typing.Any,
) -> ConvNetwork:
    """Build a network that NengoDL trains: Keras layers as ``nengo_dl.Layer``, neurons as ensembles.

    Each convolution, dense and pooling layer is a Keras layer in a TensorNode; each rectifier is an ensemble of
    ``neuron_type``, which trains with its rate form and runs with spikes (Hunsberger & Eliasmith 2016, arXiv
    1611.05141).  Biases and gains of the ensembles are not trained, so that the trained arrays are those of a
    convolutional network.

    A network of ``convert``, ``normalize`` or ``to_spiking`` is built in this form with its own weights and neurons, to
    train it in a Simulator of your own; ``collect_trained(trained, into=network)`` returns it with the trained weights.

    Parameters
    ----------
    model : Keras model, Model, str, path or ConvNetwork
        Any model that ``as_model`` reads, for example a Sequential or functional model; or a network of ``convert``,
        ``normalize`` or ``to_spiking``, before ``calibrate``.
    neuron_type : nengo.neurons.NeuronType or dict of str to NeuronType, optional
        Any type with a rate form, or ``SurrogateLIF``, whose networks are trained through time; ``DEFAULT_NEURON``, an
        LIF type with high firing rates, by default, or the neurons of the given network.  A dict has a type for each
        layer, by the name of the rectifier or of the layer with weights before it; "*" stands for all other layers.
    output_neurons : bool, optional
        Add neurons after the last layer, so that class scores are firing rates; False by default.
    max_rates : float, array_like or nengo.dists.Distribution, optional
        Firing rate in Hz of a neuron with an input of 1.  By default 1 / amplitude of the neuron type, so that an
        input of 1 gives an output of 1, as in the rectifier that it replaces; required for types without amplitude.
    intercepts : float, array_like or nengo.dists.Distribution, optional
        Input at which a neuron starts to fire; 0 by default.
    synapse : float or nengo.synapses.Synapse, optional
        Filter on spikes that leave a layer, time constant in seconds; none by default, as in NengoDL's example.
        Accuracy with spikes is a little higher with 0.002.  ``train`` ignores it; in a Simulator session of your own,
        train without and then ``rebuild(synapse=0.002)``, because a filter delays its input, and training lasts one
        step.
    output_synapse : float or nengo.synapses.Synapse, optional
        Filter of the probe "output_filtered", 0.1 s by default.
    lif_smoothing : float, optional
        Train ``nengo.LIF`` with the smoothed response of NengoDL's setting of the same name.
    stateful : bool, optional
        Keep the state of the network between calls of a simulator; True by default, as in NengoDL.
    planner : "greedy", "tree", "transitive" or "noop", optional
        NengoDL's graph planner; "noop" by default: the others merge the neurons of several layers, and copying
        such large signals together and apart makes simulations with synapses many times slower.
    tensor_nodes : bool, optional
        Keep Keras layers in TensorNodes, which NengoDL trains; True by default.  ``rebuild(tensor_nodes=False)`` makes
        the same network of Nengo's own objects, with the same spikes, after training: ``nengo.Simulator`` and Nengo GUI
        have no TensorNodes.
    seed : int, optional
        Seed of the network and of draws from distributions; 0 by default.
    probe_layers : sequence of str, optional
        Names of layers to probe.

    Returns
    -------
    ConvNetwork

    Raises
    ------
    SettingsError
        If a setting is invalid.
    ConversionError
        If the neuron type has no rate form, or the model has a layer or an option that is not supported.

    Examples
    --------
    >>> network = snc.build_trainable(snc.preset("lif-mnist"), nengo.LIF(amplitude=0.01))
    """
    check_flags(output_neurons=output_neurons)
    check_not_own_network(model, ConversionError)
    if isinstance(model, ConvNetwork):
        settings = of_native(model, neuron_type) | settings
        neuron_type, model = settings.pop("neuron_type"), model.model
    else:
        model = restore_output_scale(as_model(model, training=True))
    given = DEFAULT_NEURON if neuron_type is None else neuron_type
    first = given.get(OTHERS, DEFAULT_NEURON) if isinstance(given, Mapping) else given
    config = TrainableConfig(neuron_type=first, **settings)
    if output_neurons and not isinstance(model.layers[model.output], specs.Rectifier):
        neurons = specs.Rectifier("output_neurons", model.output)
        model = model.replace(layers=[*model.layers.values(), neurons], arrays=model.arrays, output=neurons.name)
    default, types = by_layer(given, model, DEFAULT_NEURON)
    config = dataclasses.replace(config, neuron_type=default, neuron_types=types)
    _warn_of_low_rates(config)
    return ConvNetwork(without_layer_scales(model), config)


def _warn_of_low_rates(config):
    """Warn if neurons fire so rarely that a network with spikes needs very many time steps."""
    for neuron_type, each in config.of_types.items():
        rates = each.rates_at_one
        if not each.has_rates or isinstance(rates, nengo.dists.Distribution) or not neuron_type.spiking:
            return
        if np.max(rates) < LOW_RATE_HZ:
            warn_user(
                f"neurons fire at {np.max(rates):g} Hz for an input of 1, so spikes need seconds to carry anything: "
                f"use {type(neuron_type).__name__}(amplitude=0.0025), or set max_rates",
            )


def for_nengo(network: ConvNetwork, **changes: typing.Any) -> ConvNetwork:
    """Return the network rebuilt with ``changes``, without TensorNodes, as nengo's own simulator needs it."""
    if isinstance(network.settings, TrainableConfig):
        changes["tensor_nodes"] = False
    return network.rebuild(**changes)


def live_arrays(network):
    """Return the current weights of the network's Keras layers, which a Simulator may have trained.

    Returns
    -------
    dict of str to ndarray
    """
    if not network.settings.tensor_nodes:
        return dict(network.model.arrays)
    arrays = {}
    for name in network.model.layers:
        names = network.model.array_names(name)
        if names:
            weights = network.layers[name].tensor_func.weights
            values = [weight.numpy() for weight in weights] or [network.model.arrays[array] for array in names]
            arrays.update(zip(names, values, strict=True))
    return arrays


def collect_trained(network: ConvNetwork, into: ConvNetwork | None = None) -> ConvNetwork:
    """Return the network with the arrays that a ``nengo_dl.Simulator`` session trained.

    NengoDL keeps trained weights in the Keras layers of the session, while ``evaluate``, ``save`` and the like use
    the network's model.  The new network has a model with the trained arrays.

    Parameters
    ----------
    network : ConvNetwork
        Network from :func:`build_trainable`, trained in a Simulator.
    into : ConvNetwork, optional
        Network of ``convert``, ``normalize`` or ``to_spiking`` from which ``network`` was built.  The result is of its
        kind, with its settings and the trained arrays.

    Returns
    -------
    ConvNetwork

    Raises
    ------
    ConversionError
        If the network was not made by ``build_trainable``.
    SettingsError
        If an argument is not a network, objects of a network were changed by hand, or ``network`` was not built from
        ``into``.

    Examples
    --------
    >>> with nengo_dl.Simulator(network, minibatch_size=200) as simulator:
    ...     simulator.compile(tf.optimizers.Adam(), loss={network.probes["output"]: loss})
    ...     simulator.fit(x, {network.probes["output"]: y})
    >>> network = snc.collect_trained(network)

    Fine-tuning of a converted network:

    >>> trainable = snc.build_trainable(converted)
    >>> converted = snc.collect_trained(trainable, into=converted)  # after a session with ``trainable``
    """
    check_network(network)
    if not isinstance(network.settings, TrainableConfig) or not network.settings.tensor_nodes:
        raise ConversionError(
            "only networks of build_trainable with TensorNodes hold arrays that a Simulator trains: train "
            "build_trainable(network) in the Simulator, and collect from that"
        )
    arrays = live_arrays(network)
    if into is None:
        return network.rebuild(network.model.replace(arrays=arrays))
    if not isinstance(into, ConvNetwork):
        raise SettingsError(
            f"into must be the network that was trained, before that, got {shown(into)}", argument="into"
        )
    check_unedited(into)
    if list(into.model.layers.values()) != list(network.model.layers.values()):
        raise SettingsError(
            "into has other layers than the network that was trained: give the network that build_trainable was "
            "called with",
            argument="into",
        )
    return into.rebuild(into.model.replace(arrays=arrays))


def check_collected(network):
    """Check that no Simulator session trained a network since it was built, and that it was not changed by hand."""
    check_unedited(network)
    if isinstance(network.settings, TrainableConfig):
        for name, array in live_arrays(network).items():
            if not np.array_equal(array, network.model.arrays[name]):
                raise SettingsError(
                    f"this network was trained in a nengo_dl.Simulator after it was built ({name} differs from its "
                    "model): continue with network = nengo_snnconv.collect_trained(network)",
                    argument="network",
                )
