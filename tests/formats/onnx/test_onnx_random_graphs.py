"""Random graphs of ONNX: read exactly, and equal as networks."""

import hypothesis
import hypothesis.strategies as st
import numpy as np
from onnx_comparison import channels_last, check_equal, largest_value, run_onnx
from onnx_graphs import RandomGraph

import nengo_snnconv as snc

SETTINGS = hypothesis.settings(max_examples=60, deadline=None, suppress_health_check=list(hypothesis.HealthCheck))


def draw_graph(data, n_nodes):
    return RandomGraph(lambda options: data.draw(st.sampled_from(options)), data.draw(st.integers(0, 2**16)), n_nodes)


@SETTINGS
@hypothesis.given(st.data())
def test_reading_is_exact(data):
    graph = draw_graph(data, data.draw(st.integers(1, 7)))
    try:
        check_equal(graph.model, np.random.default_rng(0), graph.shape, all_values=True)
    except snc.ConversionError as error:
        # the only thing that such graphs hold and that is refused
        assert "pads a maximum of entries that may be negative" in str(error)


@hypothesis.settings(SETTINGS, max_examples=8)
@hypothesis.given(st.data())
def test_networks_are_exact(data):
    graph = draw_graph(data, data.draw(st.integers(1, 4)))
    x = np.random.default_rng(0).normal(0, 2, (2, *graph.shape)).astype(np.float32)
    try:
        network = snc.convert(graph.model)
    except snc.ConversionError:
        hypothesis.reject()
    got = np.asarray(snc.rate_model(network)(channels_last(x, network.model))).reshape(len(x), -1)
    expected = run_onnx(graph.model, x)
    orders = [expected] if expected.ndim < 3 else [expected, np.moveaxis(expected, 1, -1)]
    errors = [np.abs(got - order.reshape(len(x), -1)).max() for order in orders]
    assert min(errors) <= 1e-5 * largest_value(graph.model, x)
