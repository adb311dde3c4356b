"""Tuning: the automatic choice of settings and of the number of steps."""

from .tune import Tuning, tune

__all__ = ["Tuning", "tune"]
