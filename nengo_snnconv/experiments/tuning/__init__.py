"""Tuning: automatic choice of parameters and of the number of time steps."""

from .result import Tuning
from .tune import tune

__all__ = ["Tuning", "tune"]
