"""Folders of pictures, by class or without classes, and with or without subfolders for training and test."""

from __future__ import annotations

import contextlib
import pathlib
import warnings

import numpy as np

from .._util.ordinary_files import open_ordinary
from .._util.validation import check_memory
from ..errors import DatasetError

# names of the subfolders that hold training and test pictures
PARTS = (("train", "training"), ("test", "testing", "val", "validation"))
# formats of pictures that Pillow reads by itself, without other programs; by the suffixes of their names
FORMATS = {
    **dict.fromkeys((".jpg", ".jpeg"), "JPEG"),
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    **dict.fromkeys((".pgm", ".ppm", ".pbm"), "PPM"),
    ".png": "PNG",
    ".bmp": "BMP",
    ".gif": "GIF",
    ".webp": "WEBP",
}
GRAY = ("1", "L", "LA")
BILINEAR = 2  # of Pillow: the mean of the pixels that become one, weighted by their distance
# without test data, every fifth image is one
EVERY = 5
FEWER = "keep fewer images, with train and test"
# stands for the class of pictures that are in no subfolder
UNLABELLED = ""


def read_folder(
    path: pathlib.Path, shape: tuple[int, ...] | None, train: int | None, test: int | None
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray, np.ndarray | None, tuple[str, ...], str]:
    """Return training images and classes, test images and classes, names of the classes, and a note on the split.

    There are no classes if the pictures are in no subfolders.

    Parameters
    ----------
    path : path
    shape : tuple of int or None
        Height, width and channels; by default those that all pictures have.
    train, test : int or None
        Largest numbers of pictures.

    Raises
    ------
    DatasetError
        If there are none, or they cannot be read.
    """
    folders = [next((path / name for name in names if (path / name).is_dir()), None) for names in PARTS]
    note = ""
    if all(folders):
        training, tests = map(_classes_of, folders)
        names = sorted(training)
        if unknown := sorted(set(tests) - set(names)):
            if UNLABELLED in (*training, *tests):
                raise DatasetError(f"{path}: put the pictures of train and test into subfolders for classes, or none")
            raise DatasetError(f"{folders[1]} has the class {unknown[0]!r}, which {folders[0]} has not")
    else:
        classes = _classes_of(path)
        names = sorted(classes)
        training = {name: [files[i] for i in range(len(files)) if (i + 1) % EVERY] for name, files in classes.items()}
        tests = {name: files[EVERY - 1 :: EVERY] for name, files in classes.items()}
        of_a_class = " of a class" if names != [UNLABELLED] else ""
        note = f"every fifth picture{of_a_class} is a test picture (make subfolders train and test to choose)"
        if not any(tests.values()):
            raise DatasetError(f"{path} must have {EVERY} pictures{of_a_class}, or the subfolders train and test")
    parts = [_mixed(files, names)[:most] for files, most in ((training, train), (tests, test))]
    shape = (
        _common_shape([file for part in parts for file, _ in part]) if shape is None else _checked_shape(path, shape)
    )
    check_memory(5.0 * sum(map(len, parts)) * np.prod(shape), f"the pictures in {path}", FEWER)
    images = [np.stack([_pixels(file, shape) for file, _ in part]) for part in parts]
    if names == [UNLABELLED]:
        return images[0], None, images[1], None, (), note
    labels = [np.array([number for _, number in part], np.int64) for part in parts]
    return images[0], labels[0], images[1], labels[1], tuple(names), note


def _classes_of(folder):
    """Return the pictures of each class, {name of the subfolder: paths}; {UNLABELLED: paths} without subfolders."""
    found = {}
    for inner in sorted(folder.iterdir()):
        if inner.is_dir() and not inner.name.startswith((".", "__")) and (files := _pictures_in(inner)):
            found[inner.name] = files
    if not found and (files := _pictures_in(folder)):
        found[UNLABELLED] = files
    if not found:
        raise DatasetError(
            f"{folder} has no pictures in the layout FOLDER/CLASS/PICTURE.png, or FOLDER/PICTURE.png without labels "
            "(or .jpg, .bmp, .gif, .tif, .webp)"
        )
    return found


def _pictures_in(folder):
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in FORMATS and file.name[0] != ".")


def _mixed(classes, names):
    """Return (path, class number) of pictures, with each class spread evenly over the whole.

    Any number of first pictures then has nearly the shares of classes that all pictures have.
    """
    placed = []
    for number, name in enumerate(names):
        files = classes.get(name, ())
        placed += [((i + 0.5) / len(files), number, file) for i, file in enumerate(files)]
    return [(file, number) for _, number, file in sorted(placed)]


def _checked_shape(path, shape):
    if len(shape) != 3 or shape[-1] not in (1, 3):
        raise DatasetError(f"{path} holds pictures, with 1 or 3 channels, and images of shape {shape} are needed")
    return shape


def _common_shape(files):
    """Return the shape that all pictures have, with one channel if all are gray."""
    sizes, gray = {}, True
    for file in files:
        with _opened(file) as picture:
            sizes.setdefault((picture.height, picture.width), file)
            gray = gray and picture.mode in GRAY
    if len(sizes) > 1:
        (one, first), (other, second) = list(sizes.items())[:2]
        raise DatasetError(
            f"{first} has {one[0]} x {one[1]} pixels, and {second} {other[0]} x {other[1]}: resize the pictures to one "
            "size, or give shape=(height, width, channels)"
        )
    return (*next(iter(sizes)), 1 if gray else 3)


def _pixels(path, shape):
    """Return the pixels of a picture in the given shape, as bytes."""
    height, width, channels = shape
    with _opened(path) as picture:
        if picture.mode[0] in "IF":
            raise DatasetError(f"{path} has more than 8 bits for a color: convert it, or give arrays in an .npz file")
        picture = picture.convert("L" if channels == 1 else "RGB")
        if picture.size != (width, height):
            picture = picture.resize((width, height), resample=BILINEAR)
        return np.asarray(picture).reshape(shape)


@contextlib.contextmanager
def _opened(path):
    """Open a picture, and turn what goes wrong into an error that names the file."""
    import PIL.Image  # with matplotlib, which needs it

    try:
        with open_ordinary(path, DatasetError) as file, warnings.catch_warnings():
            warnings.simplefilter("ignore", PIL.Image.DecompressionBombWarning)  # an error if it is twice as large
            with PIL.Image.open(file, formats=[FORMATS[path.suffix.lower()]]) as picture:
                yield picture
    except (DatasetError, MemoryError):
        raise
    except Exception as error:  # damage makes Pillow's readers raise any error
        raise DatasetError(f"{path} is damaged, or not the picture that its name says: {error}") from error
