"""Files: one .npz with a JSON description and the arrays; no pickle is written or read."""

import dataclasses
import json
import pathlib
import struct
import zipfile
import zlib

import numpy as np

from ..atomic import atomic_write
from ..exceptions import FileFormatError, ModelError
from . import layers as specs
from .graph import Model

FORMAT = "nengo_snnconv"
VERSION = 1
DESCRIPTION = "description.json"


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
        return Model(layers, own, description["output"], description["metadata"])
    except (KeyError, TypeError, AttributeError, ModelError) as error:
        raise FileFormatError(f"{path} is damaged: its model cannot be rebuilt ({error})") from error


def _layer_from_json(fields):
    fields = {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}
    spec = getattr(specs, fields.pop("type"))
    if not (isinstance(spec, type) and issubclass(spec, specs.Layer)):
        raise ModelError(f"{spec!r} is no layer")
    return spec(**fields)


def write_arrays(path, description, arrays):
    """Write a JSON-serialisable ``description`` and named ``arrays`` as one .npz, whole or not at all."""
    text = json.dumps({"format": FORMAT, "version": VERSION, **description}, allow_nan=False)
    with atomic_write(path) as file:
        np.savez_compressed(file, **{DESCRIPTION: np.frombuffer(text.encode(), np.uint8)}, **arrays)


def read_arrays(path):
    """Read what :func:`write_arrays` wrote: (description, arrays).  Errors as in :func:`read_model`."""
    if not pathlib.Path(path).exists():
        raise FileNotFoundError(f"there is no file {path}")
    if pathlib.Path(path).suffix in (".keras", ".h5", ".hdf5"):
        raise FileFormatError(
            f"{path} is a file of Keras: convert it first, nengo-snnconv convert {path} network.snn.npz, or in Python "
            "snc.convert(path)"
        )
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, KeyError, RuntimeError) as error:
        if _starts_like_zip(path):
            raise FileFormatError(f"{path} is damaged or was cut short ({error}): copy or make it again") from error
        raise FileFormatError(f"{path} is not a nengo_snnconv file: it is no .npz archive") from error
    except (ValueError, AttributeError, TypeError) as error:
        # NumPy would advise to load pickles unsafely
        reason = "it is no .npz archive" if "pickle" in str(error) else error
        raise FileFormatError(f"{path} is not a nengo_snnconv file ({reason})") from error
    try:
        description = json.loads(arrays.pop(DESCRIPTION).tobytes())
        foreign = description.pop("format") != FORMAT
        version = description.pop("version")
    except (KeyError, ValueError, AttributeError) as error:
        raise FileFormatError(f"{path} is not a nengo_snnconv file: it has no description of its own") from error
    if foreign:
        raise FileFormatError(f"{path} is not a nengo_snnconv file")
    if version > VERSION:
        raise FileFormatError(
            f"{path} was written by a newer nengo_snnconv (file format {version}, this one reads up to {VERSION}): "
            "upgrade nengo_snnconv to read it"
        )
    return description, arrays


def _starts_like_zip(path):
    with open(path, "rb") as file:
        return file.read(2) == b"PK"
