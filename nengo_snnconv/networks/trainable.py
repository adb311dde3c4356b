"""The trainable builder: Keras layers in ``nengo_dl.Layer`` with ensembles as their nonlinearities."""

import dataclasses
import typing
import warnings

import nengo
import numpy as np

from .._util.validation import as_float32, check_choice, check_flags, check_positive, check_seed, shown
from ..compat import nengo_dl, tf
from ..errors import ConversionError, SettingsError, SnnConvWarning
from ..formats.keras import as_model
from ..model import layers as specs
from ..neurons.arguments import check_synapse
from ..neurons.integrate_and_fire import IntegrateAndFire
from ..neurons.rates import rate_function
from ..neurons.surrogate_lif import SurrogateLIF
from ..passes import restore_output_scale
from .edits import check_unedited
from .keras_layers import keras_layer, keras_name
from .nengo_objects import connect_output
from .network import ConvNetwork, Settings, check_network

# 400 Hz at an input of 1, close to the refractory limit of 500 Hz: many spikes in little time.  A membrane that can
# go below zero averages over inputs that arrive as spikes, positive and negative ones; one that stops at zero
# forgets the negative ones, and fires too much (benchmarks/rate_training.py measures both).
DEFAULT_NEURON = nengo.LIF(amplitude=0.0025, min_voltage=-5)

PLANNERS = ("greedy", "tree", "transitive", "noop")


class _Rate(tf.keras.layers.Layer):
    """The rate form of an ensemble whose neurons have the given gain and bias."""

    def __init__(self, settings, gain, bias, name):
        super().__init__(name=keras_name(name), trainable=False)
        self.rate = rate_function(settings.neuron_type, settings.lif_smoothing)
        self.gain, self.bias = gain, bias

    def call(self, inputs):
        shape = inputs.shape[1:]
        return self.rate(self._tensor(self.gain, shape) * inputs + self._tensor(self.bias, shape))

    @staticmethod
    def _tensor(values, shape):
        return tf.constant(values[0] if np.all(values == values[0]) else values.reshape(shape), tf.float32)


