"""What the commands share: their options, and the checks that come before minutes are spent."""

import argparse
import math
import os
import pathlib
import tempfile

from .._util.atomic import atomic_write, naming_errors
from ..errors import SettingsError

# the names in ..backends, which takes seconds to load
BACKENDS = ("fast", "nengo_dl", "nengo", "loihi")

MINIBATCH_HELP = "images that are simulated together (default: as many as fit into 500 MB of activity, 200 at most)"

# data sets of real recordings
RECORDED = ("n-mnist",)


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    """Shows the defaults of the options that have one."""

    def _get_help_string(self, action):
        none = action.default is None or action.default is False
        return action.help if none else super()._get_help_string(action)


def add_command(commands, name, run, summary, description=None, seed=0):
    """A parser for a command, with the options that each command has."""
    parser = commands.add_parser(name, help=summary, description=description or summary, formatter_class=_Help)
    parser.set_defaults(run=run, wrong_usage=parser.error, default_of=parser.get_default)
    own = " (default: that of the file)" if seed is None else ""
    parser.add_argument("--seed", type=seed_number, default=seed, help=f"of everything that is drawn at random{own}")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the figures there too, for machines")
    parser.add_argument("--debug", action="store_true", help="show where an error comes from")
    return parser


def add_source(parser):
    parser.add_argument(
        "source",
        type=pathlib.Path,
        help="a .keras or .h5 file of Keras, or one of ours: a model, or a network that 'train --neuron relu' made",
    )


def add_data(parser, role=""):
    parser.add_argument(
        "--data", default="digits", metavar="NAME", help=f"digits, mnist, fashion-mnist or cifar-10{role}"
    )


def add_input_range(parser):
    parser.add_argument(
        "--input-range",
        type=finite,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="range of the pixels that the model was trained on (default: what its first layer says, such as 0 255 for "
        "Rescaling(1/255), else 0 1)",
    )


def add_events(parser):
    """The data of ``add_data`` and recordings of events: real ones, or simulated ones of images."""
    add_data(parser, ", or n-mnist: recordings of events")
    parser.add_argument(
        "--events", action="store_true", help="not the images, but recordings of events that are simulated from them"
    )


def shows_recordings(options):
    """Whether the options of ``add_events`` ask for recordings."""
    if options.events and options.data in RECORDED:
        options.wrong_usage(f"--events goes with --data that are images: {options.data} is events already")
    return options.events or options.data in RECORDED


def add_steps(parser, steps=None):
    """The options that say how long images are shown; without a default, networks that know it say so."""
    own = "" if steps else " (default: as many as it was trained through or time to first spike takes, else 30)"
    parser.add_argument("--steps", type=positive, default=steps, help=f"time steps for which each image is shown{own}")
    parser.add_argument(
        "--skip-steps", type=natural, default=0, metavar="N", help="leave the first N steps out of the class scores"
    )


def add_simulation(parser):
    """The options of :func:`run_with_spikes`, but for those of ``add_steps``."""
    parser.add_argument("--test-images", type=positive, metavar="N", help="test on the first N images only")
    parser.add_argument("--minibatch-size", type=positive, metavar="N", help=MINIBATCH_HELP)
    parser.add_argument(
        "--backend",
        choices=BACKENDS,
        help="the simulator: by default fast, our own, where it covers the network, else nengo_dl; nengo, the "
        "reference, is slow: it runs one image after another; loihi, the emulator of the chip, needs nengo-loihi and a "
        "network of --neuron lif",
    )
    parser.add_argument("--report", type=pathlib.Path, metavar="FILE", help="write a report with pictures (HTML)")


def add_workers(parser):
    """The options that say where many jobs run, and where their results are kept."""
    workers = parser.add_argument_group("many at once")
    workers.add_argument(
        "--jobs",
        type=n_workers,
        metavar="N",
        help="processes on this machine (default: this one, and one for each core where it takes long)",
    )
    workers.add_argument(
        "--dask", metavar="ADDRESS", help="run on a Dask cluster: the address of its scheduler, as tcp://127.0.0.1:8786"
    )
    workers.add_argument(
        "--folder", type=pathlib.Path, help="keep each result there, so that what was interrupted goes on where it was"
    )


