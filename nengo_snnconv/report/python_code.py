"""Python code that reproduces a run, as far as the network and its evaluation recorded it."""

import dataclasses
import inspect

from nengo.params import FrozenObject

from .._util.json_values import python_number
from ..conversion.calibrate import calibrate
from ..conversion.convert import convert, to_spiking
from ..conversion.normalization import normalize
from ..conversion.quantize_weights import quantize_weights
from ..conversion.split_neurons import split_neurons
from ..conversion.ttfs import to_ttfs
from ..evaluation.evaluate import evaluate
from ..evaluation.margin_stop import MarginStop
from ..model.files import DAMAGE
from ..networks.foreign.from_nengo import from_nengo
from ..networks.native import NativeConfig
from ..networks.staged import StagedConfig
from ..networks.storage import settings_from_json
from ..networks.trainable import TrainableConfig, build_trainable
from ..networks.ttfs import TTFSConfig
from ..neurons.arguments import code_of, replaced
from ..training.train import train

# threshold of to_ttfs for each method of normalize
THRESHOLDS = {"balance": "search", "data": "percentile", "model": "max"}


def python_code(network, evaluation):
    """Return Python code that repeats a run, in which the model and data (``model``, ``x``, ...) must be filled in.

    Of a network of ``from_nengo``, these are the Nengo network ``net``, its input node ``inp`` and its ``probe``.
    """
    lines = [*_network_lines(network), _call("evaluation", evaluate, "network, x, y", evaluation.arguments)]
    imports = ["import nengo"] if any("nengo." in line for line in lines) else []
    return "\n".join([*imports, "import nengo_snnconv as snc", "", *lines])


def _network_lines(network):
    """Return the lines that make the network from a model, in the order of the calls."""
    settings, metadata = network.settings, network.model.metadata
    trainings = {name: [] for name in ("build_trainable", "convert", "to_spiking")}
    for how in metadata.get("training", []):
        trainings[trained_network(settings, how)].append(how)
    built, lines = trainings["build_trainable"], []
    if isinstance(settings, TrainableConfig):
        lines.append(_build_line(network, settings))
    elif built:
        lines.append(_build_line(network, _read_settings(built[0])))
    lines += [_train_line(how) for how in built]
    if not isinstance(settings, TrainableConfig):
        lines.append(_call("network", convert, "network" if built else "model", {"seed": settings.seed}))
        for how in trainings["convert"]:
            lines += [*_normalize_lines(how.get("normalization")), _train_line(how)]
        lines += _spiking_lines(network)
    if how := metadata.get("calibration"):
        lines.append(_call("network", calibrate, "network, x_calibration", how) + _images_comment(how))
    lines += [_train_line(how) for how in trainings["to_spiking"]]
    if "split" in metadata:
        lines.append(_call("network", split_neurons, "network", {"layers": list(metadata["split"]["neurons"])}))
    if how := metadata.get("quantization"):
        data = "network, x_calibration" if "images" in how else "network"
        lines.append(_call("network", quantize_weights, data, how) + _images_comment(how))
    return lines


def trained_network(settings, how):
    """Return the name of the function that made the network of a training, from its description.

    ``settings`` are those of the network today.
    """
    if how.get("made_by") in ("build_trainable", "convert", "to_spiking"):
        return how["made_by"]
    # earlier versions did not write it
    return "to_spiking" if isinstance(settings, NativeConfig) and "n_steps" in how else "build_trainable"


def _read_settings(how):
    """Return the settings of build_trainable from the description of a training; None if it has none."""
    try:
        settings = settings_from_json(how["settings"])
    except DAMAGE:
        return None
    return settings if isinstance(settings, TrainableConfig) else None


