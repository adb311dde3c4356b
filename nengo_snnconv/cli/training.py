"""The commands demo and train."""

import argparse
import pathlib
import time

from .._util.text_tables import counted, summary_line
from .argument_types import above_zero, at_least_zero, fraction, positive
from .data import add_events, add_input_range, load_data, uses_recordings
from .evaluation import run_with_spikes
from .files import check_distinct, check_network_file
from .options import (
    add_command,
    add_test_images,
    add_train_images,
    dependent_options,
)
from .training_start import THROUGH_TIME_STEPS, check_replaceable, started

LEARNING_RATE = 3e-3
START_LEARNING_RATE = 2e-4  # of a network that is trained already
MAX_RATE_HZ = 400
SYNAPSE_S = 0.002
# options that apply only to certain neurons, with their defaults
NEURON_OPTIONS = {
    "preset": (
        "neuron",
        {**dict.fromkeys(("lif", "spiking-relu", "relu"), "lif-mnist"), "surrogate-lif": "surrogate-nmnist"},
    ),
    "max_rate": ("neuron", {"lif": MAX_RATE_HZ, "spiking-relu": MAX_RATE_HZ}),
    "steps": ("neuron", {"surrogate-lif": THROUGH_TIME_STEPS}),
}


def add_demo(commands):
    """Add the command demo."""
    summary = "train a LIF network on the digits in the package, evaluate it, and write a report"
    parser = add_command(commands, "demo", demo, summary)
    parser.add_argument(
        "--output", type=pathlib.Path, default=pathlib.Path("nengo-snnconv-demo"), help="folder for files"
    )
    parser.add_argument("--epochs", type=positive, default=8, help="passes over the training images")
    parser.add_argument("--steps", type=positive, default=30, help="time steps for each image")
    add_train_images(parser)
    add_test_images(parser)


def add_train(commands):
    """Add the command train, whose many options make this function long."""
    summary = "train a preset network, or a saved one, and save it"
    description = (
        "Build a preset network and train it, on firing rates or through time; or train a saved network on, with "
        "--start. An interrupted training continues from its checkpoint when the command is repeated. An existing "
        "OUTPUT is replaced only if it is a network that the same training wrote."
    )
    parser = add_command(commands, "train", train, summary, description)
    parser.add_argument("output", type=pathlib.Path, help="file for the trained network, such as lif.snn.npz")
    parser.add_argument(
        "--start",
        type=pathlib.Path,
        metavar="FILE",
        help="network to train on, instead of a preset: of 'train', 'convert' or nengo_snnconv.save. Networks that "
        "'convert' made are trained on their own spikes, for --steps; those of nengo_snnconv.convert and normalize on "
        "rates, as CNNs",
    )
    parser.add_argument(
        "--preset",
        help="layers: lif-mnist, diehl-mnist, ttfs-mnist, surrogate-nmnist, vgg-cifar10 or resnet-cifar10 (default: "
        "surrogate-nmnist for --neuron surrogate-lif, else lif-mnist)",
    )
    add_events(parser)
    add_input_range(parser)
    add_train_images(parser)
    parser.add_argument(
        "--neuron",
        choices=("lif", "spiking-relu", "relu", "surrogate-lif"),
        help="neuron type (default: lif): lif and spiking-relu are trained on firing rates and run with spikes; relu "
        "gives an ANN for 'convert'; surrogate-lif is trained with spikes, through time, also on event recordings",
    )
    parser.add_argument(
        "--steps",
        type=positive,
        metavar="N",
        help="time steps of training, for --neuron surrogate-lif: frames of a recording, or steps for which an image "
        f"is shown (default: {THROUGH_TIME_STEPS}); with --start also for networks of 'convert'",
    )
    parser.add_argument(
        "--max-rate",
        type=positive,
        metavar="HZ",
        help=f"firing rate for an input of 1, for lif and spiking-relu (default: {MAX_RATE_HZ})",
    )
    add_epochs(parser, start_rate=START_LEARNING_RATE)
    parser.add_argument("--no-augment", action="store_true", help="do not rotate, scale and shift images at random")
    parser.add_argument(
        "--activity-penalty",
        type=at_least_zero,
        default=0.0,
        metavar="W",
        help="weight of the share of active neurons in the loss; 1 to 3 give networks with few spikes",
    )
    parser.add_argument(
        "--validation-split", type=fraction, default=0.0, help="share of the training images used for validation"
    )
    parser.add_argument(
        "--early-stopping",
        type=positive,
        metavar="EPOCHS",
        help="stop after this many epochs without a better validation",
    )
    parser.add_argument(
        "--checkpoint",
        type=pathlib.Path,
        help="file for the state of training, to continue from (default: OUTPUT.checkpoint.npz)",
    )
    parser.add_argument(
        "--engine", choices=("keras", "nengo_dl"), default="keras", help="implementation of the training steps"
    )


def add_epochs(parser, role="", start_rate=None):
    """Add the options for the epochs of a training, the size of a step and the learning rate.

    With ``start_rate``, the learning rate depends on --start, and has no default.
    """
    parser.add_argument("--epochs", type=positive, default=10, help=f"passes over the training images{role}")
    parser.add_argument("--batch-size", type=positive, default=100, help="images in a training step")
    defaults = f" (default: {LEARNING_RATE}, with --start {start_rate})" if start_rate else ""
    parser.add_argument(
        "--learning-rate",
        type=above_zero,
        default=None if start_rate else LEARNING_RATE,
        help=f"initial value; it falls to 0 along a cosine{defaults}",
    )


