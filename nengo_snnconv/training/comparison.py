"""compare: spiking networks that learn from events, beside a CNN of the same layers that learns from images."""

import dataclasses
import pathlib
import statistics

import nengo
import numpy as np

from .._util.text_tables import text_table
from .._util.validation import (
    check_callable,
    check_counts,
    check_paths,
    check_positive,
    check_progress,
    check_seed,
    check_targets,
    is_whole,
)
from ..data.datasets import Dataset
from ..errors import SettingsError, TrainingInterrupted
from ..evaluation.inputs import as_inputs
from ..events import EventDataset, simulate_recordings
from ..networks.network import ConvNetwork
from ..networks.storage import save
from ..networks.trainable import build_trainable
from ..neurons.surrogate_lif import SurrogateLIF
from ..presets import preset
from . import random_affine, train

STEPS = (4, 8, 16, 32)
AUGMENT = random_affine(rotation_deg=8, scale=0.08, shift=1.5)
# far from the seeds that users choose, so that no training has seen its test recordings' sensor and noise
TEST_SENSOR = 1_000_003


@dataclasses.dataclass(frozen=True, eq=False)
class Trained:
    """A network of a :class:`Comparison` and how it came to be.

    Attributes
    ----------
    network : ConvNetwork
    n_steps : int or None
        Time steps that it was trained and tested with; None for the CNN.
    n_train, n_test : int
        Number of images or recordings.
    """

    network: ConvNetwork
    n_steps: int
    n_train: int
    n_test: int

    @property
    def name(self):
        return "CNN" if self.n_steps is None else f"SNN, {self.n_steps} steps"

    @property
    def loss(self):
        """What its losses are."""
        return "cross-entropy" if self.n_steps is None else "squared error of rates"

    @property
    def history(self):
        """Figures of each epoch, {name: list}."""
        return self.network.history

    @property
    def train_loss(self):
        """Mean over the last epoch, as it trained: with augmentation and dropout."""
        return self.history["loss"][-1]

    @property
    def test_loss(self):
        """After the last epoch."""
        return self.history["val_loss"][-1]

    @property
    def train_accuracy(self):
        """Share of right classes over the last epoch, as it trained: with augmentation and dropout."""
        return self.history["accuracy"][-1]

    @property
    def test_accuracy(self):
        """Share of right classes after the last epoch."""
        return self.history["val_accuracy"][-1]

    @property
    def train_seconds(self):
        """Of an epoch of training, without testing: the median, as the first one also builds the graph."""
        both = zip(self.history["seconds"], self.history["val_seconds"], strict=True)
        return statistics.median_low(seconds - testing for seconds, testing in both)

    @property
    def test_seconds(self):
        """Of testing once, after an epoch: the median."""
        return statistics.median_low(self.history["val_seconds"])

    def to_dict(self):
        """The figures and the history as JSON-serialisable values."""
        return {
            "n_steps": self.n_steps,
            "n_train": self.n_train,
            "n_test": self.n_test,
            "loss": self.loss,
            "train_loss": self.train_loss,
            "test_loss": self.test_loss,
            "train_accuracy": self.train_accuracy,
            "test_accuracy": self.test_accuracy,
            "train_seconds": self.train_seconds,
            "train_seconds_per_thousand": 1000 * self.train_seconds / self.n_train,
            "test_seconds": self.test_seconds,
            "test_seconds_per_thousand": 1000 * self.test_seconds / self.n_test,
            "history": self.history,
        }


