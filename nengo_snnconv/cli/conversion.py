"""The command convert: convert a trained ANN to a spiking network (Diehl et al. 2015)."""

import argparse
import contextlib
import zipfile

from .._util.text_tables import counted, quantization_table, reading_table, summary_line, text_table
from ..errors import SettingsError
from .argument_types import above_zero, finite, positive, positive_or_infinite
from .data import add_data, add_input_range, load_images
from .evaluation import run_with_spikes
from .files import check_distinct, check_network_file, check_writable, save_network
from .options import (
    CALIBRATION_IMAGES,
    PERCENTILE,
    add_calibration_images,
    add_command,
    add_evaluation,
    add_output,
    add_scales,
    add_source,
    dependent_options,
)
from .pixel_range import in_range_of

# options that apply only with certain values of another one, with their defaults
NORMALIZATION = {
    "calibration_images": ("method", dict.fromkeys(("data", "balance"), CALIBRATION_IMAGES)),
    "percentile": ("method", {"data": PERCENTILE}),
    "per": ("method", {"data": "layer", "model": "layer", "balance": "channel"}),
    "balance_steps": ("method", {"balance": None}),
}
NEURON = {
    "reset": ("neuron", {"if": "subtract"}),
    "initial_potential": ("neuron", {"if": 0.5, "signed-if": 0.5}),
    "max_spikes": ("neuron", {"if": 1, "signed-if": 1}),
}
NEURONS = ("if", "signed-if", "lif", "spiking-relu")
ERROR_IMAGES = 200  # on which the error of integer weights is measured
INPUT = {"input_threshold": ("input", {"poisson": None})}


def add_convert(commands):
    """Add the command convert."""
    summary = "convert a trained Keras or ONNX model to a spiking network, save it, and evaluate it"
    description = (
        "Convert a trained ANN to a spiking network (Diehl et al. 2015): read it, normalize its weights so that "
        "activations fit the range of firing rates, replace rectifiers by spiking neurons, save the network, and "
        "evaluate it on the test images."
    )
    parser = add_command(commands, "convert", convert, summary, description)
    add_source(parser)
    add_output(parser, optional=True)
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="only print how each layer would be converted; exit code 1 if one is refused",
    )
    add_data(parser, "; training images calibrate, test images evaluate")
    add_input_range(parser)

    _add_normalization(parser)
    _add_neurons(parser)
    _add_calibration(parser)
    _add_weights(parser)
    add_evaluation(parser, steps=40)


def _add_normalization(parser):
    scaling = parser.add_argument_group("normalization of the weights")
    scaling.add_argument(
        "--method",
        choices=("data", "model", "balance", "none"),
        default="data",
        help="data: from activations on data; model: from the weights alone; balance: smallest error for a number of "
        "steps; none: keep the weights",
    )
    add_calibration_images(scaling, default=None)
    add_scales(scaling, "scale", "--method data", "balance")
    scaling.add_argument(
        "--balance-steps",
        type=positive,
        metavar="N",
        help="time steps to balance for (default: --steps; tune tries several)",
    )


def _add_neurons(parser):
    neurons = parser.add_argument_group("neurons")
    neurons.add_argument(
        "--neuron",
        choices=NEURONS,
        default="if",
        help="neuron type: IntegrateAndFire, SignedIntegrateAndFire (fewer steps for deep networks), "
        "nengo.LIF(min_voltage=-5) or nengo.SpikingRectifiedLinear; replaces the neurons of a network that spikes, too",
    )
    neurons.add_argument(
        "--neuron-of",
        type=_layer_and_neuron,
        action="append",
        default=[],
        metavar="LAYER=TYPE",
        help="neuron type of one layer, as conv1=lif, by the name of the layer with weights or of its activation; may "
        "be repeated. The options below are for --neuron",
    )
    neurons.add_argument(
        "--reset",
        choices=("subtract", "zero"),
        help="reset of the potential after a spike, for --neuron if (default: subtract)",
    )
    neurons.add_argument(
        "--initial-potential",
        type=finite,
        metavar="V",
        help="initial potential in thresholds, for --neuron if or signed-if (default: 0.5)",
    )
    neurons.add_argument(
        "--max-spikes",
        type=positive_or_infinite,
        metavar="N",
        help="largest number of spikes in a step, or inf, for --neuron if or signed-if (default: 1)",
    )
    neurons.add_argument(
        "--input",
        choices=("constant", "poisson"),
        default="constant",
        help="images as constant currents or as random spikes",
    )
    neurons.add_argument(
        "--input-threshold",
        type=above_zero,
        metavar="X",
        help="pixel value that spikes in every step, for --input poisson (default: the largest of the pixel range)",
    )
    neurons.add_argument(
        "--readout",
        choices=("potential", "spikes"),
        default="potential",
        help="class scores: membrane potentials of the output, or spikes of output neurons",
    )


