"""keras_form: the Keras model in whose place a network is trained and validated."""

from __future__ import annotations

import typing

from ..networks.native import NativeConfig
from ..networks.rate_model import rate_model
from .tandem_model import tandem_model
from .unrolled_model import unrolled_model

if typing.TYPE_CHECKING:
    from ..compat import tf
    from ..networks.network import ConvNetwork


def keras_form(network: ConvNetwork, n_steps: int | None, *, still: bool) -> tf.keras.Model:
    """Return a network as a Keras model from inputs to class scores, (batch, classes), with gradients.

    Parameters
    ----------
    network : ConvNetwork
        Network that ``train`` accepts.
    n_steps : int or None
        Number of time steps; None for firing rates.
    still : bool
        Inputs are images, (batch, height, width, channel), instead of frames, (batch, steps, height, width, channel).
    """
    if isinstance(network.settings, NativeConfig):
        assert n_steps is not None and still
        return tandem_model(network, n_steps)
    if n_steps is None:
        return rate_model(network)
    return unrolled_model(network, n_steps, still=still)
