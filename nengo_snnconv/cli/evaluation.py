"""The command evaluate, and the running with spikes that other commands end with."""

import pathlib

from ..exceptions import SettingsError
from .options import add_command, add_data, add_simulation, check_distinct, check_writable


def add_evaluate(commands):
    summary = "run a saved network with spikes, and see how it does beside its rates"
    parser = add_command(commands, "evaluate", evaluate, summary, seed=None)
    parser.add_argument("network", type=pathlib.Path, help="file that 'train', 'convert' or nengo_snnconv.save wrote")
    add_data(parser)
    add_simulation(parser, steps=30)


def evaluate(options):
    """The ``evaluate`` command."""
    from .. import ConvNetwork, load, load_dataset

    check_distinct(options, network=options.network, report=options.report, json=options.json)
    network = load(options.network)
    if not isinstance(network, ConvNetwork):
        raise SettingsError(
            f"{options.network} holds a model without neurons: make a network of it with 'nengo-snnconv convert'"
        )
    if options.report:
        check_writable(options.report)
    data = load_dataset(options.data, train=1, test=options.test_images)
    if options.seed is not None:
        network = _reseeded(network, options.seed)
    title = f"{options.network.name} on {options.data}"
    run = {"command": "evaluate", "network": options.network, "data": options.data}
    return run_with_spikes(network, data, options, title, run).to_dict()


def _reseeded(network, seed):
    """The network with other initial states of its neurons; their gains must not be drawn from the seed."""
    from nengo.dists import Distribution

    for name in ("max_rates", "intercepts"):
        if isinstance(getattr(network.settings, name, None), Distribution):
            raise SettingsError(f"--seed would draw other {name} than the network was trained with: leave it out")
    return network.rebuild(seed=seed)


def run_with_spikes(network, data, options, title, run):
    """Run a network on the test images, as the options of ``add_simulation`` say; prints and returns how it did."""
    from .. import evaluate as evaluate_network
    from .. import record, write_report

    simulation = {"n_steps": options.steps, "backend": options.backend}
    reading = {"minibatch_size": options.minibatch_size, "skip_steps": options.skip_steps}
    evaluation = evaluate_network(network, data.x_test, data.y_test, **reading, **simulation)
    print(evaluation.summary())
    print(accuracy_over_time(evaluation.accuracy))
    if options.report:
        write_report(
            options.report,
            network,
            evaluation,
            title=title,
            recording=record(network, data.x_test[:4], **simulation),
            class_names=data.class_names,
            run=run,
        )
        print(f"{'report':<26} {options.report.resolve()}")
    return evaluation


def accuracy_over_time(accuracy):
    """The accuracy after 1, 2, 4, 8, ... steps and after the last, as two lines."""
    from ..build.network import table

    steps = [2**i for i in range(len(accuracy).bit_length()) if 2**i < len(accuracy)] + [len(accuracy)]
    values = [f"{100 * accuracy[step - 1]:.2f}" for step in steps]
    # the column beside it begins where the values of the summary do
    return table([(f"{'after steps':<25}", *map(str, steps)), ("accuracy in %", *values)])