def _add_calibration(parser):
    group = parser.add_argument_group("correction for few steps")
    group.add_argument(
        "--calibrate",
        action="store_true",
        help="correct weights and thresholds for --steps, on the calibration images",
    )
    group.add_argument(
        "--split",
        type=positive,
        default=1,
        metavar="N",
        help="replace each neuron that reads the image by N neurons, which together emit up to N spikes a step; more "
        "accurate in few steps. Needs --calibrate, and --neuron if or signed-if (default: 1)",
    )


def _add_weights(parser):
    group = parser.add_argument_group("integer weights")
    group.add_argument(
        "--bits",
        type=int,
        choices=range(2, 9),
        metavar="N",
        help="round weights to integers of N bits, 2 to 8, with a scale for each output channel, as chips store them",
    )


def convert(options):
    """Run the command convert, and return its results."""
    from .. import calibrate, split_neurons, to_spiking
    from .. import convert as convert_network

    scaling, neuron, coding = (dependent_options(options, rules) for rules in (NORMALIZATION, NEURON, INPUT))
    if options.method == "balance":
        scaling["balance_steps"] = options.balance_steps or options.steps
    check_distinct(options, source=options.source, output=options.output, report=options.report, json=options.json)
    if options.dry_run:
        return _dry_run(options.source)
    _check_usage(options)
    neuron_type = _neuron_type(options.neuron, neuron)
    if options.neuron_of:
        of_layers = {layer: _neuron_type(name, {}) for layer, name in options.neuron_of}
        neuron_type = {"*": neuron_type, **of_layers}
    source = load_source(options.source)
    network = convert_network(source, seed=options.seed)
    n_calibration = scaling.get("calibration_images", CALIBRATION_IMAGES if options.calibrate else None)
    data, network = data_for(options, network, n_calibration)
    print_reading(options.source, network.model)
    if options.method != "none":
        network = _normalized(network, data, options.method, scaling)
    if options.split > 1:
        several = _neuron_type(options.neuron, {**neuron, "max_spikes": options.split})
        neuron_type = {"*": neuron_type, **dict.fromkeys(network.model.first_neurons, several)}
    network = to_spiking(network, neuron_type, input_coding=options.input, readout=options.readout, **coding)
    _print_neurons(network, source, options)
    if options.split > 1:
        names = split_neurons(network).model.metadata["split"]["neurons"]  # raises errors before the calibration
        print(summary_line("split", f"{options.split} neurons in place of each in {', '.join(names)}"))
    if options.calibrate:
        network = calibrate(network, data.x_train, n_steps=options.steps)
    if options.split > 1:
        network = split_neurons(network)
    if options.bits is not None:
        network = _quantized(network, data, options.bits)
    save_network(network, options.output)
    metadata = network.model.metadata
    results = {"network": str(options.output), "reading": metadata.get("reading"), "scales": metadata.get("scales")}
    if options.bits is not None:
        results["quantization"] = metadata["quantization"]
    if options.no_evaluate:
        return results
    print(
        f"Evaluating it, {counted(options.steps, 'time step')} for each of {counted(len(data.x_test), 'test image')}:",
        flush=True,
    )
    title = f"{options.source.name}, converted, on {options.data}"
    run = {"source": options.source, "method": options.method, **scaling}
    if options.calibrate:
        run["calibrated for"] = counted(options.steps, "step")
    if options.split > 1:
        run["first layer split into"] = options.split
    if options.bits is not None:
        run["weights"] = f"{options.bits} bits"
    return {**results, **run_with_spikes(network, data, options, title, run).to_dict()}


def _dry_run(source):
    """Print how each layer would be converted; the results name the layers that are refused."""
    from .. import convert as convert_network
    from .. import inspect_model

    content = load_source(source)
    if content is source:
        reading = inspect_model(source)
        refused = [row["layer"] for row in reading if row["status"] == "refused"]
        if refused:
            print(text_table(reading_table(reading)))
            return {"reading": reading, "refused": refused}
    network = convert_network(content)
    print(network.report())
    return {"reading": network.model.metadata.get("reading"), "refused": []}


def _check_usage(options):
    """End with a usage error, or raise one, if options exclude each other or files cannot be written."""
    if options.output is None:
        options.wrong_usage("OUTPUT, the file to write, is required without --dry-run")
    needs_steps = options.method == "balance" or options.calibrate
    if options.no_evaluate and not needs_steps and options.steps != options.default_of("steps"):
        options.wrong_usage("--steps applies with --no-evaluate only for --method balance and --calibrate")
    if options.calibrate and options.input == "poisson":
        options.wrong_usage("--calibrate needs the same input in every step: leave --input poisson out")
    if options.split > 1:
        _check_split(options)
    check_output(options)


