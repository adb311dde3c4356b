"""PyTorch models in memory, which PyTorch's own exporter turns into ONNX models."""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import io
import sys
import warnings
from typing import Any

from ..errors import CompatibilityError, ConversionError, listed
from .onnx.files.package import onnx_package

N_ITEMS = 2  # in the batch of the example; with one, PyTorch would squeeze the batch away
# names of the classes of PyTorch that are exported, or of their bases
_MODULE, _PROGRAM = "Module", "ExportedProgram"


def is_pytorch(source: Any) -> bool:
    """Return whether an object is a PyTorch module or an exported program."""
    return _is_instance(source, _MODULE) or _is_instance(source, _PROGRAM)


def _is_instance(source, name):
    return any(cls.__name__ == name and cls.__module__.startswith("torch.") for cls in type(source).__mro__)


def to_onnx(source: Any, input_shape: Any) -> Any:
    """Return the ONNX model of a PyTorch module, as it computes at inference.

    Parameters
    ----------
    source : torch.nn.Module or torch.export.ExportedProgram
    input_shape : tuple of int, list or dict of them, or None
        Shape of an item, such as (3, 32, 32), or one for each argument of ``forward``, in order or by name; a program
        knows it.

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
        return _exported(source, [_with_program], None, {})
    if input_shape is None:
        raise ConversionError(
            "input_shape is needed for a PyTorch model: the shape of an item, such as input_shape=(3, 32, 32)"
        )
    torch = sys.modules["torch"]
    parameter = next((p for p in source.parameters() if p.is_floating_point()), torch.zeros(0))
    shapes = _shapes_by_argument(source, input_shape)
    example = tuple(
        torch.zeros((N_ITEMS, *shape), dtype=parameter.dtype, device=parameter.device) for shape in shapes.values()
    )
    with _at_inference(source):
        names = {"input_names": list(shapes)} if len(shapes) > 1 else {}
        exporters = [_with_script, _with_program]
        return _exported(source, exporters, example, names | _names_of_outputs(source, example))


def _shapes_by_argument(module, input_shape):
    """Return the shape of an item of each argument of a module's ``forward``, by name."""
    parameters = list(inspect.signature(module.forward).parameters)
    if isinstance(input_shape, dict):
        if unknown := [name for name in input_shape if name not in parameters]:
            raise ConversionError(
                f"input_shape has {listed(unknown)}, but the arguments of {type(module).__name__}.forward are "
                f"{listed(parameters, 8)}"
            )
        return {name: input_shape[name] for name in parameters if name in input_shape}
    shapes = [input_shape] if isinstance(input_shape[0], int) else input_shape
    names = (*parameters, *(f"input_{number}" for number in range(len(parameters), len(shapes))))
    return dict(zip(names, shapes, strict=False))


def _names_of_outputs(module, example):
    """Return the option of an exporter that names several outputs of a module; empty for one output."""
    with contextlib.suppress(Exception), sys.modules["torch"].no_grad():  # exporters report what is wrong
        outputs = module(*example)
        if isinstance(outputs, dict):
            return {"output_names": list(outputs)}
        if isinstance(outputs, tuple | list) and len(outputs) > 1:
            numbered = [f"output_{number}" for number in range(len(outputs))]
            return {"output_names": list(getattr(outputs, "_fields", numbered))}
    return {}


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


def _exported(source, exporters, example, names):
    """Return the model from the first exporter that succeeds."""
    problem = None
    for export in exporters:
        try:
            # exporters print warnings about their own future
            with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
                warnings.simplefilter("ignore")
                return export(source, example, names)
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


def _with_script(module, example, names):
    """Return the model from the exporter that traces a module."""
    content = io.BytesIO()
    sys.modules["torch"].onnx.export(module, example, content, dynamo=False, **names)
    return onnx_package().ModelProto.FromString(content.getvalue())


def _with_program(source, example, names):
    """Return the model from the exporter of programs."""
    if importlib.util.find_spec("onnxscript") is None:
        raise CompatibilityError("PyTorch needs the package onnxscript to export this model: pip install onnxscript")
    if "tensorflow" in sys.modules and "triton" not in sys.modules and importlib.util.find_spec("triton"):
        raise CompatibilityError(
            "PyTorch would crash this session, because TensorFlow was imported before triton, which PyTorch needs: "
            "import nengo_snnconv before tensorflow"
        )
    return sys.modules["torch"].onnx.export(source, example or (), dynamo=True, verbose=False, **names).model_proto
