"""Types, shapes and compressed bytes in HDF5 files: see :mod:`.hdf5`."""

import math
import zlib

import numpy as np

DEFLATE, SHUFFLE, CHECKSUM = 1, 2, 3  # filters
MAX_RANK = 32


class Unreadable(Exception):
    """The file is damaged, or uses a part of HDF5 that Keras does not; the text says which."""


class Type:
    """A datatype, as the file describes it at ``offset``."""

    def __init__(self, file, offset):
        self._file = file
        first, *bits, self.size = file.unpack("<BBBBI", offset)
        self.kind, self._bits = first & 15, bits
        self._offset = offset + 8
        self.is_bfloat16 = False

    def dtype(self):
        """The NumPy type of numbers; that of raw bytes where they need another look."""
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
        raise Unreadable("an array does not hold numbers")

    def strings(self, start, end, shape, limit):
        """The string, or the strings, at ``start``."""
        n = math.prod(shape)
        if n == 0:
            return []
        if self.kind not in (3, 9) or (self.kind == 9 and (self._bits[0] & 15 != 1 or self.size != 16)):
            raise Unreadable("an attribute does not hold text")
        if start + n * self.size > end:
            raise Unreadable("an attribute is longer than its message")
        found = []
        for i in range(n):
            place, length = start + i * self.size, self.size
            if self.kind == 9:
                length, heap, index = self._file.unpack("<IQI", place)
                place, stored = self._file.heap_object(heap, index) if length else (start, 0)
                length = min(length, stored)
            limit -= length
            if limit < 0:
                raise Unreadable("a text is too long")
            found.append(self._file.read(place, length).split(b"\0")[0].decode())
        return found if shape else found[0]


def shape_at(file, offset):
    """The shape that a dataspace describes."""
    version, rank, _, kind = file.unpack("<4B", offset)
    if version not in (1, 2) or rank > MAX_RANK:
        raise Unreadable("the shape of an array cannot be read")
    if version == 2 and kind == 2:
        return (0,)
    return file.unpack(f"<{rank}Q", offset + (8 if version == 1 else 4))


def unfiltered(found, filters, skipped, itemsize, size):
    """The bytes of a chunk, with what was done to it undone."""
    for i, kind in reversed(list(enumerate(filters))):
        if skipped >> i & 1:
            continue
        if kind == CHECKSUM:
            found = found[:-4]
        elif kind == SHUFFLE:
            if len(found) != size:
                raise Unreadable("a chunk of an array has a wrong size")
            found = np.frombuffer(found, np.uint8).reshape(itemsize, -1).T.tobytes()
        else:
            found = zlib.decompressobj().decompress(found, size + 4)
    if len(found) != size:
        raise Unreadable("a chunk of an array has a wrong size")
    return found