@dataclasses.dataclass(frozen=True)
class TrainableSettings(Settings):
    """How :func:`build_trainable` makes a network; its parameters are explained there."""

    max_rates: object = None
    intercepts: object = 0
    synapse: object = None
    output_synapse: object = 0.1
    lif_smoothing: float = None
    stateful: bool = True
    planner: str = "noop"
    probe_layers: tuple = ()

    made_by: typing.ClassVar = "build_trainable"

    def __post_init__(self):
        if not isinstance(self.neuron_type, nengo.neurons.NeuronType):
            raise SettingsError(
                f"neuron_type must be an instance of a Nengo neuron type, such as nengo.LIF(amplitude=0.01); "
                f"got {self.neuron_type!r}"
            )
        check_choice(PLANNERS, planner=self.planner)
        check_synapse(synapse=self.synapse, output_synapse=self.output_synapse)
        check_flags(stateful=self.stateful)
        check_seed(self.seed, optional=True)
        if self.lif_smoothing is not None:
            check_positive(lif_smoothing=self.lif_smoothing)
        if self.max_rates is None and not hasattr(self.neuron_type, "amplitude"):
            raise SettingsError(f"{self.neuron_type} has no amplitude that says how its rates scale: give max_rates")
        self._check_rates()
        if not self.has_rates:
            self._check_through_time()
        else:
            rate_function(self.neuron_type, self.lif_smoothing)(tf.zeros((1,)))  # raises where the type has none

    @property
    def rates_at_one(self):
        """Firing rates in Hz of neurons whose input is 1: ``max_rates``, or 1 / amplitude where they are None.

        They are computed when they are asked for, so that they follow the neuron type of ``rebuild(neuron_type=...)``.
        """
        return 1 / self.neuron_type.amplitude if self.max_rates is None else self.max_rates

    def _check_through_time(self):
        """Raise SettingsError for what training through time does not heed."""
        rate = 1 / self.neuron_type.amplitude
        if not (np.array_equal(self.rates_at_one, rate) and np.array_equal(self.intercepts, 0)):
            raise SettingsError("SurrogateLIF takes its input as it is: leave max_rates and intercepts out")
        if self.neuron_type.initial_state:
            raise SettingsError(
                "SurrogateLIF is trained from its reset potential on: leave initial_state out, and give reset_potential"
            )

    def _check_rates(self):
        given = {"max_rates": self.rates_at_one, "intercepts": self.intercepts}
        for name, value in given.items():
            if not isinstance(value, nengo.dists.Distribution) and not as_float32(value, name).size:
                raise SettingsError(f"{name} must be a number, or one for each neuron, got {shown(value)}")
        if any(isinstance(value, nengo.dists.Distribution) for value in given.values()):
            return  # what is drawn is not known yet
        tau_ref = getattr(self.neuron_type, "tau_ref", 0)
        limit = 1 / tau_ref if tau_ref else np.inf
        highest, lowest = np.max(self.rates_at_one), np.min(self.rates_at_one)
        if not 0 < lowest <= highest < limit:
            raise SettingsError(
                f"max_rates must be above 0 and below {limit:g} Hz, the limit of {self.neuron_type}; got "
                f"{self.rates_at_one!r} (by default it is 1 / amplitude)"
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
    def has_rates(self):
        return not isinstance(self.neuron_type, SurrogateLIF)

    @property
    def accumulates(self):
        return not self.has_rates  # scores are firing rates, or means over time

    @property
    def rectifies(self):
        """Whether the neurons' rate is max(x, 0) itself."""
        if not isinstance(self.neuron_type, nengo.RectifiedLinear | IntegrateAndFire):
            return False
        return np.array_equal(self.rates_at_one, 1 / self.neuron_type.amplitude) and np.array_equal(self.intercepts, 0)

    def gain_bias(self, model, name):
        """Gain and bias of the ensemble of rectifier ``name``: two arrays of its size."""
        size = model.size(name)
        rng = np.random.RandomState((self.seed or 0) + list(model.layers).index(name))
        max_rates, intercepts = (_sample(value, size, rng) for value in (self.rates_at_one, self.intercepts))
        gain, bias = self.neuron_type.gain_bias(max_rates, intercepts)
        return np.asarray(gain, np.float32), np.asarray(bias, np.float32)

    def rate(self, model, name):
        return _Rate(self, *self.gain_bias(model, name), name)

    def construct(self, network):
        model, source = network.model, {}
        self._configure()
        for name, layer in model.layers.items():
            source[name] = self._place(model, layer, [source[i] for i in layer.inputs])
        network.layers = source
        network.input, network.output = source[model.input], source[model.output]
        if isinstance(network.output, nengo.ensemble.Neurons) or model.output_scale != 1:
            network.output = nengo.Node(size_in=model.size(model.output), label="output")
            connect_output(model, source[model.output], network.output)
        nengo.Probe(network.output, label="output")
        nengo.Probe(network.output, synapse=self.output_synapse, label="output_filtered")
        for name in self.probe_layers:
            nengo.Probe(source[name], label=f"layer/{name}")  # no layer's name has a slash

    def _configure(self):
        """Tell NengoDL the settings, for the whole network where it takes them for that only."""
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

    def _place(self, model, layer, sources):
        """The Nengo object for one layer, connected to its ``sources``."""
        shape_in = model.shapes[layer.inputs[0]] if layer.inputs else None
        if isinstance(layer, specs.Input):
            return nengo.Node(np.zeros(model.size(layer.name)), label=layer.name)
        if isinstance(layer, specs.Flatten | specs.Reshape):
            return sources[0]  # the same signal: Nengo's are flat
        if isinstance(layer, specs.Rectifier):
            gain, bias = self.gain_bias(model, layer.name)
            neurons = nengo_dl.Layer(self.neuron_type)
            return neurons(sources[0], synapse=self._synapse(sources[0]), gain=gain, bias=bias, label=layer.name)
        if isinstance(layer, specs.Add | specs.Concatenate):
            return self._join(model, layer, sources)
        tensor_node = nengo_dl.Layer(keras_layer(layer, model.arrays_of(layer.name)))
        return tensor_node(sources[0], shape_in=shape_in, synapse=self._synapse(sources[0]), label=layer.name)

    def _join(self, model, layer, sources):
        """A pass-through node whose entries are fed by the inputs: the same ones (Add) or their own."""
        node = nengo.Node(size_in=model.size(layer.name), label=layer.name)
        entries = np.arange(node.size_in)
        parts = [entries] * len(sources)
        if isinstance(layer, specs.Concatenate):
            axis = layer.axis % len(model.shapes[layer.name])
            ends = np.cumsum([model.shapes[name][axis] for name in layer.inputs])
            parts = np.split(entries.reshape(model.shapes[layer.name]), ends[:-1], axis=axis)
        for source, part in zip(sources, parts, strict=True):
            nengo.Connection(source, node[part.ravel()], synapse=self._synapse(source))
        return node

    def _synapse(self, source):
        return self.synapse if isinstance(source, nengo.ensemble.Neurons) else None

    def report_row(self, layer, model):
        if isinstance(layer, specs.Input):
            return "Node", "exact", "constant current"
        if isinstance(layer, specs.Flatten | specs.Reshape):
            return "same object", "exact", ""
        if isinstance(layer, specs.Add | specs.Concatenate):
            return "Node", "exact", ""
        if isinstance(layer, specs.Rectifier):
            if self.rectifies and not self.neuron_type.spiking:
                return f"Ensemble ({type(self.neuron_type).__name__})", "exact", "rates"
            if not self.has_rates:
                return f"Ensemble ({type(self.neuron_type).__name__})", "exact", "spikes, trained through time"
            remark = "trained on its rates, runs with spikes" if self.neuron_type.spiking else "rates"
            if not isinstance(self.neuron_type, nengo.RectifiedLinear):
                remark = f"the response of {type(self.neuron_type).__name__} replaces the rectifier; {remark}"
            return f"Ensemble ({type(self.neuron_type).__name__})", "approximated", remark
        if isinstance(layer, specs.MaxPool | specs.GlobalMaxPool) and self.neuron_type.spiking and self.has_rates:
            remark = (
                "a spike anywhere in the window passes: rates after it are too high; average pooling has none of this"
            )
            return "TensorNode", "approximated", remark
        if isinstance(layer, specs.Dropout):
            return "TensorNode", "exact", "while training only"
        return "TensorNode", "exact", ""


def _sample(value, size, rng):
    """``value`` for each of ``size`` neurons: a number, an array, or draws from a distribution."""
    if isinstance(value, nengo.dists.Distribution):
        return value.sample(size, rng=rng)
    return np.broadcast_to(np.asarray(value, float), (size,))


def build_trainable(model, neuron_type=None, *, output_neurons=False, **settings):
    """Build a network that NengoDL trains: Keras layers as ``nengo_dl.Layer``, neurons as ensembles.

    Each convolution, dense and pooling layer is a Keras layer in a TensorNode; each rectifier is an
    ensemble of ``neuron_type``, which trains with its rate form and runs with spikes (Hunsberger & Eliasmith
    2016, arXiv 1611.05141).  Biases and gains of the ensembles are fixed, so that the trained
    arrays are those of a convolutional network.

    Parameters
    ----------
    model : Keras model or Model
        Sequential or functional; its layers and options are those that ``as_model`` reads.
    neuron_type : nengo.neurons.NeuronType, optional
        Any type with a rate form, or ``SurrogateLIF``, whose networks are trained through time; ``DEFAULT_NEURON``, an
        LIF type that spikes well, by default.
    output_neurons : bool, optional
        Put neurons behind the last layer too, so that class scores are firing rates; False by default.
    max_rates : float, array_like or nengo.dists.Distribution, optional
        Firing rate in Hz of a neuron whose input is 1.  By default 1 / amplitude of the neuron type, so that an
        input of 1 gives an output of 1, as in the rectifier that it replaces; types without one need it.
    intercepts : float, array_like or nengo.dists.Distribution, optional
        Input at which a neuron starts to fire; 0 by default.
    synapse : float or nengo.synapses.Synapse, optional
        Filter on spikes that leave a layer, time constant in seconds; none by default, as in NengoDL's example.  With
        0.002 spiking costs a little less accuracy.  ``train`` ignores it; in a Simulator session of your own, train
        without and then ``rebuild(synapse=0.002)``, because a filter delays its input, and training lasts one step.
    output_synapse : float or nengo.synapses.Synapse, optional
        Filter of the probe "output_filtered", 0.1 s by default.
    lif_smoothing : float, optional
        Train ``nengo.LIF`` with the smoothed response of NengoDL's setting of the same name.
    stateful : bool, optional
        Whether simulators keep the network's state between calls; True by default, as in NengoDL.
    planner : "greedy", "tree", "transitive" or "noop", optional
        NengoDL's graph planner; "noop" by default: the others merge the neurons of several layers, and copying
        such large signals together and apart makes simulations with synapses many times slower.
    seed : int, optional
        Of the network and of what distributions draw; 0 by default.

    Returns
    -------
    ConvNetwork

    Raises
    ------
    SettingsError, ConversionError
        If a setting cannot work; if the neuron type has no rate form.
    """
    check_flags(output_neurons=output_neurons)
    neuron_type = DEFAULT_NEURON if neuron_type is None else neuron_type
    settings = TrainableSettings(neuron_type=neuron_type, **settings)
    rates = settings.rates_at_one
    known = settings.has_rates and not isinstance(rates, nengo.dists.Distribution)
    if neuron_type.spiking and known and np.max(rates) < 10:
        warnings.warn(
            f"neurons fire at {np.max(rates):g} Hz for an input of 1, so spikes need seconds to carry anything: "
            f"use {type(neuron_type).__name__}(amplitude=0.0025), or set max_rates",
            SnnConvWarning,
            stacklevel=2,
        )
    model = restore_output_scale(as_model(model, training=True))
    if output_neurons and not isinstance(model.layers[model.output], specs.Rectifier):
        neurons = specs.Rectifier("output_neurons", model.output)
        model = model.replace(layers=[*model.layers.values(), neurons], arrays=model.arrays, output=neurons.name)
    # scales would no longer be those of the arrays once they are trained
    metadata = {key: value for key, value in model.metadata.items() if key != "scales"}
    return ConvNetwork(model.replace(metadata=metadata), settings)


def live_arrays(network):
    """The arrays that the network's Keras layers hold now: those of the model, or what a Simulator trained.

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


def collect_trained(network):
    """The network with the arrays that a ``nengo_dl.Simulator`` session trained.

    NengoDL keeps trained weights in the Keras layers of the session; ``evaluate``, ``save`` and the like read
    the network's model.  This makes a new network whose model holds the trained arrays.

    Parameters
    ----------
    network : ConvNetwork
        Made by :func:`build_trainable`, then trained in a Simulator.

    Returns
    -------
    ConvNetwork
    """
    check_network(network)
    if not isinstance(network.settings, TrainableSettings):
        raise ConversionError("only networks made by build_trainable hold arrays that a Simulator trains")
    return network.rebuild(network.model.replace(arrays=live_arrays(network)))


def check_collected(network):
    """Raise where a Simulator session has trained the network since it was built, or it was changed by hand."""
    check_unedited(network)
    if isinstance(network.settings, TrainableSettings):
        for name, array in live_arrays(network).items():
            if not np.array_equal(array, network.model.arrays[name]):
                raise SettingsError(
                    f"this network was trained in a nengo_dl.Simulator after it was built ({name} differs from its "
                    "model): continue with network = nengo_snnconv.collect_trained(network)"
                )
