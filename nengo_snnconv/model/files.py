"""Model files: archives with the model as one section of the description, and its arrays."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import FileFormatError, ModelError
from . import layers as specs
from .archive import read_arrays, write_arrays
from .graph import Model
from .integers import integer_arrays, read_integers
from .metadata import check_metadata

# errors that code raises on a description that nengo_snnconv did not write
DAMAGE = (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, RuntimeError, AssertionError)
# only these classes may be named in a file
LAYERS = {name: getattr(specs, name) for name in specs.LAYERS}


def write_model(path: str | os.PathLike, model: Model, **sections: Any) -> None:
    """Write ``model`` and further JSON-serializable ``sections`` to ``path``, atomically."""
    description = {"model": model_to_json(model), **sections}
    integers = integer_arrays(model)
    arrays = {f"model/{name}": array for name, array in model.arrays.items() if name not in integers}
    arrays |= {f"integers/{name}": array for name, array in integers.items()}
    arrays |= {f"ann/{name}": array for name, array in model.ann_arrays.items()}
    write_arrays(path, description, arrays)


def read_model(path: str | os.PathLike) -> tuple[Model, dict[str, Any]]:
    """Return the model and the other sections of a file that :func:`write_model` wrote.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If the file is damaged, is not a nengo_snnconv file, or was written by a newer version.
    """
    description, arrays = read_arrays(path)
    model = model_from_json(path, description.pop("model", None), arrays, "model/")
    try:
        return model.replace(ann_arrays=_starting_with("ann/", arrays)), description
    except ModelError as error:
        raise FileFormatError(
            f"{path} is damaged: the arrays of its ANN do not fit ({describe_error(error)})"
        ) from error


def model_to_json(model: Model) -> dict[str, Any]:
    """Return the JSON description of a model without its arrays."""
    layers = [{"type": type(layer).__name__, **_fields(layer)} for layer in model.layers.values()]
    return {"layers": layers, "output": model.output, "metadata": dict(model.metadata)}


def _fields(layer):
    """Return the fields of a layer; not those that are None, which files of earlier versions lack."""
    return {name: value for name, value in dataclasses.asdict(layer).items() if value is not None}


def model_from_json(path: str | os.PathLike, description: Any, arrays: Mapping[str, np.ndarray], prefix: str) -> Model:
    """Return the model of ``description`` with the ``arrays`` whose names start with ``prefix``.

    ``path`` names the file in error messages.
    """
    try:
        layers = [_layer_from_json(layer) for layer in description["layers"]]
        integers = read_integers(_starting_with("integers/", arrays), description["metadata"])
        model = Model(layers, {**_starting_with(prefix, arrays), **integers}, description["output"])
        check_metadata(description["metadata"], model.shapes)
        return model.replace(metadata=description["metadata"])
    except DAMAGE as error:
        raise FileFormatError(f"{path} is damaged: its model cannot be rebuilt ({describe_error(error)})") from error


def _starting_with(prefix, arrays):
    """Return the arrays whose names start with a prefix, without it."""
    return {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)}


def _layer_from_json(fields):
    fields = {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}
    kind = fields.pop("type")
    if kind not in LAYERS:
        raise ModelError(f"{kind!r} is not a type of layer")
    return LAYERS[kind](**fields)


def describe_error(error: Exception) -> str:
    """Return the message of an error, preceded by its class unless it is a ModelError."""
    text = " ".join(str(error).split())
    if not isinstance(error, ModelError):
        text = f"{type(error).__name__}: {text}"
    return text if len(text) <= 300 else f"{text[:300]}..."
