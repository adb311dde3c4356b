"""The trainable builder: Keras layers in ``nengo_dl.Layer``, with ensembles as nonlinearities."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping

import nengo
import numpy as np

from .._util.user_warnings import warn_user
from .._util.validation import as_float32, check_choice, check_flags, check_positive, check_seed, shown
from ..compat import nengo_dl, tf
from ..errors import ConversionError, SettingsError
from ..formats.as_model import as_model
from ..model import layers as specs
from ..neurons.arguments import check_synapse
from ..neurons.firing_rates import rate_function
from ..neurons.integrate_and_fire import IntegrateAndFire
from ..neurons.surrogate_lif import SurrogateLIF
from ..passes import restore_output_scale
from ..passes.rescale import without_layer_scales
from .edits import check_unedited
from .keras_layers import keras_layer
from .nengo_objects import add_output, add_probes
from .network import BuildConfig, ConvNetwork, check_network
from .neuron_types import by_layer, check_neuron_types, check_one_for_each_layer
from .trainable_layers import RateLayer, TrainableLayers, TrainableRows

# 400 Hz at an input of 1, close to the refractory limit of 500 Hz: many spikes in little time.  A membrane that can
# go below zero averages over inputs that arrive as spikes, positive and negative ones; one that stops at zero
# forgets the negative ones, and fires too much (benchmarks/rate_training.py measures both).
DEFAULT_NEURON = nengo.LIF(amplitude=0.0025, min_voltage=-5)

PLANNERS = ("greedy", "tree", "transitive", "noop")
LOW_RATE_HZ = 10  # neurons that fire less at an input of 1 need seconds to transmit it


@dataclasses.dataclass(frozen=True)
class TrainableConfig(BuildConfig):
    """Settings with which :func:`build_trainable` builds a network, which explains them.

    ``neuron_types`` has the neuron type of each layer of neurons, in order, if they differ.  ``neuron_seeds`` has the
    seeds from which their initial states are drawn, if these are not those that Nengo assigns.
    """

    max_rates: typing.Any = None
    intercepts: typing.Any = 0
    synapse: typing.Any = None
    output_synapse: typing.Any = 0.1
    lif_smoothing: float | None = None
    stateful: bool = True
    planner: str = "noop"
    probe_layers: tuple[str, ...] = ()
    neuron_types: tuple[nengo.neurons.NeuronType, ...] = ()
    neuron_seeds: tuple[int, ...] = ()

    builder_name = "build_trainable"

    def __post_init__(self):
        if not isinstance(self.neuron_type, nengo.neurons.NeuronType):
            raise SettingsError(
                f"neuron_type must be an instance of a Nengo neuron type, such as nengo.LIF(amplitude=0.01); "
                f"got {self.neuron_type!r}",
                argument="neuron_type",
            )
        check_choice(PLANNERS, planner=self.planner)
        check_synapse(synapse=self.synapse, output_synapse=self.output_synapse)
        check_flags(stateful=self.stateful)
        check_seed(self.seed, optional=True)
        if self.lif_smoothing is not None:
            check_positive(lif_smoothing=self.lif_smoothing)
        if self.max_rates is None and not hasattr(self.neuron_type, "amplitude"):
            raise SettingsError(
                f"{self.neuron_type} has no amplitude that says how its rates scale: give max_rates",
                argument="max_rates",
            )
        self._check_rates()
        if not self.has_rates:
            self._check_through_time()
        else:
            rate_function(self.neuron_type, self.lif_smoothing)(tf.zeros((1,)))  # raises if the type has none
        check_neuron_types(self.neuron_types)
        self._check_layers()
        for seed in self.neuron_seeds:
            check_seed(seed)

    def _check_layers(self):
        """Check the neuron type of each layer; raise SettingsError if some layers differ in how they are trained."""
        for settings in self.of_types.values() if self.neuron_types else ():
            if (settings.neuron_type.spiking, settings.has_rates) != (self.neuron_type.spiking, self.has_rates):
                raise SettingsError(
                    "neuron_type: all layers must spike or none, and SurrogateLIF must be the type of all layers or "
                    f"none, got {self.neuron_type} and {settings.neuron_type}",
                    argument="neuron_type",
                )

    def _check_through_time(self):
        """Check that no setting is given that training through time would ignore."""
        rate = 1 / self.neuron_type.amplitude
        if not (np.array_equal(self.rates_at_one, rate) and np.array_equal(self.intercepts, 0)):
            raise SettingsError("SurrogateLIF takes its input as it is: leave max_rates and intercepts out")
        if self.neuron_type.initial_state:
            raise SettingsError(
                "SurrogateLIF is trained from its reset potential on: leave initial_state out, and give "
                "reset_potential",
                argument="neuron_type",
            )

    def _check_rates(self):
        """Check that max_rates and intercepts are numbers for which the neuron type has a finite, positive gain."""
        given = {"max_rates": self.rates_at_one, "intercepts": self.intercepts}
        for name, value in given.items():
            if not isinstance(value, nengo.dists.Distribution) and not as_float32(value, name).size:
                raise SettingsError(
                    f"{name} must be a number, or one for each neuron, got {shown(value)}", argument=name
                )
        if any(isinstance(value, nengo.dists.Distribution) for value in given.values()):
            return  # samples are drawn when the size of a layer is known
        tau_ref = getattr(self.neuron_type, "tau_ref", 0)
        limit = 1 / tau_ref if tau_ref else np.inf
        highest, lowest = np.max(self.rates_at_one), np.min(self.rates_at_one)
        if not 0 < lowest <= highest < limit:
            raise SettingsError(
                f"max_rates must be above 0 and below {limit:g} Hz, the limit of {self.neuron_type}; got "
                f"{self.rates_at_one!r} (by default it is 1 / amplitude)",
                argument="max_rates",
            )
        rng = np.random.RandomState(0)
        rates, intercepts = (_sample(value, 1, rng) for value in (np.min(self.rates_at_one), np.max(self.intercepts)))
        with np.errstate(all="ignore"):
            gain, bias = self.neuron_type.gain_bias(rates, intercepts)
        if not (np.isfinite(gain).all() and np.isfinite(bias).all() and (np.asarray(gain, np.float32) > 0).all()):
            raise SettingsError(
                f"{self.neuron_type} with max_rates={self.rates_at_one!r} and intercepts={self.intercepts!r} has no "
                f"usable gain: use {type(self.neuron_type).__name__}(amplitude=0.0025), or set max_rates to 100 Hz or "
                "more; intercepts must be below 1"
            )

    @property
    def rates_at_one(self):
        """Firing rate in Hz of neurons with an input of 1: ``max_rates``, or 1 / amplitude if that is None.

        A property, so that it follows the neuron type of ``rebuild(neuron_type=...)``.
        """
        return 1 / self.neuron_type.amplitude if self.max_rates is None else self.max_rates

    @property
    def has_rates(self):
        return not isinstance(self.neuron_type, SurrogateLIF)

    @property
    def accumulates(self):
        return not self.has_rates  # other scores are firing rates, or filtered by the output synapse

    @property
    def rectifies(self):
        """True if the firing rate of all neurons is max(x, 0) exactly."""
        if self.neuron_types:
            return all(settings.rectifies for settings in self.of_types.values())
        if not isinstance(self.neuron_type, nengo.RectifiedLinear | IntegrateAndFire):
            return False
        return np.array_equal(self.rates_at_one, 1 / self.neuron_type.amplitude) and np.array_equal(self.intercepts, 0)

    @property
    def takes_levels(self):
        return self.rectifies

    def gain_bias(self, model, name):
        """Return gain and bias of the neurons of rectifier ``name``, two arrays of float32 of the layer's size."""
        size, own = model.size(name), self.of_layer(model, name)
        rng = np.random.RandomState((self.seed or 0) + list(model.layers).index(name))
        max_rates, intercepts = (_sample(value, size, rng) for value in (own.rates_at_one, own.intercepts))
        gain, bias = own.neuron_type.gain_bias(max_rates, intercepts)
        return np.asarray(gain, np.float32), np.asarray(bias, np.float32)

    def rate_layer(self, model, name):
        layer = model.layers[name]
        if layer.levels is not None:  # of neurons that rectify: see takes_levels
            return keras_layer(layer, {})
        neuron_type = self.of_layer(model, name).neuron_type
        return RateLayer(neuron_type, self.lif_smoothing, *self.gain_bias(model, name), name)

    def construct(self, network):
        self._configure_nengo_dl()
        model = network.model
        given = {"neuron_types": self.neuron_types, "neuron_seeds": self.neuron_seeds}
        check_one_for_each_layer(model, **{name: values for name, values in given.items() if values})
        network.layers = TrainableLayers(self, model).build()
        network.input, scores = network.layers[model.input], network.layers[model.output]
        if isinstance(scores, nengo.ensemble.Neurons) or model.output_scale != 1:
            add_output(network, scores, self.output_synapse, self.probe_layers)
        else:
            network.output = scores
            add_probes(network, self.output_synapse, self.probe_layers)

    def _configure_nengo_dl(self):
        """Set NengoDL's options in the configuration of the network, or of the outermost one where NengoDL reads it."""
        nengo_dl.configure_settings(trainable=False)
        top = nengo.Network.context[0]
        if not hasattr(top.config[nengo.Connection], "trainable"):
            # nengo_dl.Layer marks its connections in the outermost network, but does not prepare it
            with top:
                nengo_dl.configure_settings(trainable=None)
        if not self.stateful:
            nengo_dl.configure_settings(stateful=False)
        nengo_dl.configure_settings(planner=getattr(nengo_dl.graph_optimizer, f"{self.planner}_planner"))
        if self.lif_smoothing is not None:
            nengo_dl.configure_settings(lif_smoothing=self.lif_smoothing)

    def report_row(self, layer, model):
        return TrainableRows(self.of_layer(model, layer.name)).visit(layer)


