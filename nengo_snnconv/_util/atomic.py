"""Files that appear whole or not at all."""

import contextlib
import errno
import os
import pathlib
import secrets
import stat

# what to do about the errors of a system that a user can mend
_ADVICE = {
    errno.ENOSPC: "make room there, or name a file on another disk",
    errno.EDQUOT: "remove files of yours there, or name a file on another disk",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f), or name a file on another disk",
    errno.EACCES: "name a file in a folder in which you may write",
    errno.EPERM: "name a file in a folder in which you may write",
    errno.EROFS: "name a file in a folder in which you may write",
    errno.ENAMETOOLONG: "choose a shorter name",
}


@contextlib.contextmanager
def atomic_write(path, mode="wb"):
    """Open a temporary file beside ``path`` that replaces it when the block ends without an error.

    A file that is replaced keeps its permissions, and its owner and group where the system allows that.  A new file
    gets those that any new file gets.

    Parameters
    ----------
    path : str or path
        If it is a link, the file to which it leads is replaced.  Folders that are missing are made.
    mode : "wb" or "w"
        Text is encoded as UTF-8.

    Raises
    ------
    OSError
        If the file cannot be written; its ``filename`` is the file's, and it says what to do.
    """
    path = pathlib.Path(path)
    with naming_errors(path):
        path = _resolved(path)
        if path.exists() and not path.is_file():
            raise OSError(f"{path} is no ordinary file: name one that can be replaced")
    temporary = path.with_name(f".{path.name[:40]}.{secrets.token_hex(8)}")
    with naming_errors(path, temporary):
        path.parent.mkdir(parents=True, exist_ok=True)
        old = path.stat() if path.exists() else None
        # until it replaces another file, nobody but its owner reads it
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
        handle = os.open(temporary, flags, 0o666 if old is None else 0o600)
        try:
            with os.fdopen(handle, mode, **({} if "b" in mode else {"encoding": "utf-8"})) as file:
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


def _resolved(path):
    """Return the file that a link names, not the link."""
    try:
        return path.resolve()
    except RuntimeError as error:  # of Python before 3.13, where links name each other
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path)) from error


@contextlib.contextmanager
def naming_errors(path, temporary=None):
    """Name ``path`` in errors of the system that name no file or the temporary one, and say what to do."""
    try:
        yield
    except OSError as error:
        own = error.filename is None or error.filename in (str(temporary), temporary)
        if error.errno is None or not (own or error.errno in _ADVICE):
            raise
        reason = error.strerror or os.strerror(error.errno)
        advice = f" ({_ADVICE[error.errno]})" if error.errno in _ADVICE else ""
        if advice and reason.endswith(advice):
            raise  # of a file that is written inside of the block
        # the class follows from the number
        raise OSError(error.errno, reason + advice, str(path if own else error.filename)) from error


def _keep_permissions(temporary, old):
    """Give a file the owner, group and permissions of ``old``, the status of another."""
    mode = stat.S_IMODE(old.st_mode) & 0o777
    if hasattr(os, "chown"):
        new = os.stat(temporary)
        if new.st_gid != old.st_gid:
            try:
                os.chown(temporary, -1, old.st_gid)
            except OSError:
                # the rights of the old group are not those of the new one
                mode &= ~0o070 | (mode & 0o007) << 3
        if new.st_uid != old.st_uid:
            with contextlib.suppress(OSError):
                os.chown(temporary, old.st_uid, -1)
    os.chmod(temporary, mode)
