"""The command compare: SNNs on event recordings, and a CNN with the same layers on images."""

import pathlib

from .._util.text_tables import summary_line
from .argument_types import positive
from .data import RECORDED, add_data, load_images
from .files import check_distinct, check_writable, write_json
from .options import add_command
from .training import add_epochs, print_epoch


def add_compare(commands):
    """Add the command compare."""
    summary = "train spiking networks on event recordings and a CNN on images, and compare them"
    description = (
        "Train networks of SurrogateLIF neurons on event recordings, one for each number of time steps, and a CNN with "
        "the same layers on the images that were recorded. Print and write two tables: losses and accuracies, and "
        "seconds per epoch of training and inference. After an interruption, the same command continues."
    )
    parser = add_command(commands, "compare", compare, summary, description)
    parser.add_argument("folder", type=pathlib.Path, help="folder for the networks and comparison.md, .json and .png")
    add_data(parser, " (recordings are simulated), or n-mnist (real recordings, with the images of mnist)")
    parser.add_argument(
        "--steps",
        type=positive,
        nargs="+",
        default=[4, 8, 16, 32],
        metavar="N",
        help="time steps; one network for each number",
    )
    add_epochs(parser, ", for each network")
    parser.add_argument(
        "--train-items", type=positive, metavar="N", help="train on the first N images or recordings only"
    )
    parser.add_argument(
        "--test-items", type=positive, metavar="N", help="test on the first N images or recordings only"
    )
    parser.add_argument(
        "--no-augment", action="store_true", help="do not rotate, scale and shift images and frames at random"
    )


def compare(options):
    """Run the command compare, and return its results."""
    from .. import compare as compare_networks
    from .._util.atomic import atomic_write
    from ..training.comparison import AUGMENT

    if len(set(options.steps)) < len(options.steps):
        options.wrong_usage("--steps must be distinct numbers")
    folder = options.folder
    names = ["cnn.snn.npz", *(f"snn-{n_steps}.snn.npz" for n_steps in options.steps)]
    files = {name: folder / name for name in ("comparison.md", "comparison.json", "comparison.png", *names)}
    check_distinct(options, **files, json=options.json)
    for path in files.values():
        check_writable(path)
    comparison = compare_networks(
        *_data(options),
        steps=options.steps,
        epochs=options.epochs,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        augment=None if options.no_augment else AUGMENT,
        folder=folder,
        seed=options.seed,
        on_epoch=lambda name, epoch, values: print_epoch(epoch, values, name),
    )
    results = comparison.to_dict()
    with atomic_write(files["comparison.png"]) as file:
        comparison.plot()[0].figure.savefig(file, format="png", dpi=150)
    write_json(results, files["comparison.json"])
    with atomic_write(files["comparison.md"], "w") as file:
        file.write(f"{comparison.markdown()}\n![Losses and accuracies over the epochs](comparison.png)\n")
    accuracies, seconds = comparison.tables()
    print(f"\nlosses and accuracies after {options.epochs} epochs\n{accuracies}\n\nseconds per epoch\n{seconds}\n")
    print(summary_line("folder", folder.resolve()))
    return results


def _data(options):
    """Return images, and their event recordings; None for recordings that are simulated."""
    from .. import load_dataset, load_events
    from ..training.comparison import images_of

    counts = {"train": options.train_items, "test": options.test_items}
    if options.data not in RECORDED:
        return load_images(options, **counts), None
    events = load_events(options.data, **counts)
    return images_of(events, load_dataset("mnist")), events
