"""Graphs that are written give the same spikes by NIR's equations; layers that NIR lacks are refused by name."""

import nengo
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models import make
from nir_interpreter import run

import nengo_snnconv as snc
from nengo_snnconv.formats.nir.graph_reader import read_graph
from nengo_snnconv.formats.nir.graph_writer import write_graph
from nengo_snnconv.model import Model
from nengo_snnconv.model import layers as specs
from nengo_snnconv.networks.layerwise import LayerwiseConfig
from nengo_snnconv.networks.native import NativeConfig
from nengo_snnconv.networks.network import ConvNetwork
from nengo_snnconv.networks.nir_form import model_of, network_of
from nengo_snnconv.networks.surrogate import SurrogateConfig
from nengo_snnconv.networks.trainable import TrainableConfig

DT = 2.0**-10
N_STEPS = 8


def dyadic(model, scale=64):
    """Return a model whose arrays are multiples of 1/64, so that sums are exact."""
    return model.replace(arrays={name: np.round(2 * scale * array) / scale for name, array in model.arrays.items()})


def model_with(*layers, shape=(6, 5, 2), seed=0):
    return dyadic(make(specs.Input("image", shape=shape), *layers, seed=seed))


CHAIN = (
    specs.Conv("conv", "image", filters=4, kernel_size=(3, 2), strides=2, padding="same"),
    specs.Rectifier("n", "conv"),
    specs.Conv("conv 2", "n", filters=4, kernel_size=(3, 3), padding="same", groups=2),
    specs.Rectifier("m", "conv 2"),
    specs.Add("sum", ("n", "m")),
    specs.Conv("1", "sum", filters=3, kernel_size=(2, 2), padding="same", dilation=2),
    specs.Rectifier("o", "1"),
    specs.Flatten("flat", "o"),
    specs.Rectifier("p", "flat"),
    specs.Dense("dense", "p", units=5),
)
CONFIGS = {
    "IF": NativeConfig(snc.IntegrateAndFire(reset="zero", initial_potential=0.0)),
    "IF that subtracts": NativeConfig(snc.IntegrateAndFire(initial_potential=0.0)),
    "LIF": SurrogateConfig(snc.SurrogateLIF(tau=2.0)),
    "LIF that subtracts": SurrogateConfig(snc.SurrogateLIF(tau=2.0, reset="subtract")),
    "LIF with a resting potential": SurrogateConfig(snc.SurrogateLIF(tau=4.0, reset_potential=-0.25, threshold=0.5)),
    "different IF and LIF": LayerwiseConfig(
        snc.IntegrateAndFire(2.0, "zero", 0.0),
        neuron_types=(
            snc.IntegrateAndFire(2.0, "zero", 0.0),
            snc.IntegrateAndFire(1.0000001, "subtract", 0.0),
            snc.SurrogateLIF(tau=4.0),
            snc.SurrogateLIF(tau=2.0, reset="subtract"),
        ),
        keeps=(0.0, 0.0, 0.0, 0.5),
    ),
    "CubaLIF": LayerwiseConfig(snc.SurrogateLIF(), neuron_types=(snc.SurrogateLIF(),) * 4, keeps=(0.5, 0.0, 0.75, 0.0)),
}


def check(network, average_pool="AvgPool2d"):
    """Check that the graph of a network gives its spikes by NIR's equations, and reading it the same network."""
    model, neurons = model_of(network)
    graph = write_graph(model, neurons, DT, average_pool)
    shape = network.model.shapes[network.model.input]
    x = np.round(8 * np.random.default_rng(1).uniform(0, 2, (N_STEPS, *shape))) / 8
    spikes, outputs = run(graph, np.moveaxis(x, -1, 1), DT)
    recording = snc.record(network, x[None].astype(np.float32), n_steps=N_STEPS)
    found = list(recording.spikes.values())
    assert len(found) == len(spikes)
    assert all(steps.sum() > 0 for steps in found[:1])
    for ours, theirs in zip(found, spikes.values(), strict=True):
        assert np.array_equal(np.sort(ours[0]), np.sort(theirs.reshape(N_STEPS, -1)))  # entries have another order
    np.testing.assert_allclose(recording.output[0], outputs.reshape(N_STEPS, -1), rtol=1e-6, atol=1e-6)
    again = network_of(read_graph(graph), network.settings.seed)
    back = snc.record(again, x[None].astype(np.float32), n_steps=N_STEPS)
    for ours, theirs in zip(found, back.spikes.values(), strict=True):
        assert np.array_equal(ours, theirs)
    return graph, again


