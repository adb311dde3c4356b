"""Read the model of an ONNX file, a protocol buffer."""

import pathlib

from ...._util.ordinary_files import open_ordinary
from ....errors import ConversionError, FileFormatError
from .package import onnx_package
from .wire_format import Damaged, check_fields

MAX_BYTES = 2**31 - 1  # of a protocol buffer


def read_file(path):
    """Return the ModelProto of a file.

    Parameters
    ----------
    path : str or path

    Raises
    ------
    CompatibilityError
        If the package onnx is not installed.
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If it is damaged, or is not an ONNX file.
    """
    path, onnx = pathlib.Path(path), onnx_package()
    with open_ordinary(path, ConversionError) as file:
        size = file.seek(0, 2)
        if size > MAX_BYTES:
            raise FileFormatError(
                f"{path} has {size:,} bytes, more than a protocol buffer holds: save it with external data"
            )
        file.seek(0)
        content = file.read(size)
    try:
        check_fields(content, onnx.ModelProto.DESCRIPTOR)
        model = onnx.ModelProto.FromString(content)
    except Damaged as error:
        raise FileFormatError(
            f"{path} is damaged, or is not an ONNX file ({error}): copy or export it again"
        ) from error
    except Exception as error:  # DecodeError, which the package protobuf defines
        raise FileFormatError(f"{path} is damaged, or is not an ONNX file: copy or export it again") from error
    if not (model.HasField("graph") and model.graph.output):
        raise FileFormatError(f"{path} is not an ONNX file, or is damaged: it has no graph with an output")
    return model
