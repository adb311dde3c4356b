"""Input ranges: the range of pixels that a model was trained on, as far as its first layers tell."""

import warnings

import numpy as np

from .._util.validation import is_number, shown
from ..errors import ModelError, SettingsError, SnnConvWarning
from . import layers as specs

UNIT, BYTES = (0.0, 1.0), (0.0, 255.0)
# classes of Keras whose scales are learned, and tell nothing certain of the data
LEARNED = ("BatchNormalization", "SyncBatchNormalization")


def with_input_range(model):
    """Return the model with what its first layers tell of its input as ``metadata["input_range"]``.

    ``Rescaling(1 / 255)``, ``Rescaling(1 / 127.5, offset=-1)`` and their like, operations too, are for pixels from 0 to
    255; ``Rescaling(1 / 16)`` for values from 0 to 16.  ``Normalization`` tells by its mean and variance.

    Parameters
    ----------
    model : Model
        As read from Keras, before its layers are folded into one another.

    Returns
    -------
    Model
        With [low, high] in its metadata; None where the input is not in [0, 1], but its range cannot be told; nothing
        where nothing speaks against [0, 1].
    """
    metadata = model.metadata
    # what a network of ours was trained on is up to whoever trained it
    if "input_range" in metadata or "training" in metadata:
        return model
    found = _found(model)
    if found == UNIT:
        return model
    return model.replace(metadata={**metadata, "input_range": None if found is None else list(found)})


def input_range(model):
    """Return the (low, high) of the input of a converted model, (0, 1) by default; None where it cannot be told."""
    found = model.metadata.get("input_range", UNIT)
    if found is None:
        return None
    try:
        low, high = map(float, found)
    except (TypeError, ValueError):
        low = high = np.nan
    if not -np.inf < low < high < np.inf:
        raise ModelError(f"the model's input_range must be two finite numbers, low and high, got {found!r}")
    return low, high


def check_input_range(given):
    """Raise SettingsError where ``given`` is neither None nor two finite numbers, low and high."""
    if given is None:
        return
    pair = isinstance(given, tuple | list | np.ndarray) and len(given) == 2
    if not (pair and all(map(is_number, given)) and -np.inf < given[0] <= given[1] < np.inf):
        raise SettingsError(f"input_range must be the smallest and the largest input, got {shown(given)}")


def needed_range(model, given=None):
    """Return (low, high) as ``given``, or else as the model tells; SettingsError where it does not."""
    check_input_range(given)
    wanted = input_range(model) if given is None else given
    if wanted is None:
        raise SettingsError(
            "the model normalizes its input, which was not in the range from 0 to 1, but which range it was cannot be "
            "told: give input_range, such as (0, 255)"
        )
    return wanted


def warn_of_range(model, x):
    """Warn where images in [0, 1] are given to a model that takes pixels from 0 to 255, which then sees black."""
    if input_range(model) != BYTES or not isinstance(x, np.ndarray) or x.dtype.kind != "f" or not x.size:
        return
    if 0 < x.max() <= 1 and x.min() >= 0 and (x % 1 != 0).any():
        warnings.warn(
            "x holds numbers from 0 to 1, but the model itself begins by scaling pixels from 0 to 255 down: give them "
            "as they are, 255 * x, unless the model was trained on such small numbers",
            SnnConvWarning,
            stacklevel=4,
        )


def in_range(images, wanted):
    """Return images whose pixels are from 0 to 1 with pixels in the range ``wanted``; bytes are whole numbers again."""
    low, high = wanted
    if wanted == UNIT:
        return images
    images = images * np.float32(high - low) + np.float32(low)
    return np.rint(images) if wanted == BYTES else images


def _found(model):
    """Return the range that the first layers tell; None where it is another one than [0, 1], but cannot be told."""
    factor, shift, kinds = _first_scaling(model)
    if not kinds or (factor <= 0).any():
        return UNIT
    # the input that becomes 0, and the difference that becomes 1
    middle, spread = -shift / factor, 1 / factor
    if "Normalization" in kinds:
        return _of_statistics(middle, spread, is_image=len(model.shapes[model.input]) == 3)
    # what begins at 0 fills [0, 1], or [-1, 1] around the middle
    high = float(max(2 * middle.max() if middle.max() > 0 else spread.max(), 0))
    if high <= 1.5:
        return UNIT
    return BYTES if 200 <= high <= 300 else (0.0, high)


def _of_statistics(mean, deviation, is_image):
    """Return the range of data with a mean and a standard deviation, which are at most 1 and 0.5 in [0, 1]."""
    if (mean == 0).all() and (deviation == 1).all():
        return UNIT  # never adapted
    if (mean >= 0).all() and (mean <= 1).all() and (deviation <= 0.5).all():
        return UNIT
    pixels = (mean >= 0).all() and (mean <= 255).all() and (deviation <= 128).all()
    return BYTES if is_image and pixels and max(mean.max(), deviation.max()) > 16 else None


def _first_scaling(model):
    """Return factor and shift, (channels,), of all that scales the input first, and the Keras classes that do it."""
    kinds = {name: row["class"] for row in model.metadata.get("reading", []) for name in row["became"]}
    factor, shift, found, name = np.ones(1), np.zeros(1), [], model.input
    while len(consumers := model.consumers(name)) == 1:
        (layer,) = consumers
        name = layer.name
        if isinstance(layer, specs.Affine) and kinds.get(name) not in (None, *LEARNED):
            scale, bias = (np.asarray(model.arrays[f"{name}/{array}"], np.float64) for array in ("scale", "bias"))
            if factor.size not in (1, scale.size):
                break
            factor, shift = factor * scale, shift * scale + bias
            found.append(kinds[name])
        elif not isinstance(layer, specs.Selection | specs.Dropout):
            break
    return factor, shift, found
