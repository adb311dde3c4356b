"""class_probabilities: the ANN of a network as the teacher of its spikes."""

from __future__ import annotations

import typing
from collections.abc import Callable

import numpy as np

from ..compat import tf
from ..networks.rate_model import prediction_batch, rate_model

if typing.TYPE_CHECKING:
    from ..networks.network import ConvNetwork


def class_probabilities(network: ConvNetwork) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function from images to the class probabilities of a network's ANN, (images, classes).

    They are targets for knowledge distillation (Hinton et al. 2015, arXiv 1503.02531).
    """
    ann = tf.function(rate_model(network))
    size = prediction_batch(network.model)

    def probabilities(images):
        parts = [tf.nn.softmax(ann(images[first : first + size])) for first in range(0, len(images), size)]
        return np.concatenate(parts)

    return probabilities
