"""The command line: ``nengo-snnconv demo | train | evaluate``."""

import argparse
import json
import pathlib
import sys
import time

from ._version import __version__
from .exceptions import SettingsError, SnnConvError

# TensorFlow takes seconds to load, so the commands import what they need when they run


def main(arguments=None):
    """Run the command line and return its exit code: 0 done, 1 an error, 2 wrong usage, 130 interrupted."""
    options = _parser().parse_args(arguments)
    try:
        if options.json:
            options.json.parent.mkdir(parents=True, exist_ok=True)
        figures = options.run(options)
        if options.json:
            from .atomic import atomic_write

            with atomic_write(options.json, "w") as file:
                json.dump(figures, file, indent=1)
                file.write("\n")
    except KeyboardInterrupt as interrupt:
        return _fail(options, interrupt, str(interrupt) or "interrupted", 130)
    except Exception as error:
        # nengo's own errors and files that cannot be read are the user's to mend; others are bugs
        known = isinstance(error, SnnConvError | OSError) or type(error).__module__ == "nengo.exceptions"
        message = str(error) if known else f"{type(error).__name__}: {error} (a bug: see it whole with --debug)"
        return _fail(options, error, message, 1)
    return 0


def _fail(options, error, message, code):
    if options.debug:
        raise error
    print(f"nengo-snnconv {options.command}: {' '.join(message.split())}", file=sys.stderr)
    return code


def _parser():
    parser = argparse.ArgumentParser(
        prog="nengo-snnconv", description="Build, train and run convolutional spiking neural networks in Nengo."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    _add_demo(commands)
    _add_train(commands)
    _add_evaluate(commands)
    return parser


def _command(commands, name, run, summary, description=None):
    parser = commands.add_parser(
        name,
        help=summary,
        description=description or summary,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument("--seed", type=_natural, default=0, help="of everything that is drawn at random")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the figures there too, for machines")
    parser.add_argument("--debug", action="store_true", help="show where an error comes from")
    return parser


def _positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, got {value}")
    return value


def _natural(text):
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"must be 0 or more, got {value}")
    return value


def _add_demo(commands):
    summary = "train a LIF network on the digits in the package, run it with spikes, write a report"
    parser = _command(commands, "demo", demo, summary)
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("nengo-snnconv-demo"), help="folder")
    parser.add_argument("--epochs", type=_positive, default=8)
    parser.add_argument("--steps", type=_positive, default=30, help="time steps for which each image is shown")
    parser.add_argument("--train-images", type=_positive, metavar="N", help="train on the first N images only")
    parser.add_argument("--test-images", type=_positive, metavar="N", help="test on the first N images only")


def _add_train(commands):
    summary = "train a preset network on the rates of its neurons, and save it"
    parser = _command(commands, "train", train, summary)
    parser.add_argument("output", type=pathlib.Path, help="file for the trained network, such as lif.snn.npz")
    parser.add_argument("--preset", default="lif-mnist", help="lif-mnist or diehl-mnist")
    _add_data(parser)
    parser.add_argument("--train-images", type=_positive, metavar="N", help="train on the first N images only")
    parser.add_argument("--neuron", choices=("lif", "spiking-relu"), default="lif")
    parser.add_argument(
        "--max-rate", type=_positive, default=MAX_RATE_HZ, help="Hz at which a neuron fires for input 1"
    )
    parser.add_argument("--epochs", type=_positive, default=10)
    parser.add_argument("--batch-size", type=_positive, default=100)
    parser.add_argument("--learning-rate", type=float, default=LEARNING_RATE, help="annealed to 0 by a cosine")
    parser.add_argument(
        "--no-augment", action="store_true", help="train on the images as they are, not moved at random"
    )
    parser.add_argument("--validation-split", type=float, default=0.0, help="share of the images to validate on")
    parser.add_argument(
        "--early-stopping", type=_positive, metavar="EPOCHS", help="stop when validation does not improve"
    )
    parser.add_argument(
        "--checkpoint", type=pathlib.Path, help="file to continue from; OUTPUT.checkpoint.npz if left out"
    )
    parser.add_argument("--engine", choices=("keras", "nengo_dl"), default="keras", help="what does the training steps")


def _add_evaluate(commands):
    summary = "run a saved network with spikes, and see how it does beside its rates"
    parser = _command(commands, "evaluate", evaluate, summary)
    parser.set_defaults(seed=None)
    parser.add_argument("network", type=pathlib.Path, help="file that 'train' or nengo_snnconv.save wrote")
    _add_data(parser)
    parser.add_argument("--test-images", type=_positive, metavar="N", help="test on the first N images only")
    parser.add_argument("--steps", type=_positive, default=30, help="time steps for which each image is shown")
    parser.add_argument("--minibatch-size", type=_positive, default=200, help="images that are simulated together")
    parser.add_argument("--report", type=pathlib.Path, metavar="FILE", help="write a report with pictures (HTML)")


def _add_data(parser):
    parser.add_argument("--data", default="digits", help="digits, mnist, fashion-mnist or cifar-10")


LEARNING_RATE = 3e-3
MAX_RATE_HZ = 400
SYNAPSE_S = 0.002


