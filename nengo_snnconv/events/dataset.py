"""Data sets of recordings by name, from a local folder."""

from __future__ import annotations

import dataclasses
import os
import pathlib

from .._util.validation import check_progress
from ..data.datasets import ENVIRONMENT_VARIABLE, check_parts, first_items
from ..errors import DatasetError
from .folders import read_recordings
from .recordings import Recordings

# name -> (folder, sensor, class names, publisher)
_SOURCES = {
    "n-mnist": (
        "N-MNIST",
        (34, 34),
        tuple("0123456789"),
        "https://www.garrickorchard.com/datasets/n-mnist or https://data.mendeley.com/datasets/468j46mzdv",
    )
}


@dataclasses.dataclass(frozen=True, eq=False)
class EventDataset:
    """Recordings with their classes.

    Attributes
    ----------
    name : str
    train, test : Recordings
        Recordings for training and testing.  ``numbers`` holds the images of the original data set that they show.
    class_names : tuple of str
    """

    name: str
    train: Recordings
    test: Recordings
    class_names: tuple[str, ...]

    def __repr__(self):
        height, width = self.train.sensor
        return f"<EventDataset {self.name}: {len(self.train):,} + {len(self.test):,} recordings, {height}x{width}>"


def load_events(
    name: str = "n-mnist", *, train: int | None = None, test: int | None = None, progress: bool | None = None
) -> EventDataset:
    """Load a data set of recordings by name.

    N-MNIST is read from N-MNIST/Train and N-MNIST/Test in the folder in the environment variable NENGO_SNNCONV_DATA;
    recordings may be missing, see :func:`read_recordings`.  Recording i shows image ``numbers[i]`` of MNIST.

    Parameters
    ----------
    name : "n-mnist"
    train, test : int, optional
        Number of recordings to keep; all by default.
    progress : bool, optional
        Show a progress bar; by default on a terminal or in a notebook.

    Returns
    -------
    EventDataset

    Raises
    ------
    DatasetError
        If the name is unknown, or a file is missing or damaged; the message says where to get it.
    SettingsError
        If ``train``, ``test`` or ``progress`` is invalid.

    Examples
    --------
    >>> data = snc.load_events("n-mnist", train=1000)

    References
    ----------
    Orchard et al. (2015), Converting static image datasets to spiking neuromorphic datasets using saccades,
    doi:10.3389/fnins.2015.00437.
    """
    if not isinstance(name, str) or name not in _SOURCES:
        raise DatasetError(f"there is no data set of recordings {name!r}; there are {', '.join(_SOURCES)}")
    check_parts(train=train, test=test)
    check_progress(progress)
    folder, sensor, class_names, origin = _SOURCES[name]
    folders = [_data_folder(name, folder, part, origin) for part in ("Train", "Test")]
    train_set, test_set = (read_recordings(folder, sensor, progress=progress) for folder in folders)
    return EventDataset(
        name,
        first_items(train_set, train, "train", "recordings"),
        first_items(test_set, test, "test", "recordings"),
        class_names,
    )


def _data_folder(name, folder, part, origin):
    data = os.environ.get(ENVIRONMENT_VARIABLE)
    path = pathlib.Path(data or "FOLDER").expanduser() / folder / part
    if not data or not path.is_dir():
        problem = f"{path} is missing" if data else f"the environment variable {ENVIRONMENT_VARIABLE} is not set"
        raise DatasetError(
            f"data set {name!r}: {problem}; get {part}.zip from {origin}, unpack it into FOLDER/{folder} and set "
            f"{ENVIRONMENT_VARIABLE}=FOLDER; or simulate recordings of any images with simulate_recordings"
        )
    return path
