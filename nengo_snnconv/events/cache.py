"""The events of a folder in the user's cache, mapped from there when they are needed again."""

import contextlib
import hashlib
import warnings

import numpy as np

from ..atomic import atomic_write
from .event import EVENT


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
    entry = f"{of_folder}-{_digest([EVENT, key])}"
    paths = place / f"{entry}-events.npy", place / f"{entry}-lengths.npy"
    found = _open(*paths, slots)
    if found is None and _store(*paths, slots, read):
        found = _open(*paths, slots)
        for old in set(place.glob(f"{of_folder}-*")) - set(paths):
            with contextlib.suppress(OSError):
                old.unlink()
    return found or _in_memory(slots, read)


def _digest(value):
    return hashlib.blake2b(repr(value).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def _open(events_path, lengths_path, slots):
    """What is stored, or None if nothing is or it is damaged."""
    try:
        events = np.asarray(np.load(events_path, mmap_mode="r", allow_pickle=False))
        lengths = np.load(lengths_path, allow_pickle=False)
    except Exception:  # damage makes NumPy's parser of headers raise whatever it meets
        return None
    whole = (events.shape, events.dtype) == ((slots.sum(),), EVENT)
    whole = whole and (lengths.shape, lengths.dtype) == (slots.shape, np.int64)
    return (events, lengths) if whole and np.all((lengths >= 0) & (lengths <= slots)) else None


def _store(events_path, lengths_path, slots, read):
    """Store the events, slot by slot, then the lengths, which make the entry complete; whether it could be done."""
    lengths = []
    try:
        with atomic_write(events_path) as file:
            header = {
                "descr": np.lib.format.dtype_to_descr(EVENT),
                "fortran_order": False,
                "shape": (int(slots.sum()),),
            }
            np.lib.format.write_array_header_1_0(file, header)
            for events, slot in zip(read(), slots, strict=True):
                file.write(events.tobytes())
                file.write(bytes((slot - len(events)) * EVENT.itemsize))
                lengths.append(len(events))
        with atomic_write(lengths_path) as file:
            np.save(file, np.array(lengths, np.int64))
    except OSError as error:
        with contextlib.suppress(OSError):
            events_path.unlink()
        warnings.warn(
            f"events cannot be kept in the cache ({error}), so that reading takes as long the next time; make room, or "
            "name another place with the environment variable XDG_CACHE_HOME",
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
