"""The model: an immutable graph of layer specs plus NumPy arrays, from which every network is built."""

from .files import read_model, write_model
from .graph import Model

__all__ = ["Model", "read_model", "write_model"]
