"""Grids: the parameters that a sweep can vary, and the points of a grid with their changes to a network and its run."""

import dataclasses
import itertools

import nengo

from ..._util.json_values import python_number
from ..._util.validation import check_counts, check_flags, check_run
from ...conversion.calibrate import check_calibration
from ...conversion.convert import warn_of_clipping
from ...conversion.normalization import METHODS
from ...errors import SettingsError
from ...networks.native import NativeConfig
from ...networks.network import BuildConfig
from ...networks.trainable import TrainableConfig
from ...neurons.arguments import arguments_of
from ...neurons.integrate_and_fire import IntegrateAndFire
from ...neurons.signed_integrate_and_fire import SignedIntegrateAndFire, with_signed_spikes

# names of parameters: of normalize, of calibrate, of IntegrateAndFire with "signed" for SignedIntegrateAndFire, of
# to_spiking, and of evaluate
NORMALIZATION = ("method", "percentile", "per", "balance_steps")
CALIBRATION = ("calibrate", "calibrate_steps")
NEURON = ("initial_potential", "reset", "max_spikes", "min_potential", "signed")
SPIKING = ("input_coding", "input_threshold", "readout", "synapse", "seed")
EVALUATION = ("output_synapse", "skip_steps", "precision")

# parameters that have an effect only together with a certain value of another one
DEPENDS_ON = {
    "percentile": ("method", "data"),
    "balance_steps": ("method", "balance"),
    "calibrate_steps": ("calibrate", True),
    "input_threshold": ("input_coding", "poisson"),
}


@dataclasses.dataclass(frozen=True, eq=False)
class GridPoint:
    """One combination of parameter values.

    Attributes
    ----------
    values : dict
        Values of the parameters that are varied, by name.
    normalization : dict or None
        Arguments of ``normalize``; None to leave the weights unchanged.
    settings : BuildConfig
        Settings of the network.
    evaluate_options : dict
        Arguments of ``evaluate``.
    calibration : dict or None
        Arguments of ``calibrate``; None for networks that are not calibrated.
    """

    values: dict
    normalization: dict | None
    settings: BuildConfig
    evaluate_options: dict
    calibration: dict | None = None

    def run_length(self, n_steps: int) -> int:
        """Return the number of steps of a run: ``n_steps``, or the number for which the network is calibrated."""
        return n_steps if self.calibration is None else self.calibration["n_steps"]

    @property
    def text(self) -> str:
        """Values in one line, such as "percentile 99, synapse none"; "unchanged" if there are none."""
        return ", ".join(f"{name} {format_value(value)}" for name, value in self.values.items()) or "unchanged"


def format_value(value):
    """Return a parameter value as short text: a low-pass filter as its time constant, None as "none"."""
    if type(value) is nengo.Lowpass:
        return f"{value.tau:g}"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "none" if value is None else str(value)
    return f"{value:g}"


def parameter_names(network):
    """Return the names of the parameters that can be varied in a network."""
    settings = network.settings
    if isinstance(settings, NativeConfig):
        neuron_type = settings.neuron_type
        if not neuron_type.spiking:
            neuron_type = IntegrateAndFire()
        one_type = len(settings.of_types) == 1 and isinstance(neuron_type, IntegrateAndFire)
        neuron = {*arguments_of(neuron_type), "signed"} if one_type else ()
        return (*NORMALIZATION, *CALIBRATION, *(name for name in NEURON if name in neuron), *SPIKING, *EVALUATION)
    synapse = ("synapse",) if isinstance(settings, TrainableConfig) and settings.has_rates else ()
    # networks of time to first spike have one fixed read-out
    evaluation = EVALUATION if settings.total_steps(network.model) is None else ()
    # skip_steps is for averaged scores: a filter forgets the first steps by itself
    return (*synapse, *(name for name in evaluation if name != "skip_steps" or settings.accumulates))


def grid_points(network, grid, n_steps, normalizer, dt=0.001):
    """Return the points of a grid, each once; values without an effect beside the other values are left out.

    Parameters
    ----------
    network : ConvNetwork
        Network whose parameters are varied.
    grid : dict of str to sequence, or sequence of such dicts
        Values of each parameter; the points are all combinations of the values of each dict.
    n_steps : int
        Number of time steps of the run.  Networks are calibrated for this number unless ``calibrate_steps`` is varied,
        and thresholds are balanced for the length of the run unless ``balance_steps`` is varied.
    normalizer : Normalizer or None
        Checks the arguments of ``normalize``, and has the calibration images.  None for networks that cannot be
        normalized.
    dt : float
        Length of a time step in seconds.

    Returns
    -------
    list of GridPoint

    Raises
    ------
    SettingsError, ConversionError
        If a name or a value is invalid; the message names it and the valid ones.
    """
    points = {}
    for part in _check_grid(network, grid):
        used = set()
        for values in (dict(zip(part, each, strict=True)) for each in itertools.product(*part.values())):
            values = _with_effect(values, network.settings)
            used |= values.keys()
            point = _grid_point(network, values, n_steps, normalizer, dt)
            key = repr((point.normalization, point.settings, point.evaluate_options, point.calibration))
            points.setdefault(key, point)
        for name in part.keys() - used:
            other, value = DEPENDS_ON[name]
            raise SettingsError(
                f"grid: {name!r} has an effect only with {other}={value!r}, which is not in the grid", argument="grid"
            )
    return list(points.values())


