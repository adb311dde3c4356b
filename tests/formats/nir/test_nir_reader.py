"""from_nir: the spikes of a simulator written from NIR's equations, node by node; refused nodes are named."""

import types

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nir_interpreter import chain, run

import nengo_snnconv as snc
from nengo_snnconv.model import layers as specs
from nengo_snnconv.networks.layerwise import LayerwiseConfig
from nengo_snnconv.networks.loihi.plan import plan_of
from nengo_snnconv.networks.native import NativeConfig
from nengo_snnconv.networks.surrogate import SurrogateConfig

DT = 2.0**-10  # sums of dyadic numbers are exact, so spikes are equal, not close
SHAPE = (2, 6, 4)


def dyadic(*shape, scale=1.0, at_least=-1.0):
    """Return random multiples of 1/64, the same ones for each shape."""
    return np.round(64 * scale * generator(*shape).uniform(at_least, 1, shape)) / 64


def generator(*seed):
    return np.random.default_rng(seed)


def graph_of(graph):
    """Return a stand-in for nir.NIRGraph with a graph as a dict."""
    return types.SimpleNamespace(nodes=graph["nodes"], edges=graph["edges"], to_dict=lambda: graph)


def network_of(graph, dt=DT):
    return snc.from_nir(graph_of(graph), dt=dt)


def frames_of(shape, n_steps=10):
    return np.round(8 * np.random.default_rng(1).uniform(0, 2, (n_steps, *shape))) / 8


def check(graph, frames, dt=DT):
    """Check that a graph gives the same spikes and outputs here as by NIR's equations; return the network."""
    spikes, outputs = run(graph, frames, dt)
    network = network_of(graph, dt)
    x = np.moveaxis(frames, 1, -1)[None].astype(np.float32)
    recording = snc.record(network, x, n_steps=len(frames))
    assert sum(steps.sum() for steps in spikes.values()) > 0 or not spikes
    for name, expected in spikes.items():
        found = recording.spikes[name][0].reshape(len(frames), *network.model.shapes[name])
        if expected.ndim > 2:
            expected = np.moveaxis(expected, 1, -1)
        if expected.shape != found.shape or expected.ndim == 2:  # behind Flatten, entries are in another order
            assert np.array_equal(np.sort(found.reshape(len(found), -1)), np.sort(expected.reshape(len(found), -1)))
        else:
            assert np.array_equal(found, expected), name
    np.testing.assert_allclose(
        recording.output[0], np.moveaxis(outputs, 1, -1).reshape(len(frames), -1), rtol=1e-6, atol=1e-6
    )
    return network


def full(value, *shape):
    return np.full(shape, value, float)


def ends(shape, out):
    return {"type": "Input", "shape": np.array(shape)}, {"type": "Output", "shape": np.array(out)}


def conv(out=3, into=2, size=(3, 3), **changes):
    node = {"type": f"Conv{len(size)}d", "weight": dyadic(out, into, *size), "bias": dyadic(out, scale=0.5)}
    return node | {"stride": 1, "padding": 0, "dilation": 1, "groups": 1} | changes


def neurons(kind, *shape, **changes):
    node = {"type": kind, "r": full(1 / DT, *shape), "v_threshold": full(1, *shape), "v_reset": full(0, *shape)}
    if kind != "IF":
        node |= {"r": full(1, *shape), "v_leak": full(0, *shape)}
    node |= {"LIF": {"tau": full(2 * DT, *shape)}, "CubaLIF": {"tau_mem": full(2 * DT, *shape)}}.get(kind, {})
    if kind == "CubaLIF":
        node |= {"tau_syn": full(2 * DT, *shape), "w_in": full(2, *shape)}
    node |= changes
    return {name: value for name, value in node.items() if value is not None}


def one_layer(node, size=6):
    weight = dyadic(size, 5, scale=2, at_least=-0.5)
    start, end = ends((5,), (size,))
    return chain(input=start, affine={"type": "Affine", "weight": weight, "bias": dyadic(size)}, n=node, output=end)


