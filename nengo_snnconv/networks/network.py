"""ConvNetwork, a ``nengo.Network`` that keeps the model and the settings that it was built from."""

from __future__ import annotations

import abc
import dataclasses
import functools
import typing
from collections.abc import Iterable

import nengo

from .._util.display import Displayed
from .._util.text_tables import quantization_table, reading_table, text_table
from .._util.validation import check_seed, shown
from ..errors import SettingsError, listed
from ..model import Model
from ..neurons.repeated import Repeated
from .edits import Snapshot, check_unedited, warn_of_added_connections
from .keras_layers import keras_layer
from .named_ports import NamedPorts, described
from .neuron_types import by_layer
from .resetting import build_with_reset

if typing.TYPE_CHECKING:
    from ..compat import tf


@dataclasses.dataclass(frozen=True)
class BuildConfig(abc.ABC):
    """Settings with which a network is built from a model; each builder has a subclass.

    Attributes
    ----------
    builder_name : str
        Name of the function that makes such networks, for messages.
    accumulates : bool
        True if class scores are sums over time; False if they are read through the output synapse.
    has_rates : bool
        True if the neurons have a rate form, so that the network has an ANN.  Other networks are trained through time.
    input_spikes : bool
        True if the input layer spikes.  Such a class also has ``input_height`` (height of these spikes),
        ``input_range`` (lowest and highest input that spikes can encode) and ``wider_input(x)`` (advice on how to
        encode ``x``).
    takes_levels : bool
        True if the neurons can stand for rectifiers with levels.
    can_reset : bool
        True if the network has a node ``reset``, which nengo_loihi has no way to build.
    """

    neuron_type: nengo.neurons.NeuronType
    seed: int | None = 0

    builder_name: typing.ClassVar[str] = ""
    accumulates: typing.ClassVar[bool] = False
    has_rates: typing.ClassVar[bool] = True
    input_spikes: typing.ClassVar[bool] = False
    takes_levels: typing.ClassVar[bool] = True
    can_reset: typing.ClassVar[bool] = True

    @property
    def spike_amplitude(self) -> float:
        """Height of a spike times dt."""
        return getattr(self.neuron_type, "amplitude", 1)

    @functools.cached_property
    def of_types(self) -> dict[nengo.neurons.NeuronType, typing.Any]:
        """Settings for each neuron type of the layers, with this type as that of all layers."""
        types = dict.fromkeys(getattr(self, "neuron_types", ()))
        none: dict[str, typing.Any] = {"neuron_types": ()}
        settings = {each: dataclasses.replace(self, neuron_type=each, **none) for each in types}
        return settings or {self.neuron_type: self}

    def of_layer(self, model: Model, name: str) -> typing.Any:
        """Return the settings with the neuron type of a layer as that of all layers."""
        types = getattr(self, "neuron_types", ())
        return self.of_types[types[model.neurons.index(name)]] if types and name in model.neurons else self

    def total_steps(self, model: Model) -> int | None:
        """Return the number of steps of a run; None if the user chooses it."""
        return None

    def steps_without_scores(self, model: Model) -> int:
        """Return the number of steps before the first class scores."""
        return 0

    def active_steps(self, model: Model, name: str) -> int | None:
        """Return the number of steps in which the neurons of a layer integrate or spike; None for all steps."""
        return None

    def input_steps(self, n_steps: int) -> int:
        """Return the number of steps, from the first one on, in which an image is shown in a run of ``n_steps``."""
        return n_steps

    def relay_stages(self, model: Model) -> dict[str, int]:
        """Return how many times the spikes of each layer are repeated for layers that read them later, by layer."""
        return {}

    @abc.abstractmethod
    def construct(self, network: ConvNetwork) -> None:
        """Set the input, output and layers of ``network``, whose context is open, and add its probes."""

    @abc.abstractmethod
    def rate_layer(self, model: Model, name: str) -> tf.keras.layers.Layer:
        """Return the Keras layer of rectifier ``name`` in the ANN: the rate form of its neurons."""

    def read_out_row(self) -> tuple[str, ...]:
        """Return the row of the read-out, as :meth:`report_row` does; empty if scores are the output layer's."""
        return ()

    @abc.abstractmethod
    def report_row(self, layer: typing.Any, model: Model) -> tuple[str, str, str]:
        """Return what a layer becomes: (Nengo object, "exact" or "approximated", remark)."""


