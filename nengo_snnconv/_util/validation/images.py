"""Validation of images, class numbers and targets against a model."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...errors import SettingsError, listed
from .arrays import as_array, check_range

# models are of a room above this one
Model = Any
Port = Any


def check_images(model: Model, x: Any) -> np.ndarray:
    """Return ``x`` as float32 images with the input shape of ``model``."""
    return np.asarray(check_stored_images(model, x), np.float32)


def check_stored_images(model: Model, x: Any, port: Port | None = None, name: str = "x") -> np.ndarray:
    """Return ``x`` as images with the input shape of ``model``, in their own type.

    A large array, such as a memory-mapped one, can then be converted to float32 a batch at a time.  ``port`` is one of
    several inputs, of which vectors may hold any integers; ``name`` is the name of its array.
    """
    x = as_array(x, name, "an array of images")
    if np.issubdtype(x.dtype, np.integer) and x.size and x.max() > 1 and not _may_be_integers(model, port):
        raise SettingsError(
            f"{name} holds integers up to {x.max()}: divide images by 255 to bring them into [0, 1], or make them "
            "floats if the model was trained on such numbers",
            argument="x",
        )
    shape = model.shapes[model.input] if port is None else port.shape
    if x.shape[1:] != shape or len(x) == 0:
        way_out = _way_out(x, shape) or _names_of_inputs(model, name)
        raise SettingsError(
            f"{name} must have shape (images, {', '.join(map(str, shape))}), got {x.shape}{way_out}", argument="x"
        )
    check_range(x, name, exact=True)
    return x


def _names_of_inputs(model: Model, name: str) -> str:
    """Return the way to give several inputs, after a colon; empty for a model with one input."""
    if len(model.inputs) == 1 or name != "x":
        return ""
    return f": give a dict with the keys {listed(model.inputs, 8)}, the inputs of the model"


def _way_out(x: np.ndarray, shape: tuple[int, ...]) -> str:
    """Return the call that gives an array the shape (images, ...), after a colon; empty if there is none."""
    got = x.shape
    if 0 in got or not got:
        return ""
    if got == shape:
        return ": give a single image as x[None]"
    if got[1:] == shape[:-1] and shape[-1] == 1:
        return ": add the axis of channels, x[..., None]"
    if len(shape) == 3 and got[1:] == (shape[2], *shape[:2]):
        return ": put the channels last, x.transpose(0, 2, 3, 1)"
    if got[1:] == (*shape[:-1], 1):
        return f": repeat the channel, x.repeat({shape[-1]}, axis=-1)"
    if got[2:] == shape:
        return ": give the mean over the steps of frames, x.mean(axis=1)"
    if (len(got) == 2 or len(shape) == 1) and math.prod(got[1:]) == math.prod(shape):
        return f": {_reshaped('x', shape)}"
    if (len(got) == 3 or len(shape) == 1) and math.prod(got[2:]) == math.prod(shape):
        return _way_out_of_steps(x, shape)
    if len(shape) == 3 and len(got) == 4 and got[-1] == shape[-1]:
        return f": resize the images, tf.image.resize(x, {shape[:2]})"
    return ""


def _reshaped(name, shape):
    """Return the call that gives images, or flat images, the shape (images, ...)."""
    return f"{name}.reshape(-1, {', '.join(map(str, shape))})" if len(shape) > 1 else f"{name}.reshape(len(x), -1)"


def _way_out_of_steps(x, shape):
    """Return the call for an array (images, steps, ...), such as NengoDL's simulator takes, in another form."""
    n_steps = x.shape[1]
    if not are_equal_in_all_steps(x):
        return f": x has {n_steps} steps of each item; as frames, x.reshape(*x.shape[:2], {', '.join(map(str, shape))})"
    once = _reshaped("x[:, 0]", shape)
    if n_steps == 1:
        return f": {once}"
    return (
        f": x repeats each image for {n_steps} steps; give it once, {once}, and n_steps={n_steps} to functions that "
        "run the network"
    )


def are_equal_in_all_steps(values: np.ndarray) -> bool:
    """Return whether an array (items, steps, ...) holds the same in all steps of each item."""
    return all((item == item[:1]).all() for item in values)


def _may_be_integers(model: Model, port: Port | None) -> bool:
    """Return whether an input begins with a layer that scales it, as one for pixels from 0 to 255, or is a vector."""
    if port is not None and len(port.shape) < 2:
        return True
    if port is not None and port.scaled is not None:
        return bool(port.scaled)
    if "input_range" in model.metadata:
        return True
    classes = {row["class"] for row in model.metadata.get("reading", [])}
    return bool(classes & {"Rescaling", "Normalization"})