def _build_line(network, settings):
    """Return the line that builds a trainable network, or reads one of the user's own objects."""
    if settings is None:
        return "network = snc.build_trainable(model, ...)"
    if settings.neuron_seeds:  # only from_nengo gives them
        line = _call("network", from_nengo, "net, inp, probe", {"seed": settings.seed})
        return f"{line}  # your Nengo network, its input node, and the probe of its scores"
    fields = {field.name: field.default for field in dataclasses.fields(TrainableConfig)}
    line = _call("network", build_trainable, "model", _arguments(settings, network.model), fields)
    return f"{line[:-1]}, output_neurons=True)" if network.model.output == "output_neurons" else line


def _arguments(settings, model):
    """Return the settings of a network as arguments of the function that made it."""
    own = {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}
    if types := own.pop("neuron_types", ()):
        # a model that was converted since then may have neurons more, before maxima
        same = len(types) == len(model.neurons)
        by_layer = dict(zip(model.neurons, types, strict=False))
        for name, parts in model.metadata.get("split", {}).get("neurons", {}).items():
            by_layer[name] = replaced(by_layer[name], max_spikes=parts, initial_state=None)
        own["neuron_type"] = {**by_layer, "*": settings.neuron_type} if same else Ellipsis
    return own


def _train_line(how):
    """Return the line that trains a network."""
    given = {**how, "loss": None, "optimizer": None}
    if how["schedule"] == "function":
        given["schedule"] = Ellipsis
    if how["augmented"]:
        given["augment"] = Ellipsis
    if validation := how.get("validation"):
        given |= {"validation_data": Ellipsis} if validation == "data" else {"validation_split": validation}
    data = "network, x_train" if how.get("targets") == "ANN" else "network, x_train, y_train"
    line = _call("network", train, data, given)
    return f"{line}  # {how['images']:,} images, {how['optimizer']}, {how['loss']}"


def _normalize_lines(how):
    """Return the line that normalizes a network, if there is one."""
    if not how:
        return []
    data = "network" if how["method"] == "model" else "network, x_calibration"
    return [_call("network", normalize, data, how) + _images_comment(how)]


def _spiking_lines(network):
    """Return the lines that make a network with spikes from one of rates."""
    settings, how = network.settings, network.model.metadata.get("normalization")
    own = _arguments(settings, network.model)
    if isinstance(settings, TTFSConfig):
        arguments = {**own, **_thresholds(how), "n_steps": settings.stage_steps}
        return [_call("network", to_ttfs, "network, x_calibration", arguments) + _images_comment(how)]
    lines = _normalize_lines(how)
    if not settings.input_spikes:
        own.pop("input_threshold", None)
    if isinstance(settings, NativeConfig | StagedConfig) and settings.neuron_type.spiking:
        lines.append(_call("network", to_spiking, "network", own))
    return lines


def _thresholds(how):
    """Return the arguments of to_ttfs that chose the thresholds; "..." for thresholds that were given."""
    if not how:
        return {"threshold": Ellipsis}
    return {**how, "threshold": THRESHOLDS[how["method"]]}


def _images_comment(how):
    """Return a comment with the number of calibration images."""
    return f"  # {how['images']:,} images" if how and "images" in how else ""


def _call(target, function, positional, arguments, parameters=None):
    """Return a call with the ``arguments`` that the function has as parameters, without default values."""
    if parameters is None:
        parameters = {name: each.default for name, each in inspect.signature(function).parameters.items()}
    given = [positional]
    for name, default in parameters.items():
        if name in arguments and _code(arguments[name]) != _code(default):
            given.append(f"{name}={_code(arguments[name])}")
    return f"{target} = snc.{function.__name__}({', '.join(given)})"


def _code(value):
    """Return a value as Python code."""
    if value is Ellipsis:
        return "..."
    if isinstance(value, FrozenObject):
        return code_of(value)
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key!r}: {_code(each)}' for key, each in value.items())}}}"
    if isinstance(value, MarginStop):
        return f"snc.MarginStop([{', '.join(_margin(margin) for margin in value.margins)}])"
    value = python_number(value)
    if isinstance(value, float):
        return f"{value:.7g}"  # values may have been float32
    return repr(value)


def _margin(value):
    return 'float("inf")' if value == float("inf") else f"{value:.9g}"