def demo(options):
    """The ``demo`` command."""
    from . import save

    started = time.perf_counter()
    options.output.mkdir(parents=True, exist_ok=True)  # before minutes are spent
    data = _load("digits", options.train_images, options.test_images)
    print("Training the preset lif-mnist on the rates of its LIF neurons:")
    network = _train(
        data, "lif-mnist", "lif", seed=options.seed, epochs=options.epochs, batch_size=100, checkpoint=None
    )
    network_file, report_file = options.output / "lif-digits.snn.npz", options.output / "report.html"
    save(network, network_file)
    print(f"Running it with spikes, {options.steps} steps for each of {len(data.x_test):,} test images:")
    evaluation = _evaluate(network, data, options.steps, report_file, "LIF network on the digits", {"command": "demo"})
    print(evaluation.summary())
    print(f"{'network':<26} {network_file}\n{'report':<26} {report_file.resolve()}")
    print(f"{'whole demo':<26} {time.perf_counter() - started:.0f} s")
    return {**evaluation.to_dict(), "history": network.history, "total_seconds": time.perf_counter() - started}


def train(options):
    """The ``train`` command."""
    from . import save

    if not options.output.name:
        raise SettingsError("OUTPUT must name a file")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    data = _load(options.data, options.train_images, 1)
    checkpoint = options.checkpoint or options.output.with_name(options.output.name + ".checkpoint.npz")
    started = time.perf_counter()
    network = _train(
        data,
        options.preset,
        options.neuron,
        max_rate=options.max_rate,
        augmented=not options.no_augment,
        seed=options.seed,
        epochs=options.epochs,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        validation_split=options.validation_split,
        early_stopping=options.early_stopping,
        checkpoint=checkpoint,
        engine=options.engine,
    )
    save(network, options.output)
    if options.checkpoint is None:
        checkpoint.unlink(missing_ok=True)
    print(f"trained in {(time.perf_counter() - started) / 60:.1f} minutes, saved as {options.output}")
    return {"network": str(options.output), "history": network.history}


def evaluate(options):
    """The ``evaluate`` command."""
    from . import ConvNetwork, load

    network = load(options.network)
    if not isinstance(network, ConvNetwork):
        raise SettingsError(f"{options.network} holds a model without neurons: build a network from it and save that")
    data = _load(options.data, 1, options.test_images)
    if options.seed is not None:
        network = _reseeded(network, options.seed)
    title = f"{options.network.name} on {options.data}"
    run = {"command": "evaluate", "network": options.network, "data": options.data}
    evaluation = _evaluate(network, data, options.steps, options.report, title, run, options.minibatch_size)
    print(evaluation.summary())
    if options.report:
        print(f"{'report':<26} {options.report.resolve()}")
    return evaluation.to_dict()


def _reseeded(network, seed):
    """The network with other initial states of its neurons; their gains must not be drawn from the seed."""
    from nengo.dists import Distribution

    for name in ("max_rates", "intercepts"):
        if isinstance(getattr(network.settings, name), Distribution):
            raise SettingsError(f"--seed would draw other {name} than the network was trained with: leave it out")
    return network.rebuild(seed=seed)


def _load(name, n_train, n_test):
    from . import load_dataset

    return load_dataset(name, train=n_train, test=n_test)


def _train(data, preset_name, neuron, *, seed, max_rate=MAX_RATE_HZ, augmented=True, learning_rate=LEARNING_RATE, **kw):
    import nengo

    from . import build_trainable, preset, random_affine
    from . import train as train_network
    from .build.trainable import DEFAULT_NEURON

    if neuron == "lif":
        neuron_type = nengo.LIF(amplitude=1 / max_rate, min_voltage=DEFAULT_NEURON.min_voltage)
    else:
        neuron_type = nengo.SpikingRectifiedLinear(amplitude=1 / max_rate)
    keras = preset(preset_name, data.x_train.shape[1:], len(data.class_names), seed=seed)
    network = build_trainable(keras, neuron_type=neuron_type, synapse=SYNAPSE_S, seed=seed)
    return train_network(
        network,
        data.x_train,
        data.y_train,
        learning_rate=learning_rate,
        schedule="cosine",
        augment=random_affine() if augmented else None,
        seed=seed,
        on_epoch=_print_epoch,
        **kw,
    )


def _print_epoch(epoch, figures):
    validation = f", validation {100 * figures['val_accuracy']:.2f} %" if "val_accuracy" in figures else ""
    print(
        f"  epoch {epoch}: loss {figures['loss']:.4f}, accuracy {100 * figures['accuracy']:.2f} %{validation}, "
        f"{figures['seconds']:.0f} s",
        flush=True,
    )


def _evaluate(network, data, steps, report, title, run, minibatch_size=200):
    from . import evaluate as evaluate_network
    from . import record, write_report

    evaluation = evaluate_network(network, data.x_test, data.y_test, n_steps=steps, minibatch_size=minibatch_size)
    if report:
        recording = record(network, data.x_test[:4], n_steps=steps)
        write_report(
            report,
            network,
            evaluation,
            title=title,
            recording=recording,
            class_names=data.class_names,
            run=run,
        )
    return evaluation


if __name__ == "__main__":
    sys.exit(main())
