"""Settings: what a sweep can vary, by name, and what the values change in a network and in how it is run."""

import dataclasses
import itertools

import nengo

from ..._util.validation import check_run
from ...conversion.convert import warn_of_clipping
from ...conversion.normalization import METHODS
from ...errors import SettingsError
from ...networks.native import NativeConfig
from ...networks.network import BuildConfig
from ...networks.trainable import TrainableConfig
from ...neurons.arguments import replaced
from ...neurons.integrate_and_fire import IntegrateAndFire

NORMALIZATION = ("method", "percentile", "per", "balance_steps")
NEURON = ("initial_potential", "reset", "max_spikes", "min_potential")
SPIKING = ("input_coding", "input_threshold", "readout", "synapse", "seed")
READING = ("output_synapse", "skip_steps", "precision")

# names that say something only beside certain values of another one
BELONGS_TO = {
    "percentile": ("method", "data"),
    "balance_steps": ("method", "balance"),
    "input_threshold": ("input_coding", "poisson"),
}


@dataclasses.dataclass(frozen=True, eq=False)
class Setting:
    """One combination of values.

    Attributes
    ----------
    values : dict
        Those that a user varies, by name.
    normalization : dict or None
        Arguments for ``normalize``; None to leave weights as they are.
    settings : BuildConfig
        Of the network.
    reading : dict
        Arguments for ``evaluate``.
    """

    values: dict
    normalization: dict
    settings: BuildConfig
    reading: dict

    @property
    def text(self):
        """The values in one line."""
        return ", ".join(f"{name} {text_of(value)}" for name, value in self.values.items()) or "as it is"


def text_of(value):
    """A value for people: numbers short, synapses without their class where they are low-pass filters."""
    if type(value) is nengo.Lowpass:
        return f"{value.tau:g}"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "none" if value is None else str(value)
    return f"{value:g}"


def names_of(network):
    """The names that can be varied in a network."""
    settings = network.settings
    if isinstance(settings, NativeConfig):
        neuron_type = settings.neuron_type
        neuron = NEURON if isinstance(neuron_type, IntegrateAndFire) or not neuron_type.spiking else ()
        return (*NORMALIZATION, *neuron, *SPIKING, *READING)
    synapse = ("synapse",) if isinstance(settings, TrainableConfig) and settings.has_rates else ()
    read = READING if settings.total_steps(network.model) is None else ()  # time to first spike is read in one way
    # a filter forgets the first steps by itself
    return (*synapse, *(name for name in read if name != "skip_steps" or settings.accumulates))


def settings_of(network, grid, n_steps, normalizer, dt=0.001):
    """The settings of a grid, each once: values that mean nothing beside others are left out.

    Parameters
    ----------
    network : ConvNetwork
    grid : dict of str to sequence, or sequence of such dicts
        Of each dict, every combination of its values.
    n_steps : int
        Of the run; balanced thresholds are for as many, if ``balance_steps`` does not say otherwise.
    normalizer : Normalizer or None
        Checks the arguments of ``normalize``.  None for networks that cannot be normalised.
    dt : float

    Returns
    -------
    list of Setting

    Raises
    ------
    SettingsError, ConversionError
        If a name or a value does not do; the message names it and what does.
    """
    settings = {}
    for part in _checked(network, grid):
        used = set()
        for values in (dict(zip(part, each, strict=True)) for each in itertools.product(*part.values())):
            values = _relevant(values, network.settings)
            used |= values.keys()
            setting = _setting(network, values, n_steps, normalizer, dt)
            settings.setdefault(repr((setting.normalization, setting.settings, setting.reading)), setting)
        for name in part.keys() - used:
            companion, value = BELONGS_TO[name]
            raise SettingsError(f"grid: {name!r} goes with {companion}={value!r}, which the grid does not have")
    return list(settings.values())


def _checked(network, grid):
    """The grid as a list of dicts of lists."""
    parts = [grid] if isinstance(grid, dict) else grid
    if not isinstance(parts, list | tuple) or not parts or not all(isinstance(part, dict) for part in parts):
        raise SettingsError(f"grid must be a dict of names and values, or a list of such dicts, got {grid!r}")
    known = names_of(network)
    for name, values in (item for part in parts for item in part.items()):
        if name not in known:
            raise SettingsError(
                f"grid: {name!r} is nothing that can be varied in this network, "
                f"which {network.settings.builder_name} made; "
                + (f"there are {', '.join(known)}" if known else "leave the grid out")
            )
        if isinstance(values, str) or not hasattr(values, "__len__") or not len(values):
            raise SettingsError(f"grid: {name!r} must be a list of values, got {values!r}")
    return [{name: [_plain(value) for value in values] for name, values in part.items()} for part in parts]


def _plain(value):
    """A number of NumPy as one of Python."""
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", None) == 0 else value


def _relevant(values, settings):
    """The values that mean something beside the others."""
    defaults = {"method": "data", "input_coding": getattr(settings, "input_coding", None)}
    kept = {}
    for name, value in values.items():
        companion, wanted = BELONGS_TO.get(name, (None, None))
        if companion is None or values.get(companion, defaults[companion]) == wanted:
            kept[name] = value
    return kept


def _setting(network, values, n_steps, normalizer, dt):
    """The Setting of some values, checked."""
    normalization = _normalization(_named(values, NORMALIZATION), n_steps, normalizer)
    settings = _settings(network.settings, _named(values, NEURON), _named(values, SPIKING))
    if isinstance(settings, NativeConfig) and normalization is None:
        warn_of_clipping(network.model, settings.neuron_type)
    reading = _named(values, READING)
    check_run(n_steps, reading.get("skip_steps", 0), dt)
    if "output_synapse" in reading:
        if reading.get("skip_steps"):
            raise SettingsError("grid: skip_steps is for averaged scores, so it does not go with output_synapse")
        reading["synapse"] = reading.pop("output_synapse")
    return Setting(values, normalization, settings, reading)


def _named(values, names):
    return {name: values[name] for name in names if name in values}


def _normalization(values, n_steps, normalizer):
    """The arguments of ``normalize``; None where the network stays as it is."""
    if normalizer is None or not values and normalizer.x is None:
        return None
    method = values.get("method", "data")
    if method in METHODS and method != "model" and normalizer.x is None:
        raise SettingsError(f"grid: {next(iter(values))!r} needs x_calibration, some training images")
    values = {**values, "method": method}
    steps = values.pop("balance_steps", n_steps)
    if method == "balance":
        values["n_steps"] = steps
    normalizer.check(**values)
    return values


def _settings(settings, neuron, spiking):
    """The settings of a network with other values for neurons and for spiking."""
    if isinstance(settings, NativeConfig) and not settings.neuron_type.spiking:
        spiking["neuron_type"] = IntegrateAndFire(**neuron)
    elif neuron:
        spiking["neuron_type"] = replaced(settings.neuron_type, **neuron)
    return dataclasses.replace(settings, **spiking)
