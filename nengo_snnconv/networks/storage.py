"""Files of networks: the model, and the settings of the builder as JSON."""

from __future__ import annotations

import dataclasses
import math
import typing

import nengo
import numpy as np
from nengo.params import FrozenObject
from nengo.synapses import SynapseParam

from .._util.validation import check_flags, check_paths
from ..compat import nengo_dl
from ..errors import ConversionError, FileFormatError, SettingsError
from ..model import Model, read_model, write_model
from ..model.archive import check_ending
from ..model.files import DAMAGE, describe_error
from ..model.metadata import check_steps
from ..neurons import integrate_and_fire, repeated, signed_integrate_and_fire, surrogate_lif, time_to_first_spike
from ..neurons.arguments import arguments_of
from .edits import warn_of_added_connections
from .layerwise import LayerwiseConfig
from .loihi.builder import LoihiConfig
from .native import NativeConfig
from .network import ConvNetwork, check_not_own_network
from .staged import StagedConfig
from .surrogate import SurrogateConfig
from .trainable import TrainableConfig, check_collected
from .ttfs import TTFSConfig

if typing.TYPE_CHECKING:
    import os

# names of the settings classes in files
CONFIG_CLASSES = {
    "trainable": TrainableConfig,
    "native": NativeConfig,
    "first spike": TTFSConfig,
    "staged": StagedConfig,
    "surrogate": SurrogateConfig,
    "loihi": LoihiConfig,
    "layerwise": LayerwiseConfig,
}
# the only modules whose classes files may name
MODULES = {"nengo.neurons": nengo.neurons, "nengo.dists": nengo.dists, "nengo.synapses": nengo.synapses}
MODULES["nengo_dl.neurons"] = nengo_dl.neurons
MODULES["nengo_snnconv.neurons.integrate_and_fire"] = integrate_and_fire
MODULES["nengo_snnconv.neurons.repeated"] = repeated
MODULES["nengo_snnconv.neurons.signed_integrate_and_fire"] = signed_integrate_and_fire
MODULES["nengo_snnconv.neurons.surrogate_lif"] = surrogate_lif
MODULES["nengo_snnconv.neurons.time_to_first_spike"] = time_to_first_spike


def save(network: ConvNetwork | Model, path: str | os.PathLike, *, ann: bool = True) -> None:
    """Save a network or a model as one .npz file.

    Parameters
    ----------
    network : ConvNetwork or Model
    path : str or path
        File to write, usually ``.snn.npz``.  An existing file is replaced; if writing fails, it is kept.
    ann : bool
        Keep the weights of the ANN if ``calibrate``, ``quantize_weights`` or ``train`` changed them, for comparison.
        Without them, the file of a network with integer weights has these only and is much smaller; after loading, the
        network counts as its own ANN.

    Raises
    ------
    ConversionError
        If the neuron type or another setting is of a class that is not Nengo's, NengoDL's or nengo_snnconv's.
    SettingsError
        If the network was changed by hand, or trained in a Simulator session and not collected; or if the name of the
        file has the ending of another format, such as ``.keras`` or ``.onnx``.

    Examples
    --------
    >>> snc.save(network, "digits.snn.npz")
    """
    check_paths(path=path)
    check_ending(path)
    check_flags(ann=ann)
    if isinstance(network, Model):
        write_model(path, _kept(network, ann))
        return
    check_not_own_network(network, ConversionError)
    if not isinstance(network, ConvNetwork):
        raise ConversionError(
            f"save takes a network or a Model, got {type(network).__name__}: build a network first, or use as_model"
        )
    check_collected(network)
    warn_of_added_connections(network)
    write_model(path, _kept(network.model, ann), network=settings_to_json(network.settings))


def _kept(model, ann):
    """Return the model with or without the arrays of its ANN."""
    return model if ann else model.replace(ann_arrays={})