@dataclasses.dataclass(frozen=True, eq=False)
class Comparison:
    """What :func:`compare` found.

    Attributes
    ----------
    trained : dict of str to Trained
        "cnn", then "snn-4" and so on, by the number of steps.
    settings : dict
        Data and hyperparameters.
    """

    trained: dict
    settings: dict

    @property
    def networks(self):
        """The trained networks, {name: ConvNetwork}."""
        return {name: each.network for name, each in self.trained.items()}

    @property
    def histories(self):
        """Figures of each epoch of each network, {name: {figure: list}}."""
        return {name: each.history for name, each in self.trained.items()}

    def tables(self, markdown=False):
        """Two tables as text, or as Markdown: losses and accuracies; seconds per epoch of training and inference."""
        form = _markdown_table if markdown else text_table
        return form(self._results()), form(self._seconds())

    def _results(self):
        rows = [("network", "the loss is the", "train loss", "test loss", "train accuracy", "test accuracy")]
        for each in self.trained.values():
            losses = f"{each.train_loss:.4f}", f"{each.test_loss:.4f}"
            shares = f"{100 * each.train_accuracy:.2f} %", f"{100 * each.test_accuracy:.2f} %"
            rows.append((each.name, each.loss, *losses, *shares))
        return rows

    def _seconds(self):
        rows = [("network", "trained on", "training", "per 1,000", "tested on", "inference", "per 1,000")]
        for each in self.trained.values():
            training, testing = (
                (f"{items:,}", f"{seconds:.2f} s", f"{1000 * seconds / items:.3f} s")
                for seconds, items in ((each.train_seconds, each.n_train), (each.test_seconds, each.n_test))
            )
            rows.append((each.name, *training, *testing))
        return rows

    def markdown(self):
        """Settings and both tables, with what their figures are, as a Markdown document."""
        results, seconds = self.tables(markdown=True)
        settings = "\n".join(f"- {name.replace('_', ' ')}: {value}" for name, value in self.settings.items())
        return (
            f"# CNN and SNN compared\n\n{settings}\n\n## Losses and accuracies\n\n{results}\n\n"
            "Losses of the CNN and of SNNs are not the same thing and cannot be compared. Train: mean over the last "
            "epoch, as the network trained, with dropout and with augmentation if there was any. Test: after the last "
            f"epoch, without either.\n\n## Seconds per epoch\n\n{seconds}\n\n"
            "Medians over the epochs, the making of frames from events included.\n"
        )

    def to_dict(self):
        """Settings, figures and histories as JSON-serialisable values."""
        return {"settings": self.settings, "networks": {name: each.to_dict() for name, each in self.trained.items()}}

    def plot(self, axes=None):
        """Draw loss and accuracy of each network over the epochs; returns three matplotlib axes."""
        from ..plots import plot_comparison

        return plot_comparison(self, axes)


