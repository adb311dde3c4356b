"""The command diagnose: layers in which a converted network loses accuracy, the causes, and remedies."""

from .data import add_data, add_input_range, load_images
from .evaluation import load_network, report_on
from .files import check_distinct, check_picture, check_writable, save_picture
from .options import (
    add_command,
    add_max_loss,
    add_network,
    add_picture,
    add_simulation,
    add_steps,
)
from .pixel_range import in_range_of, warn_of_other_data


def add_diagnose(commands):
    """Add the command diagnose."""
    summary = "find the layers in which a converted network loses accuracy and the causes, and try remedies"
    parser = add_command(commands, "diagnose", diagnose, summary, seed=None)
    add_network(parser)
    add_data(parser)
    add_input_range(parser)
    add_steps(parser)
    add_simulation(parser)
    parser.set_defaults(test_images=500)
    add_max_loss(parser, 1.0)
    add_picture(parser)
    parser.add_argument("--no-remedies", action="store_true", help="find causes only, without trying changes")


def diagnose(options):
    """Run the command diagnose, and return its results."""
    from .. import diagnose as diagnose_network

    files = {"network": options.network, "report": options.report, "json": options.json, "picture": options.picture}
    check_distinct(options, **files)
    if options.report:
        check_writable(options.report)
    check_picture(options.picture)
    network = load_network(options.network, options.seed)
    data = load_images(options, 1000, options.test_images, network.model, may_lack_training=True)
    data, network = in_range_of(data, network, options)
    run = {"n_steps": options.steps, "backend": options.backend, "skip_steps": options.skip_steps}
    diagnosis = diagnose_network(
        network,
        data.x_test,
        data.y_test,
        max_loss=options.max_loss,
        x_calibration=data.x_train if len(data.x_train) else None,
        try_remedies=not options.no_remedies,
        minibatch_size=options.minibatch_size,
        **run,
    )
    print(diagnosis.summary())
    warn_of_other_data(diagnosis.evaluation, options)
    results = diagnosis.to_dict()
    if options.picture:
        save_picture(diagnosis.plot()[0], options.picture)
    if options.report:
        title = f"{options.network.name} on {options.data}"
        settings = {"network": options.network}
        report_on(network, data, diagnosis.evaluation, options, title, settings, diagnosis=diagnosis)
    return results
