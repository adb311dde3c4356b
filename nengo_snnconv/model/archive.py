"""Archives: .npz files with a JSON description and arrays of numbers, without pickle.

A file may be damaged or hostile, so the sizes that it declares are checked before memory is allocated.
"""

from __future__ import annotations

import errno
import json
import os
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from .._util.atomic import atomic_write
from .._util.npz import Damage, members_of, read_member
from .._util.ordinary_files import open_ordinary
from .._util.strict_json import parse_json
from ..errors import FileFormatError, SettingsError

FORMAT = "nengo_snnconv"
VERSION = 1
DESCRIPTION = "description.json"

# Compression hardly shrinks weights, but shrinks zeros a thousand times.  The contents of an archive may take up to
# MEMORY_LIMIT bytes or MOST_COMPRESSED times the size of the file, whichever is larger.
MEMORY_LIMIT = 2**28
MOST_COMPRESSED = 100
# bytes of JSON, which take up to thirty times as much memory as Python objects
DESCRIPTION_LIMIT = 2**24
# other formats of models, and how to read them, by the endings of their files
CONVERT = "convert it first with nengo-snnconv convert {path} network.snn.npz, or in Python with snc.convert(path)"
FOREIGN = {
    **dict.fromkeys((".keras", ".h5", ".hdf5"), ("a Keras file", CONVERT)),
    ".onnx": ("an ONNX file", CONVERT),
    ".nir": ("a NIR file", "read it with snc.read_nir(path)"),
    **dict.fromkeys((".pt", ".pt2", ".pth"), ("a PyTorch file", "load it with PyTorch, and convert the module")),
}


def check_ending(path: str | os.PathLike) -> None:
    """Raise SettingsError for the name of a file of another format, which other programs and ``convert`` go by."""
    start, ending = os.path.splitext(path)
    if ending.lower() in FOREIGN:
        raise SettingsError(
            f"{path} would not be {FOREIGN[ending.lower()][0]}, as its name says, but a file of nengo_snnconv: name it "
            f"{os.path.basename(start)}.snn.npz",
            argument="path",
        )


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
                arrays = {name: read_member(archive, member) for name, member in members.items()}
        except FileFormatError:
            raise
        except Damage as damage:
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
    beginning = file.read(2)
    file.seek(0)
    if beginning != b"PK":
        raise _foreign(path, "it is not an .npz archive")


def _foreign(path, reason):
    """Return the error for a file of another format, which its ending may tell."""
    ending = os.path.splitext(path)[1].lower()
    if ending in FOREIGN:
        kind, advice = FOREIGN[ending]
        return FileFormatError(f"{path} is {kind}: {advice.format(path=path)}")
    return FileFormatError(f"{path} is not a nengo_snnconv file: {reason}")


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
    for name, member in members_of(archive):
        total += member.file_size
        if total > limit:
            raise Damage(f"its arrays would take at least {total:,} bytes; a file of {size:,} bytes may take {limit:,}")
        members[name] = member
    return members


def _description(path, archive, member):
    if member is None:
        raise _foreign(path, "it has no description")
    if member.file_size > 2 * DESCRIPTION_LIMIT:
        raise Damage(f"its description takes {member.file_size:,} bytes; at most {2 * DESCRIPTION_LIMIT:,} are allowed")
    text = read_member(archive, member).tobytes()
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
        raise Damage(f"its format version is {version!r}")
    if version > VERSION:
        raise FileFormatError(
            f"{path} was written by a newer nengo_snnconv (file format {version}, this one reads up to {VERSION}): "
            "upgrade nengo_snnconv to read it"
        )
    return description
