"""The command compare: spiking networks on events beside a CNN of the same layers on images."""

import json
import pathlib

from .options import RECORDED, above_zero, add_command, add_data, check_distinct, check_writable, positive
from .training import LEARNING_RATE, print_epoch


def add_compare(commands):
    summary = "train spiking networks on events and a CNN of the same layers on images, and compare them"
    description = (
        "Train SurrogateLIF networks on recordings of events, one for each number of steps, and a CNN of the same "
        "layers on the images that they show; print and write two tables: losses and accuracies, and seconds per epoch "
        "of training and inference. The same command continues what was interrupted."
    )
    parser = add_command(commands, "compare", compare, summary, description)
    parser.add_argument(
        "folder", type=pathlib.Path, help="for networks, comparison.md, comparison.json, comparison.png"
    )
    add_data(parser, ": recordings are simulated of its images; or n-mnist: real ones, and images of mnist")
    parser.add_argument(
        "--steps", type=positive, nargs="+", default=[4, 8, 16, 32], metavar="N", help="a spiking network for each"
    )
    parser.add_argument("--epochs", type=positive, default=10, help="passes over the training images, for each network")
    parser.add_argument("--batch-size", type=positive, default=100, help="images per training step")
    parser.add_argument("--learning-rate", type=above_zero, default=LEARNING_RATE, help="annealed to 0 by a cosine")
    parser.add_argument("--train-items", type=positive, metavar="N", help="train on the first N only")
    parser.add_argument("--test-items", type=positive, metavar="N", help="test on the first N only")
    parser.add_argument(
        "--no-augment", action="store_true", help="train on images and frames as they are, not moved at random"
    )


def compare(options):
    """The ``compare`` command."""
    from .. import compare as compare_networks
    from .._util.atomic import atomic_write
    from ..training.comparison import AUGMENT

    if len(set(options.steps)) < len(options.steps):
        options.wrong_usage("--steps must be different numbers")
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
        on_epoch=lambda name, epoch, figures: print_epoch(epoch, figures, name),
    )
    figures = comparison.to_dict()
    with atomic_write(files["comparison.png"]) as file:
        comparison.plot()[0].figure.savefig(file, format="png", dpi=150)
    with atomic_write(files["comparison.json"], "w") as file:
        json.dump(figures, file, indent=1)
        file.write("\n")
    with atomic_write(files["comparison.md"], "w") as file:
        file.write(f"{comparison.markdown()}\n![Losses and accuracies over the epochs](comparison.png)\n")
    results, seconds = comparison.tables()
    print(f"\nlosses and accuracies after {options.epochs} epochs\n{results}\n\nseconds per epoch\n{seconds}\n")
    print(f"{'written to':<26} {folder.resolve()}")
    return figures


def _data(options):
    """Images, and recordings of them; None for recordings that are to be simulated."""
    from .. import load_dataset, load_events
    from ..training.comparison import images_of

    counts = {"train": options.train_items, "test": options.test_items}
    if options.data not in RECORDED:
        return load_dataset(options.data, **counts), None
    events = load_events(options.data, **counts)
    return images_of(events, load_dataset("mnist")), events