@dataclasses.dataclass(frozen=True)
class NativeBase(BuildConfig):
    """Base of the settings for networks of Nengo's own objects, which every back end runs."""

    def __post_init__(self) -> None:
        check_seed(self.seed, optional=True)

    def rate_layer(self, model, name):
        return keras_layer(model.layers[name], {})


class ProbeList(list):
    """List of probes that also takes labels as keys: ``probes["output"]``."""

    def __getitem__(self, key):
        if not isinstance(key, str):
            return super().__getitem__(key)
        for probe in self:
            if probe.label == key:
                return probe
        raise KeyError(f"no probe has the label {key!r}; labels are {listed((probe.label for probe in self), 8)}")


class ConvNetwork(Displayed, NamedPorts, nengo.Network):
    """Convolutional network in Nengo.

    Networks are made by ``build_trainable``, ``convert``, ``to_spiking``, ``to_ttfs`` and ``to_loihi``.  They are not
    edited: functions that change a network return a new one, and ``rebuild`` returns one with another model or other
    settings.

    You can add nodes, probes and connections of your own.  Do not change attributes of the objects that the network was
    built with: functions that evaluate, convert or save it raise SettingsError then.

    ``network.inputs`` and ``network.outputs`` are dicts with the part of the node ``input`` or ``output`` for each of
    them in the model, to which objects can be connected: ``nengo.Connection(camera, network.inputs["image"])``.

    Parameters
    ----------
    model : Model
    settings : BuildConfig
        Settings of the builder.
    label : str, optional

    Attributes
    ----------
    model : Model
        Layer specs and arrays that the network was built from.
    settings : BuildConfig
    input : nengo.Node
        Input of size height * width * channel, row-major, channel last.  Simulators feed it with data; or set its
        ``output``, or connect an object of a larger network to it.  It has the entries of several inputs one after
        another, see ``inputs``.
    reset : nengo.Node or None
        Input of size 1.  In each step in which it is above 0.5, membrane potentials and all other state of the network
        have their initial values, so that it starts again, for example with another image.  None for ``to_loihi``.
    output : nengo.Node
        Class scores, in the units of the model that was converted.  It has the entries of several outputs one after
        another, see ``outputs``.
    layers : dict of str to Nengo object
        Object that carries the activity of each layer, in order.
    probes : list of nengo.Probe
        Probes, by index or label: ``probes["output"]`` (unfiltered) and ``probes["output_filtered"]``.
    built : frozenset of Nengo objects
        Nodes, ensembles and connections of the builder, without objects that a user added.
    snapshot : Snapshot
        Attributes of these objects when the network was built, to detect edits.
    """

    model: Model
    settings: typing.Any  # the BuildConfig of the builder, each of which has other fields
    input: nengo.Node
    reset: nengo.Node | None
    output: nengo.Node
    layers: dict[str, typing.Any]

    def __init__(self, model: Model, settings: BuildConfig, label: str | None = None) -> None:
        for name, value, kind in (("model", model, Model), ("settings", settings, BuildConfig)):
            if not isinstance(value, kind):
                raise SettingsError(
                    f"{name} must be {kind.__name__}, got {type(value).__name__}: use convert(...)", argument=name
                )
        _check_probe_layers(model, getattr(settings, "probe_layers", ()))
        _check_levels(model, settings)
        _check_split(model, settings)
        super().__init__(label=label, seed=settings.seed)
        self._probes = self._objects[nengo.Probe] = ProbeList()
        self.model = model
        self.settings = settings
        self.input = self.output = None
        self.layers = {}
        with self:
            settings.construct(self)
            self.reset = nengo.Node(size_in=1, label="reset") if settings.can_reset else None
        self.built = frozenset((*self.all_nodes, *self.all_ensembles, *self.all_connections))
        self.snapshot = Snapshot(self)

    def _headline(self):
        if not self.layers:
            return "under construction"
        model, n_neurons = self.model, sum(map(self.model.size, self.model.neurons))
        kinds = ", ".join(dict.fromkeys(type(each).__name__ for each in self.settings.of_types))
        shapes = [described(ports) for ports in (model.inputs, model.outputs)]
        label = f"{self.label!r}, " if self.label else ""
        n_layers = len(model.neurons)
        return f"{label}{shapes[0]} to {shapes[1]}, {n_neurons:,} neurons in {n_layers} layers ({kinds})"

    def _tables(self):
        header = ("layer", "type", "output shape", "became", "", "remark")
        return [[header, *((name, kind, str(shape), *became) for name, kind, shape, *became in report_rows(self))]]

    @property
    def history(self) -> dict[str, list]:
        """Training history, {name: list with an entry per epoch}; empty for an untrained network."""
        return self.model.metadata.get("history", {})

    def rebuild(self, model: Model | None = None, **changes: typing.Any) -> ConvNetwork:
        """Build a new network of the same kind, with another model or with some settings changed.

        Changes that were made to this network's objects by hand are left behind.

        Parameters
        ----------
        model : Model, optional
            Model of the new network; this network's by default.
        **changes
            Settings to change, by name, such as ``synapse=0.002``.  A dict of neuron types by layer changes those of
            the named layers only: ``neuron_type={"conv1": nengo.LIF(min_voltage=-5)}``.

        Returns
        -------
        ConvNetwork

        Raises
        ------
        SettingsError
            If the network has no such setting, or a layer to probe is unknown.
        """
        known = [field.name for field in dataclasses.fields(self.settings)]
        for name in changes:
            if name not in known:
                raise SettingsError(
                    f"there is no setting {shown(name)}; this network has {', '.join(known)}", argument=name
                )
        model = self.model if model is None else model
        if "neuron_type" in changes and "neuron_types" in known and "neuron_types" not in changes:
            settings = self.settings
            changes["neuron_type"], changes["neuron_types"] = by_layer(
                changes["neuron_type"], model, settings.neuron_type, settings.neuron_types
            )
        return ConvNetwork(model, dataclasses.replace(self.settings, **changes), self.label)

    def report(self) -> str:
        """Return tables as text: each layer, the Nengo object it became, and whether that is exact.

        For a network that was read from Keras, a table of the Keras layers comes first.  For one with integer weights,
        a table of the errors that they cause comes last.
        """
        check_unedited(self)
        header = ("layer", "type", "output shape", "became", "", "remark")
        rows = ((name, kind, str(shape), *became) for name, kind, shape, *became in report_rows(self))
        tables = [[header, *rows]]
        if self.model.metadata.get("reading"):
            tables.insert(0, reading_table(self.model.metadata["reading"]))
        if self.model.metadata.get("quantization"):
            tables.append(quantization_table(self.model.metadata["quantization"]))
        return "\n\n".join(map(text_table, tables))


