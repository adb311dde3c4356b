"""Sweeps: evaluation with many settings, on shards of the data, many at once."""

from .sweep import Sweep, sweep
from .trial import Trial

__all__ = ["Sweep", "Trial", "sweep"]
