"""Training of networks on their rate approximation."""

from .loop import train
from .transforms import random_affine

__all__ = ["random_affine", "train"]
