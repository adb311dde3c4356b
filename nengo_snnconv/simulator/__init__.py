"""The fast simulator: the same spikes as the other back ends, many times faster."""

from .simulation import Simulator

__all__ = ["Simulator"]