def _check_grid(network, grid):
    """Return the grid as a list of dicts of lists; raise SettingsError if it is invalid."""
    parts = [grid] if isinstance(grid, dict) else grid
    if not isinstance(parts, list | tuple) or not parts or not all(isinstance(part, dict) for part in parts):
        raise SettingsError(
            f"grid must be a dict of names and lists of values, or a list of such dicts, got {grid!r}", argument="grid"
        )
    known = parameter_names(network)
    for name, values in (item for part in parts for item in part.items()):
        if name not in known:
            raise SettingsError(
                f"grid: {name!r} cannot be varied in this network, which {network.settings.builder_name} made; "
                + (f"valid names are {', '.join(known)}" if known else "leave the grid out"),
                argument="grid",
            )
        if isinstance(values, str) or not hasattr(values, "__len__") or not len(values):
            raise SettingsError(f"grid: {name!r} must be a list of values, got {values!r}", argument="grid")
    return [{name: [python_number(value) for value in values] for name, values in part.items()} for part in parts]


def _with_effect(values, settings):
    """Return the values that have an effect beside the others."""
    defaults = {"method": "data", "calibrate": False, "input_coding": getattr(settings, "input_coding", None)}
    kept = {}
    for name, value in values.items():
        other, needed = DEPENDS_ON.get(name, (None, None))
        if other is None or values.get(other, defaults[other]) == needed:
            kept[name] = value
    return kept


def _grid_point(network, values, n_steps, normalizer, dt):
    """Return the GridPoint of some values, after checking them."""
    calibration = _calibration(_select(values, CALIBRATION), n_steps, normalizer)
    n_steps = n_steps if calibration is None else calibration["n_steps"]
    normalization = _normalization(_select(values, NORMALIZATION), n_steps, normalizer)
    settings = _network_settings(network.settings, _select(values, NEURON), _select(values, SPIKING))
    if isinstance(settings, NativeConfig) and normalization is None:
        warn_of_clipping(network.model, settings)
    if calibration is not None:
        check_calibration(network.model, settings, normalizer.x, n_steps)
    options = _select(values, EVALUATION)
    check_run(n_steps, options.get("skip_steps", 0), dt)
    if "output_synapse" in options:
        if options.get("skip_steps"):
            raise SettingsError(
                "grid: skip_steps is for averaged scores, so it cannot be combined with output_synapse", argument="grid"
            )
        options["synapse"] = options.pop("output_synapse")
    return GridPoint(values, normalization, settings, options, calibration)


def _select(values, names):
    return {name: values[name] for name in names if name in values}


def _normalization(values, n_steps, normalizer):
    """Return the arguments of ``normalize``; None if the weights stay unchanged."""
    if normalizer is None or not values and normalizer.x is None:
        return None
    method = values.get("method", "data")
    if method in METHODS and method != "model" and normalizer.x is None:
        raise SettingsError(
            f"grid: {next(iter(values))!r} needs x_calibration, some training images", argument="x_calibration"
        )
    values = {**values, "method": method}
    steps = values.pop("balance_steps", n_steps)
    if method == "balance":
        values["n_steps"] = steps
    normalizer.check(**values)
    return values


def _calibration(values, n_steps, normalizer):
    """Return the arguments of ``calibrate``; None if the network is not calibrated."""
    if not isinstance(wanted := values.get("calibrate", False), bool):
        raise SettingsError(f"grid: 'calibrate' must be True or False, got {wanted!r}", argument="grid")
    if not wanted:
        return None
    if normalizer.x is None:
        raise SettingsError("grid: 'calibrate' needs x_calibration, some training images", argument="x_calibration")
    n_steps = values.get("calibrate_steps", n_steps)
    check_counts(calibrate_steps=n_steps)
    return {"n_steps": n_steps}


def _network_settings(settings, neuron, spiking):
    """Return the settings of a network with other values of its neurons and of ``to_spiking``."""
    if isinstance(settings, NativeConfig) and not settings.neuron_type.spiking:
        spiking["neuron_type"] = _neuron_type(IntegrateAndFire(), neuron)
    elif neuron:
        spiking["neuron_type"] = _neuron_type(settings.neuron_type, neuron)
    return dataclasses.replace(settings, **spiking)


def _neuron_type(neuron_type, values):
    """Return integrate-and-fire neurons with some parameters changed."""
    signed = values.get("signed", isinstance(neuron_type, SignedIntegrateAndFire))
    check_flags(signed=signed)
    return with_signed_spikes(neuron_type, signed, **{name: values[name] for name in values if name != "signed"})
