"""Read the configuration and the arrays of a model from a ``.keras`` or ``.h5`` file.

A file is data.  Nothing that it names is imported, built or called: the configuration is JSON and the arrays are
numbers, which the readers of layers interpret.  Therefore files of Keras 2 and 3 are read without either.
"""

import io
import json
import pathlib
import zipfile

from ...._util.ordinary_files import open_ordinary
from ....errors import ConversionError, FileFormatError, SnnConvError
from ...hdf5 import FREE_EXPANSION, MAX_EXPANSION, HDF5File, UnreadableFile
from ..config_entries import MODEL_CLASSES, is_custom_class
from ..other_frameworks import describe_file
from .stored_layers import from_archive, from_hdf5, snake_case

MAX_TEXT = 2**24  # bytes of JSON; 800 layers take 1 MB
MAX_NAME = 500  # characters
WEIGHTS = "model.weights.h5"
# options that older versions of a layer lack, with the values that reproduce their behavior
LATER_OPTIONS = {"Normalization": {"mean": None, "variance": None, "invert": False}}


def read_file(path):
    """Read the configuration and the arrays of a model.

    Parameters
    ----------
    path : str or path
        A ``.keras``, ``.h5`` or ``.hdf5`` file.

    Returns
    -------
    config : dict
        Configuration of the model; "compile_config" holds the arguments of ``compile``, if the model was compiled.
    model : StoredLayer
        Stand-in for the live model: its layers with their arrays.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ConversionError
        If it holds weights only, or something other than a Keras model; the message gives the alternative.
    FileFormatError
        If it is damaged, or declares more data than it holds.
    """
    path = pathlib.Path(path)
    other_framework = describe_file(path) if path.exists() else None
    if other_framework:
        raise ConversionError(other_framework)
    with open_ordinary(path, ConversionError) as file:
        start = file.read(8)
        readers = {b"PK": _read_zip, b"\x89H": _read_hdf5}
        if start[:2] not in readers:
            raise FileFormatError(f"{path} is not a Keras file, or it is damaged: a .keras or .h5 file is needed")
        try:
            return readers[start[:2]](path, file)
        except (SnnConvError, MemoryError):
            raise
        except Exception as error:  # errors of zipfile and json, and errors due to an invalid configuration
            raise damaged_file_error(path, error) from error


def _read_zip(path, file):
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        if "description.json.npy" in names:
            raise ConversionError(
                f"{path} is a file of nengo_snnconv, whatever its ending: open it with snc.load(path), which "
                "returns the network that was saved"
            )
        if not {"config.json", "metadata.json"} <= set(names):
            raise FileFormatError(f"{path} is a zip archive, but not a Keras file")
        entry, metadata = (json.loads(_unpacked(archive, name, MAX_TEXT)) for name in ("config.json", "metadata.json"))
        _check_suffix(path, ".keras")
        entry = _modernized(entry)
        _check_origin(path, entry, metadata["keras_version"])
        if WEIGHTS not in names:
            raise UnreadableFile(f"it has no {WEIGHTS}")
        stored = min(archive.getinfo(WEIGHTS).compress_size, path.stat().st_size)
        content = _unpacked(archive, WEIGHTS, MAX_EXPANSION * stored + FREE_EXPANSION)
        weights = HDF5File(io.BytesIO(content), stored)
        return _complete_config(entry), from_archive(entry, weights.root)


def _unpacked(archive, name, limit):
    """Return the bytes of a file in an archive, which must be at most ``limit``."""
    info = archive.getinfo(name)
    if info.file_size > limit:
        raise UnreadableFile(f"{name} would unpack to {info.file_size} bytes, and the limit is {limit}")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UnreadableFile(f"{name} is compressed by a method that Keras does not use")
    with archive.open(info) as file:
        return file.read(limit + 1)