def _check_split(options):
    """End with a usage error if other options exclude --split."""
    if not options.calibrate:
        options.wrong_usage("--split needs --calibrate, which chooses thresholds for several spikes in a step")
    if options.neuron not in ("if", "signed-if") or options.reset == "zero":
        options.wrong_usage("--split needs --neuron if or signed-if, with reset by subtraction")
    if options.neuron_of:
        options.wrong_usage("--split chooses the neurons of layers that read the image: leave --neuron-of out")


def check_output(options):
    """Check that output files can be written, and that no option of the evaluation is given with --no-evaluate."""
    for name in ("report", "test_images", "backend", "minibatch_size", "skip_steps"):
        if options.no_evaluate and getattr(options, name) != options.default_of(name):
            options.wrong_usage(f"--{name.replace('_', '-')} does not apply with --no-evaluate")
    check_network_file(options.output)
    if options.report:
        check_writable(options.report)


def load_source(path):
    """Return the content of a file of nengo_snnconv, or a pretrained model by its name; for another file, its path."""
    from .. import load, pretrained

    if not path.suffix and not path.exists():
        with contextlib.suppress(SettingsError):
            return pretrained(str(path))
    return load(path) if _is_own_file(path) else path


def _is_own_file(path):
    """Return True for a file of nengo_snnconv."""
    if path.suffix == ".npz":
        return True
    try:
        with zipfile.ZipFile(path) as archive:
            return "description.json.npy" in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False  # the reader of models reports the problem


def _layer_and_neuron(text):
    """Convert text such as conv1=lif to the name of a layer and one of ``NEURONS``."""
    layer, _, name = text.rpartition("=")
    if not layer or name not in NEURONS:
        raise argparse.ArgumentTypeError(f"must be LAYER=TYPE, with a type of {', '.join(NEURONS)}; got {text!r}")
    return layer, name


def _neuron_type(name, arguments):
    import nengo

    from .. import IntegrateAndFire, SignedIntegrateAndFire

    if name == "lif":
        return nengo.LIF(min_voltage=-5)
    if name == "spiking-relu":
        return nengo.SpikingRectifiedLinear(amplitude=0.001)
    return (SignedIntegrateAndFire if name == "signed-if" else IntegrateAndFire)(**arguments)


def data_for(options, network, n_calibration=None):
    """Return the images that a command needs, or None, and the network; raise SettingsError if they do not fit."""
    if options.no_evaluate and not n_calibration:
        return in_range_of(None, network, options)
    n_test = 1 if options.no_evaluate else options.test_images
    return in_range_of(load_images(options, n_calibration or 1, n_test, network.model), network, options)


def _print_neurons(network, source, options):
    """Print the neurons of the layers, and a note if they replace others of a spiking network in the source."""
    from .. import ConvNetwork
    from ..networks.neuron_types import types_in_words, types_of

    types = types_of(network.model, network.settings)
    print(summary_line("neurons", types_in_words(types)))
    if not isinstance(source, ConvNetwork) or not source.settings.neuron_type.spiking:
        return
    before = types_of(source.model, source.settings)
    if before != types:
        name, replaced = options.source.name, types_in_words(before)
        print(summary_line("note", f"they replace those of {name}, {replaced}: --neuron and --neuron-of set them"))
        if options.method != "none":
            print(summary_line("note", f"weights of {name} were normalized anew: --method none keeps them"))


def _normalized(network, data, method, scaling):
    """Return the network with normalized weights, and print the scales."""
    from .. import normalize

    names = {"percentile": "percentile", "per": "per", "balance_steps": "n_steps"}
    arguments = {names[name]: value for name, value in scaling.items() if name in names}
    network = normalize(network, data.x_train if method != "model" else None, method=method, **arguments)
    print_scales("scale", network.model.metadata["scales"])
    return network


def _quantized(network, data, bits):
    """Return the network with integer weights, and print the errors by layer."""
    from .. import quantize_weights

    network = quantize_weights(network, None if data is None else data.x_train[:ERROR_IMAGES], bits=bits)
    print(text_table(quantization_table(network.model.metadata["quantization"])))
    return network


def print_scales(quantity, scales):
    """Print the range of the scales of each layer; ``quantity`` is their meaning."""
    from ..report import scale_range

    for name, values in scales.items():
        print(summary_line(f"{quantity} of {name}", scale_range(values)))


def print_reading(source, model):
    """Print the layers that were not read exactly."""
    reading = model.metadata.get("reading", [])
    print(summary_line("read", f"{source.name}: {len(reading or model.layers)} layers"))
    for row in reading:
        if row["status"] != "exact":
            print(summary_line(row["status"], f"{row['layer']} ({row['class']}): {row['remark']}"))
