"""Cache of the events of folders, memory-mapped from the user's cache directory.

An entry has two files: the events, with a slot for each recording, and an index with a pair for each recording: its
number of events and the checksum of its slot.  The last pair is 0 and the checksum of the index.  If a checksum is
wrong, all recordings are read again.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
from collections.abc import Callable, Iterator

import numpy as np

from .._util.atomic import atomic_write
from .._util.digests import blake2b, crc32
from .._util.user_warnings import warn_user
from .event import EVENT

# threads that compute checksums, and number of slots that a thread takes at a time
_THREADS, _CHUNK = 4, 500


def cached(
    folder: os.PathLike, key: list, slots: np.ndarray, read: Callable[[], Iterator[np.ndarray]]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the events of all files of a folder, from the cache if possible.

    Parameters
    ----------
    folder : path
        Folder of the files.  Its outdated entries are removed from the cache.
    key : list
        All that determines the events; its ``repr`` identifies the entry.
    slots : ndarray of int, (files,)
        Largest possible number of events of each file.
    read : callable
        Function that yields the events of each file.

    Returns
    -------
    events : structured ndarray of EVENT, (sum of slots,)
        Events of all files, each at the beginning of its slot; read-only if they are mapped from the cache.
    lengths : ndarray of int64, (files,)
        Number of events of each file.
    """
    import pooch

    cache = pooch.os_cache("nengo_snnconv") / "events"
    prefix = _digest(folder)
    entry = f"{prefix}-{_digest(['checksums', EVENT, key])}"
    paths = cache / f"{entry}-events.npy", cache / f"{entry}-index.npy"
    stored = _open(*paths, slots)
    if stored is None and _store(*paths, slots, read):
        stored = _open(*paths, slots)
        for old in set(cache.glob(f"{prefix}-*")) - set(paths):
            with contextlib.suppress(OSError):
                old.unlink()
    return stored or _in_memory(slots, read)


def _digest(value):
    return blake2b(repr(value).encode("utf-8", "surrogateescape"), 16).hex()


def _open(events_path, index_path, slots):
    """Return the stored events and lengths, or None if they are missing or damaged."""
    try:
        events = np.asarray(np.load(events_path, mmap_mode="r", allow_pickle=False))
        index = np.load(index_path, allow_pickle=False)
    except Exception:  # damage makes NumPy's header parser raise any error
        return None
    fits = (events.shape, events.dtype) == ((slots.sum(),), EVENT)
    fits = fits and (index.shape, index.dtype) == ((len(slots) + 1, 2), np.int64)
    if not (fits and index[-1].tolist() == [0, crc32(index[:-1])]):
        return None
    lengths, checksums = np.ascontiguousarray(index[:-1, 0]), index[:-1, 1]
    if np.any((lengths < 0) | (lengths > slots)) or not np.array_equal(_checksums(events, slots), checksums):
        return None
    return events, lengths


def _checksums(events, slots):
    """Return the CRC-32 of each slot, (files,)."""
    stops = np.cumsum(slots) * EVENT.itemsize
    starts = stops - slots * EVENT.itemsize
    contents = memoryview(events.view(np.uint8)) if len(events) else b""

    def of_chunk(first):
        chunk = slice(first, first + _CHUNK)
        return [crc32(contents[i:j]) for i, j in zip(starts[chunk], stops[chunk], strict=True)]

    with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
        chunks = pool.map(of_chunk, range(0, len(slots), _CHUNK))
        return np.array([checksum for chunk in chunks for checksum in chunk], np.int64)


def _store(events_path, index_path, slots, read):
    """Store the events slot by slot and then the index; return False if they cannot be written."""
    index = []
    try:
        with atomic_write(events_path) as file:
            header = {
                "descr": np.lib.format.dtype_to_descr(EVENT),
                "fortran_order": False,
                "shape": (int(slots.sum()),),
            }
            np.lib.format.write_array_header_1_0(file, header)
            for events, slot in zip(read(), slots, strict=True):
                content = events.tobytes() + bytes((slot - len(events)) * EVENT.itemsize)
                file.write(content)
                index.append((len(events), crc32(content)))
        index = np.array(index, np.int64).reshape(-1, 2)
        with atomic_write(index_path) as file:
            np.save(file, np.concatenate([index, [[0, crc32(index)]]]))
    except OSError as error:
        with contextlib.suppress(OSError):
            events_path.unlink()
        warn_user(
            f"events cannot be kept in the cache ({error}), so reading will take as long next time: make room, or set "
            "the environment variable XDG_CACHE_HOME to another folder",
        )
        return False
    return True


def _in_memory(slots, read):
    """Return the events and lengths that :func:`cached` returns, read into memory."""
    events, lengths = np.zeros(slots.sum(), EVENT), np.zeros(len(slots), np.int64)
    starts = np.cumsum(slots) - slots
    for i, recording in enumerate(read()):
        lengths[i] = len(recording)
        events[starts[i] : starts[i] + lengths[i]] = recording
    return events, lengths
