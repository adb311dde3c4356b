"""Sweeps: evaluate a network for every point of a grid of parameter values, on shards of the data, in parallel."""

from .sweep import Sweep, sweep
from .trial import Trial

__all__ = ["Sweep", "Trial", "sweep"]
