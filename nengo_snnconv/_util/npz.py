"""Arrays in .npz archives, without pickle.

A file may be damaged or hostile, so the size that the header of an array declares is checked before memory is
allocated.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator

import numpy as np

_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 1
_BLOCK = 2**20
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


class Damage(Exception):
    """Damage of an archive, for the caller to turn into an error that names the file."""


def members_of(archive: zipfile.ZipFile) -> Iterator[tuple[str, zipfile.ZipInfo]]:
    """Yield the name of each array, and its member of the archive; raise Damage for what no .npz file has."""
    names = set()
    for member in archive.infolist():
        name = member.filename.removesuffix(".npy")
        if name in names:
            raise Damage(f"it has {name!r} twice")
        if member.flag_bits & _ENCRYPTED or member.compress_type not in _COMPRESSIONS:
            raise Damage(f"{name!r} is encrypted, or compressed with a method that .npz files do not use")
        names.add(name)
        yield name, member


def read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, kinds: str = "biuf") -> np.ndarray:
    """Return the array of a member, after a check of its header against the number of bytes.

    Parameters
    ----------
    archive : zipfile.ZipFile
    member : zipfile.ZipInfo
    kinds : str
        Kinds of data types that are allowed; never "O", the Python objects of pickle.
    """
    with archive.open(member) as file:
        read_header = _HEADERS.get(np.lib.format.read_magic(file))
        if read_header is None:
            raise Damage(f"{member.filename!r} has an unsupported .npy version")
        shape, fortran_order, dtype = read_header(file)
        if dtype.kind not in kinds:
            raise Damage(f"{member.filename!r} holds {dtype}, not numbers")
        n_bytes = member.file_size - file.tell()
        if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != n_bytes:
            raise Damage(f"{member.filename!r} has {n_bytes:,} bytes for an array of shape {shape} of {dtype}")
        content, done = np.empty(n_bytes, np.uint8), 0
        while done < n_bytes:
            block = file.read(min(_BLOCK, n_bytes - done))
            if not block:
                raise Damage(f"{member.filename!r} ends too early")
            content[done : done + len(block)] = np.frombuffer(block, np.uint8)
            done += len(block)
    flat = content.view(dtype) if n_bytes else np.empty(math.prod(shape), dtype)
    return flat.reshape(shape, order="F" if fortran_order else "C")