def load(path: str | os.PathLike) -> ConvNetwork | Model:
    """Load a file that :func:`save` wrote, or a training checkpoint.

    Loading never runs code from a file.  It creates objects of Nengo, NengoDL and this package only, and checks sizes
    against the size of the file and the limits of a model before it allocates memory.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    ConvNetwork or Model

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    FileFormatError
        If the file is damaged, has another format, was written by a newer version, or describes a network that is too
        large.

    Examples
    --------
    >>> network = snc.load("digits.snn.npz")
    """
    check_paths(path=path)
    model, sections = read_model(path)
    if "network" not in sections:
        return model
    try:
        settings = settings_from_json(sections["network"])
        _check_runs(settings, model)
        return ConvNetwork(model, settings)
    except DAMAGE as error:
        raise FileFormatError(f"{path} is damaged: its network cannot be rebuilt ({describe_error(error)})") from error


def _check_runs(settings, model):
    """Check settings that would otherwise fail only when the network runs; raise ModelError or SettingsError."""
    if not isinstance(settings.neuron_type, nengo.neurons.NeuronType):
        raise SettingsError(
            f"neuron_type must be a Nengo neuron type, got {settings.neuron_type!r}", argument="neuron_type"
        )
    check_steps(getattr(settings, "stage_steps", 1))
    if not all(isinstance(name, str) for name in settings.probe_layers):
        raise SettingsError(
            f"probe_layers must be names of layers, got {settings.probe_layers!r}", argument="probe_layers"
        )
    for name in ("synapse", "output_synapse"):
        synapse = SynapseParam(name).coerce(None, getattr(settings, name, None))
        if synapse is not None:
            with np.errstate(all="ignore"):
                state = synapse.make_state((1,), (1,), 0.001)
            if not all(np.isfinite(values).all() for values in state.values()):
                raise SettingsError(f"{name}={synapse!r} is a filter without finite coefficients", argument=name)
    rng = np.random.RandomState(0)
    for name in model.neurons:
        settings.of_layer(model, name).neuron_type.make_state(model.size(name), rng)


def settings_to_json(settings):
    """Return the settings of a network as JSON-serializable values."""
    builder = next(name for name, cls in CONFIG_CLASSES.items() if type(settings) is cls)
    fields = {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}
    written = {"builder": builder, **{name: value_to_json(name, value) for name, value in fields.items()}}
    if builder == "trainable" and settings.tensor_nodes:
        del written["tensor_nodes"]  # as in files of earlier versions
    if builder == "trainable" and _follows_amplitude(settings.neuron_type, written["max_rates"]):
        # the user gave a number that equals 1 / amplitude: as text, to tell it from the same number in files of earlier
        # versions, which wrote it if the user gave none
        written["max_rates"] = {"float": repr(written["max_rates"])}
    return written


def _follows_amplitude(neuron_type, max_rates):
    """Return True if ``max_rates`` from a file is the default for the neuron type."""
    amplitude = getattr(neuron_type, "amplitude", None)
    return bool(amplitude) and isinstance(max_rates, int | float) and max_rates == 1 / amplitude


def settings_from_json(fields):
    """Return the settings from the values that :func:`settings_to_json` returned."""
    written = fields
    fields = {name: _from_json(value) for name, value in fields.items()}
    builder = fields.pop("builder")
    if builder == "trainable" and _follows_amplitude(fields.get("neuron_type"), written.get("max_rates")):
        fields["max_rates"] = None  # earlier versions wrote the default, 1 / amplitude
    return CONFIG_CLASSES[builder](**fields)


def value_to_json(name, value):
    """Return a setting as JSON-serializable values; it can be a number, text, a list, an array or a Nengo object."""
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
    raise ConversionError(f"{name}={value!r} cannot be saved: it is not a number, text, an array or a Nengo object")


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
        raise TypeError(f"{value['class']} is not a class of Nengo objects")
    return cls(**{key: _from_json(item) for key, item in value["arguments"].items()})
