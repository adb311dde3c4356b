"""Reading ordinary files only: no folders, and no pipes or devices, which may never end."""

import contextlib
import os
import stat

from ..errors import FileFormatError


@contextlib.contextmanager
def open_ordinary(path, error=FileFormatError):
    """Open an ordinary file to read its bytes.

    Parameters
    ----------
    path : str or path
    error : class
        What to raise if it is something else than an ordinary file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    error
        If it is a folder, a pipe or a device; at once, for opening a pipe waits for a writer.
    OSError
        If it cannot be read; names the file.
    """
    try:
        _check(path, os.stat(path), error)
        # what may have become of it meanwhile is opened without waiting, and looked at again
        flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
        handle = os.open(path, flags)
    except FileNotFoundError as missing:
        raise FileNotFoundError(f"there is no file {path}") from missing
    except ValueError as impossible:  # a null character
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
    if stat.S_ISDIR(status.st_mode):
        raise error(f"{path} is a folder: name a file in it")
    if not stat.S_ISREG(status.st_mode):
        raise error(f"{path} is a device or a pipe: copy what it gives to an ordinary file first")
