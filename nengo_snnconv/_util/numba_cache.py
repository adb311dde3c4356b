"""Disk cache of compiled functions: like ``numba.njit(cache=True)``, but robust against damaged files.

Numba keeps an index and a file for each signature; if one of them is empty or damaged, every process fails with an
obscure error.  Here each signature has one file with a checksum, and a damaged file is replaced.
"""

import contextlib
import os
import pickle
import re

import numba
from numba.core.caching import FunctionCache
from numba.core.serialize import dumps

from .atomic import atomic_write
from .digests import blake2b
from .user_warnings import warn_user

_DIGEST_BYTES = 32


def kept_njit(function=None, *, signatures=(), version=None, **options):
    """Compile a function with ``numba.njit(**options)`` and keep the machine code on disk for later processes.

    It is kept in Numba's cache folder: ``__pycache__`` beside the module, the user's cache, or NUMBA_CACHE_DIR.  If
    none of them is writable, a warning is issued and each process compiles the function.  Its name must differ from
    those of all other kept functions of the module, because code that several processes have compiled is told apart by
    names.

    Parameters
    ----------
    function : callable, optional
        If omitted, a decorator is returned.
    signatures : sequence of tuples of Numba types
        The only signatures to compile, at once; by default each signature is compiled when it is first called.
    version : object, optional
        Version of all code on which the function depends, for a function that calls others; machine code of another
        version is replaced.  By default, it depends on the function alone.
    options : dict
        Options of ``numba.njit``.
    """
    if function is None:
        return lambda function: kept_njit(function, signatures=signatures, version=version, **options)
    compiled = numba.njit(**options)(function)
    try:
        compiled._cache = _Cache(function, version)
    except RuntimeError:  # Numba found no writable folder
        _warn("no folder is writable")
    for signature in signatures:
        compiled.compile(signature)
    if signatures:
        compiled.disable_compile()
    return compiled


def is_kept(compiled, signature):
    """Return whether the machine code of a function of :func:`kept_njit` is on disk, for a signature.

    None if it cannot be kept.
    """
    if not isinstance(compiled._cache, _Cache):
        return None
    return compiled._cache.read(signature, compiled.targetctx.codegen()) is not None


def _warn(reason):
    """Warn; the text is the same for all functions, so that Python shows it once."""
    warn_user(
        f"compiled code cannot be kept on disk ({reason}), so each process compiles it again, which takes several "
        "seconds: make room, or set the environment variable NUMBA_CACHE_DIR to a writable folder",
    )


class _Cache(FunctionCache):
    """Cache that Numba's dispatcher loads machine code from and saves it to."""

    def __init__(self, function, version):
        super().__init__(function)
        # without the line of the function, so that the file is replaced when the function has moved
        self._base, self._version = re.sub(r"-\d+(\.py\d+\w*)\.nbi$", r"\1", self._cache_file._index_path), version

    def _index_key(self, sig, codegen):
        if self._version is None:
            return super()._index_key(sig, codegen)
        return sig, codegen.magic_tuple(), self._version

    def path(self, key):
        """Return the file for the machine code of a signature and a type of processor."""
        return f"{self._base}.{blake2b(repr(key[:2]).encode(), 8).hex()}.kernel"

    def read(self, sig, codegen):
        """Return what is on disk for a signature; None if there is nothing, or if it is of another version."""
        key = self._index_key(sig, codegen)
        try:
            with open(self.path(key), "rb") as file:
                content = file.read()
            if _digest(content[_DIGEST_BYTES:]) != content[:_DIGEST_BYTES]:
                return None
            version, stamp, kept_key, data = pickle.loads(content[_DIGEST_BYTES:])
        except Exception:  # unpickling damaged code raises any error; the function is compiled again
            return None
        return data if (version, stamp, kept_key) == (numba.__version__, self._cache_file._source_stamp, key) else None

    def load_overload(self, sig, target_context):
        target_context.refresh()
        data = self.read(sig, target_context.codegen())
        if data is None:
            return None
        try:
            return self._impl.rebuild(target_context, data)
        except Exception:  # as when unpickling
            return None

    def save_overload(self, sig, data):
        if not self._impl.check_cachable(data):
            return
        key = self._index_key(sig, data.codegen)
        content = dumps((numba.__version__, self._cache_file._source_stamp, key, self._impl.reduce(data)))
        path = self.path(key)
        try:
            with atomic_write(path) as file:
                file.write(_digest(content) + content)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(path)  # the file there was unusable
            _warn(error.strerror or error)

    def flush(self):
        pass


def _digest(content):
    return blake2b(content, _DIGEST_BYTES)
