"""Options for data, and the data that they name: images by name, from a file or a folder, or event recordings."""

import contextlib

from .._util.text_tables import summary_line
from ..errors import SettingsError, listed
from .argument_types import above_zero, finite, names

# data sets of real event recordings, and of images; the latter as in data.datasets, which takes long to load
RECORDED = ("n-mnist",)
IMAGES = ("digits", "mnist", "fashion-mnist", "cifar-10")
DEFAULT_DATA = "digits"


def complete_data(prefix, **_):
    """Return the data sets, files and folders whose names begin with ``prefix``, for shells."""
    from argcomplete.completers import FilesCompleter

    return [*(name for name in (*IMAGES, *RECORDED) if name.startswith(prefix)), *FilesCompleter(("npz",))(prefix)]


def add_data(parser, role="", default=DEFAULT_DATA):
    """Add the options for a data set; ``role`` says how it is used, after its possible names."""
    option = parser.add_argument(
        "--data",
        default=default,
        metavar="NAME",
        help="digits, mnist, fashion-mnist or cifar-10; or your own images: an .npz file with the arrays x_train, "
        "y_train, x_test and y_test (or x and y, or x_test and y_test), or a folder of pictures with a subfolder for "
        f"each class; without labels or subfolders, the agreement with the ANN is measured{role}",
    )
    option.completer = complete_data  # for argcomplete
    parser.add_argument(
        "--scale",
        type=above_zero,
        metavar="X",
        help="divide the pixels of your own images by X, and use the result as it is (default: integers become numbers "
        "in the range that the model expects)",
    )
    parser.add_argument(
        "--class-names",
        type=names,
        metavar="A,B,...",
        help="names of the classes, in the order of the model's outputs (default: those of the data, in alphabetical "
        "order); labels and folders with these names get their numbers",
    )


def add_input_range(parser):
    """Add the option for the range of pixel values."""
    parser.add_argument(
        "--input-range",
        type=finite,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="range of pixel values that the model was trained on (default: the range implied by its first layer, such "
        "as 0 255 for Rescaling(1/255), else 0 1)",
    )


def add_events(parser):
    """Add the options for images, or for event recordings, real or simulated."""
    add_data(parser, "; or n-mnist (event recordings)")
    parser.add_argument("--events", action="store_true", help="use event recordings simulated from the images")


def uses_recordings(options):
    """Return True if the options of ``add_events`` select event recordings."""
    recorded = options.data in RECORDED
    if options.events and recorded:
        options.wrong_usage(f"--events simulates recordings of images: {options.data} holds event recordings already")
    if options.class_names and recorded:
        options.wrong_usage(f"--class-names is for images of your own: {options.data} has names")
    if options.scale and (options.events or recorded):
        options.wrong_usage("--scale is for images, not for event recordings")
    return options.events or recorded


def load_images(options, train, test, model=None, *, may_lack_training=False):
    """Return the first images of the Dataset that the options of ``add_data`` name, in the shape of a model's input.

    Parameters
    ----------
    options : argparse.Namespace
    train, test : int or None
        Numbers of images.
    model : Model, optional
        Model for which pictures are resized, and which the data must fit.
    may_lack_training : bool
        Accept files with test images only, also if ``train`` is more than 1.
    """
    import dataclasses

    from .. import load_dataset

    if model is not None and len(model.inputs) > 1:
        names = listed(model.inputs, 8)
        arrays = ", ".join(f'"{name}": ...' for name in model.inputs)
        raise SettingsError(
            f"the model has {len(model.inputs)} inputs, {names}, and the command line takes one: use Python, as in "
            f"evaluate(to_spiking(convert(model)), {{{arrays}}}, y)",
            argument="data",
        )
    axes, shape = _axes(model)
    data = load_dataset(options.data, train=train, test=test, shape=shape, scale=options.scale)
    if not len(data.x_train) and train != 1 and not may_lack_training:
        raise SettingsError(
            f"{data.name} has test images only, and this command needs training images: add the arrays x_train and "
            "y_train",
            argument="data",
        )
    if data.note:
        print(summary_line("split", data.note))
    data = _with_names(data, options, model)
    if data.y_test is None:
        if model is None:
            raise SettingsError(
                f"{data.name} has no labels, which training needs: put pictures into a subfolder for each class, or "
                "arrays y_train and y_test beside x_train and x_test",
                argument="data",
            )
        print(summary_line("labels", "none: the predictions are compared with those of the ANN"))
    _check_scale(data, options, model)
    if axes is not None and data.x_test.ndim == 4:
        order = (0, *(1 + axes.index(axis) for axis in range(3)))
        data = dataclasses.replace(data, x_train=data.x_train.transpose(order), x_test=data.x_test.transpose(order))
    if model is not None:
        _check_images(data, options, model)
    return data