@pytest.mark.parametrize("kind", CONFIGS)
def test_neurons(kind):
    network = ConvNetwork(model_with(*CHAIN), CONFIGS[kind])
    graph, again = check(network)
    assert again.settings == network.settings
    convolutions = [layer for layer in network.model.layers.values() if isinstance(layer, specs.Conv)]
    read = [layer for layer in again.model.layers.values() if isinstance(layer, specs.Conv)]
    assert [(layer.kernel_size, layer.padding) for layer in read] == [
        (layer.kernel_size if layer.dilation == (1, 1) else (2, 2), layer.padding) for layer in convolutions
    ]
    assert all(name.isidentifier() for name in graph["nodes"])  # modules of PyTorch need such names


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.integers(4, 7), st.integers(4, 7)),
    st.tuples(st.integers(1, 3), st.integers(1, 4)),
    st.tuples(st.integers(1, 3), st.integers(1, 2)),
    st.integers(1, 2),
    st.sampled_from(["same", "valid"]),
    st.tuples(st.integers(0, 2), st.integers(0, 2)),
    st.integers(0, 99),
)
def test_convolutions(size, kernel, strides, dilation, padding, pads, seed):
    pad = specs.Pad("pad", "image", before=(pads[0], 0, 0), after=(pads[1], 1, 0))
    conv = specs.Conv("conv", "pad", filters=4, kernel_size=kernel, strides=strides, padding=padding, dilation=dilation)
    try:
        model = model_with(pad, conv, specs.Rectifier("n", "conv"), shape=(*size, 2), seed=seed)
    except snc.ModelError:  # a kernel larger than its input
        return
    check_spikes_of_images(model)


def check_spikes_of_images(model):
    network = ConvNetwork(model, CONFIGS["LIF"])
    read, neurons = model_of(network)
    graph = write_graph(read, neurons, DT)
    x = np.round(8 * np.random.default_rng(1).uniform(0, 2, (3, *model.shapes[model.input]))) / 8
    spikes, _ = run(graph, np.moveaxis(x, -1, 1), DT)
    recording = snc.record(network, x[None].astype(np.float32), n_steps=3)
    expected = recording.spikes["n"][0].reshape(3, *model.shapes["n"])
    assert np.array_equal(np.moveaxis(spikes["n"], 1, -1), expected)
    again = network_of(read_graph(graph), 0)
    assert np.array_equal(snc.record(again, x[None].astype(np.float32), n_steps=3).spikes["n"], recording.spikes["n"])


@pytest.mark.parametrize("average_pool", ["AvgPool2d", "Conv2d"])
@pytest.mark.parametrize("keepdims", [True, False])
def test_pooling(average_pool, keepdims):
    model = model_with(
        specs.AveragePool("pool", "image", pool_size=(2, 2), strides=(2, 1)),
        specs.Conv("conv", "pool", filters=3, kernel_size=(2, 2)),
        specs.Rectifier("n", "conv"),
        specs.GlobalAveragePool("mean", "n", keepdims=keepdims),
        *([specs.Flatten("flat", "mean")] if keepdims else []),
        specs.Dense("dense", "flat" if keepdims else "mean", units=3),
        shape=(6, 4, 2),
    )
    graph, _ = check(ConvNetwork(model, CONFIGS["LIF"]), average_pool)
    assert ("AvgPool2d" in {node["type"] for node in graph["nodes"].values()}) == (average_pool == "AvgPool2d")


def test_scales_and_shifts_of_channels():
    model = model_with(
        specs.Affine("scale", "image"),
        specs.Conv("conv", "scale", filters=3, kernel_size=(3, 3), padding="same"),
        specs.Rectifier("n", "conv"),
        specs.Affine("only scales", "n"),
        specs.Dense("positions", "only scales", units=4),
        specs.Rectifier("m", "positions"),
        specs.Flatten("flat", "m"),
        specs.Affine("each", "flat"),
        specs.Dense("dense", "each", units=2),
    )
    model = model.replace(arrays={"only scales/bias": np.zeros(3)})
    check(ConvNetwork(model, CONFIGS["LIF"]))


