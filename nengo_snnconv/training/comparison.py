"""compare: train spiking networks on events and a CNN of the same layers on images."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Callable, Sequence

import nengo
import numpy as np

from .._util.validation import (
    check_callable,
    check_counts,
    check_paths,
    check_positive,
    check_progress,
    check_seed,
    is_whole,
    shown,
)
from ..data.datasets import Dataset
from ..errors import SettingsError, TrainingInterrupted
from ..evaluation.task import class_numbers
from ..events import EventDataset, simulate_recordings
from ..inputs import as_inputs
from ..networks.context import adds_result_only
from ..networks.network import ConvNetwork
from ..networks.storage import save
from ..networks.trainable import build_trainable
from ..neurons.surrogate_lif import SurrogateLIF
from ..presets import preset
from .augmentation import random_affine
from .comparison_result import Comparison, Trained
from .train import train

STEPS = (4, 8, 16, 32)
AUGMENT = random_affine(rotation_deg=8, scale=0.08, shift=1.5)
# unlike any seed that users choose, so that simulated training recordings never have the test recordings' noise
TEST_SENSOR = 1_000_003


@adds_result_only
def compare(
    images: Dataset,
    events: EventDataset | None = None,
    *,
    steps: Sequence[int] = STEPS,
    epochs: int = 10,
    batch_size: int = 100,
    learning_rate: float = 3e-3,
    augment: Callable | None = AUGMENT,
    folder: str | os.PathLike | None = None,
    seed: int = 0,
    progress: bool | None = None,
    on_epoch: Callable[[str, int, dict], object] | None = None,
) -> Comparison:
    """Train spiking networks on recordings and a CNN of the same layers on images, and compare them.

    The layers are those of the presets "surrogate-nmnist" and "surrogate-nmnist-cnn".  SNNs have ``SurrogateLIF``
    neurons, also in the output, and are trained through time; the CNN has rectifiers and is trained with
    cross-entropy.  All use Adam with cosine annealing, and are tested after each epoch.

    Parameters
    ----------
    images : Dataset
        Images for the CNN.
    events : EventDataset, optional
        Recordings of the same classes for the SNNs; by default simulated from the images.
    steps : sequence of int
        Numbers of time steps.  For each of them an SNN is trained on recordings that are split into this number of
        frames, with equal numbers of events.
    epochs, batch_size : int
        Number of epochs and batch size for each network.
    learning_rate : float
        Initial learning rate.
    augment : callable or None
        Augmentation of images and frames, as for :func:`train`; by default small random rotations, scalings and
        shifts.  None trains without augmentation.
    folder : str or path, optional
        Folder for a file of each trained network (cnn.snn.npz, snn-16.snn.npz), and for checkpoints/.  The same call
        with the same folder continues an interrupted comparison and does not repeat finished trainings.
    seed : int
        Seed of initial weights, the order of items, augmentation, dropout and simulated training recordings.
    progress : bool, optional
        Show progress bars; by default if standard error is a terminal.
    on_epoch : callable, optional
        Function that is called after each epoch with the network's name, such as "snn-16", the number of the epoch
        (1-based) and a dict of its results.

    Returns
    -------
    Comparison

    Raises
    ------
    SettingsError
        If an argument is invalid, the data do not fit, or checkpoints in the folder belong to other settings or data.
    TrainingInterrupted
        If interrupted; the message says how to continue.

    Examples
    --------
    >>> comparison = snc.compare(snc.load_dataset("digits"), steps=(4, 8), folder="build/comparison")
    >>> print(*comparison.tables())
    """
    steps = _check_steps(steps)
    check_progress(progress)
    check_callable(on_epoch=on_epoch, augment=augment)
    if folder is not None:
        check_paths(folder=folder)
    check_counts(epochs=epochs, batch_size=batch_size)
    check_positive(learning_rate=learning_rate)
    check_seed(seed)
    _check_data(images, events)
    tasks = {"cnn": _cnn_task(images, seed)}
    tasks["cnn"].check()  # before recordings are simulated
    if folder is not None:
        folder = pathlib.Path(folder)
        (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    events = simulated_events(images, seed, progress) if events is None else events
    tasks |= _snn_tasks(events, len(images.class_names), steps, seed)
    tasks[f"snn-{steps[0]}"].check()
    options = {"epochs": epochs, "batch_size": batch_size, "learning_rate": float(learning_rate)}
    training = {**options, "schedule": "cosine", "augment": augment, "seed": seed, "progress": progress}
    trained = {name: _train(name, task, folder, on_epoch, training) for name, task in tasks.items()}
    data = {"images": images.name, "recordings": events.name}
    return Comparison(trained, {**data, **options, "augmented": augment is not None, "seed": seed})


def simulated_events(images: Dataset, seed: int = 0, progress: bool | None = None) -> EventDataset:
    """Return simulated recordings of the images of a data set.

    Sensor and noise of the training recordings depend on ``seed``; those of the test recordings are different and
    always the same.
    """
    train = simulate_recordings(images.x_train, images.y_train, seed=seed, progress=progress)
    test = simulate_recordings(images.x_test, images.y_test, seed=TEST_SENSOR, progress=progress)
    return EventDataset(f"simulated from {images.name}", train, test, images.class_names)


def images_of(events: EventDataset, images: Dataset) -> Dataset:
    """Return the images that recordings show, in the order of the recordings.

    Raises
    ------
    SettingsError
        If the recordings do not show these images.
    """

    def select(name, recordings, x, y):
        numbers = recordings.numbers
        if numbers.max() >= len(x) or not np.array_equal(y[numbers], recordings.labels):
            raise SettingsError(
                f"the {name} recordings of {events.name} do not show the images of {images.name}: the images with "
                "their numbers have other classes, or do not exist. Train on the recordings alone with train(...)"
            )
        return x[numbers], y[numbers]

    x_train, y_train = select("training", events.train, images.x_train, images.y_train)
    x_test, y_test = select("test", events.test, images.x_test, images.y_test)
    return Dataset(images.name, x_train, y_train, x_test, y_test, images.class_names)


@dataclasses.dataclass(frozen=True, eq=False)
class _Task:
    """Network to train, number of time steps, and pairs (x, y) of training and test data."""

    network: ConvNetwork
    n_steps: int | None
    training: tuple
    test: tuple

    def check(self):
        """Check that the data fit the network."""
        for x, y in (self.training, self.test):
            class_numbers(self.network.model, len(as_inputs(self.network.model, x, self.n_steps)), y)


def _cnn_task(images, seed):
    keras_model = preset("surrogate-nmnist-cnn", images.x_train.shape[1:], len(images.class_names), seed)
    network = build_trainable(keras_model, nengo.RectifiedLinear(), seed=seed)
    return _Task(network, None, (images.x_train, images.y_train), (images.x_test, images.y_test))


def _snn_tasks(events, n_classes, steps, seed):
    keras_model = preset("surrogate-nmnist", (*events.train.sensor, 2), n_classes, seed)
    network = build_trainable(keras_model, SurrogateLIF(), output_neurons=True, seed=seed)
    data = (events.train, events.train.labels), (events.test, events.test.labels)
    return {f"snn-{n_steps}": _Task(network, n_steps, *data) for n_steps in steps}


def _train(name, task, folder, on_epoch, options):
    """Train a network, or continue its training, and save it in the folder."""
    try:
        network = train(
            task.network,
            *task.training,
            n_steps=task.n_steps,
            validation_data=task.test,
            checkpoint=None if folder is None else folder / "checkpoints" / f"{name}.npz",
            on_epoch=None if on_epoch is None else lambda *epoch: on_epoch(name, *epoch),
            **options,
        )
    except KeyboardInterrupt as interrupt:
        network = getattr(interrupt, "network", task.network)
        n_epochs = len(network.history.get("loss", ()))
        resume_hint = (
            "next time, give a folder to be able to continue"
            if folder is None
            else f"run it again to continue in {folder}"
        )
        raise TrainingInterrupted(
            f"the comparison was interrupted after {n_epochs} of {options['epochs']} epochs of {name}; {resume_hint}",
            network,
        ) from interrupt
    if folder is not None:
        save(network, folder / f"{name}.snn.npz")
    return Trained(network, task.n_steps, len(task.training[1]), len(task.test[1]))


def _check_steps(steps):
    """Return numbers of time steps as a tuple, checked."""
    try:
        numbers = tuple(steps)
    except TypeError:
        numbers = ()
    if not numbers or (all(map(is_whole, numbers)) and len(set(numbers)) < len(numbers)):
        raise SettingsError(
            f"steps must be one or more different numbers of time steps, such as (4, 8, 16, 32); got {shown(steps)}",
            argument="steps",
        )
    for n_steps in numbers:
        check_counts(steps=n_steps)
    return numbers


def _check_data(images, events):
    """Check the data sets before minutes are spent on simulation and training."""
    if not isinstance(images, Dataset):
        raise SettingsError(
            f"images must be a Dataset, got {type(images).__name__}: load_dataset returns one", argument="images"
        )
    if events is not None and not isinstance(events, EventDataset):
        raise SettingsError(
            f"events must be an EventDataset, got {type(events).__name__}: load_events returns one", argument="events"
        )
    if events is not None and tuple(events.class_names) != tuple(images.class_names):
        raise SettingsError(
            f"{events.name} has the classes {', '.join(events.class_names)}, but {images.name} has "
            f"{', '.join(images.class_names)}: give data with the same classes"
        )
