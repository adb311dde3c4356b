"""as_model and inspect_model, the public functions: read a foreign model, or report how its layers would be read."""

from __future__ import annotations

import os
from typing import Any

from .._util.validation import shown
from ..errors import SettingsError
from ..model import Model
from . import keras, onnx, pytorch
from .shared.finished_model import finished_model


def as_model(source: Model | str | os.PathLike | Any, training: bool = False, *, input_shape: Any = None) -> Model:
    """Read a Keras, ONNX or PyTorch model into a :class:`Model`; return a Model unchanged.

    Reading is exact: the Model computes the output of the original at inference.  Only a softmax or sigmoid at the end
    is left out, and noted as ``metadata["head"]``.  ``metadata["reading"]`` is the report of :func:`inspect_model`.

    Parameters
    ----------
    source : Model, Keras model, onnx.ModelProto, torch.nn.Module, torch.export.ExportedProgram, str or path
        - Keras: a Sequential or functional model with a known input shape, of tf.keras, tf-keras or Keras 3; or the
          path of a ``.keras``, ``.h5`` or ``.hdf5`` file with such a model.
        - ONNX: the path of an ``.onnx`` file, or a ModelProto.  Images are channels-last in the Model, whatever they
          are in ONNX.
        - PyTorch: a module, which PyTorch's own exporter turns into an ONNX model, or an exported program.
    training : bool
        Warn about properties that training will ignore, such as regularizers.
    input_shape : tuple of int, or list or dict of them, optional
        Shape of an item in the order of PyTorch or ONNX, such as (3, 32, 32).  A module needs it, and so does an ONNX
        model that leaves it open.  For several inputs, a list of shapes in their order, or a dict by name.

    Returns
    -------
    Model

    Raises
    ------
    ConversionError
        If a layer or one of its options is not supported.  The message names the first such layers, their classes and
        what to do instead; ``layer`` is the first of them.  :func:`inspect_model` lists all.
    FileNotFoundError, FileFormatError
        If there is no such file; if it is damaged or has another format.
    CompatibilityError
        If the package onnx, or one that PyTorch needs to export, is not installed.

    Examples
    --------
    >>> model = nengo_snnconv.as_model("model.onnx")
    >>> print(model.summary())
    """
    check_input_shape(source, input_shape)
    if isinstance(source, Model):
        return source
    if pytorch.is_pytorch(source):
        return finished_model(_read_pytorch(source, input_shape), "PyTorch model")
    if onnx.is_onnx(source):
        return finished_model(onnx.read_onnx(source, input_shape), "ONNX model")
    return keras.as_model(source, training)


def inspect_model(source: Model | str | os.PathLike | Any, *, input_shape: Any = None) -> list[dict]:
    """Report how each layer of a Keras, ONNX or PyTorch model would be read, without converting it.

    Parameters
    ----------
    source : Model, Keras model, onnx.ModelProto, torch.nn.Module, torch.export.ExportedProgram, str or path
        See :func:`as_model`.
    input_shape : tuple of int, or list or dict of them, optional
        See :func:`as_model`.

    Returns
    -------
    list of dict
        One for each layer of Keras, including those of nested models, or for each node of the ONNX model that computes
        with the image:

        - "layer": name.
        - "class": name of the class or operator.
        - "status": "exact", "approximated", "refused" or "not checked" (the shape of its input is unknown).
        - "remark": reason for the status, and what to do instead.
        - "became": names of the specs that the layer is turned into.

    Raises
    ------
    ConversionError
        If ``source`` is not such a model, or its input shape is unknown.
    FileNotFoundError, FileFormatError
        If there is no such file; if it is damaged or has another format.
    CompatibilityError
        If the package onnx is needed, and is not installed.

    Examples
    --------
    >>> refused = [row for row in nengo_snnconv.inspect_model("model.onnx") if row["status"] == "refused"]
    """
    check_input_shape(source, input_shape)
    if isinstance(source, Model):
        return source.metadata.get("reading", [])
    if pytorch.is_pytorch(source):
        return list(_read_pytorch(source, input_shape).report.rows.values())
    if onnx.is_onnx(source):
        return list(onnx.read_onnx(source, input_shape).report.rows.values())
    return keras.inspect_keras(source)


def _read_pytorch(source, input_shape):
    """Return the reader that has read a PyTorch model; the names in a dict are those of arguments, not of ONNX."""
    model = pytorch.to_onnx(source, input_shape)
    return onnx.read_onnx(model, None if isinstance(input_shape, dict) else input_shape)


def inspect_keras(source: Model | str | os.PathLike | Any) -> list[dict]:
    """Report how each layer of a model would be read: the earlier name of :func:`inspect_model`."""
    return inspect_model(source)


def _is_shape(value):
    return isinstance(value, tuple | list) and len(value) > 0 and all(type(n) is int and n > 0 for n in value)


def check_input_shape(source: Any, input_shape: Any) -> None:
    """Check that the argument ``input_shape`` is None, or a shape and of use for ``source``."""
    if input_shape is None:
        return
    several = input_shape.values() if isinstance(input_shape, dict) else input_shape
    is_sequence = isinstance(input_shape, dict | list | tuple) and len(input_shape) > 0
    if not _is_shape(input_shape) and not (is_sequence and all(map(_is_shape, several))):
        raise SettingsError(
            "input_shape must be positive integers without the batch, such as (3, 32, 32), or a list or dict of such "
            f"shapes for several inputs; got {shown(input_shape)}",
            argument="input_shape",
        )
    if not (onnx.is_onnx(source) or pytorch.is_pytorch(source)):
        raise SettingsError(
            "input_shape applies to models of PyTorch and ONNX only: leave it out, since others have an input shape",
            argument="input_shape",
        )
