"""Batches of an epoch, made one after the other, so that data need not fit in memory."""

import numpy as np

from .._util.validation import as_float32
from ..compat import tf
from ..errors import SettingsError


class EpochBatches(tf.keras.utils.Sequence):
    """The batches of an epoch.

    Parameters
    ----------
    inputs : Inputs
    y : ndarray
        Targets of all items.
    order : ndarray of int
        The items that the epoch sees, as many as fill its batches.
    batch_size : int
    augment : callable or None
        Of images: all steps of an item are changed alike, as channels of one image.
    seed : list of int
        Of the augmentation.
    """

    def __init__(self, inputs, y, order, batch_size, augment, seed):
        self.inputs, self.y, self.augment, self.seed = inputs, y, augment, seed
        self.order = order.reshape(-1, batch_size)

    def __len__(self):
        return len(self.order)

    def __getitem__(self, number):
        items = self.inputs.batch(self.order[number])
        if self.augment is not None:
            items = self._augmented(items, np.random.default_rng([*self.seed, number]))
        return items, self.y[self.order[number]]

    def _augmented(self, items, rng):
        if self.inputs.n_steps is None:
            return augmented(self.augment, items, rng)
        n, n_steps, *space, channels = items.shape
        images = np.moveaxis(items, 1, -2).reshape(n, *space, n_steps * channels)
        images = augmented(self.augment, images, rng)
        return np.moveaxis(images.reshape(n, *space, n_steps, channels), -2, 1)


def augmented(augment, images, rng):
    """``augment(images, rng)``, checked."""
    changed = as_float32(augment(images, rng), "what augment returns")
    if changed.shape != images.shape:
        raise SettingsError(f"augment must keep the images' shape {images.shape}, it returned {changed.shape}")
    return changed