@pytest.mark.parametrize("kind", ["IF", "LIF", "CubaLIF"])
@pytest.mark.parametrize("reset", ["zero", "subtract", "value"])
def test_neurons(kind, reset):
    v_reset = {"zero": full(0, 6), "subtract": None, "value": full(-0.5, 6)}[reset]
    changes = {} if kind == "IF" or reset != "value" else {"v_leak": full(-0.5, 6)}
    graph = one_layer(neurons(kind, 6, v_reset=v_reset, **changes))
    check(graph, frames_of((5,)))


def test_neurons_spike_above_the_threshold_not_at_it():
    start, end = ends((1,), (1,))
    graph = chain(input=start, linear={"type": "Linear", "weight": np.ones((1, 1))}, n=neurons("IF", 1), output=end)
    network = check(graph, full(0.5, 9, 1))
    assert network.settings.neuron_type.threshold == np.nextafter(np.float32(1), np.float32(2))
    graph["nodes"]["n"]["v_threshold"] = full(np.nextafter(np.float32(1), np.float32(0)), 1)
    assert check(graph, full(0.5, 9, 1)).settings.neuron_type.threshold == 1


def test_neurons_without_v_reset_subtract():
    network = network_of(one_layer(neurons("IF", 6, v_reset=None)))
    assert network.settings.neuron_type.reset == "subtract"
    marked = neurons("IF", 6) | {"metadata": {"reset": "subtract"}}
    assert network_of(one_layer(marked)).settings.neuron_type.reset == "subtract"


def test_a_leak_potential_is_a_current():
    check(one_layer(neurons("LIF", 6, v_leak=full(0.75, 6))), frames_of((5,)))
    check(one_layer(neurons("LIF", 6, v_reset=None, v_leak=full(0.5, 6))), frames_of((5,)))


@pytest.mark.parametrize("kind", ["IF", "LIF"])
def test_neurons_of_a_layer_differ(kind):
    shape = (3, 4, 2)
    start, end = ends(SHAPE, shape)
    powers = 2.0 ** generator(1).integers(-1, 2, shape)  # scaling by them is exact
    node = neurons(kind, *shape, v_threshold=powers)
    node["r"] = node["r"] * 2.0 ** generator(2).integers(-1, 2, shape)
    check(chain(input=start, conv=conv(), n=node, output=end), frames_of(SHAPE))


def test_threshold_has_no_memory():
    start, end = ends((5,), (6,))
    linear = {"type": "Linear", "weight": dyadic(6, 5)}
    graph = chain(input=start, linear=linear, n={"type": "Threshold", "threshold": full(0.5, 6)}, output=end)
    check(graph, frames_of((5,)))
    assert snc.from_nir(graph_of(graph)).settings.neuron_type.tau == 1  # needs no dt


def leaky(kind, *shape, **changes):
    node = {"type": kind, "r": full(1, *shape), "v_leak": full(0, *shape)}
    names = {"LI": {"tau": 2}, "CubaLI": {"tau_syn": 2, "tau_mem": 4, "w_in": 2 / DT}}[kind]
    return node | {name: full(value * DT, *shape) for name, value in names.items()} | changes


@pytest.mark.parametrize("kind", ["LI", "CubaLI"])
@pytest.mark.parametrize("place", ["behind spikes", "before spikes", "at the end"])
def test_integrators_without_spikes(kind, place):
    changes = {"v_leak": dyadic(6, scale=0.25), "r": dyadic(6, at_least=0.5)}
    nodes = {"n": neurons("IF", 6), "li": leaky(kind, 6, **changes)}
    if place == "before spikes":
        nodes = dict(reversed(nodes.items()))
    scores = {} if place == "at the end" else {"w": {"type": "Linear", "weight": dyadic(4, 6)}}
    start, end = ends((5,), (6,))
    affine = {"type": "Affine", "weight": dyadic(6, 5, scale=2, at_least=-0.5), "bias": dyadic(6)}
    check(chain(input=start, affine=affine, **nodes, **scores, output=end), frames_of((5,)))


