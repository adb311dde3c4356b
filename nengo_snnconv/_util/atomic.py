"""Atomic writing: a file is written completely or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
import secrets
import stat
from collections.abc import Iterator
from typing import IO, Any

# advice for the system errors that a user can fix
_ADVICE = {
    errno.ENOSPC: "make room there, or name a file on another disk",
    errno.EDQUOT: "remove some of your files there, or name a file on another disk",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f), or name a file on another disk",
    errno.EACCES: "name a file in a folder in which you may write",
    errno.EPERM: "name a file in a folder in which you may write",
    errno.EROFS: "name a file in a folder in which you may write",
    errno.ENAMETOOLONG: "choose a shorter name",
}


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike, mode: str = "wb") -> Iterator[IO[Any]]:
    """Open a temporary file beside ``path`` that replaces it when the block ends without an error.

    A replaced file keeps its permissions and, if the system allows it, its owner and group.  A new file gets the
    default ones.

    Parameters
    ----------
    path : str or path
        File to write.  The target of a symbolic link is replaced, not the link.  Missing folders are created.
    mode : "wb" or "w"
        Text is encoded as UTF-8.

    Raises
    ------
    OSError
        If the file cannot be written.  ``filename`` is the given path, and the message says what to do.
    """
    with naming_errors(path):
        path = _resolved(pathlib.Path(path))
        if path.exists() and not path.is_file():
            raise OSError(f"{path} is not an ordinary file: name one that can be replaced")
    temporary = path.with_name(f".{path.name[:40]}.{secrets.token_hex(8)}")
    with naming_errors(path, temporary):
        path.parent.mkdir(parents=True, exist_ok=True)
        old = path.stat() if path.exists() else None
        # a file that replaces another is private until it has the permissions of the old one
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
        handle = os.open(temporary, flags, 0o666 if old is None else 0o600)
        try:
            with os.fdopen(handle, mode, encoding=None if "b" in mode else "utf-8") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if old is not None:
                _keep_permissions(temporary, old)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise


def _resolved(path: pathlib.Path) -> pathlib.Path:
    """Return the file that a link names, not the link."""
    loop = OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    try:
        resolved = path.resolve()
    except RuntimeError as error:  # Python before 3.13, where links name each other
        raise loop from error
    if resolved.is_symlink():  # Python 3.13 returns such a link
        raise loop
    return resolved


@contextlib.contextmanager
def naming_errors(path: str | os.PathLike, temporary: str | os.PathLike | None = None) -> Iterator[None]:
    """Add ``path`` and advice to system errors that name no file or the temporary one."""
    try:
        yield
    except OSError as error:
        own = error.filename is None or error.filename in (str(temporary), temporary)
        if error.errno is None or not (own or error.errno in _ADVICE):
            raise
        reason = error.strerror or os.strerror(error.errno)
        advice = f" ({_ADVICE[error.errno]})" if error.errno in _ADVICE else ""
        if advice and reason.endswith(advice):
            raise  # a nested call has added the advice already
        # OSError chooses the subclass by the number
        raise OSError(error.errno, reason + advice, str(path if own else error.filename)) from error


def _keep_permissions(temporary, old):
    """Copy owner, group and permissions to a file from ``old``, the ``os.stat`` of another file."""
    mode = stat.S_IMODE(old.st_mode) & 0o777
    if hasattr(os, "chown"):
        new = os.stat(temporary)
        if new.st_gid != old.st_gid:
            try:
                os.chown(temporary, -1, old.st_gid)
            except OSError:
                # the new group must not get the rights of the old one, only those of all users
                mode &= ~0o070 | (mode & 0o007) << 3
        if new.st_uid != old.st_uid:
            with contextlib.suppress(OSError):
                os.chown(temporary, old.st_uid, -1)
    os.chmod(temporary, mode)
