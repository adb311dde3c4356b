"""Files of models: archives of which a section of the description is the model, and some arrays are its own."""

import dataclasses

from ..errors import FileFormatError, ModelError
from . import layers as specs
from .archive import read_arrays, write_arrays
from .graph import Model
from .metadata import check_metadata

# what a description that is not what we write makes code raise that takes it for one
DAMAGE = (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, RuntimeError, AssertionError)
# the only classes that a file can name
LAYERS = {name: getattr(specs, name) for name in specs.LAYERS}


def write_model(path, model, **sections):
    """Write ``model`` to ``path``, with further JSON-serialisable ``sections`` beside it.

    The file appears whole or not at all: it is written under a temporary name and renamed.
    """
    description = {"model": model_to_json(model), **sections}
    write_arrays(path, description, {f"model/{name}": array for name, array in model.arrays.items()})


def read_model(path):
    """Read what :func:`write_model` wrote: the model, and a dict of the other sections.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If the file is damaged, is not one of ours, or was written by a newer version.
    """
    description, arrays = read_arrays(path)
    model = model_from_json(path, description.pop("model", None), arrays, "model/")
    return model, description


def model_to_json(model):
    """The JSON description of a model; its arrays are kept apart."""
    layers = [{"type": type(layer).__name__, **dataclasses.asdict(layer)} for layer in model.layers.values()]
    return {"layers": layers, "output": model.output, "metadata": dict(model.metadata)}


def model_from_json(path, description, arrays, prefix):
    """The model that ``description`` tells of, with those of ``arrays`` whose name starts with ``prefix``."""
    try:
        layers = [_layer_from_json(layer) for layer in description["layers"]]
        own = {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)}
        model = Model(layers, own, description["output"])
        check_metadata(description["metadata"], model.shapes)
        return model.replace(metadata=description["metadata"])
    except DAMAGE as error:
        raise FileFormatError(f"{path} is damaged: its model cannot be rebuilt ({what(error)})") from error


def _layer_from_json(fields):
    fields = {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}
    kind = fields.pop("type")
    if kind not in LAYERS:
        raise ModelError(f"{kind!r} is no layer")
    return LAYERS[kind](**fields)


def what(error):
    """What an error says, with its class where the message alone would not say it."""
    text = " ".join(str(error).split())
    if not isinstance(error, ModelError):
        text = f"{type(error).__name__}: {text}"
    return text if len(text) <= 300 else f"{text[:300]}..."