def test_integrators_of_images_and_equal_time_constants():
    start, end = ends(SHAPE, (48,))
    r = dyadic(*SHAPE, at_least=0.5)  # for each entry
    nodes = {
        "li": leaky("LI", *SHAPE, r=r),
        "lj": leaky("LI", *SHAPE, tau=full(DT, *SHAPE)),
        "n": neurons("IF", *SHAPE),
    }
    network = check(
        chain(input=start, **nodes, flat={"type": "Flatten", "start_dim": 0}, output=end), frames_of(SHAPE, 6)
    )
    filters = [layer for layer in network.model.layers.values() if isinstance(layer, specs.Filter)]
    assert [layer.keeps for layer in filters] == [(0.5,)]  # a filter of one step does nothing
    assert "time constant of 2 steps" in network.report()


@pytest.mark.parametrize("n_steps", [0, 1, 3])
def test_delays(n_steps):
    delay = {"type": "Delay", "delay": full(n_steps * DT, 6)}
    start, end = ends((5,), (6,))
    affine = {"type": "Affine", "weight": dyadic(6, 5, scale=2, at_least=-0.5), "bias": dyadic(6)}
    nodes = {"n": neurons("IF", 6), "delay": delay, "w": {"type": "Linear", "weight": dyadic(6, 6, scale=2)}}
    network = check(chain(input=start, affine=affine, **nodes, m=neurons("LIF", 6), output=end), frames_of((5,)))
    assert any(isinstance(layer, specs.Filter) for layer in network.model.layers.values()) == (n_steps > 0)


def test_filters_on_every_back_end_and_in_files(tmp_path):
    start, end = ends((5,), (6,))
    weight = {"type": "Linear", "weight": dyadic(6, 6, scale=2)}
    nodes = {"n": neurons("IF", 6), "d": {"type": "Delay", "delay": full(2 * DT, 6)}, "li": leaky("CubaLI", 6)}
    graph = chain(
        input=start, w={"type": "Linear", "weight": dyadic(6, 5, scale=2)}, **nodes, x=weight, m=nodes["n"], output=end
    )
    network, x = network_of(graph), frames_of((5,), 8)[None].astype(np.float32)
    runs = [snc.record(network, x, n_steps=8, backend=each) for each in ("nengo", "nengo_dl", "tensorflow", "fast")]
    assert all(np.array_equal(run.spikes["m"], runs[0].spikes["m"]) for run in runs)
    assert runs[0].spikes["m"].sum() > 0
    snc.save(network, tmp_path / "network.npz")
    assert list(snc.load(tmp_path / "network.npz").model.layers.values()) == list(network.model.layers.values())
    rates = snc.convert(network.model)
    hidden = np.maximum(x[0, 0] @ graph["nodes"]["w"]["weight"].T, 0) * 2  # a filter keeps constant inputs
    expected = np.maximum(hidden @ weight["weight"].T, 0)
    np.testing.assert_allclose(np.asarray(snc.rate_model(rates)(x[:, 0]))[0], expected, rtol=1e-5)
    for refusing in (
        lambda: snc.build_trainable(network.model),
        lambda: snc.to_ttfs(rates, x[:, 0], n_steps=4),
        lambda: snc.to_spiking(snc.normalize(rates, x[:, 0]), stage_steps=4),
        lambda: plan_of(network.model, "potential"),  # of to_loihi
    ):
        with pytest.raises(snc.ConversionError, match="'d' .Filter. filters its input over time.*without LI"):
            refusing()


def test_functions_that_compare_with_the_ann_refuse_filters():
    start, end = ends((5,), (6,))
    nodes = {
        "n": neurons("IF", 6, v_threshold=full(np.nextafter(np.float32(1), np.float32(0)), 6)),
        "li": leaky("LI", 6),
    }
    network = network_of(chain(input=start, w={"type": "Linear", "weight": dyadic(6, 5)}, **nodes, output=end))
    assert network.model.filters == ("li",)
    x, y = frames_of((5,), 4).astype(np.float32), np.array([0, 1, 2, 3])
    subtracting = network.rebuild(neuron_type=snc.IntegrateAndFire())
    for refusing in (
        lambda: snc.diagnose(network, x, y, n_steps=4),
        lambda: snc.calibrate(network, x, n_steps=4),
        lambda: snc.train(network, x, y, n_steps=4),
        lambda: snc.error_bounds(subtracting, 4),
    ):
        with pytest.raises(snc.ConversionError, match="filters over time.*without LI"):
            refusing()


