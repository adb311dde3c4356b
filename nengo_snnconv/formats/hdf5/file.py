"""Read groups, attributes and arrays of an HDF5 file, in pure Python.

The HDF5 library trusts the contents of a file: a damaged or hostile file can crash the process, send it into an endless
loop or make it allocate any amount of memory.  This reader covers the part of the format that Keras and NIR have
written so far through h5py, checks every address and size against the file before using it, follows no links out of the
file, and refuses the rest.

Format: https://docs.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html
"""

import math
import struct

import numpy as np

from .data import CHECKSUM, DEFLATE, SHUFFLE, STRINGS, DataType, UnreadableFile, decompress, read_shape

SIGNATURE = b"\x89HDF\r\n\x1a\n"
NO_ADDRESS = 2**64 - 1
# types of the messages in an object header
DATASPACE, DATATYPE, LAYOUT, FILTERS, ATTRIBUTE, CONTINUATION, SYMBOL_TABLE = 0x01, 0x03, 0x08, 0x0B, 0x0C, 0x10, 0x11
EXTERNAL = 0x07  # the array is in other files
NEWER_LINKS = {0x02, 0x06}  # links as libver="latest" stores them
# limit of the unpacked size: this multiple of the size on disk, plus a constant.  Keras does not compress, and weights
# seldom shrink to less than a half; parameters of neurons in NIR, which are all equal, shrink to nearly nothing
MAX_EXPANSION, FREE_EXPANSION = 20, 2**26


