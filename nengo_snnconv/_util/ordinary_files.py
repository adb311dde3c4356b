"""Reading of ordinary files only: no folders, and no pipes or devices, which may never end."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from typing import BinaryIO

from ..errors import FileFormatError


@contextlib.contextmanager
def open_ordinary(path: str | os.PathLike, error: type[Exception] = FileFormatError) -> Iterator[BinaryIO]:
    """Open an ordinary file to read its bytes.

    Parameters
    ----------
    path : str or path
    error : class
        Exception to raise for anything but an ordinary file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    error
        If it is a folder, a pipe or a device.  It is raised before opening, since opening a pipe waits for a writer.
    OSError
        If it cannot be read; the message names the file.
    """
    try:
        _check(path, os.stat(path), error)
        # the file may have been replaced meanwhile: open it without waiting, and check it again
        flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
        handle = os.open(path, flags)
    except FileNotFoundError as missing:
        raise FileNotFoundError(f"there is no file {path}") from missing
    except ValueError as impossible:  # the path holds a null character
        if isinstance(impossible, error):
            raise
        raise FileNotFoundError(f"there is no file {str(path)!r}") from impossible
    with os.fdopen(handle, "rb") as file:
        _check(path, os.fstat(handle), error)
        try:
            yield file
        except OSError as failed:
            if failed.filename is not None or failed.errno is None:
                raise
            raise OSError(failed.errno, failed.strerror, str(path)) from failed


def _check(path, status, error):
    """Raise ``error`` unless the ``os.stat`` of a path is that of an ordinary file."""
    if stat.S_ISDIR(status.st_mode):
        raise error(f"{path} is a folder: name a file in it")
    if not stat.S_ISREG(status.st_mode):
        raise error(f"{path} is a device or a pipe: copy its contents to an ordinary file first")