def test_an_integrator_at_the_end_is_the_sum_of_scores():
    start, end = ends((5,), (6,))
    linear = {"type": "Linear", "weight": dyadic(6, 5)}
    graph = chain(input=start, linear=linear, i={"type": "I", "r": full(1 / DT, 6)}, output=end)
    frames = frames_of((5,))
    _, outputs = run(graph, frames, DT)
    found = snc.record(network_of(graph), frames[None].astype(np.float32), n_steps=len(frames)).output[0]
    np.testing.assert_allclose(found.sum(axis=0), outputs[-1], rtol=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 2),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(1, 2), st.integers(1, 3)),
    st.tuples(st.integers(0, 2), st.integers(0, 2)),
    st.integers(1, 2),
    st.integers(0, 99),
)
def test_convolutions(groups, size, stride, padding, dilation, seed):
    node = conv(4, 2 // groups, size, stride=stride, padding=padding, dilation=dilation, groups=groups)
    node["weight"] = np.round(64 * np.random.default_rng(seed).uniform(-1, 1, node["weight"].shape)) / 64
    start, end = ends(SHAPE, (1,))
    graph = chain(input=start, conv=node, output=end)
    extents = [(k - 1) * dilation + 1 for k in size]
    if any(n + 2 * p < e for n, p, e in zip(SHAPE[1:], padding, extents, strict=True)):
        with pytest.raises(snc.ConversionError, match="'conv'"):
            network_of(graph)
        return
    check(graph, frames_of(SHAPE, 2))


@pytest.mark.parametrize("padding", ["same", b"same", "valid"])
def test_padding_as_text(padding):
    start, end = ends(SHAPE, (1,))
    network = network_of(chain(input=start, conv=conv(size=(3, 2), padding=padding), output=end))
    as_text = padding if isinstance(padding, str) else padding.decode()
    assert network.model.layers["conv"].padding == as_text
    assert network.model.shapes["conv"] == ((6, 4, 3) if as_text == "same" else (4, 3, 3))


def test_padding_becomes_that_of_tensorflow_where_it_is_the_same():
    start, end = ends(SHAPE, (1,))
    network = network_of(chain(input=start, conv=conv(padding=1), output=end))
    assert network.model.layers["conv"].padding == "same"
    network = network_of(chain(input=start, conv=conv(padding=2), output=end))
    assert isinstance(network.model.layers["conv_pad"], specs.Pad)


def test_one_dimension():
    start, end = ends((2, 9), (1,))
    graph = chain(input=start, conv=conv(size=(3,), padding=1, stride=2), n=neurons("IF", 3, 5), output=end)
    check(graph, frames_of((2, 9)))


@pytest.mark.parametrize("kind", ["AvgPool2d", "SumPool2d"])
@pytest.mark.parametrize("padding", [0, 1])
def test_pooling_flatten_and_dense_weights_in_order(kind, padding):
    n_flat = 2 * (2 + padding) * (2 + padding)
    pool = {"type": kind, "kernel_size": (2, 2), "stride": np.array([2, 2]), "padding": padding}
    start, end = ends((2, 4, 4), (5,))
    graph = chain(
        input=start,
        pool=pool,
        flat={"type": "Flatten", "start_dim": 0, "end_dim": -1, "input_type": np.array([2, 2, 2])},
        scale={"type": "Scale", "scale": 2.0 ** generator(3).integers(-1, 2, n_flat)},
        affine={"type": "Affine", "weight": dyadic(5, n_flat, at_least=-0.5), "bias": dyadic(5)},
        n=neurons("LIF", 5),
        output=end,
    )
    check(graph, frames_of((2, 4, 4)))


def test_an_output_behind_flatten_is_in_the_order_of_nir():
    start, end = ends((2, 3, 4), (24,))
    graph = chain(input=start, flat={"type": "Flatten", "start_dim": 0, "end_dim": -1}, output=end)
    frames = frames_of((2, 3, 4), 1)
    found = snc.record(network_of(graph), np.moveaxis(frames, 1, -1)[None].astype(np.float32), n_steps=1).output
    assert np.array_equal(found[0, 0], frames[0].ravel())


def test_branches_are_added():
    start, end = ends(SHAPE, (1,))
    graph = {
        "type": "NIRGraph",
        "nodes": {
            "input": start,
            "a": conv(padding=1),
            "b": conv(padding=1),
            "n": neurons("IF", 3, 6, 4),
            "m": neurons("IF", 3, 6, 4),
            "c": conv(into=3, padding=1),
            "output": end,
        },
        "edges": [("input", "a"), ("input", "b"), ("a", "n"), ("b", "n"), ("a", "m"), ("n", "c"), ("m", "c")]
        + [("c", "output")],
    }
    check(graph, frames_of(SHAPE))


def test_nested_graphs():
    start, end = ends(SHAPE, (3, 4, 2))
    inner = chain(input=start, conv=conv(), n=neurons("IF", 3, 4, 2), output=end)
    outer = chain(input=start, block={**inner}, output=end)
    frames = frames_of(SHAPE)
    expected = snc.record(network_of(inner), np.moveaxis(frames, 1, -1)[None].astype(np.float32), n_steps=10)
    found = snc.record(network_of(outer), np.moveaxis(frames, 1, -1)[None].astype(np.float32), n_steps=10)
    assert np.array_equal(found.spikes["block.n"], expected.spikes["n"])


def test_which_network_holds_the_neurons():
    below = full(np.nextafter(np.float32(1), np.float32(0)), 6)
    kinds = {
        NativeConfig: neurons("IF", 6, v_threshold=below),
        SurrogateConfig: neurons("LIF", 6),
        LayerwiseConfig: neurons("CubaLIF", 6),
    }
    for config, node in kinds.items():
        assert type(network_of(one_layer(node)).settings) is config


def test_layers_of_different_neurons(tmp_path):
    start, end = ends((5,), (4,))
    graph = chain(
        input=start,
        a={"type": "Linear", "weight": dyadic(6, 5, scale=2)},
        n=neurons("IF", 6),
        b={"type": "Linear", "weight": dyadic(6, 6, scale=2)},
        m=neurons("LIF", 6, tau=full(4 * DT, 6)),
        c={"type": "Linear", "weight": dyadic(4, 6, scale=4)},
        o=neurons("CubaLIF", 4),
        output=end,
    )
    network = check(graph, frames_of((5,), 16))
    assert [type(each).__name__ for each in network.settings.neuron_types] == [
        "IntegrateAndFire",
        "SurrogateLIF",
        "SurrogateLIF",
    ]
    assert network.settings.keeps == (0, 0, 0.5)
    assert "filtered" in network.report()
    snc.save(network, tmp_path / "network.npz")
    assert snc.load(tmp_path / "network.npz").settings == network.settings
    x = frames_of((5,), 16)[None].astype(np.float32)
    assert set(snc.record(network, x, n_steps=16, potentials=True).potentials) == set(network.model.neurons)
    with pytest.raises(snc.SettingsError, match="one that read_nir made, which has no rates"):
        snc.normalize(network, x[:, 0])
    runs = [
        snc.evaluate(network, x, np.array([0]), n_steps=16, backend=backend, progress=False).spikes_per_neuron
        for backend in ("nengo", "nengo_dl", "fast")
    ]
    assert runs[0] == runs[1] == runs[2] > 0


def with_node(**node):
    start, end = ends(SHAPE, (1,))
    return chain(input=start, bad=node, output=end)


REFUSED = {
    "a delay of parts of steps": (
        with_node(type="Delay", delay=full(1.5 * DT, *SHAPE)),
        "'bad' .Delay. has a delay of .* not a whole number of steps.*give the dt",
    ),
    "a long delay": (with_node(type="Delay", delay=full(100 * DT, *SHAPE)), "'bad'.*delay of 100 steps.*from 0 to 64"),
    "delays that differ": (
        with_node(type="Delay", delay=DT * np.arange(48).reshape(SHAPE)),
        "'bad'.*delay that differ.*one delay for each layer",
    ),
    "a leaky integrator without time constant": (with_node(type="LI", r=full(1, 2)), "'bad' .LI. .*numbers as its"),
    "a leaky integrator shorter than a step": (
        with_node(**leaky("LI", *SHAPE, tau=full(0.5 * DT, *SHAPE))),
        "'bad'.*less than a step.*give the dt",
    ),
    "an integrator in between": (
        chain(
            input=ends((6,), (6,))[0],
            bad={"type": "I", "r": full(1, 6)},
            n=neurons("IF", 6),
            output=ends((6,), (6,))[1],
        ),
        "'bad' .I. integrates.*before the Output",
    ),
    "an unknown class": (with_node(type="Transformer"), "'bad' .Transformer. is of a class.*Conv2d"),
    "NaN": (with_node(**conv(bias=full(np.nan, 3))), "'bad'.*NaN or infinity in its bias"),
    "text": (with_node(**conv(weight="x")), "'bad'.*must have numbers as its weight"),
    "a huge stride": (with_node(**conv(stride=10**12)), "'bad'.*stride.*limit"),
    "same padding with strides": (with_node(**conv(padding="same", stride=2)), "'bad'.*NIR does not define"),
    "other padding": (with_node(**conv(padding="full")), "'bad'.*must be 'same', 'valid' or numbers"),
    "channels": (with_node(**conv(into=5)), "'bad'.*shape .3, 3, 5, 3."),
    "an image into Affine": (with_node(type="Linear", weight=np.ones((2, 4))), "'bad'.*put a Flatten"),
    "parameters of another shape": (
        with_node(**neurons("IF", 6, 4, 2, v_threshold=generator(0).uniform(1, 2, (6, 4, 2)))),
        "'bad'.*parameters of shape",
    ),
    "flattening in part": (with_node(type="Flatten", start_dim=1, end_dim=-1), "'bad'.*start_dim=0"),
    "time constants below a step": (
        with_node(**neurons("LIF", *SHAPE, tau=full(1e-9, *SHAPE))),
        "'bad'.*less than a step.*give the dt",
    ),
    "time constants that differ": (
        with_node(**neurons("LIF", *SHAPE, tau=generator(0).uniform(1, 2, SHAPE))),
        "'bad'.*tau that differ between its neurons.*one tau for each layer",
    ),
    "a threshold below the reset": (
        with_node(**neurons("IF", *SHAPE, v_reset=full(2, *SHAPE))),
        "'bad'.*not above its reset potential",
    ),
    "a recurrent graph": (
        {
            "type": "NIRGraph",
            "nodes": with_node(**neurons("IF", *SHAPE))["nodes"] | {"w": {"type": "Scale", "scale": np.ones(())}},
            "edges": [("input", "bad"), ("bad", "w"), ("w", "bad"), ("bad", "output")],
        },
        "recurrent: .*'bad'",
    ),
    "two outputs": (
        {
            "type": "NIRGraph",
            "nodes": {"input": ends(SHAPE, (1,))[0], "o": ends(SHAPE, (1,))[1], "p": ends(SHAPE, (1,))[1]},
            "edges": [("input", "o"), ("input", "p")],
        },
        "must have one Output node, got 2: 'o', 'p'",
    ),
    "an edge to nowhere": (
        {"type": "NIRGraph", "nodes": {"input": ends(SHAPE, (1,))[0]}, "edges": [("input", "nowhere")]},
        "'nowhere' has an end that is no node",
    ),
    "no nodes": ({"type": "NIRGraph", "nodes": {}, "edges": []}, "expected a NIR graph with nodes"),
    "no edges": ({"type": "NIRGraph", "nodes": {"a": {"type": "Input"}}, "edges": None}, "list of edges"),
    "four axes": (chain(input=ends((1, 2, 3, 4), (1,))[0], output=ends((1,), (1,))[1]), "shape of 1 to 3"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_nodes_are_named(case):
    graph, message = REFUSED[case]
    with pytest.raises(snc.ConversionError, match=message):
        network_of(graph)


def test_a_step_of_unknown_length_is_asked_for():
    with pytest.raises(snc.ConversionError, match="how long a time step is: give dt in seconds, which is 1e-4"):
        snc.from_nir(graph_of(one_layer(neurons("LIF", 6))))
    graph = one_layer(neurons("LIF", 6)) | {"metadata": {"dt": DT}}
    assert snc.from_nir(graph_of(graph)).settings.neuron_type.tau == 2


def test_objects_that_are_no_graph():
    with pytest.raises(snc.ConversionError, match="graph must be a nir.NIRGraph.*read_nir"):
        snc.from_nir("network.nir")