def _sample(value, size, rng):
    """Return ``value``, which is a number, an array or a distribution to draw from, for ``size`` neurons."""
    if isinstance(value, nengo.dists.Distribution):
        return value.sample(size, rng=rng)
    return np.broadcast_to(np.asarray(value, float), (size,))


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

    Parameters
    ----------
    model : Keras model, Model, str or path
        Any model that ``as_model`` reads, for example a Sequential or functional model.
    neuron_type : nengo.neurons.NeuronType or dict of str to NeuronType, optional
        Any type with a rate form, or ``SurrogateLIF``, whose networks are trained through time; ``DEFAULT_NEURON``, an
        LIF type with high firing rates, by default.  Or a type for each layer, by the name of the layer with weights or
        of its rectifier; "*" is the type of all other layers: ``{"conv1": nengo.LIF(amplitude=0.01), "*": ...}``.
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
    given = DEFAULT_NEURON if neuron_type is None else neuron_type
    default = DEFAULT_NEURON if isinstance(given, Mapping) else given
    config = TrainableConfig(neuron_type=default, **settings)
    model = restore_output_scale(as_model(model, training=True))
    if output_neurons and not isinstance(model.layers[model.output], specs.Rectifier):
        neurons = specs.Rectifier("output_neurons", model.output)
        model = model.replace(layers=[*model.layers.values(), neurons], arrays=model.arrays, output=neurons.name)
    if isinstance(given, Mapping):
        default, types = by_layer(given, model, DEFAULT_NEURON)
        config = dataclasses.replace(config, neuron_type=default, neuron_types=types)
    for own in config.of_types.values():
        _warn_of_low_rates(own)
    return ConvNetwork(without_layer_scales(model), config)