def _read_hdf5(path, file):
    root = HDF5File(file).root
    names = "model_config", "keras_version", "backend", "training_config"
    text, version, backend, compiled = (root.attribute(name, MAX_TEXT) for name in names)
    if text is None:
        raise ConversionError(
            f"{path} holds weights only, if it is a Keras file: build the model in Python, call its load_weights, "
            "and pass the model"
        )
    _check_suffix(path, ".h5", ".hdf5", ".keras")  # before Keras 2.12, .keras was another name of .h5
    entry = _modernized(json.loads(text))
    _check_origin(path, entry, version or "2")
    if backend in ("theano", "cntk"):
        raise ConversionError(
            f"{path} was written by Keras on {backend}, whose kernels differ: convert them, and save the model with "
            "Keras 3"
        )
    weights = root.get("model_weights")
    if weights is None:
        raise UnreadableFile("it has no model_weights")
    entry["compile_config"] = json.loads(compiled) if compiled else None
    return _complete_config(entry), from_hdf5(entry, weights)


def _modernized(entry):
    """Return an entry of the configuration in the form of newer files."""
    config = entry["config"]
    for value in (entry["class_name"], entry.get("module"), entry.get("registered_name"), entry.get("name")):
        if not (value is None or (isinstance(value, str) and len(value) <= MAX_NAME)):
            raise UnreadableFile(
                f"the name of a layer or of its class is not text, or has more than {MAX_NAME} characters"
            )
    if entry["class_name"] in LATER_OPTIONS:
        config = {**LATER_OPTIONS[entry["class_name"]], **config}
    if isinstance(config, list):  # a Sequential before Keras 2.2.3
        config = {"name": snake_case(entry["class_name"]), "layers": config}
    if isinstance(config, dict) and isinstance(config.get("layers"), list) and entry["class_name"] in MODEL_CLASSES:
        return {**entry, "config": {**config, "layers": [_modernized(layer) for layer in config["layers"]]}}
    # the configuration of a Keras 3 operation has a name only; that of a layer also has a data type
    if "module" not in entry and set(config) <= {"name"} and "inbound_nodes" in entry:
        return {**entry, "module": "keras.src.ops"}
    return {**entry, "config": config}


def _check_origin(path, entry, version):
    """Refuse files of Keras 1, and models of custom classes."""
    if int(str(version).partition(".")[0]) < 2:
        raise ConversionError(f"{path} was written by Keras {version}: load it with Keras 2, and save it again")
    if not (isinstance(entry, dict) and isinstance(entry["config"], dict)):
        raise UnreadableFile("its configuration is not one of a model")
    if is_custom_class(entry) or entry["class_name"] not in MODEL_CLASSES or "layers" not in entry["config"]:
        owner = f" of {entry['module']}"[:80] if entry.get("module") else ""
        raise ConversionError(
            f"{path} holds a model of class {str(entry['class_name'])[:80]!r}{owner}, not a Sequential or functional "
            "model of Keras: load it in Python, with custom_objects if you trust it, and pass such a model"
        )


def _complete_config(entry):
    """Return the configuration of the whole model, with the input shape if the file records it."""
    config, build_config = entry["config"], entry.get("build_config") or {}
    if "build_input_shape" not in config and "input_shape" in build_config:
        config = {**config, "build_input_shape": build_config["input_shape"]}
    return {**config, "compile_config": entry.get("compile_config")}


def _check_suffix(path, *suffixes):
    if path.suffix not in suffixes:
        raise FileFormatError(f"{path} is a Keras model whose name must end in {' or '.join(suffixes)}: rename it")


def damaged_file_error(path, error):
    """Return the FileFormatError for an exception that was raised while a file was read."""
    text = (str(error).strip().splitlines() or [""])[0][:200]
    if not isinstance(error, UnreadableFile):  # the text of other exceptions is often a mere key
        text = f"{type(error).__name__}: {text}"
    return FileFormatError(
        f"{path} is damaged, was cut short, or was not written by Keras ({text}): copy or save it again, or load it in "
        "Python if you trust it, and pass the model"
    )
