"""The command convert: from a trained ANN to a spiking network, after Diehl et al. 2015."""

import pathlib
import zipfile

from ..errors import SettingsError
from .evaluation import run_with_spikes
from .images import in_range_of
from .options import (
    above_zero,
    add_command,
    add_data,
    add_input_range,
    add_simulation,
    add_source,
    add_steps,
    check_distinct,
    check_writable,
    companions,
    finite,
    percentage,
    positive,
    positive_or_infinite,
)

# options that say something only beside certain values of another one, with their defaults there
NORMALIZATION = {
    "calibration_images": ("method", {"data": 1000, "balance": 1000}),
    "percentile": ("method", {"data": 99.9}),
    "per": ("method", {"data": "layer", "model": "layer", "balance": "channel"}),
    "balance_steps": ("method", {"balance": None}),
}
NEURON = {
    "reset": ("neuron", {"if": "subtract"}),
    "initial_potential": ("neuron", {"if": 0.5}),
    "max_spikes": ("neuron", {"if": 1}),
}
INPUT = {"input_threshold": ("input", {"poisson": 1.0})}


def add_convert(commands):
    summary = "convert a trained Keras model or ANN to a spiking network, save it, and run it with spikes"
    description = (
        "Convert a trained ANN to a spiking network, after Diehl et al. 2015: read it, scale its weights so that "
        "activations fit firing rates, put spiking neurons in the place of rectifiers, save the network, and run it on "
        "the test images."
    )
    parser = add_command(commands, "convert", convert, summary, description)
    add_source(parser)
    parser.add_argument("output", type=pathlib.Path, nargs="?", help="file for the network, such as my.snn.npz")
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="only say what would become of each layer; exit code 1 if one is refused",
    )
    add_data(parser, "; its training images calibrate, its test images test")
    add_input_range(parser)

    scaling = parser.add_argument_group("scaling of the weights")
    scaling.add_argument(
        "--method",
        choices=("data", "model", "balance", "none"),
        default="data",
        help="by activations on data, by the weights alone, by least error in a number of steps, or not at all",
    )
    scaling.add_argument(
        "--calibration-images",
        type=positive,
        metavar="N",
        help="take the first N training images (default: 1000)",
    )
    scaling.add_argument(
        "--percentile",
        type=percentage,
        metavar="P",
        help="of the activations, for data; 100: the largest (default: 99.9)",
    )
    scaling.add_argument(
        "--per", choices=("layer", "channel"), help="what shares a scale (default: channel for balance, else layer)"
    )
    scaling.add_argument(
        "--balance-steps", type=positive, metavar="N", help="steps to balance for (default: those of --steps)"
    )

    neurons = parser.add_argument_group("neurons")
    neurons.add_argument(
        "--neuron",
        choices=("if", "lif", "spiking-relu"),
        default="if",
        help="IntegrateAndFire, nengo.LIF(min_voltage=-5) or nengo.SpikingRectifiedLinear",
    )
    neurons.add_argument(
        "--reset", choices=("subtract", "zero"), help="of the potential after a spike, for if (default: subtract)"
    )
    neurons.add_argument("--initial-potential", type=finite, metavar="V", help="in thresholds, for if (default: 0.5)")
    neurons.add_argument(
        "--max-spikes", type=positive_or_infinite, metavar="N", help="most in a step, or inf, for if (default: 1)"
    )
    neurons.add_argument(
        "--input", choices=("constant", "poisson"), default="constant", help="images as current or as random spikes"
    )
    neurons.add_argument(
        "--input-threshold",
        type=above_zero,
        metavar="X",
        help="pixel value that spikes in each step, for poisson (default: the largest one of the range of pixels)",
    )
    neurons.add_argument(
        "--readout",
        choices=("potential", "spikes"),
        default="potential",
        help="class scores are the output's membrane potential, or the spikes of output neurons",
    )

    simulation = parser.add_argument_group("run with spikes")
    simulation.add_argument("--no-evaluate", action="store_true", help="do not run it, only write OUTPUT")
    add_steps(simulation, 40)
    add_simulation(simulation)


