"""The package onnx, which is loaded when the first ONNX model is read."""

import importlib

from ....errors import CompatibilityError


def onnx_package():
    """Return the package onnx.

    Raises
    ------
    CompatibilityError
        If it is not installed.
    """
    try:
        return importlib.import_module("onnx")
    except ImportError as error:
        raise CompatibilityError(
            'reading ONNX models needs the package onnx: pip install "nengo_snnconv[onnx]", or pip install onnx'
        ) from error
