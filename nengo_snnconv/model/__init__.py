"""Models: immutable graphs of layer specs plus NumPy arrays, from which all networks are built."""

from .files import read_model, write_model
from .graph import Model

__all__ = ["Model", "read_model", "write_model"]
