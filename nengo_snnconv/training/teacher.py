"""ann_as_teacher: the ANN of a network as the teacher of its spikes."""

from __future__ import annotations

import typing
from collections.abc import Callable

import numpy as np

from ..compat import tf
from ..networks.rate_model import prediction_batch, rate_model
from .targets import outputs_as_targets

if typing.TYPE_CHECKING:
    from ..evaluation.heads import Head
    from ..networks.network import ConvNetwork


def ann_as_teacher(network: ConvNetwork, head: Head) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function from images to the probabilities of classes or labels of a network's ANN, or its values.

    They are targets for knowledge distillation (Hinton et al. 2015, arXiv 1503.02531).
    """
    ann = tf.function(rate_model(network))
    size = prediction_batch(network.model)

    def targets(images):
        outputs = (ann(images[first : first + size]) for first in range(0, len(images), size))
        return np.concatenate([outputs_as_targets(head, part) for part in outputs])

    return targets