nengo.builder.Builder.register(ConvNetwork)(build_with_reset)


def report_rows(network):
    """Return a row for each layer and for the read-out: name, type, output shape, and a report row of the builder."""
    model, settings = network.model, network.settings
    rows = [
        (name, type(layer).__name__, model.shapes[name], *settings.report_row(layer, model))
        for name, layer in model.layers.items()
    ]
    if read_out := settings.read_out_row():
        rows.append(("output", "read-out", model.shapes[model.output], *read_out))
    return rows


def _check_probe_layers(model, names):
    """Raise SettingsError unless ``names`` are layers of the model."""
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise SettingsError(f"probe_layers must hold names of layers, got {shown(names)}", argument="probe_layers")
    unknown = [name for name in names if name not in model.layers]
    if unknown:
        raise SettingsError(
            f"probe_layers has {listed(unknown)}, but the layers are {listed(model.layers, 8)}", argument="probe_layers"
        )


def _check_levels(model, settings):
    """Raise SettingsError if the model has rectifiers with levels, and the neurons have another response."""
    if model.levels and not settings.takes_levels:
        raise SettingsError(
            f"activations with levels (QCFS) need neurons whose rate is the rectifier, which that of "
            f"{settings.neuron_type} is not: use IntegrateAndFire() or nengo.RectifiedLinear(), or a model without "
            "levels",
            argument="neuron_type",
        )


