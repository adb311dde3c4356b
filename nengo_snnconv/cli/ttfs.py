"""The command to-ttfs: convert a trained ANN to a network of time to first spike."""

import argparse

from .argument_types import above_zero, positive
from .conversion import check_output, data_for, load_source, print_reading, print_scales
from .data import add_data, add_input_range
from .evaluation import run_with_spikes
from .files import check_distinct, save_network
from .options import (
    PERCENTILE,
    add_calibration_images,
    add_command,
    add_evaluation,
    add_output,
    add_scales,
    add_source,
    dependent_options,
)

THRESHOLDS = ("search", "percentile", "max")
# options that apply only to certain thresholds, with their defaults
THRESHOLD_OPTIONS = {
    "percentile": ("threshold", {"percentile": PERCENTILE}),
    "per": ("threshold", {"search": "channel", "percentile": "layer", "max": "layer"}),
}


def add_to_ttfs(commands):
    """Add the command to-ttfs."""
    summary = "convert a trained Keras model or ANN to a network in which neurons spike at most once"
    description = (
        "Convert a trained ANN to a network of time to first spike (Lopez-Randulfe, Reeb and Knoll 2022), in which "
        "each neuron spikes at most once, and earlier for a larger activation. Read the ANN, choose thresholds, save "
        "the network, evaluate it on the test images, and compare its operations and energy with those of the ANN."
    )
    parser = add_command(commands, "to-ttfs", to_ttfs, summary, description)
    add_source(parser)
    add_output(parser)
    add_data(parser, "; training images calibrate, test images evaluate")
    add_input_range(parser)
    parser.add_argument(
        "--stage-steps", type=positive, default=16, metavar="N", help="time steps in which a layer spikes"
    )
    parser.add_argument(
        "--threshold",
        type=_threshold,
        default="search",
        help="threshold of neurons: search (smallest error on data), percentile (of activations), max (largest "
        "activation that the weights allow), or a number",
    )
    parser.add_argument(
        "--input",
        choices=("spikes", "constant"),
        default="spikes",
        help="pixels as spikes, whose times round them, or as constant currents",
    )
    add_scales(parser, "threshold", "--threshold percentile", "search")
    add_calibration_images(parser)
    add_evaluation(parser)
    parser.set_defaults(steps=None, skip_steps=0)


def _threshold(text):
    if text in THRESHOLDS:
        return text
    try:
        return above_zero(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"must be {', '.join(THRESHOLDS)} or a number, got {text}") from error


def to_ttfs(options):
    """Run the command to-ttfs, and return its results."""
    from .. import convert, efficiency
    from .. import to_ttfs as to_ttfs_network

    chosen = dependent_options(options, THRESHOLD_OPTIONS)
    check_distinct(options, source=options.source, output=options.output, report=options.report, json=options.json)
    check_output(options)
    network = convert(load_source(options.source), seed=options.seed)
    data, network = data_for(options, network, options.calibration_images)
    print_reading(options.source, network.model)
    chosen["input_coding"] = options.input
    network = to_ttfs_network(network, data.x_train, options.stage_steps, threshold=options.threshold, **chosen)
    scales = network.model.metadata["scales"]
    print_scales("threshold", {name: values for name, values in scales.items() if name != network.model.output})
    save_network(network, options.output)
    results = {"network": str(options.output), "scales": scales}
    if options.no_evaluate:
        return results
    print(f"Evaluating it on {len(data.x_test):,} test images:", flush=True)
    title = f"{options.source.name}, time to first spike, on {options.data}"
    run = {"source": options.source, "threshold": options.threshold, **chosen}
    evaluation = run_with_spikes(network, data, options, title, run)
    operations = efficiency(network, evaluation)
    print(operations.table())
    return {**results, **evaluation.to_dict(), "efficiency": operations.to_dict()}
