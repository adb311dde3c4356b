"""teacher_of: what a network learns instead of labels, the outputs of its own ANN or of a teacher."""

from __future__ import annotations

import typing
from collections.abc import Callable

import numpy as np

from .._util.validation import as_float32
from ..compat import tf
from ..errors import SettingsError
from ..networks.rate_model import prediction_batch, rate_model
from .targets import are_probabilities, is_classes, outputs_as_targets

if typing.TYPE_CHECKING:
    from ..evaluation.heads import Head
    from ..inputs import Inputs
    from ..networks.network import ConvNetwork


def teacher_of(network: ConvNetwork, head: Head, teacher: Callable | None) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function from images to the probabilities of classes or labels, or the values, that a network learns.

    They are those of the teacher, or of the network's own ANN if it is None (knowledge distillation, Hinton et al.
    2015, arXiv 1503.02531).
    """
    if teacher is not None:
        call = teacher.predict_on_batch if isinstance(teacher, tf.keras.Model) else teacher
        return lambda images: _checked(call(images), network, head, len(images))
    ann = tf.function(rate_model(network))
    size = prediction_batch(network.model)

    def targets(images):
        outputs = (ann(images[first : first + size]) for first in range(0, len(images), size))
        return np.concatenate([outputs_as_targets(head, part) for part in outputs])

    return targets


def check_teacher(network: ConvNetwork, head: Head, teacher: Callable, x: Inputs) -> None:
    """Call a teacher with two of the images, and raise an error if its outputs cannot be targets."""
    if x.n_steps is not None:
        raise SettingsError("a teacher is for images, not for frames or recordings", argument="teacher")
    teacher_of(network, head, teacher)(x.batch(np.arange(min(2, len(x)))))


def _checked(outputs, network, head, n_images):
    """Return the outputs of a teacher as targets, float32, after checks."""
    targets = as_float32(outputs, "the result of teacher")
    (port,) = network.model.outputs.values()
    if targets.shape != (n_images, *port.shape):
        raise SettingsError(
            f"teacher must return an array of shape {(n_images, *port.shape)} for {n_images} images, "
            f"got {targets.shape}",
            argument="teacher",
        )
    if head.decides and (targets.min() < 0 or targets.max() > 1 + 1e-3):
        function = "softmax" if is_classes(head) else "sigmoid"
        raise SettingsError(
            f"teacher must return probabilities, got values from {targets.min():.3g} to {targets.max():.3g}: apply a "
            f"{function}",
            argument="teacher",
        )
    if is_classes(head) and not are_probabilities(targets, 1e-2):
        raise SettingsError(
            f"teacher must return class probabilities, whose sum is 1 for each image; got {targets[0].sum():.3g}: "
            "apply a softmax",
            argument="teacher",
        )
    return targets
