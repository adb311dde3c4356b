"""Checks of what users pass: counts, images and classes, before time is spent on them."""

import numpy as np

from .exceptions import SettingsError


def check_counts(**values):
    """Raise SettingsError for a named value that is no positive integer."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise SettingsError(f"{name} must be a positive integer, got {value!r}")


def check_run(n_steps, skip_steps, dt):
    """Raise SettingsError where a run cannot have so many steps, leave out so many of them, or have steps so long."""
    check_counts(n_steps=n_steps)
    if not (isinstance(skip_steps, int | np.integer) and 0 <= skip_steps < n_steps):
        raise SettingsError(f"skip_steps must be a whole number from 0 to n_steps - 1, got {skip_steps!r}")
    if not dt > 0:
        raise SettingsError(f"dt must be above 0 seconds, got {dt!r}")


def check_images(model, x):
    """``x`` as float32 images that fit ``model``; SettingsError where they do not."""
    try:
        x = np.asarray(x)
    except ValueError as error:
        raise SettingsError(f"x must be an array of images, got {type(x).__name__}: {error}") from error
    if x.dtype.names or x.dtype == object:
        raise SettingsError(
            "x must be an array of images; events and recordings are for train, evaluate and record, as Recordings: "
            "Recordings.of(list, labels) makes them"
        )
    if np.issubdtype(x.dtype, np.integer) and x.size and x.max() > 1 and not _scales_its_input(model):
        raise SettingsError(
            f"x holds integers up to {x.max()}: divide images by 255 to bring them into [0, 1], or make them floats if "
            "the model was trained on such numbers"
        )
    x, shape = np.asarray(x, np.float32), model.shapes[model.input]
    if x.shape[1:] != shape or len(x) == 0:
        raise SettingsError(f"x must have shape (images, {', '.join(map(str, shape))}), got {x.shape}")
    if not np.isfinite(x).all():
        raise SettingsError("x holds NaN or infinity")
    return x


def _scales_its_input(model):
    """Whether a model that was read from Keras begins with a layer that takes whole numbers."""
    classes = {row["class"] for row in model.metadata.get("reading", [])}
    return bool(classes & {"Rescaling", "Normalization"})


def check_data(model, x, y):
    """Images as for :func:`check_images`, and ``y`` as an array that fits them and ``model``."""
    x = check_images(model, x)
    return x, check_targets(model, len(x), y)


def check_targets(model, n_images, y):
    """``y``, class numbers or targets, as an array that fits ``n_images`` and ``model``."""
    y, scores = np.asarray(y), model.shapes[model.output]
    if len(scores) != 1:
        raise SettingsError(f"the network's output has shape {scores}: end it with Flatten or global pooling")
    if n_images != len(y):
        raise SettingsError(f"x and y must hold equally many images; got {n_images} and {len(y)}")
    if y.ndim == 1:
        if not np.issubdtype(y.dtype, np.integer):
            raise SettingsError(f"y must hold class numbers (integers) or targets (images, classes); got {y.dtype}")
        if y.min() < 0 or y.max() >= scores[-1]:
            raise SettingsError(
                f"the classes in y go from {y.min()} to {y.max()}, the network has {scores[-1]} outputs"
            )
        return y.astype(np.int64)
    if y.shape[1:] != scores:
        raise SettingsError(f"y must have shape (images,) or (images, {scores[-1]}), got {y.shape}")
    return y.astype(np.float32)
