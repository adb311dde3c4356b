"""EpochBatches: the batches of an epoch, made one at a time, so that the data need not fit into memory."""

from __future__ import annotations

import concurrent.futures
import typing
from collections.abc import Callable, Iterator

import numpy as np

from .._util.validation import as_float32
from ..compat import tf
from ..errors import SettingsError

if typing.TYPE_CHECKING:
    from ..inputs import Inputs


class EpochBatches(tf.keras.utils.Sequence):
    """Sequence of the batches of an epoch.

    Parameters
    ----------
    inputs : Inputs
    y : ndarray or None
        Targets of all items; None to compute them with ``teach``.
    order : ndarray of int
        Indices of the items of this epoch, a multiple of ``batch_size``.
    batch_size : int
    augment : callable or None
        Augmentation of images; all frames of an item are transformed alike, as channels of one image.
    seed : list of int
        Seed of the augmentation.
    teach : callable, optional
        Function from the images of a batch, after augmentation, to their targets.
    """

    def __init__(
        self,
        inputs: Inputs,
        y: np.ndarray | None,
        order: np.ndarray,
        batch_size: int,
        augment: Callable | None,
        seed: list[int],
        teach: Callable[[np.ndarray], np.ndarray] | None = None,
    ):
        self.inputs, self.y, self.augment, self.seed, self.teach = inputs, y, augment, seed, teach
        self.order = order.reshape(-1, batch_size)

    def __len__(self):
        return len(self.order)

    def __getitem__(self, number):
        items = self.inputs.batch(self.order[number])
        if self.augment is not None:
            items = self._augmented(items, np.random.default_rng([*self.seed, number]))
        if self.y is not None:
            return items, self.y[self.order[number]]
        assert self.teach is not None
        return items, self.teach(items)

    def _augmented(self, items, rng):
        if self.inputs.n_steps is None:
            return augment_images(self.augment, items, rng)
        n, n_steps, *space, channels = items.shape
        images = np.moveaxis(items, 1, -2).reshape(n, *space, n_steps * channels)
        images = augment_images(self.augment, images, rng)
        return np.moveaxis(images.reshape(n, *space, n_steps, channels), -2, 1)


def augment_images(augment: Callable, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return ``augment(images, rng)`` after checking its type and shape."""
    augmented = as_float32(augment(images, rng), "the result of augment")
    if augmented.shape != images.shape:
        raise SettingsError(
            f"augment must keep the shape of the images, {images.shape}, but returned {augmented.shape}",
            argument="augment",
        )
    return augmented


def made_ahead(make: Callable[[int], typing.Any], n_batches: int) -> Iterator[typing.Any]:
    """Yield ``make(0)``, ``make(1)``, ...; a thread makes the next batch while the caller works on the current one."""
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        next_batch = executor.submit(make, 0)
        for number in range(n_batches):
            batch = next_batch.result()
            if number + 1 < n_batches:
                next_batch = executor.submit(make, number + 1)
            yield batch
