"""warn_of_other_weights: weights that a nengo_dl.Simulator has trained, and that a user's network does not have."""

from __future__ import annotations

import gc
import typing

import nengo
import numpy as np

from ..._util.user_warnings import warn_user
from ...compat import nengo_dl
from .parameters import gain_bias


def warn_of_other_weights(network: nengo.Network, way_out: str, closed: bool = True) -> bool:
    """Warn if a simulator of NengoDL may have trained a network, and the network does not have these weights.

    NengoDL keeps the weights of Keras layers in these layers, but those of connections and the biases of neurons in the
    simulator, until ``freeze_params`` is called.  Of a simulator that is closed only the initial weights are known: a
    network that still has them was not frozen.

    Parameters
    ----------
    network : nengo.Network
        Network of the user's own objects.
    way_out : str
        What to do, for the message.
    closed : bool
        Warn of simulators that are closed too.

    Returns
    -------
    bool
        Whether there is a simulator of the network, so that its weights could be compared.
    """
    found = [each for each in _simulators() if each.model.toplevel is network and (closed or not each.closed)]
    if not found:
        return False
    alive = [each for each in found if not each.closed]
    for simulator in alive or found:
        same = [np.array_equal(own, other) for own, other in _weights(network, simulator)]
        if alive and not all(same):
            warn_user(
                f"the network does not have the weights of its nengo_dl.Simulator: if that trained them, {way_out}"
            )
            break
        if not alive and same and all(same):
            warn_user(
                "the network has the weights with which its nengo_dl.Simulator began, which is closed now: if that "
                f"trained them, {way_out}"
            )
            break
    return True


def _simulators():
    """Return the simulators of NengoDL that exist in this process."""
    # by type, because isinstance can call code of the objects
    return [each for each in gc.get_objects() if issubclass(type(each), nengo_dl.Simulator)]


def _weights(network, simulator):
    """Return pairs of arrays: parameters of the objects, and those in a simulator; the initial ones if it is closed."""
    for connection in trained_objects(network, network.all_connections):
        own = getattr(connection.transform, "init", None)
        if isinstance(own, np.ndarray):
            if simulator.closed:
                other = simulator.model.params[connection].weights
            else:
                other = simulator.get_nengo_params(connection)["transform"]
            yield np.float32(own), np.float32(getattr(other, "init", other))
    for ensemble in trained_objects(network, network.all_ensembles):
        _, own = gain_bias(ensemble, simulator.model.seeds[ensemble])
        if simulator.closed:
            other = simulator.model.params[ensemble].bias
        else:
            other = simulator.get_nengo_params(ensemble)["bias"]
        yield own, np.broadcast_to(np.float32(other), own.shape)


def trained_objects(network: nengo.Network, objects: typing.Iterable) -> list:
    """Return the objects that NengoDL trains."""
    return [each for each in objects if nengo_dl.config.get_setting(network, "trainable", obj=each) is not False]
