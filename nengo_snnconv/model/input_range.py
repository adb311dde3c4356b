"""Input range: the range of pixels that a model was trained on, inferred from its first layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .._util.user_warnings import warn_user
from .._util.validation import is_number, shown
from ..errors import ModelError, SettingsError
from . import layers as specs
from .ports import split

if TYPE_CHECKING:
    from .graph import Model

UNIT, BYTES = (0.0, 1.0), (0.0, 255.0)
SMALL = 50  # images with numbers as many times smaller than those of calibration are scaled otherwise
# Keras classes with learned scales, which are no reliable sign of the range of the data
LEARNED = ("BatchNormalization", "SyncBatchNormalization")


def with_input_range(model: Model) -> Model:
    """Return the model with the range of its input, inferred from its first layers, in its metadata.

    ``Rescaling(1 / 255)``, ``Rescaling(1 / 127.5, offset=-1)`` and equivalent operations indicate pixels from 0 to 255;
    ``Rescaling(1 / 16)`` values from 0 to 16.  The range for ``Normalization`` follows from its mean and variance.

    Parameters
    ----------
    model : Model
        Model as read from Keras, before layers are folded.

    Returns
    -------
    Model
        Model with ``metadata["input_range"]``: [low, high]; None if the input is not in [0, 1] but its range is
        unknown; absent if it is [0, 1].  Several inputs are marked "scaled" in ``metadata["inputs"]`` unless their own
        range is [0, 1].
    """
    metadata = model.metadata
    # the range of a network trained with this package is that of its training data
    if "input_range" in metadata or "training" in metadata:
        return model
    ranges = _inferred_ranges(model)
    changes: dict[str, Any] = {}
    if len(ranges) > 1:
        changes["inputs"] = [{**port, "scaled": ranges[port["name"]] != UNIT} for port in metadata["inputs"]]
    inferred = _common(ranges)
    if inferred != UNIT:
        changes["input_range"] = None if inferred is None else list(inferred)
    return model.replace(metadata={**metadata, **changes}) if changes else model


def input_range(model: Model) -> tuple[float, float] | None:
    """Return (low, high) of the input of a converted model, (0, 1) by default, or None if it is unknown."""
    declared = model.metadata.get("input_range", UNIT)
    if declared is None:
        return None
    try:
        low, high = map(float, declared)
    except (TypeError, ValueError):
        low = high = np.nan
    if not -np.inf < low < high < np.inf:
        raise ModelError(f"the model's input_range must be two finite numbers, low and high, got {declared!r}")
    return low, high


def tells_range(model: Model) -> bool:
    """Return whether the model holds the range of its input: that of its first layer, or of calibration images."""
    return "input_range" in model.metadata or "calibration_range" in model.metadata


def check_input_range(given: Any) -> None:
    """Check that the argument ``input_range`` is None or two finite numbers, low and high."""
    if given is None:
        return
    is_pair = isinstance(given, tuple | list | np.ndarray) and len(given) == 2
    if not (is_pair and all(map(is_number, given)) and -np.inf < given[0] <= given[1] < np.inf):
        raise SettingsError(
            f"input_range must be two finite numbers, the smallest and the largest input, got {shown(given)}",
            argument="input_range",
        )


def needed_range(model: Model, given: Any = None) -> tuple[float, float]:
    """Return (low, high) of the input: ``given``, or by default the range of the model.

    Raises
    ------
    SettingsError
        If ``given`` is invalid, or is None and the range of the model is unknown.
    """
    check_input_range(given)
    needed = input_range(model) if given is None else given
    if needed is None:
        raise SettingsError(
            "the model normalizes its input from an unknown range other than 0 to 1: give input_range, such as "
            "(0, 255)",
            argument="input_range",
        )
    return needed


def warn_of_range(model: Model, x: Any) -> None:
    """Warn if images in [0, 1] are given to a model for pixels from 0 to 255, to which they look black."""
    if input_range(model) != BYTES or not isinstance(x, np.ndarray) or x.dtype.kind != "f" or not x.size:
        return
    if 0 < x.max() <= 1 and x.min() >= 0 and any((image % 1 != 0).any() for image in x):
        warn_user(
            "x holds numbers from 0 to 1, but the first layers of the model scale pixels from 0 to 255 down: pass "
            "255 * x, unless the model was trained on numbers from 0 to 1",
        )


def ranges_of(model: Model, images: np.ndarray, known: Any = None) -> dict[str, list[float]]:
    """Return the smallest and the largest number in images for each input, by name; ``known`` ranges are widened."""
    parts = split(images.reshape(len(images), -1), model.inputs)
    found = {name: [float(part.min()), float(part.max())] for name, part in parts.items()}
    for name, (low, high) in (known or {}).items():
        found[name] = [min(low, found[name][0]), max(high, found[name][1])]
    return found


def warn_of_other_range(model: Model, images: np.ndarray) -> None:
    """Warn if images are far outside the range of the calibration images, by more than its width, or far within it.

    The range is ``metadata["calibration_range"]``, which files of earlier versions lack.
    """
    calibrated = model.metadata.get("calibration_range", {})
    if not len(images) or calibrated.keys() != model.inputs.keys():
        return
    for name, (low, high) in ranges_of(model, images).items():
        lowest, highest = calibrated[name]
        width, largest, seen = highest - lowest, max(abs(lowest), abs(highest)), max(abs(low), abs(high))
        outside = width > 0 and (high > highest + width or low < lowest - width)
        # models for other pixels than 0 to 1 have a check of their own, ``warn_of_range``
        small = input_range(model) == UNIT and 0 < SMALL * seen < largest
        if outside or small:
            x = f"x[{name!r}]" if len(calibrated) > 1 else "x"
            change, factor = ("divide", seen / largest) if outside else ("multiply", largest / seen)
            shown_factor = 255 if 200 < factor < 300 else f"{factor:.3g}"
            warn_user(
                f"{x} holds numbers from {low:.4g} to {high:.4g}, and the network was calibrated with numbers from "
                f"{lowest:.4g} to {highest:.4g}: {change} {x} by {shown_factor} if it is scaled otherwise, or "
                "normalize the network with such images",
            )


def in_range(images: np.ndarray, target: tuple[float, float]) -> np.ndarray:
    """Scale images with pixels from 0 to 1 to the range ``target``; pixels from 0 to 255 are rounded."""
    low, high = target
    if target == UNIT:
        return images
    images = images * np.float32(high - low) + np.float32(low)
    return np.rint(images) if target == BYTES else images


def _inferred_ranges(model):
    """Return the range that the first layers behind each input indicate, by name; None if it is not [0, 1] but unknown.

    An input that several layers take apart has a range if they indicate the same.
    """
    ports = model.inputs
    if len(ports) == 1:
        return {name: _range_from(model, model.input, len(port.shape)) for name, port in ports.items()}
    consumers = model.consumers(model.input)
    return {
        name: _common(
            {
                layer.name: _range_from(model, layer.name, len(port.shape))
                for layer in consumers
                if -layer.before[0] == port.start
            }
        )
        for name, port in ports.items()
    }


def _common(ranges):
    """Return the range that all of several have, or None."""
    different = set(ranges.values())
    return different.pop() if len(different) == 1 else None


def _range_from(model, name, rank):
    """Return the range that the layers behind an input of ``rank`` axes indicate."""
    factor, shift, kinds = _first_scaling(model, name)
    if not kinds or (factor <= 0).any():
        return UNIT
    # the layers map inputs x to (x - middle) / spread
    middle, spread = -shift / factor, 1 / factor
    if "Normalization" in kinds:
        return _range_of_statistics(middle, spread, is_image=rank == 3)
    # inputs from 0 up are mapped to [0, 1], or, around the middle, to [-1, 1]
    high = float(max(2 * middle.max() if middle.max() > 0 else spread.max(), 0))
    if high <= 1.5:
        return UNIT
    return BYTES if 200 <= high <= 300 else (0.0, high)


def _range_of_statistics(mean, deviation, is_image):
    """Return the likely range of data with a mean and a standard deviation; in [0, 1] they are at most 1 and 0.5."""
    if (mean == 0).all() and (deviation == 1).all():
        return UNIT  # never adapted
    if (mean >= 0).all() and (mean <= 1).all() and (deviation <= 0.5).all():
        return UNIT
    pixels = (mean >= 0).all() and (mean <= 255).all() and (deviation <= 128).all()
    return BYTES if is_image and pixels and max(mean.max(), deviation.max()) > 16 else None


def _first_scaling(model, name):
    """Return factor and shift (channels,) of the layers behind ``name``, which scale it, and their Keras classes."""
    kinds = {name: row["class"] for row in model.metadata.get("reading", []) for name in row["became"]}
    factor, shift, classes = np.ones(1), np.zeros(1), []
    while len(consumers := model.consumers(name)) == 1:
        (layer,) = consumers
        name = layer.name
        if isinstance(layer, specs.Affine) and kinds.get(name) not in (None, *LEARNED):
            scale, bias = (np.asarray(model.arrays[f"{name}/{array}"], np.float64) for array in ("scale", "bias"))
            if factor.size not in (1, scale.size):
                break
            factor, shift = factor * scale, shift * scale + bias
            classes.append(kinds[name])
        elif not isinstance(layer, specs.Selection | specs.Dropout):
            break
    return factor, shift, classes
