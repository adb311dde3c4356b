"""Predictions of the ANN behind a network, which computes firing rates in one forward pass."""

from __future__ import annotations

import typing

import numpy as np

from ..model.memory import MEMORY_MB
from ..networks.rate_model import outputs_of, prediction_batch, rate_model
from .inputs import Images

if typing.TYPE_CHECKING:
    from ..networks.network import ConvNetwork
    from .inputs import Inputs


def ann_predictions(
    network: ConvNetwork, inputs: Inputs, batch_size: int | None = None, memory_mb: float | None = MEMORY_MB
) -> np.ndarray | None:
    """Return the classes that the ANN predicts for inputs, (items,); None if the network has no ANN.

    The ANN sees the mean of frames over time.

    Parameters
    ----------
    network : ConvNetwork
    inputs : Inputs
    batch_size : int, optional
        Number of items that are computed together; by default 500, or fewer if that is all ``memory_mb`` allows.
    memory_mb : float or None
    """
    if not network.settings.has_rates:
        return None
    if isinstance(inputs, Images) and inputs.n_steps is None:
        return ann_predictions_of_images(network, inputs.batch(slice(None)), batch_size, memory_mb)
    batch_size = prediction_batch(network.model, memory_mb) if batch_size is None else batch_size
    ann, starts = rate_model(network), range(0, len(inputs), batch_size)
    batches = (inputs.batch(slice(start, start + batch_size)) for start in starts)
    images = (batch if inputs.n_steps is None else batch.mean(axis=1) for batch in batches)
    return np.concatenate([outputs_of(ann, batch, batch_size).argmax(axis=-1) for batch in images])


def ann_predictions_of_images(
    network: ConvNetwork, x: np.ndarray, batch_size: int | None = None, memory_mb: float | None = MEMORY_MB
) -> np.ndarray:
    """Return the classes that the ANN predicts for an array of images, (images,)."""
    batch_size = prediction_batch(network.model, memory_mb) if batch_size is None else batch_size
    return outputs_of(rate_model(network), x, batch_size).argmax(axis=-1)
