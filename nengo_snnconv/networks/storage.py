"""Saving and loading networks: the model, and the settings of the builder, as JSON."""

import dataclasses
import math

import nengo
import numpy as np
from nengo.params import FrozenObject
from nengo.synapses import SynapseParam

from .._util.validation import check_paths
from ..compat import nengo_dl
from ..errors import ConversionError, FileFormatError, SettingsError
from ..model import Model, read_model, write_model
from ..model.files import DAMAGE, describe_error
from ..model.metadata import check_steps
from ..neurons import integrate_and_fire, surrogate_lif, time_to_first_spike
from ..neurons.arguments import arguments_of
from .edits import warn_of_intruders
from .loihi.builder import LoihiSettings
from .native import NativeSettings
from .network import ConvNetwork
from .surrogate import SurrogateSettings
from .trainable import TrainableSettings, check_collected
from .ttfs import FirstSpikeSettings

BUILDERS = {
    "trainable": TrainableSettings,
    "native": NativeSettings,
    "first spike": FirstSpikeSettings,
    "surrogate": SurrogateSettings,
    "loihi": LoihiSettings,
}
# the only modules whose classes a file can name
MODULES = {"nengo.neurons": nengo.neurons, "nengo.dists": nengo.dists, "nengo.synapses": nengo.synapses}
MODULES["nengo_dl.neurons"] = nengo_dl.neurons
MODULES["nengo_snnconv.neurons.integrate_and_fire"] = integrate_and_fire
MODULES["nengo_snnconv.neurons.surrogate_lif"] = surrogate_lif
MODULES["nengo_snnconv.neurons.time_to_first_spike"] = time_to_first_spike


def save(network, path):
    """Save a network or a model as one .npz file.

    Parameters
    ----------
    network : ConvNetwork or Model
    path : str or path
        Written whole or not at all; an existing file is replaced.

    Raises
    ------
    ConversionError
        If the network's neuron type or another setting is not one of Nengo's, NengoDL's or our own.
    """
    check_paths(path=path)
    if isinstance(network, Model):
        write_model(path, network)
        return
    if not isinstance(network, ConvNetwork):
        raise ConversionError(
            f"save takes a network or a Model, got {type(network).__name__}: build a network first, or use as_model"
        )
    check_collected(network)
    warn_of_intruders(network)
    write_model(path, network.model, network=settings_to_json(network.settings))


def load(path):
    """Load what :func:`save` wrote, or the checkpoint of a training.

    A file is data: loading runs nothing that it names, creates only objects of Nengo, NengoDL and this package, and
    refuses sizes that do not fit the file, or exceed the limits of a model, before memory is taken for them.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    ConvNetwork or Model

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If it is damaged, is not one of ours, was written by a newer version, or describes a network larger than what is
        built.
    """
    check_paths(path=path)
    model, sections = read_model(path)
    if "network" not in sections:
        return model
    try:
        settings = settings_from_json(sections["network"])
        _check(settings, model)
        return ConvNetwork(model, settings)
    except DAMAGE as error:
        raise FileFormatError(f"{path} is damaged: its network cannot be rebuilt ({describe_error(error)})") from error


def _check(settings, model):
    """Raise ModelError or SettingsError for settings that would fail only when the network is run."""
    if not isinstance(settings.neuron_type, nengo.neurons.NeuronType):
        raise SettingsError(f"neuron_type must be a Nengo neuron type, got {settings.neuron_type!r}")
    check_steps(getattr(settings.neuron_type, "n_steps", 1))
    if not all(isinstance(name, str) for name in settings.probe_layers):
        raise SettingsError(f"probe_layers must hold names of layers, got {settings.probe_layers!r}")
    for name in ("synapse", "output_synapse"):
        synapse = SynapseParam(name).coerce(None, getattr(settings, name, None))
        if synapse is not None:
            with np.errstate(all="ignore"):
                state = synapse.make_state((1,), (1,), 0.001)
            if not all(np.isfinite(values).all() for values in state.values()):
                raise SettingsError(f"{name}={synapse!r} is no filter that can be computed")
    rng = np.random.RandomState(0)
    for name in model.neurons:
        settings.neuron_type.make_state(model.size(name), rng)


def settings_to_json(settings):
    """The settings of a network as JSON-serialisable values."""
    builder = next(name for name, cls in BUILDERS.items() if type(settings) is cls)
    fields = {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}
    written = {"builder": builder, **{name: value_to_json(name, value) for name, value in fields.items()}}
    if builder == "trainable" and _follows_amplitude(settings.neuron_type, written["max_rates"]):
        # a number that the user gave, which happens to be 1 / amplitude: written so that it is not taken for one that
        # earlier versions wrote where none was given
        written["max_rates"] = {"float": repr(written["max_rates"])}
    return written


def _follows_amplitude(neuron_type, max_rates):
    """Return whether a written ``max_rates`` is the number that the neuron type has by default."""
    amplitude = getattr(neuron_type, "amplitude", None)
    return bool(amplitude) and isinstance(max_rates, int | float) and max_rates == 1 / amplitude


def settings_from_json(fields):
    """The settings that :func:`settings_to_json` wrote."""
    written = fields
    fields = {name: _from_json(value) for name, value in fields.items()}
    builder = fields.pop("builder")
    if builder == "trainable" and _follows_amplitude(fields.get("neuron_type"), written.get("max_rates")):
        fields["max_rates"] = None  # earlier versions wrote the number that follows from the amplitude
    return BUILDERS[builder](**fields)


def value_to_json(name, value):
    """A setting as JSON-serialisable values: a number, text, a list, an array or a Nengo object."""
    if isinstance(value, FrozenObject):
        module = type(value).__module__
        if module not in MODULES:
            raise ConversionError(
                f"{name}={value!r} cannot be saved: a file holds only classes of nengo, nengo_dl and nengo_snnconv; "
                "save network.model instead, and build the network again after loading it"
            )
        arguments = {key: value_to_json(key, item) for key, item in arguments_of(value).items() if key != "seed"}
        written = {"class": f"{module}.{type(value).__name__}", "arguments": arguments}
        if _from_json(written) != value:
            raise ConversionError(f"{name}={value!r} cannot be saved without loss; save network.model instead")
        return written
    if isinstance(value, dict):
        return {key: value_to_json(key, item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [value_to_json(name, item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return value_to_json(name, value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}  # JSON has no infinity
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ConversionError(f"{name}={value!r} cannot be saved: it is no number, text, array or Nengo object")


def _from_json(value):
    if isinstance(value, list):
        return tuple(_from_json(item) for item in value)
    if not isinstance(value, dict):
        return value
    if "float" in value:
        return float(value["float"])
    if "class" not in value:
        return {key: _from_json(item) for key, item in value.items()}
    module, _, name = value["class"].rpartition(".")
    cls = getattr(MODULES[module], name)
    if not (isinstance(cls, type) and issubclass(cls, FrozenObject)):
        raise TypeError(f"{value['class']} is no Nengo object")
    return cls(**{key: _from_json(item) for key, item in value["arguments"].items()})
