"""The command tune: find the settings with which a network needs the fewest time steps."""

from .argument_types import positive, share
from .conversion import load_source, print_reading
from .data import add_data, add_input_range, load_images
from .evaluation import report_on
from .files import check_distinct, check_network_file, check_picture, check_writable, save_network, save_picture
from .options import (
    add_backend,
    add_calibration_images,
    add_command,
    add_max_loss,
    add_minibatch_size,
    add_output,
    add_picture,
    add_report,
    add_source,
    add_test_images,
    add_workers,
    workers_of,
)
from .pixel_range import in_range_of, warn_of_other_data


def add_tune(commands):
    """Add the command tune."""
    summary = "find settings with which a network needs the fewest time steps to keep its accuracy, and save it"
    description = (
        "Find the normalization, neurons, calibration and smallest number of time steps that keep the loss of accuracy "
        "within a limit, in later steps too; among equal ones, those with the fewest synaptic operations. Half of the "
        "test images choose the settings, the other half reports their loss. "
        "Exit code 1 if no setting keeps the loss within the limit."
    )
    parser = add_command(commands, "tune", tune, summary, description)
    add_source(parser, "train")
    add_output(parser)
    add_data(parser, "; training images calibrate, test images choose the settings and report their loss")
    add_input_range(parser)
    add_max_loss(parser, 0.1)
    parser.add_argument("--steps", type=positive, default=64, metavar="MAX", help="largest number of time steps")
    add_calibration_images(parser)
    add_test_images(parser, "use the first N test images only")
    parser.add_argument(
        "--report-split",
        type=share,
        default=0.5,
        metavar="SHARE",
        help="share of the test images that report the loss of the chosen settings",
    )
    add_minibatch_size(parser)
    add_backend(parser)
    add_picture(parser)
    add_report(parser)
    add_workers(parser)


def tune(options):
    """Run the command tune, and return its results."""
    from .. import TuningError
    from .. import tune as tune_network

    files = {"source": options.source, "output": options.output, "picture": options.picture}
    check_distinct(options, **files, report=options.report, json=options.json)
    workers = workers_of(options)
    check_network_file(options.output)
    if options.report:
        check_writable(options.report)
    check_picture(options.picture)
    network = _network(options.source, options.seed)
    print_reading(options.source, network.model)
    data = load_images(options, options.calibration_images, options.test_images, network.model)
    data, network = in_range_of(data, network, options)
    try:
        tuning = tune_network(
            network,
            data.x_test,
            data.y_test,
            max_loss=options.max_loss,
            x_calibration=data.x_train,
            max_steps=options.steps,
            report_split=options.report_split,
            seed=options.seed,
            backend=options.backend,
            minibatch_size=options.minibatch_size,
            **workers,
        )
    except TuningError as error:
        _show(error.tuning, options)
        raise
    _show(tuning, options)
    save_network(tuning.network, options.output)
    if options.report:
        title = f"{options.source.name}, tuned, on {options.data}"
        run = {"source": options.source, "max_loss": options.max_loss, "max_steps": options.steps}
        sections = [("Tuning", f"{' '.join(f'{each}.' for each in tuning.remarks())}", tuning.plot, tuning.rows())]
        images = tuning.report_images
        report_on(tuning.network, data, tuning.evaluation, options, title, run, evaluated=images, sections=sections)
    return {"network": str(options.output), **tuning.to_dict()}


def _show(tuning, options):
    print(tuning.summary())
    print(tuning.table())
    warn_of_other_data(tuning.evaluation, options)
    if options.picture:
        save_picture(tuning.plot()[0], options.picture)


def _network(source, seed):
    """Return the network to tune: a trained spiking network, or a converted ANN."""
    from .. import ConvNetwork, convert

    content = load_source(source)
    if isinstance(content, ConvNetwork) and content.settings.neuron_type.spiking:
        return content
    return convert(content, seed=seed)
