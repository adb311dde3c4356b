"""HDF5 files, read without the HDF5 library, which trusts what a file says.

``file`` reads groups and arrays, ``data`` their data types, shapes and compressed bytes.
"""

from .data import UnreadableFile
from .file import FREE_EXPANSION, MAX_EXPANSION, HDF5File

__all__ = ["FREE_EXPANSION", "MAX_EXPANSION", "HDF5File", "UnreadableFile"]
