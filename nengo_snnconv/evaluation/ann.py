"""Predictions of the ANN behind a network, which computes firing rates in one forward pass."""

from __future__ import annotations

import typing
import weakref
from collections.abc import Callable

import numpy as np

from ..compat import tf
from ..inputs import Images, batches
from ..model.memory import MEMORY_MB
from ..networks.edits import check_unedited
from ..networks.network import ConvNetwork
from ..networks.rate_model import prediction_batch, rate_model
from .task import classes_of

if typing.TYPE_CHECKING:
    from ..inputs import Inputs
    from .heads import Head

# for each network, its last predictions for images, and what identifies the images
_kept: weakref.WeakKeyDictionary[ConvNetwork, tuple[tuple[str, int, str], np.ndarray]] = weakref.WeakKeyDictionary()
# the ANN of the last network, as a graph of TensorFlow
_traced: weakref.WeakKeyDictionary[ConvNetwork, Callable] = weakref.WeakKeyDictionary()


def ann_predictions(
    network: ConvNetwork,
    inputs: Inputs,
    batch_size: int | None = None,
    memory_mb: float | None = MEMORY_MB,
    head: Head | None = None,
) -> np.ndarray | None:
    """Return the predictions of the ANN for inputs, (items, ...); None if the network has no ANN.

    The ANN sees the mean of frames over time.  The last predictions of a network for images are kept, since they are
    the same for any number of steps and any back end.

    Parameters
    ----------
    network : ConvNetwork
    inputs : Inputs
    batch_size : int, optional
        Number of items that are computed together; by default 500, or fewer if that is all ``memory_mb`` allows.
    memory_mb : float or None
    head : Head, optional
        What the outputs mean; by default class scores, whose predictions are classes, (items,).
    """
    head = head or classes_of(network.model).head
    if not network.settings.has_rates:
        return None
    batch_size = prediction_batch(network.model, memory_mb) if batch_size is None else batch_size
    if not isinstance(network, ConvNetwork) or not isinstance(inputs, Images):
        return _predict(network, inputs, batch_size, head)
    check_unedited(network)
    key = inputs.digest(), batch_size, head.kind
    if network not in _kept or _kept[network][0] != key:
        _kept[network] = key, _predict(network, inputs, batch_size, head)
    return _kept[network][1].copy()


def ann_predictions_of_images(network: ConvNetwork, x: np.ndarray, head: Head | None = None) -> np.ndarray:
    """Return the predictions of the ANN for an array of images, (images, ...); by default classes."""
    head = head or classes_of(network.model).head
    return _predict(network, Images(x), prediction_batch(network.model, MEMORY_MB), head)


def _predict(network, inputs, batch_size, head):
    """Return the predictions of the ANN, (items, ...)."""
    # tracing pays off with more than a batch, and once for batches of all sizes
    ann = _traced_ann(network) if len(inputs) > batch_size else rate_model(network)
    means = (batch if inputs.n_steps is None else batch.mean(axis=1) for batch in batches(inputs, batch_size))
    outputs = (ann(tf.constant(batch)).numpy() for batch in means)
    return np.concatenate([head.predict(batch.reshape(len(batch), -1)) for batch in outputs])


def _traced_ann(network):
    """Return the ANN of a network as a graph of TensorFlow."""
    if network in _traced:
        check_unedited(network)
        return _traced[network]
    shape = (None, *network.model.shapes[network.model.input])
    ann = tf.function(rate_model(network), input_signature=[tf.TensorSpec(shape, tf.float32)], autograph=False)
    _traced.clear()
    if isinstance(network, ConvNetwork):
        _traced[network] = ann
    return ann
