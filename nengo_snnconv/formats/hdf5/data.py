"""Data types, shapes and compressed bytes in HDF5 files; see :mod:`.file`."""

import math
import zlib

import numpy as np

DEFLATE, SHUFFLE, CHECKSUM = 1, 2, 3  # numbers of filters
STRINGS = (3, 9)  # kinds of data types that hold text, of fixed and of variable length
MAX_RANK = 32


class UnreadableFile(Exception):
    """Raised if a file is damaged or uses features of HDF5 that are not supported; the message says which."""


class DataType:
    """A data type, described by the file at ``offset``.

    Parameters
    ----------
    file : HDF5File
    offset : int

    Attributes
    ----------
    kind : int
        Class of the type: 0 integer, 1 floating point, 3 string, 5 opaque, 9 string of variable length.
    size : int
        Size of an element in bytes.
    is_bfloat16 : bool
        Set by :meth:`dtype`.
    """

    def __init__(self, file, offset):
        self._file = file
        first, *bits, self.size = file.unpack("<BBBBI", offset)
        self.kind, self._bits = first & 15, bits
        self._offset = offset + 8
        self.is_bfloat16 = False

    def dtype(self):
        """Return the NumPy type; raw bytes for bfloat16, which NumPy lacks, and for opaque types of two bytes."""
        order = "<>"[self._bits[0] & 1]
        if self.kind == 0 and self.size in (1, 2, 4, 8):
            return np.dtype(f"{order}{'ui'[self._bits[0] >> 3 & 1]}{self.size}")
        if self.kind == 1:
            form = self._file.unpack("<HHBBBB", self._offset)
            bits = {2: (16, 10, 5, 0, 10), 4: (32, 23, 8, 0, 23), 8: (64, 52, 11, 0, 52)}.get(self.size)
            if form[1:] == bits:
                return np.dtype(f"{order}f{self.size}")
            self.is_bfloat16 = form[1:] == (16, 7, 8, 0, 7) and order == "<"
        if self.is_bfloat16 or (self.kind == 5 and self.size == 2):
            return np.dtype("V2")
        raise UnreadableFile("an array does not hold numbers")

    def strings(self, start, end, shape, limit):
        """Return the string, or the list of strings, between ``start`` and ``end``, of up to ``limit`` bytes."""
        n = math.prod(shape)
        if n == 0:
            return []
        if self.kind not in STRINGS or (self.kind == 9 and (self._bits[0] & 15 != 1 or self.size != 16)):
            raise UnreadableFile("a text is not stored as one")
        if start + n * self.size > end:
            raise UnreadableFile("a text is longer than the room for it")
        strings = []
        for i in range(n):
            position, length = start + i * self.size, self.size
            if self.kind == 9:
                length, heap, index = self._file.unpack("<IQI", position)
                position, stored = self._file.heap_object(heap, index) if length else (start, 0)
                length = min(length, stored)
            limit -= length
            if limit < 0:
                raise UnreadableFile("a text is too long")
            strings.append(self._file.read(position, length).split(b"\0")[0].decode())
        return strings if shape else strings[0]


def read_shape(file, offset):
    """Return the shape in the dataspace at ``offset``."""
    version, rank, _, kind = file.unpack("<4B", offset)
    if version not in (1, 2) or rank > MAX_RANK:
        raise UnreadableFile("the shape of an array cannot be read")
    if version == 2 and kind == 2:
        return (0,)
    return file.unpack(f"<{rank}Q", offset + (8 if version == 1 else 4))


def decompress(data, filters, skipped, itemsize, size):
    """Return the ``size`` bytes of a chunk, by undoing its filters.

    Parameters
    ----------
    data : bytes
    filters : list of int
        Numbers of the filters, in the order in which they were applied.
    skipped : int
        Bit ``i`` is set if filter ``i`` was not applied to this chunk.
    itemsize : int
        Size of an element in bytes.
    size : int
    """
    for i, kind in reversed(list(enumerate(filters))):
        if skipped >> i & 1:
            continue
        if kind == CHECKSUM:
            data = data[:-4]
        elif kind == SHUFFLE:
            if len(data) != size:
                raise UnreadableFile("a chunk of an array has a wrong size")
            data = np.frombuffer(data, np.uint8).reshape(itemsize, -1).T.tobytes()
        else:
            data = zlib.decompressobj().decompress(data, size + 4)
    if len(data) != size:
        raise UnreadableFile("a chunk of an array has a wrong size")
    return data
