"""Options that several commands share."""

import argparse
import pathlib

from .argument_types import at_least_zero, n_workers, natural, percentage, positive, seed_number

# the names in evaluation.backends, which takes seconds to load
BACKENDS = ("fast", "tensorflow", "nengo_dl", "nengo", "loihi")

MINIBATCH_HELP = "images simulated together (default: as many as fit into 500 MB of activity, at most 200)"
BACKEND_HELP = (
    "simulator (default: fast if it supports the network, else nengo_dl). tensorflow runs on a GPU if there is one; "
    "nengo is the reference simulator, and slow because it runs one image at a time; loihi is the emulator of the "
    "Loihi chip, needs the package nengo-loihi, and runs networks of LIF neurons"
)

# defaults of options for calibration
CALIBRATION_IMAGES = 1000
PERCENTILE = 99.9


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows the defaults of the options that have one."""

    def _get_help_string(self, action):
        no_default = action.default is None or action.default is False
        return action.help if no_default else super()._get_help_string(action)


def add_command(commands, name, run, summary, description=None, seed=0):
    """Add a command with the options that every command has, and return its parser."""
    description = description or f"{summary[0].upper()}{summary[1:]}."
    parser = commands.add_parser(name, help=summary, description=description, formatter_class=_HelpFormatter)
    parser.set_defaults(
        run=run, wrong_usage=parser.error, unrecognized=parser.unrecognized, default_of=parser.get_default
    )
    from_file = " (default: the seed in the file)" if seed is None else ""
    parser.add_argument("--seed", type=seed_number, default=seed, help=f"seed of all random numbers{from_file}")
    parser.add_argument(
        "--json",
        type=pathlib.Path,
        metavar="FILE",
        help="also write the results to a JSON file; - prints them, and the text to standard error",
    )
    parser.add_argument("--debug", action="store_true", help="show the full traceback of an error")
    return parser


def add_source(parser, command="train --neuron relu"):
    """Add the argument for the model or network to convert; ``command`` is the one that makes such networks."""
    parser.add_argument(
        "source",
        type=pathlib.Path,
        help="Keras model (.keras or .h5) or ONNX model (.onnx); a file of nengo_snnconv with a model or a network "
        f"made by '{command}'; or the name of a pretrained model such as airbench-cifar10",
    )


def add_network(parser, commands="'convert'"):
    """Add the argument for a saved network; ``commands`` are those that write such networks."""
    parser.add_argument("network", type=pathlib.Path, help=f"network file written by {commands} or nengo_snnconv.save")


def add_output(parser, optional=False):
    """Add the argument for the file to write."""
    parser.add_argument(
        "output",
        type=pathlib.Path,
        nargs="?" if optional else None,
        help="file for the network, such as my.snn.npz",
    )


def add_steps(parser, steps=None):
    """Add the options for the number of time steps; without a default, the network may define it."""
    from_network = (
        "" if steps else " (default: that for which the network was trained, balanced, calibrated or tuned, else 30)"
    )
    parser.add_argument("--steps", type=positive, default=steps, help=f"time steps for each image{from_network}")
    parser.add_argument(
        "--skip-steps", type=natural, default=0, metavar="N", help="leave the first N steps out of the class scores"
    )


def add_calibration_images(parser, default=CALIBRATION_IMAGES):
    """Add the option for the number of calibration images; None is for commands that need not calibrate."""
    parser.add_argument(
        "--calibration-images",
        type=positive,
        default=default,
        metavar="N",
        help="calibrate on the first N training images" + ("" if default else f" (default: {CALIBRATION_IMAGES})"),
    )


def add_scales(parser, quantity, percentile_with, channel_with):
    """Add the options for the scales of neurons, or for another quantity, that is chosen from activations.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    quantity : str
        Name of the quantity.
    percentile_with : str
        Option with which a percentile applies.
    channel_with : str
        Choice with which each channel has its own by default.
    """
    parser.add_argument(
        "--percentile",
        type=percentage,
        metavar="P",
        help=f"percentile of the activations, for {percentile_with}; 100 is the maximum (default: {PERCENTILE})",
    )
    parser.add_argument(
        "--per",
        choices=("layer", "channel"),
        help=f"neurons with a common {quantity} (default: channel for {channel_with}, else layer)",
    )


def add_max_loss(parser, default):
    """Add the option for the loss of accuracy that is allowed."""
    parser.add_argument(
        "--max-loss",
        type=at_least_zero,
        default=default,
        metavar="POINTS",
        help="allowed loss of accuracy in percentage points",
    )


def add_report(parser):
    """Add the option for a report."""
    parser.add_argument("--report", type=pathlib.Path, metavar="FILE", help="write a report with pictures (HTML)")


def add_minibatch_size(parser):
    """Add the option for the number of images simulated together."""
    parser.add_argument("--minibatch-size", type=positive, metavar="N", help=MINIBATCH_HELP)


def add_backend(parser):
    """Add the option for the simulator."""
    parser.add_argument("--backend", choices=BACKENDS, help=BACKEND_HELP)


def add_train_images(parser):
    """Add the option for the number of training images."""
    parser.add_argument("--train-images", type=positive, metavar="N", help="train on the first N images only")


def add_test_images(parser, help="test on the first N images only"):
    """Add the option for the number of test images."""
    parser.add_argument("--test-images", type=positive, metavar="N", help=help)


def add_simulation(parser):
    """Add the options of :func:`run_with_spikes`, except those of ``add_steps``."""
    add_test_images(parser)
    add_minibatch_size(parser)
    add_backend(parser)
    add_report(parser)


def add_evaluation(parser, steps=None):
    """Add the options of an evaluation that can be left out; without ``steps`` the network defines their number."""
    group = parser.add_argument_group("evaluation")
    group.add_argument("--no-evaluate", action="store_true", help="only write OUTPUT")
    if steps is not None:
        add_steps(group, steps)
    add_simulation(group)


def add_workers(parser):
    """Add the options that say where parallel jobs run, and where their results are kept."""
    workers = parser.add_argument_group("parallel jobs")
    workers.add_argument(
        "--jobs",
        type=n_workers,
        metavar="N",
        help="processes on this machine (default: this one, then one for each core if the jobs take long)",
    )
    workers.add_argument(
        "--dask", metavar="ADDRESS", help="run on a Dask cluster: address of its scheduler, as tcp://127.0.0.1:8786"
    )
    workers.add_argument(
        "--folder", type=pathlib.Path, help="keep results in this folder, to continue after an interruption"
    )


def workers_of(options):
    """Return the options of ``add_workers`` as arguments; end with a usage error if they exclude each other."""
    if options.jobs and options.dask:
        options.wrong_usage("--jobs cannot be combined with --dask: a Dask cluster has its own workers")
    return {"n_jobs": options.jobs, "dask": options.dask, "folder": options.folder}


def add_picture(parser):
    """Add the option for a picture of the result."""
    parser.add_argument("--picture", type=pathlib.Path, metavar="FILE", help="draw the result (.png, .svg or .pdf)")


def dependent_options(options, rules):
    """Return the options that apply only with certain values of another option, as given or with their defaults.

    Ends with a usage error if an option is given that does not apply.

    Parameters
    ----------
    options : argparse.Namespace
        Parsed options, None if not given.
    rules : dict of str to (str, dict)
        For each dependent option: the option that it depends on, and the default for each value of that option with
        which it applies.

    Returns
    -------
    dict of str
        Values of the options that apply, by name.
    """
    values = {}
    for name, (other, defaults) in rules.items():
        value, choice = getattr(options, name), getattr(options, other)
        if choice in defaults:
            values[name] = defaults[choice] if value is None else value
        elif value is not None:
            allowed = " or ".join(f"--{other} {each}" for each in defaults)
            options.wrong_usage(f"--{name.replace('_', '-')} applies to {allowed}, not to --{other} {choice}")
    return values