def compare(
    images,
    events=None,
    *,
    steps=STEPS,
    epochs=10,
    batch_size=100,
    learning_rate=3e-3,
    augment=AUGMENT,
    folder=None,
    seed=0,
    progress=None,
    on_epoch=None,
):
    """Train spiking networks on recordings and a CNN of the same layers on images, and compare them.

    The layers are those of the presets "surrogate-nmnist" and "surrogate-nmnist-cnn".  SNNs have ``SurrogateLIF``
    neurons, in the output too, and learn through time; the CNN has rectifiers and learns by cross-entropy.  All are
    trained by Adam with cosine annealing, and tested after each epoch.

    Parameters
    ----------
    images : Dataset
        For the CNN.
    events : EventDataset, optional
        For SNNs, of the same classes; by default ``comparison.simulated_events`` of the images.
    steps : sequence of int
        Time steps; each makes an SNN, whose recordings become so many frames of equally many events.
    epochs, batch_size : int
        Of each network.
    learning_rate : float
        At the beginning.
    augment : callable, optional
        As for :func:`train`, for images and frames; by default a small random rotation, scaling and shift.  None trains
        on them as they are.
    folder : str or path, optional
        Gets a file for each network when it is trained (cnn.snn.npz, snn-16.snn.npz), and checkpoints/, from which the
        same call continues: what was trained is not trained again, and an interrupted training goes on as :func:`train`
        does.
    seed : int
        Of initial weights, the order of items, augmentation, dropout and simulated training recordings.
    progress : bool, optional
        Show progress bars; by default where standard error is a terminal.
    on_epoch : callable, optional
        Called after each epoch with the network's name, such as "snn-16", the epoch's number from 1, and its figures.

    Returns
    -------
    Comparison

    Raises
    ------
    SettingsError
        If an argument cannot work, data do not fit, or checkpoints in the folder belong to other settings or data.
    TrainingInterrupted
        If interrupted; says how to go on.
    """
    steps = _checked_steps(steps)
    check_progress(progress)
    check_callable(on_epoch=on_epoch)
    if folder is not None:
        check_paths(folder=folder)
    _check(images, events, epochs, batch_size, learning_rate, augment, seed)
    n_classes = len(images.class_names)
    cnn = build_trainable(
        preset("surrogate-nmnist-cnn", images.x_train.shape[1:], n_classes, seed), nengo.RectifiedLinear(), seed=seed
    )
    shown = {"cnn": _Shown(cnn, None, (images.x_train, images.y_train), (images.x_test, images.y_test))}
    shown["cnn"].check()  # before recordings are simulated
    if folder is not None:
        folder = pathlib.Path(folder)
        (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    events = simulated_events(images, seed, progress) if events is None else events
    snn = build_trainable(
        preset("surrogate-nmnist", (*events.train.sensor, 2), n_classes, seed),
        SurrogateLIF(),
        output_neurons=True,
        seed=seed,
    )
    parts = (events.train, events.train.labels), (events.test, events.test.labels)
    shown |= {f"snn-{n_steps}": _Shown(snn, n_steps, *parts) for n_steps in steps}
    shown[f"snn-{steps[0]}"].check()
    options = {"epochs": epochs, "batch_size": batch_size, "learning_rate": float(learning_rate)}
    training = {**options, "schedule": "cosine", "augment": augment, "seed": seed, "progress": progress}
    trained = {name: _trained(name, each, folder, on_epoch, training) for name, each in shown.items()}
    names = {"images": images.name, "recordings": events.name}
    return Comparison(trained, {**names, **options, "augmented": augment is not None, "seed": seed})


def simulated_events(images, seed=0, progress=None):
    """Simulated recordings of a data set's images: an EventDataset.

    The sensor and the noise of training recordings are drawn from ``seed``; those of test recordings are others, always
    the same.
    """
    train = simulate_recordings(images.x_train, images.y_train, seed=seed, progress=progress)
    test = simulate_recordings(images.x_test, images.y_test, seed=TEST_SENSOR, progress=progress)
    return EventDataset(f"simulated from {images.name}", train, test, images.class_names)


def images_of(events, images):
    """The images that recordings show, in their order: a Dataset.

    Raises
    ------
    SettingsError
        If the recordings are not of these images.
    """
    parts = []
    for name, recordings, x, y in (
        ("training", events.train, images.x_train, images.y_train),
        ("test", events.test, images.x_test, images.y_test),
    ):
        numbers = recordings.numbers
        if numbers.max() >= len(x) or not np.array_equal(y[numbers], recordings.labels):
            raise SettingsError(
                f"the {name} recordings of {events.name} are not those of {images.name}: their numbers name images of "
                "other classes, or none; train on them with train(...), which needs no images"
            )
        parts += [x[numbers], y[numbers]]
    return Dataset(images.name, *parts, images.class_names)


@dataclasses.dataclass(frozen=True, eq=False)
class _Shown:
    """A network to be trained, and the pairs (x, y) that it is trained on and tested on."""

    network: ConvNetwork
    n_steps: int
    training: tuple
    test: tuple

    def check(self):
        """Raise SettingsError where data do not fit the network."""
        for x, y in (self.training, self.test):
            check_targets(self.network.model, len(as_inputs(self.network.model, x, self.n_steps)), y)


def _trained(name, shown, folder, on_epoch, options):
    """Train one of the networks, or go on with it, and keep it in the folder."""
    try:
        network = train(
            shown.network,
            *shown.training,
            n_steps=shown.n_steps,
            validation_data=shown.test,
            checkpoint=None if folder is None else folder / "checkpoints" / f"{name}.npz",
            on_epoch=None if on_epoch is None else lambda *epoch: on_epoch(name, *epoch),
            **options,
        )
    except KeyboardInterrupt as interrupt:
        network = getattr(interrupt, "network", shown.network)
        done = len(network.history.get("loss", ()))
        way_on = (
            "give it a folder to be able to continue" if folder is None else f"run it again to continue in {folder}"
        )
        raise TrainingInterrupted(
            f"the comparison was interrupted after {done} of {options['epochs']} epochs of {name}; {way_on}", network
        ) from interrupt
    if folder is not None:
        save(network, folder / f"{name}.snn.npz")
    return Trained(network, shown.n_steps, len(shown.training[1]), len(shown.test[1]))


def _checked_steps(steps):
    """Numbers of steps as a tuple; SettingsError where they are none."""
    try:
        steps = tuple(steps)
    except TypeError:
        steps = ()
    if not steps or (all(map(is_whole, steps)) and len(set(steps)) < len(steps)):
        raise SettingsError("steps must be one or more different numbers of time steps, such as (4, 8, 16, 32)")
    for n_steps in steps:
        check_counts(steps=n_steps)
    return steps


def _check(images, events, epochs, batch_size, learning_rate, augment, seed):
    """Raise SettingsError for what cannot work, before minutes are spent on recordings and trainings."""
    if not isinstance(images, Dataset):
        raise SettingsError(f"images must be a Dataset, as load_dataset gives it, got {type(images).__name__}")
    if events is not None and not isinstance(events, EventDataset):
        raise SettingsError(f"events must be an EventDataset, as load_events gives it, got {type(events).__name__}")
    if events is not None and tuple(events.class_names) != tuple(images.class_names):
        raise SettingsError(
            f"{events.name} has the classes {', '.join(events.class_names)}, {images.name} has "
            f"{', '.join(images.class_names)}: compare on the same ones"
        )
    check_counts(epochs=epochs, batch_size=batch_size)
    check_positive(learning_rate=learning_rate)
    if augment is not None and not callable(augment):
        raise SettingsError(f"augment must be a function such as random_affine(), or None; got {augment!r}")
    check_seed(seed)


def _markdown_table(rows):
    header, *rest = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([header, "|---" * len(rows[0]) + "|", *rest])
