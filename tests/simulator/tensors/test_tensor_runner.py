"""Networks as TensorFlow graphs: they agree with nengo and nengo_dl spike for spike, in every layer."""

import nengo
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras_graphs import averages_are_dyadic, dyadic_model
from models import branched, make
from simulators import (
    DT,
    FED_THROUGH,
    GRAPHS,
    LOWPASS,
    NEURONS,
    ROUNDING,
    SECOND_ORDER,
    assert_equal,
    dyadic,
    keras_like,
    neurons_of,
    probed,
    random_images,
    rounded,
    run_nengo,
    run_nengo_dl,
    spiking_network,
)

import nengo_snnconv as snc
from nengo_snnconv.model import layers as specs
from nengo_snnconv.neurons.max_gate import MaxGate
from nengo_snnconv.simulator.tensors.tensor_runner import TensorRunner, _lengths


def run_tensors(network, n_steps, images, dt=0.001, chunk=4):
    """Return the samples of each probe without a filter, (images, steps, size), computed in chunks."""
    probes = [probe for probe in network.all_probes if probe.synapse is None]
    runner = TensorRunner(network, dt, len(images), probes)
    runner.chunk = chunk
    runner.start(len(images), 0)
    images = np.asarray(images, np.float32).reshape(len(images), -1, network.input.size_out)
    return dict(zip(probes, runner.run(n_steps, images), strict=True))


def check(network, n_steps, images, reference=run_nengo, dt=0.001, rtol=0.0):
    """Check all probes without a filter, and return their samples."""
    seen = run_tensors(network, n_steps, images, dt)
    expected = reference(network, n_steps, {network.input: images}, dt)
    assert_equal(seen, {probe: expected[probe] for probe in seen}, rtol)
    return seen


class TestConvertedNetworks:
    @given(st.integers(0, 2**32 - 1), st.integers(2, 7), st.booleans(), st.booleans())
    @settings(GRAPHS, max_examples=8)
    def test_random_graphs(self, seed, n_layers, poisson, direct):
        model = dyadic_model(seed, n_layers)
        if not averages_are_dyadic(model):
            return
        coding, readout = "poisson" if poisson else "constant", "spikes" if direct else "potential"
        network = spiking_network(model, input_coding=coding, direct=direct, readout=readout, seed=seed % 1000)
        check(probed(network), 6, random_images(model, np.random.default_rng(seed), 2))

    @pytest.mark.parametrize(
        "neuron_type",
        [
            snc.IntegrateAndFire(reset="zero"),
            snc.IntegrateAndFire(threshold=0.5, initial_potential=0, max_spikes=4, min_potential=-0.25),
            snc.IntegrateAndFire(max_spikes=np.inf, initial_state={"voltage": nengo.dists.Choice([0.25, 0.75])}),
            snc.SignedIntegrateAndFire(max_spikes=2),
        ],
        ids=str,
    )
    def test_branches_averages_and_maxima(self, neuron_type, rng):
        model = rounded(branched())
        network = probed(spiking_network(model, neuron_type))
        seen = check(network, 9, random_images(model, rng))
        assert all(values.any() for values in seen.values())

    @pytest.mark.parametrize("shape", [(9, 6), (6, 7, 6), (3, 4, 5, 6)], ids=str)
    @pytest.mark.parametrize("groups", [1, 2, 6])
    def test_convolutions_over_any_number_of_axes(self, shape, groups, rng):
        size = (2, 3, 3)[: len(shape) - 1]
        window = {"kernel_size": size, "strides": (2,) * len(size), "padding": "same"}
        model = rounded(
            make(
                specs.Input("image", shape=shape),
                specs.Conv("a", "image", filters=12, groups=groups, **window),
                specs.Rectifier("a_neurons", "a"),
                specs.MaxPool("max", "a_neurons", pool_size=(2,) * len(size), padding="same"),
                specs.GlobalMaxPool("global", "max"),
                specs.Dense("scores", "global", units=3),
            )
        )
        seen = check(probed(spiking_network(model)), 6, random_images(model, rng))
        assert all(values.any() for values in seen.values())

    @pytest.mark.parametrize("synapse", [LOWPASS, SECOND_ORDER, FED_THROUGH], ids=["one state", "two", "feedthrough"])
    def test_filtered_spikes(self, synapse, rng):
        model = rounded(branched())
        check(probed(spiking_network(model, synapse=synapse)), 8, random_images(model, rng))

    def test_frames(self, rng):
        model = rounded(branched())
        check(probed(spiking_network(model)), 7, random_images(model, rng, n_steps=7))


class TestStages:
    @given(st.integers(0, 2**32 - 1), st.integers(2, 7), st.booleans())
    @settings(GRAPHS, max_examples=4)
    def test_time_to_first_spike(self, seed, n_layers, signed):
        model = dyadic_model(seed, n_layers)
        if not averages_are_dyadic(model):
            return
        x = random_images(model, np.random.default_rng(seed), 2)
        x = x if signed else np.abs(x)
        network = probed(snc.to_ttfs(snc.convert(model), x, 4, threshold=1.0, x_max=1))
        check(network, network.settings.total_steps(network.model) + 1, x, rtol=ROUNDING)

    def test_integrate_and_fire(self, rng):
        model = rounded(branched())
        network = probed(spiking_network(model, stage_steps=4))
        check(network, network.settings.total_steps(network.model), random_images(model, rng))


