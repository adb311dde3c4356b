"""The node tests of the package onnx: each is computed as expected, or refused by name."""

import copy
import warnings

import numpy as np
import pytest
from onnx_comparison import channels_last, forward, onnx

import nengo_snnconv as snc
from nengo_snnconv.formats.onnx.layers.table import READERS

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # NumPy warns while the tests are made
    loader = pytest.importorskip("onnx.backend.test.loader", reason="the package onnx has no tests")
    TESTS = {
        case.name: case
        for case in loader.load_model_tests(kind="node")
        if case.model is not None and {node.op_type for node in case.model.graph.node} & READERS.keys()
    }
LEFT_OUT = {"Softmax", "LogSoftmax", "Sigmoid"}


def with_constants(case):
    """Return (model, input, output) of a test; all inputs but the first become constants, and outputs are dropped."""
    model = copy.deepcopy(case.model)
    inputs, outputs = case.data_sets[0]
    if not inputs or not all(isinstance(value, np.ndarray) for value in (*inputs, outputs[0])):
        return None
    for value, array in list(zip(model.graph.input, inputs, strict=False))[1:]:
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, value.name))
    del model.graph.input[1:], model.graph.output[1:]
    return model, inputs[0], outputs[0]


@pytest.mark.parametrize("name", TESTS)
def test_node_is_right_or_refused(name):
    case = TESTS[name]
    prepared = with_constants(case)
    if prepared is None:
        pytest.skip("the test holds sequences, or numbers that NumPy lacks")
    model, x, expected = prepared
    try:
        read = snc.as_model(model)
    except snc.ConversionError as error:
        assert ": " in str(error)  # the reason, and what to do instead
        return
    if LEFT_OUT & {node.op_type for node in model.graph.node}:
        assert "approximated" in {row["status"] for row in read.metadata["reading"]}
        return
    got = forward(read, channels_last(x.astype(np.float32), read))
    orders = [expected] if expected.ndim < 3 else [expected, np.moveaxis(expected, 1, -1)]
    # the expected numbers are rounded to four digits in some tests, and the tests say so
    tolerances = {"rtol": case.rtol, "atol": max(case.atol, 1e-6 * np.abs(expected).max(initial=0))}
    assert any(got.shape == order.shape and np.allclose(got, order, **tolerances) for order in orders)


def test_most_node_tests_are_read():
    """A reader that refuses everything would pass, too."""
    read = 0
    for case in TESTS.values():
        prepared = with_constants(case)
        if prepared is not None and len(case.model.graph.node) == 1:
            read += all(row["status"] in ("exact", "approximated") for row in _rows(prepared[0]))
    assert read >= 100


def _rows(model):
    try:
        return snc.inspect_model(model)
    except snc.ConversionError:
        return [{"status": "refused"}]
