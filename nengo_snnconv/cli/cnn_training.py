"""The command train-cnn."""

import pathlib
import time

from .argument_types import above_zero, natural, positive
from .data import add_data, load_data
from .files import check_distinct, check_writable
from .options import add_command, add_test_images, add_train_images

PRESET = "airbench-cifar10"


def add_train_cnn(commands):
    """Add the command train-cnn."""
    summary = "train a Keras CNN on photographs, for conversion"
    description = (
        "Train a Keras CNN on photographs, for conversion, with the recipe of airbench94 (Jordan 2024, arXiv "
        "2404.00498), and measure its accuracy on the test images; or fine-tune a trained one for few time steps, with "
        "--start and --levels. An interrupted training continues from its checkpoint when the command is repeated."
    )
    parser = add_command(commands, "train-cnn", train_cnn, summary, description)
    parser.add_argument("output", type=pathlib.Path, help="file for the trained Keras model, such as cnn.keras")
    parser.add_argument(
        "--preset",
        help=f"layers: {PRESET}, resnet14-cifar10 or another preset (default: {PRESET})",
    )
    parser.add_argument(
        "--start",
        metavar="FILE",
        help="trained Keras model to continue with, instead of a preset: a .keras or .h5 file, or the name of a "
        "pretrained model such as airbench-cifar10",
    )
    parser.add_argument(
        "--levels",
        type=positive,
        metavar="N",
        help="replace rectifiers by QCFS layers with N levels, for a spiking network that runs for N time steps; for "
        "trained models, see --start",
    )
    add_data(parser)
    parser.set_defaults(data="cifar-10", events=False)
    add_train_images(parser)
    add_test_images(parser)
    parser.add_argument("--epochs", type=positive, default=16, help="passes over the training images")
    parser.add_argument("--batch-size", type=positive, default=1000, help="images in a training step")
    parser.add_argument(
        "--learning-rate",
        type=above_zero,
        help="largest learning rate (default: 0.0015 times the batch size, 0.0003 times with --levels)",
    )
    parser.add_argument("--no-flip", action="store_true", help="do not mirror images, as for digits")
    parser.add_argument("--shift", type=natural, default=2, metavar="N", help="largest random shift in pixels")
    parser.add_argument(
        "--precision",
        choices=("auto", "float32", "bfloat16"),
        default="auto",
        help="precision of products; auto is bfloat16 if the processor has instructions for it",
    )
    parser.add_argument(
        "--checkpoint",
        type=pathlib.Path,
        help="file for the state of training, to continue from (default: OUTPUT.checkpoint.npz)",
    )


def train_cnn(options):
    """Run the command train-cnn, and return its results."""
    from .. import preset
    from .. import train_cnn as train_keras_cnn
    from ..training.cnn.start import load_start
    from .training import print_epoch

    if options.output.suffix not in (".keras", ".h5"):
        options.wrong_usage(f"the output must end in .keras or .h5, got {options.output.name}")
    if options.start and options.preset:
        options.wrong_usage("--start and --preset exclude each other: a trained model has layers already")
    checkpoint = options.checkpoint or options.output.with_name(options.output.name + ".checkpoint.npz")
    start_path = pathlib.Path(options.start) if options.start else None
    check_distinct(options, output=options.output, checkpoint=checkpoint, start=start_path)
    check_writable(options.output)
    model = load_start(options.start) if options.start else None
    data = load_data(options, train=options.train_images, test=options.test_images)
    started = time.perf_counter()
    if model is None:
        model = preset(options.preset or PRESET, data.x_train.shape[1:], len(data.class_names), seed=options.seed)
    model = train_keras_cnn(
        model,
        data.x_train,
        data.y_train,
        epochs=options.epochs,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        flip=not options.no_flip,
        shift=options.shift,
        levels=options.levels,
        precision=options.precision,
        checkpoint=checkpoint,
        seed=options.seed,
        on_epoch=print_epoch,
    )
    minutes = (time.perf_counter() - started) / 60
    model.save(options.output)
    if options.checkpoint is None:
        checkpoint.unlink(missing_ok=True)
    history = model.history.history  # which predict replaces
    scores = model.predict(data.x_test, batch_size=500, verbose=0)
    accuracy = float((scores.argmax(axis=-1) == data.y_test).mean())
    print(f"accuracy on {len(data.x_test):,} test images {100 * accuracy:.2f} %")
    print(f"trained in {minutes:.1f} minutes, saved as {options.output}")
    return {"model": str(options.output), "accuracy": accuracy, "history": history}
