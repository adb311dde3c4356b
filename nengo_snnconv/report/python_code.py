"""Python code that reproduces a run, as far as the network and its evaluation recorded it."""

import dataclasses
import inspect

from nengo.params import FrozenObject

from .._util.json_values import python_number
from ..conversion.calibrate import calibrate
from ..conversion.convert import convert, to_spiking
from ..conversion.normalization import normalize
from ..conversion.quantize_weights import quantize_weights
from ..conversion.ttfs import to_ttfs
from ..evaluation.evaluate import evaluate
from ..evaluation.margin_stop import MarginStop
from ..networks.native import NativeConfig
from ..networks.staged import StagedConfig
from ..networks.trainable import TrainableConfig, build_trainable
from ..networks.ttfs import TTFSConfig
from ..training.train import train

# threshold of to_ttfs for each method of normalize
THRESHOLDS = {"balance": "search", "data": "percentile", "model": "max"}


def python_code(network, evaluation):
    """Return Python code that repeats a run, in which the model and data (``model``, ``x``, ...) must be filled in."""
    metadata = network.model.metadata
    lines = _network_lines(network)
    if how := metadata.get("calibration"):
        lines.append(_call("network", calibrate, "network, x_calibration", how) + _images_comment(how))
    if how := metadata.get("quantization"):
        lines.append(_call("network", quantize_weights, "network", how))
    lines = [*lines, _call("evaluation", evaluate, "network, x, y", evaluation.arguments)]
    imports = ["import nengo"] if any("nengo." in line for line in lines) else []
    return "\n".join([*imports, "import nengo_snnconv as snc", "", *lines])


def _network_lines(network):
    """Return the lines that make the network from a model."""
    settings, metadata = network.settings, network.model.metadata
    own = {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}
    trainings = metadata.get("training", [])
    lines = []
    if isinstance(settings, TrainableConfig):
        lines.append(_build_line(network, own))
    elif trainings:
        lines.append("network = snc.build_trainable(model, ...)")
    lines += [_train_line(how) for how in trainings]
    if isinstance(settings, TrainableConfig):
        return lines
    lines.append(_call("network", convert, "network" if trainings else "model", {"seed": settings.seed}))
    how = metadata.get("normalization")
    if isinstance(settings, TTFSConfig):
        arguments = {**own, **_thresholds(how), "n_steps": settings.stage_steps}
        return [*lines, _call("network", to_ttfs, "network, x_calibration", arguments) + _images_comment(how)]
    if how:
        data = "network" if how["method"] == "model" else "network, x_calibration"
        lines.append(_call("network", normalize, data, how) + _images_comment(how))
    if types := getattr(settings, "neuron_types", ()):
        own["neuron_type"] = {**dict(zip(network.model.neurons, types, strict=True)), "*": settings.neuron_type}
    if isinstance(settings, NativeConfig | StagedConfig) and settings.neuron_type.spiking:
        lines.append(_call("network", to_spiking, "network", own))
    return lines


def _build_line(network, own):
    """Return the line that builds a trainable network."""
    fields = {field.name: field.default for field in dataclasses.fields(TrainableConfig)}
    line = _call("network", build_trainable, "model", own, fields)
    return f"{line[:-1]}, output_neurons=True)" if network.model.output == "output_neurons" else line


def _train_line(how):
    """Return the line that trains a network."""
    unknown = {"schedule": Ellipsis} if how["schedule"] == "function" else {}
    unknown |= {"augment": Ellipsis} if how["augmented"] else {}
    line = _call("network", train, "network, x_train, y_train", {**how, "loss": None, "optimizer": None, **unknown})
    return f"{line}  # {how['images']:,} images, {how['optimizer']}, {how['loss']}"


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
        module = type(value).__module__.partition(".")[0]
        return f"{'snc' if module == 'nengo_snnconv' else module}.{value!r}"
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
