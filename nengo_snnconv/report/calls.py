"""The calls that make a run again, as far as a network and its evaluation remember them."""

import dataclasses
import hashlib
import inspect
import json

import numpy as np
from nengo.params import FrozenObject

from ..conversion.convert import convert, to_spiking
from ..conversion.normalization import normalize
from ..conversion.ttfs import to_ttfs
from ..errors import ConversionError
from ..evaluation.evaluate import evaluate
from ..model.files import model_to_json
from ..networks.native import NativeSettings
from ..networks.storage import settings_to_json
from ..networks.trainable import TrainableSettings, build_trainable
from ..networks.ttfs import FirstSpikeSettings
from ..training.train import train

# the thresholds of to_ttfs that these methods of normalize find
THRESHOLDS = {"balance": "search", "data": "percentile", "model": "max"}


def calls(network, evaluation):
    """Python code, in which ``model``, ``x``, ``y`` and other data are still to be filled in."""
    lines = [*_making(network), _line("evaluation", evaluate, "network, x, y", evaluation.arguments)]
    imports = ["import nengo"] if any("nengo." in line for line in lines) else []
    return "\n".join([*imports, "import nengo_snnconv as snc", "", *lines])


def _making(network):
    """The lines that make the network from a model."""
    settings, metadata = network.settings, network.model.metadata
    own = {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}
    trainings = metadata.get("training", [])
    lines = []
    if isinstance(settings, TrainableSettings):
        lines.append(_building(network, own))
    elif trainings:
        lines.append("network = snc.build_trainable(model, ...)")
    lines += [_training(how) for how in trainings]
    if isinstance(settings, TrainableSettings):
        return lines
    lines.append(_line("network", convert, "network" if trainings else "model", {"seed": settings.seed}))
    how = metadata.get("normalization")
    if isinstance(settings, FirstSpikeSettings):
        arguments = {**own, **_thresholds(how), "n_steps": settings.stage_steps}
        return [*lines, _line("network", to_ttfs, "network, x_calibration", arguments) + _images(how)]
    if how:
        data = "network" if how["method"] == "model" else "network, x_calibration"
        lines.append(_line("network", normalize, data, how) + _images(how))
    if isinstance(settings, NativeSettings) and settings.neuron_type.spiking:
        lines.append(_line("network", to_spiking, "network", own))
    return lines


def _building(network, own):
    """The line that builds a network that can be trained."""
    fields = {field.name: field.default for field in dataclasses.fields(TrainableSettings)}
    line = _line("network", build_trainable, "model", own, fields)
    return f"{line[:-1]}, output_neurons=True)" if network.model.output == "output_neurons" else line


def _training(how):
    """The line of a training."""
    unknown = {"schedule": Ellipsis} if how["schedule"] == "function" else {}
    unknown |= {"augment": Ellipsis} if how["augmented"] else {}
    line = _line("network", train, "network, x_train, y_train", {**how, "loss": None, "optimizer": None, **unknown})
    return f"{line}  # {how['images']:,} images, {how['optimizer']}, {how['loss']}"


def _thresholds(how):
    """The arguments of to_ttfs that chose thresholds; others than it can find are given ones."""
    if not how:
        return {"threshold": Ellipsis}
    return {**how, "threshold": THRESHOLDS[how["method"]]}


def _images(how):
    return f"  # {how['images']:,} images" if how and "images" in how else ""


def _line(target, function, positional, arguments, parameters=None):
    """A call with those of the ``arguments`` that are among the function's parameters, and not their defaults."""
    if parameters is None:
        parameters = {name: each.default for name, each in inspect.signature(function).parameters.items()}
    given = [positional]
    for name, default in parameters.items():
        if name in arguments and _code(arguments[name]) != _code(default):
            given.append(f"{name}={_code(arguments[name])}")
    return f"{target} = snc.{function.__name__}({', '.join(given)})"


def _code(value):
    """A value as code."""
    if value is Ellipsis:
        return "..."
    if isinstance(value, FrozenObject):
        module = type(value).__module__.partition(".")[0]
        return f"{'snc' if module == 'nengo_snnconv' else module}.{value!r}"
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return f"{value:.7g}"  # what was float32 on its way
    return repr(value)


def checksum(network):
    """Tells one network from another: the first 16 digits of the SHA-256 of its layers, arrays and settings."""
    description = model_to_json(network.model)
    try:
        settings = settings_to_json(network.settings)
    except ConversionError:  # neuron types of the user's own
        settings = str(network.settings)
    hashed = hashlib.sha256(json.dumps([description["layers"], description["output"], settings]).encode())
    for name, array in sorted(network.model.arrays.items()):
        hashed.update(name.encode())
        hashed.update(np.ascontiguousarray(array).tobytes())
    return hashed.hexdigest()[:16]
