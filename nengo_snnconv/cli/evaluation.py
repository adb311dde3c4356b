"""The command evaluate, and the running with spikes that other commands end with."""

import pathlib

from ..errors import SettingsError
from .images import in_range_of, remark_on_accuracy
from .options import (
    RECORDED,
    add_command,
    add_events,
    add_input_range,
    add_simulation,
    add_steps,
    add_workers,
    check_distinct,
    check_writable,
    shows_recordings,
    workers_of,
)


def add_evaluate(commands):
    summary = "run a saved network with spikes, and see how it does beside its rates"
    parser = add_command(commands, "evaluate", evaluate, summary, seed=None)
    parser.add_argument("network", type=pathlib.Path, help="file that 'train', 'convert' or nengo_snnconv.save wrote")
    add_events(parser)
    add_input_range(parser)
    add_steps(parser)
    add_simulation(parser)
    add_workers(parser)


def evaluate(options):
    """The ``evaluate`` command."""
    check_distinct(options, network=options.network, report=options.report, json=options.json)
    workers = workers_of(options)
    shows_recordings(options)  # before the network is read
    network = load_network(options.network, options.seed)
    if options.report:
        check_writable(options.report)
    data = load_data(options, train=1, test=options.test_images)
    data, network = in_range_of(data, network, options)
    title = f"{options.network.name} on {data.name}"
    run = {"network": options.network}
    return run_with_spikes(network, data, options, title, run, workers).to_dict()


def load_data(options, train, test):
    """The first so many items of the data that ``add_events`` names: a Dataset, whose x may be Recordings."""
    from .. import load_dataset, load_events
    from ..data.datasets import Dataset
    from ..training.comparison import simulated_events

    if options.data in RECORDED:
        events = load_events(options.data, train=train, test=test)
    else:
        images = load_dataset(options.data, train=train, test=test)
        if not options.events:
            return images
        events = simulated_events(images, options.seed or 0)
    parts = events.train, events.train.labels, events.test, events.test.labels
    return Dataset(events.name, *parts, events.class_names)


def load_network(path, seed=None):
    """The network in a file, with other initial states of its neurons if a ``seed`` is given."""
    from .. import ConvNetwork, load

    network = load(path)
    if not isinstance(network, ConvNetwork):
        raise SettingsError(f"{path} holds a model without neurons: make a network of it with 'nengo-snnconv convert'")
    return network if seed is None else _reseeded(network, seed)


def _reseeded(network, seed):
    """The network with other initial states of its neurons; their gains must not be drawn from the seed."""
    from nengo.dists import Distribution

    for name in ("max_rates", "intercepts"):
        if isinstance(getattr(network.settings, name, None), Distribution):
            raise SettingsError(f"--seed would draw other {name} than the network was trained with: leave it out")
    return network.rebuild(seed=seed)


def run_with_spikes(network, data, options, title, run, workers=None):
    """Run a network on the test images, as the options of ``add_simulation`` say; prints and returns how it did.

    With ``workers``, as ``workers_of`` gives them, on shards of the images if any are asked for.
    """
    from .. import evaluate as evaluate_network
    from .. import sweep

    print(f"{'data':<26} {data.name}, test")
    simulation = {"n_steps": options.steps, "backend": options.backend, "minibatch_size": options.minibatch_size}
    if any(value is not None for value in (workers or {}).values()):
        grid = {"skip_steps": [options.skip_steps]} if options.skip_steps else {}
        found = sweep(network, data.x_test, data.y_test, grid, **simulation, **workers)
        evaluation = found.trials[0].evaluation
    else:
        evaluation = evaluate_network(network, data.x_test, data.y_test, skip_steps=options.skip_steps, **simulation)
    print(evaluation.summary())
    remark_on_accuracy(evaluation)
    print(accuracy_over_time(evaluation.accuracy, network.settings.steps_without_scores(network.model)))
    if options.report:
        report_on(network, data, evaluation, options, title, run)
    return evaluation


def report_on(network, data, evaluation, options, title, run, **parts):
    """Write the report that was asked for, with the response to a few images."""
    from .. import record, write_report

    recording = record(network, data.x_test[:4], n_steps=evaluation.n_steps, backend=options.backend)
    told = {"title": title, "data": data, "run": run, "command": options.command_line}
    write_report(options.report, network, evaluation, recording=recording, **told, **parts)
    print(f"{'report':<26} {options.report.resolve()}")


def accuracy_over_time(accuracy, first=0):
    """The accuracy after 1, 2, 4, 8, ... steps behind the ``first`` ones and after the last, as two lines."""
    from .._util.text_tables import text_table

    n_steps = len(accuracy) - first
    steps = [first + 2**i for i in range(n_steps.bit_length()) if 2**i < n_steps] + [len(accuracy)]
    values = [f"{100 * accuracy[step - 1]:.2f}" for step in steps]
    # the column beside it begins where the values of the summary do
    return text_table([(f"{'after steps':<25}", *map(str, steps)), ("accuracy in %", *values)])
