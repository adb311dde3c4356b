"""Digests and checksums, which identify contents and reveal damage."""

from __future__ import annotations

import hashlib
import json
import zlib
from typing import Any, BinaryIO

import numpy as np


def crc32(*parts: bytes | memoryview | np.ndarray, start: int = 0) -> int:
    """Return the CRC-32 of bytes and arrays, one after another.

    Parameters
    ----------
    parts : bytes or ndarray
        An array counts with the bytes of its entries in C order.
    start : int
        CRC-32 of the contents before them.
    """
    for part in parts:
        start = zlib.crc32(_buffer(part), start)
    return start


def sha256(*parts: bytes | np.ndarray) -> str:
    """Return the SHA-256 of bytes and arrays, one after another, as 64 hexadecimal digits."""
    hashed = hashlib.sha256()
    for part in parts:
        hashed.update(_buffer(part))
    return hashed.hexdigest()


def digest(*values: object) -> str:
    """Return the SHA-256 of arrays and JSON-serializable values, as 64 hexadecimal digits.

    Arrays that differ in shape or type differ in their digest, even if their bytes are equal.
    """
    parts: list[bytes | np.ndarray] = []
    for value in values:
        if isinstance(value, np.ndarray):
            parts += [f"{value.dtype.str}{value.shape}".encode(), value]
        else:
            parts.append(json.dumps(value, sort_keys=True).encode())
    return sha256(*parts)


def blake2b(content: bytes, n_bytes: int) -> bytes:
    """Return the BLAKE2b digest of ``content``, ``n_bytes`` long: faster than SHA-256."""
    return hashlib.blake2b(content, digest_size=n_bytes).digest()


def file_md5(file: BinaryIO) -> str:
    """Return the MD5 of an open file as 32 hexadecimal digits, for comparison with a published one."""
    hashed = hashlib.md5(usedforsecurity=False)
    while block := file.read(1 << 20):
        hashed.update(block)
    return hashed.hexdigest()


def _buffer(part: bytes | memoryview | np.ndarray) -> Any:
    return np.ascontiguousarray(part) if isinstance(part, np.ndarray) else part
