"""The command evaluate, and the evaluation and report that other commands end with."""

import dataclasses

from .._util.text_tables import counted, summary_line, text_table
from ..errors import SettingsError
from .argument_types import above_zero
from .data import add_events, add_input_range, load_data, uses_recordings
from .files import check_distinct, check_writable
from .options import (
    add_command,
    add_network,
    add_simulation,
    add_steps,
    add_workers,
    workers_of,
)
from .pixel_range import in_range_of, warn_of_other_data


def add_evaluate(commands):
    """Add the command evaluate."""
    summary = "measure the accuracy and spikes of a saved network, compared with the ANN"
    parser = add_command(commands, "evaluate", evaluate, summary, seed=None)
    add_network(parser, "'train', 'convert'")
    add_events(parser)
    add_input_range(parser)
    add_steps(parser)
    add_simulation(parser)
    parser.add_argument(
        "--stop",
        type=above_zero,
        metavar="POINTS",
        help="stop images early, as soon as their class is certain, for a loss of at most POINTS percentage points "
        "with a confidence of 95 %%; the rule is chosen on the second half of the test images, and the first half "
        "evaluated",
    )
    parser.add_argument(
        "--profile",
        action="store_true",
        help="also measure the time that each layer takes on the fast simulator, with the first 50 test images",
    )
    add_workers(parser)


def evaluate(options):
    """Run the command evaluate, and return its results."""
    if options.profile and options.backend not in (None, "fast"):
        options.wrong_usage("--profile measures the fast simulator: leave --backend out")
    check_distinct(options, network=options.network, report=options.report, json=options.json)
    workers = workers_of(options)
    if options.stop and (options.dask or options.folder):
        options.wrong_usage("--stop cannot be combined with --dask or --folder: use --jobs, or leave them out")
    uses_recordings(options)  # checks the options before the network is read
    network = load_network(options.network, options.seed)
    if options.report:
        check_writable(options.report)
    data = load_data(options, train=1, test=options.test_images, model=network.model)
    data, network = in_range_of(data, network, options)
    title = f"{options.network.name} on {data.name}"
    run, rule = {"network": options.network}, None
    if options.stop:
        data, rule = with_rule(network, data, options)
        run["stop"] = f"{options.stop:g} points"
    profile = {"profile": profile_of(network, data, options).to_dict()} if options.profile else {}
    return run_with_spikes(network, data, options, title, run, workers, rule).to_dict() | profile


def profile_of(network, data, options):
    """Return and print the Profile of the first test images."""
    from .. import profile

    measured = profile(network, data.x_test[:50], n_steps=options.steps)
    print(measured.summary())
    return measured


def with_rule(network, data, options):
    """Return the first half of the test images, and a rule for early stopping that was chosen on the second half."""
    from .. import choose_stop
    from .. import evaluate as evaluate_network
    from ..evaluation.choose_stop import images_needed

    n_images, half = len(data.x_test), len(data.x_test) // 2
    if n_images - half < (needed := images_needed(options.stop)):
        raise SettingsError(
            f"--stop {options.stop:g} needs at least {2 * needed:,} test images, half of them to choose the rule, got "
            f"{n_images:,}: give more test images (--test-images), or allow a larger loss"
        )
    y = data.y_test
    calibration = evaluate_network(
        network,
        data.x_test[half:],
        None if y is None else y[half:],
        skip_steps=options.skip_steps,
        n_jobs=options.jobs,
        **simulation_of(options),
    )
    rule = choose_stop(calibration, max_loss=options.stop)
    steps = f"{rule.calibration['mean_steps']:.2f} of {counted(rule.n_steps, 'step')}"
    print(summary_line("rule for stopping", f"{steps}, chosen on {len(calibration.y):,} other test images"))
    return dataclasses.replace(data, x_test=data.x_test[:half], y_test=None if y is None else y[:half]), rule