def _with_names(data, options, model):
    """Return the data with the names of the option; print a note if the data have fewer classes than the model."""
    import dataclasses

    known = len(data.class_names)
    single = model is not None and len(model.outputs) == 1
    expected = max(model.size(model.output), 2) if single else known  # one output tells two classes apart
    if options.class_names is not None:
        if len(options.class_names) != expected:
            of = "model has" if single else "data have"
            raise SettingsError(
                f"--class-names has {len(options.class_names)} names, and the {of} {expected} classes",
                argument="class_names",
            )
        numbers = _numbers_by_name(data, options)
        if numbers is not None:
            labels = {name: numbers[getattr(data, name)] for name in ("y_train", "y_test")}
            data = dataclasses.replace(data, **labels)
        return dataclasses.replace(data, class_names=options.class_names)
    if data.y_test is not None and 0 < known < expected:
        classes = "class" if known == 1 else "classes"
        note = f"{data.name} has {known} {classes} and the model {expected}; they get the numbers 0, 1, ... in order. "
        print(summary_line("note", note + "Pictures that are in no subfolder have no labels"))
    return data


def _numbers_by_name(data, options):
    """Return the numbers in --class-names of the classes that the user's data name, an array; None for other names."""
    import numpy as np

    own, given = data.class_names, list(options.class_names)
    numbered = own == tuple(map(str, range(len(own))))
    if data.y_test is None or not _is_own(options) or numbered or not set(own) & set(given):
        return None
    if missing := [name for name in own if name not in given]:
        raise SettingsError(
            f"--class-names lacks {listed(missing)}, which {data.name} has: name all of its classes, in the order of "
            "the model's outputs",
            argument="class_names",
        )
    return np.array([given.index(name) for name in own])


def _check_scale(data, options, model):
    """Raise SettingsError if the pixels of the user's own images are larger than a network expects."""
    from ..model.input_range import UNIT, input_range

    if data.pixel_range is not None or options.scale is not None:
        return
    given = getattr(options, "input_range", None)
    expected = given or (UNIT if model is None else input_range(model))
    lowest, highest = float(data.x_test.min()), float(data.x_test.max())
    if expected is not None and lowest >= 0 and highest > expected[1]:
        raise SettingsError(
            f"{data.name} has pixels from {lowest:g} to {highest:g}, and the network expects {expected[0]:g} to "
            f"{expected[1]:g}: divide them with --scale, such as --scale 255, or keep them with --scale 1",
            argument="scale",
        )


@contextlib.contextmanager
def naming_data(options):
    """Let errors of images and labels that do not fit a network name both, and the option for other data."""
    try:
        yield
    except SettingsError as error:
        if error.argument not in ("x", "y"):
            raise
        files = [getattr(options, name, None) for name in ("network", "source", "start")]
        file = next((each for each in files if each is not None), "the network")
        name = f"{options.data}, as events," if getattr(options, "events", False) else options.data
        way_out = "" if _is_own(options) else ": name the data of the network with --data"
        raise SettingsError(f"the data set {name} does not fit {file}: {error}{way_out}", argument="data") from error


def _is_own(options):
    """Return whether --data names files of the user."""
    return options.data not in (*IMAGES, *RECORDED)


def _check_images(data, options, model):
    """Raise SettingsError if images or labels do not fit a model."""
    from .._util.validation import check_images
    from ..evaluation.task import as_task

    if not _is_own(options):
        _check_shape(data.x_test.shape[1:], options, model)
    with naming_data(options):
        for x in (data.x_test, data.x_train):
            if len(x):
                check_images(model, x)
        if not getattr(options, "no_evaluate", False):
            as_task(model, len(data.x_test), data.y_test)


def _check_shape(shape, options, model, items="images"):
    """Raise SettingsError if images, or frames of recordings, have another shape than the input of a model."""
    expected = model.shapes[model.input]
    with naming_data(options):
        if shape != expected:
            raise SettingsError(f"its {items} have shape {shape}, and the network takes {expected}", argument="x")


def _axes(model):
    """Return the axes of a model's input in the order height, width, channel, and its shape in this order."""
    from ..model.image_axes import image_axes

    if model is None:
        return None, None
    shape = model.shapes[model.input]
    axes = image_axes(model, model.input)
    return (axes if len(axes) == 3 else None), tuple(shape[axis] for axis in axes)


def load_data(options, train, test, model=None):
    """Return the first items of the data selected by ``add_events``: a Dataset, whose x may be Recordings."""
    from .. import load_events, simulate_recordings
    from ..data.datasets import Dataset
    from ..training.comparison import simulated_events

    if options.data in RECORDED:
        events = load_events(options.data, train=train, test=test)
        recordings = events.test
    else:
        images = load_images(options, train, test, None if options.events else model)
        if not options.events:
            return images
        recordings = simulate_recordings(images.x_test[:1], images.y_test[:1], progress=False)
    if model is not None:
        _check_shape((*recordings.sensor, 2), options, model, "frames")
    if options.events:
        events = simulated_events(images, options.seed or 0)
    parts = events.train, events.train.labels, events.test, events.test.labels
    return Dataset(events.name, *parts, events.class_names)
