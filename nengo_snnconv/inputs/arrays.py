"""Images and labels of any framework as NumPy arrays."""

from __future__ import annotations

import typing

import numpy as np

from .._util.validation import as_array

if typing.TYPE_CHECKING:
    from ..model import Model

# keys of batches that are dicts, as of TensorFlow Datasets and Hugging Face
IMAGE_KEYS = ("image", "images", "img", "pixel_values", "x")
LABEL_KEYS = ("label", "labels", "target", "targets", "class", "y")


def as_numbers(values: typing.Any, name: str) -> np.ndarray:
    """Return an array, a tensor of any framework, or a picture of Pillow as an array."""
    if hasattr(values, "detach"):  # of PyTorch: without gradients, and from the memory of the GPU
        values = values.detach().cpu()
    if hasattr(values, "getbands"):  # of Pillow
        values = np.asarray(values)
        values = values[..., None] if values.ndim == 2 else values
    return as_array(values, name, "an array of images" if name == "x" else "numbers")


def channels_last(model: Model, x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return images or frames with the channel last, if a model read from ONNX or PyTorch gets them as its source did.

    The shape decides: it must be that of an input, ``shape``, with the channel first, and not with the channel last.
    """
    if len(shape) == 3 and x.shape[-3:] != shape and x.shape[-3:] == (shape[2], *shape[:2]) and _from_onnx(model):
        return np.moveaxis(x, -3, -1)
    return x


def _from_onnx(model):
    """Return whether a model was read from ONNX or PyTorch, whose inputs have another class than those of Keras."""
    return any(row["class"] == "Input" for row in model.metadata.get("reading", []))
