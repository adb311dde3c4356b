"""EnergyModel: published energy of single operations."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class EnergyModel:
    """Published energy per operation, in picojoules.

    Attributes
    ----------
    source : str
        Hardware and publication.
    addition : float
        Addition of a weight to an input current, for a spike.
    update, idle_update : float
        Update of a neuron in a step in which it integrates its input, and in a step in which it is idle.
    multiply_accumulate : float or None
        Multiply-accumulate operation of an ANN; None for hardware that runs no ANNs.
    """

    source: str
    addition: float
    update: float
    idle_update: float
    multiply_accumulate: float | None = None


HOROWITZ_MULTIPLY_ACCUMULATE = 4.6
HOROWITZ = EnergyModel(
    "45 nm, 32-bit float (Horowitz 2014)", 0.9, 0.9, 0.0, multiply_accumulate=HOROWITZ_MULTIPLY_ACCUMULATE
)
LOIHI = EnergyModel("Loihi (Davies et al. 2018)", 23.6, 81.0, 52.0)


@dataclasses.dataclass(frozen=True)
class Energy:
    """Energy for one image under an :class:`EnergyModel`, in joules.

    Attributes
    ----------
    source : str
        Hardware and publication.
    ann : float or None
        Energy of the ANN; None for hardware that runs no ANNs.
    snn : float
        Energy of the spiking network: synaptic operations, and multiply-accumulates of a constant input current.
    snn_with_updates : float
        The same plus neuron updates.
    """

    source: str
    ann: float | None
    snn: float
    snn_with_updates: float
