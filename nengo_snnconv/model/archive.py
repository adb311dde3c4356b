"""Archives: .npz files with a JSON description and arrays of numbers, without pickle.

A file may be damaged or hostile, so the sizes that it declares are checked before memory is allocated.
"""

from __future__ import annotations

import errno
import json
import math
import os
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from .._util.atomic import atomic_write
from .._util.ordinary_files import open_ordinary
from .._util.strict_json import parse_json
from ..errors import FileFormatError

FORMAT = "nengo_snnconv"
VERSION = 1
DESCRIPTION = "description.json"

# Compression hardly shrinks weights, but shrinks zeros a thousand times.  The contents of an archive may take up to
# MEMORY_LIMIT bytes or MOST_COMPRESSED times the size of the file, whichever is larger.
MEMORY_LIMIT = 2**28
MOST_COMPRESSED = 100
# bytes of JSON, which take up to thirty times as much memory as Python objects
DESCRIPTION_LIMIT = 2**24
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 1
_BLOCK = 2**20
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


class _Damage(Exception):
    """Damage of an archive; read_arrays turns it into FileFormatError."""


def write_arrays(path: str | os.PathLike, description: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Write a JSON-serializable ``description`` and named ``arrays`` to one .npz file, atomically.

    Raises
    ------
    ValueError
        If the description is too large, or holds NaN or infinity.
    OSError
        If the file cannot be written.
    """
    text = json.dumps({"format": FORMAT, "version": VERSION, **description}, allow_nan=False).encode()
    if len(text) > DESCRIPTION_LIMIT:
        raise FileFormatError(
            f"{path} cannot be written: settings and metadata take {len(text):,} bytes, but a file holds at most "
            f"{DESCRIPTION_LIMIT:,}; keep large arrays, such as initial_state, in a separate file"
        )
    # compressed arrays that are large could exceed the limits above
    save = np.savez if sum(map(np.size, arrays.values())) * 8 > MEMORY_LIMIT // 2 else np.savez_compressed
    with atomic_write(path) as file:
        members: dict[str, Any] = {DESCRIPTION: np.frombuffer(text, np.uint8), **arrays}
        save(file, **members)


def read_arrays(path: str | os.PathLike) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the description and the arrays of a file that :func:`write_arrays` wrote.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If the file is damaged, is not a nengo_snnconv file, was written by a newer version, or would take more memory
        than a file of its size may.
    OSError
        If the file cannot be read.
    """
    with open_ordinary(path) as file:
        _check_beginning(path, file)
        try:
            with zipfile.ZipFile(file) as archive:
                members = _members(archive, _size(file))
                description = _description(path, archive, members.pop(DESCRIPTION, None))
                arrays = {name: _array(archive, member) for name, member in members.items()}
        except FileFormatError:
            raise
        except _Damage as damage:
            raise FileFormatError(f"{path} is damaged: {_short(damage)}; copy or make it again") from damage
        except MemoryError as error:
            raise FileFormatError(
                f"{path} needs more memory than is free: close other programs, or use a larger machine"
            ) from error
        except Exception as error:
            # damage makes the zip and .npy parsers raise any error, for example EINVAL for a negative offset
            if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
                raise
            raise FileFormatError(
                f"{path} is damaged or was cut short ({_short(error)}): copy or make it again"
            ) from error
    return description, arrays


def _short(error):
    """Return the message of an error, shortened, since it may quote long names from the file."""
    text = " ".join(str(error).split())
    return text if len(text) <= 200 else f"{text[:150]} ... {text[-50:]}"


def _check_beginning(path, file):
    if str(path).endswith((".keras", ".h5", ".hdf5", ".onnx")):
        kind = "an ONNX" if str(path).endswith(".onnx") else "a Keras"
        raise FileFormatError(
            f"{path} is {kind} file: convert it first with nengo-snnconv convert {path} network.snn.npz, or in Python "
            "with snc.convert(path)"
        )
    if str(path).endswith(".nir"):
        raise FileFormatError(f"{path} is a NIR file: read it with snc.read_nir(path)")
    beginning = file.read(2)
    file.seek(0)
    if beginning != b"PK":
        raise FileFormatError(f"{path} is not a nengo_snnconv file: it is not an .npz archive")


def _size(file):
    position = file.tell()
    size = file.seek(0, 2)
    file.seek(position)
    return size


def _members(archive, size):
    """Return the members of an archive by name (without .npy), after a check against the file's ``size`` in bytes."""
    members = {}
    limit = max(MEMORY_LIMIT, MOST_COMPRESSED * size)
    total = 0
    for member in archive.infolist():
        name = member.filename.removesuffix(".npy")
        if name in members:
            raise _Damage(f"it has {name!r} twice")
        if member.flag_bits & _ENCRYPTED or member.compress_type not in _COMPRESSIONS:
            raise _Damage(f"{name!r} is encrypted, or compressed with a method that .npz files do not use")
        total += member.file_size
        if total > limit:
            raise _Damage(
                f"its arrays would take at least {total:,} bytes; a file of {size:,} bytes may take {limit:,}"
            )
        members[name] = member
    return members


def _description(path, archive, member):
    if member is None:
        raise FileFormatError(f"{path} is not a nengo_snnconv file: it has no description")
    if member.file_size > 2 * DESCRIPTION_LIMIT:
        raise _Damage(
            f"its description takes {member.file_size:,} bytes; at most {2 * DESCRIPTION_LIMIT:,} are allowed"
        )
    text = _array(archive, member).tobytes()
    try:
        description = parse_json(text)
        foreign = description.pop("format") != FORMAT
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise FileFormatError(
            f"{path} is not a nengo_snnconv file: its description cannot be read ({error})"
        ) from error
    if foreign:
        raise FileFormatError(f"{path} is not a nengo_snnconv file")
    version = description.pop("version", None)
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise _Damage(f"its format version is {version!r}")
    if version > VERSION:
        raise FileFormatError(
            f"{path} was written by a newer nengo_snnconv (file format {version}, this one reads up to {VERSION}): "
            "upgrade nengo_snnconv to read it"
        )
    return description


def _array(archive, member):
    """Return the array of a member, after a check of its header against the number of bytes."""
    with archive.open(member) as file:
        read_header = _HEADERS.get(np.lib.format.read_magic(file))
        if read_header is None:
            raise _Damage(f"{member.filename!r} has an unsupported .npy version")
        shape, fortran_order, dtype = read_header(file)
        if dtype.kind not in "biuf":
            raise _Damage(f"{member.filename!r} holds {dtype}, not numbers")
        n_bytes = member.file_size - file.tell()
        if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != n_bytes:
            raise _Damage(f"{member.filename!r} has {n_bytes:,} bytes for an array of shape {shape} of {dtype}")
        flat = np.empty(math.prod(shape), dtype)
        content, done = memoryview(flat).cast("B") if n_bytes else b"", 0
        while done < n_bytes:
            n_read = file.readinto(content[done : done + _BLOCK])
            if not n_read:
                raise _Damage(f"{member.filename!r} ends too early")
            done += n_read
    return flat.reshape(shape, order="F" if fortran_order else "C")