def workers_of(options):
    """The options of ``add_workers`` as arguments; ends with wrong usage where they cannot work together."""
    if options.jobs and options.dask:
        options.wrong_usage("--jobs is for this machine: it does not go with --dask, whose cluster has its own workers")
    return {"n_jobs": options.jobs, "dask": options.dask, "folder": options.folder}


def add_picture(parser):
    parser.add_argument("--picture", type=pathlib.Path, metavar="FILE", help="draw it (.png, .svg or .pdf)")


def check_picture(path):
    """Raise SettingsError or OSError where a picture cannot be written later on; None is no picture."""
    if path:
        check_writable(path)
        if path.suffix not in (".png", ".svg", ".pdf"):
            raise SettingsError(f"--picture draws .png, .svg or .pdf, got {path.name}")


def save_picture(axes, path):
    """Write the picture of matplotlib axes, whole or not at all."""
    with atomic_write(path, "wb") as file:
        axes.figure.savefig(file, format=path.suffix[1:], dpi=150)
    print(f"{'picture':<26} {path.resolve()}")


# the limits of the functions that are called, in ..checks, which loads NumPy
LARGEST_COUNT, LARGEST_SEED, MOST_WORKERS = 2**31 - 1, 2**32 - 1, 1024


def _whole(text, low, high):
    value = int(text)
    if value < low:
        raise argparse.ArgumentTypeError(f"must be {low} or more, got {value}")
    if value > high:
        raise argparse.ArgumentTypeError(f"must be {high} or less, got {value}")
    return value


def positive(text):
    return _whole(text, 1, LARGEST_COUNT)


def natural(text):
    return _whole(text, 0, LARGEST_COUNT)


def seed_number(text):
    return _whole(text, 0, LARGEST_SEED)


def n_workers(text):
    return _whole(text, 1, MOST_WORKERS)


def positive_or_infinite(text):
    return math.inf if text == "inf" else positive(text)


def finite(text):
    value = float(text)
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"must be a finite number, got {text}")
    return value


def above_zero(text):
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be above 0, got {text}")
    return value


def at_least_zero(text):
    value = float(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"must be 0 or more, got {text}")
    return value


def fraction(text):
    value = float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"must be 0 or more and below 1, got {text}")
    return value


def percentage(text):
    value = float(text)
    if not 0 < value <= 100:
        raise argparse.ArgumentTypeError(f"must be above 0 and at most 100, got {text}")
    return value


def companions(options, rules):
    """The options that belong to what other options say: as given, or their defaults.

    Ends with wrong usage where one is given without the option that it belongs to.

    Parameters
    ----------
    options : argparse.Namespace
    rules : dict of str to (str, dict)
        For each option, which is None if it is not given: the option that it belongs to, and the default for each
        value of that.

    Returns
    -------
    dict of str
        Only those that apply.
    """
    found = {}
    for name, (companion, defaults) in rules.items():
        value, choice = getattr(options, name), getattr(options, companion)
        if choice in defaults:
            found[name] = defaults[choice] if value is None else value
        elif value is not None:
            wanted = " or ".join(f"--{companion} {each}" for each in defaults)
            options.wrong_usage(f"--{name.replace('_', '-')} goes with {wanted}, not with --{companion} {choice}")
    return found


def check_distinct(options, **paths):
    """End with wrong usage where two of the files are one, which would be lost; a file that is not given is None."""
    seen = {}
    for name, path in paths.items():
        if path is not None and (other := seen.setdefault(path.resolve(), name)) != name:
            options.wrong_usage(f"{name} is the same file as {other}: give it another name")


def check_writable(path):
    """Raise SettingsError or OSError where a file cannot be written later on; makes its folder."""
    try:
        if path.is_dir():
            raise SettingsError(f"{path} is a folder: name a file in it")
        if path.exists() and not path.is_file():
            raise SettingsError(f"{path} is no ordinary file: name one that can be replaced")
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent)
    except OSError as error:
        # the error may name a temporary file that the user knows nothing of
        with naming_errors(path, error.filename):
            raise
    os.close(handle)
    os.unlink(temporary)
