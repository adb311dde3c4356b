"""Checks of arguments, the one home for them: small functions that raise SettingsError before time is spent."""

import os
import reprlib

import numpy as np

from ..errors import SettingsError

LARGEST_COUNT = 2**31 - 1  # what TensorFlow and the kernels count with
MOST_WORKERS = 1024
LARGEST_SEED = 2**32 - 1
LARGEST_FLOAT = float(np.finfo(np.float32).max)
SHORTEST_DT, LONGEST_DT = 1e-9, 1e3  # in seconds
LARGEST_EXACT = 2**24  # whole numbers up to this one are told apart in float32


def shown(value):
    """Return a value's ``repr`` in one short line, for error messages."""
    text = " ".join(repr(value).split()) if not isinstance(value, list | tuple | dict) else reprlib.repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def is_whole(value):
    """Return whether a value is a whole number; True and False are not."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def is_number(value):
    """Return whether a value is a real number, NaN and infinity included; True and False are not."""
    return is_whole(value) or isinstance(value, float | np.floating)


def check_counts(**values):
    """Raise SettingsError for a named value that is not a positive integer (of 31 bits)."""
    for name, value in values.items():
        if not is_whole(value) or value < 1:
            raise SettingsError(f"{name} must be a positive integer, got {shown(value)}")
        if value > LARGEST_COUNT:
            raise SettingsError(f"{name} must be a positive integer up to {LARGEST_COUNT:,}, got {shown(value)}")


def check_optional_counts(**values):
    """Raise SettingsError for a named value that is neither None nor a positive integer."""
    check_counts(**{name: value for name, value in values.items() if value is not None})


def check_workers_count(**values):
    """Raise SettingsError for a named number of threads or processes, or None, that no machine can start."""
    check_optional_counts(**values)
    for name, value in values.items():
        if value is not None and value > MOST_WORKERS:
            raise SettingsError(
                f"{name} must be at most {MOST_WORKERS:,}, got {value}: more than there are cores do not help"
            )


def check_whole(low, high, **values):
    """Raise SettingsError for a named value that is not a whole number from ``low`` to ``high``."""
    for name, value in values.items():
        if not is_whole(value) or not low <= value <= high:
            raise SettingsError(f"{name} must be a whole number from {low} to {high}, got {shown(value)}")


def check_finite(**values):
    """Raise SettingsError for a named value that is not a finite number."""
    for name, value in values.items():
        if not is_number(value) or not np.isfinite(float(value)):
            raise SettingsError(f"{name} must be finite, and a number; got {shown(value)}")


def check_not_nan(**values):
    """Raise SettingsError for a named value that is NaN, or not a number; infinity is one."""
    for name, value in values.items():
        if not is_number(value) or np.isnan(value):
            raise SettingsError(f"{name} must be a number, got {shown(value)}")


def check_positive(**values):
    """Raise SettingsError for a named value that is not a finite number above 0."""
    for name, value in values.items():
        if not is_number(value) or not 0 < value < np.inf:
            raise SettingsError(f"{name} must be above 0 and finite, got {shown(value)}")


def check_not_negative(**values):
    """Raise SettingsError for a named value that is not a finite number from 0 up."""
    for name, value in values.items():
        if not is_number(value) or not 0 <= value < np.inf:
            raise SettingsError(f"{name} must be a finite number, 0 or more, got {shown(value)}")


def check_fraction(**values):
    """Raise SettingsError for a named value that is not a number in [0, 1)."""
    for name, value in values.items():
        if not is_number(value) or not 0 <= value < 1:
            raise SettingsError(f"{name} must be in [0, 1), got {shown(value)}")


def check_percentile(**values):
    """Raise SettingsError for a named value that is not a number above 0 and up to 100."""
    for name, value in values.items():
        if not is_number(value) or not 0 < value <= 100:
            raise SettingsError(f"{name} must be above 0 and at most 100, got {shown(value)}")


def check_choice(choices, **values):
    """Raise SettingsError for a named value that is none of the ``choices``, which are str (or None)."""
    for name, value in values.items():
        if not (value is None or isinstance(value, str)) or value not in choices:
            known = ", ".join(repr(choice) for choice in choices)
            raise SettingsError(f"{name} must be one of {known}; got {shown(value)}")


def check_flags(**values):
    """Raise SettingsError for a named value that is neither True nor False."""
    for name, value in values.items():
        if not isinstance(value, bool | np.bool_):
            raise SettingsError(f"{name} must be True or False, got {shown(value)}")


def check_progress(progress, name="progress"):
    """Raise SettingsError where ``progress`` is not True, False or None."""
    if progress is not None:
        check_flags(**{name: progress})


def check_seed(seed, *, optional=False, largest=LARGEST_SEED):
    """Raise SettingsError where ``seed`` is not a whole number from 0 to ``largest``, or None where it may be."""
    if seed is None and optional:
        return
    if not is_whole(seed) or not 0 <= seed <= largest:
        raise SettingsError(f"seed must be a whole number from 0 to 2**{largest.bit_length()} - 1, got {shown(seed)}")


def check_callable(**values):
    """Raise SettingsError for a named value that is neither None nor a function."""
    for name, value in values.items():
        if value is not None and not callable(value):
            raise SettingsError(f"{name} must be a function, or None; got {shown(value)}")


def check_paths(**values):
    """Raise SettingsError for a named value that is not a path: str or pathlib.Path."""
    for name, value in values.items():
        text = os.fspath(value) if isinstance(value, os.PathLike) else value
        if not isinstance(text, str) or not text or "\0" in text:
            raise SettingsError(f"{name} must be a path, as str or pathlib.Path, got {shown(value)}")


def check_names(n, each="score", **values):
    """Raise SettingsError for a named sequence, or None, that does not hold ``n`` names; a text holds its letters."""
    for name, value in values.items():
        if value is None:
            continue
        sequence = hasattr(value, "__len__") and hasattr(value, "__iter__") and not isinstance(value, bytes)
        if not sequence or len(value) != n:
            found = f"{len(value)}" if sequence else shown(value)
            raise SettingsError(f"{name} must hold {n} names, one for each {each}, got {found}")


def check_has(attribute, kind, **values):
    """Raise SettingsError for a named value without the attribute that tells objects of a ``kind`` from others.

    ``kind`` says how to make one, such as "an Evaluation: make one with evaluate(...)".
    """
    for name, value in values.items():
        if not hasattr(value, attribute):
            what, _, way_out = kind.partition(": ")
            raise SettingsError(f"{name}: expected {what}, got {type(value).__name__}: {way_out}")


def check_memory(n_bytes, what, way_out):
    """Raise SettingsError where an array would not fit into the memory of this machine.

    Parameters
    ----------
    n_bytes : int
    what : str
        What would take so much, such as "predictions of 5 images for n_steps=1000000000".
    way_out : str
    """
    if n_bytes > _total_memory():
        raise SettingsError(f"{what} would take {n_bytes / 1e9:,.0f} GB, more than this machine has: {way_out}")


def _total_memory():
    """Return how many bytes this process may have at most; infinity where the system does not tell."""
    try:
        import resource  # there is none on Windows

        allowed = resource.getrlimit(resource.RLIMIT_AS)[0]
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return total if allowed == resource.RLIM_INFINITY else min(total, allowed)
    except (ImportError, AttributeError, ValueError, OSError):
        return np.inf


def check_dt(dt):
    """Raise SettingsError where ``dt`` is not a length of time in seconds with which float32 can compute."""
    if not is_number(dt) or not SHORTEST_DT <= dt <= LONGEST_DT:
        raise SettingsError(f"dt must be from {SHORTEST_DT:g} to {LONGEST_DT:g} seconds, got {shown(dt)}")


def check_run(n_steps, skip_steps, dt):
    """Raise SettingsError where a run cannot have these ``n_steps``, ``skip_steps`` and ``dt``."""
    check_counts(n_steps=n_steps)
    if not is_whole(skip_steps) or not 0 <= skip_steps < n_steps:
        raise SettingsError(f"skip_steps must be a whole number from 0 to n_steps - 1, got {shown(skip_steps)}")
    check_dt(dt)


def as_array(values, name, of="numbers"):
    """Return ``values`` as an array of real numbers; booleans are 0 and 1.  ``of`` is for messages.

    Raises
    ------
    SettingsError
        For ragged, complex, text, date and object arrays, structured arrays and masked arrays.
    """
    if isinstance(values, np.ma.MaskedArray):
        raise SettingsError(f"{name} must not be a masked array: fill what is masked, {name}.filled(0)")
    try:
        array = np.asarray(values)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        reason = " ".join(str(error).split())[:120]
        raise SettingsError(f"{name} must be {of}, got {type(values).__name__}: {reason}") from error
    if array.dtype.names or _holds_events(array):
        raise SettingsError(
            f"{name} must be {of}; events and recordings are for train, evaluate and record, as "
            "Recordings: Recordings.of(list, labels) makes them"
        )
    if array.dtype.kind == "V" and np.can_cast(array.dtype, np.float32):
        return array.astype(np.float32)  # bfloat16 and other short floats of machine learning
    if array.dtype.kind not in "biuf":
        found = type(values).__name__ if array.dtype == object and not array.ndim else f"an array of {array.dtype}"
        way_out = "; take its real part or magnitude" if array.dtype.kind == "c" else ""
        raise SettingsError(f"{name} must be {of}, integers or floats, got {found}{way_out}")
    return array


def _holds_events(array):
    """Return whether an array of objects holds structured arrays."""
    return (
        array.dtype == object
        and array.ndim > 0
        and any(getattr(getattr(each, "dtype", None), "names", None) for each in array.flat[:1])
    )


def check_range(array, name, exact=False):
    """Raise SettingsError where numbers of an array are NaN or infinite, or would be so as float32.

    With ``exact`` whole numbers that float32 cannot tell apart are refused too.
    """
    if not array.size or array.dtype.kind == "b":
        return
    low, high = array.min(), array.max()  # of NaN and any number the minimum is NaN
    if array.dtype.kind == "f":
        finite = np.isfinite(low) and np.isfinite(high)
        low, high = float(low), float(high)  # the limit is none of float16
        if not finite:
            raise SettingsError(f"{name} must be finite, but holds NaN or infinity")
        if low < -LARGEST_FLOAT or high > LARGEST_FLOAT:
            raise SettingsError(
                f"{name} must be finite as float32, but holds numbers from {low:.3g} to {high:.3g}: scale them, as was "
                "done for training"
            )
    elif exact and (low < -LARGEST_EXACT or high > LARGEST_EXACT):
        raise SettingsError(
            f"{name} holds whole numbers from {low} to {high}, and float32 tells them apart up to {LARGEST_EXACT:,} "
            "only: scale them, as was done for training"
        )


def as_float32(values, name):
    """Return ``values`` as an array of finite float32; see :func:`as_array` and :func:`check_range`."""
    array = as_array(values, name)
    check_range(array, name)
    return np.asarray(array, np.float32)


def check_images(model, x):
    """Return ``x`` as float32 images that fit ``model``; SettingsError where they do not."""
    x = as_array(x, "x", "an array of images")
    if np.issubdtype(x.dtype, np.integer) and x.size and x.max() > 1 and not _scales_its_input(model):
        raise SettingsError(
            f"x holds integers up to {x.max()}: divide images by 255 to bring them into [0, 1], or make them floats if "
            "the model was trained on such numbers"
        )
    shape = model.shapes[model.input]
    if x.shape[1:] != shape or len(x) == 0:
        raise SettingsError(f"x must have shape (images, {', '.join(map(str, shape))}), got {x.shape}")
    check_range(x, "x", exact=True)
    return np.asarray(x, np.float32)


def _scales_its_input(model):
    """Whether a model that was read from Keras begins with a layer that takes whole numbers."""
    classes = {row["class"] for row in model.metadata.get("reading", [])}
    return bool(classes & {"Rescaling", "Normalization"})


def check_data(model, x, y):
    """Return images as :func:`check_images` does, and ``y`` as an array that fits them and ``model``."""
    x = check_images(model, x)
    return x, check_targets(model, len(x), y)


def check_targets(model, n_images, y):
    """Return ``y``, class numbers or targets, as an array that fits ``n_images`` and ``model``."""
    scores = model.shapes[model.output]
    if len(scores) != 1:
        raise SettingsError(f"the network's output has shape {scores}: end it with Flatten or global pooling")
    if y is None:
        raise SettingsError("y must hold class numbers (images,), got None: record runs a network on images without y")
    y = as_array(y, "y")
    if not y.ndim or n_images != len(y):
        found = f"{n_images} and {len(y)}" if y.ndim else f"{n_images} and a single number"
        raise SettingsError(f"x and y must hold equally many images; got {found}")
    if y.ndim == 1:
        if not np.issubdtype(y.dtype, np.integer):
            raise SettingsError(f"y must hold class numbers (integers) or targets (images, classes); got {y.dtype}")
        if y.min() < 0 or y.max() >= scores[-1]:
            raise SettingsError(
                f"the classes in y go from {y.min()} to {y.max()}, the network has {scores[-1]} outputs"
            )
        return y.astype(np.int64)
    if y.shape[1:] != scores:
        column = ": take the column, y[:, 0]" if y.shape[1:] == (1,) else ""
        raise SettingsError(f"y must have shape (images,) or (images, {scores[-1]}), got {y.shape}{column}")
    check_range(y, "y")
    return y.astype(np.float32)


def check_classes(model, n_images, y):
    """Return class numbers (images,) that fit ``n_images`` and ``model``; SettingsError for targets."""
    y = check_targets(model, n_images, y)
    if y.ndim != 1:
        raise SettingsError(f"y must hold class numbers (images,), got shape {y.shape}: take y.argmax(axis=1)")
    return y
