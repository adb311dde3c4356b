"""The events of a folder in the user's cache, mapped from there when they are needed again.

An entry is two files: the events, in a slot for each recording, and an index of pairs: number of events of a recording,
checksum of its slot.  The last pair is 0 and the checksum of those before.  Where a checksum is wrong, as when a disk
has lost a bit, all recordings are read again.
"""

import concurrent.futures
import contextlib
import warnings

import numpy as np

from .._util.atomic import atomic_write
from .._util.digests import blake2b, crc32
from ..errors import SnnConvWarning
from .event import EVENT

# Threads that compute checksums, and slots that each of them takes at a time
_CHECKERS, _CHUNK = 4, 500


def cached(folder, key, slots, read):
    """The events of all files of a folder, from the cache if they are there whole; the events' values are not checked.

    Parameters
    ----------
    folder : path
        Whose earlier entries in the cache are removed.
    key : list
        Whatever the events depend on: its ``repr`` names the entry.
    slots : ndarray of int, (files,)
        How many events each file has at most.
    read : callable
        ``read()`` yields the events of each file.

    Returns
    -------
    events : structured ndarray of EVENT, (sum of slots,)
        Cannot be written if it is mapped from the cache.
    lengths : ndarray of int64, (files,)
        How many events each file has, from the beginning of its slot on.
    """
    import pooch

    place = pooch.os_cache("nengo_snnconv") / "events"
    of_folder = _digest(folder)
    entry = f"{of_folder}-{_digest(['checksums', EVENT, key])}"
    paths = place / f"{entry}-events.npy", place / f"{entry}-index.npy"
    found = _open(*paths, slots)
    if found is None and _store(*paths, slots, read):
        found = _open(*paths, slots)
        for old in set(place.glob(f"{of_folder}-*")) - set(paths):
            with contextlib.suppress(OSError):
                old.unlink()
    return found or _in_memory(slots, read)


def _digest(value):
    return blake2b(repr(value).encode("utf-8", "surrogateescape"), 16).hex()


def _open(events_path, index_path, slots):
    """What is stored, or None if nothing is or it is damaged."""
    try:
        events = np.asarray(np.load(events_path, mmap_mode="r", allow_pickle=False))
        index = np.load(index_path, allow_pickle=False)
    except Exception:  # damage makes NumPy's parser of headers raise whatever it meets
        return None
    whole = (events.shape, events.dtype) == ((slots.sum(),), EVENT)
    whole = whole and (index.shape, index.dtype) == ((len(slots) + 1, 2), np.int64)
    if not (whole and index[-1].tolist() == [0, crc32(index[:-1])]):
        return None
    lengths, checksums = np.ascontiguousarray(index[:-1, 0]), index[:-1, 1]
    if np.any((lengths < 0) | (lengths > slots)) or not np.array_equal(_checksums(events, slots), checksums):
        return None
    return events, lengths


def _checksums(events, slots):
    """The CRC-32 of each slot, (files,)."""
    stops = np.cumsum(slots) * EVENT.itemsize
    starts = stops - slots * EVENT.itemsize
    contents = memoryview(events.view(np.uint8)) if len(events) else b""

    def of_chunk(first):
        chunk = slice(first, first + _CHUNK)
        return [crc32(contents[i:j]) for i, j in zip(starts[chunk], stops[chunk], strict=True)]

    with concurrent.futures.ThreadPoolExecutor(_CHECKERS) as pool:
        found = pool.map(of_chunk, range(0, len(slots), _CHUNK))
        return np.array([checksum for chunk in found for checksum in chunk], np.int64)


def _store(events_path, index_path, slots, read):
    """Store the events, slot by slot, then the index, which makes the entry complete; whether it could be done."""
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
        warnings.warn(
            f"events cannot be kept in the cache ({error}), so that reading takes as long the next time; make room, or "
            "name another place with the environment variable XDG_CACHE_HOME",
            SnnConvWarning,
            stacklevel=4,
        )
        return False
    return True


def _in_memory(slots, read):
    events, lengths = np.zeros(slots.sum(), EVENT), np.zeros(len(slots), np.int64)
    starts = np.cumsum(slots) - slots
    for i, recording in enumerate(read()):
        lengths[i] = len(recording)
        events[starts[i] : starts[i] + lengths[i]] = recording
    return events, lengths
