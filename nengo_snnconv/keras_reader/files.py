"""Files of Keras: which of its versions wrote one, what it says of the model, and the model itself."""

import json
import pathlib
import re
import zipfile
import zlib

from ..exceptions import ConversionError, FileFormatError
from .foreign import describe_file

FOREIGN = "has parts that Keras does not know: load it in Python with custom_objects, and pass the model"
OWN_CLASSES = re.compile("unknown|could not (locate|interpret)|custom_objects|register_keras_serializable", re.I)


def stored_model(path):
    """What a file says of its model, without loading it.

    Parameters
    ----------
    path : str or path
        A ``.keras``, ``.h5`` or ``.hdf5`` file.

    Returns
    -------
    entry : dict
        The model's class and configuration.
    major : int
        The first number of the Keras version that wrote it.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ConversionError
        If it holds something else than a Keras model, or weights only; says what to do instead.
    FileFormatError
        If it is damaged.
    """
    path = pathlib.Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    foreign = describe_file(path)
    if foreign:
        raise ConversionError(foreign)
    with path.open("rb") as file:
        start = file.read(8)
    readers = {b"PK": _stored_in_zip, b"\x89H": _stored_in_hdf5}
    if start[:2] not in readers:
        raise FileFormatError(f"{path} is not a file of Keras, or it is damaged: a .keras or .h5 file is needed")
    entry, version = readers[start[:2]](path)
    return entry, int(str(version or "2").partition(".")[0])


def _stored_in_zip(path):
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if "description.json.npy" in names:
                raise ConversionError(f"{path} is a file of nengo_snnconv: open it with load, and take its model")
            if not {"config.json", "metadata.json"} <= set(names):
                raise FileFormatError(f"{path} is a zip archive, but not one of Keras")
            entry, metadata = (json.loads(archive.read(name)) for name in ("config.json", "metadata.json"))
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise _damaged(path, error) from error
    _check_suffix(path, ".keras")
    return entry, metadata["keras_version"]


def _stored_in_hdf5(path):
    import h5py

    try:
        with h5py.File(path) as file:
            text, version = file.attrs.get("model_config"), file.attrs.get("keras_version")
            entry = json.loads(text) if text is not None else None
    except (OSError, KeyError, RuntimeError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise _damaged(path, error) from error
    if entry is None:
        raise ConversionError(
            f"{path} holds weights only, if it is a file of Keras: build the model in Python, call its load_weights, "
            "and pass the model"
        )
    _check_suffix(path, ".h5", ".hdf5")
    return entry, version.decode() if isinstance(version, bytes) else version


def _check_suffix(path, *suffixes):
    if path.suffix not in suffixes:
        raise FileFormatError(f"{path} is a Keras model whose name must end in {' or '.join(suffixes)}: rename it")


def _damaged(path, error):
    return FileFormatError(f"{path} is damaged or was cut short ({error}): copy or make it again")


def load(path, major):
    """The model in a file that :func:`stored_model` accepts, loaded by the Keras of version ``major``.

    Raises
    ------
    ConversionError
        If it has classes that Keras does not know.
    FileFormatError
        If it cannot be loaded.
    """
    if major < 3:
        from ..compat import tf

        keras = tf.keras
    else:
        from ..compat import keras3 as keras
    try:
        return keras.models.load_model(str(path), compile=False, safe_mode=True)
    except Exception as error:  # Keras raises whatever its parts raise
        if OWN_CLASSES.search(str(error)):
            raise ConversionError(f"{path} {FOREIGN} ({_first_line(error)})") from error
        raise FileFormatError(f"{path} cannot be loaded, so it may be damaged ({_first_line(error)})") from error


def _first_line(error):
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
