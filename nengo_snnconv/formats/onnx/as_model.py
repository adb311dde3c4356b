"""read_onnx: read an ONNX model from memory or from a file."""

from __future__ import annotations

import os
import pathlib
from typing import Any

from ...errors import FileFormatError, SnnConvError
from .files.arrays import ArrayReader
from .files.onnx_file import read_file
from .graph_reader import GraphReader


def is_onnx(source: Any) -> bool:
    """Return whether a source is an ONNX file, by its name, or an ONNX model in memory."""
    if isinstance(source, str | os.PathLike):
        return pathlib.Path(source).suffix.lower() == ".onnx"
    return type(source).__name__ == "ModelProto" and type(source).__module__.startswith("onnx")


def read_onnx(source: str | os.PathLike | Any, input_shape: Any = None) -> GraphReader:
    """Return the GraphReader that has read an ONNX model.

    Parameters
    ----------
    source : str, path or ModelProto
    input_shape : tuple of int, or list or dict of them, optional
        Shape of an item of each input in the order of the model, for axes that it leaves open.

    Raises
    ------
    CompatibilityError
        If the package onnx is not installed.
    ConversionError
        If the model has no input, ``input_shape`` does not fit it, or it needs other versions of the operators.
    FileNotFoundError, FileFormatError
        If there is no such file; if it is damaged.
    """
    is_file = isinstance(source, str | os.PathLike)
    name = source if is_file else "the ONNX model"
    model = read_file(source) if is_file else source
    try:
        return GraphReader(model, ArrayReader(pathlib.Path(source).parent if is_file else None), input_shape)
    except FileFormatError as error:
        raise FileFormatError(f"{name}: {error}") from error
    except (SnnConvError, MemoryError):
        raise
    except Exception as error:  # an invalid graph can fail anywhere
        text = (str(error).strip().splitlines() or [""])[0][:200]
        raise FileFormatError(
            f"{name} is damaged ({type(error).__name__}: {text}): check it with onnx.checker, and export it again"
        ) from error
