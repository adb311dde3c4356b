"""Comparison of ONNX models with the models read from them."""

import numpy as np
import pytest
from keras_comparison import check_close, forward

import nengo_snnconv as snc

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")
helper, numpy_helper = onnx.helper, onnx.numpy_helper

OPSET = 18
IR_VERSION = 10  # onnxruntime 1.23, the last for Python 3.10, reads up to 11


def node(kind, inputs, output="y", **attributes):
    """Return a node; ``inputs`` and ``output`` are names, separated by spaces."""
    return helper.make_node(
        kind, inputs.split(" "), output.split(" "), name=f"{kind.lower()}_{output}".replace(" ", "_"), **attributes
    )


def make_model(nodes, shape, arrays=None, output="y", opset=OPSET, batch="n"):
    """Return a model whose input is "x", with items of ``shape``, and whose output is "y"."""
    constants = {name: np.asarray(value) for name, value in (arrays or {}).items()}
    graph = helper.make_graph(
        [nodes] if isinstance(nodes, onnx.NodeProto) else nodes,
        "graph",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [batch, *shape])],
        [helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=IR_VERSION)


def run_onnx(model, x):
    """Return the output of a model or a file, as onnxruntime computes it without optimization."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    content = model.SerializeToString() if isinstance(model, onnx.ModelProto) else str(model)
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    (value,) = session.get_inputs()
    return session.run(None, {value.name: x})[0]


def channels_last(values, model):
    """Return a batch with the channel, which is the second axis in ONNX, as the last, if the Model takes it so."""
    return values if values.shape[1:] == model.shapes[model.input] else np.moveaxis(values, 1, -1)


def largest_value(model, x):
    """Return the largest absolute value of all tensors of a model; their rounding errors are in proportion to it."""
    whole = onnx.ModelProto.FromString(model.SerializeToString())
    names = [name for each in whole.graph.node for name in each.output if name != whole.graph.output[0].name]
    whole.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = onnxruntime.InferenceSession(whole.SerializeToString(), providers=["CPUExecutionProvider"])
    return max(np.abs(value).max() for value in session.run(None, {"x": x}))


def check_equal(source, rng, shape, n=3, expected=None, all_values=False):
    """Check that the Model read from an ONNX model has the same output, and return it.

    Parameters
    ----------
    source : ModelProto or path
    rng : numpy.random.Generator
    shape : tuple of int
        Shape of an item in ONNX.
    n : int
        Number of items.
    expected : callable, optional
        Function that computes the output for a batch; onnxruntime by default.
    all_values : bool
        Measure errors by the largest value of all tensors instead of the output, whose terms may cancel.
    """
    x = rng.normal(0, 2, (n, *shape)).astype(np.float32)
    model = snc.as_model(source)
    result, scores = forward(model, channels_last(x, model)), run_onnx(source, x) if expected is None else expected(x)
    # images are channels-last; two orders of random numbers cannot be confused
    orders = [scores] if scores.ndim < 3 else [scores, np.moveaxis(scores, 1, -1)]
    closest = min(orders, key=lambda order: _distance(result, order))
    if all_values:
        assert _distance(result, closest) <= 1e-5 * largest_value(source, x)
    else:
        check_close(result, closest)
    return model


def _distance(got, expected):
    return np.abs(got - expected).max() if got.shape == expected.shape else np.inf


def refused(source, **arguments):
    """Return {layer: remark} for the refused layers of a model."""
    rows = snc.inspect_model(source, **arguments)
    return {row["layer"]: row["remark"] for row in rows if row["status"] == "refused"}


__all__ = ["check_close", "check_equal", "forward", "make_model", "node", "onnx", "onnxruntime", "refused", "run_onnx"]
