"""Arrays of an ONNX model: TensorProto messages, whose numbers are in them or in files beside the model."""

import math
import pathlib

import numpy as np

from ...._util.ordinary_files import open_ordinary
from ....errors import FileFormatError
from ...shared.refusals import UnsupportedLayer

# number of the type in ONNX -> (name, dtype of the stored numbers, field of numbers that are not stored as bytes)
TYPES = {
    1: ("float", "<f4", "float_data"),
    2: ("uint8", "<u1", "int32_data"),
    3: ("int8", "<i1", "int32_data"),
    4: ("uint16", "<u2", "int32_data"),
    5: ("int16", "<i2", "int32_data"),
    6: ("int32", "<i4", "int32_data"),
    7: ("int64", "<i8", "int64_data"),
    9: ("bool", "<u1", "int32_data"),
    10: ("float16", "<f2", "int32_data"),
    11: ("double", "<f8", "double_data"),
    12: ("uint32", "<u4", "uint64_data"),
    13: ("uint64", "<u8", "uint64_data"),
    16: ("bfloat16", "<u2", "int32_data"),
}
FLOATS = ("float", "float16", "double", "bfloat16")
EXTERNAL = 1
MAX_USES = 4  # how often a byte of a file beside the model may be read


def type_name(number):
    """Return the name of a type of ONNX, such as "float", or its number if its entries are not read."""
    return TYPES[number][0] if number in TYPES else f"number {number}"


class ArrayReader:
    """Reads arrays of one model.

    Parameters
    ----------
    folder : path or None
        Folder of the model's file, with the files of arrays beside it; None for a model in memory.
    """

    def __init__(self, folder):
        self._folder = None if folder is None else pathlib.Path(folder)
        self._bytes_left = {}

    def read(self, tensor):
        """Return the array of a TensorProto, after a check of its size.

        Raises
        ------
        UnsupportedLayer
            If its type is not read, or its file is unknown.
        FileFormatError
            If it is damaged, or its file is missing, too short or outside of the folder.
        """
        name = f"the array {tensor.name[:80]!r}"
        if tensor.data_type not in TYPES:
            raise UnsupportedLayer(f"has data of type {type_name(tensor.data_type)}, which is not read: use float")
        kind, dtype, field = TYPES[tensor.data_type]
        shape, dtype = tuple(tensor.dims), np.dtype(dtype)
        if min(shape, default=0) < 0 or len(shape) > 32 or tensor.HasField("segment"):
            raise FileFormatError(f"{name} has the shape {shape}, which is damaged or not supported: export it again")
        n_bytes = math.prod(shape) * dtype.itemsize
        if tensor.data_location == EXTERNAL:
            flat = np.frombuffer(self._external_bytes(tensor, name, n_bytes), dtype)
        elif tensor.HasField("raw_data"):
            _check_size(name, shape, n_bytes, len(tensor.raw_data))
            flat = np.frombuffer(tensor.raw_data, dtype)
        else:
            numbers = getattr(tensor, field)
            _check_size(name, shape, math.prod(shape), len(numbers), "numbers")
            flat = _from_numbers(numbers, kind, dtype)
        if kind == "bfloat16":
            flat = (flat.astype("<u4") << 16).view("<f4")
        return flat.reshape(shape).astype(bool if kind == "bool" else flat.dtype.newbyteorder("="), copy=False)

    def _external_bytes(self, tensor, name, n_bytes):
        if self._folder is None:
            raise UnsupportedLayer(
                "has an array in another file: pass the path of the model's file, not the ModelProto"
            )
        entries = {entry.key: entry.value for entry in tensor.external_data}
        try:
            location, offset = entries["location"], int(entries.get("offset", 0))
            length = int(entries.get("length", n_bytes))
            path = self._path(location)
        except (KeyError, ValueError, OSError) as error:
            raise FileFormatError(
                f"{name} is in a file that cannot be found ({error}): export the model again"
            ) from error
        _check_size(name, tuple(tensor.dims), n_bytes, length)
        with open_ordinary(path) as file:
            size = file.seek(0, 2)
            if not 0 <= offset <= size - n_bytes:
                raise FileFormatError(f"{path} was cut short: {name} needs {n_bytes:,} bytes at {offset:,} of {size:,}")
            left = self._bytes_left.setdefault(path, MAX_USES * size)
            if n_bytes > left:
                raise FileFormatError(f"the arrays of the model declare more bytes than {path} holds: export it again")
            self._bytes_left[path] = left - n_bytes
            file.seek(offset)
            return file.read(n_bytes)

    def _path(self, location):
        """Return the path of a file in the folder of the model; raise ValueError if it is outside."""
        relative = pathlib.PurePosixPath(location.replace("\\", "/"))
        folder = self._folder.resolve()
        path = (folder / relative).resolve()
        if not location or relative.is_absolute() or ".." in relative.parts or not path.is_relative_to(folder):
            raise ValueError(f"{location[:80]!r} is outside of the model's folder")
        return path


def _check_size(name, shape, expected, stored, unit="bytes"):
    if stored != expected:
        raise FileFormatError(
            f"{name} of shape {shape} has {stored:,} {unit}, expected {expected:,}: export the model again"
        )


def _from_numbers(numbers, kind, dtype):
    """Return numbers of a field as a flat array; 16-bit floats are stored as integers with their bits."""
    if kind in ("float16", "bfloat16"):
        return np.array(numbers, "<u4").astype("<u2").view(dtype)
    return np.array(numbers).astype(dtype)