@pytest.mark.parametrize(
    ("neuron_type", "options"),
    [
        (nengo.LIF(amplitude=DT, tau_rc=0.01, min_voltage=-2), {"max_rates": 400, "intercepts": 0.125}),
        (nengo.LIF(amplitude=DT, tau_rc=0.01), {"max_rates": 400, "synapse": LOWPASS}),
        (nengo.SpikingRectifiedLinear(amplitude=DT), {"output_neurons": True}),
        (snc.SurrogateLIF(amplitude=DT, threshold=0.25, tau=4, reset="subtract"), {}),
        (snc.IntegrateAndFire(amplitude=DT, tau=DT), {"stateful": False}),
    ],
    ids=str,
)
def test_networks_of_keras_layers(neuron_type, options, rng):
    network = probed(snc.build_trainable(keras_like(), neuron_type, seed=3, **options))
    with network:
        nengo.Probe(network.layers["a_neurons"], "voltage")
    # spikes are whole numbers; potentials of LIF accumulate the difference of two libraries' exponentials
    seen = check(network, 8, random_images(network.model, rng), run_nengo_dl, DT, rtol=8 * ROUNDING)
    assert all(values.any() for values in seen.values())


@pytest.mark.parametrize("neuron_type", NEURONS, ids=str)
def test_populations(neuron_type, rng):
    """Check different gains and biases, states, and constant and changing inputs."""
    size = 18
    with nengo.Network(seed=1) as network:
        network.input = nengo.Node(np.zeros(size))
        neurons = neurons_of(neuron_type, size, gain=1 + dyadic(rng, size) / 2, bias=dyadic(rng, size))
        nengo.Connection(network.input, neurons, transform=2, synapse=None)
        nengo.Probe(neurons)
        states = {"voltage", "current", "spiked"} | ({"total"} if getattr(neuron_type, "cumulative", False) else set())
        for state in states.intersection(neuron_type.state):
            nengo.Probe(neurons, state)
    for n_moving in (1, 9):
        seen = check(network, 9, dyadic(rng, 2, n_moving, size), dt=DT)
        assert all(values.any() for values in seen.values())


def test_maxima_of_windows_that_no_layer_has(rng):
    """Windows overlap and are not in order; signed spikes shrink the sums again."""
    entries = [0, 1, 2, 1, 2, 3, 9, 4, 0]
    network = spiking_network(rounded(branched()))  # its model has other windows
    with nengo.Network() as gates:
        gates.input, gates.model = nengo.Node(np.zeros(12)), network.model
        spiking = neurons_of(snc.SignedIntegrateAndFire(amplitude=DT, tau=DT), 12)
        nengo.Connection(gates.input, spiking, synapse=None)
        gate = neurons_of(MaxGate(3), len(entries))
        nengo.Connection(spiking[entries], gate, synapse=None)
        maxima = nengo.Node(size_in=3)
        nengo.Connection(gate[::3], maxima, synapse=None)
        nengo.Probe(maxima)
    (values,) = check(gates, 30, dyadic(rng, 2, 30, 12), dt=DT).values()
    assert (values > 0).any() and (values < 0).any()


def test_dense_sparse_and_partial_connections(rng):
    matrix = nengo.Sparse((5, 4), indices=[[0, 1], [4, 0], [4, 3]], init=[0.5, -2, 1])
    with nengo.Network() as network:
        network.input, target = nengo.Node(np.zeros(6)), nengo.Node(size_in=8)
        nengo.Connection(network.input[[5, 1, 1, 0]], target[[7, 0, 2, 4, 1]], transform=matrix, synapse=None)
        nengo.Connection(network.input[::2], target[5:], transform=[1, 2, 3], synapse=None)
        nengo.Connection(network.input, target, transform=dyadic(rng, 8, 6), synapse=None)
        nengo.Connection(nengo.Node([0.5, -0.25]), target[:2], synapse=None)
        nengo.Probe(target)
    check(network, 3, dyadic(rng, 2, 3, 6))


class TestChunks:
    def test_lengths_differ_by_one_at_most(self):
        assert _lengths(30, 16) == [15, 15]
        assert _lengths(7, 3) == [3, 2, 2]
        assert _lengths(5, 16) == [5]

    def test_memory_limits_steps(self):
        network = spiking_network(rounded(branched()))
        sizes = [TensorRunner(network, 0.001, 50, network.all_probes[:1], memory_mb=mb).chunk for mb in (0.01, 2, 500)]
        assert sizes[0] == 1 < sizes[1] < sizes[2]

    def test_states_are_kept_for_the_images_that_continue(self, rng):
        """As if they had run alone; Poisson spikes depend on the place that an image had at the start."""
        model = rounded(branched())
        network = spiking_network(model, input_coding="poisson")
        images = random_images(model, rng, 7).reshape(7, 1, -1)
        whole, shrinking = (TensorRunner(network, 0.001, 7, network.all_probes[:1]) for _ in range(2))
        whole.start(7, 3)
        (expected,) = whole.run(9, images)
        shrinking.start(7, 3)
        shrinking.run(4, images)
        begin = 4
        for rows, kept, n_steps in (([0, 2, 3, 6], [0, 2, 3, 6], 4), ([1, 3], [2, 6], 1)):
            shrinking.keep(np.array(rows))
            (values,) = shrinking.run(n_steps, images[kept])
            assert np.array_equal(values, expected[kept, begin : begin + n_steps])
            assert values.any()
            begin += n_steps
