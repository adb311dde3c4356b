"""PyTorch models in memory, which PyTorch's own exporter turns into ONNX models."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import sys
import warnings
from typing import Any

from ..errors import CompatibilityError, ConversionError
from .onnx.files.package import onnx_package

N_ITEMS = 2  # in the batch of the example; with one, PyTorch would squeeze the batch away
# names of the classes of PyTorch that are exported, or of their bases
_MODULE, _PROGRAM = "Module", "ExportedProgram"


def is_pytorch(source: Any) -> bool:
    """Return whether an object is a PyTorch module or an exported program."""
    return _is_instance(source, _MODULE) or _is_instance(source, _PROGRAM)


def _is_instance(source, name):
    return any(cls.__name__ == name and cls.__module__.startswith("torch.") for cls in type(source).__mro__)


def to_onnx(source: Any, input_shape: tuple[int, ...] | None) -> Any:
    """Return the ONNX model of a PyTorch module, as it computes at inference.

    Parameters
    ----------
    source : torch.nn.Module or torch.export.ExportedProgram
    input_shape : tuple of int or None
        Shape of an item, such as (3, 32, 32); a program knows it.

    Returns
    -------
    ModelProto

    Raises
    ------
    CompatibilityError
        If the package onnx, or one that PyTorch needs to export, is not installed.
    ConversionError
        If ``input_shape`` is missing, or PyTorch cannot export the module.
    """
    onnx_package()
    if _is_instance(source, _PROGRAM):
        return _exported(source, [_with_program])
    if input_shape is None:
        raise ConversionError(
            "input_shape is needed for a PyTorch model: the shape of an item, such as input_shape=(3, 32, 32)"
        )
    torch = sys.modules["torch"]
    parameter = next((p for p in source.parameters() if p.is_floating_point()), torch.zeros(0))
    example = torch.zeros((N_ITEMS, *input_shape), dtype=parameter.dtype, device=parameter.device)
    with _at_inference(source):
        return _exported(source, [_with_script, _with_program], example)


@contextlib.contextmanager
def _at_inference(module):
    """Put a module and all those in it into evaluation mode, and back into their modes."""
    training = [each for each in module.modules() if each.training]
    try:
        module.eval()
        yield
    finally:
        for each in training:
            each.training = True


def _exported(source, exporters, *example):
    """Return the model from the first exporter that succeeds."""
    problem = None
    for export in exporters:
        try:
            # exporters print warnings about their own future
            with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
                warnings.simplefilter("ignore")
                return export(source, example)
        except CompatibilityError as error:
            problem = problem or error
        except Exception as error:  # of any class, since the module's own code runs
            problem = error
    if isinstance(problem, CompatibilityError):
        raise problem
    text = " ".join(str(problem).split())[:200]
    raise ConversionError(
        f"PyTorch cannot export {type(source).__name__} to ONNX ({type(problem).__name__}: {text}): check that it "
        "computes items of this shape, and use operators that torch.onnx.export knows"
    ) from problem


def _with_script(module, example):
    """Return the model from the exporter that traces a module."""
    content = io.BytesIO()
    sys.modules["torch"].onnx.export(module, example, content, dynamo=False)
    return onnx_package().ModelProto.FromString(content.getvalue())


def _with_program(source, example):
    """Return the model from the exporter of programs."""
    if importlib.util.find_spec("onnxscript") is None:
        raise CompatibilityError("PyTorch needs the package onnxscript to export this model: pip install onnxscript")
    return sys.modules["torch"].onnx.export(source, example, dynamo=True, verbose=False).model_proto