def test_one_dimension():
    model = model_with(
        specs.Conv("conv", "image", filters=3, kernel_size=3, padding="same", strides=2),
        specs.Rectifier("n", "conv"),
        specs.AveragePool("pool", "n", pool_size=2),
        specs.Flatten("flat", "pool"),
        specs.Dense("dense", "flat", units=3),
        shape=(9, 2),
    )
    check(ConvNetwork(model, CONFIGS["IF"]))


REFUSED = {
    "maxima": ((specs.MaxPool("bad", "image", pool_size=(2, 2)),), "'bad' .MaxPool. is max pooling.*average pooling"),
    "global maxima": ((specs.GlobalMaxPool("bad", "image"),), "'bad'.*global average pooling"),
    "joins": ((specs.Concatenate("bad", ("image", "image")),), "'bad'.*adds them"),
    "permuted axes": ((specs.Permute("bad", "image", axes=(1, 0, 2)),), "'bad'.*channels last"),
    "other shapes": ((specs.Reshape("bad", "image", shape=(5, 6, 2)),), "'bad'.*except Flatten"),
    "repeated entries": ((specs.Upsample("bad", "image", size=(2, 2, 1)),), "'bad'.*repeats entries"),
    "means of parts of windows": (
        (specs.AveragePool("bad", "image", pool_size=(3, 3), strides=(1, 1), padding="same"),),
        "'bad'.*train it with padding 'valid'",
    ),
    "a sum of a tensor with itself": ((specs.Add("bad", ("image", "image")),), "'bad'.*scale its weights"),
    "crops": ((specs.Pad("bad", "image", before=(-1, 0, 0), after=(0, 0, 0)),), "'bad'.*crops"),
    "padding before something else": (
        (specs.Pad("bad", "image", before=(1, 0, 0), after=(0, 0, 0)), specs.Rectifier("n", "bad")),
        "'bad'.*another layer than a convolution",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_layers_are_named(case):
    layers, message = REFUSED[case]
    model = model_with(*layers, specs.Rectifier("end", layers[-1].name))
    with pytest.raises(snc.ConversionError, match=message) as caught:
        write_graph(*model_of(ConvNetwork(model, CONFIGS["LIF"])), DT)
    assert caught.value.layer == "bad"


def test_a_flattened_output_is_refused():
    model = model_with(specs.Rectifier("n", "image"), specs.Flatten("flat", "n"))
    with pytest.raises(snc.ConversionError, match="'flat'.*end with Dense"):
        write_graph(*model_of(ConvNetwork(model, CONFIGS["LIF"])), DT)


def test_three_dimensions_are_refused():
    conv = specs.Conv("bad", "image", filters=2, kernel_size=(2, 2, 2))
    model = model_with(conv, specs.Rectifier("n", "bad"), shape=(3, 3, 3, 1))
    with pytest.raises(snc.ConversionError, match="'image'.*4 axes.*2-D"):
        write_graph(*model_of(ConvNetwork(model, CONFIGS["LIF"])), DT)


NEURONS = {
    "rates": (NativeConfig(nengo.RectifiedLinear()), "to_spiking first"),
    "several spikes": (NativeConfig(snc.IntegrateAndFire(max_spikes=4)), "max_spikes=4"),
    "a floor": (NativeConfig(snc.IntegrateAndFire(min_potential=-1)), "min_potential=-1"),
    "negative spikes": (NativeConfig(snc.SignedIntegrateAndFire()), "no neurons like SignedIntegrateAndFire"),
    "a refractory period": (NativeConfig(nengo.LIF(min_voltage=-5)), "no neurons like LIF"),
    "other filters": (NativeConfig(snc.IntegrateAndFire(), synapse=nengo.Alpha(0.01)), "has Alpha.*rebuild.synapse="),
    "other heights": (NativeConfig(snc.IntegrateAndFire(amplitude=0.01)), "have the height 1, these have 10"),
    "filtered IF": (
        LayerwiseConfig(snc.IntegrateAndFire(), neuron_types=(snc.IntegrateAndFire(),), keeps=(0.5,)),
        "no IF neurons with a filtered current",
    ),
    "states": (SurrogateConfig(snc.SurrogateLIF(initial_state={"voltage": [0.5]})), "no initial state"),
}


@pytest.mark.parametrize("case", NEURONS)
def test_refused_neurons(case):
    config, message = NEURONS[case]
    model = model_with(specs.Dense("dense", "image", units=1), specs.Rectifier("n", "dense"), shape=(1,))
    with pytest.raises(snc.ConversionError, match=message):
        model_of(ConvNetwork(model, config))


def test_refused_neurons_of_one_layer():
    """The layer is named, and the call in the message replaces its neurons only."""
    chain = [specs.Dense("d1", "image", units=2), specs.Rectifier("n1", "d1"), specs.Dense("d2", "n1", units=2)]
    model = model_with(*chain, specs.Rectifier("n2", "d2"), shape=(2,))
    config = NativeConfig(snc.IntegrateAndFire(), neuron_types=(nengo.LIF(), snc.IntegrateAndFire(2.0)))
    network = ConvNetwork(model, config)
    message = r"n1: NIR has no neurons like LIF, .*: use network\.rebuild\(neuron_type={'n1': IntegrateAndFire\(\)}\)"
    with pytest.raises(snc.ConversionError, match=message) as caught:
        model_of(network)
    assert caught.value.layer == "n1"
    network = network.rebuild(neuron_type={"n1": snc.IntegrateAndFire()})
    assert network.settings.neuron_types == (snc.IntegrateAndFire(), snc.IntegrateAndFire(2.0))
    assert len(model_of(network)[1]) == 2


def test_scores_have_the_units_of_the_model():
    ends = specs.Rectifier("n", "dense"), specs.Dense("end", "n", units=2)
    model = model_with(specs.Dense("dense", "image", units=4), *ends, shape=(3,), seed=2)
    model = Model(model.layers.values(), model.arrays, metadata={"scales": {"end": [4.0]}})
    graph, _ = check(ConvNetwork(model, CONFIGS["IF"]))
    assert np.array_equal(graph["nodes"]["end"]["weight"], 4 * model.arrays["end/kernel"].T)


SYNAPSES = {
    "of spikes": (NativeConfig(snc.IntegrateAndFire(reset="zero", initial_potential=0.0), synapse=0.002), 2),
    "without time constant": (NativeConfig(snc.IntegrateAndFire(initial_potential=0.0), synapse=0), 2),
    "of a network trained through time": (TrainableConfig(snc.SurrogateLIF(), synapse=nengo.Lowpass(0.001)), 2),
}


@pytest.mark.parametrize("kind", SYNAPSES)
def test_synapses_are_delays_of_a_step_and_leaky_integrators(kind):
    config, count = SYNAPSES[kind]
    layers = (
        specs.Dense("dense", "image", units=6),
        specs.Rectifier("n", "dense"),
        specs.Dense("second", "n", units=6),
        specs.Rectifier("m", "second"),
        specs.Dense("end", "m", units=3),
    )
    graph, again = check(ConvNetwork(model_with(*layers, shape=(5,), seed=4), config))
    kinds = [node["type"] for node in graph["nodes"].values()]
    assert (kinds.count("Delay"), kinds.count("LI")) == (count, count if config.synapse else 0)
    filters = [layer for layer in again.model.layers.values() if isinstance(layer, specs.Filter)]
    assert [layer.delay for layer in filters if layer.delay] == [1] * count


def test_filters_of_the_input_spikes():
    config = NativeConfig(snc.IntegrateAndFire(), seed=1, input_coding="poisson", synapse=0)
    layers = specs.Dense("dense", "image", units=6), specs.Rectifier("n", "dense")
    graph = write_graph(*model_of(ConvNetwork(model_with(*layers, shape=(5,)), config)), DT)
    assert ("input", "image_synapse") in graph["edges"]


def test_filters_in_a_row_and_images():
    layers = (
        specs.Filter("both", "image", keeps=(0.5, 0.75), delay=2),
        specs.Conv("conv", "both", filters=4, kernel_size=(3, 3)),
        specs.Rectifier("n", "conv"),
        specs.Flatten("flat", "n"),
        specs.Filter("one", "flat", keeps=(0.5,)),
        specs.Dense("dense", "one", units=3),
        specs.Filter("end", "dense", delay=1),
    )
    graph, again = check(ConvNetwork(model_with(*layers), CONFIGS["LIF"]))
    kinds = [node["type"] for node in graph["nodes"].values()]
    assert [kind for kind in kinds if kind in ("Delay", "CubaLI", "LI")] == ["Delay", "CubaLI", "LI", "Delay"]
    filters = [layer for layer in again.model.layers.values() if isinstance(layer, specs.Filter)]
    assert [(layer.delay, layer.keeps) for layer in filters] == [(2, ()), (0, (0.5, 0.75)), (0, (0.5,)), (1, ())]