def _warn_of_low_rates(config):
    """Warn if neurons fire so rarely that a network with spikes needs very many time steps."""
    rates, neuron_type = config.rates_at_one, config.neuron_type
    if not config.has_rates or isinstance(rates, nengo.dists.Distribution) or not neuron_type.spiking:
        return
    if np.max(rates) < LOW_RATE_HZ:
        warn_user(
            f"neurons fire at {np.max(rates):g} Hz for an input of 1, so spikes need seconds to carry anything: "
            f"use {type(neuron_type).__name__}(amplitude=0.0025), or set max_rates",
        )


def live_arrays(network):
    """Return the current weights of the network's Keras layers, which a Simulator may have trained.

    Returns
    -------
    dict of str to ndarray
    """
    arrays = {}
    for name in network.model.layers:
        names = network.model.array_names(name)
        if names:
            weights = network.layers[name].tensor_func.weights
            values = [weight.numpy() for weight in weights] or [network.model.arrays[array] for array in names]
            arrays.update(zip(names, values, strict=True))
    return arrays


def collect_trained(network: ConvNetwork) -> ConvNetwork:
    """Return the network with the arrays that a ``nengo_dl.Simulator`` session trained.

    NengoDL keeps trained weights in the Keras layers of the session, while ``evaluate``, ``save`` and the like use
    the network's model.  The new network has a model with the trained arrays.

    Parameters
    ----------
    network : ConvNetwork
        Network from :func:`build_trainable`, trained in a Simulator.

    Returns
    -------
    ConvNetwork

    Raises
    ------
    ConversionError
        If the network was not made by ``build_trainable``.
    SettingsError
        If the argument is not a network, or objects of the network were changed by hand.

    Examples
    --------
    >>> with nengo_dl.Simulator(network, minibatch_size=200) as simulator:
    ...     simulator.compile(tf.optimizers.Adam(), loss={network.probes["output"]: loss})
    ...     simulator.fit(x, {network.probes["output"]: y})
    >>> network = snc.collect_trained(network)
    """
    check_network(network)
    if not isinstance(network.settings, TrainableConfig):
        raise ConversionError("only networks made by build_trainable hold arrays that a Simulator trains")
    return network.rebuild(network.model.replace(arrays=live_arrays(network)))


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