def simulation_of(options):
    """Return the arguments of ``evaluate`` and ``sweep`` that the options of ``add_simulation`` give."""
    return {"n_steps": options.steps, "backend": options.backend, "minibatch_size": options.minibatch_size}


def load_network(path, seed=None):
    """Return the network in a file, also of NIR; with a ``seed``, its neurons get other initial states."""
    from .. import ConvNetwork, load, read_nir

    network = read_nir(path) if path.suffix == ".nir" else load(path)
    if not isinstance(network, ConvNetwork):
        raise SettingsError(f"{path} holds a model, not a network: convert it with 'nengo-snnconv convert'")
    return network if seed is None else _reseeded(network, seed)


def _reseeded(network, seed):
    """Return the network with other initial states of its neurons; raise SettingsError if gains depend on the seed."""
    from nengo.dists import Distribution

    for name in ("max_rates", "intercepts"):
        if isinstance(getattr(network.settings, name, None), Distribution):
            raise SettingsError(
                f"--seed would change the random {name} that the network was trained with: leave it out",
                argument="seed",
            )
    return network.rebuild(seed=seed)


def run_with_spikes(network, data, options, title, run, workers=None, rule=None):
    """Evaluate a network on the test images with the options of ``add_simulation``, and print and return the result.

    Parameters
    ----------
    network : ConvNetwork
    data : Dataset
    options : argparse.Namespace
    title : str
        Title of the report.
    run : dict
        Facts about the run, for the report.
    workers : dict, optional
        Result of ``workers_of``.  If any is set, parts of the images are evaluated in parallel.
    rule : MarginStop, optional
        Rule for early stopping; not with a Dask cluster or a folder.
    """
    from .. import evaluate as evaluate_network
    from .. import sweep

    print(summary_line("data", f"{data.name}, test"))
    simulation, workers = simulation_of(options), workers or {}
    if workers.get("dask") or workers.get("folder"):
        grid = {"skip_steps": [options.skip_steps]} if options.skip_steps else {}
        result = sweep(network, data.x_test, data.y_test, grid, **simulation, **workers)
        evaluation = result.trials[0].evaluation
    else:
        simulation |= {"skip_steps": options.skip_steps, "stop": rule, "n_jobs": workers.get("n_jobs")}
        evaluation = evaluate_network(network, data.x_test, data.y_test, **simulation)
    print(evaluation.summary())
    warn_of_other_data(evaluation, options)
    shown = evaluation.measures[: 1 if evaluation.head in ("classes", "binary") else None]
    print(measures_over_time(shown, network.settings.steps_without_scores(network.model)))
    if options.report:
        report_on(network, data, evaluation, options, title, run)
    return evaluation


def report_on(network, data, evaluation, options, title, run, *, evaluated=None, **parts):
    """Write the report of an evaluation, with the response to some images.

    ``evaluated`` are the indices of its images among the test images; by default it is of all of them.
    """
    from .. import record, write_report

    shown = evaluation.examples()
    recorded = shown if evaluated is None else evaluated[shown]
    recording = record(network, data.x_test[recorded], n_steps=evaluation.n_steps, backend=options.backend)
    texts = {"title": title, "data": data, "run": run, "command": options.command_line}
    write_report(options.report, network, evaluation, recording=recording, images=shown, **texts, **parts)
    print(summary_line("report", options.report.resolve()))


def measures_over_time(measures, first=0):
    """Return a text table of measures after 1, 2, 4, 8, ... steps, counted from ``first``, and after the last."""
    n_steps = len(measures[0].steps) - first
    steps = [first + 2**i for i in range(n_steps.bit_length()) if 2**i < n_steps] + [first + n_steps]
    # the first column is as wide as in the summary, so values are aligned
    rows = [(f"{'after steps':<25}", *map(str, steps))]
    for measure in measures:
        values = [measure.text(measure.steps[step - 1]).removesuffix(" %") for step in steps]
        rows.append((f"{measure.title} (%)" if measure.percent else measure.title, *values))
    return text_table(rows)
