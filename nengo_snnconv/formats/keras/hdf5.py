"""Read groups, attributes and arrays of an HDF5 file, in Python alone.

The HDF5 library trusts what a file says: a damaged or hostile one can crash the process, keep it busy without end or
make it allocate any amount of memory.  This reader covers the part of the format that Keras writes (through h5py, in
any version so far), checks every address and size against the file before using it, follows no link out of the file,
and refuses the rest.

Format: https://docs.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html
"""

import math
import struct

import numpy as np

from .hdf5_data import CHECKSUM, DEFLATE, SHUFFLE, Type, Unreadable, shape_at, unfiltered

SIGNATURE = b"\x89HDF\r\n\x1a\n"
NO_ADDRESS = 2**64 - 1
# messages of an object header
DATASPACE, DATATYPE, LAYOUT, FILTERS, ATTRIBUTE, CONTINUATION, SYMBOL_TABLE = 0x01, 0x03, 0x08, 0x0B, 0x0C, 0x10, 0x11
EXTERNAL = 0x07  # the array lies in other files
NEWER = {0x02, 0x06}  # links as libver="latest" keeps them
# what unpacking may give: this multiple of the bytes on the disk, and some more.  Keras does not compress, and weights
# seldom shrink to a half
MAX_EXPANSION, FREE_EXPANSION = 20, 2**26


