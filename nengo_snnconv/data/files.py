"""Images of the user's own: .npz files of arrays, and folders of pictures."""

from __future__ import annotations

import os
import pathlib
import typing
import zipfile

import numpy as np

from .._util.npz import Damage, members_of, read_member
from .._util.ordinary_files import open_ordinary
from .._util.validation import check_memory, check_range
from ..errors import DatasetError, SettingsError, listed
from .pictures import EVERY, FEWER, read_folder

# names of the arrays in .npz files: training and test data (the second ones those of MedMNIST), or both in one
SPLIT = (("x_train", "y_train", "x_test", "y_test"), ("train_images", "train_labels", "test_images", "test_labels"))
TESTS = tuple(names[2:] for names in SPLIT)
WHOLE = (("x", "y"), ("images", "labels"))
CLASS_NAMES = "class_names"


class Arrays(typing.NamedTuple):
    """Images and labels of a file or folder, the range of the pixels, and a note on how they were split.

    Labels are None if there are none.
    """

    x_train: np.ndarray
    y_train: np.ndarray | None
    x_test: np.ndarray
    y_test: np.ndarray | None
    class_names: tuple[str, ...]
    pixel_range: tuple[float, float] | None
    note: str


def is_path(name: typing.Any) -> bool:
    """Return whether the name of a data set is the path of a file or folder."""
    if isinstance(name, os.PathLike):
        return True
    return isinstance(name, str) and (
        name.endswith(".npz") or os.sep in name or "/" in name or ("\0" not in name and os.path.isdir(name))
    )


def read_own(
    path: pathlib.Path, shape: tuple[int, ...] | None, scale: float | None, train: int | None, test: int | None
) -> Arrays:
    """Return the images in an .npz file or a folder of pictures; ``load_dataset`` documents the arguments.

    Raises
    ------
    DatasetError
        If there are none, or they cannot be read.
    """
    if path.is_dir():
        x_train, y_train, x_test, y_test, class_names, note = read_folder(path, shape, train, test)
    elif path.exists() and path.suffix != ".npz":
        raise DatasetError(f"{path} is neither an .npz file nor a folder of pictures with a subfolder for each class")
    else:
        x_train, y_train, x_test, y_test, class_names, note = _read_npz(path, train, test)
    parts = [x for x in (x_train, x_test) if len(x)]  # there may be test images only
    parts = [_in_shape(_scaled(x, scale, path), shape) for x in parts]
    for x in parts:
        check_range(x, f"the pixels in {path}")
    is_unit = scale is None and all(x.min() >= 0 and x.max() <= 1 for x in parts)
    x_train, x_test = parts if len(parts) == 2 else (parts[0][:0], parts[0])
    return Arrays(x_train, y_train, x_test, y_test, class_names, (0.0, 1.0) if is_unit else None, note)


def _scaled(x, scale, path):
    """Return images as float32, divided by ``scale``; by default integers by 255."""
    if scale is None and x.dtype.kind in "iu" and x.max() > 1:
        if x.max() > 255:
            raise DatasetError(f"{path} has integers up to {x.max()}: give the scale by which to divide them")
        scale = 255
    x = x.astype(np.float32)
    return x if scale is None else x / np.float32(scale)


def _in_shape(x, shape):
    """Return images with the axis of channels, and at the end, if this gives them the shape."""
    if x.ndim == 3 and (shape is None or len(shape) == 3):
        x = x[..., None]
    if shape is not None and len(shape) == 3 and x.shape[1:] != shape == (*x.shape[2:], x.shape[1]):
        x = np.moveaxis(x, 1, -1)
    return x


