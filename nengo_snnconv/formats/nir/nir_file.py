"""Read NIR files, which are HDF5, into dicts; without the packages nir and h5py.

A file is data: nothing that it names is imported, built or called, and sizes are checked before memory is allocated.
"""

from __future__ import annotations

import os
import typing

from ..._util.ordinary_files import open_ordinary
from ...errors import FileFormatError, SnnConvError
from ...model import limits
from ..hdf5 import HDF5File, UnreadableFile

MAX_TEXT = 2**16  # bytes of a text
MAX_EDGES = 2**24  # bytes of the names in all edges
MAX_DEPTH = 16  # of nested graphs


def read_dict(path: str | os.PathLike) -> dict[str, typing.Any]:
    """Return the graph in a NIR file as a dict.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If it is damaged, is not a NIR file, or declares more data than it holds.
    """
    with open_ordinary(path) as file:
        if file.read(4) != b"\x89HDF":
            raise FileFormatError(f"{path} is not a NIR file: it is not HDF5")
        try:
            root = HDF5File(file, writer="NIR").root
            node = root.get("node")
            if node is None:
                raise FileFormatError(f"{path} is an HDF5 file, but not one of NIR: it has no group 'node'")
            return _group(node, [limits.LAYERS], 0)
        except (SnnConvError, MemoryError):
            raise
        except Exception as error:  # a damaged file can fail anywhere
            raise damaged_file_error(path, error) from error


def _group(group, groups_left, depth):
    """Return a group as a dict; ``groups_left`` holds the number of groups that may still be read."""
    groups_left[0] -= 1
    if groups_left[0] < 0 or depth > 2 * MAX_DEPTH:
        raise UnreadableFile(f"it has more than {limits.LAYERS:,} nodes, or nests them more than {MAX_DEPTH} deep")
    values = {}
    for name in group.children():
        child = group.child(name)
        if not child.is_dataset():
            values[name] = _group(child, groups_left, depth + 1)
        elif child.holds_text():
            values[name] = child.text(MAX_EDGES if name == "edges" else MAX_TEXT)
        else:
            array = child.array()
            values[name] = array if array.ndim else array[()]
    return values


def damaged_file_error(path, error):
    """Return the FileFormatError for an exception that was raised while a file was read."""
    text = (str(error).strip().splitlines() or [""])[0][:200]
    if not isinstance(error, UnreadableFile):
        text = f"{type(error).__name__}: {text}"
    return FileFormatError(
        f"{path} is damaged, was cut short, or was not written by NIR ({text}): copy or write it again, or read it "
        "with nir.read if you trust it, and pass the graph to from_nir"
    )
