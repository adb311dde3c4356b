"""Image data sets by name, from the package, a local folder, or the publishers' servers."""

from __future__ import annotations

import dataclasses
import difflib
import gzip
import os
import pathlib
import tarfile
import zlib
from typing import Any

import numpy as np

from .._util.atomic import atomic_write
from .._util.digests import file_md5
from .._util.ordinary_files import open_ordinary
from .._util.validation import (
    check_optional_counts,
    check_paths,
    check_positive,
    invalid,
    is_whole,
    shown,
)
from ..errors import DatasetError, SettingsError
from .files import is_path, read_own

ENVIRONMENT_VARIABLE = "NENGO_SNNCONV_DATA"
DIGITS = pathlib.Path(__file__).with_name("digits.npz")


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Images with their classes.

    Attributes
    ----------
    name : str
    x_train, x_test : ndarray of float32, (images, height, width, channel)
        Training and test images.
    y_train, y_test : ndarray of int64, (images,), or None
        Class numbers; other targets, which a file of your own may hold, are float32.  None for images of your own
        without labels.
    class_names : tuple of str
        Names of the classes; empty if they are not known.
    pixel_range : tuple of float or None
        (0, 1) for pixels in this range; None for images of your own in another one.
    note : str
        Division into training and test images, if the source has none.
    """

    name: str
    x_train: np.ndarray
    y_train: Any
    x_test: np.ndarray
    y_test: Any
    class_names: tuple[str, ...]
    pixel_range: tuple[float, float] | None = (0.0, 1.0)
    note: str = ""

    def __repr__(self):
        shape = "x".join(map(str, self.x_train.shape[1:]))
        return f"<Dataset {self.name}: {len(self.x_train):,} + {len(self.x_test):,} images, {shape}>"


@dataclasses.dataclass(frozen=True)
class _Source:
    """Files of a data set: in subfolder ``folder`` of the user's data, or at ``url`` + file name."""

    folder: str
    url: str
    files: dict  # name -> md5
    class_names: tuple
    archive: tuple | None = None  # (name, md5) of an archive at ``url`` that holds the files


