"""The command tune: finds the settings with which a network needs the fewest steps."""

import pathlib

from .conversion import opened, print_reading
from .evaluation import report_on
from .images import in_range_of
from .options import (
    BACKENDS,
    MINIBATCH_HELP,
    add_command,
    add_data,
    add_input_range,
    add_picture,
    add_workers,
    at_least_zero,
    check_distinct,
    check_picture,
    check_writable,
    positive,
    save_picture,
    workers_of,
)


def add_tune(commands):
    summary = (
        "find the settings with which a network needs the fewest steps to keep its accuracy, and save it with them"
    )
    description = (
        "Find percentile or method of the scales, initial potential, synapse and the fewest time steps that keep the "
        "loss within what is allowed, in later steps too; among equals the fewest synaptic operations. Exit code 1 if "
        "nothing that was tried keeps the loss."
    )
    parser = add_command(commands, "tune", tune, summary, description)
    parser.add_argument(
        "source",
        type=pathlib.Path,
        help="a .keras or .h5 file of Keras, or one of ours: a model, or a network that 'train' made",
    )
    parser.add_argument("output", type=pathlib.Path, help="file for the network, such as my.snn.npz")
    add_data(parser, "; its training images calibrate, settings are chosen on its test images")
    add_input_range(parser)
    parser.add_argument(
        "--max-loss", type=at_least_zero, default=0.1, metavar="POINTS", help="percentage points that may be lost"
    )
    parser.add_argument("--steps", type=positive, default=64, metavar="MAX", help="most time steps")
    parser.add_argument("--calibration-images", type=positive, default=1000, metavar="N", help="training images")
    parser.add_argument("--test-images", type=positive, metavar="N", help="choose on the first N test images only")
    parser.add_argument("--minibatch-size", type=positive, metavar="N", help=MINIBATCH_HELP)
    parser.add_argument("--backend", choices=BACKENDS, help="the simulator, as for evaluate")
    add_picture(parser)
    parser.add_argument("--report", type=pathlib.Path, metavar="FILE", help="write a report with pictures (HTML)")
    add_workers(parser)


def tune(options):
    """The ``tune`` command."""
    from .. import TuningError, load_dataset, save
    from .. import tune as tune_network

    files = {"source": options.source, "output": options.output, "picture": options.picture}
    check_distinct(options, **files, report=options.report, json=options.json)
    workers = workers_of(options)
    for path in filter(None, (options.output, options.report)):
        check_writable(path)
    check_picture(options.picture)
    network = _network(options.source, options.seed)
    print_reading(options.source, network.model)
    data = load_dataset(options.data, train=options.calibration_images, test=options.test_images)
    data, network = in_range_of(data, network, options)
    try:
        tuning = tune_network(
            network,
            data.x_test,
            data.y_test,
            max_loss=options.max_loss,
            x_calibration=data.x_train,
            max_steps=options.steps,
            backend=options.backend,
            minibatch_size=options.minibatch_size,
            **workers,
        )
    except TuningError as error:
        _show(error.tuning, options)
        raise
    _show(tuning, options)
    save(tuning.network, options.output)
    print(f"{'network':<26} {options.output}")
    if options.report:
        title = f"{options.source.name}, tuned, on {options.data}"
        run = {"source": options.source, "max_loss": options.max_loss, "max_steps": options.steps}
        sections = [("Tuning", f"{' '.join(f'{each}.' for each in tuning.remarks())}", tuning.plot, tuning.rows())]
        report_on(tuning.network, data, tuning.evaluation, options, title, run, sections=sections)
    return {"network": str(options.output), **tuning.to_dict()}


def _show(tuning, options):
    print(tuning.summary())
    print(tuning.table())
    if options.picture:
        save_picture(tuning.plot()[0], options.picture)


def _network(source, seed):
    """The network to be tuned: a trained one that spikes, or what becomes of an ANN."""
    from .. import ConvNetwork, convert

    content = opened(source)
    if isinstance(content, ConvNetwork) and content.settings.neuron_type.spiking:
        return content
    return convert(content, seed=seed)