class HDF5File:
    """An open HDF5 file.

    Parameters
    ----------
    file : binary file
        Open for reading, with ``seek``.
    on_disk : int, optional
        Number of bytes from which the file itself was unpacked; its own size by default.

    Attributes
    ----------
    root : Group

    Raises
    ------
    Unreadable
        Here and from every method, if the file is damaged or uses what Keras does not write.
    """

    def __init__(self, file, on_disk=None):
        self._file = file
        self.size = file.seek(0, 2)
        self._left = MAX_EXPANSION * (self.size if on_disk is None else on_disk) + FREE_EXPANSION
        # every byte is needed about once, so a file that makes the reader go in circles runs out of this
        self._budget = 16 * self.size + 2**16
        self._data = self.size
        self._heaps, self._groups = {}, {}
        if self.read(0, 8) != SIGNATURE:
            raise Unreadable("it does not begin as an HDF5 file does")
        version, *_, offsets, lengths = self.unpack("<8B", 8)[:7]
        if version > 1:
            raise Unreadable(f"it has version {version} of the HDF5 superblock, which Keras does not write")
        if (offsets, lengths) != (8, 8):
            raise Unreadable(f"its addresses have {offsets} bytes")
        start = 24 + 4 * version
        base, _, end, _, _, root = self.unpack("<6Q", start)
        if base != 0 or end > self.size:
            raise Unreadable(f"it has {self.size} bytes of {end}")
        self.root = self.group(root)

    def group(self, address):
        """Return the group or dataset whose header is at ``address``."""
        return self._groups.setdefault(address, Group(self, address))

    def read(self, offset, n):
        """Return ``n`` bytes, which must lie within the file."""
        if not 0 <= offset <= self.size - n or n < 0:
            raise Unreadable(f"{n} bytes at {offset} lie outside of its {self.size} bytes")
        self._budget -= max(n, 8)
        if self._budget < 0:
            raise Unreadable("its parts overlap")
        self._file.seek(offset)
        found = self._file.read(n)
        if len(found) != n:
            raise Unreadable(f"it ends at {offset + len(found)}")
        return found

    def unpack(self, layout, offset):
        """Return the numbers at ``offset``."""
        return struct.unpack(layout, self.read(offset, struct.calcsize(layout)))

    def read_data(self, offset, n):
        """Return ``n`` bytes of an array; all arrays together cannot hold more than the file does."""
        self._data -= n
        if self._data < 0:
            raise Unreadable("its arrays declare more bytes than it holds")
        return self.read(offset, n)

    def expand(self, size, stored):
        """Count ``size`` bytes of memory for ``stored`` compressed ones; all arrays together have a limit."""
        self._left -= size
        if self._left < 0:
            raise Unreadable(f"an array unpacks to {size} bytes, more than {stored} stored ones can be")

    def expect(self, signature, offset):
        """Check for the signature of a structure, and return the offset behind it."""
        if self.read(offset, len(signature)) != signature:
            raise Unreadable(f"there is no {signature.decode()} at {offset}")
        return offset + len(signature)

    def heap_object(self, address, index):
        """Return (offset, size) of an object on the global heap."""
        if address not in self._heaps:
            start = self.expect(b"GCOL", address)
            size = self.unpack("<Q", start + 4)[0]
            end, at, objects = address + size, start + 12, {}
            if end > self.size:
                raise Unreadable(f"the heap at {address} is longer than the file")
            while at + 16 <= end:
                number, _, _, length = self.unpack("<HHIQ", at)
                if number == 0:  # the free space at the end
                    break
                objects[number] = (at + 16, length)
                at += 16 + -(-length // 8) * 8
            self._heaps[address] = objects
        if index not in self._heaps[address]:
            raise Unreadable(f"there is no object {index} on the heap at {address}")
        return self._heaps[address][index]


class Group:
    """A group, or a dataset before it is known to be one.

    Parameters
    ----------
    file : HDF5File
    address : int
        Of its object header.
    """

    def __init__(self, file, address):
        self._file = file
        self.address = address
        self._found = self._children = None

    def messages(self, kind):
        """Return (offset, size) of each message of one kind in the object's header."""
        if self._found is None:
            self._found = self._all_messages()
        return self._found.get(kind, [])

    def _all_messages(self):
        version, _, n, _, size = self._file.unpack("<BBHII", self.address)
        if version != 1:
            raise Unreadable("an object header is of another version than those of Keras")
        blocks, found = [(self.address + 16, size)], {}
        for start, size in blocks:  # grows while it is gone through
            self._file.read(start, size)
            at = start
            while at + 8 <= start + size and n > 0:
                kind, length, flags = self._file.unpack("<HHB", at)
                if at + 8 + length > start + size:
                    raise Unreadable(f"a message at {at} is longer than its block")
                if kind == CONTINUATION:
                    blocks.append(self._file.unpack("<QQ", at + 8))
                if flags & 2 and kind in (DATASPACE, DATATYPE, ATTRIBUTE):
                    raise Unreadable("it shares messages between objects, which Keras does not")
                found.setdefault(kind, []).append((at + 8, length))
                at, n = at + 8 + length, n - 1
        if NEWER & set(found):
            raise Unreadable("its groups are of a kind that Keras does not write")
        return found

    def children(self):
        """Return {name: address} of the groups and datasets in this group."""
        if self._children is None:
            self._children = self._all_children()
        return self._children

    def _all_children(self):
        found = {}
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
                        raise Unreadable("the name of an object lies outside of its heap")
                    if cached == 2:
                        address = None  # a soft link, refused where it is used
                    found[text[name:end].decode()] = address
        return found

    def _leaves(self, node, kind, key_size=8):
        """Addresses of what the leaves of a B-tree point to; with ``kind`` 1, the keys as well."""
        waiting = [node]
        while waiting:
            node = waiting.pop()
            start = self._file.expect(b"TREE", node)
            found, level, n = self._file.unpack("<BBH", start)
            if found != kind:
                raise Unreadable(f"there is a tree of kind {found} at {node}")
            entries = [start + 20 + (key_size + 8) * i for i in range(n)]
            children = [self._file.unpack("<Q", entry + key_size)[0] for entry in entries]
            if level > 0:
                waiting += reversed(children)
            elif kind == 0:
                yield from children
            else:
                yield from zip(entries, children, strict=True)

    def get(self, path):
        """Return the group or dataset at a path, None where there is none."""
        group = self
        for name in path.split("/"):
            children = group.children()
            if name not in children:
                return None
            if children[name] is None:
                raise Unreadable(f"{path} is a link, which Keras does not write")
            group = self._file.group(children[name])
        return group

    def attribute(self, name, limit):
        """Return a string or a list of strings, of ``limit`` bytes at most; None where there is no such attribute."""
        for offset, size in self.messages(ATTRIBUTE):
            version, _, n_name, n_type, n_space = self._file.unpack("<BBHHH", offset)
            if version not in (1, 2, 3):
                raise Unreadable(f"an attribute has version {version}")
            start, unit = offset + (9 if version == 3 else 8), 8 if version == 1 else 1
            ends = np.cumsum([-(-n // unit) * unit for n in (n_name, n_type, n_space)]) + start
            if ends[-1] > offset + size:
                raise Unreadable("an attribute is longer than its message")
            if self._file.read(start, n_name).rstrip(b"\0") == name.encode():
                kind, shape = Type(self._file, int(ends[0])), shape_at(self._file, int(ends[1]))
                return kind.strings(int(ends[2]), offset + size, shape, limit)
        return None

    def array(self):
        """Return the dataset's array.  Its size is checked against what the file holds before it is allocated."""
        (space,), (kind,), (layout,) = (self._one(message) for message in (DATASPACE, DATATYPE, LAYOUT))
        if self.messages(EXTERNAL):
            raise Unreadable("an array lies in another file, which Keras does not do")
        shape, kind = shape_at(self._file, space[0]), Type(self._file, kind[0])
        dtype = kind.dtype()
        size = math.prod(shape) * dtype.itemsize
        version, form = self._file.unpack("<BB", layout[0])
        if version != 3 or form > 2:
            raise Unreadable("an array is laid out in a way that Keras does not use")
        if form == 0:
            (length,) = self._file.unpack("<H", layout[0] + 2)
            found = self._file.read_data(layout[0] + 4, _equal(size, length))
        elif form == 1:
            address, length = self._file.unpack("<QQ", layout[0] + 2)
            if address == NO_ADDRESS and size > 0:
                raise Unreadable("an array is declared and not stored")
            found = self._file.read_data(address, _equal(size, length)) if size else b""
        else:
            found = self._chunks(layout[0], shape, dtype)
        values = np.frombuffer(found, dtype).reshape(shape)
        if kind.is_bfloat16 or self.attribute("dtype", 64) == "bfloat16":
            return (values.view("<u2").astype("<u4") << 16).view("<f4").reshape(shape)
        if dtype.kind == "V":
            raise Unreadable("an array does not hold numbers")
        return values.astype(dtype.newbyteorder("="))

    def _one(self, message):
        found = self.messages(message)
        if len(found) != 1:
            raise Unreadable("an array lacks its description")
        return found

    def _chunks(self, layout, shape, dtype):
        """The bytes of an array that is kept in chunks, which may be compressed."""
        n_axes, address = self._file.unpack("<BQ", layout + 2)
        if n_axes != len(shape) + 1:
            raise Unreadable("an array has chunks of another number of axes")
        *chunk, _ = self._file.unpack(f"<{n_axes}I", layout + 11)
        filters = self._filters()
        tree = list(self._leaves(address, 1, 8 + 8 * n_axes)) if address != NO_ADDRESS else []
        stored = sum(self._file.unpack("<I", entry)[0] for entry, _ in tree)
        size, n_chunk = math.prod(shape) * dtype.itemsize, math.prod(chunk) * dtype.itemsize
        self._file.expand(max(size, n_chunk * max(len(tree), 1)), stored)
        if len(tree) != math.prod(-(-n // c) if c else 0 for n, c in zip(shape, chunk, strict=True)):
            raise Unreadable("chunks of an array are missing")
        values = np.empty(shape, dtype)
        for entry, child in tree:
            length, skipped, *corner = self._file.unpack(f"<II{n_axes}Q", entry)
            found = unfiltered(self._file.read_data(child, length), filters, skipped, dtype.itemsize, n_chunk)
            block = np.frombuffer(found, dtype).reshape(chunk)
            place = tuple(slice(i, i + c) for i, c in zip(corner, chunk, strict=False))
            target = values[place]
            target[...] = block[tuple(slice(n) for n in target.shape)]
        return values.tobytes()

    def _filters(self):
        found = []
        for offset, _ in self.messages(FILTERS):
            version, n = self._file.unpack("<BB", offset)
            at = offset + (8 if version == 1 else 2)
            for _ in range(n):
                kind = self._file.unpack("<H", at)[0]
                named = version == 1 or kind >= 256
                n_name = self._file.unpack("<H", at + 2)[0] if named else 0
                n_values = self._file.unpack("<H", at + (6 if named else 4))[0]
                found.append(kind)
                at += (8 if named else 6) + n_name + 4 * (n_values + n_values % 2 * (version == 1))
        if set(found) - {DEFLATE, SHUFFLE, CHECKSUM}:
            raise Unreadable("its arrays are compressed in a way that Keras does not use")
        return found


def _equal(size, length):
    if size != length:
        raise Unreadable(f"an array of {size} bytes has {length} stored")
    return size