_IDX_FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
_NUMERALS = tuple("0123456789")
_SOURCES = {
    "mnist": _Source(
        "mnist",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        dict(
            zip(
                _IDX_FILES,
                (
                    "f68b3c2dcbeaaa9fbdd348bbdeb94873",
                    "d53e105ee54ea40749a09fcbcd1e9432",
                    "9fb629c4189551a2d022fa330f9573f3",
                    "ec29112dd5afa0611ce80d1b7f02629c",
                ),
                strict=True,
            )
        ),
        _NUMERALS,
    ),
    "fashion-mnist": _Source(
        "fashion-mnist",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        dict(
            zip(
                _IDX_FILES,
                (
                    "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
                    "25c81989df183df01b3e8a0aad5dffbe",
                    "bef4ecab320f06d8554ea6380940ec79",
                    "bb300cfdad3c16e7a12a480ee83cd310",
                ),
                strict=True,
            )
        ),
        ("T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
    "cifar-10": _Source(
        "cifar-10-batches-bin",
        "https://www.cs.toronto.edu/~kriz/",
        {
            "data_batch_1.bin": "5dd7e06a14cb22eb9f671a540d1b7c25",
            "data_batch_2.bin": "5ea93a67294ea407fff1d09f752e9692",
            "data_batch_3.bin": "942cd6a4bcdd0dd3c604fbe906cb4421",
            "data_batch_4.bin": "ae636b3ba5c66a11e91e8cb52e771fcb",
            "data_batch_5.bin": "53f37980c15c3d472c316c40844f3f0d",
            "test_batch.bin": "803d5f7f4d78ea53de84dbe85f74fb6d",
        },
        ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        ("cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530"),
    ),
}
DATASETS = ("digits", *_SOURCES)
OWN = "or an .npz file or a folder of pictures of your own"


def load_dataset(
    name: str | os.PathLike,
    *,
    train: int | None = None,
    test: int | None = None,
    shape: tuple[int, ...] | None = None,
    scale: float | None = None,
) -> Dataset:
    """Load a data set by name, or images of your own from a file or folder.

    ``digits``, an excerpt of MNIST (10,000 + 2,000 images, balanced), is part of the package.  The others are read from
    the folder in the environment variable NENGO_SNNCONV_DATA, or downloaded once into the user's cache.  Each file is
    checked against its publisher's MD5.

    An .npz file holds the arrays x_train, y_train, x_test and y_test; or x and y, of which every fifth image becomes a
    test image; or x_test and y_test, for no training images.  Labels are class numbers, one-hot, or names; a file
    without them has images without labels.  A folder holds pictures, FOLDER/CLASS/PICTURE.png, with the classes in
    alphabetical order as in Keras and torchvision; or FOLDER/train/CLASS and FOLDER/test/CLASS.  Each class is spread
    evenly over the images, so that the first ones have nearly the shares of classes that all have.  Pictures without
    subfolders for classes have no labels.

    Parameters
    ----------
    name : "digits", "mnist", "fashion-mnist" or "cifar-10", or path
        A path has the suffix .npz or names a folder; "./digits" is a folder in the current one.
    train, test : int, optional
        Number of training and test images to keep, or for images of your own the largest number; all by default.
    shape : tuple of int, optional
        Shape of an image, (height, width, channels), for images of your own.  Pictures are resized to it, and become
        gray or colored; arrays get the axis of channels, or have it moved to the end, if this gives the shape.
    scale : float, optional
        Number by which the pixels of your own images are divided.  By default, integers are divided by 255, and floats
        are left as they are.

    Returns
    -------
    Dataset

    Raises
    ------
    DatasetError
        If the name is unknown, or a file is missing, truncated or not the published one; the message says where to get
        it.
    SettingsError
        If an argument is invalid, or the images do not fit into memory.

    Examples
    --------
    >>> data = snc.load_dataset("digits", train=1000)
    >>> data.x_train.shape
    (1000, 28, 28, 1)
    >>> data = snc.load_dataset("pictures", shape=(64, 64, 1))  # pictures/cat/1.jpg, pictures/dog/1.jpg ...
    """
    check_parts(train=train, test=test)
    if scale is not None:
        check_positive(scale=scale)
    if shape is not None and not (
        isinstance(shape, tuple | list) and shape and all(is_whole(n) and n > 0 for n in shape)
    ):
        raise invalid("shape", "be (height, width, channels)", shape)
    if is_path(name):
        check_paths(name=name)
        check_optional_counts(train=train, test=test)
        return _own(pathlib.Path(name).expanduser(), shape, scale, train, test)
    if scale is not None:
        raise SettingsError(f"scale is for images of your own: {shown(name)} has pixels in [0, 1]", argument="scale")
    if not isinstance(name, str):
        raise DatasetError(f"there is no data set {shown(name)}; there are {', '.join(DATASETS)}, {OWN}")
    if name == "digits":
        arrays = _read_digits()
        class_names = _NUMERALS
    elif name in _SOURCES:
        source = _SOURCES[name]
        paths = [_locate(name, source, file, md5) for file, md5 in source.files.items()]
        arrays = _read_cifar(paths) if name == "cifar-10" else [_read_idx(path) for path in paths]
        class_names = source.class_names
    else:
        if name == "n-mnist":
            hint = "; recordings of events are loaded with load_events"
        else:
            hint = "".join(
                f"; did you mean {each!r}?" for each in difflib.get_close_matches(name.lower(), DATASETS, n=1)
            )
        raise DatasetError(f"there is no data set {shown(name)}; there are {', '.join(DATASETS)}, {OWN}{hint}")
    x_train, y_train, x_test, y_test = arrays
    return Dataset(
        name,
        _images(first_items(x_train, train, "train")),
        first_items(y_train, train, "train").astype(np.int64),
        _images(first_items(x_test, test, "test")),
        first_items(y_test, test, "test").astype(np.int64),
        class_names,
    )


def _own(path, shape, scale, train, test):
    """Return the data set in a file or folder of the user."""
    own = read_own(path, None if shape is None else tuple(shape), scale, train, test)
    return Dataset(path.name, *own)


def check_parts(**counts: object) -> None:
    """Check that each number of items to keep is an integer or None."""
    for name, count in counts.items():
        if count is not None and not is_whole(count):
            raise invalid(name, "be a whole number of items", count)


def _read_digits():
    names = ("x_train", "y_train", "x_test", "y_test")
    try:
        with open_ordinary(DIGITS, DatasetError) as file, np.load(file, allow_pickle=False) as archive:
            return [archive[name] for name in names]
    except Exception as error:  # damage makes the zip and .npy parsers raise any error
        raise DatasetError(f"data set 'digits': {DIGITS} is damaged ({error}); install nengo_snnconv again") from error


def first_items(items: Any, count: int | None, argument: str, kind: str = "images") -> Any:
    """Return the first ``count`` items, or all for None; ``argument`` and ``kind`` are for error messages."""
    if count is None:
        return items
    if not 0 < count <= len(items):
        raise DatasetError(f"{argument} must be between 1 and {len(items)} {kind}, got {count}")
    return items[:count]


def _images(array):
    array = array.astype(np.float32) / np.float32(255)
    return array[..., None] if array.ndim == 3 else array


def _locate(name, source, file, md5):
    folder = os.environ.get(ENVIRONMENT_VARIABLE)
    if not folder:
        return _download(name, source, file, md5)
    path = pathlib.Path(folder).expanduser() / source.folder / file
    origin = source.url + (source.archive[0] if source.archive else file)
    if not path.exists():
        raise DatasetError(
            f"data set {name!r}: {path} is missing; get it from {origin}, "
            f"or unset {ENVIRONMENT_VARIABLE} to have it downloaded"
        )
    if _md5(path) != md5:
        raise DatasetError(
            f"data set {name!r}: {path} is truncated or not the published file (its md5 is not {md5}); "
            f"get it again from {origin}"
        )
    return path


def _md5(path):
    with open_ordinary(path, DatasetError) as file:
        return file_md5(file)


def _download(name, source, file, md5):
    import pooch
    import requests

    cache = pooch.os_cache("nengo_snnconv") / source.folder
    remote_file, remote_md5 = source.archive or (file, md5)
    if source.archive and (cache / file).exists() and _md5(cache / file) == md5:
        return cache / file
    try:
        fetched = pooch.retrieve(source.url + remote_file, f"md5:{remote_md5}", fname=remote_file, path=cache)
    except (requests.RequestException, ValueError, OSError) as error:
        raise DatasetError(
            f"data set {name!r}: {remote_file} could not be downloaded ({error}); get it from "
            f"{source.url}{remote_file}, put it into FOLDER/{source.folder} and set {ENVIRONMENT_VARIABLE}=FOLDER"
        ) from error
    if not source.archive:
        return pathlib.Path(fetched)
    with tarfile.open(fetched) as archive:
        for member in archive.getmembers():
            if pathlib.PurePosixPath(member.name).name in source.files and member.isfile():
                target = cache / pathlib.PurePosixPath(member.name).name
                with atomic_write(target) as written:
                    written.write(archive.extractfile(member).read())
    return cache / file


def _read_idx(path):
    """Return the array of a gzipped IDX file (http://yann.lecun.com/exdb/mnist)."""
    try:
        with gzip.open(path) as stream:
            data = stream.read()
    except (OSError, EOFError, zlib.error) as error:  # pragma: no cover - the MD5 check fails first
        raise DatasetError(f"{path} cannot be unpacked: {error}") from error
    rank = data[3]
    shape = np.frombuffer(data, ">u4", rank, 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)


def _read_cifar(paths):
    """Return the images and classes of CIFAR-10's binary files: rows of a label byte and 3 x 32 x 32 pixels."""
    rows = [np.fromfile(path, np.uint8).reshape(-1, 1 + 3 * 32 * 32) for path in paths]
    train, test = np.concatenate(rows[:-1]), rows[-1]
    return [
        array
        for batch in (train, test)
        for array in (batch[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), batch[:, 0])
    ]
