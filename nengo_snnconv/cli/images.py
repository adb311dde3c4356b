"""Images of a data set by name, in the range of pixels that a model was trained on."""

import dataclasses
import math

from ..errors import SettingsError

# images that tell whether a range is right, at least and at most; ranges that may be meant
FEWEST, MOST = 50, 200
RANGES = ((0.0, 1.0), (0.0, 255.0), (-1.0, 1.0))
# share of the way from chance to perfect below which a model is taken to guess, and above which it does not
GUESSES, KNOWS = 0.1, 0.5


def in_range_of(data, network, options):
    """Return the data in the range of pixels that the network's model was trained on, and the network that knows it.

    That is the range of ``--input-range``, or the one that the model's first layers tell.  Where the model only guesses
    on such images, but knows them in another range, there is an error that says so: scales that were found on wrong
    images would spoil the network.

    Parameters
    ----------
    data : Dataset or None
        Of images in [0, 1]; recordings are returned as they are.
    network : ConvNetwork
    options : argparse.Namespace
        Those of ``add_input_range``.

    Returns
    -------
    Dataset or None, ConvNetwork
    """
    from ..model.input_range import UNIT, in_range, input_range

    given = options.input_range
    if data is not None and hasattr(data.x_train, "sensor"):
        if given:
            options.wrong_usage("--input-range is for images, not for recordings of events")
        return data, network
    if given:
        if not -math.inf < given[0] < given[1] < math.inf:
            options.wrong_usage("--input-range: LOW must be below HIGH, and both finite")
        metadata = {**network.model.metadata, "input_range": given}
        network = network.rebuild(network.model.replace(metadata=metadata))
    wanted = input_range(network.model)
    if wanted is None:
        raise SettingsError(
            "the model normalizes its input, which was not in the range from 0 to 1, but which range it was cannot be "
            "told: say it, as in --input-range 0 255"
        )
    if data is None:
        return data, network
    if not given:
        _check_range(data, network, wanted)
    if wanted == UNIT:
        return data, network
    print(f"{'range of pixels':<26} {wanted[0]:g} to {wanted[1]:g}")
    images = {name: in_range(getattr(data, name), wanted) for name in ("x_train", "x_test")}
    return dataclasses.replace(data, **images), network


def _check_range(data, network, wanted):
    """Raise SettingsError where the ANN guesses on images in one range, and knows them in another one."""
    from .._util.validation import check_data

    if not network.settings.has_rates:
        return
    parts = (data.x_test, data.y_test), (data.x_train, data.y_train)
    x, y = max(parts, key=lambda part: len(part[1]))
    if len(y) < FEWEST:
        return
    check_data(network.model, x, y)
    share = _knowledge(network, x[:MOST], y[:MOST], wanted)
    if share > GUESSES:
        return
    others = [each for each in RANGES if each != wanted]
    known = {each: _knowledge(network, x[:MOST], y[:MOST], each) for each in others}
    best = max(known, key=known.get)
    if known[best] > KNOWS:
        raise SettingsError(
            f"the model guesses where pixels are from {wanted[0]:g} to {wanted[1]:g}, but is right where they are from "
            f"{best[0]:g} to {best[1]:g}: say so with --input-range {best[0]:g} {best[1]:g}"
        )


def _knowledge(network, x, y, wanted):
    """Return how far the ANN's accuracy is on the way from chance, 0, to 1."""
    from ..evaluation.ann import ann_predictions_of_images
    from ..model.input_range import in_range

    chance = 1 / network.model.size(network.model.output)
    accuracy = (ann_predictions_of_images(network, in_range(x, wanted)) == y).mean()
    return (accuracy - chance) / max(1 - chance, 1e-9)


def remark_on_accuracy(evaluation):
    """Print a note where the ANN itself guesses."""
    if evaluation.ann_accuracy is None or len(evaluation.y) < FEWEST:
        return
    chance = 1 / evaluation.scores.shape[1]
    if evaluation.ann_accuracy < chance + GUESSES * (1 - chance):
        print(
            f"{'note':<26} the ANN itself does little more than guess: were images scaled (--input-range) and classes "
            "numbered as in training?"
        )
