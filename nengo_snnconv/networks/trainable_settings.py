"""Settings of trainable networks, and how they are built from them."""

from __future__ import annotations

import dataclasses
import typing

import nengo
import numpy as np
from nengo.builder.network import seed_network

from .._util.validation import as_float32, check_choice, check_flags, check_positive, check_seed, shown
from ..compat import nengo_dl, tf
from ..errors import SettingsError
from ..neurons.arguments import check_synapse
from ..neurons.firing_rates import rate_function
from ..neurons.integrate_and_fire import IntegrateAndFire
from ..neurons.surrogate_lif import SurrogateLIF
from .context import no_open_network
from .keras_layers import keras_layer
from .nengo_objects import add_output, add_probes
from .network import BuildConfig, ConvNetwork
from .neuron_types import check_all_spike_or_none, check_neuron_types, check_one_for_each_layer
from .trainable_layers import PlainLayers, RateLayer, TrainableLayers, TrainableRows

PLANNERS = ("greedy", "tree", "transitive", "noop")


@dataclasses.dataclass(frozen=True)
class TrainableConfig(BuildConfig):
    """Settings with which :func:`.trainable.build_trainable` builds a network, which explains them.

    ``neuron_types`` has the neuron type of each layer of neurons, in order, if they differ.  ``neuron_seeds`` has the
    seeds from which their initial states are drawn, if these are not those that Nengo assigns.  Without
    ``tensor_nodes``, they begin with the same states as the network with TensorNodes.
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
    tensor_nodes: bool = True

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
        check_flags(stateful=self.stateful, tensor_nodes=self.tensor_nodes)
        check_seed(self.seed, optional=True)
        if self.lif_smoothing is not None:
            check_positive(lif_smoothing=self.lif_smoothing)
        if self.max_rates is None and not hasattr(self.neuron_type, "amplitude"):
            raise SettingsError(
                f"{self.neuron_type} has no amplitude that says how its rates scale: give max_rates",
                argument="max_rates",
            )
        self._check_rates()
        check_neuron_types(self.neuron_types)
        check_all_spike_or_none(self)
        self._check_alike()
        for seed in self.neuron_seeds:
            check_seed(seed)
        if not self.has_rates:
            self._check_through_time()
        else:
            rate_function(self.neuron_type, self.lif_smoothing)(tf.zeros((1,)))  # raises if the type has none

    def _check_alike(self):
        """Check that layers can be trained together: all with rates, or all through time with the same spikes."""
        through_time = [each for each in self.of_types if isinstance(each, SurrogateLIF)]
        if through_time and len(through_time) < len(self.of_types):
            raise SettingsError(
                "neuron_type: SurrogateLIF neurons are trained through time and others on their rates, so a network "
                "has one or the other",
                argument="neuron_type",
            )
        if len({each.amplitude for each in through_time}) > 1:
            raise SettingsError(
                "neuron_type: SurrogateLIF neurons of all layers need the same amplitude, the length of a step",
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
        return not any(isinstance(each, SurrogateLIF) for each in self.of_types)

    @property
    def accumulates(self):
        return not self.has_rates  # other scores are firing rates, or filtered by the output synapse

    @property
    def rectifies(self):
        """True if the firing rate of the neurons is max(x, 0) exactly."""
        return self.not_rectifying is None

    @property
    def not_rectifying(self):
        """The first neuron type of the layers whose firing rate is not max(x, 0); None if there is none."""
        for neuron_type, each in self.of_types.items():
            if not isinstance(neuron_type, nengo.RectifiedLinear | IntegrateAndFire) or not (
                np.array_equal(each.rates_at_one, 1 / neuron_type.amplitude) and np.array_equal(self.intercepts, 0)
            ):
                return neuron_type
        return None

    @property
    def takes_levels(self):
        return self.rectifies

    def gain_bias(self, model, name):
        """Return gain and bias of the neurons of rectifier ``name``, two arrays of float32 of the layer's size."""
        size = model.size(name)
        rng = np.random.RandomState((self.seed or 0) + list(model.layers).index(name))
        settings = self.of_layer(model, name)
        max_rates, intercepts = (_sample(value, size, rng) for value in (settings.rates_at_one, self.intercepts))
        gain, bias = settings.neuron_type.gain_bias(max_rates, intercepts)
        return np.asarray(gain, np.float32), np.asarray(bias, np.float32)

    def rate_layer(self, model, name):
        layer = model.layers[name]
        if layer.levels is not None:  # of neurons that rectify: see takes_levels
            return keras_layer(layer, {})
        neuron_type = self.of_layer(model, name).neuron_type
        return RateLayer(neuron_type, self.lif_smoothing, *self.gain_bias(model, name), name)

    def construct(self, network):
        model = network.model
        given = {"neuron_types": self.neuron_types, "neuron_seeds": self.neuron_seeds}
        check_one_for_each_layer(model, **{name: values for name, values in given.items() if values})
        self._configure_nengo_dl()
        if self.tensor_nodes:
            network.layers = TrainableLayers(self, model).build()
        else:
            settings = (
                self if self.neuron_seeds else dataclasses.replace(self, neuron_seeds=self._seeds_of_neurons(model))
            )
            network.layers = PlainLayers(settings, model).build()
        network.input, scores = network.layers[model.input], network.layers[model.output]
        if isinstance(scores, nengo.ensemble.Neurons) or model.output_scale != 1:
            add_output(network, scores, self.output_synapse, self.probe_layers)
        else:
            network.output = scores
            add_probes(network, self.output_synapse, self.probe_layers)

    def _seeds_of_neurons(self, model):
        """Return the seeds that Nengo assigns to the ensembles of the network with TensorNodes."""
        if self.seed is None:
            return ()
        with no_open_network():
            network = ConvNetwork(model, dataclasses.replace(self, tensor_nodes=True, probe_layers=()))
        seeds: dict[typing.Any, int] = {}
        seed_network(network, seeds, {})
        return tuple(int(seeds[network.layers[name].ensemble]) for name in model.neurons)

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
