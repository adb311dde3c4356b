"""Range of pixel values that a model was trained on, and images in that range."""

import dataclasses
import math

from .._util.text_tables import summary_line
from ..errors import SettingsError
from .data import DEFAULT_DATA

# smallest and largest number of images used to check a range, and the ranges that are tried
FEWEST, MOST = 50, 200
RANGES = ((0.0, 1.0), (0.0, 255.0), (-1.0, 1.0))
# skill (see _skill) below which a model is considered to guess, and above which it is considered to be right
GUESSES, RIGHT = 0.1, 0.5
# gain of skill in another range from which on that range is considered to be the one of the training data
BETTER = 0.25


def in_range_of(data, network, options):
    """Return the data in the pixel range that the model was trained on, and the network with this range.

    The range is given by ``--input-range``, or implied by the first layers of the model.  If the ANN is far more
    accurate in another range, an error says so: scales calibrated on wrong images would spoil the network.

    Parameters
    ----------
    data : Dataset or None
        Images in [0, 1]; those in another range, which are the user's own, and event recordings are returned unchanged.
    network : ConvNetwork
    options : argparse.Namespace
        Options of ``add_input_range``.

    Returns
    -------
    Dataset or None, ConvNetwork
    """
    from ..model.input_range import UNIT, in_range, input_range

    given = options.input_range
    if data is not None and hasattr(data.x_train, "sensor"):
        if given:
            options.wrong_usage("--input-range is for images, not for event recordings")
        return data, network
    if given:
        if not -math.inf < given[0] < given[1] < math.inf:
            options.wrong_usage("--input-range: LOW must be below HIGH, and both must be finite")
        metadata = {**network.model.metadata, "input_range": given}
        network = network.rebuild(network.model.replace(metadata=metadata))
    if data is not None and data.pixel_range is None:
        return data, network
    pixel_range = input_range(network.model)
    if pixel_range is None:
        raise SettingsError(
            "the model normalizes its input, so its pixel range is not 0 to 1, and cannot be found out: give it with "
            "--input-range, as in --input-range 0 255",
            argument="input_range",
        )
    if data is None:
        return data, network
    if not given:
        _check_range(data, network, pixel_range)
    if pixel_range == UNIT:
        return data, network
    print(summary_line("pixel range", f"{pixel_range[0]:g} to {pixel_range[1]:g}"))
    images = {name: in_range(getattr(data, name), pixel_range) for name in ("x_train", "x_test")}
    return dataclasses.replace(data, **images), network


def _check_range(data, network, pixel_range):
    """Raise SettingsError if the ANN is far more accurate on images in another range."""
    from .._util.validation import check_images
    from ..evaluation.heads import Classes
    from ..evaluation.task import as_task

    if not network.settings.has_rates or data.y_test is None:
        return
    parts = (data.x_test, data.y_test), (data.x_train, data.y_train)
    x, y = max(parts, key=lambda part: len(part[1]))
    if len(y) < FEWEST or y.dtype.kind != "i":
        return
    x, task = check_images(network.model, x)[:MOST], as_task(network.model, len(x), y).take(slice(MOST))
    if not isinstance(task.head, Classes):
        return
    skill = _skill(network, x, task, pixel_range)
    if skill > RIGHT:
        return
    skills = {each: _skill(network, x, task, each) for each in RANGES if each != pixel_range}
    best = max(skills, key=skills.get)
    if skills[best] > max(RIGHT, skill + BETTER):
        raise SettingsError(
            f"the model is far less accurate on pixels from {pixel_range[0]:g} to {pixel_range[1]:g} than on pixels "
            f"from {best[0]:g} to {best[1]:g}: if it was trained on those, use --input-range {best[0]:g} {best[1]:g}",
            argument="input_range",
        )


def _skill(network, x, task, pixel_range):
    """Return the accuracy of the ANN on a scale from 0, chance, to 1, perfect."""
    from ..evaluation.ann import ann_predictions_of_images
    from ..model.input_range import in_range

    chance, predictions = task.head.chance, ann_predictions_of_images(network, in_range(x, pixel_range), task.head)
    accuracy = task.image_scores(predictions).mean()
    return (accuracy - chance) / max(1 - chance, 1e-9)


def warn_of_other_data(evaluation, options):
    """Print a note if the ANN itself only guesses, and the data are those without ``--data``."""
    from ..evaluation.hints import ann_guesses

    if getattr(options, "data", None) == DEFAULT_DATA and ann_guesses(evaluation):
        print(
            summary_line("note", f"without --data, the data are the {DEFAULT_DATA}: name those of the ANN with --data")
        )
