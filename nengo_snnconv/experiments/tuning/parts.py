"""Parts of the images of tune: one calibrates, one chooses the settings, and one reports their loss."""

import dataclasses

import numpy as np

from ..._util.validation import is_number, shown
from ...errors import SettingsError
from ...evaluation.task import as_task
from ...inputs import as_images, as_pair, check_pair

# largest number of calibration images that are taken from the images to tune on, and their largest share
N_CALIBRATION, CALIBRATION_SHARE = 1000, 1 / 3


@dataclasses.dataclass(frozen=True, eq=False)
class Parts:
    """Images for each purpose; no image has two.

    Attributes
    ----------
    selection, report : (ndarray, Task)
        Images and their task that choose the settings, and those that report their loss.
    calibration : ndarray or None
        Calibration images; None if the network needs none.
    own_calibration : bool
        True if the calibration images were taken from the images to tune on.
    report_images : ndarray of int, or None
        Indices of the report images among the images to tune on; None if they are others.
    """

    selection: tuple
    report: tuple
    calibration: np.ndarray | None
    own_calibration: bool
    report_images: np.ndarray | None


def split_parts(model, x, y, x_calibration, report_split, report_data, seed, *, calibrates):
    """Return the Parts of the images; ``tune`` documents the arguments.

    Parameters
    ----------
    calibrates : bool
        True if the network needs calibration images, so that some of ``x`` are set aside if there are no others.
    """
    x, task = _check_data(model, x, y)
    if not is_number(report_split) or not 0 < report_split < 1:
        raise SettingsError(
            f"report_split must be a share of the images, above 0 and below 1, got {shown(report_split)}",
            argument="report_split",
        )
    report = None if report_data is None else _check_report_data(model, report_data, task)
    rng, own_calibration = np.random.default_rng(seed), calibrates and x_calibration is None
    least = 1 + own_calibration + (report is None)
    if len(x) < least:
        raise SettingsError(
            f"x: tune needs at least {least} images, to choose settings on some and to measure their loss on others, "
            f"got {len(x)}",
            argument="x",
        )
    chosen, others = np.arange(len(x)), None
    if own_calibration:
        chosen, ours = stratified(_classes(task, x), min(N_CALIBRATION / len(x), CALIBRATION_SHARE), rng)
        x_calibration = x[ours]
    if report is None:
        ours, others = stratified(_classes(task, x)[chosen], report_split, rng)
        chosen, others = chosen[ours], chosen[others]
        report = x[others], task.take(others)
    calibration = x_calibration if calibrates else None
    return Parts((x[chosen], task.take(chosen)), report, calibration, own_calibration, others)


def _classes(task, x):
    """Return the class of each image, 0 for all that have none."""
    for each in task.parts.values() or [task]:  # the first output with classes
        if each.labelled and each.y.ndim == 1:
            return each.y
    return np.zeros(len(x), int)


def _check_report_data(model, report_data, task):
    check_pair(report_data, "report_data")
    try:
        x, found = _check_data(model, *as_pair(report_data))
    except SettingsError as error:
        raise SettingsError(f"report_data: {error}", argument="report_data") from error
    if (found.head.kind, found.labelled) != (task.head.kind, task.labelled):
        raise SettingsError(
            f"report_data must have a y like that of the other images: {_described(task)}; got {_described(found)}",
            argument="report_data",
        )
    return x, found


def _described(task):
    return task.head.kind if task.labelled else f"{task.head.kind}, without y"


def _check_data(model, x, y):
    x, y = as_images(model, x, y)
    return x, as_task(model, len(x), y)


def stratified(y, share, rng):
    """Split images at random into two parts with about the same shares of each class.

    Parameters
    ----------
    y : ndarray of int, (images,)
        Classes.
    share : float
        Share of the images in the second part; both parts have at least one image.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray, ndarray
        Indices of the images of both parts, in random order.
    """
    n_second = int(np.clip(round(share * len(y)), 1, len(y) - 1))
    order = rng.permutation(len(y))
    by_class = order[np.argsort(y[order], kind="stable")]
    # evenly spaced positions in the images sorted by class
    second = np.isin(order, by_class[(np.arange(n_second) * len(y) + len(y) // 2) // n_second])
    return order[~second], order[second]