def convert(options):
    """The ``convert`` command."""
    from .. import convert as convert_network
    from .. import save, to_spiking
    from ..model.input_range import input_range

    scaling, neuron, coding = (companions(options, rules) for rules in (NORMALIZATION, NEURON, INPUT))
    if options.method == "balance":
        scaling["balance_steps"] = options.balance_steps or options.steps
    check_distinct(options, source=options.source, output=options.output, report=options.report, json=options.json)
    if options.dry_run:
        return _dry_run(options.source)
    _check_usage(options)
    neuron_type = _neuron_type(options.neuron, neuron)
    network = convert_network(opened(options.source), seed=options.seed)
    data, network = data_for(options, network, scaling.get("calibration_images"))
    print_reading(options.source, network.model)
    if options.method != "none":
        network = _normalized(network, data, options.method, scaling)
    if "input_threshold" in coding and options.input_threshold is None:
        coding["input_threshold"] = max(map(abs, input_range(network.model)))  # the largest pixel spikes in each step
    network = to_spiking(network, neuron_type, input_coding=options.input, readout=options.readout, **coding)
    save(network, options.output)
    print(f"{'network':<26} {options.output}")
    metadata = network.model.metadata
    figures = {"network": str(options.output), "reading": metadata.get("reading"), "scales": metadata.get("scales")}
    if options.no_evaluate:
        return figures
    print(f"Running it with spikes, {options.steps} steps for each of {len(data.x_test):,} test images:", flush=True)
    title = f"{options.source.name}, converted, on {options.data}"
    run = {"source": options.source, "method": options.method, **scaling}
    return {**figures, **run_with_spikes(network, data, options, title, run).to_dict()}


def _dry_run(source):
    """Print what would become of each layer; the layers that are refused are among the figures."""
    from .. import convert as convert_network
    from .. import inspect_keras
    from .._util.text_tables import reading_table, text_table

    content = opened(source)
    if content is source:
        reading = inspect_keras(source)
        refused = [row["layer"] for row in reading if row["status"] == "refused"]
        if refused:
            print(text_table(reading_table(reading)))
            return {"reading": reading, "refused": refused}
    network = convert_network(content)
    print(network.report())
    return {"reading": network.model.metadata.get("reading"), "refused": []}


def _check_usage(options):
    if options.output is None:
        options.wrong_usage("OUTPUT is needed: the file to write (or --dry-run, which writes none)")
    if options.no_evaluate and options.method != "balance" and options.steps != options.default_of("steps"):
        options.wrong_usage("--steps does not go with --no-evaluate, unless thresholds are balanced for them")
    check_output(options)


def check_output(options):
    """End where files cannot be written, or where options of the evaluation are given and there is none."""
    for name in ("report", "test_images", "backend", "minibatch_size", "skip_steps"):
        if options.no_evaluate and getattr(options, name) != options.default_of(name):
            options.wrong_usage(f"--{name.replace('_', '-')} does not go with --no-evaluate")
    check_writable(options.output)
    if options.report:
        check_writable(options.report)


def opened(path):
    """What a file of ours holds; the path itself of any other file."""
    from .. import load

    return load(path) if _is_own(path) else path


def _is_own(path):
    if path.suffix == ".npz":
        return True
    try:
        with zipfile.ZipFile(path) as archive:
            return "description.json.npy" in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False  # what reads files of Keras says what is wrong with it


def _neuron_type(name, arguments):
    import nengo

    from .. import IntegrateAndFire

    if name == "lif":
        return nengo.LIF(min_voltage=-5)
    if name == "spiking-relu":
        return nengo.SpikingRectifiedLinear(amplitude=0.001)
    return IntegrateAndFire(**arguments)


def data_for(options, network, n_calibration=None):
    """The images that are needed, None if there are none, and the network; raises where they do not fit."""
    from .. import load_dataset
    from .._util.validation import check_data, check_images

    model = network.model
    if options.no_evaluate and not n_calibration:
        return in_range_of(None, network, options)
    n_test = 1 if options.no_evaluate else options.test_images
    data = load_dataset(options.data, train=n_calibration or 1, test=n_test)
    try:
        check_images(model, data.x_train)
        if not options.no_evaluate:
            check_data(model, data.x_test, data.y_test)
    except SettingsError as error:
        raise SettingsError(f"the data set {options.data} does not fit {options.source}: {error}") from error
    return in_range_of(data, network, options)


def _normalized(network, data, method, scaling):
    """The network with scaled weights; prints the scales."""
    from .. import normalize
    from ..report import scale_range

    names = {"percentile": "percentile", "per": "per", "balance_steps": "n_steps"}
    arguments = {names[name]: value for name, value in scaling.items() if name in names}
    network = normalize(network, data.x_train if method != "model" else None, method=method, **arguments)
    for name, scales in network.model.metadata["scales"].items():
        print(f"{'scale of ' + name:<26} {scale_range(scales)}")
    return network


def print_reading(source, model):
    """Print what was read that was not exact."""
    reading = model.metadata.get("reading", [])
    print(f"{'read':<26} {source.name}: {len(reading or model.layers)} layers")
    for row in reading:
        if row["status"] != "exact":
            print(f"{row['status']:<26} {row['layer']} ({row['class']}): {row['remark']}")
