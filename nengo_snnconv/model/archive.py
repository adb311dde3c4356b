"""Archives: one .npz with a JSON description and arrays of numbers; no pickle is written or read.

A file is data, which may be damaged or hostile: what it says of its sizes is checked before memory is taken for it.
"""

import errno
import json
import math
import zipfile

import numpy as np

from .._util.atomic import atomic_write
from .._util.ordinary_files import open_ordinary
from .._util.strict_json import parse_json
from ..errors import FileFormatError

FORMAT = "nengo_snnconv"
VERSION = 1
DESCRIPTION = "description.json"

# Weights hardly shrink when they are compressed, but zeros do, a thousand times.  What is in an archive takes no more
# memory than the larger of MEMORY_LIMIT bytes and MOST_COMPRESSED times the size of the file.
MEMORY_LIMIT = 2**28
MOST_COMPRESSED = 100
# Bytes of JSON; as Python's objects, they take up to thirty times as many
DESCRIPTION_LIMIT = 2**24
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 1
_BLOCK = 2**20
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


class _Damage(Exception):
    """What is wrong with an archive, for the message."""


def write_arrays(path, description, arrays):
    """Write a JSON-serialisable ``description`` and named ``arrays`` as one .npz, whole or not at all.

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
            f"{path} cannot be written: settings and metadata take {len(text):,} bytes, and a file holds up to "
            f"{DESCRIPTION_LIMIT:,}; keep large arrays, such as initial_state, in a file of your own"
        )
    # as they are if they could be too many times larger than the file otherwise
    save = np.savez if sum(map(np.size, arrays.values())) * 8 > MEMORY_LIMIT // 2 else np.savez_compressed
    with atomic_write(path) as file:
        save(file, **{DESCRIPTION: np.frombuffer(text, np.uint8)}, **arrays)


def read_arrays(path):
    """Read what :func:`write_arrays` wrote: (description, arrays).

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If the file is damaged, is not one of ours, was written by a newer version, or would take more memory than a
        file of its size may.
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
                f"{path} needs more memory than there is: close other programs, or try it on a larger machine"
            ) from error
        except Exception as error:
            # damage makes the parsers of zip and .npy raise whatever they meet, as EINVAL for a place before the file
            if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
                raise
            raise FileFormatError(
                f"{path} is damaged or was cut short ({_short(error)}): copy or make it again"
            ) from error
    return description, arrays


def _short(error):
    """The message of an error that may hold names of any length from a file."""
    text = " ".join(str(error).split())
    return text if len(text) <= 200 else f"{text[:150]} ... {text[-50:]}"


def _check_beginning(path, file):
    if str(path).endswith((".keras", ".h5", ".hdf5")):
        raise FileFormatError(
            f"{path} is a file of Keras: convert it first, nengo-snnconv convert {path} network.snn.npz, or in Python "
            "snc.convert(path)"
        )
    beginning = file.read(2)
    file.seek(0)
    if beginning != b"PK":
        raise FileFormatError(f"{path} is not a nengo_snnconv file: it is no .npz archive")


def _size(file):
    place = file.tell()
    size = file.seek(0, 2)
    file.seek(place)
    return size


def _members(archive, size):
    """The members of an archive by name, without their ending; checked against the file's ``size`` in bytes."""
    found = {}
    limit = max(MEMORY_LIMIT, MOST_COMPRESSED * size)
    total = 0
    for member in archive.infolist():
        name = member.filename.removesuffix(".npy")
        if name in found:
            raise _Damage(f"it has {name!r} twice")
        if member.flag_bits & _ENCRYPTED or member.compress_type not in _COMPRESSIONS:
            raise _Damage(f"{name!r} is encrypted, or compressed in a way that .npz files are not")
        total += member.file_size
        if total > limit:
            raise _Damage(f"its arrays would take {total:,} bytes or more, and a file of {size:,} may take {limit:,}")
        found[name] = member
    return found


def _description(path, archive, member):
    if member is None:
        raise FileFormatError(f"{path} is not a nengo_snnconv file: it has no description of its own")
    if member.file_size > 2 * DESCRIPTION_LIMIT:
        raise _Damage(f"its description takes {member.file_size:,} bytes, and may take {2 * DESCRIPTION_LIMIT:,}")
    text = _array(archive, member).tobytes()
    try:
        description = parse_json(text)
        foreign = description.pop("format") != FORMAT
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise FileFormatError(
            f"{path} is not a nengo_snnconv file: it has no description that can be read ({error})"
        ) from error
    if foreign:
        raise FileFormatError(f"{path} is not a nengo_snnconv file")
    version = description.pop("version", None)
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise _Damage(f"its format has the version {version!r}")
    if version > VERSION:
        raise FileFormatError(
            f"{path} was written by a newer nengo_snnconv (file format {version}, this one reads up to {VERSION}): "
            "upgrade nengo_snnconv to read it"
        )
    return description


def _array(archive, member):
    """The array of a member, whose header is checked against the bytes that there are for it."""
    with archive.open(member) as file:
        read_header = _HEADERS.get(np.lib.format.read_magic(file))
        if read_header is None:
            raise _Damage(f"{member.filename!r} is in a version of .npy that is not used here")
        shape, fortran_order, dtype = read_header(file)
        if dtype.kind not in "biuf":
            raise _Damage(f"{member.filename!r} holds {dtype}, not numbers")
        left = member.file_size - file.tell()
        if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != left:
            raise _Damage(f"{member.filename!r} has {left:,} bytes for an array of shape {shape} of {dtype}")
        flat = np.empty(math.prod(shape), dtype)
        block, place = memoryview(flat).cast("B") if left else b"", 0
        while place < left:
            read = file.readinto(block[place : place + _BLOCK])
            if not read:
                raise _Damage(f"{member.filename!r} ends too early")
            place += read
    return flat.reshape(shape, order="F" if fortran_order else "C")
