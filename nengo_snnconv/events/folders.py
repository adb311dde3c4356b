"""Folders of recordings in the layout of N-MNIST or N-Caltech101: FOLDER/CLASS/NUMBER.bin.

The classes of N-MNIST are numbers from 0, and its files numbers from 1; those of N-Caltech101 are names, and its files
are called image_NUMBER.bin.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import os
import pathlib
import stat

import numpy as np

from .._util.ordinary_files import open_ordinary
from .._util.progress import progress_bar
from .._util.user_warnings import warn_user
from .._util.validation import check_paths, check_progress
from ..errors import DatasetError, SettingsError
from . import cache
from .event import checked_sensor
from .files import EVENT_BYTES, decode, write_events
from .recordings import Recordings, check_recordings

# Threads read chunks of files ahead; decoding in these threads, too, took three times as long as in one thread.
_THREADS, _CHUNK, _AHEAD = 4, 50, 1000
# most digits of the number of a class or a recording, which must fit into 64 bits
_DIGITS = 18


@dataclasses.dataclass(frozen=True, order=True)
class _File:
    """File of a recording, sorted by number, with attributes that change when it is replaced."""

    number: int
    label: int
    path: str
    size: int
    modified_ns: int


def read_recordings(
    folder: str | os.PathLike, sensor: tuple[int, int] = (34, 34), *, progress: bool | None = None
) -> Recordings:
    """Read a folder of recordings in the layout of N-MNIST or N-Caltech101.

    Recording FOLDER/3/00042.bin shows image 41, counted from 0, of class 3.  Classes may also have names, as in
    FOLDER/airplanes/image_0042.bin; they get numbers in alphabetical order, and the result has the names as
    ``class_names``.  Numbers may be missing.  The events are
    kept in the user's cache (nengo_snnconv/events, 8 bytes per event) and memory-mapped, so they need not fit into
    memory.  They are read again if a file has changed.

    Parameters
    ----------
    folder : str or path
    sensor : tuple of int
        Height and width in pixels: (34, 34) for N-MNIST, (180, 240) for N-Caltech101.
    progress : bool, optional
        Show a progress bar; by default on a terminal or in a notebook.

    Returns
    -------
    Recordings
        Recordings, ordered by number.

    Raises
    ------
    DatasetError
        If there are no recordings, a name has no number, or a file is damaged.

    Examples
    --------
    >>> recordings = snc.read_recordings("Caltech101", sensor=(180, 240))
    >>> recordings.class_names[recordings.labels[0]]
    'BACKGROUND_Google'
    """
    check_paths(folder=folder)
    check_progress(progress)
    sensor = checked_sensor(sensor)
    folder = pathlib.Path(folder).expanduser().resolve()
    files, class_names = _list(folder)
    slots = np.array([file.size // EVENT_BYTES for file in files])
    starts = np.cumsum(slots) - slots

    def read():
        return _read(files, sensor, progress)

    key = [("sensor", *sensor), *map(dataclasses.astuple, files)]
    events, lengths = cache.cached(folder, key, slots, read)
    if not np.all(lengths):
        warn_user(
            f"{np.sum(lengths == 0)} of {len(files)} recordings have no events, the first is "
            f"{files[np.argmin(lengths)].path}: get them again if they should have some",
        )
    labels = np.array([file.label for file in files], np.int64)
    numbers = np.array([file.number - 1 for file in files], np.int64)
    # decode has checked the order of the events
    return Recordings.in_order(events, starts, starts + lengths, labels, sensor, numbers, class_names)


def _list(folder):
    """Return the files of a folder, ordered by number, and the names of the classes, () if they are numbers."""
    if not folder.is_dir():
        raise DatasetError(f"{folder} is not a folder: name one with recordings in the layout FOLDER/CLASS/NUMBER.bin")
    folders = sorted((entry for entry in _visible(folder) if entry.is_dir()), key=lambda entry: entry.name)
    has_names = not any(entry.name.isdigit() for entry in folders)
    rule = "a recording is NUMBER.bin or NAME_NUMBER.bin, from 1" if has_names else "a recording is NUMBER.bin, from 1"
    files = []
    for place, inner in enumerate(folders):
        label = place if has_names else _number(inner, inner.name, "a class is a number from 0", 0)
        for entry in _visible(inner):
            stem, extension = os.path.splitext(entry.name)
            if extension == ".bin":
                status = entry.stat()
                if not stat.S_ISREG(status.st_mode):
                    raise DatasetError(f"{entry.path} is not an ordinary file: rename or remove it")
                number = _number(entry, stem.rpartition("_")[2] if has_names else stem, rule, 1)
                files.append(_File(number, label, entry.path, status.st_size, status.st_mtime_ns))
    if not files:
        raise DatasetError(
            f"{folder} has no recordings in the layout FOLDER/CLASS/NUMBER.bin: name the folder above the classes"
        )
    return sorted(files), tuple(entry.name for entry in folders) if has_names else ()


def _visible(folder):
    """Return the entries of a folder without those that operating systems add."""
    with os.scandir(folder) as entries:
        return [entry for entry in entries if not entry.name.startswith((".", "__MACOSX"))]


def _number(entry, text, rule, smallest):
    """Return the number in the name of a file or folder."""
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS and int(text) >= smallest):
        raise DatasetError(
            f"{entry.path} does not fit the layout FOLDER/CLASS/NUMBER.bin ({rule}): rename or remove it, or read "
            "files in another layout with Recordings.of([read_events(path) for path in paths], labels, sensor)"
        )
    return int(text)


def _read(files, sensor, progress):
    """Yield the events of each file."""
    with (
        concurrent.futures.ThreadPoolExecutor(_THREADS) as pool,
        progress_bar(len(files), "reading events", "file", progress) as bar,
    ):
        for first in range(0, len(files), _AHEAD):
            ahead = files[first : first + _AHEAD]
            chunks = [ahead[k : k + _CHUNK] for k in range(0, len(ahead), _CHUNK)]
            for chunk, contents in zip(chunks, pool.map(_contents, chunks), strict=True):
                for file, data in zip(chunk, contents, strict=True):
                    if len(data) != file.size:
                        raise DatasetError(f"{file.path} changed while it was read: read the folder again")
                    yield decode(data, file.path, sensor)
                bar.update(len(chunk))


def _contents(files):
    return [_content(file) for file in files]


def _content(file):
    with open_ordinary(file.path, DatasetError) as opened:
        return opened.read()


def write_recordings(folder: str | os.PathLike, recordings: Recordings, *, progress: bool | None = None) -> None:
    """Write recordings to a folder in the layout of N-MNIST, for :func:`read_recordings` and other tools.

    Parameters
    ----------
    folder : str or path
        New or empty folder.
    recordings : Recordings
    progress : bool, optional
        Show a progress bar; by default on a terminal or in a notebook.

    Raises
    ------
    DatasetError
        If the folder is not empty, or the format cannot hold the events.
    SettingsError
        If two recordings of a class have the same number, or labels or numbers are negative.
    """
    check_paths(folder=folder)
    check_progress(progress)
    check_recordings(recordings)
    folder = pathlib.Path(folder)
    if folder.exists() and any(folder.iterdir()):
        raise DatasetError(
            f"{folder} is not empty: name a new folder, since the files in it would be read as recordings"
        )
    keys = np.stack([recordings.labels, recordings.numbers], axis=1)
    if len(np.unique(keys, axis=0)) < len(keys) or np.any(keys < 0):
        raise SettingsError(
            "labels and numbers name the files: they must not be negative, and numbers must be unique within a class; "
            "Recordings.of(recordings, labels, sensor) assigns new numbers",
            argument="recordings",
        )
    with progress_bar(len(recordings), "writing events", "file", progress) as bar:
        for i, (label, number) in enumerate(keys):
            write_events(folder / str(label) / f"{number + 1:05d}.bin", recordings[i])
            bar.update()