class HDF5File:
    """An open HDF5 file.

    Parameters
    ----------
    file : binary file
        Open for reading, with ``seek``.
    on_disk : int, optional
        Compressed size of the file itself in bytes; its own size by default.
    writer : str
        Name of the package that writes such files, for messages.

    Attributes
    ----------
    root : Group

    Raises
    ------
    UnreadableFile
        By the constructor and every method, if the file is damaged or uses features that ``writer`` does not.
    """

    def __init__(self, file, on_disk=None, writer="Keras"):
        self._file = file
        self.writer = writer
        self.size = file.seek(0, 2)
        self._memory_left = MAX_EXPANSION * (self.size if on_disk is None else on_disk) + FREE_EXPANSION
        # bytes that may still be read: each is needed about once, so a file with circular references exceeds the limit
        self._reading_left = 16 * self.size + 2**16
        self._data_left = self.size
        self._heaps, self._groups = {}, {}
        if self.read(0, 8) != SIGNATURE:
            raise UnreadableFile("it does not begin like an HDF5 file")
        version, *_, offsets, lengths = self.unpack("<8B", 8)[:7]
        if version > 1:
            raise UnreadableFile(f"it has version {version} of the HDF5 superblock, which {writer} does not write")
        if (offsets, lengths) != (8, 8):
            raise UnreadableFile(f"its addresses have {offsets} bytes, expected 8")
        start = 24 + 4 * version
        base, _, end, _, _, root = self.unpack("<6Q", start)
        if base != 0 or end > self.size:
            raise UnreadableFile(f"it has {self.size} of {end} bytes")
        self.root = self.group(root)

    def group(self, address):
        """Return the group or dataset whose header is at ``address``."""
        return self._groups.setdefault(address, Group(self, address))

    def read(self, offset, n):
        """Return ``n`` bytes, after checking that they are within the file."""
        if not 0 <= offset <= self.size - n or n < 0:
            raise UnreadableFile(f"{n} bytes at {offset} are outside of its {self.size} bytes")
        self._reading_left -= max(n, 8)
        if self._reading_left < 0:
            raise UnreadableFile("its parts overlap")
        self._file.seek(offset)
        data = self._file.read(n)
        if len(data) != n:
            raise UnreadableFile(f"it ends at {offset + len(data)}")
        return data

    def unpack(self, layout, offset):
        """Return the numbers at ``offset``; ``layout`` is a format of :mod:`struct`."""
        return struct.unpack(layout, self.read(offset, struct.calcsize(layout)))

    def read_data(self, offset, n):
        """Return ``n`` bytes of an array; the total of all arrays is limited to the size of the file."""
        self._data_left -= n
        if self._data_left < 0:
            raise UnreadableFile("its arrays declare more bytes than it holds")
        return self.read(offset, n)

    def count_unpacked(self, size, stored):
        """Check that an array of ``size`` bytes, stored in ``stored``, fits into the limit for all arrays together."""
        self._memory_left -= size
        if self._memory_left < 0:
            raise UnreadableFile(f"an array unpacks to {size} bytes, more than {stored} stored bytes can hold")

    def expect(self, signature, offset):
        """Check that the signature of a structure is at ``offset``, and return the offset after it."""
        if self.read(offset, len(signature)) != signature:
            raise UnreadableFile(f"there is no {signature.decode()} at {offset}")
        return offset + len(signature)

    def heap_object(self, address, index):
        """Return (offset, size) of an object in the global heap."""
        if address not in self._heaps:
            start = self.expect(b"GCOL", address)
            size = self.unpack("<Q", start + 4)[0]
            end, at, objects = address + size, start + 12, {}
            if end > self.size:
                raise UnreadableFile(f"the heap at {address} is longer than the file")
            while at + 16 <= end:
                number, _, _, length = self.unpack("<HHIQ", at)
                if number == 0:  # free space at the end
                    break
                objects[number] = (at + 16, length)
                at += 16 + -(-length // 8) * 8
            self._heaps[address] = objects
        if index not in self._heaps[address]:
            raise UnreadableFile(f"there is no object {index} in the heap at {address}")
        return self._heaps[address][index]


class Group:
    """A group or a dataset; the file does not tell which before its contents are read.

    Parameters
    ----------
    file : HDF5File
    address : int
        Address of its object header.
    """

    def __init__(self, file, address):
        self._file = file
        self.address = address
        self._messages = self._children = None

    def messages(self, kind):
        """Return (offset, size) of each message of one kind in the object's header."""
        if self._messages is None:
            self._messages = self._read_messages()
        return self._messages.get(kind, [])

    def _read_messages(self):
        version, _, n, _, size = self._file.unpack("<BBHII", self.address)
        if version != 1:
            raise UnreadableFile(f"an object header has version {version}, which {self._file.writer} does not write")
        blocks, messages = [(self.address + 16, size)], {}
        for start, size in blocks:  # grows during the loop
            self._file.read(start, size)
            at = start
            while at + 8 <= start + size and n > 0:
                kind, length, flags = self._file.unpack("<HHB", at)
                if at + 8 + length > start + size:
                    raise UnreadableFile(f"a message at {at} is longer than its block")
                if kind == CONTINUATION:
                    blocks.append(self._file.unpack("<QQ", at + 8))
                if flags & 2 and kind in (DATASPACE, DATATYPE, ATTRIBUTE):
                    raise UnreadableFile(f"it shares messages between objects, which {self._file.writer} does not")
                messages.setdefault(kind, []).append((at + 8, length))
                at, n = at + 8 + length, n - 1
        if NEWER_LINKS & set(messages):
            raise UnreadableFile(f"its groups are of a kind that {self._file.writer} does not write")
        return messages

    def children(self):
        """Return {name: address} of the groups and datasets in this group."""
        if self._children is None:
            self._children = self._read_children()
        return self._children

    def _read_children(self):
        children = {}
        for offset, _ in self.messages(SYMBOL_TABLE):
            tree, heap = self._file.unpack("<QQ", offset)
            start = self._file.expect(b"HEAP", heap)
            size, _, names = self._file.unpack("<QQQ", start + 4)
            text = self._file.read(names, size)
            for node in self._leaves(tree, 0):
                start = self._file.expect(b"SNOD", node)
                n = self._file.unpack("<BBH", start)[2]
                for i in range(n):
                    name, address, cached = self._file.unpack("<QQI", start + 4 + 40 * i)
                    end = text.find(b"\0", name)
                    if name >= size or end < 0:
                        raise UnreadableFile("the name of an object is outside of its heap")
                    if cached == 2:
                        address = None  # a soft link; refused if it is used
                    children[text[name:end].decode()] = address
        return children

    def _leaves(self, node, kind, key_size=8):
        """Yield the addresses in the leaves of a B-tree of groups (``kind`` 0); (key offset, address) of chunks (1)."""
        stack = [node]
        while stack:
            node = stack.pop()
            start = self._file.expect(b"TREE", node)
            actual_kind, level, n = self._file.unpack("<BBH", start)
            if actual_kind != kind:
                raise UnreadableFile(f"there is a tree of kind {actual_kind} at {node}, expected {kind}")
            entries = [start + 20 + (key_size + 8) * i for i in range(n)]
            children = [self._file.unpack("<Q", entry + key_size)[0] for entry in entries]
            if level > 0:
                stack += reversed(children)
            elif kind == 0:
                yield from children
            else:
                yield from zip(entries, children, strict=True)

    def get(self, path):
        """Return the group or dataset at a path; None if there is none."""
        group = self
        for name in path.split("/"):
            if name not in group.children():
                return None
            group = group.child(name)
        return group

    def child(self, name):
        """Return the group or dataset ``name`` in this group."""
        address = self.children()[name]
        if address is None:
            raise UnreadableFile(f"{name} is a link, which {self._file.writer} does not write")
        return self._file.group(address)

    def attribute(self, name, limit):
        """Return an attribute: a string or a list of strings, of up to ``limit`` bytes; None if there is none."""
        for offset, size in self.messages(ATTRIBUTE):
            version, _, n_name, n_type, n_space = self._file.unpack("<BBHHH", offset)
            if version not in (1, 2, 3):
                raise UnreadableFile(f"an attribute has version {version}")
            start, unit = offset + (9 if version == 3 else 8), 8 if version == 1 else 1
            ends = np.cumsum([-(-n // unit) * unit for n in (n_name, n_type, n_space)]) + start
            if ends[-1] > offset + size:
                raise UnreadableFile("an attribute is longer than its message")
            if self._file.read(start, n_name).rstrip(b"\0") == name.encode():
                kind, shape = DataType(self._file, int(ends[0])), read_shape(self._file, int(ends[1]))
                return kind.strings(int(ends[2]), offset + size, shape, limit)
        return None

    def is_dataset(self):
        """Return whether this is a dataset, not a group."""
        return bool(self.messages(DATASPACE))

    def holds_text(self):
        """Return whether this is a dataset of strings."""
        (kind,) = self._single(DATATYPE)
        return DataType(self._file, kind[0]).kind in STRINGS

    def text(self, limit):
        """Return the string of a dataset, or its strings as nested lists, of up to ``limit`` bytes."""
        (space,), (kind,), (layout,) = (self._single(message) for message in (DATASPACE, DATATYPE, LAYOUT))
        shape, kind = read_shape(self._file, space[0]), DataType(self._file, kind[0])
        version, form = self._file.unpack("<BB", layout[0])
        if version != 3 or form != 1:
            raise UnreadableFile(f"a text has a storage layout that {self._file.writer} does not write")
        address, length = self._file.unpack("<QQ", layout[0] + 2)
        texts = kind.strings(address, address + length, shape, limit)
        return texts if len(shape) < 2 else np.reshape(np.array(texts, object), shape).tolist()

    def array(self):
        """Return the dataset's array, after checking its size against the size of the file."""
        (space,), (kind,), (layout,) = (self._single(message) for message in (DATASPACE, DATATYPE, LAYOUT))
        if self.messages(EXTERNAL):
            raise UnreadableFile(f"an array is in another file, which {self._file.writer} does not write")
        shape, kind = read_shape(self._file, space[0]), DataType(self._file, kind[0])
        dtype = kind.dtype()
        size = math.prod(shape) * dtype.itemsize
        version, form = self._file.unpack("<BB", layout[0])
        if version != 3 or form > 2:
            raise UnreadableFile(f"an array has a storage layout that {self._file.writer} does not write")
        if form == 0:
            (length,) = self._file.unpack("<H", layout[0] + 2)
            data = self._file.read_data(layout[0] + 4, _checked_size(size, length))
        elif form == 1:
            address, length = self._file.unpack("<QQ", layout[0] + 2)
            if address == NO_ADDRESS and size > 0:
                raise UnreadableFile("an array is declared but not stored")
            data = self._file.read_data(address, _checked_size(size, length)) if size else b""
        else:
            data = self._read_chunks(layout[0], shape, dtype)
        values = np.frombuffer(data, dtype).reshape(shape)
        if kind.is_bfloat16 or self.attribute("dtype", 64) == "bfloat16":
            return (values.view("<u2").astype("<u4") << 16).view("<f4").reshape(shape)
        if dtype.kind == "V":
            raise UnreadableFile("an array does not hold numbers")
        return values.astype(dtype.newbyteorder("="))

    def _single(self, kind):
        messages = self.messages(kind)
        if len(messages) != 1:
            raise UnreadableFile("an array has no shape, data type or layout")
        return messages

    def _read_chunks(self, layout, shape, dtype):
        """Return the bytes of an array that is stored in chunks, which may be compressed."""
        n_axes, address = self._file.unpack("<BQ", layout + 2)
        if n_axes != len(shape) + 1:
            raise UnreadableFile(f"an array of {len(shape)} axes has chunks of {n_axes - 1}")
        *chunk, _ = self._file.unpack(f"<{n_axes}I", layout + 11)
        filters = self._filters()
        tree = list(self._leaves(address, 1, 8 + 8 * n_axes)) if address != NO_ADDRESS else []
        stored = sum(self._file.unpack("<I", entry)[0] for entry, _ in tree)
        size, n_chunk = math.prod(shape) * dtype.itemsize, math.prod(chunk) * dtype.itemsize
        self._file.count_unpacked(max(size, n_chunk * max(len(tree), 1)), stored)
        if len(tree) != math.prod(-(-n // c) if c else 0 for n, c in zip(shape, chunk, strict=True)):
            raise UnreadableFile("chunks of an array are missing")
        values = np.empty(shape, dtype)
        for entry, child in tree:
            length, skipped, *corner = self._file.unpack(f"<II{n_axes}Q", entry)
            data = decompress(self._file.read_data(child, length), filters, skipped, dtype.itemsize, n_chunk)
            block = np.frombuffer(data, dtype).reshape(chunk)
            place = tuple(slice(i, i + c) for i, c in zip(corner, chunk, strict=False))
            target = values[place]
            target[...] = block[tuple(slice(n) for n in target.shape)]
        return values.tobytes()

    def _filters(self):
        """Return the numbers of the filters that were applied to each chunk, in order."""
        filters = []
        for offset, _ in self.messages(FILTERS):
            version, n = self._file.unpack("<BB", offset)
            at = offset + (8 if version == 1 else 2)
            for _ in range(n):
                kind = self._file.unpack("<H", at)[0]
                named = version == 1 or kind >= 256
                n_name = self._file.unpack("<H", at + 2)[0] if named else 0
                n_values = self._file.unpack("<H", at + (6 if named else 4))[0]
                filters.append(kind)
                at += (8 if named else 6) + n_name + 4 * (n_values + n_values % 2 * (version == 1))
        if set(filters) - {DEFLATE, SHUFFLE, CHECKSUM}:
            raise UnreadableFile(f"its arrays are compressed by a method that {self._file.writer} does not use")
        return filters


def _checked_size(size, stored):
    if size != stored:
        raise UnreadableFile(f"an array of {size} bytes has {stored} stored bytes")
    return size
