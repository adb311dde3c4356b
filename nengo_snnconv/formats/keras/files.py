"""Files of Keras: read the configuration and the arrays of a model, without Keras.

A file is data.  Nothing that it names is imported, built or called: the configuration is JSON, the arrays are numbers,
and the readers of layers look at both.  So neither Keras is needed to read the files of either.
"""

import io
import json
import pathlib
import zipfile

from ..._util.ordinary_files import open_ordinary
from ...errors import ConversionError, FileFormatError, SnnConvError
from .calls import NESTED, is_own_class
from .foreign import describe_file
from .hdf5 import FREE_EXPANSION, MAX_EXPANSION, HDF5File
from .hdf5_data import Unreadable
from .stored import from_archive, from_hdf5, snake_case

MAX_TEXT = 2**24  # bytes of JSON; 800 layers take 1 MB
MAX_NAME = 500
WEIGHTS = "model.weights.h5"
# options that layers did not always have, with the values that keep what they did
LATER_OPTIONS = {"Normalization": {"mean": None, "variance": None, "invert": False}}


def stored_model(path):
    """Return what a file holds: a model's configuration, and its arrays.

    Parameters
    ----------
    path : str or path
        A ``.keras``, ``.h5`` or ``.hdf5`` file.

    Returns
    -------
    config : dict
        The model's configuration.
    model : StoredLayer
        Stands for the live model: its layers, with their arrays.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ConversionError
        If it holds something other than a Keras model, or weights only; says what to do instead.
    FileFormatError
        If it is damaged, or declares more than it holds.
    """
    path = pathlib.Path(path)
    foreign = describe_file(path) if path.exists() else None
    if foreign:
        raise ConversionError(foreign)
    with open_ordinary(path, ConversionError) as file:
        start = file.read(8)
        readers = {b"PK": _stored_in_zip, b"\x89H": _stored_in_hdf5}
        if start[:2] not in readers:
            raise FileFormatError(f"{path} is not a file of Keras, or it is damaged: a .keras or .h5 file is needed")
        try:
            return readers[start[:2]](path, file)
        except (SnnConvError, MemoryError):
            raise
        except Exception as error:  # of zipfile and json, or what makes no sense in the configuration
            raise damaged(path, error) from error


def _stored_in_zip(path, file):
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        if "description.json.npy" in names:
            raise ConversionError(f"{path} is a file of nengo_snnconv: open it with load, and take its model")
        if not {"config.json", "metadata.json"} <= set(names):
            raise FileFormatError(f"{path} is a zip archive, but not one of Keras")
        entry, metadata = (json.loads(_unpacked(archive, name, MAX_TEXT)) for name in ("config.json", "metadata.json"))
        _check_suffix(path, ".keras")
        entry = _modern(entry)
        _check_origin(path, entry, metadata["keras_version"])
        if WEIGHTS not in names:
            raise Unreadable(f"it has no {WEIGHTS}")
        stored = min(archive.getinfo(WEIGHTS).compress_size, path.stat().st_size)
        content = _unpacked(archive, WEIGHTS, MAX_EXPANSION * stored + FREE_EXPANSION)
        weights = HDF5File(io.BytesIO(content), stored)
        return _model(entry, from_archive(entry, weights.root))


def _unpacked(archive, name, limit):
    """The bytes of one file of an archive, which must not be more than ``limit``."""
    info = archive.getinfo(name)
    if info.file_size > limit:
        raise Unreadable(f"{name} would unpack to {info.file_size} bytes, and the limit is {limit}")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise Unreadable(f"{name} is compressed in a way that Keras does not use")
    with archive.open(info) as file:
        return file.read(limit + 1)


def _stored_in_hdf5(path, file):
    root = HDF5File(file).root
    text, version, backend = (root.attribute(name, MAX_TEXT) for name in ("model_config", "keras_version", "backend"))
    if text is None:
        raise ConversionError(
            f"{path} holds weights only, if it is a file of Keras: build the model in Python, call its load_weights, "
            "and pass the model"
        )
    _check_suffix(path, ".h5", ".hdf5", ".keras")  # which before Keras 2.12 was another name of .h5
    entry = _modern(json.loads(text))
    _check_origin(path, entry, version or "2")
    if backend in ("theano", "cntk"):
        raise ConversionError(
            f"{path} was written by Keras on {backend}, whose kernels differ: convert them, and save it by Keras 3"
        )
    weights = root.get("model_weights")
    if weights is None:
        raise Unreadable("it has no model_weights")
    return _model(entry, from_hdf5(entry, weights))


def _modern(entry):
    """An entry of the configuration, in the form of newer files."""
    config = entry["config"]
    for value in (entry["class_name"], entry.get("module"), entry.get("registered_name"), entry.get("name")):
        if not (value is None or (isinstance(value, str) and len(value) <= MAX_NAME)):
            raise Unreadable(f"the name of a layer or of its class has more than {MAX_NAME} characters, or is no text")
    if entry["class_name"] in LATER_OPTIONS:
        config = {**LATER_OPTIONS[entry["class_name"]], **config}
    if isinstance(config, list):  # a Sequential before Keras 2.2.3
        config = {"name": snake_case(entry["class_name"]), "layers": config}
    if isinstance(config, dict) and isinstance(config.get("layers"), list) and entry["class_name"] in NESTED:
        return {**entry, "config": {**config, "layers": [_modern(layer) for layer in config["layers"]]}}
    # an operation of Keras 3 has a name and nothing else, where every layer has a data type
    if "module" not in entry and set(config) <= {"name"} and "inbound_nodes" in entry:
        return {**entry, "module": "keras.src.ops"}
    return {**entry, "config": config}


def _check_origin(path, entry, version):
    """Refuse a file of Keras 1, and a model whose class is not one of Keras."""
    if int(str(version).partition(".")[0]) < 2:
        raise ConversionError(f"{path} was written by Keras {version}: load it by Keras 2, and save it again")
    if not (isinstance(entry, dict) and isinstance(entry["config"], dict)):
        raise Unreadable("its configuration is not one of a model")
    if is_own_class(entry) or entry["class_name"] not in NESTED or "layers" not in entry["config"]:
        owner = f" of {entry['module']}"[:80] if entry.get("module") else ""
        raise ConversionError(
            f"{path} holds a model of class {str(entry['class_name'])[:80]!r}{owner}, not a Sequential or functional "
            "model of Keras: load it in Python, with custom_objects if you trust it, and pass such a model"
        )


def _model(entry, model):
    """(configuration, model) of the whole model."""
    config, built = entry["config"], entry.get("build_config") or {}
    if "build_input_shape" not in config and "input_shape" in built:
        config = {**config, "build_input_shape": built["input_shape"]}
    return config, model


def _check_suffix(path, *suffixes):
    if path.suffix not in suffixes:
        raise FileFormatError(f"{path} is a Keras model whose name must end in {' or '.join(suffixes)}: rename it")


def damaged(path, error):
    """Return the FileFormatError for what an exception says of a file."""
    text = (str(error).strip().splitlines() or [""])[0][:200]
    if not isinstance(error, Unreadable):  # others often say the mere key
        text = f"{type(error).__name__}: {text}"
    return FileFormatError(
        f"{path} is damaged, was cut short, or was not written by Keras ({text}): copy or make it again, or load it in "
        "Python if you trust it, and pass the model"
    )
