"""The command to-ttfs: from a trained ANN to a network in which each neuron spikes once at most."""

import argparse
import pathlib

from .conversion import check_output, data_for, opened, print_reading
from .evaluation import run_with_spikes
from .options import (
    above_zero,
    add_command,
    add_data,
    add_input_range,
    add_simulation,
    add_source,
    check_distinct,
    companions,
    percentage,
    positive,
)

THRESHOLDS = ("search", "percentile", "max")
# options that say something only beside certain thresholds, with their defaults there
COMPANIONS = {
    "percentile": ("threshold", {"percentile": 99.9}),
    "per": ("threshold", {"search": "channel", "percentile": "layer", "max": "layer"}),
}


def add_to_ttfs(commands):
    summary = "convert a trained Keras model or ANN to time to first spike: one spike a neuron at most"
    description = (
        "Convert a trained ANN to a network in which each neuron spikes once at most, and sooner the more it has to "
        "say, after Lopez-Randulfe, Reeb and Knoll 2022: read it, choose thresholds, save the network, run it on the "
        "test images, and compare operations and energy with the ANN's."
    )
    parser = add_command(commands, "to-ttfs", to_ttfs, summary, description)
    add_source(parser)
    parser.add_argument("output", type=pathlib.Path, help="file for the network, such as my.snn.npz")
    add_data(parser, "; its training images calibrate, its test images test")
    add_input_range(parser)
    parser.add_argument("--stage-steps", type=positive, default=16, metavar="N", help="steps in which a layer spikes")
    parser.add_argument(
        "--threshold",
        type=_threshold,
        default="search",
        help="search (least error on data), percentile, max (the largest that the weights allow), or a number",
    )
    parser.add_argument("--percentile", type=percentage, metavar="P", help="of the activations (default: 99.9)")
    parser.add_argument(
        "--per", choices=("layer", "channel"), help="what shares a threshold (default: channel for search, else layer)"
    )
    parser.add_argument(
        "--calibration-images", type=positive, default=1000, metavar="N", help="take the first N training images"
    )
    simulation = parser.add_argument_group("run with spikes")
    simulation.add_argument("--no-evaluate", action="store_true", help="do not run it, only write OUTPUT")
    add_simulation(simulation)
    parser.set_defaults(steps=None, skip_steps=0)


def _threshold(text):
    if text in THRESHOLDS:
        return text
    try:
        return above_zero(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"must be {', '.join(THRESHOLDS)} or a number, got {text}") from error


def to_ttfs(options):
    """The ``to-ttfs`` command."""
    from .. import convert, efficiency, save
    from .. import to_ttfs as network_of_first_spikes
    from ..report import scale_range

    chosen = companions(options, COMPANIONS)
    check_distinct(options, source=options.source, output=options.output, report=options.report, json=options.json)
    check_output(options)
    network = convert(opened(options.source), seed=options.seed)
    data, network = data_for(options, network, options.calibration_images)
    print_reading(options.source, network.model)
    network = network_of_first_spikes(network, data.x_train, options.stage_steps, threshold=options.threshold, **chosen)
    for name, scales in network.model.metadata["scales"].items():
        if name != network.model.output:
            print(f"{'threshold of ' + name:<26} {scale_range(scales)}")
    save(network, options.output)
    print(f"{'network':<26} {options.output}")
    figures = {"network": str(options.output), "scales": network.model.metadata["scales"]}
    if options.no_evaluate:
        return figures
    print(f"Running it on {len(data.x_test):,} test images:", flush=True)
    title = f"{options.source.name}, time to first spike, on {options.data}"
    run = {"source": options.source, "threshold": options.threshold, **chosen}
    evaluation = run_with_spikes(network, data, options, title, run)
    costs = efficiency(network, evaluation)
    print(costs.table())
    return {**figures, **evaluation.to_dict(), "efficiency": costs.to_dict()}