def _check_split(model, settings):
    """Raise SettingsError if neurons are split into groups, and those of a group begin with the same potential."""
    for name, n in model.metadata.get("split", {}).get("neurons", {}).items():
        start = (settings.of_layer(model, name).neuron_type.initial_state or {}).get("voltage")
        if not isinstance(start, Repeated) or len(start.values) != n:
            raise SettingsError(
                f"the {n} neurons in place of each neuron of {name} must begin with {n} different potentials, as those "
                "of split_neurons do: leave the neuron type of this layer as it is, or change it before split_neurons",
                argument="neuron_type",
            )


def describe_network(network):
    """Describe an object that is not the network that a function needs, for error messages."""
    if not isinstance(network, ConvNetwork):
        return type(network).__name__
    check_unedited(network)
    if network.settings.builder_name == "read_nir":
        return "one that read_nir made, which has no rates"
    if not network.settings.has_rates:
        return "one of SurrogateLIF neurons, which spikes as it was trained and has no rates"
    name = network.settings.builder_name
    made_by = "build_trainable or from_nengo" if name == "build_trainable" else name
    return f"one that {made_by} made"


def not_convertible(network):
    """Return why a network of ``build_trainable`` cannot be converted, with a way out; empty for any other object."""
    settings = getattr(network, "settings", None)
    neuron_type = getattr(settings, "not_rectifying", None)  # of networks of build_trainable only
    if neuron_type is None or not settings.has_rates:
        return ""
    return (
        f"it has the response of {neuron_type}, which is not the rectifier that conversion assumes; "
        "evaluate it as it is (rebuild(tensor_nodes=False) makes it one of Nengo's own objects), or train "
        "snc.build_trainable(network.model, nengo.RectifiedLinear()) and convert that"
    )


def is_converter(value):
    """Return whether an object is a nengo_dl.Converter."""
    return type(value).__name__ == "Converter" and type(value).__module__.partition(".")[0] == "nengo_dl"


OF_CONVERTER = (
    "read its network with snc.from_nengo(converter.net, converter.inputs[converter.model.inputs[0]], "
    "converter.outputs[converter.model.outputs[0]])"
)
NETWORK_ERROR = functools.partial(SettingsError, argument="network")


def check_not_own_network(network, error=NETWORK_ERROR):
    """Raise the exception that ``error`` makes from a message for a nengo.Network of the user's own objects.

    So is that of a nengo_dl.Converter.
    """
    if is_converter(network):
        raise error(f"expected a network of this package, got a nengo_dl.Converter: {OF_CONVERTER}")
    if isinstance(network, nengo.Network) and not isinstance(network, ConvNetwork):
        raise error(
            "expected a network of this package, got a nengo.Network of your own objects: read it with "
            "snc.from_nengo(network, input, output)"
        )


def check_network(network):
    """Check that an argument is a network whose objects were not changed by hand; raise SettingsError otherwise."""
    check_not_own_network(network)
    if not isinstance(network, ConvNetwork):
        raise SettingsError(
            f"expected a network, got {type(network).__name__}: build one first, with build_trainable, or convert, "
            "normalize and to_spiking of a Keras model or its file",
            argument="network",
        )
    check_unedited(network)
    warn_of_added_connections(network)