def _read_npz(path, train, test):
    arrays = _read_arrays(path)
    note, x_train = "", None
    for names in SPLIT:
        if all(name in arrays for name in names[::2]):
            x_train, y_train, x_test, y_test = map(arrays.get, names)
            break
    of_tests = next((names for names in TESTS if names[0] in arrays), None) if x_train is None else None
    if of_tests:
        x_test, y_test = map(arrays.get, of_tests)
    elif x_train is None:
        x, y = next((arrays[x], arrays.get(y)) for x, y in WHOLE if x in arrays)
        tests = np.arange(len(x)) % EVERY == EVERY - 1
        if y is not None and len(x) != len(y):
            raise DatasetError(f"{path} has {len(x)} images and {len(y)} labels")
        x_train, x_test = x[~tests], x[tests]
        y_train, y_test = (None, None) if y is None else (y[~tests], y[tests])
        note = (
            f"every fifth of {len(x):,} images is a test image (name arrays x_train, y_train, x_test, y_test to choose)"
        )
    for x, y in [(x_test, y_test)] if of_tests else [(x_train, y_train), (x_test, y_test)]:
        fits = y is None or (y.ndim and len(x) == len(y))
        if x.ndim < 2 or x.dtype.kind == "U" or not len(x) or not fits:
            shapes = f"{x.shape} and {y.shape}" if y is not None else f"{x.shape}"
            raise DatasetError(
                f"{path} must hold images and as many labels, for training and for tests; got arrays of shapes {shapes}"
            )
    if of_tests:
        x_train, y_train = x_test[:0], None if y_test is None else y_test[:0]
    if x_train.shape[1:] != x_test.shape[1:]:
        raise DatasetError(f"{path} has images of shapes {x_train.shape[1:]} and {x_test.shape[1:]}")
    class_names = arrays.get(CLASS_NAMES)
    if y_train is None:
        names = () if class_names is None else tuple(map(str, np.ravel(class_names)))
        return x_train[:train], None, x_test[:test], None, names, note
    y_train, y_test, names = _labels(y_train, y_test, class_names)
    return x_train[:train], y_train[:train], x_test[:test], y_test[:test], names, note


def _read_arrays(path):
    """Return the arrays that a data set needs, {name: array}."""
    with open_ordinary(path, DatasetError) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                members = dict(members_of(archive))
                has_training = any(set(names[:2]) & set(members) for names in SPLIT)
                possible = (*SPLIT, *WHOLE) if has_training else (*SPLIT, *WHOLE, *TESTS)
                complete = [names for names in possible if all(name in members for name in names)]
                unlabelled = [names[::2] for names in possible if set(names) & set(members) == set(names[::2])]
                known = complete or unlabelled
                if not known:
                    raise DatasetError(
                        f"{path} has the arrays {listed(sorted(members), 8)}, and needs x_train, y_train, x_test and "
                        "y_test, or x and y, or x_test and y_test; or these without y, for images without labels"
                    )
                needed = [*known[0], *([CLASS_NAMES] if CLASS_NAMES in members else [])]
                check_memory(5.0 * sum(members[name].file_size for name in needed), f"the images in {path}", FEWER)
                return {name: read_member(archive, members[name], "biufU") for name in needed}
        except (DatasetError, SettingsError):
            raise
        except Exception as error:  # damage makes the zip and .npy parsers raise any error
            reason = " ".join(str(error).split())[:200]
            if isinstance(error, Damage) and "holds object" in reason:
                reason += "; arrays of Python objects are not read, since they can run code"
            raise DatasetError(f"{path} is damaged, or not an .npz file of arrays: {reason}") from error


def _labels(y_train, y_test, class_names):
    """Return class numbers, or targets, and the names of the classes."""
    both = np.concatenate([y.reshape(len(y), -1) for y in (y_train, y_test) if len(y)])
    if both.dtype.kind == "U":
        found, numbers = np.unique(both[:, 0], return_inverse=True)
        classes, class_names = numbers.reshape(-1), tuple(map(str, found)) if class_names is None else class_names
    elif both.shape[1] > 1 and np.isin(both, (0, 1)).all() and (both.sum(axis=1) == 1).all():
        classes = both.argmax(axis=1)
    elif both.shape[1] == 1 and (both == np.floor(both)).all():
        classes = both[:, 0]
    else:  # targets
        return y_train.astype(np.float32), y_test.astype(np.float32), ()
    classes = classes.astype(np.int64)
    names = map(str, range(int(classes.max()) + 1) if class_names is None else np.ravel(class_names))
    return classes[: len(y_train)], classes[len(y_train) :], tuple(names)
