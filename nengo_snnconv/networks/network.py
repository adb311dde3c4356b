"""ConvNetwork: a ``nengo.Network`` that remembers the model and the settings that it was built from."""

import abc
import dataclasses
import typing

import nengo

from .._util.text_tables import reading_table, text_table
from .._util.validation import check_seed
from ..compat import tf
from ..errors import SettingsError, listed
from ..model import Model
from .edits import Snapshot, check_unedited, warn_of_intruders
from .keras_layers import keras_name


@dataclasses.dataclass(frozen=True)
class BuildConfig(abc.ABC):
    """How a network is built from a model.  A subclass per builder."""

    neuron_type: nengo.neurons.NeuronType
    seed: int = 0

    # the function that makes such networks
    builder_name: typing.ClassVar = ""
    # whether class scores are sums over time; else they are read through the output synapse
    accumulates: typing.ClassVar = False
    # whether the neurons have a rate form, and so the network an ANN; others are trained through time
    has_rates: typing.ClassVar = True
    # whether the input layer spikes; then input_height is the height of its spikes, input_range what they can carry,
    # and wider_input(x) tells a user how to have them carry x
    input_spikes: typing.ClassVar = False

    @property
    def spike_amplitude(self):
        """A spike has the height of this divided by dt."""
        return getattr(self.neuron_type, "amplitude", 1)

    def total_steps(self, model):
        """How many steps a run takes; None where that is up to the user."""
        return

    def steps_without_scores(self, model):
        """How many steps pass before there are any class scores."""
        return 0

    def relay_stages(self, model):
        """How many times the spikes of layers are sent again, for layers that read them later: {name: int}."""
        return {}

    @abc.abstractmethod
    def construct(self, network):
        """Fill ``network``, whose context is open: set its input, output and layers, and add its probes."""

    @abc.abstractmethod
    def rate(self, model, name):
        """What the neurons of rectifier ``name`` stand for, as a Keras layer: that of the ANN."""

    def read_out_row(self):
        """How the output is read, as :meth:`report_row` says it; empty where it is the output layer itself."""
        return ()

    @abc.abstractmethod
    def report_row(self, layer, model):
        """How a layer is built: (Nengo object, "exact" or "approximated", remark), each a str."""


@dataclasses.dataclass(frozen=True)
class NativeBase(BuildConfig):
    """Settings of the builders that use Nengo's own objects only, so that every back end runs their networks."""

    def __post_init__(self):
        check_seed(self.seed, optional=True)

    def rate(self, model, name):
        """The rectifier as a Keras layer: what the neurons stand for."""
        return tf.keras.layers.ReLU(name=keras_name(name))


class ProbeList(list):
    """A list of probes in which a probe is also found by its label: ``probes["output"]``."""

    def __getitem__(self, key):
        if not isinstance(key, str):
            return super().__getitem__(key)
        for probe in self:
            if probe.label == key:
                return probe
        raise KeyError(f"no probe is labelled {key!r}; there are {listed((probe.label for probe in self), 8)}")


class ConvNetwork(nengo.Network):
    """A convolutional network in Nengo.  It is never edited: what changes it returns a new one.

    Nodes, probes and connections may be added to it.  The attributes of the objects that it was built with stay as they
    are: ``rebuild`` returns a network with other settings, or with another model.  What evaluates, converts or saves a
    network raises SettingsError if they were changed by hand.

    Parameters
    ----------
    model : Model
    settings : BuildConfig
        Of the builder that makes the network.

    Attributes
    ----------
    model : Model
        Layer specs and arrays that the network was built from.
    settings : BuildConfig
    input : nengo.Node
        Of size height * width * channel, row-major, channel last.
    output : nengo.Node
        Carries the class scores, in the units of the model that was converted.
    layers : dict of str to Nengo object
        The object that holds each layer's activity, in order.
    probes : list of nengo.Probe
        Also by label: ``probes["output"]`` (unfiltered) and ``probes["output_filtered"]``.
    built : frozenset of Nengo objects
        Nodes, ensembles and connections that it was built with, to tell them from what a user adds.
    snapshot : Snapshot
        What they were like, to tell whether they were changed by hand.
    """

    def __init__(self, model, settings, label=None):
        for name, value, kind in (("model", model, Model), ("settings", settings, BuildConfig)):
            if not isinstance(value, kind):
                raise SettingsError(f"{name} must be {kind.__name__}, got {type(value).__name__}: use convert(...)")
        super().__init__(label=label, seed=settings.seed)
        self._probes = self._objects[nengo.Probe] = ProbeList()
        self.model = model
        self.settings = settings
        self.input = self.output = None
        self.layers = {}
        with self:
            settings.construct(self)
        self.built = frozenset((*self.all_nodes, *self.all_ensembles, *self.all_connections))
        self.snapshot = Snapshot(self)

    @property
    def history(self):
        """Training history, {name: list with an entry per epoch}; empty for an untrained network."""
        return self.model.metadata.get("history", {})

    def rebuild(self, model=None, **changes):
        """A new network of the same kind, with another model or with some settings changed."""
        model = self.model if model is None else model
        return ConvNetwork(model, dataclasses.replace(self.settings, **changes), self.label)

    def report(self):
        """Tables as text: for each layer what it is, what it became, and whether exactly.

        For a network that was read from Keras, first for each Keras layer what it became.
        """
        rows = [("layer", "type", "output shape", "became", "", "remark")]
        for name, layer in self.model.layers.items():
            rows.append(
                (name, type(layer).__name__, str(self.model.shapes[name]), *self.settings.report_row(layer, self.model))
            )
        if read_out := self.settings.read_out_row():
            rows.append(("output", "read-out", str(self.model.shapes[self.model.output]), *read_out))
        tables = [rows]
        if self.model.metadata.get("reading"):
            tables.insert(0, reading_table(self.model.metadata["reading"]))
        return "\n\n".join(map(text_table, tables))


def described(network):
    """What a user passed in the place of a network, for messages."""
    if not isinstance(network, ConvNetwork):
        return type(network).__name__
    check_unedited(network)
    if not network.settings.has_rates:
        return "one of SurrogateLIF neurons, which spikes as it was trained and has no rates"
    return f"one that {network.settings.builder_name} made"


def check_network(network):
    """Raise SettingsError for anything but a network, and for one that was changed by hand after it was built."""
    if not isinstance(network, ConvNetwork):
        raise SettingsError(
            f"expected a network, got {type(network).__name__}: build one first, with build_trainable, or convert, "
            "normalize and to_spiking of a Keras model or its file"
        )
    check_unedited(network)
    warn_of_intruders(network)
