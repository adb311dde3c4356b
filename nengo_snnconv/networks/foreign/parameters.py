"""Parameters: the current weights of connections, and gains and biases of ensembles, of a user's network."""

from __future__ import annotations

import typing

import nengo
import numpy as np
from nengo.builder.network import seed_network

from ...errors import ConversionError, SettingsError


def gain_bias(ensemble: nengo.Ensemble, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the gains and biases that Nengo gives the neurons of an ensemble, float32 (neurons,) each.

    Parameters
    ----------
    ensemble : nengo.Ensemble
        Gains and biases may be arrays, or follow from distributions of ``max_rates`` and ``intercepts``.
    seed : int
        Seed that Nengo assigns to the ensemble, for distributions.
    """
    values = ensemble.gain, ensemble.bias
    if any(value is None or isinstance(value, nengo.dists.Distribution) for value in values):
        model = nengo.builder.Model()
        model.seeds[ensemble] = model.seeds[ensemble.neurons] = seed
        model.seeded[ensemble] = model.seeded[ensemble.neurons] = True
        with np.errstate(all="ignore"):  # of maximal rates, which are infinite or undefined for some gains
            model.build(ensemble)
        values = model.params[ensemble].gain, model.params[ensemble].bias
    gain, bias = (np.broadcast_to(np.asarray(value, np.float32), (ensemble.n_neurons,)) for value in values)
    return gain, bias


class Parameters:
    """Current parameters of a network.

    Parameters
    ----------
    network : nengo.Network
    simulator : nengo_dl.Simulator, optional
        Open simulator of the network, which may have trained it; by default, parameters are those of the objects.

    Attributes
    ----------
    seeds : dict of Nengo object to int
        Seed of each object.

    Raises
    ------
    SettingsError
        If the simulator is closed, or simulates another network.
    """

    def __init__(self, network: nengo.Network, simulator: typing.Any = None) -> None:
        self.simulator = simulator
        if simulator is not None:
            self._check_simulator(network, simulator)
        self.seeds: dict[typing.Any, int] = {}
        if simulator is None:
            seed_network(network, self.seeds, {})
        else:
            self.seeds.update(simulator.model.seeds)

    @staticmethod
    def _check_simulator(network, simulator):
        for attribute in ("get_nengo_params", "model", "closed"):
            if not hasattr(simulator, attribute):
                raise SettingsError(
                    f"simulator must be a nengo_dl.Simulator of the network or None, got {type(simulator).__name__}",
                    argument="simulator",
                )
        if simulator.closed:
            raise SettingsError(
                "simulator is closed and has no weights any more: call from_nengo inside its with block, or call "
                "simulator.freeze_params(network) there and leave simulator out; if sim.save_params(file) saved them, "
                "open a new nengo_dl.Simulator(network), call its load_params(file), and give that simulator",
                argument="simulator",
            )
        if simulator.model.toplevel is not network:
            raise SettingsError(
                f"simulator runs another network, {simulator.model.toplevel}: give that one to from_nengo",
                argument="simulator",
            )

    def gain_bias(self, ensemble: nengo.Ensemble) -> tuple[np.ndarray, np.ndarray]:
        """Return the gains and biases of an ensemble's neurons, float32 (neurons,) each."""
        if self.simulator is None:
            return gain_bias(ensemble, self.seeds[ensemble])
        values = self.simulator.get_nengo_params(ensemble)
        return np.asarray(values["gain"], np.float32), np.asarray(values["bias"], np.float32)

    def transform(self, connection: nengo.Connection) -> typing.Any:
        """Return the transform of a connection with its current weights, whose initial values are arrays."""
        transform = connection.transform
        if isinstance(transform, nengo.transforms.NoTransform):
            return transform
        if self.simulator is not None:
            transform = self.simulator.get_nengo_params(connection)["transform"]
            if not isinstance(transform, nengo.transforms.Transform):
                transform = nengo.Dense(connection.transform.shape, init=transform)
        if isinstance(getattr(transform, "init", None), nengo.dists.Distribution):
            raise ConversionError(
                f"the weights of {connection} are drawn from {transform.init}, differently in each simulator: give "
                "from_nengo the open nengo_dl.Simulator as simulator=..., or set them to an array"
            )
        return transform
