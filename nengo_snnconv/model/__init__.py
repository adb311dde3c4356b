"""The model: an immutable graph of layer specs plus NumPy arrays, from which every network is built."""

from .files import read_model, write_model
from .graph import Model
from .layers import (
    Add,
    AveragePool,
    Concatenate,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePool,
    GlobalMaxPool,
    Input,
    Layer,
    MaxPool,
    Rectifier,
    Reshape,
)

__all__ = [
    "Add",
    "AveragePool",
    "Concatenate",
    "Conv",
    "Dense",
    "Dropout",
    "Flatten",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "Input",
    "Layer",
    "MaxPool",
    "Model",
    "Rectifier",
    "Reshape",
    "read_model",
    "write_model",
]