def demo(options):
    """Run the command demo, and return its results."""
    from .. import load_dataset, save

    started = time.perf_counter()
    options.output.mkdir(parents=True, exist_ok=True)  # raises an error before minutes of training
    data = load_dataset("digits", train=options.train_images, test=options.test_images)
    print("Training the preset lif-mnist on the firing rates of its LIF neurons:")
    network = _preset_network(data, "lif", preset="lif-mnist", seed=options.seed)
    network = _train(network, data, seed=options.seed, epochs=options.epochs, batch_size=100)
    network_file, report_file = options.output / "lif-digits.snn.npz", options.output / "report.html"
    save(network, network_file)
    print(
        f"Evaluating it, {counted(options.steps, 'time step')} for each of {counted(len(data.x_test), 'test image')}:"
    )
    simulation = argparse.Namespace(
        steps=options.steps,
        minibatch_size=None,
        skip_steps=0,
        backend=None,
        report=report_file,
        command_line=options.command_line,
    )
    evaluation = run_with_spikes(network, data, simulation, "LIF network on the digits", {})
    print(summary_line("network", network_file))
    print(summary_line("whole demo", f"{time.perf_counter() - started:.0f} s"))
    return {**evaluation.to_dict(), "history": network.history, "total_seconds": time.perf_counter() - started}


def train(options):
    """Run the command train, and return its results."""
    from .. import save

    checkpoint = options.checkpoint or options.output.with_name(options.output.name + ".checkpoint.npz")
    files = {"output": options.output, "checkpoint": checkpoint, "start": options.start, "json": options.json}
    check_distinct(options, **files)
    network, data, steps = _built(options) if options.start is None else started(options)
    check_replaceable(options.output, network)
    started_at = time.perf_counter()
    rate = LEARNING_RATE if options.start is None else START_LEARNING_RATE
    network = _train(
        network,
        data,
        steps=steps,
        augmented=not options.no_augment,
        seed=options.seed,
        epochs=options.epochs,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate or rate,
        activity_penalty=options.activity_penalty,
        validation_split=options.validation_split,
        early_stopping=options.early_stopping,
        checkpoint=checkpoint,
        engine=options.engine,
    )
    save(network, options.output)
    if options.checkpoint is None:
        checkpoint.unlink(missing_ok=True)
    print(f"trained in {(time.perf_counter() - started_at) / 60:.1f} minutes, saved as {options.output}")
    return {"network": str(options.output), "history": network.history}


def _built(options):
    """Return the network of a preset, the training data, and the number of time steps or None."""
    options.neuron = options.neuron or "lif"
    chosen = dependent_options(options, NEURON_OPTIONS)
    if options.input_range:
        options.wrong_usage("--input-range is for the network of --start: a preset is trained on pixels from 0 to 1")
    if uses_recordings(options) and options.neuron != "surrogate-lif":
        given = "--events" if options.events else f"--data {options.data}"
        options.wrong_usage(f"{given} applies to --neuron surrogate-lif, not to --neuron {options.neuron}")
    check_network_file(options.output)
    steps, data = chosen.pop("steps", None), load_data(options, train=options.train_images, test=1)
    return _preset_network(data, options.neuron, seed=options.seed, **chosen), data, steps


def _preset_network(data, neuron, *, preset, seed, max_rate=MAX_RATE_HZ):
    """Return the network of a preset, not trained yet."""
    import nengo

    from .. import SurrogateLIF, build_trainable
    from .. import preset as keras_preset
    from ..networks.trainable import DEFAULT_NEURON

    neuron_type, synapse = {
        "lif": (nengo.LIF(amplitude=1 / max_rate, min_voltage=DEFAULT_NEURON.min_voltage), SYNAPSE_S),
        "spiking-relu": (nengo.SpikingRectifiedLinear(amplitude=1 / max_rate), SYNAPSE_S),
        "relu": (nengo.RectifiedLinear(), None),
        "surrogate-lif": (SurrogateLIF(), None),
    }[neuron]
    keras = keras_preset(preset, _shape(data.x_train), len(data.class_names), seed=seed)
    through_time = neuron == "surrogate-lif"
    return build_trainable(keras, neuron_type=neuron_type, synapse=synapse, seed=seed, output_neurons=through_time)


def _train(network, data, *, steps=None, augmented=True, learning_rate=LEARNING_RATE, **kw):
    """Return the trained network."""
    from .. import random_affine
    from .. import train as train_network
    from ..training.comparison import AUGMENT

    augment = random_affine() if network.settings.has_rates else AUGMENT
    return train_network(
        network,
        data.x_train,
        data.y_train,
        n_steps=steps,
        learning_rate=learning_rate,
        schedule="cosine",
        augment=augment if augmented else None,
        on_epoch=print_epoch,
        **kw,
    )


def _shape(x):
    """Return the shape (height, width, channel) of images, or of the frames of recordings."""
    return (*x.sensor, 2) if hasattr(x, "sensor") else x.shape[1:]


def print_epoch(epoch, values, name=""):
    """Print the loss and accuracy of a training epoch; ``name`` is the name of the network."""
    title = f"{name} epoch {epoch}" if name else f"epoch {epoch}"
    validation = f", validation {100 * values['val_accuracy']:.2f} %" if "val_accuracy" in values else ""
    active = f", {100 * values['active']:.1f} % active" if "active" in values else ""
    print(
        f"  {title}: loss {values['loss']:.4f}, accuracy {100 * values['accuracy']:.2f} %{active}{validation}, "
        f"{values['seconds']:.0f} s",
        flush=True,
    )
